#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_site.py - what operators see and set: metrics, health, the views of the database, settings and
# what starting refuses.
import json
import os
import pathlib
import re
import subprocess

import kit

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\}'
SAMPLE = re.compile(rf"({NAME})({LABELS})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)\Z")
HELP = re.compile(rf"# HELP ({NAME}) \S.*\Z")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)\Z")
HISTOGRAM_PARTS = re.compile(r"_(bucket|sum|count)\Z")


class Metrics(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def test_every_line_follows_the_text_format(self):
        fleet = self.fleet(self.home, [kit.Agent(f"web-{n}") for n in range(3)])
        fleet.run_to_end(self.deploy(self.client, kit.deploy_body("2.0.0"))["id"])
        self.client.get("/nowhere")

        answer = self.expect(self.client.get("/metrics"), 200)

        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        self.assertTrue(answer.body.endswith(b"\n"))
        kinds, helped, seen, family_now, closed = {}, set(), set(), None, set()
        for line in answer.body.decode().splitlines():
            if found := HELP.match(line):
                helped.add(found.group(1))
                continue
            if found := TYPE.match(line):
                self.assertNotIn(found.group(1), kinds, "a family is told twice")
                kinds[found.group(1)] = found.group(2)
                continue
            found = SAMPLE.match(line)
            self.assertTrue(found, line)
            name, labels, _ = found.groups()
            family = name if name in kinds else HISTOGRAM_PARTS.sub("", name)
            self.assertIn(family, kinds, line)
            self.assertIn(family, helped)
            self.assertNotIn((name, labels), seen, "a sample is told twice")
            seen.add((name, labels))
            if family != family_now:
                self.assertNotIn(family, closed, "the lines of a family are apart")
                closed.add(family_now)
                family_now = family
            if kinds[family] == "counter":
                self.assertTrue(name.endswith("_total"), name)

    def test_histograms_add_up(self):
        self.fleet(self.home, [kit.Agent("web-1")])
        values = self.home.metrics()

        series = {}
        for name, value in values.items():
            if found := re.match(r"(\w+)_bucket\{(.*)le=\"([^\"]+)\"\}", name):
                series.setdefault(found.group(1, 2), []).append((found.group(3), value))
        self.assertGreater(len(series), 1)
        for (family, labels), buckets in series.items():
            counts = [count for _, count in buckets]
            self.assertEqual(sorted(counts), counts, family)
            self.assertEqual("+Inf", buckets[-1][0])
            inner = "{" + labels.rstrip(",") + "}" if labels else ""
            self.assertEqual(values[f"{family}_count{inner}"], counts[-1])
            self.assertIn(f"{family}_sum{inner}", values)

    def test_counters_move_with_what_happens(self):
        fleet = self.fleet(self.home, [kit.Agent(f"web-{n}") for n in range(4)])
        before = self.home.metrics()
        number = self.deploy(self.client, kit.deploy_body("2.0.0", batch_size=2))["id"]
        during = self.home.metrics()
        fleet.run_to_end(number)
        for agent in fleet.agents.values():
            agent.status = "HEALTHY"
            fleet.client.patch(kit.instance_path(agent.name), agent.body())
        self.client.get("/nowhere")
        after = self.home.metrics()

        grown = lambda name: after.get(name, 0) - before.get(name, 0)
        self.assertEqual((4, 4), (before["dides_instances_online"], before['dides_instances{status="HEALTHY"}']))
        self.assertEqual((2, 1), (during["dides_instances_in_progress"], during['dides_rollouts{state="RUNNING"}']))
        self.assertEqual((0, 1), (after["dides_instances_in_progress"], after['dides_rollouts{state="COMPLETED"}']))
        self.assertEqual(4, grown('dides_heartbeats_total{result="changed"}'))
        self.assertGreaterEqual(grown('dides_heartbeats_total{result="unchanged"}'), 4)
        self.assertEqual(1, grown('dides_http_requests_total{route="POST /deploy",code="201"}'))
        self.assertEqual(1, grown('dides_http_requests_total{route="- none",code="404"}'))
        self.assertGreater(grown("dides_store_ops_total"), 0)
        self.assertGreater(grown("dides_events_index"), 8)
        self.assertEqual((0, 0), (after["dides_store_commit_failures_total"],
                                  after["dides_invariant_violations_total"]))

    def test_heartbeats_that_change_nothing_cost_no_write(self):
        self.fleet(self.home, [kit.Agent(f"web-{n}") for n in range(10)])
        # What was changed before is folded and the files are at rest.
        kit.eventually("the store is at rest", lambda: self.home.metrics()["dides_store_pending_batches"] == 0)
        before, files = self.home.metrics(), self.files()

        for _ in range(20):
            for n in range(10):
                answer = self.client.patch(f"/inventory/instances/web-{n}", {
                    "code_version": "1.0.0", "configuration_version": "c1", "status": 1})
                self.assertEqual(200, answer.status)

        after = self.home.metrics()
        beats = 'dides_heartbeats_total{result="unchanged"}'
        self.assertEqual(200, after[beats] - before[beats])
        for name in ("dides_store_ops_total", "dides_store_commit_seconds_count", "dides_events_index",
                     "dides_store_file_bytes"):
            self.assertEqual(before[name], after[name], name)
        self.assertEqual(files, self.files())

    def files(self):
        """Size and time of the last write; -shm is memory, not data."""
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns)
                for path in pathlib.Path(self.home.data).iterdir() if not path.name.endswith("-shm")}


class Pages(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def test_health_and_readiness(self):
        self.assertEqual({"status": "ok"}, self.expect(self.client.get("/healthz"), 200).json())
        self.assertEqual({"status": "ready"}, self.expect(self.client.get("/readyz"), 200).json())

    def test_head_is_get_without_a_body(self):
        self.fleet(self.home, [kit.Agent("web-1")])
        self.deploy(self.client, kit.deploy_body("2.0.0"))
        for path in ("/", "/healthz", "/readyz", "/deploy", "/deploy/status", "/deploy/r-1",
                     "/inventory/instances", "/inventory/instances/web-1"):
            with self.subTest(path=path):
                get, head = self.client.get(path), self.client.send("HEAD", path)
                self.assertEqual((200, b""), (head.status, head.body))
                self.assertEqual((get.headers["Content-Type"], get.headers["Content-Length"]),
                                 (head.headers["Content-Type"], head.headers["Content-Length"]))
        self.assertEqual(404, self.client.send("HEAD", "/deploy/r-9").status)

    def test_the_root_names_every_route(self):
        said = self.expect(self.client.get("/"), 200).body.decode()

        for path in ("/inventory/register", "/deploy/{id}/pause", "/events", "/metrics", "/readyz"):
            self.assertIn(path, said)

    def test_a_connection_serves_many_requests(self):
        for _ in range(300):
            self.client.get("/healthz")

        self.assertEqual(1, self.client.get("/metrics").body.decode().count("\ndides_http_connections 1\n"))


class Views(kit.Case):
    def rows(self, server, query):
        database = kit.open_database(server.data)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def test_the_database_shows_the_truth_to_who_reads_it(self):
        server = self.server()
        fleet = self.fleet(server, [kit.Agent(f"web-{n}", {"env": "prod"}) for n in range(3)])
        number = self.deploy(fleet.client, kit.deploy_body("2.0.0", {"env": "prod"}, "c2"))["id"]
        fleet.run_to_end(number)
        expected = [(f"web-{n}", "HEALTHY", "2.0.0", "c2") for n in range(3)]

        kit.eventually("the views show the instances", lambda: expected == self.rows(
            server, "SELECT name, status, code_version, configuration_version FROM instances ORDER BY name"))
        kit.eventually("the views show the rollout", lambda: [(number, "COMPLETED", "full", "2.0.0", "env=prod")] ==
                       self.rows(server, "SELECT id, status, outcome, code_version, selector FROM rollouts"))
        kit.eventually("the views show the events", lambda: [(e.index, e.kind, e.data["instance"])
                       for e in server.events()] == self.rows(
                           server, "SELECT event_index, type, instance FROM events ORDER BY event_index"))
        times = self.rows(server, "SELECT created_at, started_at, ended_at FROM rollouts")[0]
        record = fleet.rollout(number)
        self.assertEqual(tuple(record[k] for k in ("created_at", "started_at", "ended_at")), times)

    def test_only_its_owner_may_read_the_data(self):
        server = self.server()

        modes = {path.name: path.stat().st_mode & 0o777 for path in pathlib.Path(server.data).iterdir()}

        self.assertEqual(0o700, pathlib.Path(server.data).stat().st_mode & 0o777)
        self.assertEqual({0o600}, set(modes.values()), modes)


class Settings(kit.Case):
    def run_server(self, *arguments, variables=None):
        return subprocess.run([kit.program(), "server", *arguments], capture_output=True, text=True, cwd=self.folder,
                              timeout=kit.HANG_S, env=kit.environment(**(variables or {})))

    def printed(self, *arguments, variables=None):
        done = self.run_server(*arguments, "--print-config", variables=variables)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def value(self, text, key):
        found = re.search(rf"^#? ?{key}: *(.*)$", text, re.M)
        self.assertTrue(found, f"{key} in {text}")
        return found.group(1)

    def test_later_layers_win(self):
        path = pathlib.Path(self.folder, "dides.yaml")
        path.write_text("max_concurrent: 2\nreconcile_interval: 2s\ntarget_rate: 2\nheartbeat_timeout: 2m\n")
        layers = {"variables": {"DIDES_RECONCILE_INTERVAL": "3s", "DIDES_TARGET_RATE": "3",
                                "DIDES_LISTEN": "127.0.0.1:3"}}

        text = self.printed("--config", str(path), "--set", "target_rate=4", "--set", "data=four",
                            "--data", "five", **layers)

        self.assertIn("2", self.value(text, "max_concurrent"))
        self.assertIn("2m", self.value(text, "heartbeat_timeout"))
        self.assertIn("3s", self.value(text, "reconcile_interval"))
        self.assertIn("127.0.0.1:3", self.value(text, "listen"))
        self.assertTrue(self.value(text, "target_rate").startswith("4"))
        self.assertIn("five", self.value(text, "data"))
        for source in ("dides.yaml", "DIDES_TARGET_RATE", "DIDES_RECONCILE_INTERVAL", "--set", "--data"):
            if source != "DIDES_TARGET_RATE":  # overruled
                self.assertIn(source, text)

    def test_what_is_printed_can_be_read_again(self):
        path = pathlib.Path(self.folder, "printed.yaml")
        path.write_text(self.printed("--set", "events_kept=5000", "--set", "agent_labels=ignore"))

        again = self.printed("--config", str(path))

        self.assertTrue(self.value(again, "events_kept").startswith("5000"))
        self.assertIn("ignore", self.value(again, "agent_labels"))

    def test_json_files_are_read_too(self):
        path = pathlib.Path(self.folder, "dides.json")
        path.write_text(json.dumps({"max_concurrent": 7}))

        self.assertTrue(self.value(self.printed("--config", str(path)), "max_concurrent").startswith("7"))

    def test_wrong_settings_end_with_64_and_say_where_and_what(self):
        wrong = pathlib.Path(self.folder, "wrong.yaml")
        wrong.write_text("max_concurrent: 0\n")
        broken = pathlib.Path(self.folder, "broken.yaml")
        broken.write_text("max_concurrent: [1\n")
        for arguments, variables, said in (
                (["--set", "max_concurrent=0"], {}, "max_concurrent"),
                (["--set", "max_concurrent=1000000"], {}, "max_concurrent"),
                (["--set", "max_concurent=1"], {}, "max_concurrent"),
                (["--set", "max_concurrent"], {}, "KEY=VALUE"),
                (["--set", "events_kept=999"], {}, "1000"),
                (["--set", "heartbeat_timeout=90"], {}, "duration"),
                (["--set", "reconcile=sometimes"], {}, "manual"),
                (["--set", "store=etcd"], {}, "sqlite"),
                (["--listen", "somewhere"], {}, "listen"),
                (["--listen", "127.0.0.1:99999"], {}, "listen"),
                (["--config", str(wrong)], {}, "max_concurrent"),
                (["--config", str(broken)], {}, "broken.yaml"),
                (["--config", "missing.yaml"], {}, "missing.yaml"),
                ([], {"DIDES_MAX_CONCURRENT": "many"}, "DIDES_MAX_CONCURRENT"),
                ([], {"DIDES_MAX_CONCURENT": "1"}, "DIDES_MAX_CONCURRENT"),
                (["--nonsense"], {}, "nonsense"),
                (["operand"], {}, "operand")):
            with self.subTest(arguments=arguments, variables=variables):
                done = self.run_server(*arguments, variables=variables)
                self.assertEqual(64, done.returncode, done)
                self.assertIn(said, done.stderr)
                self.assertEqual("", done.stdout)
        self.assertEqual(["broken.yaml", "wrong.yaml"], sorted(os.listdir(self.folder)))

    def test_an_open_server_does_not_listen_beyond_loopback(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:7420"):
            with self.subTest(address=address):
                done = self.run_server("--listen", address)
                self.assertEqual(64, done.returncode, done)
                self.assertIn("--insecure", done.stderr)
        self.assertFalse(pathlib.Path(self.folder, "dides-data").exists())

    def test_insecure_lets_it_listen_everywhere(self):
        server = self.server(arguments=["--listen", "0.0.0.0:0", "--insecure"])

        self.assertEqual(200, server.ask("GET", "/readyz").status)

    def test_settings_of_the_environment_are_in_force(self):
        server = self.server(variables={"DIDES_MAX_INSTANCES": "2", "DIDES_AGENT_LABELS": "ignore"})
        client = server.client()
        self.addCleanup(client.close)
        kit.register(client, "a", {"env": "prod"})
        kit.register(client, "b")

        third = kit.register(client, "c")
        reply = client.patch("/inventory/instances/a", {"labels": {"env": "dev"}}).json()

        self.expect(third, 503, "limit_reached")
        self.assertEqual({"env": "prod"}, client.get("/inventory/instances/a").json()["labels"])
        self.assertIn("labels", " ".join(reply["warnings"]))

    def test_silence_makes_an_instance_offline_and_a_heartbeat_online(self):
        server = self.server(sets=["heartbeat_timeout=300ms", "heartbeat_min=100ms", "heartbeat_max=100ms",
                                   "active_interval=100ms"])
        client = server.client()
        self.addCleanup(client.close)
        kit.register(client, "web-1")

        kit.eventually("it is offline", lambda: not client.get("/inventory/instances/web-1").json()["online"])
        self.assertEqual(1, client.get("/inventory/instances?online=false").json()["count"])
        client.patch("/inventory/instances/web-1", {"status": 0})

        kinds = [event.kind for event in server.events()]
        self.assertEqual(["instance.registered", "instance.offline", "instance.online"],
                         [kind for kind in kinds if kind.startswith("instance.")][:3])
        self.assertEqual(["fleet.silent", "fleet.heard"],  # one of one is most of the fleet
                         [kind for kind in kinds if kind.startswith("fleet.")])

    def test_without_its_folder_or_right_it_does_not_start(self):
        file = pathlib.Path(self.folder, "file")
        file.write_text("")
        for data in (file, pathlib.Path(self.folder, "a/b/c")):
            with self.subTest(data=data):
                done = self.run_server("--listen", "127.0.0.1:0", "--data", str(data))
                self.assertEqual(1, done.returncode, done)
                self.assertIn(str(data)[-5:], done.stderr)


if __name__ == "__main__":
    kit.main()

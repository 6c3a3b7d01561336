#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_cli.py - the commands of operators against a real server: what they print, where, and with
# which exit code they end.
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import threading

import kit

(DONE, OTHER, FAILED, ROLLED_BACK, TIMEOUT, PAUSED, CONFLICT, NOT_FOUND, USAGE, UNAVAILABLE) = (
    0, 1, 3, 4, 5, 6, 7, 8, 64, 75)


class Driven:
    """A fleet that reports by itself, from a thread, while commands run."""

    def __init__(self, server, agents):
        self.fleet = kit.Fleet(server, agents).join()
        self.is_over = threading.Event()
        self.fault = None
        self.thread = threading.Thread(target=self.drive, daemon=True)

    def drive(self):
        while not self.is_over.wait(0.02):
            try:
                self.fleet.turn()
            except kit.Unanswered:
                pass
            except AssertionError as why:
                self.fault = why
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(kit.HANG_S)
        self.fleet.client.close()
        if self.fault:
            raise self.fault


class Commands(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def run_dides(self, *arguments, code=None, server=None, variables=None, stdin=""):
        where = server or f"http://127.0.0.1:{self.home.port}"
        done = subprocess.run([kit.program(), *arguments], input=stdin, capture_output=True, text=True,
                              timeout=kit.HANG_S, cwd=self.folder,
                              env=kit.environment(DIDES_SERVER=where, TERM="xterm-256color", **(variables or {})))
        if code is not None:
            self.assertEqual(code, done.returncode, done)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertFalse(kit.is_sanitizer_report(done.stderr), done)
        return done

    def agents(self, count=6, **options):
        return [kit.Agent(f"web-{n}", {"env": "prod"}, **options) for n in range(count)]


class Following(Commands):
    def test_a_deploy_that_completes_ends_with_0(self):
        with Driven(self.home, self.agents()):
            done = self.run_dides("deploy", "--code", "2.0.0", "-l", "env=prod", "--batch", "2", "--wait", code=DONE)

        self.assertRegex(done.stdout, r"(?m)^\d{4}-\d\d-\d\dT[\d:.]+Z +r-1 .*COMPLETED")
        self.assertEqual("COMPLETED", self.client.get("/deploy/r-1").json()["status_name"])

    def test_a_deploy_that_is_rolled_back_ends_with_4(self):
        with Driven(self.home, self.agents(will_fail=lambda code: code == "bad")):
            done = self.run_dides("deploy", "--code", "bad", "--all", "--batch", "50%", "--wait", code=ROLLED_BACK)
            waited = self.run_dides("wait", "r-1", code=ROLLED_BACK)

        self.assertIn("r-2", done.stdout + done.stderr)
        self.assertIn("r-2", waited.stdout + waited.stderr)

    def test_a_deploy_that_fails_without_a_way_back_ends_with_3(self):
        with Driven(self.home, self.agents(will_fail=lambda code: True)):
            self.run_dides("deploy", "--code", "bad", "--all", "--on-failure", "abort", "--wait", code=FAILED)
            self.run_dides("rollout", "r-1", "--watch", code=FAILED)

    def test_a_pause_ends_the_waiting_with_6_and_a_timeout_with_5(self):
        kit.Fleet(self.home, self.agents()).join()
        self.run_dides("deploy", "--code", "2", "--all", code=DONE)

        self.run_dides("wait", "r-1", "--timeout", "100ms", code=TIMEOUT)
        self.run_dides("pause", code=DONE)
        self.run_dides("wait", "r-1", code=PAUSED)

    def test_waiting_survives_a_new_start_of_the_server(self):
        port = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{port.getsockname()[1]}"
        port.close()
        server = self.server("fixed", arguments=["--listen", address])
        fleet = kit.Fleet(server, self.agents()).join()
        self.addCleanup(fleet.client.close)
        number = self.deploy(fleet.client, kit.deploy_body("2", batch_size=6))["id"]
        waiting = kit.spawn([kit.program(), "wait", number], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=kit.environment(DIDES_SERVER=f"http://{address}"))
        self.addCleanup(kit.kill_group, waiting)
        kit.eventually("it follows", lambda: server.metrics()["dides_event_clients"] == 1)

        server.kill()
        server.start()
        fleet.client.close()
        fleet.run_to_end(number)

        said = waiting.communicate(timeout=kit.HANG_S)
        self.assertEqual(DONE, waiting.returncode, said)

    def test_events_are_followed_until_the_reader_leaves(self):
        follower = kit.spawn([kit.program(), "events", "--follow", "-o", "json"], stdout=subprocess.PIPE, text=True,
                             env=kit.environment(DIDES_SERVER=f"http://127.0.0.1:{self.home.port}"))
        self.addCleanup(kit.kill_group, follower)
        kit.eventually("it follows", lambda: self.home.metrics()["dides_event_clients"] == 1)

        for number in range(3):
            kit.register(self.client, f"web-{number}")
        lines = [json.loads(follower.stdout.readline()) for _ in range(3)]

        self.assertEqual([(1, "web-0"), (2, "web-1"), (3, "web-2")], [(l["index"], l["instance"]) for l in lines])
        follower.stdout.close()


class Answering(Commands):
    def setUp(self):
        super().setUp()
        self.fleet_of_six = self.fleet(self.home, self.agents())

    def test_refusals_end_with_the_code_of_their_kind(self):
        self.run_dides("deploy", "--code", "2", "--all", code=DONE)
        for code, arguments in (
                (CONFLICT, ["deploy", "--code", "3", "--all"]),
                (CONFLICT, ["retry", "r-1"]),
                (CONFLICT, ["promote"]),
                (CONFLICT, ["pause", "--if-generation", "99"]),
                (NOT_FOUND, ["rollout", "r-99"]),
                (NOT_FOUND, ["pause", "r-99"]),
                (NOT_FOUND, ["wait", "r-99"]),
                (NOT_FOUND, ["instances", "nobody"]),
                (NOT_FOUND, ["instances", "rm", "nobody"]),
                (USAGE, []),
                (USAGE, ["nonsense"]),
                (USAGE, ["deploy", "--code", "3"]),
                (USAGE, ["deploy", "--all"]),
                (USAGE, ["deploy", "--code", "3", "-l", "=", "--dry"]),
                (USAGE, ["deploy", "--code", "3", "-l", "env in ("]),
                (USAGE, ["deploy", "--code", "3", "--all", "--batch", "0"]),
                (OTHER, ["deploy", "-f", "missing.yaml"]),
                (USAGE, ["rollout", "--output", "xml"]),
                (USAGE, ["wait"]),
                (USAGE, ["wait", "r-1", "--timeout", "soon"]),
                (USAGE, ["pause", "r-1", "r-2"]),
                (NOT_FOUND, ["machine", "show", "clockwork"]),
                (USAGE, ["help", "nonsense"])):
            with self.subTest(arguments=arguments):
                done = self.run_dides(*arguments, code=code)
                self.assertEqual("", done.stdout)
                self.assertTrue(done.stderr.strip(), "it does not say why")
        self.assertEqual("RUNNING", self.client.get("/deploy/r-1").json()["status_name"])
        self.run_dides("abort", code=DONE)
        self.run_dides("deploy", "--code", "3", "-l", "env=nowhere", code=NOT_FOUND)
        self.run_dides("pause", code=NOT_FOUND)
        self.run_dides("pause", "r-1", code=CONFLICT)

    def test_a_server_that_is_not_there_is_75(self):
        for arguments in (["instances"], ["rollouts"], ["deploy", "--code", "1", "--all"], ["pause", "r-1"],
                          ["events"], ["progress"]):
            with self.subTest(arguments=arguments):
                done = self.run_dides(*arguments, code=UNAVAILABLE, server="http://127.0.0.1:1")
                self.assertIn("127.0.0.1:1", done.stderr)

    def test_verbs_change_the_live_rollout(self):
        self.run_dides("deploy", "--code", "2.0.0", "--config", "c2", "-l", "env=prod", "--batch", "2", "--threshold",
                       "50%", "--reason", "hotfix", code=DONE)
        record = self.client.get("/deploy/r-1").json()
        self.assertEqual((2, "50%"), tuple(record["request"]["configuration"][k]
                                           for k in ("batch_size", "failure_threshold")))
        self.assertEqual("hotfix", record["reason"])
        for verb, state in (("pause", "PAUSED"), ("resume", "RUNNING"), ("progress", "RUNNING"), ("abort", "FAILED")):
            with self.subTest(verb=verb):
                done = self.run_dides(verb, code=DONE)
                self.assertIn(f"r-1 {state}", done.stdout)
                self.assertEqual(state, self.client.get("/deploy/r-1").json()["status_name"])
        self.assertIn("r-2 RUNNING", self.run_dides("retry", "r-1", code=DONE).stdout)
        self.fleet_of_six.run_to_end("r-2")
        self.assertIn("r-3 RUNNING", self.run_dides("rollback", "-y", "--reason", "worse", code=DONE).stdout)

    def test_a_file_is_deployed_and_flags_win(self):
        path = pathlib.Path(self.folder, "release.yaml")
        path.write_text("code_version: '2.0.0'\nlables: {env: prod}\ncondiguration:\n  batch_size: 4\n")

        self.run_dides("deploy", "-f", str(path), "--batch", "3", code=DONE)
        self.run_dides("abort", code=DONE)
        self.run_dides("deploy", "-f", "-", code=DONE, stdin=json.dumps({"code_version": "4", "labels": {"env": "prod"}}))

        first, second = (self.client.get(f"/deploy/r-{n}").json()["request"] for n in (1, 2))
        self.assertEqual(("2.0.0", "env=prod", 3),
                         (first["code_version"], first["selector"], first["configuration"]["batch_size"]))
        self.assertEqual("4", second["code_version"])

    def test_instances_are_listed_shown_and_removed(self):
        self.client.patch("/inventory/instances/web-3", {"status": 3})

        listed = self.run_dides("instances", code=DONE).stdout.splitlines()
        failed = self.run_dides("instances", "-l", "env=prod", "--status", "failed", "-o", "name", code=DONE).stdout
        limited = self.run_dides("instances", "--limit", "2", "-o", "name", code=DONE).stdout.split()
        self.run_dides("instances", "rm", "web-5", code=DONE)

        self.assertTrue(listed[0].startswith("NAME"))
        self.assertEqual(7, len(listed))
        self.assertEqual(("web-3\n", ["web-0", "web-1"]), (failed, limited))
        self.expect(self.client.get("/inventory/instances/web-5"), 404)

    def test_every_format_says_the_same(self):
        self.run_dides("deploy", "--code", "2", "--all", code=DONE)
        for arguments, names, one in ((["instances"], [f"web-{n}" for n in range(6)], False),
                                      (["rollouts"], ["r-1"], False), (["rollout", "r-1"], ["r-1"], True),
                                      (["instances", "web-2"], ["web-2"], True)):
            with self.subTest(arguments=arguments):
                out = {form: self.run_dides(*arguments, "-o", form, code=DONE).stdout
                       for form in ("table", "wide", "json", "jsonl", "yaml", "name")}
                key = "id" if "rollout" in arguments[0] else "name"
                whole = json.loads(out["json"])
                self.assertEqual(names, [item[key] for item in ([whole] if one else whole)])
                self.assertEqual([whole] if one else whole, [json.loads(line) for line in out["jsonl"].splitlines()])
                self.assertEqual(names, out["name"].split())
                self.assertEqual(names, re.findall(rf"^(?:- )?{key}: (\S+)$", out["yaml"], re.M))
                for form in ("table", "wide"):
                    self.assertIn(names[-1], out[form])
        lines = [json.loads(line) for line in self.run_dides("events", "-o", "jsonl", code=DONE).stdout.splitlines()]
        self.assertEqual(self.home.events(), [kit.Event(l["index"], l["type"], t) for l, t in zip(
            lines, self.run_dides("events", "-o", "json", code=DONE).stdout.splitlines())])

    def test_events_are_filtered_and_resumed(self):
        self.run_dides("deploy", "--code", "2", "--all", "--batch", "3", code=DONE)
        index = self.home.newest_index()

        picked = self.run_dides("events", "--types", "member.picked", "--deployment", "r-1", "-o", "jsonl", code=DONE)
        late = self.run_dides("events", "--after", str(index - 2), "-o", "name", code=DONE)
        chosen = self.run_dides("events", "--types", "member.picked", "-l", "nothing=here", "-o", "name", code=DONE)
        self.run_dides("events", "--types", "member.lost", code=USAGE)
        self.run_dides("events", "-l", "a in (", code=USAGE)

        self.assertEqual("", chosen.stdout)

        self.assertEqual(["web-0", "web-1", "web-2"], [json.loads(l)["instance"] for l in picked.stdout.splitlines()])
        self.assertEqual([str(index - 1), str(index)], late.stdout.split())

    def test_events_are_sentences_and_wide_ones_have_everything(self):
        self.run_dides("deploy", "--code", "2", "--all", "--batch", "3", "--reason", "hotfix", code=DONE)
        self.run_dides("pause", code=DONE)

        table = self.run_dides("events", "--deployment", "r-1", code=DONE).stdout.splitlines()
        wide = self.run_dides("events", "--deployment", "r-1", "-o", "wide", code=DONE).stdout.splitlines()

        self.assertEqual(['r-1 was created for the whole fleet -> 2, by operator: "hotfix"', "r-1 UNKNOWN -> RUNNING",
                          "r-1 picked web-0 for 2, attempt 1", "r-1 picked web-1 for 2, attempt 1",
                          "r-1 picked web-2 for 2, attempt 1", "r-1 RUNNING -> PAUSED, by operator"],
                         [line.split(None, 3)[3] for line in table])
        self.assertEqual([line.split()[:3] for line in table], [line.split()[:3] for line in wide])
        self.assertIn('  reason=hotfix  old={}  new={"status":0,', wide[0])

    def test_the_reference_of_the_api_is_that_of_the_server(self):
        printed = self.run_dides("openapi", code=DONE).stdout

        self.assertEqual(self.client.get("/openapi.json").body.decode() + "\n", printed)

    def test_what_others_wrote_cannot_steer_the_terminal(self):
        # A name may not hold control characters, but a message may, and both may hold odd letters.
        kit.register(self.client, "evil-\u202e\u2066name", {"k": "\x1b]0;title\x07"})
        self.client.patch(kit.instance_path("evil-\u202e\u2066name"),
                          {"status": 3, "code_version": "v\x1b[31m", "message": "\x1b[2J\r\nroot# \x9b1m\x7f"})
        self.run_dides("deploy", "--code", "2", "--all", "--reason", "a\x1b[2Jb\nc", code=DONE)

        for arguments in (["instances"], ["instances", "-o", "wide"], ["instances", "evil-\u202e\u2066name"],
                          ["instances", "-o", "json"], ["instances", "-o", "yaml"], ["instances", "-o", "jsonl"],
                          ["rollouts", "-o", "wide"], ["rollout"], ["rollout", "-o", "wide"], ["events"],
                          ["events", "-o", "wide"], ["events", "-o", "json"], ["events", "-o", "yaml"],
                          ["abort", "--reason", "x\x1b[2Jy"]):
            with self.subTest(arguments=arguments):
                said = self.run_dides(*arguments, code=DONE).stdout
                bad = [c for c in said if (ord(c) < 32 and c != "\n") or 0x7f <= ord(c) < 0xa0]
                self.assertEqual([], bad, said)
        listed = self.run_dides("instances", code=DONE).stdout.splitlines()
        self.assertEqual(8, len(listed), "a line end in a value made a line")

    def test_colour_is_for_terminals_only(self):
        self.client.patch("/inventory/instances/web-0", {"status": 3})
        for variables, has_colour in (({}, True), ({"NO_COLOR": "1"}, False)):
            with self.subTest(variables=variables):
                self.assertEqual(has_colour, "\x1b[" in self.on_terminal(["instances"], variables))

    def on_terminal(self, arguments, variables):
        master, slave = pty.openpty()
        child = kit.spawn([kit.program(), *arguments], stdin=slave, stdout=slave, stderr=slave,
                          env=kit.environment(DIDES_SERVER=f"http://127.0.0.1:{self.home.port}", TERM="xterm",
                                              **variables))
        os.close(slave)
        said = b""
        try:
            while piece := os.read(master, 4096):
                said += piece
        except OSError:
            pass  # how a terminal ends
        os.close(master)
        self.assertEqual(DONE, child.wait(kit.HANG_S), said)
        return said.decode()


class Offline(Commands):
    """Commands that need no server."""

    def test_machines_are_shown_and_sound(self):
        names = [line.split()[0] for line in self.run_dides("machine", "list", code=DONE).stdout.splitlines()]

        self.assertLessEqual({"instance", "member", "rollout"}, set(names))
        self.run_dides("machine", "check", code=DONE)
        for name in names:
            for form, mark in (("--table", name), ("--mermaid", "stateDiagram"), ("--dot", "digraph"), ("--json", "{")):
                with self.subTest(name=name, form=form):
                    said = self.run_dides("machine", "show", name, form, code=DONE).stdout
                    self.assertIn(mark, said)
                    if form == "--json":
                        json.loads(said)

    def test_every_command_has_help_and_a_manual_page(self):
        listed = self.run_dides("help", code=DONE).stdout
        names = re.findall(r"^  (\w+)  +\S", listed, re.M)

        self.assertGreater(len(names), 15)
        for name in names:
            with self.subTest(name=name):
                helped = self.run_dides("help", name, code=DONE).stdout
                self.assertIn(f"usage: dides {name}", helped)
                self.assertEqual(helped, self.run_dides(name, "--help", code=DONE).stdout)
                self.assertIn(".TH", self.run_dides("man", f"dides-{name}", code=DONE).stdout)
        self.assertIn(".SH", self.run_dides("man", "dides", code=DONE).stdout)

    def test_version(self):
        self.assertRegex(self.run_dides("version", code=DONE).stdout, r"^dides \d+\.\d+\.\d+\n$")

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([kit.program(), "help"], stdout=full, stderr=subprocess.PIPE, timeout=kit.HANG_S,
                                  env=kit.environment())

        self.assertEqual(OTHER, done.returncode, done)


if __name__ == "__main__":
    kit.main()

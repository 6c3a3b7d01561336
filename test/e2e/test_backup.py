#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_backup.py - backups of a server in use, and servers that go on from a backup.
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import kit

QUIET = ("reconcile=manual", "heartbeat_timeout=12h")


class Backups(kit.Case):
    def setUp(self):
        super().setUp()
        self.copy = pathlib.Path(self.folder, "backup.db")

    def run_dides(self, *words, home=None, code=0):
        variables = {"DIDES_SERVER": f"http://127.0.0.1:{home.port}"} if home else {}
        done = subprocess.run([kit.program(), *map(str, words)], capture_output=True, text=True,
                              env=kit.environment(**variables), timeout=kit.HANG_S)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done

    def back_up(self, home, *words, code=0):
        return self.run_dides("backup", *words, self.copy, home=home, code=code)

    def restore(self, name, *words, code=0):
        return self.run_dides("restore", "--data", pathlib.Path(self.folder, name), *words, self.copy, code=code)

    def facts(self, path):
        return json.loads(self.run_dides("verify", "-o", "json", path).stdout)

    def names(self, home):
        listed = self.expect(home.ask("GET", "/inventory/instances?limit=10000"), 200).json()
        return {instance["name"] for instance in listed["instances"]}


class OfARunningServer(Backups):
    def test_everything_acknowledged_before_is_in_it_and_nothing_by_half(self):
        home = self.server(sets=QUIET)
        client = home.client()
        self.addCleanup(client.close)
        agents = [kit.Agent(f"web-{number}", {"env": "prod"}) for number in range(5)]
        self.fleet(home, agents)
        self.deploy(client, kit.deploy_body("2.0.0", {"env": "prod"}, batch_size=2))
        asked, acknowledged, stop = 0, [], threading.Event()

        def write():
            mine = home.client()
            while not stop.is_set():
                self.expect(kit.register(mine, f"load-{len(acknowledged)}", {"pad": "x" * 200}), 201)
                acknowledged.append(time.monotonic())
            mine.close()

        writer = threading.Thread(target=write)
        writer.start()
        kit.eventually("there is load", lambda: len(acknowledged) > 50)
        asked = len(acknowledged)
        self.back_up(home)
        stop.set()
        writer.join()
        here = {path: home.ask("GET", path).body for path in ("/deploy", "/deploy/r-1", "/deploy/r-1?members=in_progress")}

        self.restore("copy")

        there = self.server("copy", sets=QUIET)
        loaded = sorted(int(name[5:]) for name in self.names(there) if name.startswith("load-"))
        self.assertEqual(list(range(len(loaded))), loaded)
        self.assertGreaterEqual(len(loaded), asked)
        self.assertLessEqual(len(loaded), len(acknowledged))
        for path, body in here.items():
            self.assertEqual(self.lasting(json.loads(body)), self.lasting(there.ask("GET", path).json()), path)

    def lasting(self, record):
        """Without what depends on the moment: a server that stood still moves its deadlines."""
        if isinstance(record, dict):
            return {key: self.lasting(value) for key, value in record.items()
                    if key not in ("revision", "waiting", "deadline_at", "last_seen", "updated_at")}
        return [self.lasting(value) for value in record] if isinstance(record, list) else record

    def test_a_backup_is_private_and_replaces_another_only_when_told_to(self):
        home = self.server(sets=QUIET)

        self.back_up(home)
        before = self.copy.read_bytes()
        self.expect(kit.register(home.client(), "web-1"), 201)
        refused = self.back_up(home, code=7)

        self.assertIn("exists", refused.stderr)
        self.assertEqual(before, self.copy.read_bytes())
        self.back_up(home, "--force")
        self.assertNotEqual(before, self.copy.read_bytes())
        self.assertEqual(0o600, self.copy.stat().st_mode & 0o777)
        self.assertEqual(["backup.db", "data"], sorted(os.listdir(self.folder)))

    def test_what_a_killed_backup_left_does_not_stand_in_the_way(self):
        home = self.server(sets=QUIET)
        partial = pathlib.Path(self.folder, "backup.db.partial")
        partial.write_bytes(b"half of something" * 1000)

        self.back_up(home)

        self.assertFalse(partial.exists())
        self.facts(self.copy)

    def test_without_a_server_there_is_no_file(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.run_dides("backup", "--server", f"http://127.0.0.1:{unused.getsockname()[1]}", self.copy, code=75)

        self.assertEqual([], os.listdir(self.folder))

    def test_a_store_in_memory_says_that_it_has_none(self):
        home = self.server(arguments=["--store", "memory"])

        refused = self.back_up(home, code=64)

        self.assertIn("memory", refused.stderr)
        self.assertFalse(self.copy.exists())

    def test_an_answer_that_is_cut_leaves_no_file(self):
        """A server that sends half a database and closes."""
        home = self.server(sets=QUIET)
        self.back_up(home)
        whole = self.copy.read_bytes()
        self.copy.unlink()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def answer(head, body):
            peer, _ = listener.accept()
            peer.recv(65536)
            peer.sendall(head + body)
            peer.close()

        half = whole[:len(whole) // 2 // 4096 * 4096]
        for name, head, body, code in (
                ("cut", b"Content-Length: %d" % len(whole), half, 75),
                ("short but in good order", b"Content-Length: %d" % len(half), half, 1),
                ("something else", b"Content-Length: 5", b"hello", 1)):
            with self.subTest(name=name):
                fake = threading.Thread(target=answer, args=(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", body))
                fake.start()
                self.run_dides("backup", "--server", f"http://127.0.0.1:{listener.getsockname()[1]}", self.copy,
                               code=code)
                fake.join()
                self.assertEqual(["data"], os.listdir(self.folder))

    # ---- clients that are no help ----

    def ask_raw(self, home, receive_bytes=None):
        peer = socket.socket()
        if receive_bytes:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        peer.connect(("127.0.0.1", home.port))
        peer.sendall(b"POST /backup HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.addCleanup(peer.close)
        return peer

    def fill(self, home, count):
        client = home.client()
        for number in range(count):
            labels = {f"label-{i}": f"{number}-{i}-" + "x" * 200 for i in range(40)}
            self.expect(kit.register(client, f"big-{number}", labels), 201)
        client.close()

    def test_a_client_that_does_not_read_holds_nothing_but_its_copy(self):
        home = self.server(sets=QUIET)
        self.fill(home, 1200)  # more than the kernel keeps for one connection
        slow = []
        for _ in range(2):
            slow.append(self.ask_raw(home, receive_bytes=4096))
            self.assertIn(b" 200 OK", slow[-1].recv(100))

        refused = self.expect(home.ask("POST", "/backup"), 503, "unavailable")
        self.assertIn("Retry-After", refused.headers)
        self.expect(kit.register(home.client(), "meanwhile"), 201)
        self.assertNotIn("backup.tmp", os.listdir(home.data))
        slow.pop().close()

        kit.eventually("there is room for another",
                       lambda: subprocess.run([kit.program(), "backup", "--force", self.copy, "--server",
                                               f"http://127.0.0.1:{home.port}"], capture_output=True,
                                              env=kit.environment()).returncode == 0)
        self.assertIn("keys", self.facts(self.copy))

    def test_clients_that_vanish_leave_nothing_behind(self):
        home = self.server(sets=QUIET)
        self.fill(home, 300)
        for _ in range(20):
            self.ask_raw(home).close()

        kit.eventually("the next one is served", lambda: home.ask("POST", "/backup").status == 200)

        self.assertNotIn("backup.tmp", os.listdir(home.data))
        kit.eventually("no copy is open any more", lambda: not [
            name for name in os.listdir(f"/proc/{home.child.pid}/fd")
            if "backup" in self.link_of(f"/proc/{home.child.pid}/fd/{name}")])

    def link_of(self, path):
        try:
            return os.readlink(path)
        except OSError:
            return ""

    def test_a_server_that_is_killed_while_copying_cleans_up_when_it_starts(self):
        home = self.server(sets=QUIET)
        self.fill(home, 1200)
        for _ in range(5):
            self.ask_raw(home)
            kit.eventually("a copy is begun or done", lambda: home.metrics()["dides_store_writable"] == 1)
            home.kill()
            home.start()
            self.assertNotIn("backup.tmp", os.listdir(home.data))
        self.assertEqual(1200, len(self.names(home)))

    def test_a_stop_does_not_wait_for_a_copy(self):
        home = self.server(sets=QUIET)
        self.fill(home, 1200)
        peer = self.ask_raw(home, receive_bytes=4096)
        self.assertIn(b" 200 OK", peer.recv(100))

        self.assertEqual(0, home.terminate())

        self.assertNotIn("backup.tmp", os.listdir(home.data))


class OfAStoppedServer(Backups):
    def test_the_folder_of_a_stopped_server_can_be_copied(self):
        home = self.server(sets=QUIET)
        self.expect(kit.register(home.client(), "web-1"), 201)
        home.kill()  # what it wrote last waits in the log and the journal
        files = {name: pathlib.Path(home.data, name).read_bytes() for name in ("dides.db", "dides.db-wal")}

        self.run_dides("backup", "--data", home.data, self.copy)

        for name, content in files.items():
            self.assertEqual(content, pathlib.Path(home.data, name).read_bytes())
        self.restore("copy")
        self.assertEqual({"web-1"}, self.names(self.server("copy", sets=QUIET)))

    def test_the_folder_of_a_running_server_is_left_alone(self):
        home = self.server(sets=QUIET)

        self.run_dides("backup", "--data", home.data, self.copy, code=7)
        self.run_dides("backup", "--data", pathlib.Path(self.folder, "nowhere"), self.copy, code=8)

        self.assertEqual(["data"], os.listdir(self.folder))


class Restores(Backups):
    def home_with_backup(self):
        home = self.server(sets=QUIET)
        self.expect(kit.register(home.client(), "old"), 201)
        self.back_up(home)
        self.expect(kit.register(home.client(), "new"), 201)
        return home

    def test_a_damaged_backup_is_refused_and_changes_nothing(self):
        home = self.home_with_backup()
        home.release()
        content = bytearray(self.copy.read_bytes())
        at = content.rindex(b'"name":"old"')
        content[at + 8] ^= 1
        self.copy.write_bytes(content)

        for name in ("data", "fresh"):
            refused = self.restore(name, "--force", code=1)
            self.assertIn("damaged", refused.stderr)
            self.assertIn("backup.db", refused.stderr)
        verified = self.run_dides("verify", self.copy, code=1)

        self.assertIn("damaged", verified.stderr)
        self.assertEqual(["backup.db", "data"], sorted(os.listdir(self.folder)))
        home.start()
        self.assertEqual({"old", "new"}, self.names(home))

    def test_what_is_there_is_kept_and_can_be_gone_back_to(self):
        home = self.home_with_backup()
        self.assertIn("in use", self.restore("data", "--force", code=7).stderr)
        home.release()

        self.assertIn("--force", self.restore("data", code=7).stderr)
        told = self.restore("data", "--force")

        self.assertIn("dides.db.old-1", told.stderr)
        home.start()
        self.assertEqual({"old"}, self.names(home))
        home.release()
        self.copy = pathlib.Path(home.data, "dides.db.old-1")
        self.restore("data", "--force")
        home.start()
        self.assertEqual({"old", "new"}, self.names(home))
        self.assertEqual(3, home.metrics()["dides_term"])

    def test_a_killed_restore_leaves_the_old_or_the_new(self):
        home = self.home_with_backup()
        home.release()
        found, finished, delay_s = [], 0, 0.0
        while finished < 3:
            child = kit.spawn([kit.program(), "restore", "--data", home.data, "--force", self.copy],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=kit.environment())
            time.sleep(delay_s)
            child.kill()
            finished = finished + 1 if child.wait() == 0 else 0
            delay_s += 0.002
            home.start()
            found.append(frozenset(self.names(home)))
            if found[-1] == {"old"}:
                self.expect(kit.register(home.client(), "new"), 201)
            home.release()
        self.assertEqual({frozenset(["old"]), frozenset(["old", "new"])}, set(found))


class OldCopies(Backups):
    """What the agents know tells a server whose database was put back by hand."""

    def beat(self, home, **more):
        answer = home.ask("PATCH", kit.instance_path("web-1"),
                          {"code_version": "1", "configuration_version": "c", "status": "HEALTHY", **more})
        return self.expect(answer, 200).json()

    def order(self, home, code):
        client = home.client()
        made = self.deploy(client, kit.deploy_body(code))
        client.close()
        return made["id"]

    def advanced(self):
        """A server that gave two orders, and a copy of its database from after the first."""
        home = self.server()
        self.expect(kit.register(home.client(), "web-1"), 201)
        self.beat(home)
        first = self.order(home, "2")
        self.back_up(home)
        self.expect(home.ask("POST", f"/deploy/{first}/abort", {}), 200)
        self.order(home, "3")
        reply = self.beat(home)
        self.assertEqual(1, reply["term"])
        home.release()
        return home, reply["generation"]

    def test_an_old_copy_put_in_place_by_hand_is_noticed_and_goes_on_when_confirmed(self):
        home, newest = self.advanced()
        shutil.copy(self.copy, pathlib.Path(home.data, "dides.db"))
        home.start()
        known = home.ask("GET", kit.instance_path("web-1")).json()["generation"]
        self.assertLess(known, newest)
        self.assertEqual(0, home.metrics()["dides_held"])

        self.beat(home, observed_generation=newest, observed_term=1)

        self.assertEqual(1, home.metrics()["dides_held"])
        self.assertEqual(200, home.ask("GET", "/readyz").status)
        said = [entry for entry in home.log if "old copy" in entry["message"]]
        self.assertEqual([("web-1", f"1.{newest}", f"1.{known}")],
                         [(entry["instance"], entry["seen"], entry["known"]) for entry in said])
        self.expect(kit.register(home.client(), "web-2"), 201)
        self.beat(home, code_version="2", observed_generation=newest, observed_term=1)
        live = home.ask("GET", "/deploy/status").json()["deployments"][0]
        self.assertEqual("held", live["waiting"][0]["reason"])
        self.assertEqual((1, 0), (live["progress"]["pending_instances"],
                                  live["progress"]["in_progress_instances"]))
        confirmed = self.run_dides("confirm", home=home)
        self.assertIn("term 2", confirmed.stdout)
        self.assertEqual(0, home.metrics()["dides_held"])
        reply = self.beat(home, code_version="2", observed_generation=newest, observed_term=1)
        self.assertEqual(2, reply["term"])
        self.assertEqual(0, home.metrics()["dides_held"])
        record = home.ask("POST", f"/deploy/progress?id={live['id']}", {}).json()["deployment"]
        self.assertEqual(1, record["progress"]["in_progress_instances"], record)
        home.release()
        home.start()
        self.assertEqual(2, self.beat(home, code_version="2")["term"])

    def test_a_restored_server_goes_on_at_once_under_a_new_term(self):
        home, newest = self.advanced()
        self.restore("data", "--force")
        home.start()

        reply = self.beat(home, observed_generation=newest, observed_term=1)

        self.assertEqual(2, reply["term"])
        self.assertEqual(0, home.metrics()["dides_held"])
        self.assertIn("nothing to confirm", self.run_dides("confirm", home=home, code=7).stderr)

    def test_a_report_about_an_order_of_before_decides_nothing(self):
        """A failure under the order with the higher generation, which the restored server never gave."""
        home, newest = self.advanced()
        self.restore("data", "--force")
        home.start()
        live = home.ask("GET", "/deploy/status").json()["deployments"][0]["id"]

        self.beat(home, status="FAILED", observed_generation=newest, observed_term=1)

        record = home.ask("GET", f"/deploy/{live}").json()
        self.assertEqual("RUNNING", record["status_name"], record)

    def test_an_agent_that_says_no_term_means_the_first_one(self):
        home, newest = self.advanced()
        shutil.copy(self.copy, pathlib.Path(home.data, "dides.db"))
        home.start()

        self.beat(home, observed_generation=newest)

        self.assertEqual(1, home.metrics()["dides_held"])

    def test_a_held_heartbeat_is_answered_when_the_term_is_new_to_the_agent(self):
        home, _ = self.advanced()
        self.restore("data", "--force")
        home.start()
        generation = home.ask("GET", kit.instance_path("web-1")).json()["generation"]
        connection = http.client.HTTPConnection("127.0.0.1", home.port, timeout=kit.HANG_S)
        self.addCleanup(connection.close)

        connection.request("PATCH", kit.instance_path("web-1") + "?wait=60s",
                           body=json.dumps({"observed_generation": generation, "observed_term": 1}))
        began = time.monotonic()
        reply = json.loads(connection.getresponse().read())

        self.assertEqual(2, reply["term"])
        self.assertLess(time.monotonic() - began, 55)


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_disk.py - disks that are full, that fail, or that have changed what they hold.
import ctypes
import os
import pathlib
import shutil
import sqlite3
import threading
import unittest

import kit

REGISTRATION = ("POST", "/inventory/register", '{"instance":{"name":"web-1"},"token":"t"}')
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_REMOUNT = 0x20000, 0x4000, 1 << 18, 32
TMPFS_BYTES = 4 << 20
RESERVE_BYTES = 1 << 20


def private_mounts():
    """Gives this process mounts of its own, or says why not."""
    if os.geteuid() != 0:
        return "a small file system can be mounted by root only"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return f"no mounts of our own: {os.strerror(ctypes.get_errno())}"
    return None


def mount_small(folder, size=TMPFS_BYTES, flags=0):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, f"size={size},mode=700".encode()) != 0:
        raise OSError(ctypes.get_errno(), "mounting a tmpfs")


def unmount(folder):
    ctypes.CDLL(None).umount2(str(folder).encode(), 2)


NO_MOUNTS = private_mounts()


@unittest.skipIf(NO_MOUNTS, NO_MOUNTS)
class FullDisk(kit.Case):
    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(self.folder, "disk")
        self.disk.mkdir()
        mount_small(self.disk)
        self.addCleanup(unmount, self.disk)
        self.home = kit.Server(self.disk / "data")
        self.addCleanup(self.home.release)
        self.home.start()
        self.client = self.home.client()
        self.addCleanup(self.client.close)
        self.acknowledged = {}

    def fill(self):
        """Takes what room is left, to the last byte."""
        with open(self.disk / "filler", "ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass

    def register_until_refused(self):
        for number in range(len(self.acknowledged), 100000):
            labels = {"pad": f"{number:x}" * 30}
            answer = kit.register(self.client, f"web-{number}", labels)
            if answer.status != 201:
                return answer, f"web-{number}"
            self.acknowledged[f"web-{number}"] = labels
            if number == 50:
                self.fill()
        raise AssertionError("a disk without room took everything")

    def listed(self):
        shown, cursor = {}, ""
        while cursor is not None:
            page = self.expect(self.client.get("/inventory/instances?limit=1000" + cursor), 200).json()
            shown.update((one["name"], one["labels"]) for one in page["instances"])
            cursor = page["next_cursor"] and "&cursor=" + kit.quoted(page["next_cursor"])
        return shown

    def test_a_full_disk_refuses_changes_serves_the_rest_and_recovers(self):
        self.expect(kit.register(self.client, "first"), 201)
        self.expect(self.client.patch("/inventory/instances/first", {"code_version": "1", "status": 1}), 200)
        self.acknowledged["first"] = {}

        refused, unlucky = self.register_until_refused()

        problem = self.expect(refused, 503, "store_unavailable").json()
        self.assertTrue(problem["retryable"])
        self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(self.acknowledged, self.listed())
        self.expect(self.client.get(f"/inventory/instances/{unlucky}"), 404, "not_found")
        for _ in range(20):
            self.expect(self.client.patch("/inventory/instances/first", {"code_version": "1", "status": 1}), 200)
        self.expect(self.client.post("/deploy", kit.deploy_body("2")), 503, "store_unavailable")
        self.assertEqual(0, self.client.get("/deploy").json()["count"])
        self.expect(self.client.get("/healthz"), 200)
        self.expect(self.client.get("/metrics"), 200)
        self.assertEqual(0, self.home.metrics()["dides_store_writable"])
        self.expect(self.client.get("/readyz"), 503, "store_unavailable")

        (self.disk / "filler").unlink()
        kit.eventually("the store takes writes again", lambda: self.client.get("/readyz").status == 200)
        self.expect(kit.register(self.client, unlucky), 201)
        self.acknowledged[unlucky] = {}
        number = self.deploy(self.client, kit.deploy_body("2", batch_size=2))["id"]
        self.assertEqual(0, self.home.terminate())
        self.home.start()

        self.client = self.home.client()
        self.assertEqual(self.acknowledged, self.listed())
        self.assertEqual(number, self.client.get("/deploy/status").json()["deployments"][0]["id"])

    def reserve(self):
        return (self.disk / "data" / "reserve").stat().st_size

    def delete(self, name):
        """A deletion may meet a round that is just being refused."""
        kit.eventually(f"{name} is deleted", lambda: self.client.send("DELETE", kit.instance_path(name)).status == 204)
        del self.acknowledged[name]

    def test_deletions_go_on_when_the_disk_is_full(self):
        self.assertEqual(RESERVE_BYTES, self.reserve())
        self.expect(kit.register(self.client, "first"), 201)
        self.acknowledged["first"] = {}
        number = self.deploy(self.client, kit.deploy_body("2"))["id"]
        for _ in range(3):  # the log gives back what it takes, so that it takes a while
            refused, _ = self.register_until_refused()
            self.expect(refused, 503, "store_unavailable")
            self.fill()
        self.assertEqual(RESERVE_BYTES, self.reserve())
        doomed = list(self.acknowledged)

        for name in doomed[:len(doomed) // 2]:
            self.delete(name)
        self.expect(kit.register(self.client, "late"), 503, "store_unavailable")
        self.expect(self.client.get("/readyz"), 503, "store_unavailable")
        kit.eventually("the rollout is aborted", lambda: self.client.post(f"/deploy/{number}/abort").status == 200)

        self.assertEqual(0, self.reserve())
        self.assertEqual(self.acknowledged, self.listed())
        self.home.kill()
        self.home.listen()
        self.client = self.home.client()
        self.assertEqual(self.acknowledged, self.listed())
        for name in list(self.acknowledged):
            self.delete(name)
        (self.disk / "filler").unlink()
        kit.eventually("the store takes writes again", lambda: self.client.get("/readyz").status == 200)
        kit.eventually("there is a reserve again", lambda: self.reserve() == RESERVE_BYTES)
        self.expect(kit.register(self.client, "late"), 201)

    def test_keeping_fewer_events_makes_room_on_a_full_disk(self):
        mount_small(self.disk, 2 * TMPFS_BYTES, MS_REMOUNT)
        number, refusals = 0, 0
        while refusals < 3:
            answer = kit.register(self.client, f"web-{number}", {"pad": "x" * 200})
            if answer.status == 201:
                number += 1
                continue
            self.expect(answer, 503, "store_unavailable")
            refusals += 1
            self.fill()
        self.assertGreater(number, 2000)
        self.home.kill()

        fewer = kit.Server(self.home.data, sets=["events_kept=1000"])
        self.addCleanup(fewer.release)
        fewer.start()

        self.expect(fewer.ask("POST", "/inventory/register", {"instance": {"name": "late"}, "token": "t"}), 201)
        self.assertEqual(number + 1, fewer.ask("GET", "/inventory/instances?limit=1").json()["total"])

    def test_a_kill_on_a_full_disk_loses_nothing_acknowledged(self):
        refused, _ = self.register_until_refused()
        self.expect(refused, 503)

        self.home.kill()
        (self.disk / "filler").unlink()
        self.home.start()

        self.client = self.home.client()
        self.assertEqual(self.acknowledged, self.listed())

    def test_a_refused_registration_leaves_credentials_as_they_were(self):
        settings = pathlib.Path(self.folder, "settings.json")
        settings.touch(0o600)
        settings.write_text('{"registration_tokens":[{"name":"all","token":"sixteen bytes or more"}]}')
        self.assertEqual(0, self.home.terminate())
        home = kit.Server(self.disk / "guarded", arguments=["--config", str(settings)])
        self.addCleanup(home.release)
        home.start()

        def register(name, credential=None):
            headers = {"Authorization": "Bearer " + credential} if credential else {}
            return home.ask("POST", "/inventory/register",
                            {"instance": {"name": name}, "token": "sixteen bytes or more"}, headers)

        def beat(name, credential):
            return home.ask("PATCH", kit.instance_path(name), {}, {"Authorization": "Bearer " + credential})
        held = self.expect(register("web-1"), 201).json()["credential"]
        first, known = held, 1
        self.expect(beat("web-1", held), 200)
        self.fill()
        while (answer := register(f"new-{known}")).status == 201:
            known += 1

        self.expect(answer, 503, "store_unavailable")
        self.expect(register("web-1", held), 503, "store_unavailable")
        self.expect(beat("web-1", held), 200)
        self.assertEqual(known, home.metrics()["dides_credentials"])
        (self.disk / "filler").unlink()
        kit.eventually("the store takes writes again", lambda: home.ask("GET", "/readyz").status == 200)
        again = self.expect(register("web-1", held), 200).json()["credential"]
        home.kill()
        home.start()

        self.expect(beat("web-1", held), 200)
        self.expect(beat("web-1", again), 200)
        self.expect(beat("web-1", first), 401)
        self.assertEqual(known, home.metrics()["dides_credentials"])

    def test_a_live_rollout_waits_for_the_store_and_goes_on(self):
        fleet = kit.Fleet(self.home, [kit.Agent(f"web-{n}") for n in range(4)]).join()
        self.addCleanup(fleet.client.close)
        number = self.deploy(fleet.client, kit.deploy_body("2.0.0", batch_size=1))["id"]
        fleet.turn()
        self.fill()
        for turn in range(4000):
            answer = fleet.client.patch("/inventory/instances/web-0", {"message": f"{turn}" * 100})
            if answer.status != 200:
                break
        self.expect(answer, 503, "store_unavailable")

        reasons = [w["reason"] for w in fleet.rollout(number)["waiting"]]
        (self.disk / "filler").unlink()
        kit.eventually("the store takes writes again", lambda: self.client.get("/readyz").status == 200)
        ended = fleet.run_to_end(number)

        self.assertIn("store", reasons)
        self.assertEqual(("COMPLETED", 4), (ended["status_name"], ended["progress"]["completed_instances"]))


def strace_works():
    if not shutil.which("strace"):
        return "strace is not installed"
    try:
        kit.subprocess.run(["strace", "-o", "/dev/null", "-e", "inject=getpid:retval=1", "true"], check=True,
                           capture_output=True)
    except (OSError, kit.subprocess.CalledProcessError) as why:
        return f"strace does not work here: {why}"
    return None


NO_STRACE = strace_works()


@unittest.skipIf(NO_STRACE, NO_STRACE)
class FailingDisk(kit.Case):
    def under_strace(self, *inject):
        server = self.server_unstarted(
            wrapper=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
                     *(word for one in inject for word in ("-e", "inject=fdatasync:" + one))],
            # A leak checker cannot work while another process traces.
            variables={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"})
        return server

    def test_an_error_of_the_disk_ends_the_server_and_nobody_is_answered(self):
        for when in (3, 6):  # which flush fails, counted from the start of the process
            with self.subTest(when=when):
                server = self.under_strace(f"error=EIO:when={when}+")
                shutil.rmtree(server.data, ignore_errors=True)
                self.server().terminate()  # the database exists, so that flushes are of batches alone
                server.start()
                client, acknowledged, unanswered = server.client(), [], None
                for number in range(100):
                    try:
                        answer = kit.register(client, f"web-{number}")
                    except kit.Unanswered:
                        unanswered = f"web-{number}"
                        break
                    self.expect(answer, 201)
                    acknowledged.append(f"web-{number}")

                self.assertIsNotNone(unanswered)
                self.assertEqual(1, server.wait(), server.log_text())
                ends = [line for line in server.log if line["message"].endswith("this process must end")]
                self.assertEqual(1, len(ends), server.log_text())
                again = self.server()
                names = [one["name"] for one in again.ask("GET", "/inventory/instances").json()["instances"]]
                self.assertIn(names, (sorted(acknowledged), sorted([*acknowledged, unanswered])))
                again.terminate()

    def test_a_refusal_tells_only_of_what_is_durable(self):
        # The disk is slow, so that a second deploy arrives while the first is being made durable.
        self.server().terminate()
        server = self.under_strace("delay_enter=300000:when=1+")
        server.start()
        self.expect(server.ask(*REGISTRATION), 201)
        refused = threading.Event()

        def deploy():
            try:
                if server.ask("POST", "/deploy", '{"code_version":"2"}').status == 409:
                    refused.set()
            except kit.Unanswered:
                pass

        threads = [threading.Thread(target=deploy) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.assertTrue(refused.wait(kit.HANG_S))
        server.kill()
        for thread in threads:
            thread.join()
        again = self.server()

        self.assertEqual(["r-1"], [one["id"] for one in again.ask("GET", "/deploy").json()["deployments"]])


class ChangedFiles(kit.Case):
    def a_closed_database(self):
        server = self.server()
        fleet = self.fleet(server, [kit.Agent(f"web-{n:02}", {"env": "prod"}) for n in range(20)])
        fleet.run_to_end(self.deploy(fleet.client, kit.deploy_body("2.0.0", batch_size=20))["id"])
        self.assertEqual(0, server.terminate())
        return server, pathlib.Path(server.data, "dides.db")

    def refused(self, server):
        server.log.clear()
        server.spawn()
        self.assertEqual(1, server.wait(), server.log_text())
        return next(line for line in server.log if line["message"] == "cannot start")

    def change(self, path, statement, *values):
        with sqlite3.connect(path) as database:
            changed = database.execute(statement, values).rowcount
        database.close()
        self.assertEqual(1, changed)

    def test_a_changed_value_is_refused_and_its_row_named(self):
        for key in ("instance/web-07", "rollout/"):
            server, path = self.a_closed_database()
            with sqlite3.connect(path) as database:
                row = database.execute("SELECT key, value FROM kv WHERE key >= ? ORDER BY key", (key,)).fetchone()
            database.close()
            self.assertTrue(row[0].startswith(key))
            changed = row[1].replace("2.0.0", "2.0.1") if isinstance(row[1], str) else row[1].replace(b"2.0.0", b"2.0.1")
            self.assertNotEqual(row[1], changed)
            with self.subTest(key=row[0]):
                self.change(path, "UPDATE kv SET value = ? WHERE key = ?", changed, row[0])

                line = self.refused(server)

                self.assertEqual("corrupt", line["code"])
                self.assertIn(row[0], line["detail"])
            shutil.rmtree(server.data)

    def test_bytes_flipped_in_the_file_are_refused_and_the_row_named(self):
        server, path = self.a_closed_database()
        raw = bytearray(path.read_bytes())
        at = raw.index(b'"2.0.0"', raw.index(b"instance/web-11"))
        raw[at + 1] ^= 1
        path.write_bytes(raw)

        line = self.refused(server)

        self.assertEqual("corrupt", line["code"])
        self.assertIn("instance/web-", line["detail"])

    def test_a_missing_or_foreign_row_is_refused(self):
        for statement in ("DELETE FROM kv WHERE key = 'instance/web-07'",
                          "INSERT INTO kv SELECT 'instance/web-99', value, crc FROM kv WHERE key = 'instance/web-07'"):
            server, path = self.a_closed_database()
            with self.subTest(statement=statement):
                self.change(path, statement)
                self.assertEqual("corrupt", self.refused(server)["code"])
            shutil.rmtree(server.data)

    def test_a_file_of_something_else_is_refused_and_left_alone(self):
        for content in (b"hello, this is no database at all" * 100, None):
            folder = pathlib.Path(self.folder, "data")
            folder.mkdir()
            path = folder / "dides.db"
            if content is None:
                with sqlite3.connect(path) as database:
                    database.execute("CREATE TABLE notes(text)")
                database.close()
                content = path.read_bytes()
            path.write_bytes(content)
            server = self.server_unstarted()
            with self.subTest(content=content[:16]):
                self.refused(server)
                self.assertEqual(content, path.read_bytes())
            shutil.rmtree(folder)

    def test_a_newer_format_is_refused_in_one_sentence(self):
        server, path = self.a_closed_database()
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()

        self.assertIn("format 99", self.refused(server)["detail"])


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_faults.py - the real server in an unkind world: killed or given an error inside any write or
# flush, a slow disk, little memory, few descriptors, clocks that jump, a process that is stopped.
#
# What is counted is processor time and what was acknowledged; how long something takes is not judged.
import concurrent.futures
import glob
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time
import unittest

import kit

LONG = int(os.environ.get("DIDES_LONG", "1"))
IS_SANITIZED = b"__asan_init" in pathlib.Path(kit.program()).read_bytes()
NO_LEAKS = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}  # a tracer is in its way


def strace_works():
    if not shutil.which("strace"):
        return "strace is not installed"
    try:
        subprocess.run(["strace", "-o", "/dev/null", "-e", "inject=getpid:retval=1", "true"], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as why:
        return f"strace does not work here: {why}"
    return None


NO_STRACE = strace_works()


@unittest.skipIf(NO_STRACE, NO_STRACE)
class InsideAWrite(kit.Case):
    """A story of a few changes, told to a server that meets a fault at its n-th call of one kind, for
    n = 1, 2, ... until it comes through. The n-th call of each of its threads counts."""

    NAMES = [f"web-{number}" for number in range(4)]
    KEY = {"Idempotency-Key": "the-one-rollout"}

    def seed(self):
        """A database with two instances, the folder of which is copied for each try."""
        server = self.server("seed")
        for name in ("old-1", "old-2"):
            self.expect(kit.register(server.client(), name, {"env": "old"}), 201)
        server.kill()  # so that the next start has a journal to fold
        return server.data

    def traced(self, data, call, what, when):
        return kit.Server(data, variables=NO_LEAKS, wrapper=[
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:{what}:when={when}"])

    def tell(self, server):
        """What was acknowledged, and what got no answer: two sets of names, and of the deploy True,
        False, or None for unknown."""
        acknowledged, unanswered, deployed = set(), set(), False
        try:
            server.listen()
            client = server.client()
            for name in self.NAMES:
                unanswered = {name}
                self.expect(kit.register(client, name), 201)
                acknowledged.add(name)
            unanswered, deployed = set(), None
            self.expect(client.post("/deploy", kit.deploy_body("2", {"env": "old"}), headers=self.KEY), 201)
            deployed = True
        except (AssertionError, *kit.Unanswered):
            if server.child.poll() is None and server.child.wait(kit.HANG_S) is None:
                raise
        return acknowledged, unanswered, deployed

    def check(self, data, acknowledged, unanswered, deployed):
        server = kit.Server(data)
        self.addCleanup(server.release)
        server.start()
        names = {one["name"] for one in server.ask("GET", "/inventory/instances").json()["instances"]}
        self.assertLessEqual(acknowledged | {"old-1", "old-2"}, names)
        self.assertLessEqual(names, acknowledged | unanswered | {"old-1", "old-2"})
        before = server.ask("GET", "/deploy").json()["count"]
        self.assertIn(before, {True: (1,), False: (0,), None: (0, 1)}[deployed])
        self.expect(server.ask("POST", "/deploy", kit.deploy_body("2", {"env": "old"}), self.KEY), 201)
        self.assertEqual(["r-1"], [one["id"] for one in server.ask("GET", "/deploy").json()["deployments"]])
        self.assertEqual(0, server.terminate())

    def every(self, call, what, step=1):
        """Returns how many tries met the fault."""
        seed, tries = self.seed(), 0
        for when in range(1, 1000, step):
            data = pathlib.Path(self.folder, f"try-{when}")
            shutil.copytree(seed, data)
            server = self.traced(data, call, what, when)
            self.addCleanup(kit.Server.release, server)
            with self.subTest(call=call, what=what, when=when):
                told = self.tell(server)
                is_through = server.child.poll() is None and told[2] is True
                if is_through:
                    server.kill()
                else:
                    code = server.wait()
                    self.assertEqual(-signal.SIGKILL if "KILL" in what else 1, code, server.log_text())
                self.check(data, *told)
            shutil.rmtree(data)
            if is_through:
                break
            tries += 1
        print(f"{tries} times {what} in {call} ", end="")
        self.assertGreater(tries, 2)

    def test_a_kill_inside_any_flush_loses_nothing_acknowledged(self):
        self.every("fdatasync", "signal=KILL")

    def test_a_kill_inside_any_write_loses_nothing_acknowledged(self):
        self.every("pwrite64", "signal=KILL", step=1 if LONG > 1 else 3)

    def test_an_error_of_any_flush_ends_the_server_and_nothing_acknowledged_is_lost(self):
        self.every("fdatasync", "error=EIO")

    def test_an_error_of_any_write_ends_the_server_and_nothing_acknowledged_is_lost(self):
        self.every("pwrite64", "error=EIO", step=1 if LONG > 1 else 3)


@unittest.skipIf(NO_STRACE, NO_STRACE)
class SlowDisk(kit.Case):
    def test_a_slow_disk_makes_changes_wait_together_and_everything_else_go_on(self):
        server = self.server(variables=NO_LEAKS, wrapper=[
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
            "-e", "inject=fdatasync:delay_enter=250000"])
        self.expect(kit.register(server.client(), "first"), 201)
        before = server.metrics()["dides_store_commit_seconds_count"]
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            answers = [pool.submit(kit.register, server.client(), f"web-{n}") for n in range(30)]
            client = server.client()
            while not all(answer.done() for answer in answers):
                self.expect(client.get("/inventory/instances/first"), 200)

        self.assertEqual({201}, {answer.result().status for answer in answers})
        metrics = server.metrics()
        self.assertLess(metrics["dides_store_commit_seconds_count"] - before, 15)  # they share commits
        self.assertGreater(metrics["dides_store_commit_seconds_sum"], 0.25)
        self.assertEqual(31, server.ask("GET", "/inventory/instances").json()["total"])
        server.kill()  # a signal would reach the tracer


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_kib(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise AssertionError(f"there is no {name} of {pid}")


class FewDescriptors(kit.Case):
    def test_without_descriptors_sessions_live_on_and_nobody_spins(self):
        server = self.server(wrapper=["prlimit", "--nofile=64"])
        session = server.client()
        self.expect(kit.register(session, "web-1"), 201)
        crowd = []
        for _ in range(150):  # the queue of the kernel takes those whom the server does not
            one = kit.socket.socket()
            one.settimeout(0.2)
            try:
                one.connect(("127.0.0.1", server.port))
            except OSError:
                pass
            crowd.append(one)
            self.addCleanup(one.close)
        before = cpu_seconds(server.child.pid)
        for _ in range(20):
            self.expect(session.get("/inventory/instances/web-1"), 200)
            time.sleep(0.1)

        self.assertLess(cpu_seconds(server.child.pid) - before, 0.4 if IS_SANITIZED else 0.1)
        for one in crowd:
            one.close()
        kit.eventually("somebody new is served", lambda: server.ask("GET", "/healthz").status == 200)
        self.expect(session.get("/inventory/instances/web-1"), 200)


@unittest.skipIf(IS_SANITIZED, "the sanitizers take more address space than any limit")
class LittleMemory(kit.Case):
    """Room for some tens of MiB beyond what a server has that does nothing."""

    def setUp(self):
        super().setUp()
        idle = self.server("idle")
        self.limit = status_kib(idle.child.pid, "VmPeak") * 1024 + (24 << 20)
        idle.terminate()

    def test_without_memory_changes_are_refused_and_what_was_acknowledged_stays(self):
        server = self.server(wrapper=["prlimit", f"--as={self.limit}"])
        client, acknowledged, refusals, unknown = server.client(), {}, 0, None
        for number in range(20000):
            name, labels = f"web-{number}", {f"label-{k}": f"{number:06}" * 40 for k in range(60)}
            try:
                answer = kit.register(client, name, labels)
            except kit.Unanswered:
                unknown = name
                break
            if answer.status == 201:
                acknowledged[name] = labels
                continue
            self.assertEqual((503, True), (answer.status, answer.json()["retryable"]), answer)
            self.expect(server.client().get("/healthz"), 200)
            refusals += 1
            if refusals == 5:
                break
        # SQLite without memory cannot say what is durable: then the server ends instead of guessing.
        self.assertTrue(refusals or unknown, "it never ran out of memory")
        if unknown:
            self.assertEqual(1, server.wait(), server.log_text())
        else:
            server.kill()
        again = self.server()

        kept, cursor = set(), ""
        while cursor is not None:
            page = again.ask("GET", "/inventory/instances?limit=500" + cursor).json()
            kept.update(one["name"] for one in page["instances"])
            cursor = page["next_cursor"] and "&cursor=" + kit.quoted(page["next_cursor"])
        self.assertLessEqual(set(acknowledged), kept)
        self.assertLessEqual(kept, {*acknowledged, unknown})
        print(f"{len(acknowledged)} acknowledged, {refusals} refused ", end="")


def faketime_library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


@unittest.skipUnless(faketime_library(), "libfaketime is not installed")
@unittest.skipIf(IS_SANITIZED, "the sanitizers must be loaded before any other library")
class Clocks(kit.Case):
    def jumping(self, start, **options):
        """A server whose wall clock is what the file says; the steady one goes on."""
        self.clock = pathlib.Path(self.folder, "clock")
        self.clock.write_text(start)
        return self.server(variables={
            "LD_PRELOAD": faketime_library(), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}, **options)

    def test_jumps_of_the_wall_clock_fire_no_timeout(self):
        server = self.jumping("+0", sets=["heartbeat_timeout=20s"])
        fleet = self.fleet(server, [kit.Agent(f"web-{n}") for n in range(4)])
        number = self.deploy(fleet.client, kit.deploy_body("2", batch_size=1, instance_deadline="60s"))["id"]
        fleet.turn()
        for jump in ("+6h", "-9h", "+400d", "+0"):
            self.clock.write_text(jump)
            time.sleep(0.3)  # some ticks
            shown = server.ask("GET", "/inventory/instances").json()["instances"]
            self.assertEqual({True}, {one["online"] for one in shown}, jump)
            self.assertEqual("RUNNING", fleet.rollout(number)["status_name"], jump)
        self.assertEqual("COMPLETED", fleet.run_to_end(number)["status_name"])
        self.assertEqual(1, server.ask("GET", "/deploy").json()["count"])  # nothing was rolled back

    def test_the_end_of_32_bits_of_time_is_a_day_like_any_other(self):
        server = self.jumping("@2038-01-19 03:14:05")
        fleet = self.fleet(server, [kit.Agent("web-1")])
        time.sleep(3)
        self.assertEqual("COMPLETED", fleet.run_to_end(
            self.deploy(fleet.client, kit.deploy_body("2"))["id"])["status_name"])
        seen = fleet.client.get("/inventory/instances/web-1").json()["last_seen"]
        self.assertTrue(seen.startswith("2038-01-19T"), seen)
        server.kill()
        server.start()
        self.assertEqual(1, server.ask("GET", "/inventory/instances").json()["total"])

    def test_an_agent_whose_clock_is_wrong_by_years_is_as_good_as_any(self):
        server = self.server()
        client = server.client()
        self.expect(kit.register(client, "web-1"), 201)
        for sent_at in ("1999-01-01T00:00:00Z", "2099-12-31T23:59:59Z"):
            self.expect(client.patch("/inventory/instances/web-1", {"code_version": "1", "sent_at": sent_at}), 200)
            shown = client.get("/inventory/instances/web-1").json()
            self.assertTrue(shown["online"])
            self.assertEqual(time.gmtime().tm_year, int(shown["last_seen"][:4]))


class Stopped(kit.Case):
    def test_a_process_that_was_stopped_gives_everybody_that_time_back(self):
        server = self.server(sets=["heartbeat_timeout=2s", "heartbeat_min=500ms", "active_interval=500ms"])
        fleet = self.fleet(server, [kit.Agent(f"web-{n}") for n in range(4)])
        number = self.deploy(fleet.client, kit.deploy_body("2", batch_size=2, instance_deadline="3s"))["id"]
        fleet.turn()
        os.kill(server.child.pid, signal.SIGSTOP)
        time.sleep(4)
        os.kill(server.child.pid, signal.SIGCONT)
        record = fleet.rollout(number)
        shown = server.ask("GET", "/inventory/instances").json()["instances"]

        self.assertEqual({True}, {one["online"] for one in shown})
        self.assertEqual(("RUNNING", 0), (record["status_name"], record["progress"]["failed_instances"]))
        self.assertEqual("COMPLETED", fleet.run_to_end(number)["status_name"])


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_promises.py - every error that the reference of the API promises, for every operation, is provoked
# here by a request to the real server; and no request gets one that is not promised. What follows from
# the form of a request is provoked alike for all operations, so that a new one is tested unasked; what
# an operation alone promises has a row in OWN.
import ctypes
import fcntl
import json
import os
import pathlib
import re
import resource
import socket
import struct
import threading
import time

import kit
import test_disk

PARTS = {"name": "web-1", "id": "r-1"}  # what stands for the parts of paths
MANY = "x" * 9000

# Codes that nothing over HTTP may answer with, and why.
NOT_PROMISED = {
    "usage": "of the command line",
    "io": "what cannot be read or written is store_unavailable, or ends the process",
    "corrupt": "found at start, which then fails",
    "internal": "a broken promise ends the process",
    "method_not_allowed": "of paths, not of operations; see test_errors.py",
    "infeasible": "of strategies that are reserved",
}

# Promises that no request can provoke at will, and where they are kept instead.
ELSEWHERE = {
    # One growing buffer serves all answers, one function all refusals: provoked for one operation.
    ("*", "out_of_memory"): "list_instances, below",
    ("backup", "not_supported"): "a store in memory, in test_backup.py",
}

OTHER_PLAN = json.dumps({"code_version": "9", "plan_hash": "sha256:" + "0" * 64})
NO_SUCH_WAVE = json.dumps({"code_version": "9", "configuration": {
    "strategy": "waves", "waves": [{"selector": "site=nowhere"}, {}]}})

# Operation, code: method, path, body, headers. What is None is as in a good request.
# The server of these rows: web-1 runs version 2. r-1 completed; r-2 undone by r-3; r-4 aborted, and its
# instances gone; r-5 is live and has all of env=prod.
OWN = {
    ("register", "unauthenticated"): (None, '{"instance":{"name":"x"},"token":""}'),
    ("register_instance", "unauthenticated"): (None, '{"instance":{"name":"x"}}'),
    ("deploy", "not_supported"): (None, '{"code_version":"2","start_at":"2031-01-01T10:00:00Z"}'),
    ("deploy", "rollout_in_progress"): (None, '{"code_version":"9"}'),
    ("deploy", "precondition_failed"): (None, OTHER_PLAN),
    ("plan", "not_supported"): (None, '{"code_version":"2","windows":[]}'),
    ("plan", "no_match"): (None, '{"code_version":"9","selector":"env=nowhere"}'),
    ("plan", "infeasible"): (None, NO_SUCH_WAVE),
    ("plan", "precondition_failed"): (None, OTHER_PLAN),
    ("progress", "not_found"): ("/deploy/progress?id=r-999", None),
    ("rollback", "not_supported"): (None, '{"configuration":{"start_at":"2031-01-01T10:00:00Z"}}'),
    ("rollback", "not_found"): (None, '{"id":"r-999"}'),
    ("rollback", "no_rollback_target"): (None, '{"selector":"env=nowhere"}'),
    ("rollback", "refused"): (None, '{"id":"r-3"}'),
    ("rollback", "rollout_in_progress"): (None, '{"id":"r-1"}'),
    ("rollback", "precondition_failed"): (None, '{"id":"r-1"}', {"If-Match": '"99"'}),
    ("pause", "refused"): ("/deploy/r-1/pause", None),
    ("resume", "refused"): ("/deploy/r-1/resume", None),
    ("abort", "refused"): ("/deploy/r-1/abort", None),
    ("promote", "refused"): ("/deploy/r-1/promote", None),
    ("promote", "nothing_to_promote"): ("/deploy/r-5/promote", None),
    ("retry", "nothing_to_retry"): ("/deploy/r-5/retry", None),
    ("confirm", "refused"): (None, None),
    ("retry", "rollout_in_progress"): ("/deploy/r-1/retry", None),
}

# The same on a server with two rollouts at a time; r-5 has all instances.
OWN_OF_TWO = {
    ("deploy", "overlapping_selector"): (None, '{"code_version":"9","selector":"env=prod"}'),
    ("rollback", "overlapping_selector"): (None, '{"id":"r-1"}'),
    ("retry", "overlapping_selector"): ("/deploy/r-1/retry", None),
}

# And where none is live.
OWN_OF_NONE = {
    ("deploy", "no_match"): (None, '{"code_version":"9","selector":"env=nowhere"}'),
    ("retry", "no_match"): ("/deploy/r-4/retry", None),
}


class Operation(kit.Operation):
    def __init__(self, path, method, described):
        super().__init__(path, method, described)
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        self.body = json.dumps(content["example"]) if content else ("{}" if method == "post" else None)
        self.target = re.sub(r"\{(\w+)\}", lambda part: PARTS[part.group(1)], path)

    def codes(self):
        return {code for _, code in self.promises}

    def head(self, *fields, target=None):
        return "\r\n".join((f"{self.method} {target or self.target} HTTP/1.1", "Host: x", *fields, "", "")).encode()


def read_answer(wire):
    """Status, header fields and body of one answer on a socket."""
    reply = b""
    try:
        while piece := wire.recv(65536):
            reply += piece
            head, blank, body = reply.partition(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
            if blank and length and len(body) >= int(length.group(1)):
                break
    except ConnectionError:
        pass
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    if len(lines[0].split()) < 2:
        return None
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    return kit.Answer(int(lines[0].split()[1]), fields, body)


def another_address():
    """Gives this process a network of its own in which it has an address that is not loopback's, as a
    client from elsewhere would have; None when it may not. Every server begun after it is in it too."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet, siocsifaddr, siocsifflags, up = 0x40000000, 0x8916, 0x8914, 1
    if os.geteuid() != 0 or libc.unshare(clone_newnet) != 0:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, siocsifflags, struct.pack("16sH22x", b"lo", up))
        fcntl.ioctl(control, siocsifaddr, struct.pack("16sHH4s16x", b"lo:1", socket.AF_INET, 0,
                                                      socket.inet_aton("10.20.30.40")))
    return "10.20.30.40"


# What frees room, or stops something, is let in while the disk is full.
FREEING = ("remove_instance", "abort")


class Promises(kit.Case):
    def setUp(self):
        super().setUp()
        document = kit.reference()
        self.operations = {one.name: one for one in kit.operations(document, Operation)}
        self.codes = set(document["components"]["schemas"]["problem"]["properties"]["code"]["enum"])
        self.kept, self.excused = set(), set()

    # ---- one promise ----

    def provoked(self, operation, answer, code):
        """The answer is the error, and it is promised."""
        self.assertIsNotNone(answer, f"{operation.name}: no answer instead of {code}")
        problem = answer.json() if answer.headers.get("Content-Type", answer.headers.get("content-type", "")).endswith(
            "problem+json") else {}
        self.assertEqual(code, problem.get("code"), f"{operation.name}: {answer}")
        self.assertEqual(answer.status, problem["status"], answer)
        self.assertIn((answer.status, code), operation.promises, f"{operation.name}: not promised: {answer}")
        fields = {name.lower() for name in answer.headers.keys()}
        self.assertEqual(problem["retryable"], "retry-after" in fields, answer)
        self.kept.add((operation.name, answer.status, code))

    def ask(self, home, operation, target=None, body=None, headers=None):
        """On a connection of its own."""
        return home.ask(operation.method, target or operation.target, operation.body if body is None else body, headers)

    def raw(self, home, pieces):
        with socket.create_connection(("127.0.0.1", home.port), timeout=kit.HANG_S) as wire:
            try:
                wire.sendall(pieces)
            except ConnectionError:
                pass
            return read_answer(wire)

    def promising(self, code):
        return [operation for operation in self.operations.values() if code in operation.codes()]

    # ---- servers with a story ----

    def started(self, *, live={"env": "prod"}, **options):
        home = self.server(**options)
        self.tell(home, live)
        return home

    def must(self, home, method, path, body=None, status=(200, 201, 204)):
        answer = home.ask(method, path, body)
        self.assertIn(answer.status, status, answer)
        return answer.json() if answer.body else None

    def report(self, home, name, **what):
        return self.must(home, "PATCH", kit.instance_path(name), what)

    def deploy_to_end(self, home, code, labels, name):
        number = self.must(home, "POST", "/deploy", {"code_version": code, "labels": labels})["id"]
        self.report(home, name, code_version=code, status=1)
        self.assertEqual("COMPLETED", self.must(home, "GET", f"/deploy/{number}")["status_name"])

    def tell(self, home, live):
        for name, env in (("web-1", "prod"), ("web-2", "prod"), ("old-1", "gone"), ("lab-1", "lab")):
            self.must(home, "POST", "/inventory/register", {"token": "t", "instance": {
                "name": name, "ip": "10.0.0.1", "labels": {"env": env, "role": "web"}}})
            self.report(home, name, code_version="1", configuration_version="c1", status=1)
        self.deploy_to_end(home, "2", {"env": "lab"}, "lab-1")
        self.deploy_to_end(home, "3", {"env": "lab"}, "lab-1")
        self.must(home, "POST", "/deploy/rollback", {"id": "r-2"})
        self.report(home, "lab-1", code_version="2", status=1)
        self.must(home, "POST", "/deploy", {"code_version": "5", "labels": {"env": "gone"}})
        self.must(home, "POST", "/deploy/r-4/abort")
        self.must(home, "DELETE", "/inventory/instances/old-1")
        if live:
            self.must(home, "POST", "/deploy", {"code_version": "9", "labels": live})

    # ---- what follows from the form ----

    def forms(self):
        home = self.started()
        self.expect(home.ask("POST", "/deploy/progress", "first", {"Idempotency-Key": "used"}), 200)
        tries = {
            "invalid": lambda o: self.ask(home, o, o.target + "?x=%zz"),
            "unknown_key": lambda o: self.ask(home, o, o.target + "?nonsense=1"),
            "body_too_large": lambda o: self.ask(home, o, body=" " * (300 << 10)),
            "uri_too_long": lambda o: self.ask(home, o, o.target + "?" + MANY),
            "headers_too_large": lambda o: self.raw(home, o.head(*(f"X-{n}: {MANY[:99]}" for n in range(70)))),
            "unknown_coding": lambda o: self.raw(home, o.head("Transfer-Encoding: gzip")),
            "bad_json": lambda o: self.ask(home, o, body="{"),
            "idempotency_key_reused": lambda o: self.ask(home, o, headers={"Idempotency-Key": "used"}),
            "precondition_failed": lambda o: self.ask(home, o, headers={"If-Match": '"99"'}),
            "not_found": lambda o: self.ask(home, o, o.target.replace("web-1", "nobody").replace("r-1", "r-999")),
        }
        for code, request in tries.items():
            for operation in self.promising(code):
                if (operation.name, code) not in OWN:
                    self.provoked(operation, request(operation), code)
        self.own(home, OWN)

    def own(self, home, rows):
        for (name, code), (target, body, *headers) in rows.items():
            operation = self.operations[name]
            self.provoked(operation, self.ask(home, operation, target, body, *headers), code)

    def other_fleets(self):
        self.own(self.started(name="two", live={"role": "web"}, sets=["max_concurrent=2"]), OWN_OF_TWO)
        home = self.started(name="none", live=None)
        self.own(home, OWN_OF_NONE)
        self.empty_waves(home)

    def empty_waves(self, home):
        """The only machine of the lab leaves it: a wave of the lab has no member any more."""
        body = {"code_version": "7", "configuration": {"strategy": "waves", "waves": [{"selector": "site=lab"}, {}]}}
        self.report(home, "lab-1", labels={"site": "lab"})
        number = self.must(home, "POST", "/deploy", body)["id"]
        self.must(home, "POST", f"/deploy/{number}/abort")
        self.report(home, "lab-1", labels={"site": None})
        for name, target in (("deploy", None), ("retry", f"/deploy/{number}/retry")):
            operation = self.operations[name]
            self.provoked(operation, self.ask(home, operation, target, json.dumps(body) if name == "deploy" else None),
                          "infeasible")

    # ---- limits ----

    def history(self):
        home = self.server("history", sets=["events_kept=1000"])
        client = home.client()
        self.addCleanup(client.close)
        kit.register(client, "web-1")
        for number in range(1600):
            client.patch("/inventory/instances/web-1", {"message": str(number)})
        events = self.operations["events"]
        answer = kit.eventually("the start is gone", lambda: (lambda a: a.status == 410 and a)(
            self.ask(home, events, "/events?after=0&follow=false")))
        self.provoked(events, answer, "gone")

    def crowd(self):
        """More connections than there may be: whatever is asked, it is not even read."""
        home = self.server("crowd", sets=["connections_max=16"])
        crowd = []
        try:
            while len(crowd) < 16 + 8:
                crowd.append(socket.create_connection(("127.0.0.1", home.port), timeout=kit.HANG_S))
                crowd[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                if read_answer(crowd[-1]).status == 503:
                    break
            for operation in self.promising("limit_reached"):
                self.provoked(operation, self.raw(home, operation.head()), "limit_reached")
        finally:
            for wire in crowd:
                wire.close()

    def tokens(self):
        """A server that wants tokens: who has none, a wrong one, or that of another."""
        settings = pathlib.Path(self.folder, "settings.yaml")
        settings.write_text("registration_tokens:\n  - {name: web, token: let-me-register-now, instances: web-*}\n")
        settings.chmod(0o600)
        home = self.server("tokens", arguments=["--config", str(settings)], sets=["rate_limit_failures=3"])

        def join(name, token="let-me-register-now"):
            return home.ask("POST", "/inventory/register", {"instance": {"name": name}, "token": token})

        web_1 = self.expect(join("web-1"), 201).json()["credential"]
        web_2 = self.expect(join("web-2"), 201).json()["credential"]
        self.assertNotEqual(web_1, web_2)
        beat = self.operations["heartbeat"]
        self.provoked(beat, self.ask(home, beat), "unauthenticated")
        self.provoked(beat, self.ask(home, beat, headers={"Authorization": f"Bearer {web_2}"}), "forbidden")
        of_another_life = self.ask(home, beat, headers={"Authorization": f"Bearer {web_1}"},
                                   body='{"session":"gone","sequence":1}')
        self.provoked(beat, of_another_life, "session_ended")
        for operation in (self.operations["register"], self.operations["register_instance"]):
            body = {"instance": {"name": "lab-1"}, "token": "let-me-register-now"}
            self.provoked(operation, self.ask(home, operation, body=json.dumps(body)), "forbidden")
            body["instance"]["name"] = "web-1"
            self.provoked(operation, self.ask(home, operation, body=json.dumps(body)), "refused")

    def elsewhere(self):
        """A client that is not on loopback and asks too often. Other operations are refused alike."""
        address = another_address()
        if address is None:
            self.excuse("rate_limited", "no network of our own")
            return
        home = self.server_unstarted("elsewhere", sets=["rate_limit_client=1"], arguments=["--insecure"])
        home.command[home.command.index("127.0.0.1:0")] = "0.0.0.0:0"
        home.start()

        def ask(operation):
            with socket.create_connection((address, home.port), kit.HANG_S, (address, 0)) as wire:
                wire.sendall(operation.head("Content-Length: 0"))
                answer = read_answer(wire)
            return answer is not None and answer.status == 429 and answer

        for operation in self.promising("rate_limited"):
            answer = kit.eventually(f"{operation.name} is refused", lambda: ask(operation))
            self.provoked(operation, answer, "rate_limited")

    # ---- a store that fails, a server that stops, memory that ends ----

    def excuse(self, code, why):
        print(f"{code}: not provoked: {why}")
        self.excused |= {(operation.name, status, code) for operation in self.promising(code)
                         for status, other in operation.promises if other == code}

    def full_disk(self):
        if test_disk.NO_MOUNTS:
            self.excuse("store_unavailable", test_disk.NO_MOUNTS)
            return
        disk = pathlib.Path(self.folder, "disk")
        disk.mkdir()
        test_disk.TMPFS_BYTES = 64 << 20  # the changes that go on meanwhile must find room
        test_disk.mount_small(disk)
        self.addCleanup(test_disk.unmount, disk)
        home = kit.Server(disk / "data")
        self.addCleanup(home.release)
        home.start()
        self.tell(home, {"env": "prod"})
        wanted = {operation.name: operation for operation in self.promising("store_unavailable")}
        for name in FREEING:
            print(f"store_unavailable: not provoked: {name} has the store's reserve")
            self.excused.add((name, 503, "store_unavailable"))
            del wanted[name]
        for _ in range(50):
            self.fail_store(home, disk, wanted)
            if not wanted:
                return
        self.fail(f"never refused for the store: {sorted(wanted)}")

    @staticmethod
    def fill(disk):
        with open(disk / "filler", "ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass

    def fail_store(self, home, disk, wanted):
        """While answers wait for a commit the disk becomes full: they all are refused. Then, as long as
        it is full, everything that would change something is."""
        over = threading.Event()
        got = {}

        def hammer(operation):
            client = home.client()
            while not over.is_set():
                answer = client.send(operation.method, operation.target, operation.body)
                if answer.status == 503:
                    got[operation.name] = answer
            client.close()

        def change(number):
            client, turn = home.client(), 0
            while not over.is_set():
                turn += 1
                client.patch("/inventory/instances/web-1", {"message": f"{number} {turn}"})
            client.close()

        readers = [operation for operation in wanted.values() if operation.method == "GET"]
        threads = [threading.Thread(target=hammer, args=(operation,)) for operation in readers]
        threads += [threading.Thread(target=change, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        self.fill(disk)
        kit.eventually("the store is full", lambda: home.ask("GET", "/readyz").status == 503)
        for name, operation in wanted.items():
            if operation.method != "GET":
                body = '{"message":"%d"}' % time.monotonic_ns() if name == "heartbeat" else None
                got[name] = self.ask(home, operation, body=body)
        over.set()
        for thread in threads:
            thread.join(kit.HANG_S)
        (disk / "filler").unlink()
        kit.eventually("the store takes writes again", lambda: home.ask("GET", "/readyz").status == 200)
        for name, answer in got.items():
            self.provoked(wanted.pop(name), answer, "store_unavailable")

    def stopping(self):
        """The last byte of each request comes when the server is already stopping."""
        home = self.started(name="stopping")
        wires = []
        for operation in self.promising("unavailable"):
            wire = socket.create_connection(("127.0.0.1", home.port), timeout=kit.HANG_S)
            self.addCleanup(wire.close)
            body = (operation.body or " ").encode()
            wire.sendall(operation.head(f"Content-Length: {len(body)}") + body[:-1])
            wires.append((operation, wire, body[-1:]))
        kit.eventually("they are all there", lambda: home.ask("GET", "/healthz").status == 200)
        home.child.send_signal(15)
        home.wait_for_log("stopping")
        for operation, wire, last in wires:
            wire.sendall(last)
            self.provoked(operation, read_answer(wire), "unavailable")
        self.assertEqual(0, home.wait())

    def no_memory(self):
        operation = self.operations["list_instances"]
        if b"__asan_init" in pathlib.Path(kit.program()).read_bytes():
            self.excuse("out_of_memory", "a sanitizer has a memory of its own")
            return
        home = self.server("memory")
        client = home.client()
        self.addCleanup(client.close)
        for number in range(300):  # more than six megabytes to tell
            labels = {f"{key:03}": "v" * 256 for key in range(64)}
            self.expect(kit.register(client, f"web-{number}", labels), 201)
        status = pathlib.Path(f"/proc/{home.child.pid}/status").read_text()
        used = int(re.search(r"VmSize:\s*(\d+) kB", status).group(1)) << 10
        resource.prlimit(home.child.pid, resource.RLIMIT_AS, (used + (1 << 20), resource.RLIM_INFINITY))
        self.provoked(operation, self.ask(home, operation), "out_of_memory")
        resource.prlimit(home.child.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.expect(self.ask(home, operation), 200)

    # ---- all of them ----

    def test_every_promised_error_is_provoked(self):
        for group in (self.forms, self.other_fleets, self.history, self.crowd, self.tokens, self.stopping,
                      self.no_memory, self.full_disk, self.elsewhere):
            with self.subTest(group=group.__name__):
                group()

        promised = {(operation.name, status, code) for operation in self.operations.values()
                    for status, code in operation.promises}
        elsewhere = {one for one in promised if (one[0], one[2]) in ELSEWHERE or ("*", one[2]) in ELSEWHERE}
        self.assertEqual([], sorted(promised - self.kept - elsewhere - self.excused))
        self.assertEqual([], sorted(self.kept - promised))
        self.assertGreater(len(self.kept), 200)

    def test_every_code_is_promised_by_some_operation_or_cannot_be(self):
        promised = {code for operation in self.operations.values() for code in operation.codes()}

        self.assertEqual(set(), self.codes - set(NOT_PROMISED) - promised)


if __name__ == "__main__":
    kit.main()

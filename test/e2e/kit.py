# SPDX-License-Identifier: Apache-2.0
# kit.py - what the end-to-end tests share: the real server as a child process, a small HTTP client,
# a reader of event streams, scripted agents, and the closing lines that tool/run-tests counts.
#
# The program under test is the one named by the environment variable DIDES. With E2E_IO_THREADS=2 its
# servers hold their connections on two threads, and every test must pass all the same. Nothing here
# asserts how long something takes: HANG_S only keeps a broken program from blocking the run for ever.
import atexit
import ctypes
import functools
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HANG_S = 60
SKIPPED = 77  # what Meson takes for "skipped"
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_children = []


def program():
    path = os.environ.get("DIDES")
    if not path or not os.access(path, os.X_OK):
        sys.exit("the environment variable DIDES must name the program under test")
    return os.path.abspath(path)


def environment(**more):
    """Ours without settings of dides, so that nobody's shell changes a test."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DIDES")}
    if os.geteuid() != 0:  # the server forbids tracing, which finding leaks needs; only root may still
        clean["ASAN_OPTIONS"] = clean.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return {**clean, **more}


def is_sanitizer_report(line):
    """Undefined behaviour is told and survived, in a build that looks for it."""
    return "runtime error:" in line or "Sanitizer:" in line


def _dies_with_us():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_us():
    """For a child that has something to do at its end, such as a shell with a trap."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def spawn(arguments, **options):
    """A child in a process group of its own, which ends when this process does."""
    child = subprocess.Popen(arguments, start_new_session=True, preexec_fn=_dies_with_us, **options)
    _children.append(child)
    return child


def kill_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    if child in _children:
        _children.remove(child)


@atexit.register
def _kill_all():
    for child in list(_children):
        kill_group(child)


def eventually(what, check, deadline_s=HANG_S):
    """The first true result of check(). The deadline is a guard against hanging, no expectation."""
    end = time.monotonic() + deadline_s
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"this never came true: {what}")
        time.sleep(0.01)


# ---- HTTP --------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


# ---- the reference of the API -------------------------------------------------------------------


class Operation:
    """One method of one path, with the errors that the reference promises: (status, code)."""

    def __init__(self, path, method, described):
        self.name, self.path, self.method = described["operationId"], path, method.upper()
        self.promises = {(int(status), code) for status, answer in described["responses"].items() if int(status) >= 400
                         for code in answer["content"]["application/problem+json"]["schema"]["allOf"][1]
                         ["properties"]["code"]["enum"]}
        self.pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "/?")


@functools.cache
def reference():
    """What the program under test says of its API."""
    return json.loads(subprocess.run([program(), "openapi"], check=True, capture_output=True,
                                     env=environment()).stdout)


def operations(document, kind=Operation):
    return [kind(path, method, described) for path, item in document["paths"].items()
            for method, described in item.items()]


@functools.cache
def _known_operations():
    return operations(reference())


def check_promised(method, target, answer):
    """Every error that any test meets must be one that the reference promises for its operation."""
    if answer.status < 400 or answer.headers.get("Content-Type") != "application/problem+json" or not answer.body:
        return
    path, code = target.split("?")[0], answer.json()["code"]
    for operation in _known_operations():
        if operation.method == method and operation.pattern.fullmatch(path):
            assert (answer.status, code) in operation.promises, f"{operation.name} does not promise {answer}"
            return
    assert code in ("not_found", "method_not_allowed", *EVERYWHERE), f"{method} {target}: {answer}"


# Found before anybody looks for the operation.
EVERYWHERE = ("invalid", "body_too_large", "uri_too_long", "headers_too_large", "limit_reached", "rate_limited")

# What a client sees when the server is gone or gives no answer.
Unanswered = (ConnectionError, http.client.HTTPException, TimeoutError, socket.timeout, OSError)


class Client:
    """One connection, kept alive; opened anew when the server has closed it. Not for two threads."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method, path, body=None, headers=None):
        """Asks once and never again by itself: a request without an answer raises Unanswered."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except Unanswered:
            self.close()
            raise
        if response.will_close:
            self.close()
        check_promised(method, path, answer)
        return answer

    def get(self, path, **more):
        return self.send("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.send("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.send("PATCH", path, body, **more)


def quoted(name):
    return urllib.parse.quote(name, safe="")


def instance_path(name):
    return "/inventory/instances/" + quoted(name)


class Event:
    def __init__(self, index, kind, data):
        self.index, self.kind, self.text = index, kind, data
        self.data = json.loads(data)

    def __eq__(self, other):
        return (self.index, self.kind, self.text) == (other.index, other.kind, other.text)

    def __repr__(self):
        return f"{self.index} {self.text}"


class Stream:
    """An event stream, read entry by entry. Comments are counted."""

    def __init__(self, port, query="", last_event_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self.connection.request("GET", "/events" + query, headers=headers)
        self.response = self.connection.getresponse()
        self.status, self.headers = self.response.status, self.response.headers
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def problem(self):
        return json.loads(self.response.read())

    def next(self):
        """The next entry, or None when the stream has ended in good order."""
        fields = {}
        while True:
            line = self.response.readline()
            if line == b"":
                if fields:
                    raise ConnectionError("the stream was cut inside an entry")
                return None
            line = line.rstrip(b"\r\n").decode()
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                return Event(int(fields["id"]), fields["event"], fields["data"])

    def until(self, wanted):
        """All entries up to the first one for which wanted(entry) is true, that one included."""
        seen = []
        while True:
            event = self.next()
            if event is None:
                raise AssertionError(f"the stream ended before what was wanted: {seen[-3:]}")
            seen.append(event)
            if wanted(event):
                return seen

    def rest(self):
        seen = []
        while event := self.next():
            seen.append(event)
        return seen


# ---- the server --------------------------------------------------------------------------------


class Server:
    """`dides server` on a free port. wrapper: words before it on the command line, as of strace."""

    def __init__(self, data, *, sets=(), arguments=(), variables=None, wrapper=()):
        self.data = str(data)
        self.command = [*wrapper, program(), "server", "--listen", "127.0.0.1:0", "--data", self.data]
        if os.environ.get("E2E_IO_THREADS"):
            self.command += ["--set", f"io_threads={os.environ['E2E_IO_THREADS']}"]
        for pair in sets:
            self.command += ["--set", pair]
        self.command += arguments
        self.variables = variables or {}
        self.log, self.child, self.port = [], None, 0
        self._log_changed = threading.Condition()
        self._reader = None

    def spawn(self):
        """Starts the process and waits for nothing."""
        self.child = spawn(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, env=environment(**self.variables))
        self._reader = threading.Thread(target=self._read_log, args=(self.child,), daemon=True)
        self._reader.start()
        return self

    def listen(self):
        """Starts the process and waits until it listens, ready or not."""
        with self._log_changed:
            said_before = len(self.log)
        self.spawn()
        line = self.wait_for_log("listening", since=said_before)
        self.port = int(line["address"].rpartition(":")[2])
        return self

    def start(self):
        """Starts the process and waits until /readyz says so."""
        self.listen()
        eventually("the server is ready", lambda: self.ask("GET", "/readyz").status == 200)
        return self

    def _read_log(self, child):
        for line in child.stderr:
            text = line.decode(errors="replace").rstrip("\n")
            try:
                entry = json.loads(text)
            except ValueError:
                entry = {"message": text}
            with self._log_changed:
                self.log.append(entry)
                self._log_changed.notify_all()
        with self._log_changed:
            self.log.append({"message": "", "is_end_of_log": True})
            self._log_changed.notify_all()

    def wait_for_log(self, message, since=0):
        end = time.monotonic() + HANG_S
        with self._log_changed:
            position = since
            while True:
                while position < len(self.log):
                    entry = self.log[position]
                    position += 1
                    if entry["message"] == message:
                        return entry
                    if "is_end_of_log" in entry:
                        raise AssertionError(f"the server ended without {message!r}: {self.log_text()}")
                if not self._log_changed.wait(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"the server never said {message!r}: {self.log_text()}")

    def log_text(self):
        return "\n".join(json.dumps(entry) for entry in self.log)

    def client(self):
        return Client(self.port)

    def ask(self, method, path, body=None, headers=None):
        """One request on a connection of its own."""
        client = self.client()
        try:
            return client.send(method, path, body, headers)
        finally:
            client.close()

    def events(self, query="?after=0&follow=false"):
        with Stream(self.port, query) as stream:
            assert stream.status == 200, stream.problem()
            return stream.rest()

    def metrics(self):
        """Values by name, labels included as written."""
        values = {}
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def newest_index(self):
        return int(self.metrics()["dides_events_index"])

    def wait(self):
        """The exit code; negative when a signal ended it."""
        code = self.child.wait(timeout=HANG_S)
        self._reader.join(HANG_S)
        self.child.stderr.close()
        if self.child in _children:
            _children.remove(self.child)
        return code

    def kill(self):
        kill_group(self.child)
        self._reader.join(HANG_S)
        self.child.stderr.close()

    def terminate(self, signal_number=signal.SIGTERM):
        self.child.send_signal(signal_number)
        return self.wait()

    def release(self):
        """Ends what still runs as an operator would; a server that was fine must end with 0."""
        if self.child and self.child.poll() is None:
            try:
                code = self.terminate()
            finally:
                kill_group(self.child)
            assert code == 0, f"it ended with {code}: {self.log_text()}"
        elif self.child and not self.child.stderr.closed:
            self.wait()
        for entry in self.log:
            assert not is_sanitizer_report(entry["message"]), self.log_text()


def open_database(data):
    """Read-only, as an operator with the sqlite3 shell would."""
    path = pathlib.Path(data, "dides.db")
    return sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True)


# ---- agents ------------------------------------------------------------------------------------


def register(client, name, labels=None, ip="10.0.0.1", token="try-out"):
    return client.post("/inventory/register",
                       {"instance": {"name": name, "ip": ip, "labels": labels or {}}, "token": token})


class Agent:
    """Does at its next heartbeat what it was told at the last one. will_fail(code_version): whether
    its update to that version fails; then it goes on running the old one, reports FAILED, and tries
    again for as long as it is asked to."""

    def __init__(self, name, labels=None, code="1.0.0", config="c1", will_fail=lambda code: False):
        self.name, self.labels, self.will_fail = name, labels or {}, will_fail
        self.code, self.config, self.status = code, config, "HEALTHY"
        self.order = None       # the last reply, when it told us to change
        self.generation = None  # the newest one heard; reports say so, lest a late one counts as new
        self.told = []          # (rollout, code version, configuration version) of every order

    def register(self, client):
        return register(client, self.name, self.labels)

    def obey(self):
        order, self.order = self.order, None
        if order is None:
            self.status = "HEALTHY"  # nothing is asked of it: what it runs is what it ran before
            return
        wish = order["desired_state"]
        if self.will_fail(wish["code_version"]):
            self.status = "FAILED"
            return
        self.code = wish["code_version"] or self.code
        self.config = wish["configuration_version"] or self.config
        self.status = "HEALTHY"

    def body(self):
        report = {"code_version": self.code, "configuration_version": self.config, "status": self.status}
        return report if self.generation is None else {**report, "observed_generation": self.generation}

    def beat(self, client):
        self.obey()
        answer = client.patch(instance_path(self.name), self.body())
        if answer.status == 200:
            self.hear(answer.json())
        return answer

    def hear(self, reply):
        self.generation = reply["generation"]
        if not reply["update_needed"]:
            return
        wish = reply["desired_state"]
        self.order = reply
        told = (reply["deployment_id"], wish["code_version"], wish["configuration_version"])
        if not self.told or self.told[-1] != told:
            self.told.append(told)


class Fleet:
    """Agents that report in turn over one connection."""

    def __init__(self, server, agents):
        self.client, self.agents = server.client(), {agent.name: agent for agent in agents}

    def __getitem__(self, name):
        return self.agents[name]

    def join(self):
        for agent in self.agents.values():
            assert agent.register(self.client).status in (200, 201)
            assert agent.beat(self.client).status == 200
        return self

    def turn(self):
        for agent in self.agents.values():
            answer = agent.beat(self.client)
            assert answer.status == 200, answer

    def rollout(self, number):
        answer = self.client.get(f"/deploy/{number}")
        assert answer.status == 200, answer
        return answer.json()

    def run(self, number, wanted, each_turn=lambda record: None):
        """Turns until the record satisfies wanted(record); returns that record."""
        end = time.monotonic() + HANG_S
        while True:
            record = self.rollout(number)
            each_turn(record)
            if wanted(record):
                return record
            if time.monotonic() > end:
                raise AssertionError(f"this rollout got nowhere: {json.dumps(record)}")
            self.turn()

    def run_to_end(self, number, each_turn=lambda record: None):
        return self.run(number, lambda record: record["status_name"] in ("COMPLETED", "FAILED"), each_turn)

    def versions(self):
        return {name: agent.code for name, agent in self.agents.items()}


def deploy_body(code, labels=None, config=None, **configuration):
    body = {"code_version": code, "configuration": configuration}
    if labels is not None:
        body["labels"] = labels
    if config is not None:
        body["configuration_version"] = config
    return body


# ---- test programs -----------------------------------------------------------------------------


class Case(unittest.TestCase):
    """Gives each test a folder of its own and ends its servers."""

    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="dides-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def server(self, name="data", **options):
        server = self.server_unstarted(name, **options)
        return server.start()

    def server_unstarted(self, name="data", **options):
        server = Server(pathlib.Path(self.folder, name), **options)
        self.addCleanup(server.release)
        return server

    def fleet(self, server, agents):
        fleet = Fleet(server, agents)
        self.addCleanup(fleet.client.close)
        return fleet.join()

    def expect(self, answer, status, code=None):
        self.assertEqual(status, answer.status, answer)
        if code is not None:
            self.assertEqual("application/problem+json", answer.headers["Content-Type"])
            self.assertEqual(code, answer.json()["code"], answer)
        return answer

    def deploy(self, client, body, status=201):
        return self.expect(client.post("/deploy", body), status).json()


class _Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.stream.flush()


def main():
    """Runs the test cases of the calling program. The last line is "N passed, N failed"."""
    program()
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    if len(sys.argv) > 1:
        suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], sys.modules["__main__"])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    faults = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
    failed = len({getattr(test, "test_case", test).id() for test in faults})
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not result.testsRun else SKIPPED if passed == 0 else 0)

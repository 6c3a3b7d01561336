# SPDX-License-Identifier: Apache-2.0
# http_kit.py - what the programs about HTTP share: servers that are measured (dides, nginx with a
# fixed answer, a bare epoll loop), a fleet that is registered with the first, wrk, and the cost of a
# process as the kernel counts it. Standard library only.
#
# Each server gets one core and each client another one. A server listens on a free port of loopback
# and keeps its files in a temporary folder; all of it goes when the program ends.
import atexit
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PIPE = subprocess.PIPE
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_folder = pathlib.Path(tempfile.mkdtemp(prefix="dides-bench-"))
_children = []


@atexit.register
def _end():
    for child in reversed(_children):
        if child.poll() is None:
            child.kill()
            child.wait()
    shutil.rmtree(_folder, ignore_errors=True)


def fail(sentence):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {sentence}")


def folder():
    return _folder


def need(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or fail(f"{name} is missing; tool/deps bench installs it")


def _begin(core):
    def prepare():
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})
    return prepare


def spawn(arguments, core, **options):
    child = subprocess.Popen(arguments, preexec_fn=_begin(core), **options)
    _children.append(child)
    return child


def median(values):
    return statistics.median(values)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


# ---- what a process costs ----------------------------------------------------------------------


def cpu_us(pid):
    """User and system time of all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def resident(pid):
    """Bytes of its own memory that stand in RAM."""
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def kernel_memory():
    """Bytes that the kernel says it uses for itself: slabs (sockets, descriptors, epoll items) and
    buffers of TCP. Of the whole machine."""
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M))
    tcp = re.search(r"^TCP:.* mem (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)
    return int(meminfo["Slab"]) * 1024 + int(tcp.group(1)) * PAGE


# ---- servers -----------------------------------------------------------------------------------


class Server:
    """A server on SERVER_CORE; `pid` is the process that serves."""

    def __init__(self, name, child, port):
        self.name, self.child, self.port, self.pid = name, child, port, child.pid

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            fail(f"{self.name} does not end")


def start_epoll(program, body_size):
    child = spawn([program, str(body_size)], SERVER_CORE, stdout=subprocess.PIPE, text=True)
    return Server("bare epoll", child, int(child.stdout.readline()))


NGINX = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile {files};
pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections {files}; use epoll; multi_accept on; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; tcp_nodelay on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type application/json;
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {answer} }} }}
}}
"""


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_nginx(body_size):
    """It answers every request with that many bytes; a GET when they are more than its configuration
    can hold, and come from a file."""
    folder = _folder / "nginx"
    folder.mkdir()
    port = _free_port()
    config = folder / "nginx.conf"
    files = os.sysconf("SC_OPEN_MAX") - 100
    answer = f'return 200 "{"x" * body_size}";'
    if body_size > 4000:
        (folder / "page").write_text("x" * body_size)
        answer = f"root {folder}; try_files /page =404;"
    config.write_text(NGINX.format(folder=folder, port=port, answer=answer, files=files))
    child = spawn([need("nginx"), "-e", "stderr", "-p", folder, "-c", config], SERVER_CORE)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return Server("nginx", child, port)
        except ConnectionRefusedError:
            time.sleep(0.02)
    fail("nginx does not listen")


def start_dides(program, *, name="dides", store="sqlite", sets=()):
    folder = pathlib.Path(tempfile.mkdtemp(dir=_folder))
    arguments = [program, "server", "--listen", "127.0.0.1:0", "--data", folder / "data", "--store", store]
    for one in sets:
        arguments += ["--set", one]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DIDES_")}
    log = open(folder / "log", "w+")
    child = spawn(arguments, SERVER_CORE, stderr=log, env=clean)
    for _ in range(500):
        log.seek(0)
        found = re.search(r'"address":"[^"]*:(\d+)"', log.read())
        if found:
            return Server(name, child, int(found.group(1)))
        if child.poll() is not None:
            break
        time.sleep(0.02)
    log.seek(0)
    fail(f"{program} does not serve: {log.read()}")


# ---- requests ----------------------------------------------------------------------------------


def request(method, path, body=None, fields=()):
    """The bytes of one request, as agents send it."""
    text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: dides", "Accept: */*", *fields]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + text


def connect(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_answer(s):
    """Status and body of one answer with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(65536) or fail("the server closed a connection")
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
    while len(body) < size:
        body += s.recv(1 << 20) or fail("the server closed a connection")
    return int(head.split()[1]), body


def ask(port, method, path, body=None, fields=()):
    with connect(port) as s:
        s.sendall(request(method, path, body, fields))
        status, answer = read_answer(s)
    if status >= 300:
        fail(f"{method} {path} was answered {status}: {answer[:300]}")
    return json.loads(answer) if answer else None


def ask_text(port, path):
    """The body of a GET that may come in chunks."""
    answer = http.client.HTTPConnection("127.0.0.1", port)
    answer.request("GET", path)
    return answer.getresponse().read().decode()


def metric(port, name):
    lines = ask_text(port, "/metrics").splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))


def ask_many(port, requests, connections=128):
    """All answers in order; some requests are under way at once, so that they share commits."""
    sockets = [connect(port) for _ in range(connections)]
    answers = []
    for start in range(0, len(requests), connections):
        some = requests[start:start + connections]
        for s, r in zip(sockets, some):
            s.sendall(r)
        for s, r in zip(sockets, some):
            status, body = read_answer(s)
            if status >= 300:
                fail(f"{r[:60]} was answered {status}: {body[:300]}")
            answers.append(body)
    for s in sockets:
        s.close()
    return answers


def report(code="1.0.0", status="HEALTHY", generation=0):
    return {"code_version": code, "configuration_version": "c1", "status": status, "message": "",
            "observed_generation": generation}


class Fleet:
    """Instances web-00001 and so on, registered, each with its first report made. Heartbeats carry a
    credential when the server has registration tokens."""

    def __init__(self, server, count, token="any"):
        self.server, self.names = server, [f"web-{i:06}" for i in range(1, count + 1)]
        labels = [{"env": "prod", "role": f"role-{i % 8}", "zone": f"zone-{i % 12}"} for i in range(96)]
        answers = ask_many(server.port, [
            request("POST", "/inventory/register", {"instance": {"name": name, "labels": labels[i % 96]},
                                                    "token": token})
            for i, name in enumerate(self.names)])
        self.fields = [[] for _ in self.names]
        for fields, answer in zip(self.fields, answers):
            credential = json.loads(answer)["credential"]
            if credential:
                fields.append(f"Authorization: Bearer {credential}")
        self.answers = ask_many(server.port, self.heartbeats(report()))

    def part(self, first, end):
        some = object.__new__(Fleet)
        some.server, some.names, some.fields = self.server, self.names[first:end], self.fields[first:end]
        return some

    def heartbeats(self, body, query=""):
        return [request("PATCH", f"/inventory/instances/{name}{query}", body, fields)
                for name, fields in zip(self.names, self.fields)]


# ---- wrk ---------------------------------------------------------------------------------------

LUA = """
local requests, count, at = {{}}, 0, 0
for size in io.lines("{sizes}") do count = count + 1; requests[count] = tonumber(size) end
local file = io.open("{bytes}", "rb")
for i = 1, count do requests[i] = file:read(requests[i]) end
file:close()
request = function() at = at % count + 1; return requests[at] end
"""


class Load:
    """Requests that wrk repeats in order, spread over its connections. wrk is threaded to nothing
    else: one thread on CLIENT_CORE."""

    def __init__(self, name, requests):
        self.script = _folder / f"{name}.lua"
        (_folder / f"{name}.sizes").write_text("".join(f"{len(r)}\n" for r in requests))
        (_folder / f"{name}.bytes").write_bytes(b"".join(requests))
        self.script.write_text(LUA.format(sizes=_folder / f"{name}.sizes", bytes=_folder / f"{name}.bytes"))

    def run(self, server, connections, seconds):
        """Requests per second, the server's us of CPU for each, and the median and 99th percentile
        of their latencies in ms."""
        before = cpu_us(server.pid)
        wrk = spawn([need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s",
                     self.script, f"http://127.0.0.1:{server.port}/"], CLIENT_CORE, stdout=subprocess.PIPE, text=True)
        said = wrk.communicate()[0]
        spent = cpu_us(server.pid) - before
        count = int(re.search(r"(\d+) requests in", said).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
        if "Non-2xx" in said or "Socket errors" in said:
            fail(f"{server.name} with {connections} connections: {said}")
        return rate, spent / count, _latency(said, "50%"), _latency(said, "99%")


def _latency(said, percentile):
    number, unit = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s)$", said, re.M).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

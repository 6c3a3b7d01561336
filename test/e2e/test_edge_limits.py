#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_edge_limits.py - exact limits of requests, slow clients beside a healthy one, requests one
# behind another, and clients that leave in the middle. How slow readers of the event stream fare
# stands in test_events.py, guessers of tokens in test_tokens.py.
#
# DIDES_SLOW_CLIENTS=5000 asks for more slow clients than a test has time for.
import json
import os
import re
import resource
import select
import socket
import struct

import kit

SLOW = int(os.environ.get("DIDES_SLOW_CLIENTS", "600"))
URL_MAX, HEAD_MAX, FIELDS_MAX = 8192, 16384, 64


def head(target, *fields, method="GET"):
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: x", *fields, "", "")).encode()


def statuses(heard):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", heard)]


class Limits(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.address = ("127.0.0.1", self.home.port)
        self.wires = []
        self.addCleanup(lambda: [wire.close() for wire in self.wires])

    def dial(self, receive_bytes=None):
        wire = socket.socket()
        self.wires.append(wire)
        wire.settimeout(kit.HANG_S)
        if receive_bytes:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        wire.connect(self.address)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire

    def ask(self, sent):
        """The status of the first answer."""
        wire = self.dial()
        wire.sendall(sent)
        heard = b""
        while b"\r\n" not in heard and (piece := wire.recv(4096)):
            heard += piece
        wire.close()
        return statuses(heard)[0]

    # ---- sizes ----

    def test_a_url_of_8192_bytes_is_taken_and_one_more_is_414(self):
        fill = URL_MAX - len("/healthz?")
        for more, status in ((0, 400), (1, 414)):  # 400: such a parameter is not known
            self.assertEqual(status, self.ask(head("/healthz?" + "a" * (fill + more), "X-Fill: " + "y" * 1300)))

    def test_a_head_of_16384_bytes_is_taken_and_one_more_is_431(self):
        fill = HEAD_MAX - len(head("/healthz", "X: "))
        for more, status in ((0, 200), (1, 431)):
            self.assertEqual(status, self.ask(head("/healthz", "X: " + "y" * (fill + more))))

    def test_64_fields_are_taken_and_one_more_is_431(self):
        for more, status in ((0, 200), (1, 431)):
            fields = [f"X-{i}: {'y' * 30}" for i in range(FIELDS_MAX - 1 + more)]
            self.assertEqual(status, self.ask(head("/healthz", *fields)))

    def test_a_body_over_its_limit_is_refused_before_it_comes(self):
        """No byte of the body is sent: who answers has not waited for one."""
        for method, target, limit in (("POST", "/inventory/register", 65536), ("POST", "/deploy", 262144),
                                      ("PATCH", "/inventory/instances/a", 65536)):
            with self.subTest(target=target):
                wire = self.dial()
                wire.sendall(head(target, f"Content-Length: {limit + 1}", "Expect: 100-continue", method=method))
                self.assertEqual([413], statuses(wire.recv(4096)))
                wire.close()
                wire = self.dial()
                wire.sendall(head(target, f"Content-Length: {limit}", "Expect: 100-continue", method=method))
                self.assertEqual([100], statuses(wire.recv(4096)))
                wire.close()

    # ---- slow clients (FH1) ----

    def test_slow_clients_delay_nobody_and_are_closed(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, SLOW + 200)), hard))
        heads = [self.dial() for _ in range(SLOW // 3)]
        bodies = [self.dial() for _ in range(SLOW // 3)]
        readers = [self.dial(receive_bytes=2048) for _ in range(SLOW // 3)]
        for wire in heads:
            wire.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        for wire in bodies:
            wire.sendall(head("/deploy", "Content-Length: 1000", method="POST") + b"{")
        for wire in readers:
            wire.sendall(head("/openapi.json"))  # a large answer, of which nothing is read

        client = self.home.client()
        self.addCleanup(client.close)
        for i in range(200):
            self.assertEqual(201, kit.register(client, f"web-{i}").status)
        for i, wire in enumerate(heads):
            if i % 4 == 0:
                wire.sendall(b"s")  # a byte now and then is no progress
        metrics = self.home.metrics()

        self.assertEqual(200, client.get("/inventory/instances").json()["count"])
        self.assertGreaterEqual(metrics["dides_http_connections"], len(bodies))
        self.wait_closed(heads)
        self.assertEqual(200, client.get("/healthz").status)

    def wait_closed(self, wires):
        poll = select.poll()
        left = {wire.fileno(): wire for wire in wires}
        for number in left:
            poll.register(number, select.POLLIN | select.POLLHUP)
        while left:
            ready = poll.poll(kit.HANG_S * 1000)
            self.assertTrue(ready, f"{len(left)} slow clients are never closed")
            for number, _ in ready:
                try:
                    is_closed = left[number].recv(4096) == b""
                except ConnectionError:
                    is_closed = True
                if is_closed:
                    poll.unregister(number)
                    del left[number]

    # ---- one behind another, and leaving (FH5) ----

    def test_requests_one_behind_another_are_answered_in_order(self):
        count = 60
        wire = self.dial()
        sent = b""
        for i in range(count):
            body = json.dumps({"instance": {"name": f"web-{i}"}, "token": "try-out"}).encode()
            sent += head("/inventory/register", f"Content-Length: {len(body)}", method="POST") + body
            sent += head(f"/inventory/instances/web-{i}")
        wire.sendall(sent)
        heard, names = b"", []
        while len(names) < count:
            piece = wire.recv(65536)
            self.assertTrue(piece, heard[-300:])
            heard += piece
            names = re.findall(rb'\r\n\r\n\{"name":"(web-\d+)"', heard)

        self.assertEqual([b"web-%d" % i for i in range(count)], names)
        self.assertEqual([201, 200] * count, statuses(heard))

    def test_who_closes_his_side_is_answered_all_the_same(self):
        wire = self.dial()
        wire.sendall(head("/healthz") + head("/readyz"))
        wire.shutdown(socket.SHUT_WR)

        heard = b"".join(iter(lambda: wire.recv(65536), b""))

        self.assertEqual([200, 200], statuses(heard))

    def test_clients_that_break_off_anywhere_do_no_harm(self):
        client = self.home.client()
        self.addCleanup(client.close)
        kit.register(client, "web-0")
        body = b'{"instance":{"name":"half"},"token":"try-out"}'
        talks = [
            b"", b"GET /hea", head("/healthz")[:-2], head("/inventory/instances"), head("/events?after=0"),
            head("/inventory/instances/web-0?wait=30s", "Content-Length: 2", method="PATCH") + b"{}",
            head("/inventory/register", f"Content-Length: {len(body)}", method="POST") + body[:-1],
            head("/inventory/register", "Transfer-Encoding: chunked", method="POST") + b"5\r\nab",
            head("/openapi.json") * 30,
        ]
        for sent in talks * 8:
            wire = self.dial()
            wire.sendall(sent)
            # Closed at once and with what was not read: a reset, in whatever the server is doing.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()

        self.assertEqual(["web-0"], [one["name"] for one in client.get("/inventory/instances").json()["instances"]])
        kit.eventually("their connections are gone", lambda: self.home.metrics()["dides_http_connections"] <= 3)


if __name__ == "__main__":
    kit.main()

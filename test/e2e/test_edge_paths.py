#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_edge_paths.py - paths and methods against a small router of our own, made from the reference
# of the API; hosts and origins.
import random
import re
import socket
import urllib.parse

import kit

SEED = 20310102
PATHS = 1500
SEGMENTS = ["deploy", "inventory", "instances", "register", "web-1", "r-1", "events", "metrics", "openapi.json", "pause", "plan", "rollback",
            "", ".", "..", "%2e%2e", "%2E", "..%2f", "%2f", "%2F", "%00", "%", "%4", "%zz", "%25", "%2500", "a;b", ";", "web-1;x=y", "Deploy",
            "DEPLOY", "%64eploy", "d%65ploy", "*", "~", "a+b", "a%20b", "%c3%bc", "%ff", "%0a", "%1b", "@", ":", "$(id)", "'", "|", "{name}", "\\",
            "\xc3\xbc", "healthz", "readyz"]
METHODS = ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE", "CONNECT", "HEAD", "BREW", "get", "G!ET", "PROPFIND"]


class Router:
    """(status, methods): 404, 405 with what is allowed, 400 for a bad escape, or None: some handler's."""

    def __init__(self):
        self.rows = [(operation.method, operation.path.split("/")) for operation in kit.operations(kit.reference())]

    @staticmethod
    def fits(pattern, have):
        return len(pattern) == len(have) and all(
            piece != "" if want.startswith("{") else want == piece for want, piece in zip(pattern, have))

    @staticmethod
    def is_escaped_well(text):
        return re.fullmatch(r"(?:[^%]|%[0-9A-Fa-f]{2})*", text) and "\0" not in urllib.parse.unquote(text, "latin-1")

    def route(self, method, path):
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        have = path.split("/")
        wanted = "GET" if method == "HEAD" else method
        rows = [(verb, pattern) for verb, pattern in self.rows if self.fits(pattern, have)]
        if not rows:
            return 404, set()
        allowed = {verb for verb, _ in rows} | ({"HEAD"} if any(verb == "GET" for verb, _ in rows) else set())
        mine = [pattern for verb, pattern in rows if verb == wanted]
        if not mine:
            return 405, allowed
        parts = [piece for want, piece in zip(mine[0], have) if want.startswith("{")]
        return (None if all(map(self.is_escaped_well, parts)) else 400), allowed


class Paths(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()

    def raw(self, method, target, *fields):
        """Status, fields and body of one answer."""
        sent = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *fields, "", ""))
        with socket.create_connection(("127.0.0.1", self.home.port), timeout=kit.HANG_S) as wire:
            wire.sendall(sent.encode("latin-1"))
            heard = b"".join(iter(lambda: wire.recv(65536), b""))
        start, _, body = heard.partition(b"\r\n\r\n")
        lines = start.decode("latin-1").split("\r\n")
        return int(lines[0].split(" ")[1]), dict(line.split(": ", 1) for line in lines[1:]), body

    def test_paths_and_methods_go_where_the_reference_says(self):
        dice = random.Random(SEED)
        router = Router()
        rows = [path for _, path in router.rows]
        seen = set()
        for _ in range(PATHS):
            method = dice.choice(METHODS) if dice.randrange(3) == 0 else dice.choice(METHODS[:4])
            pattern = dice.choice(rows)
            pieces = [dice.choice(SEGMENTS) if piece.startswith("{") or dice.randrange(8) == 0 else piece for piece in pattern[1:]]
            while dice.randrange(6) == 0:
                pieces.insert(dice.randrange(len(pieces) + 1), dice.choice(SEGMENTS))
            path = "/" + "/".join(pieces)
            expected, allowed = router.route(method, path)
            if path.strip("/") in ("events", "backup"):
                continue  # these answer for as long as one listens
            status, fields, body = self.raw(method, path)
            with self.subTest(method=method, path=path):
                seen.add(expected)
                if expected is not None:
                    self.assertEqual(expected, status, body)
                else:
                    self.assertNotEqual(405, status)
                    self.assertNotIn(b"there is no route", body)
                if expected == 405:
                    self.assertEqual(allowed, set(fields["Allow"].split(", ")))
                self.assertNotIn(b"\x1b", body)
                self.assertNotIn(b"\0", body)
        self.assertEqual({None, 400, 404, 405}, seen)

    def test_a_name_is_decoded_once(self):
        client = self.home.client()
        self.addCleanup(client.close)
        for name, path in (("../etc", "..%2Fetc"), ("..", ".."), ("%2e", "%252e"), ("a;b=c", "a;b=c"), ("a/b", "a%2fb"), ("\u00fc", "%c3%bc"),
                           ("+", "+"), ("$(id)", "$(id)")):
            with self.subTest(name=name):
                self.assertEqual(201, kit.register(client, name).status)
                status, _, body = self.raw("GET", "/inventory/instances/" + path)
                self.assertEqual(200, status, body)
                self.assertIn(kit.json.dumps(name, ensure_ascii=False).encode(), body)

    def test_hosts_that_are_none_are_refused_and_origins_get_no_leave(self):
        """Nothing tells a browser that pages of other origins may read an answer."""
        for fields in (("Host: y",), ("Host: x",)):
            self.assertEqual(400, self.raw("GET", "/healthz", *fields)[0])
        for method, fields in (("GET", ("Origin: http://evil.example",)),
                               ("OPTIONS", ("Origin: http://evil.example", "Access-Control-Request-Method: PATCH"))):
            status, heard, _ = self.raw(method, "/inventory/instances", *fields)
            self.assertEqual(200 if method == "GET" else 405, status)
            self.assertFalse([name for name in heard if name.lower().startswith("access-control-")], heard)


if __name__ == "__main__":
    kit.main()

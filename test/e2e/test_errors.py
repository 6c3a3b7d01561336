#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_errors.py - bad requests: each gets its status, its code and the place of its fault, and changes
# nothing. One row per request.
import json
import re
import socket

import kit

REGISTER, DEPLOY, ROLLBACK = "/inventory/register", "/deploy", "/deploy/rollback"
HEARTBEAT = "/inventory/instances/web-1"


def instance(**fields):
    return json.dumps({"instance": fields, "token": "t"})


def deploy(**fields):
    return json.dumps({"code_version": "2.0.0", **fields})


def configured(**keys):
    return deploy(configuration=keys)


# body, status, code, pointer (None: none is promised)
SYNTAX = (
    (b"", 400, "bad_json", None),
    (b"{", 400, "bad_json", None),
    (b"{}x", 400, "bad_json", None),
    (b"{} {}", 400, "bad_json", None),
    (b"[]", 400, None, None),
    (b'"text"', 400, "bad_json", None),
    (b"{'a':1}", 400, "bad_json", None),
    (b"{\"a\":1,}", 400, "bad_json", None),
    (b"{/* why */}", 400, "bad_json", None),
    (b"{\"a\":01}", 400, "bad_json", None),
    (b"{\"a\":NaN}", 400, "bad_json", None),
    (b"{\"a\":\"\xff\"}", 400, "bad_json", None),
    (b"{\"a\":\"\xc0\xaf\"}", 400, "bad_json", None),
    (b"{\"a\":\"\\ud800\"}", 400, "bad_json", None),
    (b"{\"a\":\"\x01\"}", 400, "bad_json", None),
    (b"\xef\xbb\xbf{}", 400, "bad_json", None),
    (b'{"a":' * 17 + b"1" + b"}" * 17, 400, "bad_json", None),
    (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "bad_json", None),
)

REGISTRATIONS = (
    (instance(ip="10.0.0.9", name=""), 201, None, None),  # an empty name is none: a good row first
    ("{}", 401, "unauthenticated", "/token"),
    ('{"instance":{"name":"x"}}', 401, "unauthenticated", "/token"),
    ('{"instance":{"name":7},"token":""}', 401, "unauthenticated", "/token"),
    ('{"instance":{"ip":"nonsense"},"token":null}', 401, "unauthenticated", "/token"),
    ('{"token":7}', 400, "invalid", "/token"),
    ('{"token":"' + "t" * 4097 + '"}', 400, "invalid", "/token"),
    ('{"token":"t"}', 400, "invalid", "/instance"),
    ('{"token":"t","instance":null}', 400, "invalid", "/instance"),
    ('{"token":"t","instance":[]}', 400, "invalid", "/instance"),
    (instance(), 400, "invalid", "/instance"),
    (instance(name="", ip=""), 400, "invalid", "/instance"),
    (instance(name=7), 400, "invalid", "/instance/name"),
    (instance(name="a\nb"), 400, "invalid", "/instance/name"),
    (instance(name="a\x7fb"), 400, "invalid", "/instance/name"),
    (instance(name="x" * 254), 400, "invalid", "/instance/name"),
    (instance(name="ü" * 127), 400, "invalid", "/instance/name"),
    (instance(name="x", ip="10.0.0.256"), 400, "invalid", "/instance/ip"),
    (instance(name="x", ip="10.0.0"), 400, "invalid", "/instance/ip"),
    (instance(name="x", ip="web-1"), 400, "invalid", "/instance/ip"),
    (instance(name="x", ip="::1::2"), 400, "invalid", "/instance/ip"),
    (instance(name="x", labels=[]), 400, "invalid", "/instance/labels"),
    (instance(name="x", labels={"env": 1}), 400, "invalid", "/instance/labels/env"),
    (instance(name="x", labels={"": "v"}), 400, "invalid", "/instance/labels/"),
    (instance(name="x", labels={"k" * 129: "v"}), 400, "invalid", None),
    (instance(name="x", labels={"a/b": "v" * 257}), 400, "invalid", "/instance/labels/a~1b"),
    (instance(name="x", labels={f"k{i}": "" for i in range(65)}), 400, "invalid", "/instance/labels"),
    ('{"token":"t","token":"t","instance":{"name":"x"}}', 400, "bad_json", "/token"),
    ('{"token":"t","instance":{"name":"x","name":"x"}}', 400, "bad_json", "/instance/name"),
    ('{"token":"t","instance":{"name":"x","labels":{"a":"1","a":"1"}}}', 400, "bad_json", "/instance/labels/a"),
)

HEARTBEATS = (
    ('{"status":4}', 400, "invalid", "/status"),
    ('{"status":-1}', 400, "invalid", "/status"),
    ('{"status":1.5}', 400, "invalid", "/status"),
    ('{"status":"GOOD"}', 400, "invalid", "/status"),
    ('{"status":"1"}', 400, "invalid", "/status"),
    ('{"status":true}', 400, "invalid", "/status"),
    ('{"status":99999999999999999999}', 400, "invalid", "/status"),
    ('{"updates":{"status":7}}', 400, "invalid", "/updates/status"),
    ('{"updates":7}', 400, "invalid", "/updates"),
    ('{"code_version":""}', 400, "invalid", "/code_version"),
    ('{"code_version":"' + "v" * 257 + '"}', 400, "invalid", "/code_version"),
    ('{"code_version":1}', 400, "invalid", "/code_version"),
    ('{"updates":{"current_state":{"CodeVersion":1}}}', 400, "invalid", "/updates/current_state/CodeVersion"),
    ('{"updates":{"current_state":{"CodeVersion":"1","code_version":"1"}}}', 400, "invalid", None),
    ('{"code_version":"a","updates":{"code_version":"b"}}', 400, "invalid", "/updates/code_version"),
    ('{"code_version":"a","updates":{"current_state":{"code_version":"b"}}}', 400, "invalid",
     "/updates/current_state/code_version"),
    ('{"message":"' + "m" * 513 + '"}', 400, "invalid", "/message"),
    ('{"labels":{"a":7}}', 400, "invalid", "/labels/a"),
    ('{"sent_at":"yesterday"}', 400, "invalid", "/sent_at"),
    ('{"observed_generation":-1}', 400, "invalid", "/observed_generation"),
    ('{"status":1,"status":1}', 400, "bad_json", "/status"),
)

DEPLOYS = (
    ("{}", 400, "invalid", "/code_version"),
    ('{"code_version":null}', 400, "invalid", "/code_version"),
    ('{"code_version":""}', 400, "invalid", "/code_version"),
    ('{"code_version":7}', 400, "invalid", "/code_version"),
    ('{"configuration_version":"c"}', 400, "invalid", "/code_version"),
    (deploy(code="x"), 400, "unknown_key", "/code"),
    (deploy(label={"env": "prod"}), 400, "unknown_key", "/label"),
    (deploy(labels={}, lables={}), 400, "invalid", None),
    (deploy(configuration={}, condiguration={}), 400, "invalid", None),
    (deploy(lables={"env": 7}), 400, "invalid", "/lables/env"),
    (deploy(labels=[]), 400, "invalid", "/labels"),
    (deploy(selector=7), 400, "invalid", "/selector"),
    (deploy(selector="env=="), 400, "invalid", "/selector"),
    (deploy(selector="env in ("), 400, "invalid", "/selector"),
    (deploy(selector="env=prod,"), 400, "invalid", "/selector"),
    (deploy(selector="env=prod zone=a"), 400, "invalid", "/selector"),
    (deploy(selector="a" * 4097), 400, "invalid", "/selector"),
    (deploy(selector=",".join(f"k{i}" for i in range(65))), 400, "invalid", "/selector"),
    (deploy(configuration=7), 400, "invalid", "/configuration"),
    (configured(batchsize=1), 400, "unknown_key", "/configuration/batchsize"),
    (configured(batch_size=0), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size=-1), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size=1000001), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size=1.5), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size="5"), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size="0%"), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size="101%"), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size="1.5%"), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size="%"), 400, "invalid", "/configuration/batch_size"),
    (configured(batch_size=" 5%"), 400, "invalid", "/configuration/batch_size"),
    (configured(failure_threshold=0), 400, "invalid", "/configuration/failure_threshold"),
    (configured(failure_threshold="0%"), 400, "invalid", "/configuration/failure_threshold"),
    (configured(failure_threshold=True), 400, "invalid", "/configuration/failure_threshold"),
    (configured(strategy="yolo"), 400, "invalid", "/configuration/strategy"),
    (configured(mode="Barrier "), 400, "invalid", "/configuration/mode"),
    (configured(on_failure="explode"), 400, "invalid", "/configuration/on_failure"),
    (configured(offline="maybe"), 400, "invalid", "/configuration/offline"),
    (configured(dynamic="yes"), 400, "invalid", "/configuration/dynamic"),
    (configured(min_healthy_time=30), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="30"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="30 s"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="-1s"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="1m1h"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="721h"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(min_healthy_time="99999999999999999999s"), 400, "invalid", "/configuration/min_healthy_time"),
    (configured(instance_deadline=""), 400, "invalid", "/configuration/instance_deadline"),
    ('{"code_version":"2","configuration":{"batch_size":1,"batch_size":2}}', 400, "bad_json",
     "/configuration/batch_size"),
    ('{"code_version":"2","code_version":"3"}', 400, "bad_json", "/code_version"),
    (deploy(reason="r" * 1025), 400, "invalid", "/reason"),
    (deploy(plan_hash="sha256:0"), 400, "invalid", "/plan_hash"),
    (deploy(plan_hash="sha256:" + "G" * 64), 400, "invalid", "/plan_hash"),
    (deploy(plan_hash=7), 400, "invalid", "/plan_hash"),
    (deploy(plan_hash="sha256:" + "0" * 64), 412, "precondition_failed", "/plan_hash"),
    (deploy(assume={}), 400, "unknown_key", "/assume"),
    (deploy(windows=[]), 400, "not_supported", "/windows"),
    (deploy(start_at="2031-01-01T02:00:00Z"), 400, "not_supported", "/start_at"),
    (deploy(approvals={"count": 2}), 400, "not_supported", "/approvals"),
    (deploy(if_running="queue"), 400, "not_supported", "/if_running"),
    (configured(strategy="canary"), 400, "invalid", "/configuration/canary"),
    (configured(strategy="waves", waves=[{}, {}]), 400, "invalid", "/configuration/waves/0"),
    (configured(strategy="waves", waves=[{"selector": "site=moon"}, {}]), 422, "infeasible", "/configuration"),
    (configured(strategy="canary", canary={"size": 1, "gates": [{"name": "a", "type": "webhook"}]}), 400,
     "not_supported", "/configuration/canary/gates/0"),
    (configured(strategy="waves", waves=[]), 400, "invalid", "/configuration/waves"),
    (configured(strategy="blue_green"), 400, "not_supported", None),
    (configured(domains=[{"label": "zone"}]), 400, "invalid", "/configuration/domains/0"),
    (deploy(labels={"env": "nowhere"}), 422, "no_match", None),
    (deploy(selector="env=prod,env=dev"), 422, "no_match", None),
)

ROLLBACKS = (
    ('{"idd":"r-1"}', 400, "unknown_key", "/idd"),
    ('{"id":7}', 400, "invalid", "/id"),
    ('{"id":"1"}', 400, "invalid", "/id"),
    ('{"id":"r-1x"}', 400, "invalid", "/id"),
    ('{"fast":"no"}', 400, "invalid", "/fast"),
    ('{"lables":{},"labels":{}}', 400, "invalid", None),
    ('{"condiguration":{"batch_size":0}}', 400, "invalid", "/condiguration/batch_size"),
    ('{"selector":"!!"}', 400, "invalid", "/selector"),
    ("{}", 404, "no_rollback_target", None),
    ("", 404, "no_rollback_target", None),
    ('{"labels":{}}', 404, "no_rollback_target", None),
)

# method, target, body, status, code
TARGETS = (
    ("GET", "/nowhere", None, 404, "not_found"),
    ("GET", "/deploy/r-1/pause/now", None, 404, "not_found"),
    ("GET", "//deploy", None, 404, "not_found"),
    ("GET", "/Deploy", None, 404, "not_found"),
    ("POST", "/inventory", "{}", 404, "not_found"),
    ("DELETE", "/deploy", None, 405, "method_not_allowed"),
    ("PUT", "/inventory/instances/web-1", "{}", 405, "method_not_allowed"),
    ("POST", "/inventory/instances", "{}", 405, "method_not_allowed"),
    ("GET", "/inventory/register", None, 405, "method_not_allowed"),
    ("POST", "/metrics", "{}", 405, "method_not_allowed"),
    ("BREW", "/deploy", None, 405, "method_not_allowed"),
    ("GET", "/deploy?page=2", None, 400, "unknown_key"),
    ("GET", "/deploy?limit=0", None, 400, "invalid"),
    ("GET", "/deploy?limit=10001", None, 400, "invalid"),
    ("GET", "/deploy?limit=ten", None, 400, "invalid"),
    ("GET", "/deploy?limit=-1", None, 400, "invalid"),
    ("GET", "/deploy?limit=99999999999999999999", None, 400, "invalid"),
    ("GET", "/deploy?cursor=here", None, 400, "invalid"),
    ("GET", "/deploy?state=LOST", None, 400, "invalid"),
    ("GET", "/deploy?labels=%3D", None, 400, "invalid"),
    ("GET", "/deploy?=1", None, 400, "unknown_key"),
    ("GET", "/metrics?x=1", None, 400, "unknown_key"),
    ("GET", "/inventory/instances?status=9", None, 400, "invalid"),
    ("GET", "/inventory/instances?online=yes", None, 400, "invalid"),
    ("GET", "/inventory/instances?update_state=odd", None, 400, "invalid"),
    ("GET", "/inventory/instances?deployment=7", None, 400, "invalid"),
    ("GET", "/inventory/instances?labels=a%20b", None, 400, "invalid"),
    ("GET", "/inventory/instances?limit=1%", None, 400, "invalid"),
    ("GET", "/inventory/instances/%", None, 400, "invalid"),
    ("GET", "/inventory/instances/%4", None, 400, "invalid"),
    ("GET", "/inventory/instances/%zz", None, 400, "invalid"),
    ("PATCH", "/inventory/instances/web-1%", '{"status":3}', 400, "invalid"),
    ("PATCH", "/inventory/instances/web-1?wait=soon", '{"status":3}', 400, None),
    ("POST", "/deploy?dry_run=1", '{"code_version":"2"}', 400, "unknown_key"),
    ("POST", "/deploy/plan", '{"code_version":"2","windows":[]}', 400, "not_supported"),
    ("POST", "/deploy/plan", '{"code_version":"2","assume":{"updates":"1s"}}', 400, "unknown_key"),
    ("POST", "/deploy/plan?cursor=nonsense", '{"code_version":"2"}', 400, "invalid"),
    ("POST", "/deploy/progress?id=first", None, 400, "invalid"),
    ("GET", "/events?after=x", None, 400, "invalid"),
    ("GET", "/events?after=99999", None, 400, "invalid"),
    ("GET", "/events?types=rollout.exploded", None, 400, "invalid"),
    ("GET", "/events?follow=perhaps", None, 400, "invalid"),
    ("GET", "/events?deployment=x", None, 400, "invalid"),
)


class Refusals(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)
        kit.register(self.client, "web-1", {"env": "prod"})
        self.client.patch(HEARTBEAT, {"code_version": "1.0.0", "configuration_version": "c1", "status": 1})

    def state(self):
        """Everything a refused request must leave as it was, but for when an instance was heard."""
        shown = self.client.get("/inventory/instances").json()
        for one in shown["instances"]:
            del one["last_seen"]
        return (self.home.newest_index(), shown, self.client.get("/deploy").json())

    def refuse(self, method, path, row):
        body, status, code, pointer = row
        before = self.state()
        answer = self.client.send(method, path, body)
        if code == "bad_json" and answer.status == 400 and answer.json()["code"] == "unknown_key":
            code = "unknown_key"  # where both are wrong, the one that comes first is told
        with self.subTest(path=path, body=str(body)[:100]):
            if status < 400:
                self.expect(answer, status)
                self.client.send("DELETE", "/inventory/instances/10.0.0.9")
                return
            self.check_problem(answer, status, code)
            problem = answer.json()
            if pointer is not None:
                self.assertEqual([pointer], [error["pointer"] for error in problem["errors"]], problem)
            if code == "bad_json":
                self.assertRegex(problem["detail"], r"at byte \d+")
            self.assertEqual(before, self.state())

    def check_problem(self, answer, status, code):
        self.assertEqual(status, answer.status, answer)
        self.assertEqual("application/problem+json", answer.headers["Content-Type"])
        problem = answer.json()
        self.assertEqual(status, problem["status"])
        self.assertTrue(problem["title"] and problem["detail"] and problem["type"], problem)
        self.assertIs(status in (429, 503), problem["retryable"])
        if code is not None:
            self.assertEqual(code, problem["code"], problem)

    def refuse_all(self, method, path, rows):
        for row in rows:
            self.refuse(method, path, row)

    def test_bodies_that_are_no_strict_json(self):
        for method, path in (("POST", REGISTER), ("PATCH", HEARTBEAT), ("POST", DEPLOY)):
            self.refuse_all(method, path, SYNTAX)
        for path in (ROLLBACK, "/deploy/r-1/pause"):
            self.deploy_and_abort_once()
            self.refuse_all("POST", path, SYNTAX[1:])  # an empty body is an empty object there

    def deploy_and_abort_once(self):
        if self.client.get("/deploy").json()["count"] == 0:
            number = self.deploy(self.client, kit.deploy_body("2.0.0"))["id"]
            self.expect(self.client.post(f"/deploy/{number}/abort"), 200)

    def test_registrations(self):
        self.refuse_all("POST", REGISTER, REGISTRATIONS)
        self.refuse_all("POST", "/inventory/instances/register", REGISTRATIONS[1:6])

    def test_heartbeats(self):
        self.refuse_all("PATCH", HEARTBEAT, HEARTBEATS)

    def test_deploys(self):
        self.refuse_all("POST", DEPLOY, DEPLOYS)

    def test_rollbacks(self):
        self.refuse_all("POST", ROLLBACK, ROLLBACKS)

    def test_verbs(self):
        number = self.deploy(self.client, kit.deploy_body("2.0.0"))["id"]
        for verb, row in (
                ("pause", ('{"why":"x"}', 400, "unknown_key", "/why")),
                ("pause", ('{"reason":7}', 400, "invalid", "/reason")),
                ("pause", ('{"in_flight":"finish"}', 400, "unknown_key", "/in_flight")),
                ("pause", ('{"reason":"' + "r" * 1025 + '"}', 400, "invalid", "/reason")),
                ("abort", ('{"in_flight":"leave"}', 400, "invalid", "/in_flight")),
                ("promote", ('{"full":1}', 400, "invalid", "/full")),
                ("explode", ("{}", 404, "not_found", None))):
            self.refuse("POST", f"/deploy/{number}/{verb}", row)

    def test_paths_methods_and_parameters(self):
        for method, target, body, status, code in TARGETS:
            before = self.state()
            answer = self.client.send(method, target, body)
            with self.subTest(method=method, target=target):
                self.check_problem(answer, status, code)
                if status == 405:
                    self.assertTrue(answer.headers["Allow"])
                    self.assertNotIn(method, answer.headers["Allow"].split(", "))
                    self.assertEqual([], answer.json()["errors"])
                self.assertEqual(before, self.state())

    def test_every_method_of_allow_is_allowed(self):
        answer = self.client.send("PUT", "/inventory/instances/web-1")

        self.assertEqual(["DELETE", "GET", "HEAD", "PATCH"], sorted(answer.headers["Allow"].split(", ")))

    def test_values_at_the_edges_are_taken(self):
        edges = [configured(batch_size=1), configured(batch_size=1000000), configured(batch_size="1%"),
                 configured(batch_size="100%"), configured(failure_threshold=1000000),
                 configured(failure_threshold="100%"), configured(min_healthy_time="720h"),
                 configured(min_healthy_time="30d"), configured(instance_deadline="0s"),
                 configured(health_deadline="1h30m"), configured(progress_deadline="500ms"),
                 configured(domains=[], min_available=0), deploy(reason="r" * 1024),
                 deploy(labels={"env": "prod"}, selector="zone notin (a,b), !canary"),
                 deploy(selector='env="prod"'), deploy(selector=""), deploy(labels={}),
                 deploy(configuration=None, labels=None, selector=None, reason=None),
                 json.dumps({"code_version": None, "configuration_version": "c2"}),
                 json.dumps({"code_version": "v" * 256})]
        for body in edges:
            with self.subTest(body=body[:100]):
                number = self.expect(self.client.post(DEPLOY, body), 201).json()["id"]
                self.expect(self.client.post(f"/deploy/{number}/abort"), 200)
        labels = {f"{'k' * 120}{i:08}": "v" * 256 for i in range(64)}
        self.expect(kit.register(self.client, "ü" * 126 + "x", labels), 201)
        self.expect(self.client.patch(HEARTBEAT, {"message": "m" * 512}), 200)

    # ---- sizes ----

    def test_bodies_over_their_limit(self):
        for method, path, limit in (("POST", REGISTER, 64 << 10), ("PATCH", HEARTBEAT, 64 << 10),
                                    ("POST", DEPLOY, 256 << 10), ("POST", "/deploy/r-1/pause", 256 << 10)):
            for body, status in ((b"{" + b" " * limit, 413), (b"[" + b" " * (limit - 2) + b"]", 400)):
                before = self.state()
                answer = self.client.send(method, path, body)
                with self.subTest(path=path, size=len(body)):
                    if path.endswith("pause") and status == 400:
                        status = 404  # the body is small enough, but there is no such rollout
                    self.check_problem(answer, status, "body_too_large" if status == 413 else None)
                    self.assertEqual(before, self.state())

    def raw(self, text):
        """The status of the answer to these bytes; None when the connection was closed without one."""
        with socket.create_connection(("127.0.0.1", self.home.port), timeout=kit.HANG_S) as wire:
            try:
                wire.sendall(text)
                reply = b""
                while b"\r\n\r\n" not in reply and (piece := wire.recv(4096)):
                    reply += piece
            except ConnectionError:
                return None
        found = re.match(rb"HTTP/1\.[01] (\d+)", reply)
        return int(found.group(1)) if found else None

    def head(self, method, path, *fields):
        return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *fields, "", "")).encode()

    def test_chunked_bodies_have_the_same_limit(self):
        before = self.state()
        chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
        head = self.head("PATCH", HEARTBEAT, "Transfer-Encoding: chunked")
        small = head + b"e\r\n{\"status\":  1}\r\n0\r\n\r\n"

        self.assertEqual(413, self.raw(head + chunk * 17 + b"0\r\n\r\n"))
        self.assertEqual(200, self.raw(small))
        self.assertEqual(before, self.state())

    def test_a_declared_size_over_the_limit_is_refused_before_the_body(self):
        self.assertEqual(413, self.raw(self.head("POST", DEPLOY, "Content-Length: 999999999999")))

    def test_lines_and_heads_over_their_limit(self):
        self.assertEqual(414, self.raw(self.head("GET", "/deploy?labels=" + "a" * 9000)))
        self.assertEqual(431, self.raw(self.head("GET", "/deploy", *(f"X-{i}: y" for i in range(70)))))
        self.assertIn(self.raw(self.head("GET", "/deploy", "X-Long: " + "y" * 20000)), (431, 413))

    def test_ambiguous_framing_is_refused(self):
        for fields in (("Content-Length: 2", "Transfer-Encoding: chunked"),
                       ("Content-Length: 2", "Content-Length: 3"), ("Content-Length: +2",),
                       ("Content-Length: 0x2",), ("Transfer-Encoding: chunked, gzip",)):
            with self.subTest(fields=fields):
                self.assertIn(self.raw(self.head("POST", DEPLOY, *fields) + b"{}0\r\n\r\n"), (400, 413, 501, None))
        self.assertEqual(0, self.client.get("/deploy").json()["count"])

    def test_the_answer_escapes_what_it_quotes(self):
        answer = self.client.post(DEPLOY, json.dumps({"code_version": "2", "\x1b[31m\"evil\n": 1}))

        self.check_problem(answer, 400, "unknown_key")
        self.assertNotIn(b"\x1b", answer.body)
        self.assertNotIn(b"\n", answer.body.rstrip(b"\n"))


if __name__ == "__main__":
    kit.main()

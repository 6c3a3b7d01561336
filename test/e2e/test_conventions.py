#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_conventions.py - what holds for all routes alike: methods, slashes, escapes, tags, keys, pages. The
# routes come from the reference of the API, so that a new one is tested unasked.
import re

import kit

PARTS = {"name": "web-1", "id": "r-1"}
STREAM = "?after=0&follow=false"  # so that the one stream ends by itself
# A file, what needs a store that is an old copy, what waits for nothing here, and what is reserved.
NO_SUCCESS_HERE = ("backup", "confirm", "promote", "plan")


class Conventions(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)
        for number in range(1, 4):
            self.expect(kit.register(self.client, f"web-{number}", {"env": "prod"}), 201)
            self.expect(self.beat(f"web-{number}"), 200)
        self.deploy(self.client, kit.deploy_body("2", {"env": "prod"}, failure_threshold=3))
        self.operations = kit.operations(kit.reference())

    def beat(self, name, **headers):
        return self.client.send("PATCH", kit.instance_path(name), {"code_version": "1", "status": 1}, headers)

    def target(self, operation):
        path = re.sub(r"\{(\w+)\}", lambda part: PARTS[part.group(1)], operation.path)
        return path + (STREAM if operation.name == "events" else "")

    def of_method(self, method):
        found = [operation for operation in self.operations if operation.method == method]
        self.assertTrue(found)
        return found

    # ---- methods and paths ----

    def test_head_is_get_without_a_body(self):
        for operation in self.of_method("GET"):
            with self.subTest(operation=operation.name):
                got = self.home.ask("GET", self.target(operation))
                head = self.home.ask("HEAD", self.target(operation))

                self.assertEqual((200, b""), (head.status, head.body))
                for name in ("Content-Type", "ETag"):
                    self.assertEqual(got.headers[name], head.headers[name])

    def test_another_method_is_refused_with_those_that_are_allowed(self):
        for path in {operation.path for operation in self.operations}:
            allowed = {operation.method for operation in self.operations if operation.path == path}
            # Some paths are matched by a pattern too: /deploy/status is a name for {id} as well.
            allowed |= {operation.method for operation in self.operations if operation.pattern.fullmatch(path)}
            allowed |= {"HEAD"} if "GET" in allowed else set()
            target = re.sub(r"\{(\w+)\}", lambda part: PARTS[part.group(1)], path)
            for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} - allowed:
                with self.subTest(path=path, method=method):
                    answer = self.home.ask(method, target)

                    self.assertEqual(405, answer.status, answer)
                    self.assertEqual(allowed, set(answer.headers["Allow"].split(", ")))

    def test_one_trailing_slash_is_ignored_and_two_are_not(self):
        for operation in self.operations:
            if operation.path == "/":
                continue
            path, _, query = self.target(operation).partition("?")
            with self.subTest(operation=operation.name):
                # A parameter that nobody knows shows that the route was found, and changes nothing.
                answer = self.home.ask(operation.method, path + "/?nonsense=1")
                self.assertEqual((400, "unknown_key"), (answer.status, answer.json()["code"]))
                answer = self.home.ask(operation.method, path + "//?nonsense=1")
                self.assertEqual((404, "not_found"), (answer.status, answer.json()["code"]))

    def test_parts_of_a_path_are_decoded_once(self):
        names = ("a/b", "a%2Fb", "100%", "a b+c", "ü", "?&#", "%25", "..", "deploy")
        for name in names:
            self.expect(kit.register(self.client, name), 201)
        for name in names:
            with self.subTest(name=name):
                self.assertEqual(name, self.expect(self.client.get(kit.instance_path(name)), 200).json()["name"])
        self.assertEqual("a/b", self.client.get("/inventory/instances/a%2fb").json()["name"])
        self.assertEqual("a%2Fb", self.client.get("/inventory/instances/a%252Fb").json()["name"])
        self.assertEqual("web-1", self.client.get("/inventory/instances/%77eb-1").json()["name"])
        self.expect(self.client.get("/inventory/instances/a/b"), 404, "not_found")
        self.expect(self.client.get("/inventory/instances/100%"), 400, "invalid")

    # ---- tags ----

    def changing(self):
        """What looks at If-Match: method, path, the path of the object that it is about, body."""
        return (("PATCH", "/inventory/instances/web-2", "/inventory/instances/web-2", {"status": 1}),
                ("POST", "/deploy/progress", "/deploy/r-1", None),
                ("POST", "/deploy/r-1/pause", "/deploy/r-1", None),
                ("POST", "/deploy/r-1/resume", "/deploy/r-1", None),
                ("POST", "/deploy/r-1/retry", "/deploy/r-1", None),
                ("POST", "/deploy/r-1/abort", "/deploy/r-1", None),
                ("POST", "/deploy/rollback", "/deploy/r-1", {"id": "r-1"}),
                ("DELETE", "/inventory/instances/web-3", "/inventory/instances/web-3", None))

    def fail_a_member(self):
        self.expect(self.client.patch("/inventory/instances/web-1", {"status": 3}), 200)

    def tag(self, path):
        answer = self.client.get(path)
        self.assertEqual(f'"{answer.json()["generation"]}"', answer.headers["ETag"])
        return answer.headers["ETag"]

    def test_a_change_may_ask_for_the_generation_that_it_is_made_for(self):
        for method, path, about, body in self.changing():
            with self.subTest(path=path):
                if path.endswith("/retry"):
                    self.fail_a_member()
                now = self.tag(about)
                index = self.home.newest_index()
                for wrong in ('"999"', f"W/{now}", '"998", "999"', "nonsense"):
                    self.expect(self.client.send(method, path, body, {"If-Match": wrong}), 412, "precondition_failed")
                self.assertEqual(index, self.home.newest_index())
                self.assertEqual(now, self.tag(about))
                answer = self.client.send(method, path, body, {"If-Match": f'"999", {now}'})
                self.assertLess(answer.status, 300, answer)

    def test_any_generation_is_asked_for_with_a_star(self):
        self.expect(self.beat("web-1", **{"If-Match": "*"}), 200)
        self.expect(self.client.send("POST", "/deploy/r-1/pause", None, {"If-Match": "*"}), 200)

    def test_a_rollback_of_nobody_knows_what_cannot_be_conditional(self):
        self.expect(self.client.send("POST", "/deploy/rollback", {}, {"If-Match": '"1"'}), 400, "invalid")
        self.expect(self.client.send("POST", "/deploy/r-1/abort"), 200)
        self.expect(self.client.send("POST", "/deploy/progress", {}, {"If-Match": '"1"'}), 412, "precondition_failed")

    def test_answers_with_an_object_carry_its_tag(self):
        made = self.expect(self.client.post("/deploy/r-1/pause"), 200)
        self.assertEqual(f'"{made.json()["generation"]}"', made.headers["ETag"])
        self.assertEqual(made.headers["ETag"], self.tag("/deploy/r-1"))
        self.expect(self.client.post("/deploy/r-1/abort"), 200)
        for path, body in (("/deploy", {"code_version": "3"}), ("/deploy/rollback", {"id": "r-2"})):
            answer = self.expect(self.client.post(path, body), 201)
            self.assertEqual(answer.headers["ETag"], self.tag(answer.headers["Location"]))

    # ---- keys ----

    def test_every_post_takes_an_idempotency_key(self):
        bodies = {"register": {"instance": {"name": "new"}, "token": "t"},
                  "register_instance": {"instance": {"name": "newer"}, "token": "t"},
                  "deploy": kit.deploy_body("7", {"env": "prod"}), "rollback": {"id": "r-2"}}
        order = ("register", "register_instance", "progress", "pause", "resume", "retry", "abort", "deploy", "rollback")
        posts = {operation.name: operation for operation in self.of_method("POST")}
        self.assertEqual(set(posts), {*order, *NO_SUCCESS_HERE})
        for name in order:
            if name == "retry":
                self.fail_a_member()
            with self.subTest(operation=name):
                ask = ("POST", self.target(posts[name]), bodies.get(name), {"Idempotency-Key": f"key of {name}"})
                first = self.client.send(*ask)
                self.assertLess(first.status, 300, first)
                index = self.home.newest_index()
                again = self.client.send(*ask)

                self.assertEqual((first.status, first.body), (again.status, again.body))
                self.assertEqual((None, "true"), (first.headers["Idempotency-Replayed"],
                                                  again.headers["Idempotency-Replayed"]))
                self.assertEqual(first.headers["Location"], again.headers["Location"])
                self.assertEqual(index, self.home.newest_index())

    # ---- pages ----

    def pages(self, path, key, limit, change=lambda page: None):
        seen, cursor, turn = [], "", 0
        while cursor is not None:
            page = self.expect(self.client.get(f"{path}limit={limit}{cursor}"), 200).json()
            page = page.get("members", page)
            self.assertLessEqual(len(page[key]), limit)
            self.assertEqual(len(page[key]), page["count"])
            seen += [one.get("name") or one["id"] for one in page[key]]
            cursor = page["next_cursor"] and "&cursor=" + kit.quoted(page["next_cursor"])
            change(turn)
            turn += 1
        return seen

    def test_pages_survive_inserts_and_deletes(self):
        for number in range(4, 10):
            kit.register(self.client, f"web-{number}", {"env": "prod"})

        def change(turn):
            if turn == 1:
                kit.register(self.client, "web-0")     # before what is listed
                kit.register(self.client, "web-95")    # after it
                self.client.send("DELETE", "/inventory/instances/web-4")  # the cursor itself
                self.client.send("DELETE", "/inventory/instances/web-9")

        seen = self.pages("/inventory/instances?", "instances", 2, change)
        self.assertEqual([f"web-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 95)], seen)
        self.assertEqual(seen[:3], self.pages("/inventory/instances?code_version=1&", "instances", 1))

    def test_rollouts_and_members_come_in_pages_too(self):
        for code in "3456":
            self.expect(self.client.post(f"/deploy/r-{int(code) - 2}/abort"), 200)
            self.deploy(self.client, kit.deploy_body(code, {"env": "prod"}))

        def change(turn):
            if turn == 0:
                self.client.post("/deploy/r-5/abort")
                self.deploy(self.client, kit.deploy_body("9", {"env": "prod"}))

        self.assertEqual(["r-5", "r-4", "r-3", "r-2", "r-1"], self.pages("/deploy?", "deployments", 2, change))
        self.assertEqual(["web-1", "web-2", "web-3"], self.pages(
            "/deploy/r-6?members=in_progress,needing_update&", "instances", 1))


if __name__ == "__main__":
    kit.main()

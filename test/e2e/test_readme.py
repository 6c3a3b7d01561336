#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_readme.py - the requests that the product was first described with, misspelt keys included,
# and every other documented form of the same requests.
import re

import kit


def web_server():
    return {"instance": {"ip": "192.168.1.100", "name": "web-server-01",
                         "labels": {"environment": "production", "role": "web"}},
            "token": "your-registration-token"}


class TheThreeExamples(kit.Case):
    def setUp(self):
        super().setUp()
        self.client = self.server().client()
        self.addCleanup(self.client.close)

    def test_an_instance_registers_reports_and_is_rolled_out(self):
        registered = self.expect(self.client.post("/inventory/register", web_server()), 201).json()
        heartbeat = self.expect(self.client.patch("/inventory/instances/web-server-01", {
            "code_version": "1.0.0", "configuration_version": "1.0.1", "status": 1}), 200).json()
        body = web_server()
        body["instance"]["labels"]["env"] = "production"
        self.expect(self.client.post("/inventory/register", body), 200)
        deployed = self.expect(self.client.post("/deploy", {
            "code_version": "1.0.1", "configuration_version": "1.0.1",
            "lables": {"env": "production"},
            "condiguration": {"batch_size": 2, "failure_threshold": 1}}), 201)

        self.assertEqual("web-server-01", registered["instance"]["name"])
        self.assertEqual({"environment": "production", "role": "web"}, registered["instance"]["labels"])
        self.assertEqual("UNKNOWN", registered["instance"]["status_name"])
        self.assertEqual([], registered["warnings"])
        self.assertFalse(heartbeat["update_needed"])
        self.assertEqual({"code_version": "1.0.0", "configuration_version": "1.0.1"}, heartbeat["current_state"])
        record = deployed.json()
        self.assertEqual("/deploy/" + record["id"], deployed.headers["Location"])
        self.assertEqual("env=production", record["deployment"]["selector"])
        self.assertEqual(2, record["request"]["configuration"]["batch_size"])
        self.assertEqual(1, record["request"]["configuration"]["failure_threshold"])

    def test_the_rollout_completes_when_the_target_is_reported_healthy(self):
        body = web_server()
        body["instance"]["labels"] = {"env": "production"}
        self.client.post("/inventory/register", body)
        self.client.patch("/inventory/instances/web-server-01",
                          {"code_version": "0.9.0", "configuration_version": "1.0.1", "status": 1})
        self.deploy(self.client, {"code_version": "1.0.0", "configuration_version": "1.0.1",
                                  "lables": {"env": "production"},
                                  "condiguration": {"batch_size": 2, "failure_threshold": 1}})

        told = self.client.patch("/inventory/instances/web-server-01", {"status": 1}).json()
        under_way = self.client.post("/deploy/progress", {}).json()
        self.client.patch("/inventory/instances/web-server-01",
                          {"code_version": "1.0.0", "configuration_version": "1.0.1", "status": 1})
        ended = self.client.post("/deploy/progress", {}).json()

        self.assertTrue(told["update_needed"])
        self.assertEqual({"code_version": "1.0.0", "configuration_version": "1.0.1"}, told["desired_state"])
        self.assertEqual("RUNNING", under_way["status"])
        self.assertEqual(1, under_way["progress"]["in_progress_instances"])
        self.assertIsNone(ended["deployment"])
        self.assertEqual("COMPLETED", ended["last"]["status_name"])
        self.assertEqual("full", ended["last"]["outcome"])

    def test_the_examples_as_printed_are_refused_with_the_place_of_the_fault(self):
        self.client.post("/inventory/register", web_server())
        missing_comma = '{\n  "code_version": "1.0.0",\n  "configuration_version": "1.0.1"\n  "status": 1\n}'
        trailing_comma = '{"code_version": "1.0.0", "condiguration": {"batch_size": 2, "failure_threshold": 1,}}'

        heartbeat = self.client.patch("/inventory/instances/web-server-01", missing_comma)
        deploy = self.client.post("/deploy", trailing_comma)

        # The offset lies inside the token that should not be there.
        status_begins = missing_comma.index('"status"')
        self.assertIn(self.offset(heartbeat), range(status_begins, status_begins + len('"status"')))
        self.assertEqual(trailing_comma.index("}}"), self.offset(deploy))

    def offset(self, answer):
        detail = self.expect(answer, 400, "bad_json").json()["detail"]
        return int(re.search(r"at byte (\d+)", detail).group(1))

    def test_one_trailing_slash_is_ignored_on_every_route(self):
        self.expect(self.client.post("/inventory/register/", web_server()), 201)
        self.client.patch("/inventory/instances/web-server-01/", {"code_version": "1", "status": 1})

        created = self.expect(self.client.post("/deploy/", {"code_version": "2"}), 201).json()

        for path in ("/inventory/instances/", "/inventory/instances/web-server-01/", "/deploy/",
                     "/deploy/status/", f"/deploy/{created['id']}/", "/metrics/", "/healthz/", "/readyz/"):
            with self.subTest(path=path):
                self.expect(self.client.get(path), 200)
        self.expect(self.client.post("/deploy/progress/", {}), 200)
        self.expect(self.client.post(f"/deploy/{created['id']}/pause/"), 200)
        self.expect(self.client.get("/deploy//"), 404, "not_found")

    def test_both_routes_register_the_same_instance(self):
        first = self.expect(self.client.post("/inventory/register", web_server()), 201).json()
        second = self.expect(self.client.post("/inventory/instances/register", web_server()), 200).json()

        self.assertEqual(first["instance"]["registered_at"], second["instance"]["registered_at"])
        self.assertEqual(1, self.client.get("/inventory/instances").json()["total"])

    def test_registering_again_replaces_labels_and_keeps_the_report(self):
        self.client.post("/inventory/register", web_server())
        self.client.patch("/inventory/instances/web-server-01", {"code_version": "1.0.0", "status": "healthy"})
        body = web_server()
        body["instance"].update(ip="2001:db8::1", labels={"zone": "a"})

        self.expect(self.client.post("/inventory/register", body), 200)

        shown = self.client.get("/inventory/instances/web-server-01").json()
        self.assertEqual(("2001:db8::1", {"zone": "a"}), (shown["ip"], shown["labels"]))
        self.assertEqual(("1.0.0", "HEALTHY"), (shown["current_state"]["code_version"], shown["status_name"]))


class Heartbeats(kit.Case):
    def setUp(self):
        super().setUp()
        self.client = self.server().client()
        self.addCleanup(self.client.close)
        self.client.post("/inventory/register", web_server())

    def beat(self, body):
        return self.expect(self.client.patch("/inventory/instances/web-server-01", body), 200).json()

    def shown(self):
        return self.client.get("/inventory/instances/web-server-01").json()

    def test_flat_and_nested_forms_say_the_same(self):
        forms = (
            {"code_version": "A", "configuration_version": "B", "status": 2},
            {"updates": {"status": 2, "current_state": {"code_version": "A", "configuration_version": "B"}}},
            {"updates": {"status": "degraded", "current_state": {"CodeVersion": "A", "ConfigurationVersion": "B"}}},
            {"updates": {"status": 2, "code_version": "A", "configuration_version": "B"}},
            {"status": "Degraded", "code_version": "A", "updates": {"status": 2, "configuration_version": "B"}},
            {"status": 2, "updates": {"current_state": {"CodeVersion": "A", "configuration_version": "B"}}},
        )
        for number, form in enumerate(forms):
            with self.subTest(form=form):
                text = kit.json.dumps(form).replace('"A"', f'"code-{number}"').replace('"B"', f'"conf-{number}"')
                self.beat(text)
                shown = self.shown()
                self.assertEqual({"code_version": f"code-{number}", "configuration_version": f"conf-{number}"},
                                 shown["current_state"])
                self.assertEqual((2, "DEGRADED"), (shown["status"], shown["status_name"]))

    def test_an_omitted_field_repeats_its_last_value(self):
        self.beat({"code_version": "1", "configuration_version": "c", "status": 1, "message": "fine"})

        self.beat({"updates": {"current_state": {"CodeVersion": "2"}}})
        self.beat({})

        shown = self.shown()
        self.assertEqual({"code_version": "2", "configuration_version": "c"}, shown["current_state"])
        self.assertEqual(("HEALTHY", "fine"), (shown["status_name"], shown["message"]))

    def test_labels_merge_and_null_removes_one(self):
        self.beat({"labels": {"role": None, "zone": "b"}})
        self.beat({"updates": {"labels": {"rack": "7"}}})

        self.assertEqual({"environment": "production", "zone": "b", "rack": "7"}, self.shown()["labels"])

    def test_a_desired_state_and_unknown_keys_are_ignored_and_named(self):
        reply = self.beat({"updates": {"desired_state": {"code_version": "9"}, "mood": "good"}, "colour": 3})

        self.assertIsNone(self.shown()["desired_state"]["code_version"])
        said = " ".join(reply["warnings"])
        for word in ("desired_state", "mood", "colour"):
            self.assertIn(word, said)

    def test_a_field_given_twice_must_say_the_same(self):
        self.beat({"status": 1, "updates": {"status": "HEALTHY"}})
        answer = self.client.patch("/inventory/instances/web-server-01", {"status": 1, "updates": {"status": 3}})

        self.expect(answer, 400, "invalid")
        self.assertEqual("HEALTHY", self.shown()["status_name"])

    def test_every_status_is_taken_as_number_and_as_name(self):
        for number, name in enumerate(("UNKNOWN", "HEALTHY", "DEGRADED", "FAILED")):
            for form in (number, name, name.lower(), name.title()):
                with self.subTest(form=form):
                    self.beat({"status": form})
                    self.assertEqual((number, name), (self.shown()["status"], self.shown()["status_name"]))


class Names(kit.Case):
    def setUp(self):
        super().setUp()
        self.client = self.server().client()
        self.addCleanup(self.client.close)

    def test_names_of_any_characters_are_found_by_their_encoded_path(self):
        names = ("rack/7/web", "50%", "with blank", "größe-中文-🚀", "a?b#c&d=e", "%2F", "..", "+plus+",
                 "x" * 253, '"quoted"\\', "r-1", "register2")
        for name in names:
            with self.subTest(name=name):
                self.expect(kit.register(self.client, name), 201)
                path = kit.instance_path(name)
                self.expect(self.client.patch(path, {"code_version": "7", "status": 1}), 200)
                shown = self.expect(self.client.get(path), 200).json()
                self.assertEqual((name, "7"), (shown["name"], shown["current_state"]["code_version"]))
        listed = [i["name"] for i in self.client.get("/inventory/instances").json()["instances"]]
        self.assertEqual(sorted(names, key=str.encode), listed)

    def test_a_path_is_decoded_once_only(self):
        kit.register(self.client, "a%2Fb")
        kit.register(self.client, "a/b")

        self.assertEqual("a%2Fb", self.client.get("/inventory/instances/a%252Fb").json()["name"])
        self.assertEqual("a/b", self.client.get("/inventory/instances/a%2Fb").json()["name"])
        self.expect(self.client.get("/inventory/instances/a/b"), 404, "not_found")

    def test_an_instance_without_a_name_is_found_by_its_address(self):
        body = {"instance": {"ip": "10.1.2.3"}, "token": "t"}
        self.expect(self.client.post("/inventory/register", body), 201)
        self.expect(self.client.post("/inventory/register", body), 200)

        self.expect(self.client.patch("/inventory/instances/10.1.2.3", {"code_version": "1", "status": 1}), 200)

        shown = self.expect(self.client.get("/inventory/instances/10.1.2.3"), 200).json()
        self.assertEqual(("10.1.2.3", "1"), (shown["ip"], shown["current_state"]["code_version"]))

    def test_an_address_and_an_equal_name_are_one_instance(self):
        self.client.post("/inventory/register", {"instance": {"ip": "10.1.2.3"}, "token": "t"})

        again = self.client.post("/inventory/register", {"instance": {"name": "10.1.2.3"}, "token": "t"})

        self.expect(again, 200)
        self.assertEqual(1, self.client.get("/inventory/instances").json()["total"])

    def test_a_deleted_instance_is_gone_and_may_come_back(self):
        kit.register(self.client, "a/b")

        self.expect(self.client.send("DELETE", "/inventory/instances/a%2Fb"), 204)

        self.expect(self.client.get("/inventory/instances/a%2Fb"), 404, "not_found")
        self.expect(self.client.patch("/inventory/instances/a%2Fb", {"status": 1}), 404, "not_found")
        self.expect(kit.register(self.client, "a/b"), 201)

    def test_lists_are_walked_in_pages_and_filtered(self):
        for number in range(25):
            kit.register(self.client, f"web-{number:02}", {"parity": "even" if number % 2 == 0 else "odd"})
        names, cursor = [], ""
        while True:
            page = self.client.get(f"/inventory/instances?limit=10{cursor}").json()
            names += [i["name"] for i in page["instances"]]
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + kit.quoted(page["next_cursor"])
            self.client.send("DELETE", "/inventory/instances/" + page["instances"][-1]["name"])

        odd = self.client.get("/inventory/instances?labels=parity%3Dodd").json()

        self.assertEqual([f"web-{number:02}" for number in range(25)], names)
        self.assertTrue(all(i["labels"]["parity"] == "odd" for i in odd["instances"]))
        self.assertEqual(10, odd["count"])  # web-09 and web-19 were deleted


if __name__ == "__main__":
    kit.main()

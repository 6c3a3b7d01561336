#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_openapi.py - the reference of the API, judged by a validator that is not ours (validate.mjs), and
# every answer of a session with a real server, judged by that reference.
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import kit  # noqa: E402

# What is described and no answer of this session has, or never other than null.
UNSEEN = ("confirm 200", "confirmed.term", "planned_automatic_rollback.cause")


def schema(document, name):
    return document["components"]["schemas"][name]


class Recorder(kit.Client):
    """Keeps every exchange, for the validator."""

    def __init__(self, port, exchanges):
        super().__init__(port)
        self.exchanges = exchanges

    def send(self, method, path, body=None, headers=None):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        answer = super().send(method, path, body, headers)
        self.exchanges.append({
            "method": method, "target": path, "sent": body, "status": answer.status,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "body": answer.body.decode(errors="replace")})
        return answer


class Reference(kit.Case):
    def setUp(self):
        super().setUp()
        self.exchanges = []
        self.document = pathlib.Path(self.folder, "openapi.json")
        self.document.write_bytes(subprocess.run([kit.program(), "openapi"], check=True, capture_output=True,
                                                 env=kit.environment()).stdout)

    def validate(self, *more):
        if not (HERE / "node_modules" / "ajv").is_dir():
            self.fail("the validator is not installed: tool/deps test")
        done = subprocess.run(["node", HERE / "validate.mjs", self.document, *more], capture_output=True, text=True,
                              env={**os.environ, "UNSEEN": ",".join(UNSEEN)})
        self.assertEqual(0, done.returncode, done.stdout[-8000:] + done.stderr[-4000:])

    def spoil(self, change):
        document = json.loads(self.document.read_text())
        change(document)
        self.document.write_text(json.dumps(document))
        with self.assertRaises(AssertionError) as caught:
            self.validate(*self.recorded())
        return str(caught.exception)

    def recorded(self):
        if not self.exchanges:
            return ()
        path = pathlib.Path(self.folder, "exchanges.jsonl")
        path.write_text("".join(json.dumps(exchange) + "\n" for exchange in self.exchanges))
        return (path,)

    def recorder(self, home):
        client = Recorder(home.port, self.exchanges)
        self.addCleanup(client.close)
        return client

    # ---- the document ----

    def test_the_document_is_valid(self):
        self.validate()

    def test_no_member_is_there_twice(self):
        def take(pairs):
            self.assertEqual(len(pairs), len(dict(pairs)), [name for name, _ in pairs])
            return dict(pairs)

        json.loads(self.document.read_text(), object_pairs_hook=take)

    def test_every_example_of_a_body_is_taken(self):
        """In an order in which each makes sense."""
        self.client = self.recorder(self.server())
        bodies = {described["operationId"]: described["requestBody"]["content"]["application/json"]["example"]
                  for item in json.loads(self.document.read_text())["paths"].values() for described in item.values()
                  if "requestBody" in described}
        self.ask("POST", "/inventory/register", bodies.pop("register"), 201)
        self.ask("POST", "/inventory/instances/register", bodies.pop("register_instance"))
        self.ask("PATCH", "/inventory/instances/web-server-01", bodies.pop("heartbeat"))
        self.ask("POST", "/deploy/plan", bodies.pop("plan"))
        self.ask("POST", "/deploy", bodies.pop("deploy"), 201)
        self.ask("POST", "/deploy/r-1/pause", bodies.pop("pause"))
        self.ask("POST", "/deploy/r-1/resume", bodies.pop("resume"))
        self.ask("POST", "/deploy/r-1/promote", bodies.pop("promote"), 409)  # good, but nothing waits
        self.beat("web-server-01", "1.0.0", "FAILED")
        self.ask("POST", "/deploy/r-1/retry", bodies.pop("retry"))
        self.ask("POST", "/deploy/r-1/abort", bodies.pop("abort"))
        self.ask("POST", "/deploy/rollback", bodies.pop("rollback"), 201)
        self.assertEqual({}, bodies)

    def test_the_validator_finds_faults(self):
        whole = self.document.read_text()
        for name, change in (
                ("not valid", lambda d: d["paths"]["/deploy"]["post"].update(responses=7)),
                ("not valid", lambda d: d.pop("info")),
                ("leads nowhere", lambda d: d["components"]["parameters"].pop("if_match")),
                ("twice", lambda d: d["paths"]["/deploy"]["get"].update(operationId="deploy")),
                ("its default", lambda d: schema(d, "configuration")["properties"]["batch_size"].update(default="none")),
                ("the example of its body", lambda d: schema(d, "deploy").update(required=["x"]))):
            with self.subTest(name=name):
                self.document.write_text(whole)
                self.assertIn(name, self.spoil(change))

    # ---- a session ----

    def ask(self, method, path, body=None, status=200, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.expect(self.client.send(method, path, body, headers), status)

    def beat(self, name, code="1", status="HEALTHY", **more):
        return self.ask("PATCH", kit.instance_path(name), {"code_version": code, "status": status, **more}).json()

    def register(self, name, **labels):
        self.ask("POST", "/inventory/register", {"instance": {"name": name, "labels": labels}, "token": "t"}, 201)

    def instances(self):
        for number in range(6):
            labels = {"env": "prod" if number < 4 else "dev", "zone": "ab"[number % 2]}
            self.ask("POST", "/inventory/register", {"instance": {"name": f"web-{number}", "ip": f"10.0.0.{number}",
                     "labels": labels}, "token": "t", "odd": 1}, 201)
            self.beat(f"web-{number}", configuration_version="c1", odd=1, message="up")
        self.ask("POST", "/inventory/instances/register", {"instance": {"ip": "::1"}, "token": "t"}, 201)
        self.ask("POST", "/inventory/instances/register", {"instance": {"ip": "::1"}, "token": "t"})
        self.ask("POST", "/inventory/register/", {"instance": {"name": "web-0"}, "token": "t"})
        for query in ("", "?limit=2", "?labels=env%3Dprod", "?status=healthy&online=true&update_state=none",
                      "?code_version=1&deployment=r-1"):
            self.ask("GET", "/inventory/instances" + query)
        self.ask("HEAD", "/inventory/instances/web-0")
        self.ask("DELETE", "/inventory/instances/%3A%3A1", status=204)

    def reach(self, name, code):
        """Until it was told to run the version, and then it runs it."""
        kit.eventually(f"{name} is told", lambda: self.ask("GET", kit.instance_path(name)).json()["update_needed"])
        return self.beat(name, code)

    def a_rollout_with_every_verb(self):
        body = {"code_version": "2", "configuration_version": "c1", "labels": {"env": "prod"}, "reason": "hotfix",
                "configuration": {"batch_size": 1, "failure_threshold": 3, "on_failure": "pause"}}
        made = self.ask("POST", "/deploy", body, 201, Idempotency_Key="k").json()
        self.ask("POST", "/deploy", body, 201, Idempotency_Key="k")
        path = "/deploy/" + made["id"]
        self.ask("GET", "/inventory/instances/web-0")
        self.ask("GET", "/deploy/status")
        self.ask("GET", path + "?members=failed,in_progress,needing_update&limit=1")
        self.ask("GET", path + "?members=needing_update&limit=1&cursor=web-1")
        self.ask("POST", path + "/pause", {"reason": "lunch"})
        self.ask("POST", path + "/resume", "")
        self.ask("POST", path + "/promote", {}, 409)
        self.ask("POST", path + "/pause", {}, 412, If_Match='"99"')
        self.ask("POST", "/deploy", {"code_version": "3"}, 409)
        self.beat("web-0", "1", "FAILED", message="port in use")
        self.ask("GET", "/inventory/instances/web-0")
        session = self.ask("PATCH", kit.instance_path("web-0"), {"session": ""}).json()["session"]
        self.ask("PATCH", kit.instance_path("web-0"), {"session": session, "sequence": 1})
        self.ask("PATCH", kit.instance_path("web-0"), {"session": "another", "sequence": 1}, 409)
        self.ask("POST", path + "/retry", {"reason": "port freed"})
        for name in ("web-1", "web-0", "web-2", "web-3"):
            self.reach(name, "2")
        self.ask("POST", "/deploy/progress?id=" + made["id"])
        self.assertEqual("COMPLETED", self.ask("GET", path).json()["status_name"])
        return made["id"]

    def one_that_goes_back(self):
        """By itself, with a member that nobody knows a version of."""
        self.register("new", env="lab")
        self.register("old", env="lab")
        self.beat("old", "1", configuration_version="c1")
        self.ask("POST", "/deploy", {"code_version": "7", "selector": "env=lab",
                                     "configuration": {"batch_size": 2}}, 201)
        self.beat("old", "7", "FAILED")
        back = self.ask("GET", "/deploy?limit=1").json()["deployments"][0]
        self.assertTrue(back["rollback_of"], back)
        self.beat("old", "1")
        self.ask("GET", "/inventory/instances/old")
        self.ask("GET", "/deploy/" + back["id"])
        self.ask("GET", "/deploy/" + back["rollback_of"])

    def one_without_a_way_back(self):
        self.register("lone", env="x")
        self.beat("lone", "1")
        lone = self.ask("POST", "/deploy", {"code_version": "2", "selector": "env=x", "configuration": {
            "on_failure": "abort"}}, 201).json()["id"]
        self.ask("DELETE", "/inventory/instances/lone", status=204)
        self.ask("POST", f"/deploy/{lone}/abort", {"in_flight": "finish"}, 409)
        self.register("blank", env="y")
        blank = self.ask("POST", "/deploy", {"code_version": "2", "selector": "env=y"}, 201).json()["id"]
        self.beat("blank", "3", "FAILED")
        self.assertEqual("no_target", self.ask("GET", "/deploy/" + blank).json()["rollback_error"])

    def back_and_again(self, first):
        second = self.ask("POST", "/deploy", {"code_version": "3", "configuration_version": "c2",
                                              "labels": {"env": "prod"}}, 201).json()["id"]
        back = self.ask("POST", "/deploy/rollback", {"id": second, "reason": "errors"}, 201).json()
        self.assertEqual(first, back["deployment"]["restores"])
        self.ask("POST", f"/deploy/{back['id']}/abort", {"in_flight": "finish", "reason": "enough"})
        self.ask("POST", f"/deploy/{back['id']}/abort", {})
        self.beat("web-0", "1")
        again = self.ask("POST", f"/deploy/{first}/retry", "", 201).json()
        self.ask("POST", f"/deploy/{again['id']}/abort", {})
        self.ask("POST", "/deploy/rollback", {"labels": {"env": "nowhere"}}, 404)
        self.ask("POST", "/deploy/progress")

    def one_in_waves(self):
        """A canary of one, a soak, a gate with a timeout, and failure domains, one of them without a value."""
        for name in ("web-4", "web-5"):
            self.beat(name, "1")
        self.ask("PATCH", "/inventory/instances/web-5", {"labels": {"zone": None}})
        gates = [{"name": "ok", "type": "manual", "timeout": "1h"}]
        path = "/deploy/" + self.ask("POST", "/deploy", {"code_version": "8", "labels": {"env": "dev"}, "configuration": {
            "strategy": "canary", "canary": {"size": 1, "soak": "10m", "gates": gates}, "min_available": 1,
            "domains": [{"label": "zone", "max_in_progress": 1, "max_failed": 2}]}}, 201).json()["id"]
        self.reach("web-4", "8")
        self.ask("GET", path)
        self.ask("GET", "/inventory/instances/web-4")
        self.ask("POST", path + "/promote", {"reason": "seen enough"})
        self.ask("GET", "/deploy/status")
        self.ask("POST", path + "/promote", {"full": True})
        self.reach("web-5", "8")
        self.assertEqual("COMPLETED", self.ask("GET", path).json()["status_name"])

    def plans(self):
        """Of some that go well, some that go back, one that is cut off, and one beside a live rollout."""
        canary = {"size": 1, "soak": "10m", "gates": [{"name": "ok", "type": "manual"}]}
        body = {"code_version": "9", "configuration_version": "c9", "labels": {"env": "dev"}, "configuration": {
            "strategy": "canary", "canary": canary, "batch_size": 1, "domains": [{"label": "zone"}]}}
        body["configuration"]["domains"][0]["max_in_progress"] = 1
        fail = [{"selector": "", "percent": 100}]
        plan = self.ask("POST", "/deploy/plan?limit=1", {**body, "assume": {"update": "10s", "approve": "1h"}}).json()
        self.ask("POST", "/deploy/plan?limit=1&cursor=" + kit.quoted(plan["next_cursor"]), body)
        self.ask("POST", "/deploy/plan", {**body, "assume": {"fail": fail, "seed": 7}})
        self.ask("POST", "/deploy/plan", {**body, "horizon": "1s"})
        self.ask("POST", "/deploy/plan", {"code_version": "9", "labels": {"env": "dev"}})
        late = {"instance_deadline": "1s"}  # nobody is in time
        self.ask("POST", "/deploy/plan", {"code_version": "9", "labels": {"env": "dev"}, "configuration": late})
        live = self.ask("POST", "/deploy", {**body, "plan_hash": plan["plan_hash"]}, 201).json()["id"]
        self.ask("POST", "/deploy/plan", body)
        self.ask("POST", f"/deploy/{live}/abort")
        self.ask("POST", "/deploy", {"code_version": "1", "plan_hash": plan["plan_hash"]}, 412)

    def others(self):
        self.ask("GET", "/deploy?state=completed&labels=env%3Dprod")
        self.ask("GET", "/deploy?limit=1&cursor=r-3")
        tag = self.ask("GET", "/openapi.json").headers["ETag"]
        self.ask("GET", "/openapi.json", status=304, If_None_Match=tag)
        for path in ("/metrics", "/healthz", "/readyz", "/"):
            self.ask("GET", path)
            self.ask("HEAD", path)
        self.ask("POST", "/confirm", {}, 409)
        self.ask("POST", "/backup")
        self.ask("POST", "/deploy/plan", {"code_version": "2", "windows": []}, 400)
        self.ask("POST", "/inventory/register", {"instance": {"name": "more"}, "token": "t"}, 503)
        self.ask("GET", "/nowhere", status=404)
        self.ask("PUT", "/deploy", status=405)
        self.ask("POST", "/deploy", {"code_version": "2", "configuration": {"batch_size": 0}}, 400)

    def silence_and_history(self, home):
        """An instance is heard no more, and again; then everything that has happened, and what is gone."""
        kit.eventually("web-5 is silent", lambda: not self.ask("GET", "/inventory/instances/web-5").json()["online"])
        self.beat("web-5")
        self.ask("PATCH", "/inventory/instances/web-5", {"labels": {"zone": None}})
        self.ask("GET", "/events?after=0&follow=false")
        unrecorded = home.client()
        for number in range(1200):
            unrecorded.patch("/inventory/instances/web-5", {"message": str(number)})
        unrecorded.close()
        kit.eventually("the start is gone", lambda: home.ask("GET", "/events?after=0&follow=false").status == 410)
        self.ask("GET", "/events?after=0&follow=false", status=410)

    def one_with_a_credential(self):
        """A server that wants a token from who registers, and a credential from who reports."""
        settings = pathlib.Path(self.folder, "settings.yaml")
        settings.write_text("registration_tokens:\n  - {name: web, token: let-me-register-now}\n")
        settings.chmod(0o600)
        self.client = self.recorder(self.server("guarded", arguments=["--config", str(settings)]))
        body = {"instance": {"name": "web-1"}, "token": "let-me-register-now"}
        credential = self.ask("POST", "/inventory/register", body, 201).json()["credential"]
        self.ask("PATCH", "/inventory/instances/web-1", {"status": 1}, Authorization=f"Bearer {credential}")
        self.ask("PATCH", "/inventory/instances/web-1", {"status": 1}, 401)
        self.ask("POST", "/inventory/register", {**body, "token": "another-one-entirely"}, 401)

    def play(self):
        home = self.server(sets=["events_kept=1000", "max_instances=9", "heartbeat_timeout=3s", "heartbeat_min=100ms",
                                 "heartbeat_max=500ms", "active_interval=500ms"])
        self.client = self.recorder(home)
        self.instances()
        first = self.a_rollout_with_every_verb()
        self.one_that_goes_back()
        self.one_without_a_way_back()
        self.back_and_again(first)
        self.one_in_waves()
        self.plans()
        self.others()
        self.silence_and_history(home)
        self.one_with_a_credential()

    def test_every_answer_of_a_session_is_as_described(self):
        self.play()

        self.validate(*self.recorded())

        whole = self.document.read_text()
        for name, change in (
                ("additional properties", lambda d: schema(d, "instance")["properties"].pop("online")),
                ("required property 'gone'", lambda d: schema(d, "deployment")["required"].append("gone")),
                ("wave.odd: described", lambda d: schema(d, "wave")["properties"].update(odd={"type": "string"})),
                ("not described", lambda d: d["paths"]["/deploy/{id}/pause"]["post"]["responses"].pop("412")),
                ("healthz 299: described", lambda d: d["paths"]["/healthz"]["get"]["responses"].update(
                    {"299": {"description": ""}}))):
            with self.subTest(name=name):
                self.document.write_text(whole)
                self.assertIn(name, self.spoil(change))


if __name__ == "__main__":
    kit.main()

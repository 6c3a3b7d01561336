#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_plan.py - plans of the real server: that they change nothing and come true, when they hold no
# longer, and what happens to the process that makes one. Whoever needs it to take long stops it.
import os
import pathlib
import select
import shlex
import signal
import socket
import subprocess
import threading
import time

import kit

ALL = {"code_version": "2"}


class Planned(kit.Case):
    count = 6

    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)
        agents = [kit.Agent(f"web-{n:03}", {"env": "prod", "zone": "ab"[n % 2]}) for n in range(self.count)]
        self.agents = self.fleet(self.home, agents)

    def plan(self, body, query="", status=200, code=None):
        answer = self.expect(self.client.post("/deploy/plan" + query, body), status, code)
        return answer.json()

    def children(self):
        """Processes that the server has started."""
        path = pathlib.Path(f"/proc/{self.home.child.pid}/task/{self.home.child.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


class Plans(Planned):
    # ---- what a plan says ----

    def test_a_plan_changes_nothing_and_comes_true(self):
        body = kit.deploy_body("2.0.0", {"env": "prod"}, batch_size=2, strategy="canary", canary={"size": 1})
        before = self.home.newest_index()

        plan = self.plan(body)

        self.assertEqual(before, self.home.newest_index())
        self.assertEqual([], self.client.get("/deploy").json()["deployments"])
        picked = [member["instance"] for wave in plan["waves"] for member in wave["members"]]
        number = self.deploy(self.client, {**body, "plan_hash": plan["plan_hash"]})["id"]
        record = self.agents.run_to_end(number)
        events = [event for event in self.home.events("?after=0&follow=false&types=member.picked")]
        self.assertEqual(picked, [event.data["instance"] for event in events])
        self.assertEqual(plan["result"]["status_name"], record["status_name"])
        self.assertEqual(plan["result"]["progress"], record["progress"])
        self.assertEqual([wave["name"] for wave in plan["waves"]], [wave["name"] for wave in record["waves"]])

    def test_the_same_question_has_the_same_answer(self):
        body = {**ALL, "assume": {"fail": [{"selector": "zone=a", "percent": 50}]}, "horizon": "2h"}
        first = self.client.post("/deploy/plan", body).body
        self.assertEqual(first, self.client.post("/deploy/plan", body).body)
        self.assertEqual(0, self.home.terminate())
        self.home.start()
        self.client.port = self.home.port
        self.client.close()
        self.assertEqual(first, self.client.post("/deploy/plan", body).body)

    def test_failures_that_are_assumed_roll_it_back(self):
        plan = self.plan({**ALL, "assume": {"fail": [{"selector": "zone=b", "percent": 100}]}})

        self.assertEqual("FAILED", plan["result"]["status_name"])
        self.assertEqual("threshold", plan["limits"]["stop"]["reason"])
        self.assertEqual("COMPLETED", plan["rollback"]["automatic"]["status_name"])
        self.assertEqual(2, plan["rollback"]["automatic"]["progress"]["completed_instances"] -
                         plan["rollback"]["automatic"]["progress"]["already_current_instances"])

    def test_pages_have_every_member_once(self):
        names, query = [], "?limit=4"
        while query:
            plan = self.plan(ALL, query)
            names += [member["instance"] for wave in plan["waves"] for member in wave["members"]]
            cursor = plan["next_cursor"]
            query = f"?limit=4&cursor={kit.quoted(cursor)}" if cursor else None
        self.assertEqual([f"web-{n:03}" for n in range(self.count)], names)

    def test_a_cursor_outlives_who_it_names(self):
        cursor = self.plan(ALL, "?limit=4")["next_cursor"]
        self.client.send("DELETE", "/inventory/instances/web-003")

        rest = self.plan(ALL, f"?limit=9&cursor={kit.quoted(cursor)}")

        self.assertEqual(["web-005"], [member["instance"] for member in rest["waves"][0]["members"]])

    def test_a_live_rollout_is_named_and_the_plan_made_all_the_same(self):
        number = self.deploy(self.client, kit.deploy_body("9", {"env": "prod"}))["id"]

        plan = self.plan(ALL)

        self.assertEqual([(number, "rollout_in_progress")],
                         [(one["deployment_id"], one["code"]) for one in plan["conflicts"]])
        self.assertEqual("COMPLETED", plan["result"]["status_name"])
        self.assertEqual("RUNNING", self.client.get(f"/deploy/{number}").json()["status_name"])
        self.expect(self.client.post("/deploy", {**ALL, "plan_hash": plan["plan_hash"]}), 409, "rollout_in_progress")

    def test_a_gate_waits_in_a_plan_as_long_as_is_assumed(self):
        body = kit.deploy_body("2", strategy="canary", batch_size=5, canary={
            "size": 1, "soak": "1m", "gates": [{"name": "go", "type": "manual"}]})

        plan = self.plan({**body, "assume": {"update": "10s", "approve": "5m"}})

        self.assertEqual([("wave", "canary", None, 0, 10000), ("soak", "canary", None, 10000, 70000),
                          ("gate", "canary", "go", 70000, 370000), ("wave", "rest", None, 370000, 380000)],
                         [tuple(step.values()) for step in plan["timeline"]["steps"]])
        self.assertEqual(380000, plan["timeline"]["duration_ms"])

    def test_what_a_deploy_refuses_a_plan_refuses(self):
        self.plan({"code_version": "2", "selector": "env=nowhere"}, status=422, code="no_match")
        self.plan({"code_version": "2", "selectr": "a"}, status=400, code="unknown_key")
        waves = {"strategy": "waves", "waves": [{"selector": "env=lab"}, {}]}
        self.plan({"code_version": "2", "configuration": waves}, status=422, code="infeasible")
        self.plan(ALL, "?cursor=x", status=400, code="invalid")

    # ---- when it does not hold any more ----

    def assert_broken(self, body, what):
        self.expect(self.client.post("/deploy", body), 412, "precondition_failed")
        self.plan(body, status=412, code="precondition_failed")
        self.assertEqual([], self.client.get("/deploy").json()["deployments"], what)

    def test_any_change_of_a_member_breaks_a_plan(self):
        body = {"code_version": "2", "labels": {"env": "prod"}}
        held = {**body, "plan_hash": self.plan(body)["plan_hash"]}
        path = kit.instance_path("web-002")
        changes = (
            ("status", lambda: self.client.patch(path, {"status": "DEGRADED"}),
             lambda: self.client.patch(path, {"status": "HEALTHY"})),
            ("version", lambda: self.client.patch(path, {"code_version": "1.1"}),
             lambda: self.client.patch(path, {"code_version": "1.0.0"})),
            ("labels", lambda: self.client.patch(path, {"labels": {"rack": "9"}}),
             lambda: self.client.patch(path, {"labels": {"rack": None}})),
            ("a new one", lambda: kit.register(self.client, "more", {"env": "prod"}),
             lambda: self.client.send("DELETE", kit.instance_path("more"))),
        )
        for what, change, back in changes:
            self.assertLess(change().status, 300)
            self.assert_broken(held, what)
            self.assertLess(back().status, 300)
            self.plan(held)
        self.deploy(self.client, held)

    def test_another_request_is_another_plan(self):
        held = self.plan(ALL)["plan_hash"]
        for other in ({"code_version": "3"}, {**ALL, "labels": {"env": "prod"}},
                      {**ALL, "configuration": {"batch_size": 2}}, {**ALL, "configuration_version": "c9"}):
            self.assert_broken({**other, "plan_hash": held}, other)
        # How it is spelt, and what is said for people, does not matter.
        self.plan({**ALL, "selector": " ", "lables": {}, "reason": "hotfix", "plan_hash": held,
                   "condiguration": {"batch_size": 1}, "assume": {"update": "1s"}})

    def test_who_is_not_selected_does_not_break_it(self):
        body = {"code_version": "2", "labels": {"zone": "a"}}
        held = {**body, "plan_hash": self.plan(body)["plan_hash"]}
        self.client.patch(kit.instance_path("web-001"), {"status": "FAILED"})
        kit.register(self.client, "lab-1", {"env": "lab"})
        self.deploy(self.client, held)

    def test_other_settings_break_it(self):
        held = {**ALL, "plan_hash": self.plan(ALL)["plan_hash"]}
        self.assertEqual(0, self.home.terminate())
        self.home.command += ["--set", "max_concurrent=3"]
        self.home.start()
        self.client.port = self.home.port
        self.client.close()
        self.assert_broken(held, "max_concurrent")

    # ---- the command line ----

    def run_dides(self, *arguments):
        return subprocess.run([kit.program(), *arguments], capture_output=True, text=True, timeout=kit.HANG_S,
                              cwd=self.folder,
                              env=kit.environment(DIDES_SERVER=f"http://127.0.0.1:{self.home.port}"))

    def test_the_command_that_ends_a_plan_carries_it_out(self):
        planned = self.run_dides("plan", "--code", "2", "-l", "zone in (a,b)", "--batch", "3", "--reason", "it's time",
                                 "--assume-update", "30s", "--assume-fail", "zone=a:0", "--approve", "1m", "--seed", "7",
                                 "--horizon", "2h")
        self.assertEqual(2, planned.returncode, planned)
        self.assertIn("6 of 6 need the update", planned.stdout)
        self.assertIn("COMPLETED after 1m, outcome full", planned.stdout)
        words = shlex.split(planned.stdout.strip().splitlines()[-1])
        self.assertEqual(["dides", "deploy", "--code", "2", "-l", "zone in (a,b)", "--batch", "3", "--reason", "it's time",
                          "--plan"], words[:-1])

        done = self.run_dides(*words[1:])

        self.assertEqual(0, done.returncode, done)
        self.assertEqual("it's time", self.client.get("/deploy/r-1").json()["reason"])
        self.agents.run_to_end("r-1")
        again = self.run_dides(*words[1:])
        self.assertEqual(7, again.returncode, again)
        self.assertIn("does not hold any more", again.stderr)

    def test_nothing_to_do_ends_with_0(self):
        planned = self.run_dides("plan", "--code", "1.0.0", "--all")
        self.assertEqual(0, planned.returncode, planned)
        self.assertNotIn("dides deploy", planned.stdout)

    def test_other_formats_have_the_whole_plan(self):
        held = self.plan(ALL)["plan_hash"]
        self.assertEqual(held + "\n", self.run_dides("plan", "--code", "2", "--all", "-o", "name").stdout)
        self.assertIn("\nplan_hash: ", "\n" + self.run_dides("plan", "--code", "2", "--all", "-o", "yaml").stdout)
        wide = self.run_dides("plan", "--code", "2", "--all", "-o", "wide", "--members", "2").stdout
        self.assertIn("web-001", wide)
        self.assertNotIn("web-002", wide)
        self.assertIn("... 4 more members", wide)

    def test_wrong_usage_asks_nothing(self):
        for words in (("--code", "2"), ("--all",), ("--code", "2", "--all", "--assume-fail", "zone=a")):
            self.assertEqual(64, self.run_dides("plan", *words).returncode)
        refused = self.run_dides("plan", "--code", "2", "--all", "--horizon", "400d")
        self.assertEqual(64, refused.returncode, refused)
        self.assertEqual(8, self.run_dides("plan", "--code", "2", "-l", "env=nowhere").returncode)


class Makers(Planned):
    """The process that makes a plan."""
    count = 400  # so that it takes long enough to be caught

    def asked(self, body=None):
        """A plan, asked for in a thread of its own."""
        result = {}

        def ask():
            client = self.home.client()
            try:
                result["answer"] = client.post("/deploy/plan?limit=1", body or ALL)
            except kit.Unanswered as why:
                result["why"] = why
            finally:
                client.close()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread, result

    def caught(self):
        """A maker, stopped, with the thread that waits for it."""
        end = time.monotonic() + kit.HANG_S
        while time.monotonic() < end:
            thread, result = self.asked()
            while thread.is_alive():
                if pid := self.stopped():
                    return pid, thread, result
            thread.join()
        self.fail("no maker was ever caught")

    def stopped(self):
        """A maker that is there now and not done yet, stopped; or None."""
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                continue
            if self.is_stopped(pid):
                return pid
        return None

    def state_of(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "X"

    def is_stopped(self, pid):
        return "T" == kit.eventually("it has stopped, or was done already",
                                     lambda: (lambda state: state in "TZX" and state)(self.state_of(pid)))

    def answer_of(self, thread, result):
        thread.join(kit.HANG_S)
        self.assertIn("answer", result, result)
        return result["answer"]

    def no_children(self):
        kit.eventually("nothing is left of it", lambda: not self.children())

    def test_the_server_goes_on_meanwhile(self):
        pid, thread, result = self.caught()

        self.assertEqual(200, self.client.get("/readyz").status)
        self.assertEqual(200, self.client.patch(kit.instance_path("web-007"), {"status": "DEGRADED"}).status)
        self.deploy(self.client, kit.deploy_body("5", {"zone": "a"}))
        os.kill(pid, signal.SIGCONT)

        # It tells of the fleet as it was when it was begun.
        plan = self.expect(self.answer_of(thread, result), 200).json()
        self.assertEqual(self.count, plan["members"]["pending_instances"])
        self.assertEqual([], plan["conflicts"])
        self.no_children()

    def test_a_maker_that_is_killed_is_told_and_the_next_one_works(self):
        pid, thread, result = self.caught()

        os.kill(pid, signal.SIGKILL)

        answer = self.expect(self.answer_of(thread, result), 503, "unavailable")
        self.assertEqual("1", answer.headers["Retry-After"])
        self.plan(ALL)
        self.no_children()

    def vanish(self):
        """Asks for a plan on a connection that is closed as soon as its maker has been stopped."""
        body = b'{"code_version":"2"}'
        end = time.monotonic() + kit.HANG_S
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", self.home.port), timeout=kit.HANG_S) as wire:
                wire.sendall(b"POST /deploy/plan HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                wire.setblocking(False)
                while not select.select([wire], [], [], 0)[0]:
                    if pid := self.stopped():
                        return pid
        self.fail("no maker was ever caught")

    def test_who_goes_away_ends_his_plan(self):
        self.vanish()
        self.no_children()
        self.plan(ALL)

    def test_who_goes_away_leaves_the_queue(self):
        pid, thread, result = self.caught()
        body = b'{"code_version":"2"}'
        for _ in range(20):  # more than there are places
            with socket.create_connection(("127.0.0.1", self.home.port), timeout=kit.HANG_S) as wire:
                wire.sendall(b"POST /deploy/plan HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        kit.eventually("there is room again", lambda: self.home.ask(
            "POST", "/deploy/plan?cursor=nonsense", ALL).status == 400)
        self.assertEqual([pid], self.children())
        os.kill(pid, signal.SIGCONT)
        self.expect(self.answer_of(thread, result), 200)
        self.no_children()

    def test_plans_wait_for_their_turn(self):
        pid, thread, result = self.caught()
        others = [self.asked({"code_version": str(n)}) for n in range(3, 10)]
        refused = kit.eventually("all places are taken", lambda: (lambda a: a.status == 503 and a)(
            self.home.ask("POST", "/deploy/plan?limit=1&cursor=nonsense", ALL)))
        self.assertEqual("unavailable", refused.json()["code"])
        self.assertEqual("5", refused.headers["Retry-After"])
        self.assertEqual([pid], self.children())

        os.kill(pid, signal.SIGCONT)

        self.expect(self.answer_of(thread, result), 200)
        for n, other in zip(range(3, 10), others):
            plan = self.expect(self.answer_of(*other), 200).json()
            self.assertEqual(str(n), plan["request"]["code_version"])
        self.no_children()

    def test_a_server_that_stops_takes_its_maker_along(self):
        pid, thread, result = self.caught()
        waiting = self.asked()
        kit.eventually("it waits", lambda: self.home.ask("GET", "/healthz").status == 200)

        self.assertEqual(0, self.home.terminate())

        self.expect(self.answer_of(thread, result), 503, "unavailable")
        waiting[0].join(kit.HANG_S)
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_a_server_that_is_killed_takes_its_maker_along(self):
        pid, thread, _ = self.caught()
        self.home.child.send_signal(signal.SIGKILL)
        try:
            os.kill(pid, signal.SIGCONT)  # it may have been stopped before it could ask to die too
        except ProcessLookupError:
            pass
        self.home.wait()
        thread.join(kit.HANG_S)
        kit.eventually("it is gone", lambda: self.state_of(pid) in "XZ")


if __name__ == "__main__":
    kit.main()

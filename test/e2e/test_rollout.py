#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_rollout.py - rollouts of a scripted fleet over HTTP: to the end, to the threshold and back, and
# every verb in every state.
import kit

BUSY = "in_progress_instances"
DONE = "completed_instances"
LOST = "failed_instances"


def agents(count=60, **options):
    return [kit.Agent(f"web-{number:03}", {"env": "prod", "zone": "ab"[number % 2]}, **options)
            for number in range(count)]


class Rollouts(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server(sets=["rollouts_kept=50"])
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def start(self, body):
        return self.deploy(self.client, body)["id"]

    def record(self, number):
        return self.expect(self.client.get(f"/deploy/{number}"), 200).json()

    def verb(self, number, verb, status=200, body=None):
        return self.expect(self.client.post(f"/deploy/{number}/{verb}", body), status).json()

    def kinds(self, number):
        return [event.kind for event in self.home.events(f"?after=0&follow=false&deployment={number}")]


class Completing(Rollouts):
    def test_a_fleet_of_sixty_is_rolled_out_a_batch_at_a_time(self):
        fleet = self.fleet(self.home, agents())
        outside = self.fleet(self.home, [kit.Agent("db-1", {"env": "dev"})])
        busiest = []

        def watch(record):
            counts = record["progress"]
            busiest.append(counts[BUSY])
            self.assertLessEqual(counts[BUSY], 7)
            self.assertEqual(60, counts["total_instances"])
            self.assertEqual(60, counts["pending_instances"] + counts[BUSY] + counts[DONE] + counts[LOST])
            if record["status_name"] == "RUNNING":
                self.assertTrue(record["waiting"], "it neither picks nor says why")

        number = self.start(kit.deploy_body("2.0.0", {"env": "prod"}, "c2", batch_size=7))
        record = fleet.run_to_end(number, watch)
        outside.turn()

        self.assertEqual(("COMPLETED", "full", None), (record["status_name"], record["outcome"], record["cause"]))
        self.assertEqual(60, record["progress"][DONE])
        self.assertEqual(7, max(busiest))
        self.assertEqual({"2.0.0"}, set(fleet.versions().values()))
        self.assertEqual([], outside["db-1"].told)
        for agent in fleet.agents.values():
            self.assertEqual([(number, "2.0.0", "c2")], agent.told)
        self.assertEqual([], record["waiting"])
        self.assertEqual(["rollback"], [v for v in record["allowed_verbs"] if v == "rollback"])
        kinds = self.kinds(number)
        self.assertEqual(["rollout.created", "rollout.started", "rollout.completed"],
                         [kinds[0], kinds[1], kinds[-1]])
        self.assertEqual((60, 60), (kinds.count("member.picked"), kinds.count("member.completed")))

    def test_barrier_mode_waits_for_the_whole_batch(self):
        fleet = self.fleet(self.home, agents(6))
        number = self.start(kit.deploy_body("2.0.0", {"env": "prod"}, batch_size=3, mode="barrier"))
        fleet.turn()  # three learn of it

        fleet["web-000"].beat(fleet.client)
        after_one = self.record(number)
        fleet["web-001"].beat(fleet.client)
        fleet["web-002"].beat(fleet.client)
        after_all = self.record(number)

        self.assertEqual((1, 2), (after_one["progress"][DONE], after_one["progress"][BUSY]))
        self.assertEqual("barrier", after_one["waiting"][0]["reason"])
        self.assertEqual((3, 3), (after_all["progress"][DONE], after_all["progress"][BUSY]))

    def test_percentages_are_of_the_total(self):
        self.fleet(self.home, agents(10))

        number = self.start(kit.deploy_body("2.0.0", {"env": "prod"}, batch_size="25%", failure_threshold="15%"))

        self.assertEqual(2, self.record(number)["progress"][BUSY])  # 2.5 rounded down
        self.assertEqual("25%", self.record(number)["request"]["configuration"]["batch_size"])

    def test_degraded_members_keep_their_slot(self):
        fleet = self.fleet(self.home, agents(3))
        number = self.start(kit.deploy_body("2.0.0", batch_size=1))
        self.client.patch("/inventory/instances/web-000", {"code_version": "2.0.0", "status": "DEGRADED"})
        fleet["web-001"].beat(fleet.client)

        held = self.record(number)["progress"]
        self.client.patch("/inventory/instances/web-000", {"status": "HEALTHY"})

        self.assertEqual((1, 0, 0), (held[BUSY], held[DONE], held[LOST]))
        self.assertEqual((1, 1), tuple(self.record(number)["progress"][k] for k in (BUSY, DONE)))

    def test_nothing_to_do_is_completed_at_once(self):
        self.fleet(self.home, agents(4))

        body = self.deploy(self.client, kit.deploy_body("1.0.0", {"env": "prod"}))

        self.assertEqual(("COMPLETED", "full"), (body["deployment"]["status_name"], body["deployment"]["outcome"]))
        self.assertEqual(4, body["deployment"]["progress"]["already_current_instances"])

    def test_late_machines_join_a_live_rollout_and_deleted_ones_leave_it(self):
        fleet = self.fleet(self.home, agents(4))
        number = self.start(kit.deploy_body("2.0.0", {"env": "prod"}, batch_size=1))
        late = self.fleet(self.home, [kit.Agent("aaa-first-by-name", {"env": "prod"})])

        joined = self.record(number)["progress"]["total_instances"]
        self.expect(self.client.send("DELETE", "/inventory/instances/web-003"), 204)
        left = self.record(number)["progress"]["total_instances"]
        del fleet.agents["web-003"]
        fleet.agents.update(late.agents)
        record = fleet.run_to_end(number)

        self.assertEqual((5, 4, 4), (joined, left, record["progress"][DONE]))
        picked = [e.data["instance"] for e in self.home.events(
            f"?after=0&follow=false&types=member.picked&deployment={number}")]
        self.assertEqual("aaa-first-by-name", picked[-1])

    def test_the_progress_call_reports_the_pass_it_made(self):
        none_yet = self.expect(self.client.post("/deploy/progress", {}), 200).json()
        fleet = self.fleet(self.home, agents(2))
        number = self.start(kit.deploy_body("2.0.0"))

        live = self.expect(self.client.post(f"/deploy/progress?id={number}"), 200).json()
        fleet.run_to_end(number)
        after = self.expect(self.client.post("/deploy/progress", "anything"), 200).json()

        self.assertEqual((None, None, None, None),
                         tuple(none_yet[k] for k in ("deployment", "status", "progress", "last")))
        self.assertEqual((number, "RUNNING", None), (live["deployment"]["id"], live["status"], live["last"]))
        self.assertEqual((None, number), (after["deployment"], after["last"]["id"]))
        self.expect(self.client.post("/deploy/progress?id=r-99"), 404, "not_found")

    def test_by_hand_nothing_is_decided_without_a_call(self):
        home = self.server("by-hand", sets=["reconcile=manual"])
        fleet = self.fleet(home, agents(3))
        number = self.deploy(fleet.client, kit.deploy_body("2.0.0", batch_size=1))["id"]
        fleet.turn()
        fleet.turn()

        before = fleet.rollout(number)["progress"]
        called = self.expect(fleet.client.post("/deploy/progress"), 200).json()["progress"]

        self.assertEqual((1, 0), (before[DONE], before[BUSY]))
        self.assertEqual((1, 1), (called[DONE], called[BUSY]))


class Failing(Rollouts):
    def breach(self, fleet, **configuration):
        number = self.start(kit.deploy_body("3.0.0", {"env": "prod"}, "c3", batch_size=5, failure_threshold=3,
                                            **configuration))
        return fleet.run_to_end(number)

    def a_mixed_fleet(self):
        """One half runs 1.0.0 and the other 1.1.0; every fifth one cannot run 3.0.0."""
        fleet = agents()
        for number, agent in enumerate(fleet):
            agent.code = f"1.{number % 2}.0"
            agent.config = f"c{number % 3}"
            agent.will_fail = (lambda code: code == "3.0.0") if number % 5 == 4 else (lambda code: False)
        return self.fleet(self.home, fleet)

    def test_at_the_threshold_everyone_goes_back_to_what_it_ran(self):
        fleet = self.a_mixed_fleet()
        before = {a.name: (a.code, a.config) for a in fleet.agents.values()}

        failed = self.breach(fleet)
        back = fleet.run_to_end(failed["rolled_back_by"])

        self.assertEqual(("FAILED", "threshold"), (failed["status_name"], failed["cause"]))
        self.assertGreaterEqual(failed["progress"][LOST], 3)
        told = self.record(failed["id"])["failures"]
        self.assertEqual(failed["progress"][LOST], len(told))
        self.assertEqual({"reported"}, {failure["cause"] for failure in told})
        self.assertLessEqual({failure["instance"] for failure in told}, set(before))
        self.assertEqual([], back["failures"])
        self.assertEqual(("COMPLETED", "full", failed["id"]),
                         (back["status_name"], back["outcome"], back["rollback_of"]))
        self.assertEqual(before, {a.name: (a.code, a.config) for a in fleet.agents.values()})
        listed = self.client.get("/inventory/instances").json()["instances"]
        self.assertEqual({"HEALTHY"}, {i["status_name"] for i in listed})
        self.assertEqual(before, {i["name"]: (i["current_state"]["code_version"],
                                              i["current_state"]["configuration_version"]) for i in listed})
        self.assertFalse(any(i["update_needed"] for i in listed))
        touched = {e.data["instance"] for e in self.home.events(
            f"?after=0&follow=false&types=member.picked&deployment={failed['id']}")}
        for agent in fleet.agents.values():
            if agent.name not in touched:
                self.assertEqual([], agent.told)
        self.assertIn("rollback.started", self.kinds(back["id"]) + self.kinds(failed["id"]))

    def test_a_breach_may_pause_and_a_resume_acknowledges_the_failed(self):
        fleet = self.a_mixed_fleet()
        number = self.start(kit.deploy_body("3.0.0", {"env": "prod"}, batch_size=5, failure_threshold=3,
                                            on_failure="pause"))

        paused = fleet.run(number, lambda record: record["status_name"] == "PAUSED")
        for agent in fleet.agents.values():
            agent.will_fail = lambda code: False
        resumed = self.verb(number, "resume")
        self.verb(number, "retry")
        ended = fleet.run_to_end(number)

        self.assertEqual("paused", paused["waiting"][0]["reason"])
        self.assertIsNone(paused["rolled_back_by"])
        self.assertEqual("RUNNING", resumed["status_name"])
        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))

    def test_a_breach_may_abort_and_wishes_are_withdrawn(self):
        fleet = self.a_mixed_fleet()

        failed = self.breach(fleet, on_failure="abort")

        self.assertEqual(("FAILED", None), (failed["status_name"], failed["rolled_back_by"]))
        for shown in self.client.get("/inventory/instances").json()["instances"]:
            if shown["current_state"]["code_version"] != "3.0.0":
                self.assertFalse(shown["update_needed"], shown)

    def test_a_deadline_missed_is_a_failure(self):
        fleet = self.fleet(self.home, agents(2))
        number = self.start(kit.deploy_body("3.0.0", batch_size=1, on_failure="abort", instance_deadline="50ms"))
        fleet["web-000"].beat(fleet.client)  # it is told, and then silent

        record = kit.eventually("the deadline acts", lambda: (
            lambda r: r if r["status_name"] == "FAILED" else None)(self.record(number)))

        self.assertEqual("threshold", record["cause"])
        self.assertEqual("timeout", self.client.get("/inventory/instances/web-000").json()["cause"])

    def test_failures_from_before_do_not_count(self):
        fleet = self.fleet(self.home, agents(4))
        for name in ("web-000", "web-001"):
            self.client.patch(f"/inventory/instances/{name}", {"status": "FAILED"})

        number = self.start(kit.deploy_body("2.0.0", batch_size=1))
        self.client.patch("/inventory/instances/web-000", {"status": "FAILED"})  # as it was when picked
        stays_failed = self.record(number)["progress"]
        record = fleet.run_to_end(number)

        self.assertEqual((1, 0), (stays_failed[BUSY], stays_failed[LOST]))
        self.assertEqual("COMPLETED", record["status_name"])
        picked = [e.data["instance"] for e in self.home.events(
            f"?after=0&follow=false&types=member.picked&deployment={number}")]
        self.assertEqual(["web-000", "web-001", "web-002", "web-003"], picked)

    def test_a_rollback_without_anything_before_keeps_the_evidence(self):
        kit.register(self.client, "new-1", {"env": "prod"})
        number = self.start(kit.deploy_body("2.0.0"))

        self.client.patch("/inventory/instances/new-1", {"code_version": "2.0.0", "status": "FAILED"})

        record = self.record(number)
        self.assertEqual(("FAILED", "no_target", None),
                         (record["status_name"], record["rollback_error"], record["rolled_back_by"]))
        self.assertEqual("FAILED", self.client.get("/inventory/instances/new-1").json()["status_name"])


class Verbs(Rollouts):
    def test_pause_stops_picking_and_resume_goes_on(self):
        fleet = self.fleet(self.home, agents(10))
        number = self.start(kit.deploy_body("2.0.0", batch_size=2))

        paused = self.verb(number, "pause", body={"reason": "lunch"})
        fleet.turn()
        fleet.turn()
        still = self.record(number)
        again = self.verb(number, "pause")
        resumed = self.verb(number, "resume")
        ended = fleet.run_to_end(number)

        self.assertEqual(("PAUSED", "paused"), (paused["status_name"], paused["waiting"][0]["reason"]))
        self.assertEqual((2, 0, 8), tuple(still["progress"][k] for k in (DONE, BUSY, "pending_instances")))
        self.assertEqual(paused["generation"], again["generation"])
        self.assertEqual(("RUNNING", 2), (resumed["status_name"], resumed["progress"][BUSY]))
        self.assertEqual("COMPLETED", ended["status_name"])
        reasons = [e.data["reason"] for e in self.home.events("?after=0&follow=false&types=rollout.paused")]
        self.assertEqual(["lunch"], reasons)

    def test_abort_withdraws_the_wishes_of_those_on_their_way(self):
        fleet = self.fleet(self.home, agents(6))
        number = self.start(kit.deploy_body("2.0.0", batch_size=2))
        fleet["web-000"].beat(fleet.client)
        fleet["web-000"].beat(fleet.client)  # on the target; two others are busy

        record = self.verb(number, "abort", body={"reason": "wrong version"})
        busy = self.client.get("/inventory/instances/web-001").json()

        self.assertEqual(("FAILED", "aborted"), (record["status_name"], record["cause"]))
        self.assertEqual((False, None), (busy["update_needed"], busy["deployment_id"] and None))
        self.assertEqual("2.0.0", self.client.get("/inventory/instances/web-000").json()
                         ["desired_state"]["code_version"])
        self.assertEqual(record["generation"], self.verb(number, "abort")["generation"])

    def test_abort_may_let_those_in_flight_finish(self):
        fleet = self.fleet(self.home, agents(6))
        number = self.start(kit.deploy_body("2.0.0", batch_size=2))

        self.verb(number, "abort", body={"in_flight": "finish"})
        fleet.turn()
        fleet.turn()

        self.assertEqual(2, list(fleet.versions().values()).count("2.0.0"))

    def test_retry_gives_failed_members_another_attempt(self):
        fleet = self.fleet(self.home, agents(6, will_fail=lambda code: True))
        number = self.start(kit.deploy_body("2.0.0", batch_size=6, failure_threshold=7))
        waiting = fleet.run(number, lambda record: record["progress"][LOST] == 6)["waiting"]
        for agent in fleet.agents.values():
            agent.will_fail = lambda code: False

        self.verb(number, "retry")
        record = fleet.run_to_end(number)

        self.assertEqual("leftover", waiting[0]["reason"])
        self.assertEqual("COMPLETED", record["status_name"])
        attempts = [e.data["new"]["attempt"] for e in self.home.events(
            f"?after=0&follow=false&types=member.picked&deployment={number}")]
        self.assertEqual([1] * 6 + [2] * 6, attempts)

    def test_retry_of_an_ended_rollout_is_a_new_one(self):
        fleet = self.fleet(self.home, agents(4))
        first = self.start(kit.deploy_body("2.0.0", {"env": "prod"}))
        self.verb(first, "abort")

        answer = self.expect(self.client.post(f"/deploy/{first}/retry"), 201)
        ended = fleet.run_to_end(answer.json()["id"])
        problem = self.verb(first, "retry", 409)

        self.assertEqual(first, answer.json()["retry_of"])
        self.assertEqual("/deploy/" + answer.json()["id"], answer.headers["Location"])
        self.assertEqual("COMPLETED", ended["status_name"])
        self.assertEqual("nothing_to_retry", problem["code"])

    def test_manual_rollbacks_walk_back_through_history(self):
        fleet = self.fleet(self.home, agents(5))
        for code in ("2.0.0", "3.0.0"):
            fleet.run_to_end(self.start(kit.deploy_body(code, {"env": "prod"}, batch_size=5)))

        seen = []
        for _ in range(2):
            answer = self.expect(self.client.post("/deploy/rollback", {"reason": "worse"}), 201)
            back = answer.json()
            self.assertEqual("/deploy/" + back["id"], answer.headers["Location"])
            self.assertEqual({"env": "prod"}, back["labels"])
            self.assertEqual(5, back["config"]["batch_size"])
            self.assertEqual("COMPLETED", fleet.run_to_end(back["id"])["status_name"])
            seen.append((back["deployment"]["rollback_of"], set(fleet.versions().values())))
        nothing_left = self.client.post("/deploy/rollback")

        self.assertEqual([("r-2", {"2.0.0"}), ("r-1", {"1.0.0"})], seen)
        self.expect(nothing_left, 404, "no_rollback_target")
        self.assertEqual(("r-4", "r-3"), (self.record("r-1")["rolled_back_by"], self.record("r-2")["rolled_back_by"]))

    def test_a_live_rollout_is_rolled_back_from_where_it_stands(self):
        fleet = self.fleet(self.home, agents(8))
        number = self.start(kit.deploy_body("2.0.0", {"env": "prod"}, batch_size=2))
        fleet.run(number, lambda record: record["progress"][DONE] >= 3)

        back = self.expect(self.client.post("/deploy/rollback", {"labels": {"env": "prod"}}), 201).json()
        ended = fleet.run_to_end(back["id"])

        self.assertEqual(("FAILED", "rolled_back"), tuple(self.record(number)[k] for k in ("status_name", "cause")))
        self.assertEqual("COMPLETED", ended["status_name"])
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))

    def test_a_rollback_cannot_be_rolled_back(self):
        fleet = self.fleet(self.home, agents(3))
        fleet.run_to_end(self.start(kit.deploy_body("2.0.0", batch_size=3)))
        back = self.client.post("/deploy/rollback").json()["id"]

        answer = self.client.post("/deploy/rollback", {"id": back})

        self.assertEqual(409, answer.status, answer)
        self.assertEqual("COMPLETED", fleet.run_to_end(back)["status_name"])

    # One row per state, one column per verb: what the server answers. Of `promote`, `retry` and
    # `abort` the rest of the story is told above.
    TABLE = {
        "RUNNING": {"resume": 200, "promote": 409, "retry": 409, "pause": 200},
        "PAUSED": {"pause": 200, "promote": 409, "retry": 409, "resume": 200},
        "COMPLETED": {"pause": 409, "resume": 409, "promote": 409, "abort": 409, "retry": 409},
        "ABORTED": {"pause": 409, "resume": 409, "promote": 409, "abort": 200},
        "FAILED": {"pause": 409, "resume": 409, "promote": 409, "abort": 409},
    }

    def bring_to(self, fleet, state):
        """The id of a rollout in that state, the only one that may be live."""
        for live in self.client.get("/deploy/status").json()["deployments"]:
            self.verb(live["id"], "abort")
        version = f"9.{len(self.client.get('/deploy').json()['deployments'])}.0"
        number = self.start(kit.deploy_body(version, {"env": "prod"}, batch_size=9, failure_threshold=9,
                                            on_failure="abort"))
        if state == "PAUSED":
            self.verb(number, "pause")
        elif state == "ABORTED":
            self.verb(number, "abort")
        elif state == "COMPLETED":
            fleet.run_to_end(number)
        elif state == "FAILED":
            for agent in fleet.agents.values():
                agent.will_fail = lambda code: True
            fleet.run_to_end(number)
            for agent in fleet.agents.values():
                agent.will_fail = lambda code: False
            fleet.turn()
        return number

    def test_every_verb_in_every_state(self):
        fleet = self.fleet(self.home, agents(9))
        for state, verbs in self.TABLE.items():
            for verb, status in verbs.items():
                number = self.bring_to(fleet, state)
                before = self.record(number)
                index = self.home.newest_index()
                with self.subTest(state=state, verb=verb):
                    name = "FAILED" if state == "ABORTED" else state
                    self.assertEqual(name, before["status_name"])
                    answer = self.expect(self.client.post(f"/deploy/{number}/{verb}"), status)
                    if status == 409:
                        problem = answer.json()
                        self.assertEqual(name, problem["current_state"])
                        self.assertEqual(before["allowed_verbs"], problem["allowed_verbs"])
                        self.assertEqual(number, problem["deployment_id"])
                        self.assertFalse(problem["retryable"])
                        self.assertEqual((before, index), (self.record(number), self.home.newest_index()))

    def test_a_second_rollout_is_refused_with_the_first_ones_id(self):
        self.fleet(self.home, agents(2))
        number = self.start(kit.deploy_body("2.0.0"))

        problem = self.expect(self.client.post("/deploy", kit.deploy_body("3.0.0")), 409, "rollout_in_progress").json()

        self.assertEqual((number, "RUNNING"), (problem["deployment_id"], problem["current_state"]))
        self.assertIn("pause", problem["allowed_verbs"])

    def test_disjoint_rollouts_run_side_by_side_when_allowed(self):
        home = self.server("two", sets=["max_concurrent=2"])
        fleet = self.fleet(home, agents(8))
        first = self.deploy(fleet.client, kit.deploy_body("2.0.0", {"zone": "a"}))["id"]

        overlapping = fleet.client.post("/deploy", kit.deploy_body("3.0.0", {"env": "prod"}))
        second = self.deploy(fleet.client, kit.deploy_body("3.0.0", {"zone": "b"}))["id"]
        third = fleet.client.post("/deploy", kit.deploy_body("4.0.0", {"zone": "c"}))
        live = fleet.client.get("/deploy/status").json()
        fleet.run_to_end(first)
        fleet.run_to_end(second)

        self.assertEqual(first, self.expect(overlapping, 409, "overlapping_selector").json()["deployment_id"])
        self.expect(third, 409, "rollout_in_progress")
        self.assertEqual([first, second], [r["id"] for r in live["deployments"]])
        self.assertEqual({"2.0.0", "3.0.0"}, set(fleet.versions().values()))

    def test_no_match_leaves_no_record(self):
        self.fleet(self.home, agents(2))
        index = self.home.newest_index()

        self.expect(self.client.post("/deploy", kit.deploy_body("2.0.0", {"env": "pord"})), 422, "no_match")

        self.assertEqual(0, self.client.get("/deploy").json()["count"])
        self.assertEqual(index, self.home.newest_index())
        self.assertEqual("r-1", self.start(kit.deploy_body("2.0.0")))

    def test_a_change_may_name_the_generation_it_is_meant_for(self):
        self.fleet(self.home, agents(2))
        number = self.start(kit.deploy_body("2.0.0"))
        shown = self.client.get(f"/deploy/{number}")
        seen = {"If-Match": shown.headers["ETag"]}

        first = self.client.post(f"/deploy/{number}/pause", headers=seen)
        index = self.home.newest_index()
        second = self.client.post(f"/deploy/{number}/resume", headers=seen)
        gone = self.client.send("DELETE", "/inventory/instances/web-000", headers={"If-Match": '"77"'})

        self.assertEqual(f'"{shown.json()["generation"]}"', shown.headers["ETag"])
        self.assertEqual(f'"{self.expect(first, 200).json()["generation"]}"', first.headers["ETag"])
        problem = self.expect(second, 412, "precondition_failed").json()
        self.assertEqual(("PAUSED", number), (problem["current_state"], problem["deployment_id"]))
        self.expect(gone, 412, "precondition_failed")
        self.assertEqual(index, self.home.newest_index())
        self.expect(self.client.post(f"/deploy/{number}/resume", headers={"If-Match": first.headers["ETag"]}), 200)
        self.expect(self.client.post(f"/deploy/{number}/pause", headers={"If-Match": "*"}), 200)
        one = self.client.get("/inventory/instances/web-000")
        self.assertEqual(f'"{one.json()["generation"]}"', one.headers["ETag"])

    def test_what_does_not_exist_is_404(self):
        for method, path in (("GET", "/deploy/r-1"), ("POST", "/deploy/r-1/pause"), ("POST", "/deploy/x/abort"),
                             ("GET", "/deploy/r-0"), ("GET", "/deploy/r-01"), ("GET", "/deploy/r-99999999999"),
                             ("GET", "/inventory/instances/nobody"), ("DELETE", "/inventory/instances/nobody"),
                             ("PATCH", "/inventory/instances/nobody")):
            with self.subTest(method=method, path=path):
                body = None if method in ("GET", "DELETE") else "{}"
                self.expect(self.client.send(method, path, body), 404, "not_found")
        self.expect(self.client.post("/deploy/rollback"), 404, "no_rollback_target")
        self.expect(self.client.post("/deploy/rollback", {"id": "r-7"}), 404)

    def test_history_is_newest_first_with_filters_and_pages(self):
        fleet = self.fleet(self.home, agents(2))
        for code in ("2", "3", "4"):
            fleet.run_to_end(self.start(kit.deploy_body(code, {"env": "prod"})))
        fleet.run_to_end(self.start(kit.deploy_body("5", {"zone": "a"})))
        self.verb(self.start(kit.deploy_body("6", {"zone": "a"})), "abort")

        everything = self.client.get("/deploy").json()
        page = self.client.get("/deploy?limit=2").json()
        rest = self.client.get(f"/deploy?limit=10&cursor={page['next_cursor']}").json()
        failed = self.client.get("/deploy?state=failed").json()
        zoned = self.client.get("/deploy?labels=zone%3Da").json()

        ids = lambda answer: [r["id"] for r in answer["deployments"]]
        self.assertEqual(["r-5", "r-4", "r-3", "r-2", "r-1"], ids(everything))
        self.assertEqual((["r-5", "r-4"], ["r-3", "r-2", "r-1"]), (ids(page), ids(rest)))
        self.assertEqual((["r-5"], ["r-5", "r-4"]), (ids(failed), ids(zoned)))

    def test_members_are_listed_by_their_update_state(self):
        fleet = self.fleet(self.home, agents(6, will_fail=lambda code: True))
        number = self.start(kit.deploy_body("2.0.0", batch_size=2, failure_threshold=5))
        fleet.run(number, lambda record: record["progress"][LOST] == 2)

        def names(states):
            answer = self.expect(self.client.get(f"/deploy/{number}?members={states}"), 200).json()
            self.assertEqual(answer["members"]["count"], len(answer["members"]["instances"]))
            return {i["name"]: i["update_state"] for i in answer["members"]["instances"]}

        self.assertEqual({"failed"}, set(names("failed").values()))
        self.assertEqual(2, len(names("failed")))
        self.assertEqual({"failed", "in_progress"}, set(names("failed,in_progress").values()))
        self.assertEqual(6, len(names("failed,in_progress,needing_update,completed,not_needed")))
        self.expect(self.client.get(f"/deploy/{number}?members=lost"), 400, "invalid")


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_waves.py - rollouts that go in waves: canaries, soaks, gates and promote, failure domains, a
# floor of available members, and a server that is killed in the middle of each.
import time

import kit

BUSY = "in_progress_instances"
DONE = "completed_instances"
LOST = "failed_instances"
TOTAL = "total_instances"
LONG = "20m"  # longer than any test: it must not pass by itself


def agents(count=10, **options):
    return [kit.Agent(f"web-{number:03}", {"env": "prod", "zone": "ab"[number % 2]}, **options)
            for number in range(count)]


def gate(name="ok", **more):
    return {"name": name, "type": "manual", **more}


def canary(size, **more):
    return {"strategy": "canary", "canary": {"size": size, **more}}


def reasons(record):
    return [waiting["reason"] for waiting in record["waiting"]]


def waits_for(reason):
    return lambda record: reason in reasons(record)


def has_ended(record):
    return record["status_name"] in ("COMPLETED", "FAILED")


def wave(record, name):
    return next(one for one in record["waves"] if one["name"] == name)


class Waves(kit.Case):
    sets = ()

    def setUp(self):
        super().setUp()
        self.home = self.server(sets=self.sets)
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def start(self, code="2.0.0", **configuration):
        return self.deploy(self.client, kit.deploy_body(code, {"env": "prod"}, **configuration))["id"]

    def record(self, number):
        return self.expect(self.client.get(f"/deploy/{number}"), 200).json()

    def promote(self, number, status=200, body=None, code=None):
        return self.expect(self.client.post(f"/deploy/{number}/promote", body), status, code).json()

    def events(self, number, types=""):
        types = f"&types={types}" if types else ""
        return self.home.events(f"?after=0&follow=false&deployment={number}{types}")

    def story(self, number):
        """What happened to waves, gates and the rollout itself, in order."""
        return [(event.kind, event.data["new"].get("wave"), event.data["new"].get("gate"))
                for event in self.events(number) if event.kind.partition(".")[0] in ("wave", "gate", "rollout")]

    def picked(self, number):
        return [event.data["instance"] for event in self.events(number, "member.picked")]

    def restart(self, fleet):
        """The server dies as by a power cut, and comes back; the fleet goes on as it was."""
        self.home.kill()
        self.home.start()
        self.client.close()
        self.client = self.home.client()
        fleet.client.close()
        fleet.client = self.home.client()


class Canary(Waves):
    def test_a_canary_goes_first_soaks_and_waits_for_promote(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, **canary(2, soak="300ms", gates=[gate()]))

        soaking = fleet.run(number, waits_for("soak"))
        at_gate = fleet.run(number, waits_for("gate:ok"))
        told = [name for name, agent in fleet.agents.items() if agent.told]
        promoted = self.promote(number, body={"reason": "looks good"})
        ended = fleet.run_to_end(number)

        self.assertEqual((2, 2, 0), tuple(wave(soaking, "canary")["progress"][k] for k in (TOTAL, DONE, BUSY)))
        self.assertIsNotNone(soaking["waiting"][0]["until"])
        self.assertEqual(soaking["waiting"][0]["until"], wave(soaking, "canary")["soak_until"])
        self.assertIn("promote", at_gate["allowed_verbs"])
        self.assertEqual((8, 0), tuple(wave(at_gate, "rest")["progress"][k] for k in (TOTAL, BUSY)))
        self.assertIsNone(wave(at_gate, "rest")["opened_at"])
        self.assertEqual([{"name": "ok", "type": "manual"}],
                         [{k: one[k] for k in ("name", "type")} for one in wave(at_gate, "canary")["gates"]])
        self.assertEqual(["web-000", "web-001"], told)
        self.assertEqual(4, promoted["progress"][BUSY])
        self.assertEqual(("COMPLETED", "full", 10),
                         (ended["status_name"], ended["outcome"], ended["progress"][DONE]))
        self.assertEqual(["passed", "passed"], [one["state"] for one in ended["waves"]])
        self.assertEqual([("rollout.created", None, None), ("rollout.started", None, None),
                          ("wave.opened", "canary", None), ("gate.waiting", "canary", "ok"),
                          ("rollout.promoted", None, None), ("gate.passed", "canary", "ok"),
                          ("wave.passed", "canary", None), ("wave.opened", "rest", None),
                          ("wave.passed", "rest", None), ("rollout.completed", None, None)],
                         self.story(number))
        self.assertEqual(["looks good"],
                         [e.data["reason"] for e in self.events(number, "rollout.promoted")])

    def test_waiting_and_gates_are_counted(self):
        fleet = self.fleet(self.home, agents())
        for code in ("2.0.0", "3.0.0"):
            number = self.start(code, batch_size=4, **canary(
                2, soak="100ms", gates=[gate(), gate("dry", dry_run=True)]))
            fleet.run(number, waits_for("gate:ok"))
            self.promote(number)
            fleet.run_to_end(number)

        metrics = self.home.metrics()

        self.assertGreater(metrics['dides_rollout_wait_seconds_total{reason="soak"}'], 0)
        self.assertEqual(0, metrics['dides_rollout_wait_seconds_total{reason="paused"}'])
        self.assertEqual(2, metrics['dides_gate_evaluations_total{type="manual",result="passed"}'])
        self.assertEqual(2, metrics['dides_gate_evaluations_total{type="manual",result="inconclusive"}'])
        self.assertEqual(0, metrics["dides_fleet_silent"])

    def test_promote_cuts_a_soak_short_and_nothing_else(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, **canary("20%", soak=LONG, gates=[gate("a"), gate("b")]))

        early = self.promote(number, 409, code="nothing_to_promote")
        fleet.run(number, waits_for("soak"))
        first = self.promote(number)
        second = self.promote(number)
        third = self.promote(number)
        late = self.promote(number, 409, code="nothing_to_promote")

        self.assertIn("allowed_verbs", early)
        self.assertEqual((["gate:a"], ["gate:b"]), (reasons(first), reasons(second)))
        self.assertEqual(4, third["progress"][BUSY])
        self.assertNotIn("promote", late["allowed_verbs"])

    def test_promoted_in_full_nothing_waits_any_more(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, strategy="waves", waves=[
            {"size": 2, "soak": LONG, "gates": [gate("a")]},
            {"size": 2, "soak": LONG, "gates": [gate("a"), gate("b")]},
            {"soak": LONG, "gates": [gate("c")]}])
        fleet.run(number, waits_for("soak"))

        self.promote(number, body={"full": True})
        ended = fleet.run_to_end(number)

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))

    def test_a_failing_canary_goes_back_and_nobody_else_is_asked(self):
        fleet = self.fleet(self.home, agents(will_fail=lambda code: code == "2.0.0"))
        number = self.start(batch_size=4, **canary(2, soak=LONG))

        failed = fleet.run_to_end(number)
        back = fleet.run_to_end(failed["rolled_back_by"])

        self.assertEqual(("FAILED", "threshold"), (failed["status_name"], failed["cause"]))
        self.assertEqual("COMPLETED", back["status_name"])
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))
        self.assertLessEqual(set(self.picked(number)), {"web-000", "web-001"})

    def test_a_canary_that_breaks_while_it_soaks_is_rolled_back(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, **canary(2, soak=LONG))
        fleet.run(number, waits_for("soak"))

        self.client.patch("/inventory/instances/web-001", {"status": "FAILED"})
        failed = self.record(number)
        back = fleet.run_to_end(failed["rolled_back_by"])

        self.assertEqual(("FAILED", "threshold"), (failed["status_name"], failed["cause"]))
        self.assertEqual("COMPLETED", back["status_name"])
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))

    def test_what_was_asked_can_be_asked_again(self):
        self.fleet(self.home, agents())
        asked = self.record(self.start(
            min_available="50%", domains=[{"label": "zone", "max_in_progress": 3}], batch_size=4,
            **canary(2, soak="5m", gates=[gate(timeout="1h", inconclusive="fail")])))["request"]
        self.expect(self.client.post("/deploy/r-1/abort"), 200)

        again = self.record(self.deploy(self.client, asked)["id"])["request"]

        self.assertEqual(asked, again)
        self.assertEqual(["gates", "size", "soak"], sorted(asked["configuration"]["canary"]))
        self.assertNotIn("waves", asked["configuration"])


class Gates(Waves):
    def at_gate(self, **options):
        return self.start(batch_size=4, **canary(2, gates=[gate("ok", **options)]))

    def test_undecided_in_time_a_gate_may_pause(self):
        fleet = self.fleet(self.home, agents())
        number = self.at_gate(timeout="200ms")

        paused = fleet.run(number, lambda record: record["status_name"] == "PAUSED")
        refused = self.promote(number, 409)
        resumed = self.expect(self.client.post(f"/deploy/{number}/resume"), 200).json()
        self.promote(number)
        ended = fleet.run_to_end(number)

        self.assertEqual("paused", paused["waiting"][0]["reason"])
        self.assertIn("resume", refused["allowed_verbs"])
        self.assertEqual(["gate:ok"], reasons(resumed))
        self.assertEqual("COMPLETED", ended["status_name"])
        kinds = [event.kind for event in self.events(number) if event.kind.startswith("gate.")]
        self.assertEqual(["gate.waiting", "gate.inconclusive", "gate.waiting", "gate.passed"], kinds)

    def test_undecided_in_time_a_gate_may_pass(self):
        fleet = self.fleet(self.home, agents())
        number = self.at_gate(timeout="200ms", inconclusive="pass")

        ended = fleet.run_to_end(number)

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        self.assertIn(("gate.inconclusive", "canary", "ok"), self.story(number))

    def test_undecided_in_time_a_gate_may_fail(self):
        fleet = self.fleet(self.home, agents())
        number = self.at_gate(timeout="200ms", inconclusive="fail")

        failed = fleet.run_to_end(number)
        back = fleet.run_to_end(failed["rolled_back_by"])

        self.assertEqual(("FAILED", "gate"), (failed["status_name"], failed["cause"]))
        self.assertEqual("COMPLETED", back["status_name"])
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))
        self.assertEqual({"web-000", "web-001"}, set(self.picked(number)))

    def test_a_dry_run_never_blocks(self):
        fleet = self.fleet(self.home, agents())
        number = self.at_gate(dry_run=True)

        ended = fleet.run_to_end(number)

        self.assertEqual("COMPLETED", ended["status_name"])


class Several(Waves):
    WAVES = [{"name": "lab", "selector": "site=lab", "batch_size": 1},
             {"name": "first", "size": 2},
             {"name": "half", "percent": 50, "mode": "barrier", "batch_size": 3},
             {"name": "rest"}]

    def a_fleet_with_a_lab(self, **options):
        fleet = agents(12, **options)
        for agent in fleet[5:8]:
            agent.labels["site"] = "lab"
        return self.fleet(self.home, fleet)

    def test_each_wave_takes_what_it_says_and_the_last_the_rest(self):
        fleet = self.a_fleet_with_a_lab()
        number = self.start(batch_size=2, strategy="waves", waves=self.WAVES)
        shown = self.client.get("/inventory/instances/web-006").json()

        ended = fleet.run_to_end(number)

        self.assertEqual(("lab", 1), (shown["wave"], ended["waves"][0]["batch_limit"]))
        self.assertEqual([("lab", 3, "window"), ("first", 2, "window"), ("half", 6, "barrier"),
                          ("rest", 1, "window")],
                         [(one["name"], one["progress"][TOTAL], one["mode"]) for one in ended["waves"]])
        self.assertEqual([f"web-{n:03}" for n in (5, 6, 7, 0, 1, 2, 3, 4, 8, 9, 10, 11)], self.picked(number))
        self.assertEqual(("COMPLETED", 12), (ended["status_name"], ended["progress"][DONE]))
        self.assertEqual([one["name"] for one in self.WAVES for _ in range(2)],
                         [name for kind, name, _ in self.story(number) if kind.startswith("wave.")])

    def test_a_wave_without_members_is_refused(self):
        self.fleet(self.home, agents())

        problem = self.expect(self.client.post("/deploy", kit.deploy_body(
            "2.0.0", {"env": "prod"}, strategy="waves", waves=self.WAVES)), 422, "infeasible").json()

        self.assertIn("lab", problem["detail"])
        self.assertEqual(0, self.client.get("/deploy").json()["count"])

    def test_the_threshold_of_a_wave_counts_its_own_members(self):
        fleet = self.fleet(self.home, agents(9))
        for name in ("web-001", "web-004", "web-005"):
            fleet[name].will_fail = lambda code: code == "2.0.0"
        number = self.start(batch_size=1, failure_threshold=9, strategy="waves", waves=[
            {"name": "a", "size": 3, "failure_threshold": 2},
            {"name": "b", "size": 3, "failure_threshold": 2},
            {"name": "c"}])

        failed = fleet.run_to_end(number)
        back = fleet.run_to_end(failed["rolled_back_by"])

        self.assertEqual(("FAILED", "threshold", 3), (failed["status_name"], failed["cause"], failed["progress"][LOST]))
        self.assertEqual(1, wave(failed, "a")["progress"][LOST])
        self.assertEqual(2, wave(failed, "b")["progress"][LOST])
        self.assertEqual(("COMPLETED", "full"), (back["status_name"], back["outcome"]))
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))

    def test_a_rollback_goes_through_the_waves_in_reverse(self):
        fleet = self.fleet(self.home, agents(9))
        number = self.start(batch_size=3, strategy="waves", waves=[
            {"name": "a", "size": 3}, {"name": "b", "size": 3}, {"name": "c"}])
        fleet.run_to_end(number)

        back = self.expect(self.client.post("/deploy/rollback", {"configuration": {"batch_size": 1}}), 201).json()
        ended = fleet.run_to_end(back["id"])

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        self.assertEqual([f"web-{n:03}" for n in (6, 7, 8, 3, 4, 5, 0, 1, 2)], self.picked(back["id"]))
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))

    def undo(self, fleet, **more):
        number = self.start(batch_size=4, **canary(2, soak="200ms", gates=[gate()]))
        fleet.run(number, waits_for("gate:ok"))
        self.promote(number)
        fleet.run_to_end(number)
        return self.expect(self.client.post("/deploy/rollback", more), 201).json()["id"]

    def test_a_rollback_is_fast_unless_it_is_told_not_to_be(self):
        fleet = self.fleet(self.home, agents())

        ended = fleet.run_to_end(self.undo(fleet))

        self.assertEqual("COMPLETED", ended["status_name"])
        self.assertEqual([], [kind for kind, _, _ in self.story(ended["id"]) if kind.startswith("gate.")])

    def test_a_careful_rollback_soaks_and_waits_at_gates(self):
        fleet = self.fleet(self.home, agents())
        number = self.undo(fleet, fast=False)

        fleet.run(number, waits_for("gate:ok"))
        self.promote(number)
        ended = fleet.run_to_end(number)

        self.assertEqual("COMPLETED", ended["status_name"])
        self.assertEqual({"1.0.0"}, set(fleet.versions().values()))

    def test_the_command_line_shows_waves_and_promotes(self):
        fleet = self.fleet(self.home, agents())
        started = self.dides("deploy", "--code", "2.0.0", "-l", "env=prod", "--batch", "4", "--canary-size", "20%",
                             "--gate", "ok", "--min-available", "50%", "--domain", "zone=3")
        fleet.run("r-1", waits_for("gate:ok"))

        waited = self.dides("wait", "r-1", code=6)
        shown = self.dides("rollout", "r-1")
        promoted = self.dides("promote", "--reason", "fine")
        fleet.run_to_end("r-1")

        self.assertIn("r-1 RUNNING", started)
        self.assertIn("gate:ok", waited)
        self.assertRegex(shown, r"state +RUNNING for \S+, wave 1 of 2 \(canary\)")
        self.assertRegex(shown, r"waiting +gate:ok: \S")
        self.assertRegex(shown, r"available 100\.0% \(floor 50%\)")
        self.assertRegex(shown, r"next +gate ok \(manual\), then wave rest \(8 instances\) +allowed .*promote")
        self.assertRegex(shown, r"canary +window 4 +2 +2 +0 +0 +0 +0 +gated")
        self.assertIn("r-1 RUNNING", promoted)
        self.assertIn("wave 2 of 2 (rest)", promoted)

    def dides(self, *arguments, code=0):
        done = kit.subprocess.run([kit.program(), *arguments], capture_output=True, text=True, timeout=kit.HANG_S,
                                  env=kit.environment(DIDES_SERVER=f"http://127.0.0.1:{self.home.port}"))
        self.assertEqual(code, done.returncode, done)
        return done.stdout


class Limits(Waves):
    sets = ("max_concurrent=2",)

    def zones_in_flight(self):
        busy = self.client.get("/inventory/instances?update_state=in_progress").json()["instances"]
        return [one["labels"]["zone"] for one in busy]

    def test_a_domain_is_shared_by_all_rollouts(self):
        fleet = agents(16)
        for number, agent in enumerate(fleet):
            agent.labels["role"] = "web" if number < 8 else "db"
        fleet = self.fleet(self.home, fleet)
        limits = {"batch_size": 8, "domains": [{"label": "zone", "max_in_progress": 2}]}
        one, two = (self.deploy(self.client, kit.deploy_body("2.0.0", {"role": role}, **limits))["id"]
                    for role in ("web", "db"))
        seen, said = [], set()

        def watch(record):
            zones = self.zones_in_flight()
            seen.append(len(zones))
            self.assertLessEqual(max((zones.count(z) for z in "ab"), default=0), 2, zones)
            said.update(reasons(record))
            for domain in record["domains"]:
                self.assertLessEqual(domain["busy"], domain["max_in_progress"])

        second_at_first = self.record(two)
        ended = [fleet.run_to_end(number, watch) for number in (one, two)]

        self.assertEqual(["COMPLETED", "COMPLETED"], [record["status_name"] for record in ended])
        self.assertEqual(4, max(seen))
        self.assertIn("domain_cap", reasons(second_at_first))
        self.assertEqual([("zone", "a", 2, 2), ("zone", "b", 2, 2)],
                         sorted((d["label"], d["value"], d["busy"], d["max_in_progress"])
                                for d in second_at_first["domains"]))
        self.assertEqual({"2.0.0"}, set(fleet.versions().values()))

    def test_members_without_the_label_are_a_domain_too(self):
        fleet = agents(6)
        for agent in fleet[4:]:
            del agent.labels["zone"]
        fleet = self.fleet(self.home, fleet)

        number = self.start(batch_size=6, domains=[{"label": "zone", "max_in_progress": 1}])
        first = self.record(number)
        ended = fleet.run_to_end(number)

        self.assertEqual(3, first["progress"][BUSY])
        self.assertEqual({"a", "b", None}, {domain["value"] for domain in first["domains"]})
        self.assertEqual("COMPLETED", ended["status_name"])

    def test_too_many_failures_in_one_domain_are_a_breach(self):
        fleet = self.fleet(self.home, agents(12))
        for name in ("web-000", "web-002"):  # both in zone a
            fleet[name].will_fail = lambda code: code == "2.0.0"
        number = self.start(batch_size=4, failure_threshold=12, domains=[{"label": "zone", "max_failed": 2}])

        failed = fleet.run_to_end(number)

        self.assertEqual(("FAILED", "domain_threshold"), (failed["status_name"], failed["cause"]))

    def test_so_many_stay_available_as_asked(self):
        fleet = self.fleet(self.home, agents())
        lowest, said = [], set()

        def watch(record):
            lowest.append(record["available"])
            said.update(reasons(record))

        number = self.start(batch_size=10, min_available="75%")
        ended = fleet.run_to_end(number, watch)

        self.assertEqual("COMPLETED", ended["status_name"])
        self.assertEqual(8, min(lowest))  # 7.5 rounded up
        self.assertIn("min_available", said)

    def test_broken_members_are_mended_below_the_floor(self):
        fleet = self.fleet(self.home, agents())
        for number in range(4):
            self.client.patch(f"/inventory/instances/web-{number:03}", {"status": "FAILED"})

        number = self.start(batch_size=10, min_available="75%")

        self.assertEqual([f"web-{n:03}" for n in range(4)], self.picked(number))
        self.assertEqual("COMPLETED", fleet.run_to_end(number)["status_name"])


class Silence(Waves):
    sets = ("heartbeat_timeout=600ms", "heartbeat_min=100ms", "heartbeat_max=200ms", "active_interval=100ms",
            "reconcile_interval=100ms")

    def test_when_most_fall_silent_nothing_is_decided_until_they_are_back(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=2, instance_deadline="2s")
        fleet["web-000"].beat(fleet.client)  # it and web-001 are told to update

        frozen = kit.eventually("it stands still", lambda: (
            lambda record: record if "offline" in reasons(record) else None)(self.record(number)))
        time.sleep(3)  # the deadline would have acted long ago
        still = self.record(number)
        silent = self.home.metrics()["dides_fleet_silent"]
        ended = fleet.run_to_end(number)

        self.assertIn("fell silent", next(w for w in frozen["waiting"] if w["reason"] == "offline")["message"])
        self.assertEqual(("RUNNING", 0, 2), (still["status_name"], still["progress"][LOST], still["progress"][BUSY]))
        self.assertEqual(1, silent)
        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        kinds = [event.kind for event in self.home.events("?after=0&follow=false&types=fleet.silent,fleet.heard")]
        self.assertEqual(["fleet.silent", "fleet.heard"], kinds[:2])
        self.assertTrue([line for line in self.home.log if "fell silent" in line["message"]], self.home.log_text())

    def test_abort_works_while_the_fleet_is_silent(self):
        self.fleet(self.home, agents())
        number = self.start(batch_size=2)
        kit.eventually("it stands still", lambda: "offline" in reasons(self.record(number)))

        record = self.expect(self.client.post(f"/deploy/{number}/abort"), 200).json()

        self.assertEqual(("FAILED", "aborted"), (record["status_name"], record["cause"]))


class Kills(Waves):
    """The server is killed at each place where a rollout can stand; it goes on as if nothing was."""

    def assert_same(self, before, after):
        for key in ("id", "status_name", "generation", "waves", "domains", "progress", "request", "allowed_verbs"):
            self.assertEqual(before[key], after[key], key)
        self.assertEqual(reasons(before), reasons(after))

    def test_in_the_middle_of_a_wave(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=2, domains=[{"label": "zone", "max_in_progress": 2, "max_failed": 4}],
                            strategy="waves", waves=[{"size": 3, "soak": "100ms"}, {"selector": "zone=a"}, {}])
        for _ in range(6):
            fleet.turn()
            before = self.record(number)
            self.restart(fleet)
            after = self.record(number)
            self.assertEqual([one["progress"] for one in before["waves"]], [one["progress"] for one in after["waves"]])
            self.assertEqual(before["request"], after["request"])

        ended = fleet.run_to_end(number)

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        self.assertEqual(10, len(self.picked(number)))
        self.assertEqual(sorted(set(self.picked(number))), sorted(self.picked(number)))

    def test_in_the_middle_of_a_soak(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, **canary(2, soak="2s"))
        before = fleet.run(number, waits_for("soak"))

        self.restart(fleet)
        after = self.record(number)
        ended = fleet.run_to_end(number)

        self.assertEqual(["soak"], reasons(after))
        self.assertGreaterEqual(wave(after, "canary")["soak_until"], wave(before, "canary")["soak_until"])
        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))

    def test_at_a_gate(self):
        fleet = self.fleet(self.home, agents())
        number = self.start(batch_size=4, min_available=3, domains=[{"label": "zone", "max_in_progress": 3}],
                            **canary(2, soak="100ms", gates=[gate("a"), gate("b")]))
        before = fleet.run(number, waits_for("gate:a"))

        self.restart(fleet)
        self.assert_same(before, self.record(number))
        between = self.promote(number)
        self.restart(fleet)
        self.assert_same(between, self.record(number))
        self.promote(number)
        ended = fleet.run_to_end(number)

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        self.assertEqual([("gate.waiting", "a"), ("gate.passed", "a"), ("gate.waiting", "b"), ("gate.passed", "b")],
                         [(kind, name) for kind, _, name in self.story(number) if kind.startswith("gate.")])

    def test_in_the_middle_of_a_rollback_through_waves(self):
        fleet = self.fleet(self.home, agents(9))
        number = self.start(batch_size=3, strategy="waves", waves=[{"size": 3}, {"size": 3}, {}])
        fleet.run_to_end(number)
        back = self.expect(self.client.post("/deploy/rollback", {"configuration": {"batch_size": 1}}), 201).json()["id"]

        for _ in range(4):
            fleet.turn()
            self.restart(fleet)
        ended = fleet.run_to_end(back)

        self.assertEqual(("COMPLETED", "full"), (ended["status_name"], ended["outcome"]))
        self.assertEqual([f"web-{n:03}" for n in (6, 7, 8, 3, 4, 5, 0, 1, 2)], self.picked(back))


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_durability.py - the server is killed again and again in the middle of rollouts under load.
# The clients remember what was acknowledged and what they saw; after each start all of it must be
# there, and the journal must be one story without gaps from the first entry to the last.
import collections
import os
import random
import threading
import time

import kit

SEED = 20310101
KILLS = int(os.environ.get("DIDES_KILLS", "30"))
AGENTS = 36
BATCH = 5


class Memory:
    """What clients know, under one lock. `maybe`: requests that got no answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.labels = {}                                  # acknowledged registrations
        self.reports = {}                                 # instance: last acknowledged (code, config, status)
        self.maybe_reports = collections.defaultdict(list)  # instance: sent since, without an answer
        self.deploys = {}                                 # id: code version, acknowledged
        self.maybe_deploys = set()                        # code versions
        self.unanswered = None                            # the deploy to be asked for again: its key, its body
        self.repeated = 0                                 # so many were
        self.told = set()                                 # (instance, rollout) whose order an agent heard
        self.events = []                                  # everything the stream has sent
        self.faults = []


class Load:
    """Threads that go on through kills; each has its own connection to whichever server is up."""

    def __init__(self, server):
        self.server, self.memory = server, Memory()
        self.is_up, self.is_over = threading.Event(), threading.Event()
        self.is_up.set()
        self.may_deploy = threading.Event()
        self.may_deploy.set()
        self.agents = [kit.Agent(f"web-{number:02}", {"env": "prod"}) for number in range(AGENTS)]
        for agent in self.agents[::6]:
            agent.will_fail = lambda code: code.endswith("bad")
        jobs = [(self.beat_all, self.agents[half::2]) for half in range(2)]
        jobs += [(self.register_more, [prefix]) for prefix in "xy"]
        jobs += [(self.deploy_more, []), (self.watch, [])]
        self.threads = [threading.Thread(target=self.forever, args=(job, what)) for job, what in jobs]

    def forever(self, job, what):
        """job(client, what) does one bit of work; a lost connection is no fault."""
        client = None
        while not self.is_over.is_set():
            if not self.is_up.wait(0.05):
                continue
            try:
                if client is None or client.port != self.server.port:
                    client = self.server.client()
                job(client, what)
            except kit.Unanswered:
                time.sleep(0.002)
            except Exception as why:  # whatever it is, the test must end and tell it
                self.memory.faults.append(repr(why))
                return
        if client:
            client.close()

    # ---- jobs ----

    def beat_all(self, client, agents):
        for agent in agents:
            agent.obey()
            report = (agent.code, agent.config, agent.status)
            with self.memory.lock:
                self.memory.maybe_reports[agent.name].append(report)
            answer = client.patch(kit.instance_path(agent.name), agent.body())
            if answer.status != 200:
                raise AssertionError(f"heartbeat of {agent.name}: {answer}")
            with self.memory.lock:
                self.memory.reports[agent.name] = report
                self.memory.maybe_reports[agent.name].clear()
                reply = answer.json()
                if reply["update_needed"]:
                    self.memory.told.add((agent.name, reply["deployment_id"]))
            agent.hear(reply)

    def register_more(self, client, prefix):
        with self.memory.lock:
            name = f"{prefix[0]}-{len(self.memory.labels)}"
        labels = {"env": "other", "serial": name}
        answer = kit.register(client, name, labels)
        if answer.status not in (200, 201):
            raise AssertionError(f"registration of {name}: {answer}")
        with self.memory.lock:
            self.memory.labels[name] = labels
        time.sleep(0.004)

    def deploy_more(self, client, _):
        """One with an unknown outcome is asked for again with its key, until there is an answer."""
        memory = self.memory
        if memory.unanswered is None:
            if client.get("/deploy/status").json()["count"] > 0 or not self.may_deploy.is_set():
                time.sleep(0.005)
                return
            serial = len(memory.deploys)
            code = f"2.{serial}" + ("-bad" if serial % 3 == 2 else "")
            with memory.lock:
                memory.maybe_deploys.add(code)
            memory.unanswered = (f"key-of-{code}", code)
        else:
            memory.repeated += 1
        key, code = memory.unanswered
        body = kit.deploy_body(code, {"env": "prod"}, batch_size=BATCH, failure_threshold=3)
        answer = client.post("/deploy", body, headers={"Idempotency-Key": key})
        with memory.lock:
            if answer.status == 201:
                if memory.deploys.setdefault(answer.json()["id"], code) != code:
                    raise AssertionError(f"two keys have one rollout: {answer}")
                memory.maybe_deploys.discard(code)
                memory.unanswered = None
            elif answer.status != 409:  # that of before is still live: it was not this one
                raise AssertionError(f"deploy: {answer}")

    def watch(self, client, _):
        events = self.memory.events
        with kit.Stream(client.port, last_event_id=events[-1].index if events else 0) as stream:
            if stream.status != 200:
                raise AssertionError(f"events: {stream.problem()}")
            while event := stream.next():
                events.append(event)

    # ---- around a kill ----

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(kit.HANG_S)


class Kills(kit.Case):
    def check_the_fleet(self, server, memory):
        """After a start, before anybody talks to the server: what was acknowledged is there."""
        listed, cursor = {}, ""
        while cursor is not None:
            page = server.ask("GET", "/inventory/instances?limit=500" + cursor).json()
            listed.update((one["name"], one) for one in page["instances"])
            cursor = page["next_cursor"] and "&cursor=" + kit.quoted(page["next_cursor"])
        with memory.lock:
            for name, labels in memory.labels.items():
                self.assertEqual(labels, listed.get(name, {}).get("labels"), f"registration of {name} was lost")
            for name, report in memory.reports.items():
                shown = listed[name]
                runs = (shown["current_state"]["code_version"], shown["current_state"]["configuration_version"])
                possible = [report, *memory.maybe_reports[name]]
                self.assertIn(runs, [p[:2] for p in possible], name)
            records = {r["id"]: r for r in server.ask("GET", "/deploy").json()["deployments"]}
            for number, code in memory.deploys.items():
                self.assertEqual(code, records[number]["request"]["code_version"])
            known = set(memory.deploys.values()) | memory.maybe_deploys
            made = [r["request"]["code_version"] for r in records.values() if r["rollback_of"] is None]
            self.assertEqual(len(made), len(set(made)), "a key had two effects")
            for record in records.values():
                if record["rollback_of"] is None:
                    self.assertIn(record["request"]["code_version"], known)
                self.assertLessEqual(record["progress"]["in_progress_instances"], self.limit(record))

    def limit(self, record):
        """A rollback may inherit members that were in flight already."""
        return BATCH * 2 if record["rollback_of"] else BATCH

    def check_the_journal(self, events, memory):
        """One story: no gaps, at most one pick for each attempt, never more in flight than the batch."""
        self.assertEqual(list(range(1, len(events) + 1)), [e.index for e in events])
        for seen, kept in zip(memory.events, events):
            self.assertEqual(kept, seen)
        self.assertLessEqual(len(memory.events), len(events))
        in_flight, rollbacks, picked, created = collections.defaultdict(set), set(), set(), []
        for event in events:
            number, name = event.data["deployment_id"], event.data["instance"]
            if event.kind == "rollout.created":
                created.append(number)
                if event.data["new"]["rollback_of"]:
                    rollbacks.add(number)
            elif event.kind == "member.picked":
                pick = (number, name, event.data["new"]["attempt"])
                self.assertNotIn(pick, picked)
                picked.add(pick)
                in_flight[number].add(name)
                most = BATCH * 2 if number in rollbacks else BATCH
                self.assertLessEqual(len(in_flight[number]), most, f"after {event}")
            elif event.kind in ("member.completed", "member.failed", "member.left"):
                in_flight[number].discard(name)
            elif event.kind in ("rollout.completed", "rollout.failed"):
                in_flight[number].clear()
        self.assertEqual([f"r-{n}" for n in range(1, len(created) + 1)], created)
        for name, number in memory.told:
            self.assertIn((number, name), {p[:2] for p in picked}, "an order that nobody gave")

    def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(self):
        dice = random.Random(SEED)
        server = self.server()
        self.fleet(server, []).client.close()
        load = Load(server)
        self.addCleanup(load.stop)
        setup = server.client()
        for agent in load.agents:
            self.expect(agent.register(setup), 201)
            load.memory.labels[agent.name] = agent.labels
            self.expect(agent.beat(setup), 200)
        setup.close()
        load.start()

        for _ in range(KILLS):
            time.sleep(dice.uniform(0.02, 0.4))
            load.is_up.clear()
            server.kill()
            server.start()
            self.assertEqual([], load.memory.faults)
            self.check_the_fleet(server, load.memory)
            load.is_up.set()

        load.may_deploy.clear()
        kit.eventually("the last rollout ends", lambda: load.memory.faults or
                       server.ask("GET", "/deploy/status").json()["count"] == 0)
        newest = server.newest_index()
        kit.eventually("the stream has told everything", lambda: load.memory.faults or
                       (load.memory.events and load.memory.events[-1].index >= newest))
        self.assertEqual([], load.memory.faults)
        load.is_up.clear()
        server.terminate()
        load.stop()
        server.start()
        self.check_the_fleet(server, load.memory)
        self.check_the_journal(server.events(), load.memory)
        self.assertEqual(0, server.metrics()["dides_invariant_violations_total"])
        records = server.ask("GET", "/deploy").json()["deployments"]
        print(f"{KILLS} kills, {len(load.memory.labels)} registrations, {len(records)} rollouts, "
              f"{load.memory.repeated} asked for again, "
              f"{len(load.memory.events)} events seen ", end="")
        self.assertGreater(len(records), 3)


class Ends(kit.Case):
    def a_live_rollout(self, server, count=12):
        fleet = self.fleet(server, [kit.Agent(f"web-{n:02}") for n in range(count)])
        return fleet, self.deploy(fleet.client, kit.deploy_body("2.0.0", batch_size=3))["id"]

    def test_a_killed_rollout_goes_on_to_its_end(self):
        server = self.server()
        fleet, number = self.a_live_rollout(server)
        fleet.turn()
        before = fleet.rollout(number)

        server.kill()
        server.start()
        fleet.client = server.client()
        self.addCleanup(fleet.client.close)
        after = fleet.rollout(number)
        ended = fleet.run_to_end(number)

        # What it waits for is found out anew after a start; that may count as a revision.
        self.assertGreaterEqual(after["revision"], before["revision"])
        for record in (before, after):
            del record["waiting"], record["revision"]
        self.assertEqual(before, after)
        self.assertEqual(("COMPLETED", 12), (ended["status_name"], ended["progress"]["completed_instances"]))

    def test_sigterm_ends_with_zero_and_keeps_when_instances_were_heard(self):
        for signal_number in (kit.signal.SIGTERM, kit.signal.SIGINT):
            with self.subTest(signal=signal_number):
                server = self.server(f"data-{signal_number}")
                fleet, number = self.a_live_rollout(server)
                for _ in range(3):
                    fleet.client.patch(kit.instance_path("web-05"), {})  # changes nothing but last_seen
                before = server.ask("GET", kit.instance_path("web-05")).json()

                with kit.Stream(server.port) as stream:
                    code = server.terminate(signal_number)
                    self.assertIsNone(stream.next())

                self.assertEqual(0, code, server.log_text())
                self.assertEqual("stopped", server.log[-2]["message"])
                self.assertEqual(["dides.db", "lock", "reserve"], sorted(p.name for p in kit.pathlib.Path(server.data).iterdir()))
                server.start()
                self.assertEqual(before["last_seen"], server.ask("GET", kit.instance_path("web-05")).json()["last_seen"])
                self.assertEqual(number, server.ask("GET", "/deploy/status").json()["deployments"][0]["id"])
                server.release()

    def test_idle_and_half_sent_connections_do_not_hold_up_the_end(self):
        server = self.server()
        idle = [kit.socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        idle[0].sendall(b"POST /deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        idle[1].sendall(b"GET /dep")
        for one in idle:
            self.addCleanup(one.close)

        self.assertEqual(0, server.terminate())

    def test_a_second_server_on_the_same_folder_is_refused(self):
        first = self.server()

        second = self.server_unstarted().spawn()

        self.assertEqual(1, second.wait())
        said = second.log_text()
        self.assertIn("is in use by another dides", said)
        self.assertIn(str(first.child.pid), said)
        self.assertEqual(200, first.ask("GET", "/readyz").status)

    def test_a_used_port_is_refused_with_the_address(self):
        first = self.server()

        second = self.server_unstarted("other", arguments=["--listen", f"127.0.0.1:{first.port}"]).spawn()

        self.assertEqual(1, second.wait())
        self.assertIn(f"127.0.0.1:{first.port}", second.log_text())

    def test_memory_forgets_everything(self):
        server = self.server(arguments=["--store", "memory"])
        self.a_live_rollout(server)

        self.assertEqual(0, server.terminate())
        server.start()

        self.assertEqual(0, server.ask("GET", "/inventory/instances").json()["total"])
        self.assertFalse(kit.pathlib.Path(server.data).exists())


if __name__ == "__main__":
    kit.main()

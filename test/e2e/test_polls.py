#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_polls.py - heartbeats that wait for news (?wait=): the report counts at once, the reply comes
# with the wish.
import threading

import kit


class HeldHeartbeats(kit.Case):
    def setUp(self):
        super().setUp()
        self.running = self.server()
        self.client = self.running.client()
        self.addCleanup(self.client.close)
        kit.register(self.client, "web-1", {"env": "prod"})
        self.client.patch("/inventory/instances/web-1", {"code_version": "1.0.0", "status": 1})

    def hold(self, query, body=None):
        """The answer of a held heartbeat, which a thread of its own waits for."""
        answers = []

        def ask():
            client = self.running.client()
            answers.append(client.patch("/inventory/instances/web-1" + query, body or {"status": 1}))
            client.close()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread, answers

    def wait_until_held(self, count=1):
        kit.eventually("a held heartbeat",
                       lambda: self.running.metrics()["dides_long_polls"] == count)

    def answer_of(self, held):
        thread, answers = held
        thread.join(kit.HANG_S)
        self.assertEqual(1, len(answers), "the reply was not released")
        return answers[0]

    def test_a_new_wish_releases_the_reply(self):
        held = self.hold("?wait=60s")
        self.wait_until_held()

        self.expect(self.client.post("/deploy", {"code_version": "2.0.0"}), 201)

        answer = self.expect(self.answer_of(held), 200).json()
        self.assertTrue(answer["update_needed"])
        self.assertEqual("2.0.0", answer["desired_state"]["code_version"])
        self.assertEqual(0, self.running.metrics()["dides_long_polls"])

    def test_the_reply_comes_when_its_time_is_over(self):
        answer = self.expect(self.answer_of(self.hold("?wait=200ms")), 200).json()

        self.assertFalse(answer["update_needed"])

    def test_who_has_not_seen_the_newest_wish_is_answered_at_once(self):
        self.expect(self.client.post("/deploy", {"code_version": "2.0.0"}), 201)

        answer = self.answer_of(self.hold("?wait=60s", {"status": 1, "observed_generation": 0}))

        self.assertEqual("2.0.0", self.expect(answer, 200).json()["desired_state"]["code_version"])

    def test_the_report_counts_before_the_reply_is_given(self):
        held = self.hold("?wait=60s", {"code_version": "1.5.0", "status": "degraded"})
        self.wait_until_held()

        shown = self.client.get("/inventory/instances/web-1").json()
        self.assertEqual("1.5.0", shown["current_state"]["code_version"])
        self.assertEqual("DEGRADED", shown["status_name"])
        self.client.post("/deploy", {"code_version": "2.0.0"})
        self.expect(self.answer_of(held), 200)

    def test_a_newer_heartbeat_releases_the_older_one(self):
        first = self.hold("?wait=60s")
        self.wait_until_held()
        second = self.hold("?wait=60s")

        self.expect(self.answer_of(first), 200)
        self.wait_until_held()
        self.client.post("/deploy", {"code_version": "2.0.0"})
        self.expect(self.answer_of(second), 200)

    def test_a_removed_instance_is_told_so(self):
        held = self.hold("?wait=60s")
        self.wait_until_held()

        self.expect(self.client.send("DELETE", "/inventory/instances/web-1"), 204)

        self.expect(self.answer_of(held), 404)

    def test_a_client_that_goes_away_leaves_nothing_behind(self):
        client = self.running.client()
        client.get("/healthz")
        client.connection.request("PATCH", "/inventory/instances/web-1?wait=60s", '{"status":1}')
        self.wait_until_held()

        client.close()

        self.wait_until_held(0)

    def test_a_stop_releases_the_reply(self):
        held = self.hold("?wait=60s")
        self.wait_until_held()

        self.running.terminate()

        self.expect(self.answer_of(held), 200)

    def test_waits_beyond_a_minute_are_refused(self):
        for wait in "61s", "1", "-1s", "soon":
            answer = self.client.patch("/inventory/instances/web-1?wait=" + wait, {"status": 1})
            self.expect(answer, 400)


if __name__ == "__main__":
    kit.main()

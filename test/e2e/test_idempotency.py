#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_idempotency.py - Idempotency-Key: one key, one effect, one answer, across restarts.
import threading

import kit


class Keys(kit.Case):
    def setUp(self):
        super().setUp()
        self.running = self.server()
        self.client = self.running.client()
        self.addCleanup(self.client.close)
        for i in range(3):
            kit.register(self.client, "web-%d" % i, {"env": "prod"})
            self.client.patch("/inventory/instances/web-%d" % i, {"code_version": "1.0.0", "status": 1})

    def deploy_with(self, key, body=None, client=None):
        return (client or self.client).send("POST", "/deploy", body or {"code_version": "2.0.0"},
                                            {"Idempotency-Key": key})

    def test_the_same_request_gets_the_same_answer_and_has_one_effect(self):
        first = self.expect(self.deploy_with("k-1"), 201)
        again = self.expect(self.deploy_with("k-1"), 201)

        self.assertEqual(first.body, again.body)
        self.assertEqual(first.headers["Location"], again.headers["Location"])
        self.assertIsNone(first.headers["Idempotency-Replayed"])
        self.assertEqual("true", again.headers["Idempotency-Replayed"])
        self.assertEqual(1, self.client.get("/deploy").json()["count"])

    def test_the_answer_survives_a_crash(self):
        first = self.expect(self.deploy_with("k/ü 1".encode().decode("latin-1")), 201)
        self.running.kill()
        self.running.start()
        self.client.close()
        self.client = self.running.client()

        again = self.expect(self.deploy_with("k/ü 1".encode().decode("latin-1")), 201)

        self.assertEqual(first.body, again.body)
        self.assertEqual("true", again.headers["Idempotency-Replayed"])
        self.assertEqual(1, self.client.get("/deploy").json()["count"])

    def test_another_body_with_the_same_key_is_refused(self):
        self.expect(self.deploy_with("k-1"), 201)

        refused = self.expect(self.deploy_with("k-1", {"code_version": "3.0.0"}), 422)

        self.assertEqual("idempotency_key_reused", refused.json()["code"])

    def test_another_path_with_the_same_key_is_refused(self):
        self.expect(self.deploy_with("k-1"), 201)

        self.expect(self.client.send("POST", "/deploy/r-1/pause", {"code_version": "2.0.0"},
                                     {"Idempotency-Key": "k-1"}), 422)

    def test_a_refusal_is_not_kept(self):
        self.expect(self.deploy_with("first"), 201)
        self.expect(self.deploy_with("second", {"code_version": "3.0.0"}), 409)
        self.expect(self.client.post("/deploy/r-1/abort"), 200)

        self.expect(self.deploy_with("second", {"code_version": "3.0.0"}), 201)

    def test_many_at_once_have_one_effect(self):
        answers = []

        def ask():
            client = self.running.client()
            answers.append(self.deploy_with("k-1", client=client))
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(kit.HANG_S)

        self.assertEqual([201] * 20, [answer.status for answer in answers])
        self.assertEqual(1, len({answer.body for answer in answers}))
        self.assertEqual(19, sum(a.headers["Idempotency-Replayed"] == "true" for a in answers))

    def test_keys_have_a_form(self):
        for key in "", "x" * 129:
            self.expect(self.deploy_with(key), 400)
        self.expect(self.deploy_with("x" * 128), 201)

    def test_other_methods_ignore_the_header(self):
        for _ in range(2):
            answer = self.client.send("PATCH", "/inventory/instances/web-0", {"status": 1},
                                      {"Idempotency-Key": "k-1"})
            self.assertIsNone(self.expect(answer, 200).headers["Idempotency-Replayed"])


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_sessions.py - reports that are put in order by a session and a sequence: what comes late
# changes nothing, whatever the network does.
import kit


class Sessions(kit.Case):
    def setUp(self):
        super().setUp()
        self.running = self.server()
        self.client = self.running.client()
        self.addCleanup(self.client.close)
        kit.register(self.client, "web-1")

    def beat(self, status=200, **report):
        answer = self.client.patch(kit.instance_path("web-1"), report)
        return self.expect(answer, status).json()

    def session(self):
        return self.beat(session="")["session"]

    def status(self):
        return self.client.get(kit.instance_path("web-1")).json()["status_name"]

    def test_only_who_asks_is_told_a_session(self):
        self.assertNotIn("session", self.beat(message="plain"))
        session = self.session()
        self.assertNotIn("session", self.beat(session=session, sequence=1))

    def test_a_request_for_a_session_reports_nothing(self):
        self.beat(session="", code_version="9.9.9", **{"message": "not said"})

        shown = self.client.get(kit.instance_path("web-1")).json()
        self.assertIsNone(shown["current_state"]["code_version"])
        self.assertEqual("", shown["message"])

    def test_a_repeated_report_is_ignored_and_says_so(self):
        session = self.session()
        self.client.patch(kit.instance_path("web-1"), {"session": session, "sequence": 2, "status": 1})

        late = self.beat(session=session, sequence=1, message="late", code_version="0.9")

        self.assertIn("newer", late["warnings"][0])
        self.assertEqual("HEALTHY", self.status())

    def test_a_late_failure_of_an_older_order_fails_nothing(self):
        self.beat(code_version="1", message="")
        self.expect(self.client.post("/deploy", {"code_version": "2"}), 201)
        session = self.session()
        self.beat(session=session, sequence=2, code_version="1")

        self.client.patch(kit.instance_path("web-1"), {"session": session, "sequence": 1, "status": 3})

        record = self.client.get("/deploy/r-1").json()
        self.assertEqual("RUNNING", record["status_name"])
        self.assertEqual(0, record["progress"]["failed_instances"])

    def test_a_session_ends_with_the_next_and_with_a_registration(self):
        first, second = self.session(), self.session()

        self.assertEqual("session_ended", self.beat(409, session=first, sequence=1)["code"])
        self.beat(session=second, sequence=1)
        kit.register(self.client, "web-1")
        self.assertEqual("session_ended", self.beat(409, session=second, sequence=2)["code"])

    def test_a_session_ends_with_the_server(self):
        session = self.session()
        self.beat(session=session, sequence=1)

        self.running.kill()
        self.running.start()
        self.client = self.running.client()
        self.addCleanup(self.client.close)

        self.assertEqual("session_ended", self.beat(409, session=session, sequence=2)["code"])
        self.assertNotEqual(session, self.session())

    def test_a_late_report_is_never_held(self):
        session = self.session()
        self.beat(session=session, sequence=5)

        answer = self.client.patch(kit.instance_path("web-1") + "?wait=60s", {"session": session, "sequence": 4})

        self.assertIn("newer", self.expect(answer, 200).json()["warnings"][0])


if __name__ == "__main__":
    kit.main()

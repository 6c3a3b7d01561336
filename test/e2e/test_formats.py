#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_formats.py - databases written by every released version, read by this one.
import json
import pathlib
import sqlite3
import unittest

import fixture
import kit


class EveryReleasedFormat(kit.Case):
    def golden(self, name):
        return json.loads((fixture.FOLDER / (name + ".json")).read_text())

    def opened(self, name):
        data = pathlib.Path(self.folder, name)
        fixture.load(name, data)
        return self.server(name, sets=fixture.SETTINGS)

    def test_there_is_a_fixture_with_rows_and_a_journal(self):
        self.assertTrue(fixture.names())
        for name in fixture.names():
            fixture.load(name, pathlib.Path(self.folder, name))
            with sqlite3.connect(pathlib.Path(self.folder, name, "dides.db")) as db:
                self.assertGreater(db.execute("SELECT count(*) FROM kv").fetchone()[0], 10)
                self.assertGreater(db.execute("SELECT count(*) FROM journal").fetchone()[0], 3)
            db.close()

    def test_the_api_says_what_it_said_then(self):
        for name in fixture.names():
            with self.subTest(version=name):
                home = self.opened(name)

                self.assertEqual([], fixture.missing(self.golden(name), fixture.answers(home)))

    def test_a_difference_would_be_seen(self):
        name = fixture.names()[0]
        home = self.opened(name)
        golden = self.golden(name)
        golden["/inventory/instances/web-1"]["generation"] += 1
        golden["/deploy"]["deployments"][0]["gone"] = 1

        self.assertEqual(2, len(fixture.missing(golden, fixture.answers(home))))

    def test_the_state_survives_what_this_version_makes_of_it(self):
        for name in fixture.names():
            with self.subTest(version=name):
                home = self.opened(name)
                client = home.client()
                self.expect(kit.register(client, "late"), 201)
                self.expect(client.send("DELETE", "/inventory/instances/late"), 204)
                client.close()
                home.release()

                home.start()

                golden = self.golden(name)
                golden.pop("/events?after=0&follow=false")  # two more
                self.assertEqual([], fixture.missing(golden, fixture.answers(home)))

    def test_its_live_rollouts_go_on(self):
        for name in fixture.names():
            with self.subTest(version=name):
                home = self.opened(name)
                client = home.client()
                self.addCleanup(client.close)
                live = self.expect(client.get("/deploy/status"), 200).json()["deployments"]
                states = {record["status_name"] for record in live}
                self.assertEqual({"RUNNING", "PAUSED"}, states)
                back = next(record for record in live if record["status_name"] == "RUNNING")
                for agent in ("web-1", "web-2", "web-3"):
                    shown = client.get(kit.instance_path(agent)).json()
                    wish = shown["desired_state"]
                    client.patch(kit.instance_path(agent), {**wish, "status": "HEALTHY"})
                    client.post(f"/deploy/progress?id={back['id']}")

                ended = client.get(f"/deploy/{back['id']}").json()
                self.assertEqual("COMPLETED", ended["status_name"], ended)


if __name__ == "__main__":
    kit.main()

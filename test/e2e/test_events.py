#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_events.py - the journal as a stream: without gaps, resumed after any index, also across a new
# start; pruned, filtered, and read by clients of every speed.
import socket
import threading

import kit


def registrations(client, first, count, pad=0):
    for number in range(first, first + count):
        answer = kit.register(client, f"web-{number:05}", {"pad": "x" * pad})
        assert answer.status == 201, answer


class Reading(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server()
        self.client = self.home.client()
        self.addCleanup(self.client.close)

    def test_indexes_have_no_gaps_and_data_repeats_index_and_type(self):
        fleet = self.fleet(self.home, [kit.Agent(f"web-{n}") for n in range(8)])
        fleet.run_to_end(self.deploy(self.client, kit.deploy_body("2.0.0", batch_size=3))["id"])

        events = self.home.events()

        self.assertEqual(list(range(1, len(events) + 1)), [e.index for e in events])
        self.assertEqual(self.home.newest_index(), events[-1].index)
        for event in events:
            self.assertEqual((event.index, event.kind), (event.data["index"], event.data["type"]))
            for key in ("time", "actor", "reason", "old", "new", "deployment_id", "instance"):
                self.assertIn(key, event.data)
        self.assertEqual(sorted(e.data["time"] for e in events), [e.data["time"] for e in events])

    def test_without_a_start_it_tells_what_comes_next(self):
        registrations(self.client, 0, 3)
        with kit.Stream(self.home.port) as stream:
            self.assertEqual(("text/event-stream", "no-store"),
                             (stream.headers["Content-Type"], stream.headers["Cache-Control"]))
            registrations(self.client, 3, 1)
            event = stream.next()

        self.assertEqual((4, "web-00003"), (event.index, event.data["instance"]))

    def test_it_resumes_by_header_and_by_parameter(self):
        registrations(self.client, 0, 10)
        whole = self.home.events()

        for options in ({"last_event_id": 4, "query": "?follow=false"}, {"query": "?after=4&follow=false"},
                        {"last_event_id": 4, "query": "?after=9&follow=false"}):
            with self.subTest(options=options), kit.Stream(self.home.port, **options) as stream:
                self.assertEqual(whole[4:], stream.rest())
        with kit.Stream(self.home.port, "?after=10&follow=false") as stream:
            self.assertEqual([], stream.rest())

    def test_it_resumes_across_a_new_start(self):
        with kit.Stream(self.home.port, "?after=0") as stream:
            registrations(self.client, 0, 5)
            seen = stream.until(lambda event: event.index == 3)
        registrations(self.client, 5, 5)
        self.assertEqual(0, self.home.terminate())
        self.home.start()
        registrations(self.home.client(), 10, 5)

        with kit.Stream(self.home.port, last_event_id=3) as stream:
            seen += stream.until(lambda event: event.index == 15)

        self.assertEqual(list(range(1, 16)), [e.index for e in seen])
        self.assertEqual([f"web-{n:05}" for n in range(15)], [e.data["instance"] for e in seen])
        self.assertEqual(seen, self.home.events())

    def test_a_long_history_is_told_whole(self):
        registrations(self.client, 0, 1200, pad=250)  # more than may wait for one reader
        before = self.home.events()
        self.assertEqual(0, self.home.terminate())
        self.home.start()

        after = self.home.events()
        with kit.Stream(self.home.port, "?after=0") as stream:
            followed = stream.until(lambda event: event.index == 1200)

        self.assertEqual(1200, len(before))
        self.assertGreater(sum(len(e.text) for e in before), 256 << 10)
        self.assertEqual(before, after)
        self.assertEqual(before, followed)

    def test_types_and_deployment_filter(self):
        fleet = self.fleet(self.home, [kit.Agent(f"web-{n}") for n in range(4)])
        for code in ("2", "3"):
            fleet.run_to_end(self.deploy(self.client, kit.deploy_body(code))["id"])
        whole = self.home.events()

        picked = self.home.events("?after=0&follow=false&types=member.picked")
        two = self.home.events("?after=0&follow=false&types=rollout.created,rollout.completed")
        second = self.home.events("?after=0&follow=false&deployment=r-2")
        both = self.home.events("?after=0&follow=false&deployment=r-2&types=member.completed")

        self.assertEqual([e for e in whole if e.kind == "member.picked"], picked)
        self.assertEqual(8, len(picked))
        self.assertEqual([("rollout.created", "r-1"), ("rollout.completed", "r-1"),
                          ("rollout.created", "r-2"), ("rollout.completed", "r-2")],
                         [(e.kind, e.data["deployment_id"]) for e in two])
        self.assertEqual([e for e in whole if e.data["deployment_id"] == "r-2"], second)
        self.assertEqual([e for e in second if e.kind == "member.completed"], both)

    def test_labels_filter_live_entries_and_history_alike(self):
        fleet = self.fleet(self.home, [kit.Agent("web-0", {"env": "prod"}), kit.Agent("web-1", {"env": "prod"}),
                                       kit.Agent("lab-0", {"env": "dev", "role": "lab"})])
        with kit.Stream(self.home.port, "?labels=env%3Dprod") as live:
            first = self.deploy(self.client, kit.deploy_body("2", {"env": "prod"}))["id"]
            fleet.run_to_end(first)
            second = self.deploy(self.client, kit.deploy_body("3"))["id"]
            fleet.run_to_end(second)
            self.client.patch("/inventory/instances/lab-0", {"labels": {"env": "prod"}})
            self.client.patch("/inventory/instances/web-0", {"labels": {"env": None}})
            self.client.patch("/inventory/instances/web-0", {"message": "not seen"})
            self.client.send("DELETE", "/inventory/instances/web-1")
            seen = live.until(lambda event: event.kind == "instance.deleted")
        whole = self.home.events()

        def wanted(event):
            data = event.data
            if data["labels"] is None:
                return data["selector"] == "env=prod"
            return data["labels"].get("env") == "prod" or data["old"].get("labels", {}).get("env") == "prod"

        chosen = self.home.events("?after=0&follow=false&labels=env+in+(prod)".replace("+", "%20"))
        self.assertEqual([e for e in whole if wanted(e)], chosen)
        self.assertEqual(chosen[-len(seen):], seen)
        self.assertEqual({first}, {e.data["deployment_id"] for e in chosen if e.data["instance"] is None})
        self.assertEqual(2, len([e for e in chosen if e.kind == "member.picked" and e.data["deployment_id"] == second]))
        self.assertEqual(["lab-0", "web-0", "web-1"], [e.data["instance"] for e in chosen[-3:]])

        self.assertEqual(0, self.home.terminate())
        self.home.start()
        self.assertEqual(chosen, self.home.events("?after=0&follow=false&labels=env%3Dprod"))
        both = self.home.events("?after=0&follow=false&types=member.picked&labels=env%3Dprod")
        self.assertEqual([e for e in chosen if e.kind == "member.picked"], both)

    def test_a_bad_selector_is_refused(self):
        with kit.Stream(self.home.port, "?labels=env%20in%20(") as stream:
            self.assertEqual((400, "invalid"), (stream.status, stream.problem()["code"]))

    def test_an_entry_with_the_largest_labels_is_told(self):
        # Control characters take six bytes each: such an entry is the largest that there is.
        kit.register(self.client, "wide")
        for side in ("\x01", "\x02"):
            for first in range(0, 64, 8):
                labels = {f"{number:02}" + "\x01" * 126: side * 256 for number in range(first, first + 8)}
                self.expect(self.client.patch("/inventory/instances/wide", {"labels": labels}), 200)
        swap = {f"{number:02}" + "\x01" * 126: "" for number in range(64)}

        events = self.home.events("?after=0&follow=false&labels=!env")
        self.expect(self.client.patch("/inventory/instances/wide", {"labels": swap}), 200)
        last = self.home.events()[-1]

        self.assertGreater(len(events[-1].text), 300 << 10)
        self.assertEqual(("\x02" * 256, ""), tuple(next(iter(last.data[side]["labels"].values())) for side in ("old", "new")))

    def test_head_answers_without_a_stream(self):
        answer = self.home.ask("HEAD", "/events")

        self.assertEqual((200, "text/event-stream", b""),
                         (answer.status, answer.headers["Content-Type"], answer.body))
        kit.eventually("no stream is open", lambda: self.home.metrics()["dides_event_clients"] == 0)

    def test_streams_are_counted_while_they_are_open(self):
        with kit.Stream(self.home.port), kit.Stream(self.home.port):
            self.assertEqual(2, self.home.metrics()["dides_event_clients"])
        kit.eventually("they are gone", lambda: self.home.metrics()["dides_event_clients"] == 0)

    def test_a_silent_stream_says_that_it_is_alive(self):
        with kit.Stream(self.home.port) as stream:
            alive = threading.Event()

            def read():
                while not alive.is_set():
                    line = stream.response.readline()
                    if line == b"":
                        return
                    if line.rstrip() == b":":
                        alive.set()

            threading.Thread(target=read, daemon=True).start()
            self.assertTrue(alive.wait(kit.HANG_S))

    def test_a_stream_ends_in_good_order_with_the_server(self):
        with kit.Stream(self.home.port, "?after=0") as stream:
            registrations(self.client, 0, 2)
            stream.until(lambda event: event.index == 2)
            self.assertEqual(0, self.home.terminate())
            self.assertIsNone(stream.next())

    def test_a_reader_that_takes_nothing_is_dropped_and_others_are_not_held_up(self):
        lazy = socket.socket()
        self.addCleanup(lazy.close)
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        lazy.connect(("127.0.0.1", self.home.port))
        lazy.sendall(b"GET /events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        kit.eventually("it is open", lambda: self.home.metrics()["dides_event_clients"] == 1)
        seen = []

        def follow():
            with kit.Stream(self.home.port, "?after=0") as stream:
                seen.extend(stream.until(lambda event: event.index == 2000))

        brisk = threading.Thread(target=follow, daemon=True)
        brisk.start()
        fleet = [kit.Agent("web-x", {"pad": "x" * 256})]
        self.fleet(self.home, fleet)
        for number in range(2000):
            # Two kilobytes each, old and new: more than every buffer on the way to the lazy one.
            answer = self.client.patch("/inventory/instances/web-x", {
                "labels": {f"pad-{k}": f"{number:04}" * 64 for k in range(4)}})
            self.assertEqual(200, answer.status)
        brisk.join(kit.HANG_S)

        self.assertEqual(list(range(1, 2001)), [e.index for e in seen])
        kit.eventually("the lazy one is dropped", lambda: self.home.metrics()["dides_event_clients"] == 0)
        lazy.settimeout(kit.HANG_S)
        got, ended = b"", False
        try:
            while piece := lazy.recv(1 << 16):
                got += piece
            ended = True
        except ConnectionError:
            ended = True
        self.assertTrue(ended)
        self.assertFalse(got.endswith(b"0\r\n\r\n"), "it looks as if it had ended in good order")


class Pruning(kit.Case):
    def test_what_is_no_longer_kept_is_gone_and_the_oldest_is_told(self):
        home = self.server(sets=["events_kept=1000"])
        client = home.client()
        self.addCleanup(client.close)
        registrations(client, 0, 1500)

        def oldest():
            with kit.Stream(home.port, "?after=0&follow=false") as stream:
                return stream.status == 410 and stream.problem()

        problem = kit.eventually("old entries are pruned", oldest)
        self.assertEqual("gone", problem["code"])
        kept = int(problem["detail"].split()[-1])
        self.assertLessEqual(kept, 501 + 1)
        with kit.Stream(home.port, f"?after={kept - 1}&follow=false") as stream:
            events = stream.rest() if stream.status == 200 else []
        if events:  # more may have been pruned in between
            self.assertEqual(list(range(kept, 1501)), [e.index for e in events])

        self.assertEqual(0, home.terminate())
        home.start()
        with kit.Stream(home.port, "?after=0&follow=false") as stream:
            self.assertEqual(410, stream.status)
            kept = int(stream.problem()["detail"].split()[-1])
        self.assertEqual(list(range(kept, 1501)), [e.index for e in home.events(f"?after={kept - 1}&follow=false")])
        self.assertGreaterEqual(1501 - kept, 1000)


if __name__ == "__main__":
    kit.main()

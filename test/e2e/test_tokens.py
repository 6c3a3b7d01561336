# SPDX-License-Identifier: Apache-2.0
# test_tokens.py - registration tokens, credentials and limits against the real server, with scripted
# agents and with real ones: who may register and report, and what survives what.
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import unittest

import kit

WEB = "dt_token-for-names-that-begin-with-web"
ALL = "dt_token-for-every-name-there-may-be"
OLD = "dt_token-that-ended-long-ago-in-2001"
SECRETS = [WEB, ALL, OLD]


def bearer(credential):
    return {"Authorization": "Bearer " + credential}


class Tokens(kit.Case):
    """A server with three tokens: in a file, in its settings, and as a hash."""

    def setUp(self):
        super().setUp()
        token_file = pathlib.Path(self.folder, "web.token")
        token_file.write_text(WEB + "\n")
        hashed = subprocess.run(["sha256sum"], input=OLD.encode(), capture_output=True, check=True)
        self.settings = pathlib.Path(self.folder, "settings.json")
        self.settings.touch(0o600)
        self.settings.write_text(json.dumps({"registration_tokens": [
            {"name": "web", "token_file": str(token_file), "instances": "web-*"},
            {"name": "all", "token": ALL},
            {"name": "old", "sha256": hashed.stdout.split()[0].decode(),
             "expires": "2001-01-01T00:00:00Z"}]}))

    def guarded(self, name="data", sets=(), listen="127.0.0.1:0"):
        return self.server(name, sets=sets,
                           arguments=["--config", str(self.settings), "--listen", listen])

    def register(self, server, name="web-1", token=WEB, credential=None, status=201, headers=None,
                 client=None):
        headers = {**(headers or {}), **(bearer(credential) if credential else {})}
        answer = (client or server).__getattribute__("send" if client else "ask")(
            "POST", "/inventory/register", {"instance": {"name": name}, "token": token}, headers)
        self.expect(answer, status)
        return answer.json().get("credential")

    def beat(self, server, name, credential, status=200, body=None, code=None):
        return self.expect(server.ask("PATCH", kit.instance_path(name), body or {},
                                      bearer(credential) if credential else {}), status, code)

    def offline(self, server, name):
        kit.eventually("it is offline", lambda: server.ask(
            "GET", kit.instance_path(name)).json()["online"] is False)


QUICK = ["heartbeat_timeout=600ms", "heartbeat_min=100ms", "active_interval=100ms"]


class Registering(Tokens):
    def test_the_token_is_looked_at_before_anything_else_in_the_body(self):
        server = self.guarded()
        for body in ({}, {"token": None}, {"token": "wrong"}, {"token": "wrong", "instance": 7},
                     {"instance": {"name": "web-1"}}, {"token": OLD, "instance": "x"}):
            answer = self.expect(server.ask("POST", "/inventory/register", body), 401, "unauthenticated")
            self.assertEqual("Bearer", answer.headers["WWW-Authenticate"])
        self.expect(server.ask("POST", "/inventory/register", {"token": WEB, "instance": {}}), 400)
        self.expect(server.ask("POST", "/inventory/register", "{"), 400, "bad_json")

        self.assertEqual(0, server.ask("GET", "/inventory/instances").json()["count"])

    def test_a_token_for_other_names_is_403_and_changes_nothing(self):
        server = self.guarded()

        answer = server.ask("POST", "/inventory/register", {"instance": {"name": "db-1"}, "token": WEB})

        self.expect(answer, 403, "forbidden")
        self.expect(server.ask("GET", kit.instance_path("db-1")), 404)
        self.register(server, "db-1", ALL)

    def test_both_spellings_of_the_route_give_a_credential_of_their_own(self):
        server = self.guarded()
        first = self.register(server, "web-1")
        answer = server.ask("POST", "/inventory/instances/register/",
                            {"instance": {"ip": "10.0.0.1"}, "token": ALL})

        second = self.expect(answer, 201).json()["credential"]

        self.assertNotEqual(first, second)
        self.assertGreaterEqual(len(second), 43)
        self.beat(server, "web-1", first)
        self.beat(server, "10.0.0.1", second)

    def test_the_journal_says_by_which_token(self):
        server = self.guarded()

        self.register(server, "web-1")

        event = [e for e in server.events() if e.kind == "instance.registered"][0]
        self.assertEqual("token:web", event.data["actor"])

    def test_an_online_instance_is_taken_over_by_nobody(self):
        server = self.guarded()
        mine, other = self.register(server, "web-1"), self.register(server, "web-2")

        for credential in (None, other, "dc_guessed"):
            answer = server.ask("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": WEB},
                                bearer(credential) if credential else {})
            self.expect(answer, 409, "refused")

        self.beat(server, "web-1", mine)
        self.register(server, "web-1", credential=mine, status=200)

    def test_an_offline_one_is_and_then_the_old_credential_is_worthless(self):
        server = self.guarded(sets=QUICK)
        old = self.register(server, "web-1")
        self.beat(server, "web-1", old)
        self.offline(server, "web-1")

        new = self.register(server, "web-1", status=200)
        self.beat(server, "web-1", old)  # nobody has used the new one: its answer may have been lost
        self.beat(server, "web-1", new)

        self.beat(server, "web-1", old, 401, code="unauthenticated")
        self.beat(server, "web-1", new)

    def test_a_lost_answer_locks_nobody_out(self):
        server = self.guarded()
        held = self.register(server, "web-1")
        lost = [self.register(server, "web-1", credential=held, status=200) for _ in range(3)]

        self.beat(server, "web-1", held)
        got = self.register(server, "web-1", credential=held, status=200)

        self.beat(server, "web-1", got)
        for credential in [held, *lost]:
            self.beat(server, "web-1", credential, 401)

    def test_an_answer_that_was_lost_comes_again_for_its_key(self):
        server = self.guarded()
        key = {"Idempotency-Key": "a key of ours"}
        first = self.register(server, "web-1", headers=key)
        again = server.ask("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": WEB}, key)
        server.kill()
        server.start()
        later = server.ask("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": WEB}, key)

        for answer in (again, later):
            self.expect(answer, 201)
            self.assertEqual("true", answer.headers["Idempotency-Replayed"])
            self.assertEqual(first, answer.json()["credential"])
        wrong = server.ask("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": ALL}, key)
        self.expect(wrong, 422, "idempotency_key_reused")
        stranger = server.ask("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": "x"}, key)
        self.expect(stranger, 401)

    def test_a_token_ends_when_it_says(self):
        ends = time.time() + 1.5
        self.settings.write_text(json.dumps({"registration_tokens": [
            {"name": "soon", "token": ALL,
             "expires": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends)) + ".500Z"}]}))
        server = self.guarded()
        credential = self.register(server, "web-1", ALL)

        def answer():
            return server.ask("POST", "/inventory/register", {"instance": {"name": "web-2"}, "token": ALL})
        kit.eventually("the token ends", lambda: answer().status == 401)

        self.assertIn("has expired", answer().json()["detail"])
        self.beat(server, "web-1", credential)  # what it gave stays good


class Matrix(Tokens):
    def test_every_route_with_every_credential(self):
        server = self.guarded(sets=["rate_limit_failures=0"])
        own, foreign = self.register(server, "web-1"), self.register(server, "web-2")
        callers = {"none": {}, "wrong": bearer("dc_" + "x" * 43), "foreign": bearer(foreign),
                   "own": bearer(own), "token": bearer(WEB), "basic": {"Authorization": "Basic " + own},
                   "empty": {"Authorization": "Bearer"}}
        guarded = {"none": 401, "wrong": 401, "foreign": 403, "own": 200, "token": 401, "basic": 401,
                   "empty": 401}
        document = server.ask("GET", "/openapi.json").json()
        seen = 0
        for path, methods in document["paths"].items():
            for method in methods:
                if method not in ("get", "post", "patch", "put", "delete"):
                    continue
                statuses = {}
                for caller, headers in callers.items():
                    real = path.replace("{name}", "web-1" if method == "patch" else "no-such").replace("{id}", "r-1")
                    real += "?follow=false" if path == "/events" else ""
                    statuses[caller] = server.ask(method.upper(), real, {} if method != "get" else None,
                                                  headers).status
                seen += 1
                with self.subTest(method=method, path=path):
                    if (method, path) == ("patch", "/inventory/instances/{name}"):
                        self.assertEqual(guarded, statuses)
                    elif path.endswith("/register"):
                        self.assertEqual({401}, set(statuses.values()))  # there is no token in the body
                    else:  # operators have no roles yet: a credential makes no difference
                        self.assertEqual(1, len(set(statuses.values())), statuses)
                        self.assertNotIn(statuses["none"], (401, 403))
        self.assertGreater(seen, 15)

    def test_names_that_are_not_there_look_like_those_that_are(self):
        server = self.guarded(sets=["rate_limit_failures=0"])
        own = self.register(server, "web-1")
        self.register(server, "web-2")

        for name in ("web-2", "no-such"):
            self.beat(server, name, None, 401)
            self.beat(server, name, "dc_wrong", 401)
            self.beat(server, name, own, 403)

    def test_a_stolen_credential_speaks_for_one_and_is_written_down(self):
        server = self.guarded()
        stolen = self.register(server, "web-1")
        self.register(server, "web-2")

        self.beat(server, "web-2", stolen, 403, {"status": "FAILED"}, "forbidden")

        line = server.wait_for_log("an instance tried to report for another one")
        self.assertEqual(("web-2", "web-1", "127.0.0.1"), (line["instance"], line["owner"], line["client"]))
        self.assertEqual("UNKNOWN", server.ask("GET", kit.instance_path("web-2")).json()["status_name"])
        metrics = server.metrics()
        self.assertEqual(1, metrics['dides_auth_refusals_total{reason="foreign"}'])
        self.assertEqual(0, metrics['dides_auth_refusals_total{reason="credential"}'])
        self.assertEqual(2, metrics["dides_credentials"])

    def test_a_deleted_instance_has_no_credential_any_more(self):
        server = self.guarded()
        credential = self.register(server, "web-1")
        self.expect(server.ask("DELETE", kit.instance_path("web-1")), 204)

        self.beat(server, "web-1", credential, 401)
        new = self.register(server, "web-1")
        self.beat(server, "web-1", credential, 401)
        self.beat(server, "web-1", new)
        self.expect(server.ask("DELETE", kit.instance_path("web-1")), 204)
        server.release()

        with kit.open_database(server.data) as database:
            stored = [key for key, in database.execute("select key from kv") if "credential" in str(key)]
        self.assertEqual([], stored)


class Surviving(Tokens):
    def test_what_was_answered_is_good_after_a_kill_at_any_time(self):
        server = self.guarded()
        held, previous = self.register(server, "web-1"), None
        for _ in range(5):
            server.kill()
            server.start()
            if previous:
                self.beat(server, "web-1", previous)
            self.beat(server, "web-1", held)
            previous, held = held, self.register(server, "web-1", credential=held, status=200)
        server.release()
        server.start()

        self.beat(server, "web-1", held)
        self.beat(server, "web-1", previous, 401)

    def test_a_use_is_remembered_over_a_restart(self):
        server = self.guarded()
        first = self.register(server, "web-1")
        second = self.register(server, "web-1", credential=first, status=200)
        self.beat(server, "web-1", second)
        server.release()
        server.start()

        self.beat(server, "web-1", first, 401)
        self.beat(server, "web-1", second)

    def test_instances_of_an_open_server_register_anew_when_tokens_come(self):
        server = self.server()
        kit.register(server.client(), "web-1")
        self.beat(server, "web-1", None)
        server.release()
        server = self.guarded()

        self.beat(server, "web-1", None, 401)
        credential = self.register(server, "web-1", status=200)

        self.beat(server, "web-1", credential)

    def test_an_open_server_forgets_the_credential_of_who_registers_there(self):
        server = self.guarded()
        kept, dropped = self.register(server, "web-1"), self.register(server, "web-2")
        server.release()
        server = self.server()
        self.beat(server, "web-1", None)
        self.assertIsNone(self.register(server, "web-2", "any", status=200))
        server.release()
        server = self.guarded()

        self.beat(server, "web-1", kept)
        self.beat(server, "web-2", dropped, 401)
        self.beat(server, "web-2", self.register(server, "web-2", status=200))

    def test_many_names_of_any_kind_are_found_again(self):
        server = self.guarded()
        names = ["web-%s" % s for s in ("a b", "a/b", "%41", "\u00e4\u65e5", "\"", "x" * 240)] + [
            f"web-{i}" for i in range(300)]
        client = server.client()
        credentials = {name: self.register(server, name, client=client) for name in names}
        client.close()
        server.kill()
        server.start()

        for name, credential in credentials.items():
            self.beat(server, name, credential)


class Limits(Tokens):
    def attempt(self, server, token, source="127.0.0.1", name="web-1"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=kit.HANG_S,
                                                source_address=(source, 0))
        connection.request("POST", "/inventory/register",
                           json.dumps({"instance": {"name": name}, "token": token}))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, int(answer.headers.get("Retry-After", 0))

    def test_who_guesses_tokens_waits_and_others_do_not(self):
        server = self.guarded()
        credential = self.register(server, "web-1")

        guesses = [self.attempt(server, f"guess {i}", "127.0.2.1") for i in range(12)]

        self.assertEqual([401] * 10 + [429] * 2, [status for status, _ in guesses])
        self.assertTrue(all(1 <= wait <= 6 for status, wait in guesses if status == 429), guesses)
        self.assertEqual(429, self.attempt(server, WEB, "127.0.2.1", "web-2")[0])
        self.assertEqual(201, self.attempt(server, WEB, "127.0.2.2", "web-2")[0])
        self.beat(server, "web-1", credential)

    def test_twenty_thousand_guesses_from_a_network_get_nowhere(self):
        server = self.guarded()
        statuses = {}

        def guess(source):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=kit.HANG_S,
                                                    source_address=(source, 0))
            for i in range(2500):
                connection.request("POST", "/inventory/register", json.dumps({"token": f"{source} {i}"}))
                answer = connection.getresponse()
                answer.read()
                statuses[source, i] = answer.status
            connection.close()
        threads = [threading.Thread(target=guess, args=(f"127.0.2.{i}",)) for i in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(kit.HANG_S)

        self.assertEqual(20000, len(statuses))
        heard = sum(status == 401 for status in statuses.values())
        self.assertLess(heard, 8 * 40)
        self.assertEqual({401, 429}, set(statuses.values()))
        self.register(server, "web-1")

    def test_guessing_the_credential_of_one_instance_leaves_the_fleet_alone(self):
        server = self.guarded()
        credentials = {f"web-{i}": self.register(server, f"web-{i}") for i in range(20)}

        guesses = [server.ask("PATCH", kit.instance_path("web-1"), {}, bearer(f"dc_{i}")) for i in range(11)]

        self.assertEqual([401] * 10 + [429], [answer.status for answer in guesses])
        self.expect(guesses[-1], 429, "rate_limited")
        self.assertTrue(guesses[-1].json()["retryable"])
        for name, credential in credentials.items():
            self.beat(server, name, "dc_lost", 429 if name == "web-1" else 401)
            self.beat(server, name, credential)

    def test_one_agent_that_floods_is_slowed_down_alone(self):
        server = self.guarded(sets=["rate_limit_instance=5"])
        one, other = self.register(server, "web-1"), self.register(server, "web-2")
        client = server.client()
        answers = [client.patch(kit.instance_path("web-1"), {}, headers=bearer(one)) for _ in range(60)]
        client.close()

        statuses = [answer.status for answer in answers]
        self.assertEqual([200] * 10, statuses[:10])
        self.assertIn(429, statuses)
        slowed = next(answer for answer in answers if answer.status == 429)
        self.assertEqual("1", slowed.headers["Retry-After"])
        self.expect(slowed, 429, "rate_limited")
        self.beat(server, "web-2", other)
        kit.eventually("it may report again", lambda: server.ask(
            "PATCH", kit.instance_path("web-1"), {}, bearer(one)).status == 200)

    def test_a_client_beyond_loopback_is_slowed_down_and_loopback_is_not(self):
        address = own_address()
        if address is None:
            self.skipTest("this machine has no address but loopback")
        server = self.server(sets=["rate_limit_client=5"], arguments=["--listen", "0.0.0.0:0", "--insecure"])

        def ask(host, count):
            connection = http.client.HTTPConnection(host, server.port, timeout=kit.HANG_S)
            statuses = []
            for _ in range(count):
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            connection.close()
            return statuses
        far, near = ask(address, 60), ask("127.0.0.1", 200)

        self.assertEqual([200] * 10, far[:10])
        self.assertIn(429, far)
        self.assertEqual({200}, set(near))


def own_address():
    """An address of this machine that is not loopback; nothing is sent to find it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("198.51.100.1", 9))
            address = probe.getsockname()[0]
    except OSError:
        return None
    return None if address.startswith("127.") else address


def free_port():
    """Beyond the range from which connections take theirs, so that nobody has it while we restart."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


class Host:
    """A real agent that runs nothing but a version command."""

    def __init__(self, case, server, name, folder, token=WEB):
        self.case, self.server, self.name, self.token = case, server, name, token
        self.home = pathlib.Path(case.folder, folder)
        self.home.mkdir()
        self.log, self.child = [], None
        (self.home / "version").write_text("#!/bin/sh\nprintf '1.0.0\\nc1\\n'\n")
        (self.home / "version").chmod(0o755)
        self.config = self.home / "config.json"
        self.credential_file = self.home / "agent.json"
        case.addCleanup(self.kill)

    def start(self):
        self.config.write_text(json.dumps({
            "server": f"http://127.0.0.1:{self.server.port}", "name": self.name,
            "credential_file": str(self.credential_file), "check_interval": "1s",
            "update_command": ["/bin/true"], "version_command": [str(self.home / "version")]}))
        self.child = kit.spawn([kit.program(), "agent", "--config", str(self.config)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=kit.environment(DIDES_TOKEN=self.token))
        threading.Thread(target=self._read_log, args=(self.child.stderr,), daemon=True).start()
        return self

    def _read_log(self, stream):
        for line in stream:
            self.log.append(line.decode(errors="replace"))
        stream.close()

    def kill(self):
        if self.child and self.child.poll() is None:
            kit.kill_group(self.child)

    def credential(self):
        try:
            return json.loads(self.credential_file.read_text())["credential"]
        except FileNotFoundError:
            return None

    def says(self, text):
        return any(text in line for line in self.log)


class RealAgents(Tokens):
    def shown(self, server, name):
        answer = server.ask("GET", kit.instance_path(name))
        return answer.json() if answer.status == 200 else {}

    def heard(self, server, name="web-1"):
        return self.shown(server, name).get("last_seen")

    def reports(self, server, since=None, name="web-1"):
        """It was heard since then, and says what runs. (An idle agent is heard every 30 s only.)"""
        kit.eventually(f"{name} reports", lambda: self.heard(server, name) not in (None, since) and
                       self.shown(server, name)["current_state"]["code_version"] == "1.0.0")

    def test_an_agent_keeps_its_credential_over_restarts_of_both(self):
        port = free_port()
        server = self.guarded(sets=QUICK, listen=f"127.0.0.1:{port}")
        host = Host(self, server, "web-1", "host").start()
        self.reports(server)
        credential = host.credential()

        host.kill()
        since = self.heard(server)
        host.start()
        self.reports(server, since)
        host.kill()
        server.kill()
        again = self.guarded(sets=QUICK, listen=f"127.0.0.1:{port}")
        since = self.heard(again)
        host.start()
        self.reports(again, since)

        self.assertEqual(credential, host.credential())
        self.beat(again, "web-1", credential)

    def test_an_agent_of_an_open_server_registers_anew_when_tokens_come(self):
        port = free_port()
        server = self.server(sets=QUICK, arguments=["--listen", f"127.0.0.1:{port}"])
        host = Host(self, server, "web-1", "host").start()
        self.reports(server)
        self.assertIsNone(host.credential())
        server.release()

        guarded = self.guarded(sets=QUICK, listen=f"127.0.0.1:{port}")

        credential = kit.eventually("it has a credential", host.credential)
        self.beat(guarded, "web-1", credential)

    def test_of_two_agents_with_one_name_the_first_has_it(self):
        server = self.guarded(sets=QUICK)
        first = Host(self, server, "web-1", "first").start()
        self.reports(server)
        credential = first.credential()

        second = Host(self, server, "web-1", "second").start()
        kit.eventually("the second is refused", lambda: second.says("was answered 409"))

        self.assertIsNone(second.credential())
        self.beat(server, "web-1", credential)

    def test_an_agent_takes_over_what_fell_silent(self):
        server = self.guarded(sets=QUICK)
        stale = self.register(server, "web-1")
        self.beat(server, "web-1", stale)
        host = Host(self, server, "web-1", "host").start()

        kit.eventually("it takes over", host.credential)
        self.reports(server)

        self.assertTrue(host.says("was answered 409"))
        self.beat(server, "web-1", stale, 401)

    def test_an_agent_whose_credential_nobody_knows_registers_anew(self):
        server = self.guarded(sets=QUICK)
        host = Host(self, server, "web-1", "host").start()
        self.reports(server)
        before = host.credential()
        self.expect(server.ask("DELETE", kit.instance_path("web-1")), 204)

        kit.eventually("it has another one", lambda: host.credential() not in (None, before))
        self.reports(server)

        self.beat(server, "web-1", host.credential())

    def test_an_agent_with_an_expired_token_goes_on_with_its_credential(self):
        server = self.guarded(sets=QUICK)
        host = Host(self, server, "web-1", "host").start()
        self.reports(server)
        host.kill()
        host.token, since = OLD, self.heard(server)

        host.start()

        self.reports(server, since)

    def test_no_secret_is_anywhere_but_where_it_belongs(self):
        server = self.guarded(sets=QUICK)
        host = Host(self, server, "web-1", "host").start()
        self.reports(server)
        keyed = self.register(server, "web-9", headers={"Idempotency-Key": "k"})
        problems = [server.ask("POST", "/inventory/register", {"instance": {"name": "db-1"}, "token": WEB}),
                    server.ask("POST", "/inventory/register", {"instance": {"name": "db-1"}, "token": OLD}),
                    server.ask("POST", "/inventory/register", {"instance": {"name": ""}, "token": ALL}),
                    server.ask("POST", "/inventory/register", {"instance": {"name": "x"}, "token": ALL, "y": 1}),
                    server.ask("PATCH", kit.instance_path("web-9"), {}, bearer(host.credential())),
                    server.ask("PATCH", kit.instance_path("web-9"), {"status": 9}, bearer(keyed))]
        secrets = SECRETS + [host.credential(), keyed]
        said = [answer.body for answer in problems if "credential" not in answer.json()]
        said += [server.ask("GET", path).body for path in
                 ("/metrics", "/events?after=0&follow=false", "/inventory/instances",
                  "/inventory/instances/web-1", "/openapi.json", "/")]
        said += [pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes() for child in (server.child, host.child)]
        printed = subprocess.run([kit.program(), "server", "--config", str(self.settings), "--print-config"],
                                 capture_output=True, check=True, env=kit.environment())
        said += [printed.stdout, printed.stderr]
        host.kill()
        server.release()
        said += [path.read_bytes() for path in pathlib.Path(server.data).iterdir() if path.is_file()]
        said += [server.log_text().encode(), "".join(host.log).encode()]

        for secret in secrets:
            self.assertGreater(len(secret), 20)
            for text in said:
                self.assertNotIn(secret.encode(), text)
        kept = subprocess.run(["sha256sum"], input=host.credential().encode(), capture_output=True, check=True)
        self.assertTrue(any(kept.stdout.split()[0] in text for text in said), "not even the hash is kept")


class Starting(Tokens):
    def test_mistakes_in_entries_end_the_start_with_a_sentence(self):
        for entries, part in (
                ([{"name": "a", "token_file": self.folder + "/none"}], "cannot read the token in"),
                ([{"name": "a", "token": ALL}, {"name": "b", "token": ALL}], "have the same token"),
                ([{"name": "a", "token": ALL, "instances": "web-["}], "must be a pattern"),
                ([{"name": "a", "token": ALL, "expires": "soon"}], "expires must be"),
                ([{"name": "a", "token": ALL}, {"name": "a", "token": WEB}], "is there twice")):
            with self.subTest(part=part):
                self.settings.write_text(json.dumps({"registration_tokens": entries}))
                done = subprocess.run([kit.program(), "server", "--store", "memory", "--listen", "127.0.0.1:0",
                                       "--config", str(self.settings)], capture_output=True, text=True,
                                      env=kit.environment(), timeout=kit.HANG_S)
                self.assertNotEqual(0, done.returncode)
                self.assertIn(part, done.stderr)
                self.assertNotIn(ALL, done.stderr + done.stdout)

    def test_tokens_do_not_open_the_way_beyond_loopback(self):
        done = subprocess.run([kit.program(), "server", "--store", "memory", "--listen", "0.0.0.0:0",
                               "--config", str(self.settings)], capture_output=True, text=True,
                              env=kit.environment(), timeout=kit.HANG_S)

        self.assertEqual(64, done.returncode)
        self.assertIn("--insecure", done.stderr)

    def test_a_made_token_fits_the_server_it_was_made_for(self):
        token_file = pathlib.Path(self.folder, "made.token")
        made = subprocess.run([kit.program(), "token", "made", "--file", str(token_file),
                               "--instances", "any*", "--expires", "7d"],
                              capture_output=True, text=True, check=True, env=kit.environment())
        token = token_file.read_text().strip()
        settings = pathlib.Path(self.folder, "made.yaml")
        settings.write_text(made.stdout)
        again = subprocess.run([kit.program(), "token", "made", "--file", str(token_file)],
                               capture_output=True, text=True, env=kit.environment())
        server = self.server(arguments=["--config", str(settings)])

        credential = self.register(server, "any", token)

        self.beat(server, "any", credential)
        self.register(server, "other", token, status=403)
        self.assertEqual(0o600, os.stat(token_file).st_mode & 0o777)
        self.assertNotIn(token, made.stdout + made.stderr)
        self.assertNotEqual(0, again.returncode)
        self.assertEqual(token, token_file.read_text().strip())


if __name__ == "__main__":
    kit.main()

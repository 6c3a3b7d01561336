#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_secrets.py - canaries: every secret that a person or an agent can give, and every one that the
# server makes, is searched for in everything that is printed, answered, stored, or left by a crash.
import json
import os
import pathlib
import re
import resource
import signal
import subprocess

import kit
import test_tokens

PLAIN = "canary-0f1e2d3c4b5a6978-plain-token"
IN_FILE = "canary-1122334455667788-token-of-a-file"
IN_VARIABLE = "canary-99aabbccddeeff00-token-of-a-variable"
WRONG = "canary-a1b2c3d4e5f60718-wrong-token-of-an-agent"
GUESSED = "canary-8796a5b4c3d2e1f0-credential-that-nobody-gave"
SAID_BY_LOG = {"time", "level", "message"}


def run(*arguments, code=0, **variables):
    done = subprocess.run([kit.program(), *arguments], capture_output=True, env=kit.environment(**variables),
                          timeout=kit.HANG_S, check=False)
    assert code is None or done.returncode == code, (arguments, done)
    return done.stdout + done.stderr


def bearer(secret):
    return {"Authorization": "Bearer " + secret}


class Canaries(kit.Case):
    def setUp(self):
        super().setUp()
        self.said = {}  # where it was said: bytes
        token_file = pathlib.Path(self.folder, "token")
        token_file.touch(0o600)
        token_file.write_text(IN_FILE + "\n")
        made = run("token", "made", "--file", str(pathlib.Path(self.folder, "made.token")))
        self.said["dides token"] = made
        self.made = pathlib.Path(self.folder, "made.token").read_text().strip()
        self.settings = pathlib.Path(self.folder, "settings.json")
        self.settings.touch(0o600)
        entry = {"name": "made", "sha256": re.search(rb"\b[0-9a-f]{64}\b", made)[0].decode()}
        self.settings.write_text(json.dumps({"registration_tokens": [
            {"name": "plain", "token": PLAIN}, {"name": "file", "token_file": str(token_file)}, entry]}))
        self.secrets = {"plain": PLAIN, "of a file": IN_FILE, "made": self.made, "wrong": WRONG, "guessed": GUESSED}

    def hear(self, where, answer):
        self.said[where] = answer.body + str(answer.headers).encode()
        return answer

    def register(self, server, name, token, key=None, status=201):
        headers = {"Idempotency-Key": key} if key else {}
        answer = server.ask("POST", "/inventory/register", {"instance": {"name": name}, "token": token}, headers)
        self.expect(answer, status)
        if status != 201:
            self.hear(f"registration of {name}", answer)
            return None
        credential = answer.json()["credential"]
        self.secrets[f"credential of {name}"] = credential
        return credential

    def failing_requests(self, server, held):
        """Each with a secret in the place that it belongs to, and something else wrong."""
        patch = kit.instance_path("web-1")
        attempts = [
            ("PATCH", patch, "{", bearer(held)), ("PATCH", patch, '{"status":99}', bearer(held)),
            ("PATCH", patch, {"code_version": [held]}, bearer(held)), ("PATCH", patch, {}, bearer(GUESSED)),
            ("PATCH", patch, {}, {"Authorization": "Basic " + GUESSED}),
            ("PATCH", patch, {}, {"Authorization": GUESSED}),
            ("PATCH", kit.instance_path("web-2"), {}, bearer(held)),
            ("PATCH", kit.instance_path("nobody"), {}, bearer(held)),
            ("PUT", patch, {}, bearer(held)), ("GET", "/no/such/route", None, bearer(held)),
            ("POST", "/deploy", '{"code_version":7}', bearer(GUESSED)),
            ("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": WRONG}, {}),
            ("POST", "/inventory/register", {"instance": {"name": 7}, "token": PLAIN}, {}),
            ("POST", "/inventory/register", {"instance": {"name": "web-1"}, "token": PLAIN}, bearer(GUESSED)),
            ("POST", "/inventory/register", {"token": [PLAIN]}, {}),
            ("POST", "/inventory/register", '{"token":"' + PLAIN + '","instance":{"name":"y"', {}),
        ]
        for number, attempt in enumerate(attempts):
            answer = self.hear(f"attempt {number}, {attempt[0]} {attempt[1]}", server.ask(*attempt))
            self.assertGreaterEqual(answer.status, 400, attempt)

    def a_rollout(self, server, held):
        self.expect(server.ask("PATCH", kit.instance_path("web-1"), {"code_version": "1", "status": 1}, bearer(held)), 200)
        self.hear("plan", self.expect(server.ask("POST", "/deploy/plan", kit.deploy_body("2")), 200))
        self.hear("deploy", self.expect(server.ask("POST", "/deploy", kit.deploy_body("2")), 201))
        self.hear("heartbeat", server.ask("PATCH", kit.instance_path("web-1"), {"code_version": "1", "status": 3,
                                                                             "message": "it failed"}, bearer(held)))

    def everything_that_answers(self, server):
        for path in ("/metrics", "/events?after=0&follow=false", "/inventory/instances", "/inventory/instances/web-1",
                     "/deploy", "/deploy/r-1", "/deploy/status", "/openapi.json", "/"):
            self.hear("GET " + path, self.expect(server.ask("GET", path), 200))
        url = f"http://127.0.0.1:{server.port}"
        backup = pathlib.Path(self.folder, "backup.db")
        for words in (["instances"], ["instances", "web-1"], ["rollout", "r-1"], ["events"], ["rollouts"],
                      ["plan", "--code", "3", "--all"], ["backup", str(backup)]):
            self.said["dides " + " ".join(words)] = run(*words, code=None, DIDES_SERVER=url)
        self.said["dides verify"] = run("verify", str(backup))
        self.said["backup"] = backup.read_bytes()
        for child, who in ((server.child, "server"), (self.host.child, "agent")):
            self.said[f"arguments of the {who}"] = pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes()

    def everything_that_is_kept(self, server):
        for path in pathlib.Path(server.data).iterdir():
            self.said[f"file {path.name}"] = path.read_bytes()
        self.said["log of the server"] = server.log_text().encode()
        self.said["log of the agent"] = "".join(self.host.log).encode()
        self.said["settings printed"] = run("server", "--config", str(self.settings), "--print-config")

    def search(self):
        for whose, secret in self.secrets.items():
            self.assertGreater(len(secret), 20)
            for where, text in self.said.items():
                self.assertNotIn(secret.encode(), text, f"the secret {whose} is in: {where}")

    def test_no_secret_is_in_anything_that_is_printed_answered_or_stored(self):
        server = self.server(sets=test_tokens.QUICK, arguments=["--config", str(self.settings)])
        held = self.register(server, "web-1", PLAIN)
        self.register(server, "web-2", IN_FILE, key="kept-for-a-day")
        self.register(server, "web-3", self.made)
        self.register(server, "web-4", WRONG, status=401)
        self.host = test_tokens.Host(self, server, "web-5", "host", token=IN_FILE).start()
        kit.eventually("the agent has a credential", self.host.credential)
        self.secrets["credential of the agent"] = self.host.credential()
        self.failing_requests(server, held)
        self.a_rollout(server, held)
        self.everything_that_answers(server)
        for path in pathlib.Path(server.data).iterdir():
            self.said[f"file {path.name}, while it is in use"] = path.read_bytes()
        server.kill()
        self.everything_that_is_kept(server)
        server.start()  # what was kept of web-2's answer is read again
        self.host.kill()
        server.terminate()
        self.everything_that_is_kept(server)

        self.search()
        self.assertIn(b"token:plain", self.said["GET /events?after=0&follow=false"])  # its name is no secret

    def test_tokens_of_the_environment_are_as_secret(self):
        variables = {"DIDES_REGISTRATION_TOKENS": json.dumps([{"name": "variable", "token": IN_VARIABLE}])}
        self.secrets = {"of a variable": IN_VARIABLE, "wrong": WRONG}
        server = self.server(variables=variables)
        self.register(server, "web-1", IN_VARIABLE)
        self.register(server, "web-2", WRONG, status=401)
        printed = subprocess.run([kit.program(), "server", "--print-config"], capture_output=True, check=True,
                                 env=kit.environment(**variables))
        self.said["settings printed"] = printed.stdout + printed.stderr
        broken = subprocess.run([kit.program(), "server", "--data", self.folder + "/other"], capture_output=True,
                                check=False, env=kit.environment(DIDES_REGISTRATION_TOKENS=json.dumps(
                                    [{"name": "a", "token": IN_VARIABLE, "wrong": WRONG}])))
        self.assertNotEqual(0, broken.returncode)
        self.said["refusal"] = broken.stdout + broken.stderr
        server.kill()
        for path in pathlib.Path(server.data).iterdir():
            self.said[f"file {path.name}"] = path.read_bytes()
        self.said["log"] = server.log_text().encode()

        self.search()

    def crash(self, arguments, wait=lambda child: None):
        """Whether a process that crashes leaves a core."""
        def allow_cores():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        child = subprocess.Popen(arguments, cwd=self.folder, preexec_fn=allow_cores, stderr=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, env=kit.environment(ASAN_OPTIONS="handle_segv=0"))
        wait(child)
        child.send_signal(signal.SIGSEGV)
        child.stderr.close()
        return os.WCOREDUMP(os.waitpid(child.pid, 0)[1])

    def test_a_crash_leaves_no_core(self):
        if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY or not self.crash(["sleep", "60"]):
            self.skipTest("no process leaves a core here")
        listens = lambda child: child.stderr.readline()
        self.assertFalse(self.crash([kit.program(), "server", "--listen", "127.0.0.1:0", "--data", "crashed"], listens))
        host = pathlib.Path(self.folder, "agent.json")
        host.touch(0o600)
        host.write_text(json.dumps({"server": "http://127.0.0.1:9", "credential_file": self.folder + "/credential",
                                    "update_command": ["/bin/true"], "version_command": ["/bin/true"],
                                    "token": PLAIN}))
        self.assertFalse(self.crash([kit.program(), "agent", "--config", str(host)], listens))


class ForgedLines(kit.Case):
    def test_nothing_that_is_sent_makes_a_line_of_the_log(self):
        """Names with all that JSON and terminals take seriously; whatever is said of them is one line."""
        forged = '","level":"error","message":"forged"}\u2028{"x":"'
        token = "a token of sixteen bytes or more"
        server = self.server(variables={"DIDES_REGISTRATION_TOKENS": json.dumps([{"name": "all", "token": token}])})
        held = {}
        for name in ("web" + forged, "db\\" + forged):
            answer = server.ask("POST", "/inventory/register", {"instance": {"name": name}, "token": token})
            held[name] = self.expect(answer, 201).json()["credential"]
        one, other = held
        self.expect(server.ask("PATCH", kit.instance_path(one), {}, bearer(held[other])), 403)
        for path in ("/%0a%7b%22message%22:%22forged%22%7d", "/inventory/instances/%1b%5b2J%0d%0aforged"):
            self.assertGreaterEqual(server.ask("GET", path).status, 400)
        self.expect(server.ask("PATCH", kit.instance_path(one), {
            "message": "\n{\"message\":\"forged\"}\r\n\x1b[2J", "observed_generation": 99}, bearer(held[one])), 200)

        line = server.wait_for_log("an instance tried to report for another one")
        self.assertEqual((one, other), (line["instance"], line["owner"]))
        server.terminate()
        for line in server.log[:-1]:  # the last one says that the log has ended
            self.assertLessEqual(SAID_BY_LOG, set(line), line)
            self.assertNotEqual("forged", line["message"])


if __name__ == "__main__":
    kit.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_agent_e2e.py - the real server and the real agent bring a real process from version to version:
# a small web server whose version is a file. One version is broken; one agent is killed at every
# boundary of a command.
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import kit

# What the site runs: it answers with its version, and a broken version never gets up.
SITE = """
import http.server, pathlib, sys
home = pathlib.Path(sys.argv[1])
code, config = (home / "release").read_text().split("\\n")[:2]
if "broken" in code:
    sys.exit("cannot start: version " + code + " is broken")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{code}\\n{config}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
(home / "port.new").write_text(str(server.server_port))
(home / "port.new").rename(home / "port")
server.serve_forever()
"""

# boundary NAME: stops here for ever when the file at-NAME asks for it, having said so by a file.
PRELUDE = """#!/bin/sh
cd '{home}' || exit 99
boundary() {{
    if [ -e "at-$1" ]; then rm "at-$1"; echo $$ >"reached-$1"; sleep 1000; fi
}}
"""

UPDATE = PRELUDE + """
boundary update-begin
echo "$DIDES_PREVIOUS_CODE_VERSION -> $DIDES_CODE_VERSION $DIDES_ATTEMPT" >>updates
printf '%s\\n%s\\n' "$DIDES_CODE_VERSION" "$DIDES_CONFIGURATION_VERSION" >release.new
mv release.new release
boundary update-switched
[ ! -e pid ] || kill "$(cat pid)" 2>/dev/null
rm -f port
setsid '{python}' site.py '{home}' >/dev/null 2>site.log </dev/null &
echo $! >pid
boundary update-started
i=0
while [ ! -e port ]; do
    if ! kill -0 "$(cat pid)" 2>/dev/null; then tail -1 site.log; exit 1; fi
    i=$((i + 1)); [ $i -lt 600 ] || exit 2
    sleep 0.05
done
boundary update-end
"""

# The version is asked of the process, not of the file: only what runs counts.
VERSION = PRELUDE + """
boundary version-begin
[ -e port ] || { echo "nothing runs" >&2; exit 1; }
'{python}' -c '
import sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:" + open("port").read(), timeout=10).read().decode(), end="")' || exit 1
boundary version-end
"""
VERSION = VERSION.replace('|| { echo "nothing runs" >&2; exit 1; }', '|| {{ echo "nothing runs" >&2; exit 1; }}')

HEALTH = PRELUDE + """
boundary health-begin
kill -0 "$(cat pid)" || exit 2
boundary health-end
"""

BOUNDARIES = ["version-begin", "version-end", "health-begin", "health-end", "update-begin",
              "update-switched", "update-started", "update-end"]


def is_gone(pid):
    """Also who waits for nothing but being counted by init."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


class Host:
    """A folder with a site, its scripts, and an agent for it."""

    def __init__(self, case, name, server, **settings):
        self.case, self.name, self.server = case, name, server
        self.home = pathlib.Path(case.folder, name)
        self.home.mkdir()
        self.agent, self.log = None, []
        case.addCleanup(self.release)
        (self.home / "site.py").write_text(SITE)
        for program, text in (("update", UPDATE), ("version", VERSION), ("health", HEALTH)):
            path = self.home / program
            path.write_text(text.format(home=self.home, python=sys.executable))
            path.chmod(0o755)
        self.config = {
            "server": f"http://127.0.0.1:{server.port}",
            "name": name,
            "labels": {"env": "prod"},
            "credential_file": str(self.home / "agent.json"),
            "update_command": [str(self.home / "update")],
            "version_command": [str(self.home / "version")],
            "health_command": [str(self.home / "health")],
            "check_interval": "1s",
            **settings,
        }

    def install(self, code, config):
        """What was there before dides came."""
        environment = {"PATH": os.environ["PATH"], "DIDES_CODE_VERSION": code,
                       "DIDES_CONFIGURATION_VERSION": config}
        subprocess.run([self.home / "update"], env=environment, check=True, stdin=subprocess.DEVNULL)
        (self.home / "updates").unlink()
        return self

    def start(self):
        path = self.home / "agent-config.json"
        path.write_text(json.dumps(self.config))
        self.agent = kit.spawn([kit.program(), "agent", "--config", str(path)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=kit.environment(DIDES_TOKEN="try-out"))
        threading.Thread(target=self._read_log, args=(self.agent.stderr,), daemon=True).start()
        return self

    def _read_log(self, stream):
        for line in stream:
            self.log.append(line.decode(errors="replace").rstrip("\n"))
        stream.close()

    def kill(self):
        """The agent alone, as the kernel would for want of memory."""
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def terminate(self):
        self.agent.terminate()
        return self.agent.wait(timeout=kit.HANG_S)

    def running(self):
        """What the site itself says."""
        port = (self.home / "port").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=kit.HANG_S) as answer:
            return tuple(answer.read().decode().split())

    def updates(self):
        path = self.home / "updates"
        return path.read_text().splitlines() if path.exists() else []

    def shown(self):
        answer = self.server.ask("GET", kit.instance_path(self.name))
        return answer.json() if answer.status == 200 else {}

    def is_reported(self, code, config="c1", status="HEALTHY"):
        shown = self.shown()
        runs = shown.get("current_state") or {}
        return (runs.get("code_version"), runs.get("configuration_version"),
                shown.get("status_name")) == (code, config, status)

    def release(self):
        if self.agent and self.agent.poll() is None:
            kit.kill_group(self.agent)
        pid = self.home / "pid"
        if pid.exists():
            try:
                os.kill(int(pid.read_text()), signal.SIGKILL)
            except (ProcessLookupError, ValueError):
                pass


class Agents(kit.Case):
    def setUp(self):
        super().setUp()
        self.home = self.server(sets=["heartbeat_min=200ms", "active_interval=200ms"])

    def host(self, name="web-1", **settings):
        return Host(self, name, self.home, **settings)

    def start(self, code, **configuration):
        body = kit.deploy_body(code, {"env": "prod"}, **configuration)
        answer = self.home.ask("POST", "/deploy", body)
        return self.expect(answer, 201).json()["id"]

    def record(self, number):
        return self.expect(self.home.ask("GET", f"/deploy/{number}"), 200).json()

    def ended(self, number):
        return kit.eventually(f"rollout {number} ends", lambda: next(
            (r for r in [self.record(number)] if r["status_name"] in ("COMPLETED", "FAILED")), None))


class Updating(Agents):
    def test_three_versions_one_of_them_broken_which_is_rolled_back(self):
        hosts = [self.host(f"web-{i}").install("1.0.0", "c1").start() for i in (1, 2)]
        for host in hosts:
            kit.eventually("it reports what ran before", lambda h=host: h.is_reported("1.0.0"))

        good = self.ended(self.start("2.0.0", batch_size=1))
        after_good = [host.running() for host in hosts]
        bad = self.ended(self.start("3.0.0-broken", batch_size=1, failure_threshold=1,
                                    on_failure="rollback"))
        back = self.ended(bad["rolled_back_by"])
        for host in hosts:
            kit.eventually("it is healthy again", lambda h=host: h.is_reported("2.0.0"))
        after_bad = [host.running() for host in hosts]
        last = self.ended(self.start("3.0.1", batch_size=2))

        self.assertEqual(("COMPLETED", "full"), (good["status_name"], good["outcome"]))
        self.assertEqual([("2.0.0", "c1")] * 2, after_good)
        self.assertEqual(("FAILED", "threshold"), (bad["status_name"], bad["cause"]), bad)
        self.assertEqual("COMPLETED", back["status_name"])
        self.assertEqual([("2.0.0", "c1")] * 2, after_bad)
        self.assertEqual("COMPLETED", last["status_name"])
        self.assertEqual([("3.0.1", "c1")] * 2, [host.running() for host in hosts])
        tried = sorted(line for host in hosts for line in host.updates() if "broken" in line.split()[2])
        self.assertEqual(2, len(tried), "one host tried it, twice: " + repr(tried))
        messages = [e.data["new"].get("message") for e in self.home.events(
            "?after=0&follow=false&types=instance.updated")]
        self.assertTrue(any("cannot start: version 3.0.0-broken is broken" in (m or "") for m in messages),
                        messages)

    def test_an_operator_who_mended_the_host_lets_it_try_again(self):
        host = self.host(update_retries=0).install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))
        good = (host.home / "update").read_text()
        (host.home / "update.new").write_text("#!/bin/sh\necho the disk is full; exit 1\n")
        (host.home / "update.new").chmod(0o755)
        (host.home / "update.new").rename(host.home / "update")
        rollout = self.start("2.0.0", batch_size=1, failure_threshold=2)
        kit.eventually("it fails", lambda: host.is_reported("1.0.0", status="FAILED"))
        message = host.shown()["message"]

        (host.home / "update").write_text(good)
        self.expect(self.home.ask("POST", f"/deploy/{rollout}/retry"), 200)
        record = self.ended(rollout)

        self.assertEqual("update_command ended with exit code 1: the disk is full", message)
        self.assertEqual("COMPLETED", record["status_name"], "\n".join(host.log))
        self.assertEqual(("2.0.0", "c1"), host.running())

    def test_a_host_where_nothing_runs_yet_is_installed(self):
        host = self.host().start()
        kit.eventually("it is registered", lambda: host.shown().get("status_name") in ("DEGRADED", "FAILED"))

        record = self.ended(self.start("1.0.0", batch_size=1))

        self.assertEqual("COMPLETED", record["status_name"])
        self.assertEqual("1.0.0", host.running()[0])

    def test_labels_and_token_are_told_and_kept_where_nobody_reads_them(self):
        host = self.host().install("1.0.0", "c1").start()
        kit.eventually("it is there", lambda: host.is_reported("1.0.0"))

        self.assertEqual({"env": "prod"}, host.shown()["labels"])
        self.assertEqual(0o600, os.stat(host.home / "agent.json").st_mode & 0o777)
        arguments = pathlib.Path(f"/proc/{host.agent.pid}/cmdline").read_bytes()
        self.assertNotIn(b"try-out", arguments)
        self.assertNotIn("try-out", "\n".join(host.log))


class Surviving(Agents):
    def test_an_agent_that_is_killed_at_any_boundary_ends_right(self):
        host = self.host(update_retries=5).install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))
        for number, boundary in enumerate(BOUNDARIES, start=2):
            with self.subTest(boundary=boundary):
                code = f"{number}.0.0"
                if boundary.startswith("update"):
                    (host.home / f"at-{boundary}").touch()
                    rollout = self.start(code, batch_size=1)
                else:
                    rollout = self.start(code, batch_size=1)
                    (host.home / f"at-{boundary}").touch()
                reached = host.home / f"reached-{boundary}"
                kit.eventually(f"it comes to {boundary}",
                               lambda: reached.exists() and reached.read_text().strip())
                stuck = int(reached.read_text())
                host.kill()
                host.start()

                record = self.ended(rollout)

                self.assertEqual("COMPLETED", record["status_name"], "\n".join(host.log))
                self.assertEqual((code, "c1"), host.running())
                self.assertTrue(is_gone(stuck), "the old command goes on")
                kit.eventually("it says so", lambda c=code: host.is_reported(c))

    def test_a_clean_stop_in_mid_update_reports_nothing_wrong_and_goes_on_later(self):
        host = self.host(stop_grace="100ms", update_retries=0).install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))
        (host.home / "at-update-begin").touch()
        rollout = self.start("2.0.0", batch_size=1)
        kit.eventually("the update runs", (host.home / "reached-update-begin").exists)

        code = host.terminate()
        between = (host.shown()["status_name"], self.record(rollout)["status_name"])
        host.start()
        record = self.ended(rollout)

        self.assertEqual(0, code, "\n".join(host.log))
        self.assertEqual(("HEALTHY", "RUNNING"), between)
        self.assertEqual("COMPLETED", record["status_name"], "\n".join(host.log))
        self.assertEqual("2.0.0", host.running()[0])

    def test_an_update_in_its_grace_is_let_finish(self):
        host = self.host(stop_grace="60s").install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))
        (host.home / "update").write_text((host.home / "update").read_text()
                                          .replace("boundary update-begin", "touch begun; sleep 0.5"))
        self.start("2.0.0", batch_size=1)
        kit.eventually("the update runs", (host.home / "begun").exists)

        code = host.terminate()

        self.assertEqual((0, "2.0.0"), (code, host.running()[0]))

    def test_it_bears_a_server_that_is_gone_for_a_while(self):
        host = self.host().install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))
        port = self.home.port
        self.home.kill()
        self.home.command[self.home.command.index("127.0.0.1:0")] = f"127.0.0.1:{port}"
        kit.eventually("it notices", lambda: any("no answer that helps" in line for line in host.log))
        self.home.start()

        record = self.ended(self.start("2.0.0", batch_size=1))

        self.assertEqual("COMPLETED", record["status_name"])
        self.assertEqual("2.0.0", host.running()[0])

    def test_it_registers_again_when_the_server_forgot_it(self):
        host = self.host().install("1.0.0", "c1").start()
        kit.eventually("it reports what ran before", lambda: host.is_reported("1.0.0"))

        self.expect(self.home.ask("DELETE", kit.instance_path(host.name)), 204)

        kit.eventually("it is back", lambda: host.is_reported("1.0.0"))


class Starting(Agents):
    def run_agent(self, *arguments, **variables):
        return subprocess.run([kit.program(), "agent", *arguments], env=kit.environment(**variables),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=kit.HANG_S,
                              cwd=self.folder)

    def commands(self):
        return ["--update-command", "/bin/true", "--version-command", "/bin/true"]

    def test_what_is_missing_or_dangerous_is_refused_with_64(self):
        server = ["--server", f"http://127.0.0.1:{self.home.port}"]
        cases = [
            ([], {}, "version_command"),
            (self.commands(), {"DIDES_TOKEN": "x"}, "which server"),
            (server + self.commands(), {}, "no token"),
            (["--server", "http://192.0.2.1:7420"] + self.commands(), {"DIDES_TOKEN": "x"}, "without TLS"),
            (server + self.commands() + ["--update-timeout", "soon"], {"DIDES_TOKEN": "x"}, "update_timeout"),
            (server + self.commands() + ["-L", "env"], {"DIDES_TOKEN": "x"}, "KEY=VALUE"),
            (["--config", "no-such-file"], {}, "no-such-file"),
        ]
        for arguments, variables, word in cases:
            with self.subTest(arguments=arguments):
                done = self.run_agent(*arguments, **variables)
                self.assertEqual(64, done.returncode, done.stderr)
                self.assertIn(word, done.stderr)

    def test_a_credential_file_that_others_can_read_is_refused(self):
        path = pathlib.Path(self.folder, "agent.json")
        path.write_text('{"server":"http://127.0.0.1:1","name":"x","credential":"canary"}')
        path.chmod(0o644)

        done = self.run_agent("--server", f"http://127.0.0.1:{self.home.port}", *self.commands(),
                              "--credential-file", str(path), DIDES_TOKEN="x")

        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("mode 600", done.stderr)
        self.assertNotIn("canary", done.stderr)

    def test_what_print_config_prints_can_be_read_back(self):
        arguments = ["--server", "http://127.0.0.1:7420", *self.commands(), "-L", "env=prod", "-L", "a=\"b\" c",
                     "--health-timeout", "90s", "--update-retries", "3", "--name", "wéb 1"]
        first = self.run_agent(*arguments, "--print-config", DIDES_TOKEN="canary")
        path = pathlib.Path(self.folder, "agent.yaml")
        path.write_text(first.stdout)

        second = self.run_agent("--config", str(path), "--print-config")

        self.assertEqual(0, second.returncode, second.stderr)
        self.assertNotIn("canary", first.stdout)
        self.assertEqual(first.stdout.replace("#token: ***", "#token: "), second.stdout)
        self.assertIn('update_retries: 3', second.stdout)


if __name__ == "__main__":
    kit.main()

# SPDX-License-Identifier: Apache-2.0
# test_io_threads.py - a server whose connections are held by threads: more of them than a process may
# have descriptors, a rollout over them, a stop with agents waiting, and what happens when it cannot
# start. That everything else is as without threads is shown by the other suites when they run with
# E2E_IO_THREADS=2.
import socket
import subprocess
import threading

import kit

FILES = 128  # descriptors that a process may open, in the first test


class Threads(kit.Case):
    def hold(self, running, name, answers):
        def ask():
            client = running.client()
            answers.append(client.patch(kit.instance_path(name) + "?wait=60s", {"status": 1}))
            client.close()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread

    def test_more_connections_are_held_than_one_table_of_descriptors_has(self):
        running = self.server(arguments=["--io-threads", "4"], wrapper=["prlimit", f"--nofile={FILES}"])
        wires = []
        self.addCleanup(lambda: [wire.close() for wire in wires])

        for _ in range(FILES + FILES // 2):
            wires.append(socket.create_connection(("127.0.0.1", running.port), timeout=kit.HANG_S))
            wires[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(wires[-1].recv(4096).startswith(b"HTTP/1.1 200 "))

        self.assertGreaterEqual(running.metrics()["dides_http_connections"], FILES + FILES // 2)
        self.assertGreater(int(running.wait_for_log("listening")["connections_max"]), FILES)

    def test_agents_on_all_threads_hear_of_a_rollout_at_once(self):
        running = self.server(arguments=["--io-threads", "3"])
        client, answers = running.client(), []
        self.addCleanup(client.close)
        names = [f"web-{number}" for number in range(12)]
        for name in names:
            kit.register(client, name)
            self.expect(client.patch(kit.instance_path(name), {"code_version": "1.0.0", "status": 1}), 200)
        held = [self.hold(running, name, answers) for name in names]
        kit.eventually("held heartbeats", lambda: running.metrics()["dides_long_polls"] == len(names))

        self.expect(client.post("/deploy", kit.deploy_body("2.0.0", batch_size=len(names))), 201)

        for thread in held:
            thread.join(kit.HANG_S)
        wishes = [self.expect(answer, 200).json()["desired_state"]["code_version"] for answer in answers]
        self.assertEqual(["2.0.0"] * len(names), wishes)

    def test_a_stop_answers_who_waits_and_ends_with_zero(self):
        running = self.server(arguments=["--io-threads", "3"])
        client, answers = running.client(), []
        kit.register(client, "web-1")
        client.close()
        held = self.hold(running, "web-1", answers)
        kit.eventually("a held heartbeat", lambda: running.metrics()["dides_long_polls"] == 1)

        running.child.terminate()

        self.assertEqual(0, running.child.wait(kit.HANG_S))
        held.join(kit.HANG_S)
        self.assertEqual(200, answers[0].status)

    def test_a_backup_is_sent_through_a_thread(self):
        running = self.server(arguments=["--io-threads", "2"])
        client = running.client()
        self.addCleanup(client.close)
        for number in range(50):
            kit.register(client, f"web-{number}")
        target = kit.pathlib.Path(self.folder, "copy.db")

        done = subprocess.run([kit.program(), "backup", "--server", f"http://127.0.0.1:{running.port}", str(target)],
                              capture_output=True, text=True, env=kit.environment())

        self.assertEqual(0, done.returncode, done.stderr)
        checked = subprocess.run([kit.program(), "verify", str(target)], capture_output=True, text=True,
                                 env=kit.environment())
        self.assertEqual(0, checked.returncode, checked.stderr)

    def test_a_thread_that_cannot_start_ends_the_server_with_a_reason(self):
        running = self.server(arguments=["--io-threads", "2"])

        other = subprocess.run([kit.program(), "server", "--store", "memory", "--io-threads", "2", "--listen",
                                f"127.0.0.1:{running.port}"], capture_output=True, text=True,
                               timeout=kit.HANG_S, env=kit.environment())

        self.assertNotEqual(0, other.returncode)
        self.assertIn("address already in use", other.stderr)

    def test_more_threads_than_there_may_be_are_wrong_usage(self):
        done = subprocess.run([kit.program(), "server", "--io-threads", "33", "--print-config"],
                              capture_output=True, text=True, env=kit.environment())

        self.assertEqual(64, done.returncode, done)
        self.assertIn("--io-threads", done.stderr)


if __name__ == "__main__":
    kit.main()

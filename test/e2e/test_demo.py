#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_demo.py - the demo tells its story, ends as it promises, and leaves no process behind.
import pathlib
import re
import signal
import subprocess

import kit


class Demo(kit.Case):
    def start(self, *arguments):
        child = kit.spawn([kit.program(), "demo", "--listen", "127.0.0.1:0", "--instances", "120", *arguments],
                          cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=kit.environment())
        self.addCleanup(kit.kill_group, child)
        self.addCleanup(child.stdout.close)
        return child

    def left_behind(self):
        """Processes that were started in the folder of this test."""
        left = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if self.folder in (process / "cmdline").read_bytes().decode(errors="replace") or \
                        (process / "cwd").readlink() == pathlib.Path(self.folder):
                    left.append((process / "cmdline").read_bytes())
            except OSError:
                pass  # it has ended, or is not ours
        return left

    def test_the_story_ends_with_0_and_both_outcomes(self):
        for rollouts in (("r-1", "r-2", "r-3"), ("r-4", "r-5", "r-6")):  # the second goes on from the first
            with self.subTest(rollouts=rollouts):
                child = self.start("--once")
                said, _ = child.communicate(timeout=3 * kit.HANG_S)
                first, second, back = rollouts

                self.assertEqual(0, child.returncode, said)
                self.assertRegex(said, rf"{first}: completed in .*: 120 of 120")
                self.assertRegex(said, rf"{second}: failed at its threshold")
                self.assertRegex(said, rf"{back}: rollback completed")
                self.assertNotIn("\x1b", said)
                logs = [path.read_text() for path in pathlib.Path(self.folder).rglob("*.log")]
                self.assertFalse(any(kit.is_sanitizer_report(text) for text in (said, *logs)), (said, logs))
                self.assertEqual([], self.left_behind())
        self.assertTrue(pathlib.Path(self.folder, "dides-data", "dides.db").exists())

    def test_it_can_be_interrupted_and_ends_its_server(self):
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=signal_number):
                child = self.start()
                line = child.stdout.readline()
                port = int(re.search(r"http://127\.0\.0\.1:(\d+)", line).group(1))
                self.assertEqual(200, kit.Client(port).get("/readyz").status)

                child.send_signal(signal_number)
                child.communicate(timeout=kit.HANG_S)

                kit.eventually("no process is left", lambda: not self.left_behind())
                with self.assertRaises(ConnectionError):
                    kit.Client(port).get("/readyz")

    def test_its_server_does_not_outlive_a_killed_demo(self):
        child = self.start()
        child.stdout.readline()

        child.kill()

        kit.eventually("no process is left", lambda: not self.left_behind())

    def test_a_used_address_is_told_in_one_sentence(self):
        server = self.server()

        child = self.start("--once", "--listen", f"127.0.0.1:{server.port}", "--data", "other")
        said, _ = child.communicate(timeout=kit.HANG_S)

        self.assertNotEqual(0, child.returncode)
        self.assertIn(str(server.port), said)


if __name__ == "__main__":
    kit.main()

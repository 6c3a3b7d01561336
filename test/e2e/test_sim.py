#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_sim.py - the simulator in virtual time, as a process: the same file gives the same bytes, seeds
# can be replayed, and its exit code tells.
import pathlib
import re
import subprocess

import kit

FILE = """
mode: virtual
seed: 42
generate: [{count: 300, prefix: web-, labels: {role: web}, start: {code_version: 1.0.0}}]
behaviours: {normal: {latency: 5s-40s, failure_rate: 2%}}
script: [{at: 30s, deploy: {code_version: 2.0.0, labels: {role: web},
          configuration: {batch_size: 30, failure_threshold: 20%}}}]
faults: {loss: 2%, duplicate: 2%, delay: 0ms-800ms, restart: {every: 3m, down: 0s-10s},
         commit: {takes: 0ms-30ms, fail: 1%}, until: 20m}
"""


class Sim(kit.Case):
    def run_sim(self, *arguments):
        return subprocess.run([kit.program(), "sim", *arguments], cwd=self.folder, text=True, env=kit.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=3 * kit.HANG_S)

    def write(self, text):
        path = pathlib.Path(self.folder, "fleet.yaml")
        path.write_text(text)
        return str(path)

    def test_the_same_file_gives_the_same_bytes_in_two_processes(self):
        path = self.write(FILE)

        first, second = self.run_sim(path), self.run_sim(path)

        self.assertEqual(0, first.returncode, first.stdout + first.stderr)
        self.assertEqual(first.stdout, second.stdout)
        self.assertRegex(first.stdout, r"r-1 COMPLETED")
        self.assertRegex(first.stdout, r"invariants \d+ checks, 0 violations\nstate      [0-9a-f]{16} after \d+ events\n")

    def test_another_seed_gives_another_history(self):
        path = self.write(FILE)

        first, second = self.run_sim(path), self.run_sim(path, "--seed", "43")

        self.assertEqual(0, second.returncode, second.stdout + second.stderr)
        self.assertNotEqual(first.stdout, second.stdout)

    def test_seeds_are_drawn_the_same_in_two_processes(self):
        first, second = (self.run_sim("--seeds", "100") for _ in range(2))

        self.assertEqual(0, first.returncode, first.stdout)
        self.assertEqual(first.stdout, second.stdout)
        self.assertRegex(first.stdout, r"seeds      100, \d+ events")
        self.assertRegex(first.stdout, r"faults     \d+: \d+ messages lost, ")

    def test_several_processes_print_what_one_prints(self):
        alone, together = self.run_sim("--seeds", "110"), self.run_sim("--seeds", "110", "--jobs", "3")

        self.assertEqual(0, together.returncode, together.stdout)
        self.assertEqual(alone.stdout, together.stdout)

    def test_a_seed_is_replayed_with_every_event(self):
        told = self.run_sim("--seed", "7", "--trace")

        self.assertEqual(0, told.returncode, told.stdout[-2000:])
        for word in ("register n-", "heartbeat n-", "tick", "operator deploy", "faults end"):
            self.assertIn(word, told.stdout)

    def test_a_refused_step_is_no_success(self):
        path = self.write(FILE.split("script:")[0] + "script: [{at: 1s, verb: {verb: pause}}]\n")

        told = self.run_sim(path)

        self.assertEqual(1, told.returncode)
        self.assertIn("step 1 (verb): refused, 404", told.stdout)

    def test_wrong_usage_is_said(self):
        path = self.write(FILE)
        for arguments in ([], [path, "--seeds", "5"], ["--seed", "many"], [path, "--seed", "-1"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(64, self.run_sim(*arguments).returncode)

    def test_speed_lets_virtual_time_wait_for_real_time(self):
        path = self.write("mode: virtual\nspeed: 100\ninstances: [{name: a}]\n")

        told = self.run_sim(path, "--duration", "50s")

        self.assertEqual(0, told.returncode, told.stdout)
        self.assertGreaterEqual(float(re.search(r"events in ([0-9.]+) s", told.stderr).group(1)), 0.4)


if __name__ == "__main__":
    kit.main()

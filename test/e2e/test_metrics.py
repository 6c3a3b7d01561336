#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_metrics.py - the numbers that operators watch: they move with what happens, mean what their
# reference says, and are read by somebody else's parser.
import datetime
import math
import os
import pathlib
import re
import subprocess
import sys
import threading

import kit

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "packaging" / "examples"
DEBIAN_MODULES = "/usr/lib/python3/dist-packages"  # pure Python, so any interpreter reads them
PARTS = re.compile(r"_(bucket|sum|count)\Z")


def parser():
    """That of Debian's python3-prometheus-client (tool/deps), or None."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        if not os.path.isdir(DEBIAN_MODULES) or DEBIAN_MODULES in sys.path:
            return None
        sys.path.append(DEBIAN_MODULES)
        return parser()
    return text_string_to_metric_families


def reference():
    """Rows of the printed reference: name -> (type, labels, help)."""
    text = subprocess.run([kit.program(), "metrics"], check=True, capture_output=True, text=True,
                          env=kit.environment()).stdout
    rows = {}
    for line in text.splitlines():
        if line.startswith("| `dides_"):
            name, kind, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name.strip("`")] = (kind, tuple(re.findall(r"`(\w+)`", labels)), meaning)
    return rows


class Metrics(kit.Case):
    sets = ("active_interval=100ms",)

    def setUp(self):
        super().setUp()
        self.home = self.server(sets=self.sets)
        self.client = self.home.client()
        self.addCleanup(self.client.close)
        self.before = self.home.metrics()

    def start(self, code, **configuration):
        return self.deploy(self.client, kit.deploy_body(code, **configuration))["id"]

    def agents(self, count=3, **options):
        return self.fleet(self.home, [kit.Agent(f"web-{n}", **options) for n in range(count)])

    def grown(self, name):
        return self.home.metrics()[name] - self.before[name]

    def expect_grown(self, **wanted):
        """Names without dides_; "a__b_c" stands for a with the label value c of label b."""
        now = self.home.metrics()
        self.assertEqual(wanted, {name: now[self.full(name)] - self.before[self.full(name)] for name in wanted})

    @staticmethod
    def full(name):
        name, _, label = name.partition("__")
        key, _, value = label.partition("_")
        return f'dides_{name}{{{key}="{value}"}}' if label else "dides_" + name


class Outcomes(Metrics):
    def test_a_rollout_that_goes_well(self):
        fleet = self.agents()
        number = self.start("2.0.0", batch_size=2)
        full = 'dides_rollout_wait_seconds_total{reason="batch_full"}'
        kit.eventually("the time with a full batch grows", lambda: self.grown(full) > 0)

        record = fleet.run_to_end(number)

        self.assertEqual("COMPLETED", record["status_name"])
        self.expect_grown(rollout_seconds_count__result_full=1, rollout_seconds_count__result_failed=0,
                          instance_update_seconds_count__result_completed=3,
                          instance_update_seconds_count__result_failed=0, instance_failures_total__cause_reported=0,
                          rollbacks_total__kind_automatic=0, rollbacks_total__kind_manual=0)

    def test_a_failure_and_the_rollback_that_follows(self):
        fleet = self.agents(will_fail=lambda code: code == "2.0.0")
        bad = self.start("2.0.0", batch_size=1, on_failure="rollback")

        failed = fleet.run_to_end(bad)
        fleet.run_to_end(failed["rolled_back_by"])

        self.expect_grown(rollout_seconds_count__result_failed=1, rollout_seconds_count__result_full=1,
                          instance_failures_total__cause_reported=1, instance_failures_total__cause_timeout=0,
                          instance_update_seconds_count__result_failed=1,
                          rollbacks_total__kind_automatic=1, rollbacks_total__kind_manual=0)

    def test_a_rollback_by_hand(self):
        fleet = self.agents()
        good = self.start("2.0.0", batch_size=3)
        fleet.run_to_end(good)

        back = self.expect(self.client.post("/deploy/rollback", {"id": good}), 201).json()["id"]
        fleet.run_to_end(back)

        self.expect_grown(rollbacks_total__kind_manual=1, rollbacks_total__kind_automatic=0,
                          instance_update_seconds_count__result_completed=6)

    def test_a_deadline(self):
        fleet = self.agents(count=1)
        self.start("2.0.0", instance_deadline="200ms", on_failure="abort")

        kit.eventually("it is late", lambda: self.grown('dides_instance_failures_total{cause="timeout"}') == 1)

        self.expect_grown(instance_failures_total__cause_reported=0, instance_update_seconds_count__result_failed=1)
        self.assertGreaterEqual(self.grown('dides_instance_update_seconds_sum{result="failed"}'), 0.2)
        self.assertEqual(0, self.home.metrics()["dides_instances_in_progress"])
        self.assertEqual(1, len(fleet.agents))

    def test_a_gate_and_a_pause_are_waited_for(self):
        fleet = self.agents()
        number = self.start("2.0.0", batch_size=3, strategy="canary",
                            canary={"size": 1, "gates": [{"name": "ok", "type": "manual"}]})
        fleet.run(number, lambda record: any(w["reason"] == "gate:ok" for w in record["waiting"]))
        gate, paused = (f'dides_rollout_wait_seconds_total{{reason="{reason}"}}' for reason in ("gate", "paused"))
        kit.eventually("the time at the gate grows", lambda: self.grown(gate) > 0.02)
        self.expect(self.client.post(f"/deploy/{number}/pause"), 200)
        kit.eventually("the time of the pause grows", lambda: self.grown(paused) > 0.02)
        self.expect(self.client.post(f"/deploy/{number}/resume"), 200)
        self.expect(self.client.post(f"/deploy/{number}/promote"), 200)
        fleet.run_to_end(number)
        first, second = ([self.grown(gate), self.grown(paused)] for _ in range(2))

        self.assertEqual(1, self.grown('dides_gate_evaluations_total{type="manual",result="passed"}'))
        self.assertEqual(first, second, "they go on although nobody waits")

    def test_a_restart_begins_at_nothing_and_knows_what_is(self):
        fleet = self.agents(will_fail=lambda code: code == "2.0.0")
        fleet.run_to_end(self.start("2.0.0", batch_size=1, on_failure="abort"))
        self.start("3.0.0", batch_size=2)
        before = self.home.metrics()

        self.home.kill()
        self.home.start()
        after = self.home.metrics()

        self.assertEqual(1, before['dides_instance_failures_total{cause="reported"}'])
        for name, value in after.items():
            if "_total" in name or name.startswith(("dides_rollout_seconds", "dides_instance_update_seconds")):
                if "http_requests" not in name and "store" not in name and "checks" not in name and "wait" not in name:
                    self.assertEqual(0, value, name)
        for name in ("dides_instances_online", "dides_instances_in_progress", 'dides_rollouts{state="RUNNING"}',
                     'dides_rollouts{state="FAILED"}'):
            self.assertEqual(before[name], after[name], name)
        self.assertGreaterEqual(after["dides_events_index"], before["dides_events_index"])
        self.assertEqual(1, after["dides_leader"])


class Silence(Metrics):
    sets = ("heartbeat_timeout=300ms", "heartbeat_min=100ms", "heartbeat_max=100ms", "active_interval=100ms")

    def test_members_that_are_not_heard_are_waited_for(self):
        for name in ("here", "gone"):
            self.expect(kit.register(self.client, name), 201)
        kit.eventually("both are offline", lambda: self.home.metrics()["dides_instances_online"] == 0)
        self.start("2.0.0")

        kit.eventually("that is told", lambda: self.grown('dides_rollout_wait_seconds_total{reason="offline"}') > 0)

        self.assertGreaterEqual(self.grown("dides_reconcile_seconds_count"), 1)
        self.assertLess(self.home.metrics()["dides_timer_overdue_seconds"], kit.HANG_S)


class Load(Metrics):
    def test_heartbeats_are_timed_without_the_time_for_which_they_were_held(self):
        self.agents(count=1)
        before = self.home.metrics()
        body = {"code_version": "1.0.0", "configuration_version": "c1", "status": "HEALTHY"}

        self.expect(self.client.patch(kit.instance_path("web-0") + "?wait=1s", body), 200)
        after = self.home.metrics()

        request = next(name for name in after
                       if name.startswith("dides_http_request_seconds_sum") and "PATCH" in name)
        self.assertGreaterEqual(after[request] - before[request], 1)
        self.assertEqual(1, after["dides_heartbeat_seconds_count"] - before["dides_heartbeat_seconds_count"])
        self.assertLess(after["dides_heartbeat_seconds_sum"] - before["dides_heartbeat_seconds_sum"], 1)

    def test_refused_heartbeats_are_not_timed(self):
        self.agents(count=1)
        before = self.home.metrics()["dides_heartbeat_seconds_count"]

        self.expect(self.client.patch(kit.instance_path("web-0"), "{"), 400)
        self.expect(self.client.patch(kit.instance_path("nobody"), {}), 404)

        self.assertEqual(before, self.home.metrics()["dides_heartbeat_seconds_count"])

    def test_clocks_of_agents_are_compared_when_they_say_their_time(self):
        self.agents(count=1)
        before = self.home.metrics()
        hour_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)

        self.client.patch(kit.instance_path("web-0"), {"status": "HEALTHY"})
        self.client.patch(kit.instance_path("web-0"), {"status": "HEALTHY", "sent_at": hour_ago.isoformat()})

        after = self.home.metrics()
        self.assertEqual(1, after["dides_clock_skew_seconds_count"] - before["dides_clock_skew_seconds_count"])
        self.assertAlmostEqual(3600, after["dides_clock_skew_seconds_sum"] - before["dides_clock_skew_seconds_sum"],
                               delta=kit.HANG_S)
        self.assertEqual(0, after['dides_clock_skew_seconds_bucket{le="1048.576"}'])

    def test_batches_are_counted_by_their_size(self):
        self.agents(count=4)
        now = self.home.metrics()

        self.assertGreater(now["dides_store_batch_size_count"], 0)
        self.assertEqual(now["dides_store_batch_size_count"], now["dides_store_commit_seconds_count"])
        self.assertEqual(now["dides_store_batch_size_sum"], now["dides_store_ops_total"])

    def test_nothing_waits_when_nothing_is_asked(self):
        self.agents(count=2)

        self.assertEqual(0, self.home.metrics()["dides_queue_length"])

    def test_the_answer_does_not_grow_with_the_fleet(self):
        self.agents(count=1)
        few = len(self.client.get("/metrics").body.splitlines())
        self.fleet(self.home, [kit.Agent(f"db-{n}", {"zone": str(n)}) for n in range(40)])

        self.assertEqual(few, len(self.client.get("/metrics").body.splitlines()))


class Form(Metrics):
    def busy(self):
        fleet = self.agents(will_fail=lambda code: code == "2.0.0")
        fleet.run_to_end(self.start("2.0.0", batch_size=1))
        self.client.get("/nowhere")
        return self.client.get("/metrics").body.decode()

    def test_another_parser_reads_it(self):
        parse = parser()
        if parse is None:
            self.skipTest("python3-prometheus-client is not installed")
        text = self.busy()

        families = list(parse(text))

        samples = {}
        for family in families:
            self.assertTrue(family.documentation)
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                self.assertNotIn(key, samples)
                self.assertTrue(math.isfinite(sample.value), sample)
                samples[key] = sample.value
        self.assertEqual(len(samples), sum(not line.startswith("#") for line in text.splitlines()))
        self.assertEqual(set(reference()), set(self.names(text)))
        types = {family.name: family.type for family in families}
        for name, (kind, _, _) in reference().items():
            self.assertEqual(kind, types[name.removesuffix("_total") if kind == "counter" else name], name)
        for family in families:
            if family.type == "histogram":
                self.check_histogram(family)

    def check_histogram(self, family):
        series = {}
        for sample in family.samples:
            rest = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            part = series.setdefault(rest, {"buckets": []})
            if "le" in sample.labels:
                part["buckets"].append((float(sample.labels["le"]), sample.value))
            else:
                part[sample.name.rpartition("_")[2]] = sample.value
        for rest, part in series.items():
            bounds, counts = zip(*part["buckets"])
            self.assertEqual(sorted(set(bounds)), list(bounds), (family.name, rest))
            self.assertEqual(sorted(counts), list(counts), (family.name, rest))
            self.assertEqual((math.inf, part["count"]), (bounds[-1], counts[-1]))
            # What lies in buckets says between which bounds the sum must be.
            least = sum((upper - lower) * bound for (bound, lower), (_, upper) in zip(part["buckets"],
                                                                                      part["buckets"][1:]))
            self.assertGreaterEqual(part["sum"] * 1.000001, least, (family.name, rest))

    @staticmethod
    def names(text):
        return re.findall(r"^# TYPE (\w+) ", text, re.M)

    def test_every_metric_is_in_the_reference_and_none_besides(self):
        text, rows = self.busy(), reference()

        self.assertEqual(list(rows), self.names(text), "in the same order, too")
        for name, (kind, labels, meaning) in rows.items():
            self.assertIn(f"# TYPE {name} {kind}\n", text)
            self.assertIn(f"# HELP {name} {meaning}\n", text)
            self.assertTrue(meaning.endswith("."), name)
            suffix = "(?:_bucket|_sum|_count)" if kind == "histogram" else ""
            found = re.findall(rf"^{name}{suffix}(?:\{{(.*)\}})? ", text, re.M)
            self.assertTrue(found, name)
            for one in found:
                said = tuple(label for label in re.findall(r'(\w+)="', one) if label != "le")
                self.assertEqual(labels, said, name)

    def test_no_label_names_an_instance(self):
        self.assertNotIn("web-", self.busy())

    def test_alerts_ask_for_metrics_that_there_are(self):
        known = reference()
        text = (EXAMPLES / "alerts.yaml").read_text()
        expressions = re.findall(r"expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)", text)

        self.assertEqual(text.count("- alert: "), len(expressions))
        asked = set(re.findall(r"dides_\w+", text))
        self.assertGreater(len(asked), 5)
        for name in asked:
            self.assertIn(name if name in known else PARTS.sub("", name), known)
        reasons = re.search(r'reason=~"([^"]+)"', text).group(1).split("|")
        for reason in reasons:
            self.assertIn(f'dides_rollout_wait_seconds_total{{reason="{reason}"}}', self.before)
        self.assertIn('dides_rollout_seconds_count{result="failed"}', self.before)
        self.assertIn("alerts.yaml", (EXAMPLES / "prometheus.yaml").read_text())


class Concurrency(Metrics):
    def test_it_is_asked_while_much_happens(self):
        fleet = self.agents(count=10)
        number = self.start("2.0.0", batch_size=2)
        stop, seen = threading.Event(), []

        def ask():
            while not stop.is_set():
                seen.append(self.home.metrics())

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            fleet.run_to_end(number)
        finally:
            stop.set()
            asker.join(kit.HANG_S)

        seen.append(self.home.metrics())
        self.assertGreater(len(seen), 1)
        for earlier, later in zip(seen, seen[1:]):
            for name, value in earlier.items():
                if re.search(r"_total|_bucket|_count|_sum", name):
                    self.assertGreaterEqual(later[name], value, name)
        self.assertEqual(10, seen[-1]['dides_instance_update_seconds_count{result="completed"}'])


if __name__ == "__main__":
    kit.main()

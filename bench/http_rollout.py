# SPDX-License-Identifier: Apache-2.0
# http_rollout.py - how long a rollout takes when nobody but the server takes time: its instances hold
# their heartbeats, run a new version as soon as they hear of it, and say so at once. Beside it, what
# the disk takes for as many commits as there are batches, one after the other.
#
# usage: http_rollout.py DIDES AGENTS [INSTANCES [BATCH [ROUNDS]]]
import json
import os
import sys
import tempfile
import time

import http_kit as kit

COMMIT_BYTES = 50 * 700


def commits(count):
    """Seconds for so many appended writes, each durable before the next."""
    with tempfile.NamedTemporaryFile(dir=kit.folder()) as file:
        began = time.monotonic()
        for _ in range(count):
            file.write(b"x" * COMMIT_BYTES)
            file.flush()
            os.fdatasync(file.fileno())
        return time.monotonic() - began


def roll_out(server, version, batch):
    """Seconds until the server says COMPLETED, the server's CPU per member in us, and its commits."""
    body = {"code_version": version, "labels": {"env": "prod"}, "configuration": {"batch_size": batch}}
    spent, written = kit.cpu_us(server.pid), kit.metric(server.port, "dides_store_commit_seconds_count")
    began = time.monotonic()
    number = kit.ask(server.port, "POST", "/deploy", body)["id"]
    while True:
        record = kit.ask(server.port, "GET", f"/deploy/{number}")
        if record["status_name"] in ("COMPLETED", "FAILED"):
            break
        time.sleep(0.005)
    took = time.monotonic() - began
    if record["status_name"] != "COMPLETED":
        kit.fail(f"the rollout ended {record['state']}: {json.dumps(record)[:1000]}")
    return (took, kit.cpu_us(server.pid) - spent,
            kit.metric(server.port, "dides_store_commit_seconds_count") - written)


def main():
    dides, agents = sys.argv[1:3]
    count, batch, rounds = (int(n) for n in (sys.argv[3:6] + ["10000", "50", "5"][len(sys.argv[3:6]):]))
    server = kit.start_dides(dides)
    kit.Fleet(server, count)
    held = kit.spawn([agents, str(server.port), str(count), "1.0.0"], kit.CLIENT_CORE, stdout=kit.PIPE, text=True)
    if held.stdout.readline() != "held\n":
        kit.fail("the agents do not begin")
    while kit.metric(server.port, "dides_long_polls") < count:
        time.sleep(0.05)
    samples, reference = [], []
    for i in range(rounds):
        reference.append(commits(count // batch))
        samples.append(roll_out(server, f"2.0.{i}", batch))
    took, spent, written = (kit.median(column) for column in zip(*samples))
    floor = kit.median(reference)
    print(f"{count:,} instances in batches of {batch}, {rounds} rounds, medians:\n"
          f"  from the request to COMPLETED    {took * 1000:>8,.0f} ms {took / floor:>6.1f}\n"
          f"  {count // batch} commits alone                {floor * 1000:>8,.0f} ms {1:>6.1f}\n"
          f"  CPU of the server, each member   {spent / count:>8.1f} us\n"
          f"  commits                          {written:>8,.0f}")


main()

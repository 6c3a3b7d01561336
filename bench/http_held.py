#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# http_held.py - what it costs to hold many connections: first a thousand agents, then as many as are
# asked for, of which nine in ten wait in long polls while the same number of heartbeats per second
# flows over the others. The second row is to be read as a multiple of the first.
#
# usage: http_held.py DIDES HELD [CONNECTIONS [THREADS]]
# HELD is bench/held.c. 100,000 connections need 8 threads where a process may open 20,000 descriptors,
# a minute, and about 2 GB of memory, half of it the kernel's for both ends.
import subprocess
import sys
import time

import http_kit as kit

FEW, RATE, SECONDS, HELD_PERCENT = 1000, 3333, 10, 90


class Sample:
    def __init__(self, server):
        self.resident, self.kernel = kit.resident(server.pid), kit.kernel_memory()
        self.cpu_us, self.at = kit.cpu_us(server.pid), time.monotonic()


def measure(server, program, connections, prefix):
    """Numbers of one crowd of agents, which leaves when it is measured."""
    before = Sample(server)
    crowd = kit.spawn([program, str(server.port), str(connections), str(HELD_PERCENT), str(RATE),
                       str(SECONDS), prefix], kit.CLIENT_CORE, stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True)
    first = crowd.stdout.readline().split()
    if first[:1] != ["ready"]:
        kit.fail(f"{connections} agents did not get ready: {' '.join(first)}")
    ready = Sample(server)
    crowd.stdin.write("go\n")
    crowd.stdin.flush()
    time.sleep(SECONDS)
    after = Sample(server)
    words = crowd.stdout.readline().split()
    crowd.wait()
    row = {name: int(value) for name, value in zip(words[::2], words[1::2])}
    if row["failures"] or row["lost"]:
        kit.fail(f"{row['failures']} requests failed, {row['lost']} connections were lost")
    return {**row, "ready_ms": int(first[1]),
            "core": (after.cpu_us - ready.cpu_us) / 1e6 / (after.at - ready.at),
            "ours": (ready.resident - before.resident) / connections,
            "kernel": (ready.kernel - before.kernel) / 2 / connections}


def print_row(connections, row):
    print(f"{connections:>11,} {row['ready_ms']:>9,} {row['beats'] / SECONDS:>8,.0f} {row['core']:>6.2f} "
          f"{row['p50']:>8,} {row['p99']:>9,} {row['p999']:>9,} {row['ours']:>8,.0f} {row['kernel']:>8,.0f}",
          flush=True)


def main():
    dides, held = sys.argv[1:3]
    many = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    threads = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    server = kit.start_dides(dides, store="memory",
                             sets=[f"io_threads={threads}", f"connections_max={many + 1000}"])
    print(f"{threads} I/O threads; {HELD_PERCENT} % of the connections wait in long polls of 60 s\n")
    print("                 ready  beats/s  cores   p50 us    p99 us  p99.9 us  bytes of server, kernel\n"
          "connections         ms                  of a heartbeat              per connection")
    rows = []
    for number, connections in enumerate((FEW, many)):
        rows.append(measure(server, held, connections, f"crowd{number}"))
        print_row(connections, rows[-1])
    print(f"\nratio: cores {rows[1]['core'] / rows[0]['core']:.2f}, p50 {rows[1]['p50'] / rows[0]['p50']:.2f}, "
          f"p99 {rows[1]['p99'] / rows[0]['p99']:.2f}")
    server.stop()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
# http_speed.py - how many heartbeats a server answers in a second over keep-alive connections, and
# what one costs it, beside nginx with a fixed answer of the same size and a bare epoll loop that does
# not even read what it is asked. All get the same requests from the same wrk, in turns, one core for
# the server and one for wrk; medians of the rounds. What the numbers mean: doc/performance.md.
#
# usage: http_speed.py DIDES EPOLL [ROUNDS [SECONDS [CONNECTIONS...]]]
import sys

import http_kit as kit

INSTANCES = 10000
TOKEN = "a-token-for-the-bench"


def changing(fleet):
    """Two passes over the fleet, so that every heartbeat changes what is known."""
    return fleet.heartbeats(kit.report(status="DEGRADED")) + fleet.heartbeats(kit.report())


def print_rows(connections, rows):
    """Each a name and its samples; the first is the reference."""
    reference = None
    for name, samples in rows:
        rate, cost, middle, slow = (kit.median(column) for column in zip(*samples))
        reference = reference or (rate, cost)
        print(f"{connections:>5}  {name:<34} {rate:>9,.0f}/s {rate / reference[0]:>5.2f} {cost:>7.2f} us"
              f" {cost / reference[1]:>5.2f} {middle:>8.2f} ms {slow:>8.2f} ms", flush=True)


def main():
    dides, epoll = sys.argv[1:3]
    rounds, seconds = (int(n) for n in (sys.argv[3:5] + ["3", "3"][len(sys.argv[3:5]):]))
    counts = [int(n) for n in sys.argv[5:]] or [64, 512]

    plain = kit.start_dides(dides)
    guarded = kit.start_dides(dides, sets=[
        f'registration_tokens=[{{"name":"bench","sha256":"{kit.sha256(TOKEN)}"}}]', "rate_limit_instance=0"])
    fleet, guarded_fleet = kit.Fleet(plain, INSTANCES), kit.Fleet(guarded, INSTANCES, TOKEN)
    size = len(fleet.answers[0])
    unchanged = kit.Load("unchanged", fleet.heartbeats(kit.report()))
    runs = [
        ("nginx, fixed 200", kit.start_nginx(size), unchanged),
        ("bare epoll loop", kit.start_epoll(epoll, size), unchanged),
        ("dides, nothing changed", plain, unchanged),
        ("the same with credentials", guarded, kit.Load("guarded", guarded_fleet.heartbeats(kit.report()))),
        ("dides, each a durable change", plain, kit.Load("changing", changing(fleet))),
    ]
    request = fleet.heartbeats(kit.report())[0]
    print(f"{len(request)} bytes of request, {size} bytes of body in the answer, {INSTANCES} instances;"
          f" {rounds} rounds of {seconds} s\n")
    print(f"{'conns':>5}  {'server':<34} {'requests':>11} {'ratio':>5} {'CPU each':>10} {'ratio':>5}"
          f" {'p50':>11} {'p99':>11}")
    for connections in counts:
        samples = [[] for _ in runs]
        for _ in range(rounds):
            for (_, server, load), column in zip(runs, samples):
                column.append(load.run(server, connections, seconds))
        print_rows(connections, [(name, column) for (name, _, _), column in zip(runs, samples)])


main()

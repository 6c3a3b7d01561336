# SPDX-License-Identifier: Apache-2.0
# http_waiting.py - what a connection costs that only waits, and what it costs the others. Thousands are
# held, first as idle keep-alive connections, then as long polls; the memory of each is what the
# process and the kernel have more than before; then 64 other connections send heartbeats, beside the
# same before. Loopback has both ends of a connection: of the kernel's share half is counted.
#
# usage: http_waiting.py DIDES [CONNECTIONS [ROUNDS [SECONDS]]]
#        CONNECTIONS: default 10000; the limit of descriptors, less some, is the most
import gc
import resource
import select
import sys
import time

import http_kit as kit

BUSY, WAIT_S = 64, 60


def raise_limit():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def open_all(port, requests, is_held):
    """One connection for each; without a hold, its first answer is read."""
    sockets = []
    for start in range(0, len(requests), 256):
        fresh = [kit.connect(port) for _ in requests[start:start + 256]]
        for s, request in zip(fresh, requests[start:start + 256]):
            s.sendall(request)
        if not is_held:
            for s in fresh:
                if kit.read_answer(s)[0] != 200:
                    kit.fail("a heartbeat was refused")
        sockets += fresh
    return sockets


def count_readable(sockets):
    look = select.poll()
    for s in sockets:
        look.register(s, select.POLLIN)
    return len(look.poll(0))


class Busy:
    """Other instances that send heartbeats all the time."""

    def __init__(self, fleet, rounds, seconds):
        self.server, self.rounds, self.seconds = fleet.server, rounds, seconds
        self.loads = [("nothing changed", kit.Load("same", fleet.heartbeats(kit.report()))),
                      ("each a durable change", kit.Load("other", fleet.heartbeats(kit.report(status="DEGRADED"))
                                                         + fleet.heartbeats(kit.report())))]
        self.before = [None] * len(self.loads)

    def run(self, what):
        for i, (name, load) in enumerate(self.loads):
            samples = [load.run(self.server, BUSY, self.seconds) for _ in range(self.rounds)]
            rate, cost, _, slow = (kit.median(column) for column in zip(*samples))
            self.before[i] = self.before[i] or cost
            print(f"  {what:<22} {name:<22} {rate:>9,.0f}/s {cost:>7.2f} us of CPU {cost / self.before[i]:>5.2f}"
                  f"   p99 {slow:.1f} ms", flush=True)


def memory_of(server, begin):
    """What connections cost, opened by begin(). Returns them with the bytes of process and kernel."""
    gc.collect()
    time.sleep(0.3)
    process, kernel = kit.resident(server.pid), kit.kernel_memory()
    sockets = begin()
    time.sleep(0.3)
    process, kernel = kit.resident(server.pid) - process, (kit.kernel_memory() - kernel) / 2
    return sockets, process / len(sockets), kernel / len(sockets)


def hold(dides, count, rounds, seconds, name, query, is_held):
    server = kit.start_dides(dides)
    fleet = kit.Fleet(server, count + 1000)
    waiting, busy = fleet.part(0, count), Busy(fleet.part(count, count + 1000), rounds, seconds)
    busy.run("alone")
    requests = waiting.heartbeats(kit.report(), query)
    sockets, process, kernel = memory_of(server, lambda: open_all(server.port, requests, is_held))
    print(f"{count:,} {name}: {process:,.0f} bytes each in the process, {kernel:,.0f} in the kernel,"
          f" {(process + kernel) / 1024:.1f} KiB together", flush=True)
    began = time.monotonic()
    busy.run(f"beside {count:,} {name}")
    is_early = time.monotonic() - began < WAIT_S / 2
    if is_held and is_early and kit.metric(server.port, "dides_long_polls") < count:
        kit.fail("polls were answered although there was no news")
    if not is_held and (gone := count_readable(sockets)):
        kit.fail(f"{gone} idle connections were closed")
    for s in sockets:
        s.close()
    server.stop()
    time.sleep(3)  # until the kernel has given back what they had


def main():
    most = raise_limit() - 500
    count, rounds, seconds = (int(n) for n in (sys.argv[2:5] + ["10000", "3", "2"][len(sys.argv[2:5]):]))
    count = min(count, most)
    hold(sys.argv[1], count, rounds, seconds, "idle", "", False)
    hold(sys.argv[1], count, rounds, seconds, "long polls", f"?wait={WAIT_S}s", True)


main()

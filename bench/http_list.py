# SPDX-License-Identifier: Apache-2.0
# http_list.py - how long it takes to list a whole fleet, page by page over one connection, and how
# much longer heartbeats wait meanwhile. Beside it, nginx sending a fixed page of the same size as
# often.
#
# usage: http_list.py DIDES [INSTANCES [ROUNDS]]
import json
import sys
import threading
import time

import http_kit as kit

PAGE = 1000
BUSY, SECONDS = 8, 3


def read_pages(port, count):
    """All pages: seconds, bytes, and the names. Nothing is decoded while the clock runs."""
    pages, cursor = [], ""
    began = time.monotonic()
    with kit.connect(port) as s:
        for _ in range(count // PAGE):
            s.sendall(kit.request("GET", f"/inventory/instances?limit={PAGE}{cursor}"))
            page = kit.read_answer(s)[1]
            pages.append(page)
            at = page.rfind(b'"next_cursor":"')
            if at < 0:
                break
            cursor = "&cursor=" + page[at + 15:page.index(b'"', at + 15)].decode()
    return time.monotonic() - began, pages


def read_fixed(port, count):
    began = time.monotonic()
    with kit.connect(port) as s:
        for _ in range(count // PAGE):
            s.sendall(kit.request("GET", "/"))
            kit.read_answer(s)
    return time.monotonic() - began


class Lister:
    """Lists again and again, beside something else."""

    def __init__(self, port, count):
        self.port, self.count, self.ends, self.lists = port, count, False, 0
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.ends:
            read_pages(self.port, self.count)
            self.lists += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()


def main():
    dides = sys.argv[1]
    count, rounds = (int(n) for n in (sys.argv[2:4] + ["100000", "5"][len(sys.argv[2:4]):]))
    server = kit.start_dides(dides)
    fleet = kit.Fleet(server, count)
    _, pages = read_pages(server.port, count)
    names = [one["name"] for page in pages for one in json.loads(page)["instances"]]
    if names != fleet.names:
        kit.fail(f"{len(names)} instances were listed, or not in order")
    nginx = kit.start_nginx(len(pages[0]))
    took, reference = [], []
    for _ in range(rounds):
        reference.append(read_fixed(nginx.port, count))
        took.append(read_pages(server.port, count)[0])
    took, reference = kit.median(took), kit.median(reference)
    print(f"{count:,} instances, pages of {PAGE}, {sum(map(len, pages)) / 1e6:.1f} MB, {rounds} rounds, medians:\n"
          f"  dides                        {took * 1000:>8.1f} ms {took / reference:>6.2f}\n"
          f"  nginx, a fixed page          {reference * 1000:>8.1f} ms {1:>6.2f}", flush=True)

    load = kit.Load("beats", fleet.part(0, 10000).heartbeats(kit.report()))
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(load.run(server, BUSY, SECONDS))
        with Lister(server.port, count) as lister:
            beside.append(load.run(server, BUSY, SECONDS))
    for name, samples in (("alone", alone), ("while it is listed", beside)):
        rate, _, middle, slow = (kit.median(column) for column in zip(*samples))
        print(f"  heartbeats {name:<20} {rate:>9,.0f}/s   p50 {middle:.2f} ms   p99 {slow:.2f} ms")
    print(f"  {lister.lists} lists of all in the last {SECONDS} s")


main()

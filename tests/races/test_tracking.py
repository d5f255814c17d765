"""Copies under writes from all sides: never older than the server's value for longer than was promised."""

from __future__ import annotations

import bisect
import random
import signal
import threading
import time

import pytest
import redis

from tests.conformance.test_tracking import FOUR
from tests.races.tracking_workers import work
from tests.support.processes import Child, spawn
from tests.support.servers import Node, Setup, programs, wait_until
from tests.support.tracking import cache, put

KEYS = 20
SLACK = 0.4
"""Seconds that a busy machine may take to run a thread."""


@pytest.mark.parametrize("setup", FOUR, ids=str)
def test_writers_on_one_key(setup: Setup) -> None:
    """Own writes and others' within one turn of the server: what stays is what the server has."""
    key = b"race:one"
    with (
        cache(setup.world, setup.client, b"race:") as mine,
        Setup(setup.server, "standalone", 2, "sync").client(decode_responses=False) as other,
    ):
        wait_until(lambda: mine.write(key, b"0"), "a write is kept")
        stayed, numbers = 0, iter(range(1, 1 << 30))

        def through_the_link() -> None:
            for _ in range(4):
                mine.write(key, b"%d" % next(numbers))

        def past_the_link() -> None:
            for _ in range(random.randrange(3)):
                mine.run(lambda: mine.tracker.runner.run(put(key, b"%d" % next(numbers))))

        def elsewhere() -> None:
            for _ in range(random.randrange(3)):
                # In one turn of the server's event loop as often as not.
                other.pipeline(transaction=False).set(key, next(numbers)).set(key, next(numbers)).execute()

        def reading() -> None:
            for _ in range(5):
                mine.read(key)

        for _ in range(40):
            threads = [
                threading.Thread(target=each)
                for each in (through_the_link, through_the_link, past_the_link, elsewhere, reading)
            ]
            random.shuffle(threads)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # What is on its way arrives behind this.
            marker = b"race:marker"
            mine.fill(marker)
            other.set(marker, 1)
            mine.gone(marker)
            copy = mine.copies.values.get(key)
            stayed += copy is not None
            assert copy in (None, other.get(key))
            assert not mine.copies.fills
        assert stayed
        other.delete(key, b"race:marker")


@pytest.mark.parametrize("program", sorted(programs())[:1])
def test_histories(program: str) -> None:
    """Three processes, whose connections are killed and whose server pauses: nothing is stale beyond the bound."""
    max_stale, seconds = 0.5, 3.5
    node = Node(programs()[program]).start()
    children = []
    try:
        for own, world in enumerate(("sync", "aio", "sync")):
            options = {"port": node.port, "keys": KEYS, "seconds": seconds, "max_stale": max_stale}
            children.append(Child(spawn, work, own, world, options, talks=True))
        with redis.Redis(port=node.port) as admin:
            wait_until(lambda: sum("B" in each["flags"] for each in admin.client_list()) == 3, "all are there")
            for round_ in range(5):
                time.sleep(seconds / 8)
                if round_ == 2:
                    node.signal(signal.SIGSTOP)
                    time.sleep(max_stale * 1.2)
                    node.signal(signal.SIGCONT)
                    continue
                links = [each for each in admin.client_list() if "B" in each["flags"] or each["sub"] != "0"]
                for each in random.sample(links, min(3, len(links))):
                    admin.client_kill_filter(_id=each["id"])
        results = [child.hear() for child in children]
        for child in children:
            child.end()
    finally:
        node.stop()
    judge([entry for history, _, _ in results for entry in history], max_stale + SLACK)
    assert all(local > 20 for _, local, _ in results), "there were copies to be judged"
    assert sum(reconnects for _, _, reconnects in results) >= 3


def judge(history: list[tuple[str, int, int, float]], bound: float) -> None:
    written: dict[int, list[tuple[float, int]]] = {}
    for kind, key, number, moment in sorted(history, key=lambda entry: entry[3]):
        if kind == "w":
            written.setdefault(key, []).append((moment, number))
    late = []
    for kind, key, number, began in history:
        if kind == "r":
            index = bisect.bisect_left(written.get(key, []), (began - bound, 0))
            if index and written[key][index - 1][1] > number:
                late.append((key, number, written[key][index - 1], began))
    assert not late

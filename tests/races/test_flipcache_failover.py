"""Processes on one FlipCache while its masters are replaced."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from math import inf
from pathlib import Path
from typing import Any

from tests.faults.test_cluster import Move
from tests.races.test_flipcache import NEWS, SECONDS, race
from tests.support.failover import Clustered, Place, Watched, running
from tests.support.history import WRITES, Entry, never_written, stale
from tests.support.processes import fork
from tests.support.servers import program

MAX_STALE = 0.5


def watch(kind: str, place: Place, disturbances: list[Callable[[], None]], least: int) -> None:
    """Judge what four processes do while a deployment is disturbed, in turn and ``least`` times.

    Replication is asynchronous, so a failover may lose writes that were answered, and older values then rightly
    return.  So a write overwrites for certain only if it can't have been lost: after it, its process asked the master
    itself (by GET, on a connection that has nothing to do with the cache) and was given the value, at a time from
    which that master's data have been handed on ever since.  The test knows these times: they begin when a replica
    has taken over, and end when its own replica was seen to have caught up, just before the next disturbance; nothing
    counts if anybody became the master in between without having been told to.  All reads are judged by these writes,
    whenever they were, and whoever answered: the copy in memory, the old master or the new one.
    """
    ready, over = fork.Barrier(5), fork.Event()
    failures: list[BaseException] = []
    done: list[str] = []

    def disturb() -> None:
        try:
            ready.wait(60)
            until = time.monotonic() + SECONDS
            for step in cycle(disturbances):
                time.sleep(0.4)
                if len(done) >= least and time.monotonic() >= until:
                    return
                step()
                done.append(step.__name__)
        except BaseException as error:
            failures.append(error)
        finally:
            over.set()

    disturbing = threading.Thread(target=disturb)
    options = {"max_stale": MAX_STALE}
    try:
        reports = race("failing_over", 4, (kind, place.port), (ready, over), options, meanwhile=disturbing.start)
    finally:
        disturbing.join()
    assert failures == []
    place.end()
    history = [entry for log, _ in reports for entry in lasting(log, place.reigns)]
    count = Counter(entry[0] for entry in history)
    late = stale(history, {"kept"})
    remote = sum(remote for _, remote in reports)
    worst = max((since for since, _ in late), default=0.0)
    print(f"{dict(count)}, {remote} reads remote, oldest {worst:.3f} s, after {dict(Counter(done))}")
    assert never_written(history) == []
    assert [each for each in late if each[0] > MAX_STALE + NEWS] == []
    assert remote < count["read"] / 2, "copies were read"
    answered = sum(entry[0] in WRITES and entry[4] < inf for entry in history)
    assert count["kept"] > answered / 4, "there was something to judge by"


def lasting(log: list[Any], reigns: list[tuple[int, float, float]]) -> Iterator[Entry]:
    """Put ``kept`` for what was ``seen`` where no failover could lose it any more."""
    for kind, key, value, begun, ended, *seen in log:
        if kind != "seen":
            yield kind, key, value, begun, ended
            continue
        asked, port = seen
        if any(port == each and since <= asked and ended <= until for each, since, until in reigns):
            yield "kept", key, value, begun, ended


def test_a_lost_write_is_no_stale_read() -> None:
    history: list[Entry] = [
        ("write", "k", 1, 0.0, 1.0),
        ("write", "k", 2, 2.0, 3.0),
        ("read", "k", 1, 4.0, 5.0),
        ("write", "k", 3, 6.0, 7.0),
        ("kept", "k", 3, 6.0, 7.5),
        ("read", "k", 1, 7.2, 8.0),
        ("read", "k", 2, 8.0, 9.0),
        ("read", "k", 0, 9.0, 9.0),
        ("delete", "k", 0, 9.5, inf),
        ("read", "k", 0, 9.9, 9.9),
    ]
    assert stale(history, {"kept"}) == [(0.5, history[6]), (1.5, history[7])]
    log = [("seen", "k", 1, 0.0, 2.0, 1.0, port) for port in (1, 2, 3)]
    assert list(lasting(log, [(1, 0.5, 2.0), (2, 0.0, 1.9), (3, 1.1, inf)])) == [("kept", "k", 1, 0.0, 2.0)]


def test_history_with_sentinel(tmp_path: Path) -> None:
    """The master is replaced: when asked for, so that the old one goes on for a while; as it is dead; or silent."""
    with running(Watched(program(), tmp_path)) as place:
        watch("sentinel", place, [place.fail_over, place.kill, place.pause], 2)


def test_history_in_a_cluster() -> None:
    """Masters are replaced by their replicas, asked to or because they are silent or dead, and a slot moves."""
    with running(Clustered(program("valkey"))) as place:

        def move() -> None:
            moving = Move(place.masters, "history:7")
            try:
                for step in (moving.begin, moving.carry, moving.end):
                    step()
                    time.sleep(0.05)
            finally:
                moving.close()

        watch("cluster", place, [place.fail_over, move, place.silence, place.kill], 3)

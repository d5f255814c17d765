"""Processes on one FlipCache: nothing overwritten, nothing lost, nothing stale."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
import redis

from pottery_like import FlipCache
from tests.races import flip_workers
from tests.support.history import never_written, stale
from tests.support.processes import Child, fork
from tests.support.servers import Node, cluster, emptied, programs

SERVER = sorted(programs())[-1]
SECONDS = float(os.environ.get("HISTORY_SECONDS", "3"))
"""How long the histories are."""


def race(name: str, processes: int, *arguments: Any, meanwhile: Callable[[], None] = lambda: None) -> list[Any]:
    """Run a worker of tests/races/flip_workers.py in all processes at once; return what each reports."""
    barrier, results = fork.Barrier(processes), fork.Queue()
    children = [
        Child(fork, flip_workers.main, name, number, barrier, results, arguments) for number in range(processes)
    ]
    meanwhile()
    reports = dict(results.get(timeout=60 + SECONDS) for _ in children)
    for child in children:
        child.end()
    assert "\n".join(report for report in reports.values() if isinstance(report, str)) == ""
    return [reports[number] for number in range(processes)]


@pytest.fixture
def port() -> Iterator[int]:
    with emptied(SERVER) as number:
        yield number


def test_defaults_never_overwrite(port: int) -> None:
    rounds = 300
    _, *seen = race("read_defaults", 3, port, rounds)
    with redis.Redis(port=port) as client:
        stored = [int(value) for value in client.mget([f"defaults:{turn}" for turn in range(rounds)])]
    assert stored == list(range(rounds))
    assert all(value in (-1, turn) for each in seen for turn, value in enumerate(each))


def test_increments(port: int) -> None:
    reports = race("increment", 4, port, 150)
    assert sorted(number for number, _ in chain(*reports)) == list(range(1, 601))
    assert all(read >= number for number, read in chain(*reports)), "one's own increment is never behind"


def test_set_many_is_atomic(port: int) -> None:
    reports = race("set_together", 4, port, 60)
    assert all(len(values) == 1 for values in chain(*reports))


def test_one_flight(port: int) -> None:
    rounds = 30
    reports = race("compute", 4, port, rounds)
    assert all(values == [turn * 10 for turn in range(rounds)] for values, _ in reports)
    assert Counter(chain(*(calls for _, calls in reports))) == dict.fromkeys(range(rounds), 1)


@pytest.mark.parametrize("clustered", [False, True], ids=["standalone", "cluster"])
def test_tags(port: int, clustered: bool) -> None:
    """What was stored with a tag before an invalidation began is gone, and the index never loses a key."""
    number = cluster(SERVER)[0].port if clustered else port
    invalidations, *stores = race("tag", 3, number, 120, clustered)
    cache = FlipCache("tagged", redis=flip_workers.client(number, clustered), value_type="json", local_max=0)
    last = max(begun for _, begun, _ in invalidations)
    for log in stores:
        newest = {key: ended for key, _, ended in log}
        left = cache.get_many(newest)
        assert all(newest[key] >= last for key in left)
    cache.invalidate_tag("t")
    assert len(cache) == 0
    cache.redis.close()


def judged(reports: list[Any], bound: float) -> int:
    """Judge a history; return how many reads it has."""
    history = [tuple(entry) for entry in chain(*reports)]
    assert never_written(history) == []
    late = [(since, entry) for since, entry in stale(history) if since > bound]
    assert late == []
    return sum(entry[0] == "read" for entry in history)


# What a connection's news take, on a machine that is busy with four processes.
NEWS = 0.25


@pytest.mark.parametrize("options", [{"eviction": "lru"}, {"coherence": "pubsub"}], ids=["tracking", "pubsub"])
def test_history(port: int, options: dict[str, Any]) -> None:
    """Undisturbed, only the news' own time passes."""
    assert judged(race("history", 4, port, SECONDS / 3, options), NEWS) > 100


def test_the_judge_sees_what_is_stale(port: int) -> None:
    history = [
        ("write", "k", 1, 0.0, 1.0),
        ("write", "k", 2, 2.0, 3.0),
        ("read", "k", 1, 2.5, 4.0),
        ("read", "k", 1, 3.5, 3.6),
        ("read", "k", 2, 3.5, 3.6),
        ("read", "k", 3, 3.5, 3.6),
    ]
    assert stale(history) == [(0.5, history[3])]
    assert never_written(history) == [history[5]]
    # On a busy machine it may take some attempts until two processes use one key in turn.
    assert any(stale(chain(*race("history", 3, port, 1, {"coherence": None}))) for _ in range(10))


def test_history_while_everything_breaks() -> None:
    """Listeners are killed and the server is paused and restarted: nothing stale beyond ``max_stale``."""
    node = Node(programs()[SERVER], ("--appendonly", "yes", "--appendfsync", "always")).start()
    over = threading.Event()

    def disturb() -> None:
        turn = 0
        while not over.wait(SECONDS / 12):
            turn += 1
            try:
                with redis.Redis(port=node.port, socket_timeout=1, retry=None) as admin:
                    if turn % 4 == 0:
                        node.signal(signal.SIGSTOP)
                        time.sleep(0.4)
                        node.signal(signal.SIGCONT)
                    elif turn == 6:
                        node.kill()
                        time.sleep(0.2)
                        node.start()
                    else:
                        admin.execute_command("CLIENT KILL TYPE", "pubsub" if turn % 2 else "normal", "SKIPME", "yes")
            except redis.RedisError:
                continue

    disturbing = threading.Thread(target=disturb)
    try:
        reports = race("history", 4, node.port, SECONDS, {"max_stale": 0.5}, meanwhile=disturbing.start)
    finally:
        over.set()
        disturbing.join()
        node.stop()
    assert judged(reports, 0.5 + NEWS) > 50

"""Mutual exclusion between real processes, by recorded intervals, while masters and holders misbehave."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from pottery_like.aio.redlock import AIORedlock
from pottery_like.exceptions import ReleaseUnlockedLock
from pottery_like.redlock import Redlock
from tests.support.processes import Child, fork
from tests.support.servers import Node, programs

PROGRAM = next(iter(programs().values()))
SECONDS = float(os.environ.get("HISTORY_SECONDS", "3"))
SLOWNESS = min(5.0, SECONDS / 3)
"""How many times as long leases and pauses are in longer runs: seconds."""
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

Period = tuple[Any, float]
"""A barrier where all begin, and for how many seconds they go on."""
Interval = tuple[float, float, bool]
"""From, until, and whether the holder learnt that its lease had ended."""


def _work(name: str, ports: list[int], period: Period, lease: float, results: Any) -> None:
    lock = Redlock(key=name, masters=[redis.Redis(port=port) for port in ports], auto_release_time=lease)
    intervals: list[Interval] = []
    until = _begin(period)
    while time.monotonic() < until:
        if lock.acquire(timeout=1):
            intervals.append(_section(lock))
    results.put(intervals)


def _begin(period: Period) -> float:
    """Wait for the others; return when it is over."""
    ready, seconds = period
    ready.wait(60)
    return time.monotonic() + seconds


def _section(lock: Redlock) -> Interval:
    started = time.monotonic()
    time.sleep(random.uniform(0, 0.004))
    ended = time.monotonic()
    lost = lock.lost
    try:
        lock.release()
    except ReleaseUnlockedLock:
        lost = lost or lock.locked() == 0
    return started, ended, lost


def _work_aio(name: str, ports: list[int], period: Period, lease: float, results: Any) -> None:
    async def main() -> None:
        masters = [redis.asyncio.Redis(port=port) for port in ports]
        lock = AIORedlock(key=name, masters=masters, auto_release_time=lease)
        intervals: list[Interval] = []
        until = _begin(period)
        while time.monotonic() < until:
            if await lock.acquire(timeout=1):
                started = time.monotonic()
                await asyncio.sleep(random.uniform(0, 0.004))
                ended, lost = time.monotonic(), lock.lost
                try:
                    await lock.release()
                except ReleaseUnlockedLock:
                    lost = True
                intervals.append((started, ended, lost))
        results.put(intervals)
        for master in masters:
            await master.aclose()

    asyncio.run(main())


def _race(
    ports: list[int], seconds: float, lease: float, meanwhile: Callable[[list[int], float], None]
) -> list[list[Interval]]:
    name, results = uuid.uuid4().hex, fork.Queue()
    period = fork.Barrier(7), seconds
    children = [
        Child(fork, _work if index % 3 else _work_aio, name, ports, period, lease, results) for index in range(6)
    ]
    meanwhile([child.pid for child in children], _begin(period))
    recorded = [results.get(timeout=60) for _ in children]
    for child in children:
        child.end()
    return recorded


def overlaps(recorded: list[list[Interval]]) -> int:
    """Return how many pairs overlap although neither holder knew that its lease had ended."""
    intervals = sorted(interval for each in recorded for interval in each if not interval[2])
    return sum(second[0] < first[1] for first, second in itertools.pairwise(intervals))


def test_one_master() -> None:
    node = Node(PROGRAM).start()
    try:
        recorded = _race([node.port], 1, 10, lambda pids, until: None)
        counts = [len(each) for each in recorded]
        assert overlaps(recorded) == 0
        assert not any(lost for each in recorded for _, _, lost in each)
        # Nobody is left out: the line is first come, first served.
        assert min(counts) * 3 > max(counts) > 0
    finally:
        node.stop()


@pytest.mark.parametrize("kind", ["killed and restarted empty", "paused", "holders paused"])
def test_five_masters(kind: str) -> None:
    nodes, lease, pause = [Node(PROGRAM).start() for _ in range(5)], 0.4 * SLOWNESS, 0.55 * SLOWNESS

    def meanwhile(pids: list[int], until: float) -> None:
        number = 0
        time.sleep(0.3)
        while time.monotonic() < until - SLOWNESS:
            number += 1
            node = nodes[number % 5]
            if kind == "paused":
                node.signal(signal.SIGSTOP)
                time.sleep(pause)
                node.signal(signal.SIGCONT)
            elif kind == "holders paused":
                pid = random.choice(pids)
                os.kill(pid, signal.SIGSTOP)
                time.sleep(pause)
                os.kill(pid, signal.SIGCONT)
            else:
                node.kill()
                # Redlock asks for it: a master comes back empty only after the leases that it has forgotten.
                time.sleep(lease + 0.1 * SLOWNESS)
                node.start()

    try:
        recorded = _race([node.port for node in nodes], 2.6 * SECONDS / 3, lease, meanwhile)
        assert overlaps(recorded) == 0
        assert sum(len(each) for each in recorded) > 20
    finally:
        for node in nodes:
            node.signal(signal.SIGCONT)
            node.stop()

"""Processes with Pottery 3.0.1's lock and with this library's, on the same keys, as during a migration."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from pottery_like.redlock import Redlock
from tests.races.test_redlock import PROGRAM, Interval, overlaps
from tests.support.processes import Child, fork
from tests.support.servers import Node

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
SECONDS = 0.7
LEASE = 5.0


class Frozen:
    """What Pottery 3.0.1's lock sends, frozen: for where it isn't installed."""

    RELEASE = """
                if redis.call('get', KEYS[1]) == ARGV[1] then
                    return redis.call('del', KEYS[1])
                else
                    return 0
                end
            """

    def __init__(self, key: str, masters: set[redis.Redis]) -> None:
        self._key = f"redlock:{key}"
        self._masters = masters
        self._token = ""

    def acquire(self, *, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while True:
            self._token = str(uuid.uuid4())
            px = int(LEASE * 1000)
            granted = [master.set(self._key, self._token, px=px, nx=True) for master in self._masters]
            if sum(map(bool, granted)) > len(self._masters) // 2:
                return True
            self.release()
            if time.monotonic() > until:
                return False
            time.sleep(random.uniform(0, 0.2))

    def release(self) -> None:
        for master in self._masters:
            master.eval(self.RELEASE, 1, self._key, self._token)


def _pottery(key: str, masters: set[redis.Redis]) -> Any:
    import pottery

    logging.getLogger("pottery").disabled = True
    return pottery.Redlock(key=key, masters=masters, auto_release_time=LEASE)


def _ours(key: str, masters: set[redis.Redis]) -> Any:
    return Redlock(key=key, masters=masters, auto_release_time=LEASE)


def _work(make: Callable[[str, set[redis.Redis]], Any], name: str, ports: list[int], until: float, out: Any) -> None:
    lock = make(name, {redis.Redis(port=port) for port in ports})
    intervals: list[Interval] = []
    while time.monotonic() < until:
        if lock.acquire(timeout=1):
            started = time.monotonic()
            time.sleep(random.uniform(0, 0.003))
            intervals.append((started, time.monotonic(), False))
            lock.release()
            # Pottery's waiters look now and then: the lock must be free sometimes.
            time.sleep(random.uniform(0, 0.02))
    out.put((make is _ours, intervals))


@pytest.fixture(scope="module")
def three() -> Iterator[list[Node]]:
    nodes = [Node(PROGRAM).start() for _ in range(3)]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.mark.parametrize("masters", [1, 3])
@pytest.mark.parametrize("peer", ["frozen", "installed"])
def test_one_holder_at_a_time(three: list[Node], peer: str, masters: int) -> None:
    if peer == "installed":
        pytest.importorskip("pottery", reason="Pottery isn't installed: only its frozen commands are tested")
    theirs: Callable[..., Any] = Frozen if peer == "frozen" else _pottery
    ports, out = [node.port for node in three[:masters]], fork.Queue()
    name, until = uuid.uuid4().hex, time.monotonic() + SECONDS
    workers = [Child(fork, _work, make, name, ports, until, out) for make in (_ours, _ours, theirs, theirs)]
    recorded = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.end()
    assert overlaps([intervals for _, intervals in recorded]) == 0
    for side in (True, False):
        assert sum(len(intervals) for ours, intervals in recorded if ours is side) > 0
    # Pottery doesn't wait for all its threads, so that one may still be setting the key.
    for port in ports if peer == "frozen" else ():
        with redis.Redis(port=port) as client:
            assert not client.exists(f"redlock:{name}")

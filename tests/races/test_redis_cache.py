"""Many processes, one result: computed once, found by all, and not held up by the dead."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redispy

from pottery_like import redis_cache
from tests.races import cache_workers
from tests.races.cache_workers import THREADS
from tests.support.processes import Child, fork
from tests.support.servers import programs, standalone, wait_until

PROCESSES = 4
SERVERS = sorted(programs())
ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[redispy.Redis]:
    client = redispy.Redis(port=standalone(getattr(request, "param", SERVERS[0])).port)
    client.flushall()
    yield client
    client.flushall()
    client.close()


def port_of(client: redispy.Redis) -> int:
    port: int = client.connection_pool.connection_kwargs["port"]
    return port


@pytest.mark.parametrize("client", SERVERS, indirect=True)
@pytest.mark.parametrize("worker", ["threads", "tasks"])
def test_one_computation_for_a_hundred_callers(client: redispy.Redis, worker: str) -> None:
    barrier, results = fork.Barrier(PROCESSES * (THREADS if worker == "threads" else 1)), fork.Queue()
    target = getattr(cache_workers, worker)
    children = [Child(fork, target, port_of(client), barrier, results) for _ in range(PROCESSES)]
    reports = [results.get(timeout=60) for _ in children]
    for child in children:
        child.end()
    assert all(found == [2] * THREADS + [4] * THREADS for found, _ in reports)
    assert client.mget("calls:1", "calls:2") == [b"1", b"1"]
    assert sum(misses for _, (_, misses, *_) in reports) == 2
    assert sum(hits for _, (hits, *_) in reports) == 2 * (PROCESSES * THREADS - 1)


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("invalidate", {}),
        ("invalidate", {"ttl": 0.02, "stale": 0.05, "early": 1, "lease": 0.002}),
        ("invalidate_tag", {"tags": ["t"], "maxsize": 1, "policy": "lfu"}),
        ("cache_clear", {"prefixes": 1, "ttl": 0.02, "stale": 0.05}),
    ],
)
def test_nobody_gets_what_was_invalidated_before(client: redispy.Redis, how: str, options: dict[str, Any]) -> None:
    results, seconds = fork.Queue(), 0.8
    children = [Child(fork, cache_workers.readers, port_of(client), options, seconds, results) for _ in range(3)]
    version = cache_workers.versioned(client, **options)
    number = 0
    while any(child.process.is_alive() for child in children) and results.qsize() < len(children):
        number += 1
        client.set("version", number)
        for args in {"invalidate": [(0,), (1,)], "invalidate_tag": [("t",)]}.get(how, [()]):
            getattr(version, how)(*args)
        client.set("announced", number)
        time.sleep(random.random() * 0.01)
    reports = [results.get(timeout=60) for _ in children]
    for child in children:
        child.end()
    assert number > 2
    assert sum(count for count, _ in reports) > number
    assert [old for _, old in reports] == [[], [], []]


def run(client: redispy.Redis, worker: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.races.cache_workers", str(port_of(client)), worker]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_random_hash_seeds(client: redispy.Redis) -> None:
    processes = [run(client, "once") for _ in range(3)]
    counts = sorted(tuple(map(int, process.communicate(timeout=60)[0].split())) for process in processes)
    assert counts == [(0, 1), (1, 0), (1, 0)]


def test_killed_holder_delays_others_no_longer_than_its_lease(client: redispy.Redis) -> None:
    process = run(client, "never")
    wait_until(lambda: client.get("began") == b"1", "the other process computes", 30)
    began = time.monotonic()

    def lost(what: str) -> list[Any]:
        return [what, time.monotonic() - began, process.poll()]

    lost.__module__, lost.__qualname__ = "__main__", "lost"
    process.send_signal(signal.SIGKILL)
    process.wait()
    what, waited, status = redis_cache(redis=client, key="killed", lease=0.7)(lost)("x")
    assert (what, status) == ("x", -signal.SIGKILL)
    # The lease; and what a loaded machine adds.
    assert waited < 0.7 + 1.5
    assert process.stdout is not None
    process.stdout.close()

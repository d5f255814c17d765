"""Processes that are forked while another thread is using the client."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from pottery_like import RedisDict, Redlock
from tests.support.processes import Child, fork
from tests.support.servers import SETUPS, cluster, standalone

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
SERVER = SETUPS[0].server


@contextmanager
def held(lock: Any) -> Iterator[None]:
    """Have another thread hold a lock for the block."""
    there, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            there.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert there.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def alone() -> Any:
    return redis.Redis(port=standalone(SERVER).port)


def blocking() -> Any:
    return redis.Redis(connection_pool=redis.BlockingConnectionPool(port=standalone(SERVER).port))


def clustered() -> Any:
    return redis.RedisCluster(host="127.0.0.1", port=cluster(SERVER)[0].port)


def pools(client: Any) -> Any:
    # Older versions of redis-py's blocking pool have none.
    return getattr(client.connection_pool, "_lock", None) or pytest.skip("no lock")


def layouts(client: Any) -> Any:
    return client.nodes_manager._lock


def nodes(client: Any) -> Any:
    return client.get_redis_connection(client.get_node_from_key("forks")).connection_pool._lock


@pytest.mark.parametrize(
    ("make", "lock"), [(alone, pools), (blocking, pools), (clustered, layouts), (clustered, nodes)]
)
def test_a_client_in_use(make: Callable[[], Any], lock: Callable[[Any], Any]) -> None:
    with make() as client:
        subject = RedisDict({"a": 1}, redis=client, key="forks")
        with held(lock(client)):
            child = Child(fork, lambda ours: ours.send(subject["a"]), talks=True)
            assert child.hear(10) == 1
        child.end()
        subject.clear()


def test_a_locks_connections_in_use() -> None:
    with alone() as client:
        locks = [Redlock(key="forks", masters=client) for _ in range(2)]
        with locks[0]:
            pass
        (way,) = locks[0]._conductor.ways
        with held(way._pool._lock):  # type: ignore[union-attr]
            child = Child(fork, lambda ours: ours.send([each.acquire(False) for each in locks]), talks=True)
            assert child.hear(10) == [True, False]
        child.end()
        client.delete("redlock:forks")

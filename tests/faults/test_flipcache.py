"""FlipCache when connections, servers and processes fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from pottery_like import BypassedWarning, FlipCache, OutcomeUnknownError
from tests.support.processes import Child, fork
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, emptied, programs, started, wait_until

SERVER = sorted(programs())[0]


@pytest.fixture
def node() -> Iterator[Node]:
    with started(SERVER) as made:
        yield made


@pytest.fixture
def port() -> Iterator[int]:
    with emptied(SERVER) as number:
        yield number


@pytest.fixture
def proxy(port: int) -> Iterator[Proxy]:
    with proxied(port) as made:
        yield made


def client(port: int, **options: Any) -> Any:
    return redis.Redis(port=port, **{"socket_timeout": 1, **options})


def test_lost_replies(proxy: Proxy, port: int) -> None:
    """Idempotent writes are repeated; of others the outcome is unknown, and nothing is kept that might be wrong."""
    raw = client(port)
    # Without listening, whose own traffic might be what is lost.
    options: dict[str, Any] = {"value_type": "int", "coherence": None}
    cache = FlipCache("lost", redis=client(proxy.port, retry=Retry(NoBackoff(), 3)), **options)
    cache.increment("n")
    cache.delete_many(["scripts are loaded"])
    proxy.lose = 1
    cache["n"] = 2
    assert (cache["n"], cache.local, raw.get("lost:n")) == (2, {"n": 2}, b"2")
    proxy.lose = 1
    with pytest.raises(OutcomeUnknownError):
        cache.increment("n")
    assert cache.local == {}
    assert (cache["n"], raw.get("lost:n")) == (3, b"3")
    proxy.lose = 1
    with pytest.raises(OutcomeUnknownError):
        cache.delete_many(["n"])
    assert cache["n"] is None
    once = FlipCache("lost", redis=client(proxy.port, retry=Retry(NoBackoff(), 0)), **options)
    once.set_many(n=1)
    proxy.lose = 1
    with pytest.raises(OutcomeUnknownError):
        once["n"] = 2
    assert once["n"] == 2
    proxy.lose = 1
    with pytest.raises(OutcomeUnknownError):
        once.set_many(n=3)
    assert once["n"] == 3
    raw.close()


def test_a_full_server(node: Node) -> None:
    raw = client(node.port)
    cache = FlipCache("full", redis=client(node.port), value_type="int", value_default=7)
    plain = FlipCache("full", redis=cache.redis, value_type="int")
    cache["k"] = 1
    raw.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        cache["k"] = 2
    assert cache["k"] == 1
    with pytest.raises(OutOfMemoryError):
        cache.set_many(k=2, l=2)
    for call in (lambda: cache.setdefault("new", 5), lambda: cache.increment("new"), lambda: cache.increment("k")):
        with pytest.raises(OutOfMemoryError):
            call()
    assert (cache["k"], cache["new"], cache.local.get("new")) == (1, 7, None), "a default is given without being stored"
    with pytest.raises(OutOfMemoryError):
        plain.get_or_set("made", lambda: 5)
    back = FlipCache("full", redis=cache.redis, value_type="int", write="back", flush_interval=None)
    back["k"] = 3
    with pytest.raises(OutOfMemoryError):
        back.flush()
    assert (back["k"], back.stats().dirty) == (3, 1)
    assert FlipCache("full:inner", redis=cache.redis, value_default="d")["new"] == "d"
    raw.config_set("maxmemory", 0)
    back.flush()
    assert raw.get("full:k") == b"3"
    assert raw.exists("full:new", "full:l") == 0
    raw.close()


def test_a_read_only_server(node: Node) -> None:
    raw = client(node.port)
    cache = FlipCache("ro", redis=client(node.port), value_default="d", max_stale=0.2)
    cache["k"] = "v"
    raw.execute_command("REPLICAOF", "127.0.0.1", 1)
    wait_until(lambda: not cache.local, "a server that is no master any more is not relied on")
    with pytest.raises(ReadOnlyError):
        cache["k"] = "w"
    assert (cache["k"], cache["new"]) == ("v", "d")
    assert cache.local == {}
    raw.execute_command("REPLICAOF", "NO", "ONE")
    wait_until(lambda: cache["k"] == "v" and cache.local, "it is a master again")
    raw.close()


def test_a_server_that_refuses_to_track(node: Node) -> None:
    raw = client(node.port)
    raw.execute_command("ACL", "SETUSER", "weak", "on", ">weak", "~*", "&*", "+@all", "-client|tracking")
    weak = client(node.port, username="weak", password="weak")
    cache = FlipCache("weak", redis=weak)
    with pytest.warns(BypassedWarning, match="tracking"):
        cache["k"] = "v"
    assert cache["k"] == "v"
    raw.set("weak:k", "w")
    assert cache["k"] == "w"
    assert cache.local == {}
    other = FlipCache("weak", redis=weak, coherence="pubsub", max_stale=10)
    assert other["k"] == "w"
    assert other.local == {"k": "w"}
    raw.close()


@pytest.mark.parametrize("coherence", ["tracking", "pubsub"])
def test_killed_listeners(node: Node, coherence: str) -> None:
    raw = client(node.port)
    cache = FlipCache("killed", redis=client(node.port), coherence=coherence, max_stale=0.4)
    cache["k"] = "v"
    wait_until(lambda: cache["k"] == "v" and cache.local, "it is kept")
    for turn in range(2):
        raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        raw.set("killed:k", turn)
        wait_until(lambda turn=turn: cache["k"] == str(turn), "the copy is dropped", 5)
        wait_until(lambda: cache["k"] and cache.local, "copies are kept again")
    assert cache.stats().reconnects >= 2
    node.kill()
    wait_until(lambda: not cache.local, "a dead server is noticed", 5)
    with pytest.raises(redis.ConnectionError):
        cache["k"]
    node.start()
    wait_until(lambda: cache["k"] is None and cache.stats().misses, "it is followed again")
    cache["k"] = "new"
    wait_until(lambda: cache["k"] == "new" and cache.local, "copies are kept again")
    raw.close()


def test_flushing_the_database_is_heard(port: int) -> None:
    raw = client(port)
    cache = FlipCache("flushed", redis=client(port), max_stale=10)
    cache["k"] = "v"
    assert cache.local == {"k": "v"}
    raw.flushall()
    wait_until(lambda: cache["k"] is None, "everything is dropped")
    raw.close()


THREADS = """
import gc, sys, threading, time, redis
from pottery_like import FlipCache

def listening(expected):
    deadline = time.monotonic() + 20
    while (threading.active_count() > 1) != expected:
        assert time.monotonic() < deadline
        time.sleep(0.01)

for coherence in ("tracking", "pubsub"):
    cache = FlipCache("threads", redis=redis.Redis(port=int(sys.argv[1])), coherence=coherence, max_stale=10)
    remote = FlipCache("threads", redis=cache.redis, local_max=0)
    remote["k"] = "v"
    assert remote["k"] == "v"
    listening(False)  # no thread before it is needed
    assert cache["k"] == "v"
    assert cache.local == {"k": "v"}
    listening(True)
    cache.close()
    assert cache.local == {}
    listening(False)
    assert cache["k"] == "v"
    listening(True)
    assert cache["k"] == "v"
    assert cache.local == {"k": "v"}
    del cache
    gc.collect()
    listening(False)
"""


def test_threads_come_and_go(port: int) -> None:
    subprocess.run([sys.executable, "-c", THREADS, str(port)], check=True, timeout=60)


def _child(ours: Any, cache: Any, back: Any, told: list[str]) -> None:
    ours.send((dict(cache.local), back.stats().dirty))
    told.clear()
    wait_until(lambda: cache["k"] == "v" and cache.local, "it follows changes")
    ours.send("kept")
    ours.recv()
    deadline = time.monotonic() + 20
    while cache["k"] != "changed" and time.monotonic() < deadline:
        time.sleep(0.001)
    back.flush()
    ours.send(cache["k"])
    wait_until(lambda: told, "it is told of changes")
    ours.send(told)


def test_forked_children(port: int) -> None:
    """A child begins with nothing, follows changes and tells of them itself, and leaves its parent's writes alone."""
    told: list[str] = []
    cache = FlipCache("forked", redis=client(port), on_update=told.append)
    back = FlipCache("forked-back", redis=client(port), write="back", flush_interval=None)
    cache["k"] = "v"
    back["k"] = "unwritten"
    wait_until(lambda: told, "the thread that tells is there")
    with cache._tier.lock, back._tier.lock:
        child = Child(fork, _child, cache, back, told, talks=True)
    assert child.hear() == ({}, 0)
    assert child.hear() == "kept"
    cache["k"] = "changed"
    child.tell("go on")
    assert child.hear() == "changed"
    assert set(child.hear()) == {"k"}
    child.end()
    raw = client(port)
    assert raw.get("forked-back:k") is None
    back.close()
    assert raw.get("forked-back:k") == b"unwritten"
    raw.close()


def test_threads_share_a_cache(port: int) -> None:
    cache = FlipCache("shared", redis=client(port), value_type="int", local_max=20, eviction="lru")
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(60):
                cache[number, turn % 5] = turn
                assert cache[number, turn % 5] == turn, "one's own write is seen"
                cache.get_many([(other, turn % 5) for other in range(4)])
                if turn % 9 == 0:
                    del cache[number, turn % 5]
                    assert cache[number, turn % 5] is None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    assert not cache._tier._pending
    assert not cache._tier._writing


def test_a_slow_flight_stores_what_it_finds_first(port: int) -> None:
    """Its lease has ended, somebody else computes too, and a third one waits for that."""
    caches = [FlipCache("overtaken", redis=client(port), lease=lease) for lease in (0.05, 20, 20)]
    go = [threading.Event(), threading.Event()]

    def ask(which: int) -> Any:
        return caches[which].get_or_set("k", lambda: which < 2 and go[which].wait(10) and str(which))

    def record() -> list[bytes]:
        return next(iter(caches[0].redis.hvals("{overtaken:k}/flights")), b"").split()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, 0)
        wait_until(lambda: len(record()) == 4, "the first has the lease")
        second = pool.submit(ask, 1)
        wait_until(lambda: len(record()) == 5, "the second has taken over")
        third = pool.submit(ask, 2)
        wait_until(lambda: record()[2] == b"1", "the third waits")
        go[0].set()
        assert first.result(10) == third.result(10) == "0"
        go[1].set()
        assert second.result(10) == "1"
    assert caches[0]["k"] == "0"

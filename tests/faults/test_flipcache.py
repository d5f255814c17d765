"""FlipCache when connections, servers and processes fail."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cachetools
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from pottery_like import AIOFlipCache, BypassedWarning, FlipCache, OutcomeUnknownError
from tests.support.processes import Child, fork
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, programs, standalone, wait_until

SERVER = sorted(programs())[0]


@pytest.fixture
def node() -> Iterator[Node]:
    """A server of its own."""
    made = Node(programs()[SERVER]).start()
    yield made
    made.stop()


@pytest.fixture
def port() -> Iterator[int]:
    number = standalone(SERVER).port
    yield number
    with redis.Redis(port=number) as client:
        client.flushall()


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


def _listening_child(pipe: Any, cache: Any, told: list[str]) -> None:
    told.clear()
    cache.listen()
    pipe.send("listening")
    wait_until(lambda: told, "it is told of changes")
    pipe.send(told)


@pytest.mark.parametrize("local_max", [0, 10])
def test_a_forked_child_that_only_listens(port: int, local_max: int) -> None:
    told: list[str] = []
    cache = FlipCache("only", redis=client(port), on_update=told.append, local_max=local_max)
    cache.listen()
    child = Child(fork, _listening_child, cache, told, talks=True)
    assert child.hear() == "listening"
    raw = client(port)
    raw.set("only:k", "v")
    assert child.hear() == ["k"]
    child.end()
    wait_until(lambda: told == ["k"], "so is the parent")
    raw.close()


@pytest.mark.parametrize("world", ["sync", "aio"])
def test_who_only_listens_is_told_after_an_outage(node: Node, world: str) -> None:
    told: list[str] = []
    raw = client(node.port)

    def outage() -> None:
        node.kill()
        time.sleep(0.5)
        node.start()

    def heard() -> bool:
        raw.set("only:k", "v")
        return bool(told)

    if world == "sync":
        cache = FlipCache("only", redis=client(node.port), on_update=told.append, local_max=0)
        cache.listen()
        outage()
        wait_until(heard, "it listens again")
        cache.close()
    else:

        async def listen() -> None:
            source = redis.asyncio.Redis(port=node.port, retry=None)
            cache = AIOFlipCache("only", redis=source, on_update=told.append, local_max=0)
            await cache.listen()
            await asyncio.to_thread(outage)
            await asyncio.to_thread(wait_until, heard, "it listens again")
            await cache.close()
            await source.aclose()

        asyncio.run(listen())
    raw.close()


LEAVING = """
import sys, redis
from pottery_like import FlipCache
cache = FlipCache("leaving", redis=redis.Redis(port=int(sys.argv[1])), write="back", flush_interval=None)
cache["flushed"] = "v"
cache.flush()
cache["k"] = "v"
del cache
if sys.argv[2] == "crash":
    import os
    os._exit(1)
"""


def test_what_is_unwritten_at_exit_is_written(port: int) -> None:
    raw = client(port)
    for how, expected in (("crash", None), ("exit", b"v")):
        subprocess.run([sys.executable, "-c", LEAVING, str(port), how], check=False, timeout=30)
        assert raw.get("leaving:k") == expected
        assert raw.delete("leaving:flushed") == 1
    raw.close()


CONFLICTS = """
import asyncio, sys, redis, redis.asyncio
from pottery_like import AIOFlipCache

def told(conflict):
    print(conflict.key, flush=True)
    if conflict.key == "a":
        raise RuntimeError

async def told_later(conflict):
    await asyncio.sleep(0)
    told(conflict)

async def main():
    global cache
    port = int(sys.argv[1])
    how = told if sys.argv[2] == "function" else told_later
    source = redis.asyncio.Redis(port=port)
    cache = AIOFlipCache("leaving", redis=source, write="back", flush_interval=None, on_conflict=how)
    await cache.set_many(a="1", b="2", c="3")
    redis.Redis(port=port).mset({"leaving:a": "x", "leaving:b": "y"})

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["function", "coroutine"])
def test_conflicts_at_exit_are_told_in_asyncio(port: int, how: str) -> None:
    command = [sys.executable, "-c", CONFLICTS, str(port), how]
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.split() == ["a", "b"]
    assert "on_conflict has failed: RuntimeError" in done.stderr
    assert "were lost" not in done.stderr
    raw = client(port)
    assert raw.mget("leaving:a", "leaving:b", "leaving:c") == [b"x", b"y", b"3"]
    raw.close()


def test_a_closed_cache_leaves_nothing_pending(port: int) -> None:
    async def write() -> set[Any]:
        source = redis.asyncio.Redis(port=port)
        async with AIOFlipCache("pending", redis=source, write="back", flush_interval=60) as cache:
            await cache.set("k", "v")
        await source.aclose()
        await asyncio.sleep(0.1)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(write()) == set()


class Shouting(FlipCache[str, str]):
    """A cache of the user's with hits of its own."""

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key).upper()


@pytest.mark.parametrize(
    "options", [{}, {"eviction": "lru"}, {"eviction": "lfu"}, {"eviction": {}}, {"count_hits": True}], ids=repr
)
def test_subclasses_have_their_own_hits(port: int, options: dict[str, Any]) -> None:
    cache = Shouting("shouting", redis=client(port), **options)
    cache["k"] = "v"
    assert [cache["k"], cache["k"], cache.get("k")] == ["V", "V", "v"]
    assert isinstance(cache, Shouting)
    if "count_hits" in options:
        assert cache.stats().local_hits == 3
    cache.redis.close()


def test_pickling_leaves_a_mapping_s_contents_behind(port: int) -> None:
    cache = FlipCache("pickled", redis=client(port), eviction=cachetools.LRUCache(7))
    cache["k"] = "secret"
    assert cache.local == {"k": "secret"}
    data = pickle.dumps(cache)
    assert b"secret" not in data
    other = pickle.loads(data)
    assert (other["k"], other["k"], other._config.eviction.maxsize) == ("secret", "secret", 7)
    assert (cache["k"], cache["k"], cache.local) == ("secret", "secret", {"k": "secret"})
    other.redis.close()


def test_pickling(port: int) -> None:
    cache = FlipCache("pickled", redis=client(port), value_type="json", expire_time=50, eviction="lru", local_max=7)
    cache["k"] = [1]
    other = pickle.loads(pickle.dumps(cache))
    assert type(other) is type(cache)
    assert other._config == cache._config
    assert other["k"] == [1]
    other.redis.close()


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

"""FlipCache's life in a process: who only listens, what is left at the end, subclasses and pickles."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import cachetools
import pytest
import redis
import redis.asyncio

from pottery_like import AIOFlipCache, FlipCache
from tests.support.processes import Child, fork
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


def client(port: int, **options: Any) -> Any:
    return redis.Redis(port=port, **{"socket_timeout": 1, **options})


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

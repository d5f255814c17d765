"""redis_cache() beside a hand-written cache, functools, and Pottery (where it is installed).

Usage: python -m tests.benchmarks.bench_cache [--calls 1500] [--peers DIRECTORY]

By hand there is a GET and ``json.loads`` (with a timeout that counts from the last access, a GETEX), and after a miss a
SET.  The candidates take turns in rounds of 25 calls; each figure is the quartile of its calls.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from pottery_like import redis_cache
from tests.benchmarks.support import circumstances, no_collections, private_server, quartile, table

ROUND = 25
VALUE = {"id": 5, "name": "ada", "tags": ["a", "b"], "score": 0.5}


def value(number: int, name: str = "ada") -> dict[str, Any]:
    """Return what people cache."""
    return VALUE


def pottery_cache(client: redis.Redis, key: str, timeout: int | None) -> dict[str, Callable[..., Any]]:
    """Return Pottery's cache as a candidate, if there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pottery
    except ImportError:
        return {}
    return {"Pottery": pottery.redis_cache(redis=client, key=key, timeout=timeout)(value)}


def by_hand(client: redis.Redis, timeout: int | None = None) -> Callable[..., Any]:
    """Return what people write."""

    def call(number: int, name: str = "ada") -> Any:
        key = f"hand:{number}:{name}"
        raw: Any = client.get(key) if timeout is None else client.getex(key, ex=timeout)
        if raw is not None:
            return json.loads(raw)
        found = value(number, name)
        client.set(key, json.dumps(found), ex=timeout)
        return found

    return call


def show(title: str, times: dict[str, list[float]]) -> str:
    """Return a table, with ratios to the first line."""
    figures = {name: quartile(each) * 1e6 for name, each in times.items()}
    base = next(iter(figures.values()))
    return table(
        [title, "µs", "ratio"], [[name, f"{each:.1f}", f"{each / base:.2f}"] for name, each in figures.items()]
    )


def interleaved(title: str, candidates: dict[str, Callable[[int], Any]], calls: int) -> str:
    """Time one call of each candidate after the other."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for call in candidates.values():
        call(0)
    with no_collections():
        for first in range(0, calls, ROUND):
            for name, call in candidates.items():
                for turn in range(first, first + ROUND):
                    started = time.perf_counter()
                    call(turn)
                    times[name].append(time.perf_counter() - started)
    return show(title, times)


def hits(client: redis.Redis, calls: int) -> str:
    """Results that are there."""
    peer = pottery_cache(client, "peer", None) | {
        f"{name}, timeout=60": each for name, each in pottery_cache(client, "peer-60", 60).items()
    }
    functions: dict[str, Callable[..., Any]] = {
        "by hand: GET, json.loads": by_hand(client),
        "by hand: GETEX, json.loads": by_hand(client, 60),
        "redis_cache, timeout=None": redis_cache(redis=client, key="hit", timeout=None)(value),
        "redis_cache (timeout=60)": redis_cache(redis=client, key="hit-60")(value),
        "redis_cache, ttl=60": redis_cache(redis=client, key="ttl", timeout=None, ttl=60)(value),
        "redis_cache, ttl=60, early=1, stale=60": redis_cache(
            redis=client, key="early", timeout=None, ttl=60, early=1, stale=60
        )(value),
        "redis_cache, tags=, prefixes=1": redis_cache(
            redis=client, key="tags", timeout=None, tags=["a", "b"], prefixes=1
        )(value),
        "redis_cache, maxsize=1000": redis_cache(redis=client, key="lru", timeout=None, maxsize=1000)(value),
        "redis_cache, statistics='server'": redis_cache(
            redis=client, key="statistics", timeout=None, statistics="server"
        )(value),
        "redis_cache, local=100": redis_cache(redis=client, key="local", timeout=None, local=100)(value),
        "functools.cache": functools.cache(value),
        **peer,
    }
    for function in functions.values():
        function(1, "ada")
        function(1, "ada")
    return interleaved("A hit", {name: lambda _, each=each: each(1, "ada") for name, each in functions.items()}, calls)


def misses(client: redis.Redis, calls: int) -> str:
    """Results that are not there: computed and stored."""
    functions: dict[str, Callable[..., Any]] = {
        "by hand: GET, SET, no single flight": by_hand(client),
        "redis_cache, timeout=None": redis_cache(redis=client, key="miss", timeout=None)(value),
        "redis_cache (timeout=60)": redis_cache(redis=client, key="miss-60")(value),
        "redis_cache, ttl=60, tags=, maxsize=1000": redis_cache(
            redis=client, key="miss-all", ttl=60, tags=["a"], maxsize=1000
        )(value),
        **pottery_cache(client, "peer-miss", None),
    }
    return interleaved(
        "A miss", {name: lambda n, each=each: each(n + 10, "x") for name, each in functions.items()}, calls
    )


async def awaited(port: int, calls: int) -> str:
    """A hit in asyncio."""
    async with redis.asyncio.Redis(port=port) as client:

        async def slow(number: int) -> dict[str, Any]:
            return VALUE

        async def hand() -> Any:
            found = await client.get("hand-aio")
            return json.loads(found or b"0")

        await client.set("hand-aio", json.dumps(VALUE))
        cached = redis_cache(redis=client, key="aio", timeout=None)(slow)
        near = redis_cache(redis=client, key="aio-local", timeout=None, local=100)(slow)
        candidates: dict[str, Callable[[], Any]] = {
            "by hand: GET, json.loads": hand,
            "redis_cache, timeout=None": lambda: cached(1),
            "redis_cache, local=100": lambda: near(1),
        }
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for call in [*candidates.values()] * 2:
            await call()
        with no_collections():
            for _ in range(0, calls, ROUND):
                for name, call in candidates.items():
                    for _ in range(ROUND):
                        started = time.perf_counter()
                        await call()
                        times[name].append(time.perf_counter() - started)
        return show("A hit, asyncio", times)


def stampede(client: redis.Redis) -> str:
    """Fifty threads that miss one result at once, which takes 50 ms to compute."""
    rows = []
    for name in ("redis_cache", *pottery_cache(client, "x", None)):
        calls: list[int] = []

        def slow(number: int, calls: list[int] = calls) -> int:
            calls.append(number)
            time.sleep(0.05)
            return number

        function = functools.partial(slow, calls=calls)
        if name == "redis_cache":
            cached: Any = redis_cache(redis=client, key="stampede", ignore="calls")(slow)
        else:
            import pottery

            functools.update_wrapper(function, slow)
            cached = pottery.redis_cache(redis=client, key="stampede-peer", timeout=None)(function)
        waiting = [threading.Thread(target=cached, args=(1,)) for _ in range(50)]
        started = time.perf_counter()
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
        rows.append([name, len(calls), f"{(time.perf_counter() - started) * 1e3:.0f}"])
    return table(["50 threads miss one result, which takes 50 ms", "computations", "ms in all"], rows)


def main(calls: int = 1500) -> str:
    """Run all comparisons and return the figures."""
    with private_server() as node, redis.Redis(port=node.port) as client:
        parts = [hits(client, calls), misses(client, calls), asyncio.run(awaited(node.port, calls)), stampede(client)]
        return "\n\n".join([*parts, circumstances(node)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--peers", help="a directory that has Pottery, beside what is installed")
    options = parser.parse_args()
    if options.peers:
        sys.path.append(options.peers)
    print(main(options.calls))

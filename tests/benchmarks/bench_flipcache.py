"""FlipCache's local hits, reads and writes beside other caches; run as ``python -m tests.benchmarks.bench_flipcache``.

Peers that aren't installed are left out; ``--peers DIRECTORY`` adds a directory with packages to look in.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import multiprocessing
import random
import statistics
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import redis

import pottery_like
from tests.benchmarks.support import printed, private_server

KEYS = 1000
ROUNDS = 9


def hits(subject: Any, keys: list[Any]) -> None:
    for key in keys:
        subject[key]


def calls(function: Callable[[Any], Any], keys: list[Any]) -> None:
    for key in keys:
        function(key)


def own(function: Any) -> Any:
    """Return a function with code of its own: the interpreter adapts it to what it is used with."""
    return types.FunctionType(function.__code__.replace(), function.__globals__)


def timed(ways: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the fastest of some rounds for each way, the rounds interleaved."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - begun)
    return best


def table(title: str, found: dict[str, float], unit: float, word: str, base: str) -> None:
    print(f"\n{title}")
    for name, seconds in found.items():
        print(f"  {name:34} {seconds * unit:10.1f} {word}   x {seconds / found[base]:.2f}")


def peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def filled(subject: Any, keys: list[Any]) -> Any:
    for key in keys:
        subject[key] = str(key)
    hits(subject, keys)
    return subject


def local_hits(port: int, keys: list[Any], **options: Any) -> dict[str, float]:
    """Local hits, in seconds for one."""
    client = redis.Redis(port=port)
    number = iter(range(100))

    def cache(**more: Any) -> Any:
        name = f"bench{next(number)}"
        return filled(pottery_like.FlipCache(name, redis=client, local_max=KEYS, **options, **more), keys)

    subjects: dict[str, Any] = {
        "dict": filled({}, keys),
        "FlipCache": cache(),
        "FlipCache, expiring": cache(expire_time=600),
        "FlipCache, lru": cache(eviction="lru"),
        "FlipCache, lfu": cache(eviction="lfu"),
        "FlipCache, no coherence": cache(coherence=None),
        "LRUDict": filled(pottery_like.LRUDict(KEYS), keys),
        "FIFODict": filled(pottery_like.FIFODict(KEYS), keys),
    }
    theirs = peer("flipcache")
    if theirs:
        text = redis.Redis(port=port, decode_responses=True)
        subjects["flipcache 1.3"] = filled(
            theirs.FlipCache("theirs", local_max=KEYS, redis_protocol=text, **options), keys
        )
    if peer("cachetools"):
        subjects["cachetools LRUCache"] = filled(peer("cachetools").LRUCache(KEYS), keys)
    if peer("cachebox"):
        subjects["cachebox LRUCache"] = filled(peer("cachebox").LRUCache(KEYS), keys)
    if peer("pylru"):
        subjects["pylru lrucache"] = filled(peer("pylru").lrucache(KEYS), keys)
    remembered = functools.lru_cache(KEYS)(str)
    calls(remembered, keys)
    ways: dict[str, Callable[[], Any]] = {
        name: functools.partial(own(hits), each, keys) for name, each in subjects.items()
    }
    ways["functools.lru_cache"] = functools.partial(own(calls), remembered, keys)
    for way in ways.values():
        way()
    found = {name: seconds / len(keys) for name, seconds in timed(ways, 2000).items()}
    coherent = client_side(port)
    if coherent is not None:
        few = [f"theirs{key}" for key in keys[:100]]
        for key in few:
            coherent.set(key, "v")
        calls(coherent.get, few)
        found["redis-py CacheConfig"] = timed({"": lambda: calls(coherent.get, few)})[""] / len(few)
    return found


def client_side(port: int) -> Any:
    """Return redis-py's coherent cache; its own demand, Redis 7.4, isn't met by the servers that one has at hand."""
    try:
        from redis.cache import CacheConfig
        from redis.connection import CacheProxyConnection

        CacheProxyConnection.MIN_ALLOWED_VERSION = "6.0.0"
        made: Any = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(max_size=KEYS))
        made.ping()
        return made
    except Exception:
        return None


def threads(port: int) -> dict[str, float]:
    """Four threads' hits: seconds for one, of all together."""
    keys = [str(number) for number in range(KEYS)]
    client = redis.Redis(port=port)
    subjects = {
        "dict": filled({}, keys),
        "FlipCache": filled(pottery_like.FlipCache("threads", redis=client, local_max=KEYS), keys),
    }
    theirs = peer("flipcache")
    if theirs:
        text = redis.Redis(port=port, decode_responses=True)
        subjects["flipcache 1.3"] = filled(theirs.FlipCache("threads2", local_max=KEYS, redis_protocol=text), keys)

    def together(hit: Any, subject: Any) -> None:
        def work() -> None:
            for _ in range(50):
                hit(subject, keys)

        running = [threading.Thread(target=work) for _ in range(4)]
        for each in running:
            each.start()
        for each in running:
            each.join()

    ways = {name: functools.partial(together, own(hits), each) for name, each in subjects.items()}
    return {name: seconds / (4 * 50 * KEYS) for name, seconds in timed(ways, 250).items()}


def readme(port: int) -> tuple[dict[str, float], dict[str, float]]:
    """The benchmark of FlipCache's README: seconds for setting, and for reading a hundred times, a thousand keys."""
    text = redis.Redis(port=port, decode_responses=True)
    caches: dict[str, Any] = {"FlipCache": pottery_like.FlipCache("mine", redis_protocol=text, local_max=KEYS)}
    theirs = peer("flipcache")
    if theirs:
        caches["flipcache 1.3"] = theirs.FlipCache(name="readme", redis_protocol=text, local_max=KEYS)

    def store(cache: Any, number: int) -> None:
        cache[number] = number * 2

    def read(cache: Any) -> None:
        for _ in range(100):
            for number in range(KEYS):
                cache[number]

    ways: dict[str, Callable[[int], Any]] = {name: functools.partial(store, each) for name, each in caches.items()}
    ways["redis-py set()"] = lambda number: text.set(f"plain:{number}", number * 2)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(7):
        for number in range(KEYS):
            for name, way in ways.items():
                begun = time.perf_counter()
                way(number)
                taken[name].append(time.perf_counter() - begun)
    written = {name: statistics.median(each) * KEYS for name, each in taken.items()}
    return written, timed({name: functools.partial(read, each) for name, each in caches.items()}, 7)


def _writer(port: int, rounds: int) -> None:
    client = redis.Redis(port=port)
    client.ping()
    for _ in range(rounds):
        time.sleep(random.uniform(0.01, 0.03))
        client.set("seen:k", repr(time.monotonic()))
    client.set("seen:k", "over")


def latency(port: int, rest: Callable[[], None], rounds: int = 300) -> list[float]:
    """Return the seconds from the beginning of another process's write to the moment a reader sees it.

    :param rest: what the reader does between reads.
    """
    context = multiprocessing.get_context("spawn")
    cache = pottery_like.FlipCache("seen", redis=redis.Redis(port=port))
    cache["k"] = last = "0"
    process = context.Process(target=_writer, args=(port, rounds))
    process.start()
    found = []
    while (value := cache["k"]) != "over":
        if value != last:
            found.append(time.monotonic() - float(value))
            last = value
        rest()
    process.join()
    return sorted(found)


def storm(port: int, asked: int) -> tuple[float, float, float, float]:
    """Hits while others change keys of the cache's name, and without it.

    :param asked: changes a second.
    :return: changes reported a second; a hit's seconds, at the median and without the storm; the seconds that a
        thousand took at the slowest.
    """
    cache = pottery_like.FlipCache("storm", redis=redis.Redis(port=port), local_max=KEYS)
    keys = [str(number) for number in range(KEYS)]
    filled(cache, keys)

    def spell(seconds: float) -> list[float]:
        taken, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.perf_counter()
            hits(cache, keys)
            taken.append(time.perf_counter() - started)
        return sorted(taken)

    calm = spell(2)
    process = multiprocessing.get_context("spawn").Process(target=_storm, args=(port, asked))
    process.start()
    before = _news(cache)
    while _news(cache) == before:
        time.sleep(0.01)
    before, begun = _news(cache), time.monotonic()
    stormy = spell(4)
    rate = (_news(cache) - before) / (time.monotonic() - begun)
    process.terminate()
    process.join()
    return rate, statistics.median(stormy) / KEYS, statistics.median(calm) / KEYS, stormy[-1]


def _news(cache: Any) -> int:
    number: int = cache._made_follower.stats.invalidations
    return number


def _storm(port: int, asked: int) -> None:
    client = redis.Redis(port=port)
    change = client.register_script("for n = 0, 999 do redis.call('SET', 'storm:other' .. n, 'v') end")
    written, started = 0, time.monotonic()
    while True:
        change()
        written += 1000
        time.sleep(max(0.0, started + written / asked - time.monotonic()))


def run(given: list[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="append", default=[], help="a directory with further packages")
    parser.add_argument("--only", default="", help="the tables to print: some of hits, threads, readme, seen, storm")
    arguments = parser.parse_args(given)
    sys.path += arguments.peers
    wanted = arguments.only.split(",") if arguments.only else ["hits", "threads", "readme", "seen", "storm"]
    with private_server() as node:
        if "hits" in wanted:
            words = [str(number) for number in range(KEYS)]
            table("One local hit, str keys", local_hits(node.port, words), 1e9, "ns", "dict")
            table(
                "One local hit, int keys, key_type='str'", local_hits(node.port, list(range(KEYS))), 1e9, "ns", "dict"
            )
            numbers = local_hits(node.port, list(range(KEYS)), key_type="int")
            table("One local hit, int keys, key_type='int'", numbers, 1e9, "ns", "dict")
        if "threads" in wanted:
            table("One hit of four threads' together", threads(node.port), 1e9, "ns", "dict")
        if "readme" in wanted:
            written, read = readme(node.port)
            table("README: set 1,000 keys", written, 1e3, "ms", "FlipCache")
            table("README: get 1,000 keys 100 times", read, 1e3, "ms", "FlipCache")
        if "seen" in wanted:
            print("\nAnother process's write is seen")
            # A thread that never rests keeps the interpreter from the listener for 5 ms at a time.
            readers: dict[str, Callable[[], None]] = {"rests": lambda: time.sleep(0.0002), "never rests": lambda: None}
            for name, rest in readers.items():
                found = latency(node.port, rest)
                median, late = statistics.median(found) * 1e3, found[int(len(found) * 0.99)] * 1e3
                print(f"  by a reader that {name:12} median {median:6.2f} ms, 99 % {late:6.2f} ms")
        if "storm" in wanted:
            print("\nWhile others change keys of the cache's name")
            for asked in (10_000, 100_000):
                rate, stormy, calm, worst = storm(node.port, asked)
                print(
                    f"  {rate:9,.0f} changes/s  a hit {stormy * 1e9:.0f} ns at the median, without {calm * 1e9:.0f}; "
                    f"a thousand at the slowest {worst * 1e3:.1f} ms"
                )


def main() -> str:
    """Measure, and return the figures as Markdown."""
    return printed(lambda: run([]))


if __name__ == "__main__":
    run()

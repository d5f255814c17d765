"""A hundred thousand items at once, and a million one by one."""

from __future__ import annotations

import collections
import gc
import itertools
import json
import multiprocessing
import os
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import redis

import pottery_like
from tests.benchmarks.operations import K, many
from tests.benchmarks.support import Way, compared

MANY = 100_000
MILLION = 1_000_000

Client = redis.Redis


def made_here(name: str, fill: Any, client: Client, key: str) -> Any:
    """Make one of the library's collections."""
    return getattr(pottery_like, f"Redis{name}")(fill, redis=client, key=key)


WORDS = [f"word{index}" for index in range(MANY)]
NUMBERS = {word: index for index, word in enumerate(WORDS)}
LINES = [f"line {index} of the list" for index in range(MANY)]


def _chunks(items: Any, size: int = 1000) -> Iterator[Any]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _hand_hash(client: Client, mapping: Any) -> None:
    with client.pipeline(transaction=False) as pipe:
        for chunk in _chunks(mapping.items()):
            pipe.hset(K, mapping={json.dumps(name): json.dumps(value) for name, value in chunk})
        pipe.execute()


def _hand_list(client: Client) -> None:
    with client.pipeline(transaction=False) as pipe:
        for chunk in _chunks(LINES):
            pipe.rpush(K, *map(json.dumps, chunk))
        pipe.execute()


def _hand_scan(client: Client) -> Iterator[Any]:
    cursor = 0
    while True:
        cursor, page = client.hscan(K, cursor, count=1000)
        yield page
        if not cursor:
            return


def _hand_keys(client: Client) -> Iterator[Any]:
    for page in _hand_scan(client):
        yield from many(page)


def _hand_items(client: Client) -> Iterator[Any]:
    for page in _hand_scan(client):
        yield from zip(many(page), many(page.values()), strict=True)


def _hand_elements(client: Client) -> Iterator[Any]:
    start = 0
    while page := client.lrange(K, start, start + 999):
        yield from many(page)
        start += 1000


def _drain(items: Any) -> None:
    collections.deque(items, maxlen=0)


def bulk(client: Client) -> list[tuple[str, float, float]]:
    """Return what, and the items per second of the library and by hand."""

    def remove() -> None:
        client.unlink(K)

    def build(name: str, elements: Any) -> Way:
        return Way(lambda: made_here(name, elements, client, K), remove)

    rows = []

    def measure(what: str, ours: Way, hand: Way, rounds: int = 7) -> None:
        mine, theirs = compared([ours, hand], rounds, warm_up=1, choose=min)
        rows.append((what, MANY / mine, MANY / theirs))

    client.flushdb()
    measure("build a dict", build("Dict", NUMBERS), Way(lambda: _hand_hash(client, NUMBERS), remove))
    measure("build a list", build("List", LINES), Way(lambda: _hand_list(client), remove))
    measure(
        "build a counter",
        build("Counter", WORDS),
        Way(lambda: _hand_hash(client, collections.Counter(WORDS)), remove),
    )
    remove()
    d = made_here("Dict", NUMBERS, client, K)
    measure("iterate a dict's keys", Way(lambda: _drain(iter(d))), Way(lambda: _drain(_hand_keys(client))))
    measure("iterate a dict's items", Way(lambda: _drain(d.items())), Way(lambda: _drain(_hand_items(client))))
    remove()
    elements = made_here("List", LINES, client, K)
    measure("iterate a list", Way(lambda: _drain(iter(elements))), Way(lambda: _drain(_hand_elements(client))), 15)
    return rows


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def iterated(path: str) -> tuple[float, float, float, int]:
    """Return, of iterating a dict of a million: ms to the first item, MB traced, MB resident, items."""
    client = redis.Redis(unix_socket_path=path)
    d: Any = made_here("Dict", (), client, "million")
    len(d)
    started = time.perf_counter()
    next(iter(d.items()))
    first = time.perf_counter() - started
    gc.collect()
    before, most, count = _resident(), 0, 0
    for _ in d.items():
        count += 1
        if count % 5000 == 0:
            most = max(most, _resident())
    tracemalloc.start()
    traced = tracemalloc.get_traced_memory()[0]
    _drain(d.items())
    peak = tracemalloc.get_traced_memory()[1] - traced
    return first * 1e3, peak / 1e6, (most - before) / 1e6, count


def million(client: Client, path: str) -> tuple[float, float, float, int]:
    """Fill a dict of a million, and iterate over it in a process of its own."""
    client.flushdb()
    with client.pipeline(transaction=False) as pipe:
        for start in range(0, MILLION, 1000):
            pipe.hset("million", mapping={f'"key{index}"': index for index in range(start, start + 1000)})
            if start % 50_000 == 0:
                pipe.execute()
        pipe.execute()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(iterated, path).result()

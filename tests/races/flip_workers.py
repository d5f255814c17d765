"""What the processes do that race for FlipCaches; in a module of its own, so that spawned processes can import it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import time
import traceback
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from pottery_like import AIOFlipCache, FlipCache


def client(port: int, cluster: bool = False) -> Any:
    options: dict[str, Any] = {"socket_timeout": 2.0}
    return redis.RedisCluster(port=port, host="127.0.0.1", **options) if cluster else redis.Redis(port=port, **options)


def main(name: str, number: int, barrier: Any, results: Any, arguments: tuple[Any, ...]) -> None:
    """Run one of the functions below and report what it returns."""
    try:
        results.put((number, globals()[name](number, barrier, *arguments)))
    except BaseException:
        results.put((number, traceback.format_exc()))


def read_defaults(number: int, barrier: Any, port: int, rounds: int) -> list[Any]:
    """Read keys for the first time while another process writes them."""
    cache = FlipCache("defaults", redis=client(port), value_type="int", value_default=-1)
    seen = []
    for turn in range(rounds):
        barrier.wait(60)
        if number == 0:
            cache[turn] = turn
        else:
            seen.append(cache[turn])
        barrier.wait(60)
    return seen


def increment(number: int, barrier: Any, port: int, rounds: int) -> list[Any]:
    cache = FlipCache("numbers", redis=client(port), value_type="int", local_max=10)
    barrier.wait(60)
    return [(cache.increment("n"), cache["n"]) for _ in range(rounds)]


def set_together(number: int, barrier: Any, port: int, rounds: int) -> list[Any]:
    """Store ten keys together, and read them together."""
    cache = FlipCache("together", redis=client(port), value_type="int", local_max=0)
    keys = [f"k{index}" for index in range(10)]
    barrier.wait(60)
    seen = []
    for turn in range(rounds):
        cache.set_many(dict.fromkeys(keys, number * rounds + turn))
        seen.append(sorted(set(cache.get_many(keys).values())))
    return seen


def compute(number: int, barrier: Any, port: int, rounds: int) -> list[Any]:
    cache = FlipCache("computed", redis=client(port), value_type="int")
    calls = []

    def made(turn: int) -> Callable[[], int]:
        def call() -> int:
            calls.append(turn)
            time.sleep(0.005)
            return turn * 10

        return call

    values = []
    for turn in range(rounds):
        barrier.wait(60)
        values.append(cache.get_or_set(turn, made(turn)))
    return [values, calls]


def tag(number: int, barrier: Any, port: int, rounds: int, cluster: bool) -> list[Any]:
    """Store with a tag, or invalidate it; return when each exchange began and ended."""
    cache = FlipCache("tagged", redis=client(port, cluster), value_type="json", local_max=0)
    barrier.wait(60)
    log = []
    for turn in range(rounds):
        begun = time.monotonic()
        if number == 0:
            cache.invalidate_tag("t")
            log.append(("invalidate", begun, time.monotonic()))
        else:
            cache.set(f"{number}-{turn % 5}", [number, turn], tags=["t"])
            log.append((f"{number}-{turn % 5}", begun, time.monotonic()))
    return log


def history(number: int, barrier: Any, port: int, seconds: float, options: dict[str, Any]) -> list[Any]:
    """Read and write fifty keys; each value is written once.  Return (kind, key, value, begun, ended)."""
    cache = FlipCache("history", redis=client(port), value_type="int", local_max=40, **options)
    choose = random.Random(number)
    log: list[Any] = []
    barrier.wait(60)
    end = time.monotonic() + seconds
    serial = 0
    while time.monotonic() < end:
        key = choose.randrange(50)
        serial += 1
        value = number * 10_000_000 + serial
        kind = choose.choices(("read", "write", "many", "delete", "read local"), (44, 20, 6, 1, 29))[0]
        begun = time.monotonic()
        try:
            if kind == "write":
                cache[key] = value
            elif kind == "delete":
                del cache[key]
                value = 0
            elif kind == "many":
                for each, got in cache.get_many([key, (key + 1) % 50]).items():
                    log.append(("read", each, got, begun, time.monotonic()))
                continue
            elif kind == "read":
                value = cache[key]
            else:
                for _ in range(20):
                    begun = time.monotonic()
                    value = cache[key]
        except redis.RedisError:
            if kind in ("write", "delete"):
                # It may come into effect at any time after.
                log.append((kind, key, value, begun, float("inf")))
            continue
        log.append(("read" if kind.startswith("read") else kind, key, value or 0, begun, time.monotonic()))
        if serial % 500 == 0:
            time.sleep(0.001)
    return log


def replicated(place: str, port: int, package: Any = redis, **options: Any) -> Any:
    """Return a client of masters that may be replaced: a cluster's, or the one that a Sentinel names."""
    options["socket_timeout"] = 0.5
    if place == "cluster":
        return package.RedisCluster(port=port, host="127.0.0.1", **options)
    return package.sentinel.Sentinel([("127.0.0.1", port)], socket_timeout=0.5).master_for("m", **options)


class Witness:
    """Asks the masters themselves, on connections of its own."""

    def __init__(self, place: str, port: int) -> None:
        self._clustered = place == "cluster"
        self._client = replicated(place, port, retry=Retry(NoBackoff(), 0))

    def find(self, key: int, value: int) -> int | None:
        """Return the port of the master that has this value now (0 for none)."""
        name, client = f"history:{key}", self._client
        with contextlib.suppress(redis.RedisError):
            master = client.get_redis_connection(client.get_node_from_key(name)) if self._clustered else client
            with master.pipeline(transaction=False) as pipe:
                found, config = pipe.get(name).config_get("port").execute()
            if int(found or 0) == value:
                return next(int(port) for port in config.values())
        with contextlib.suppress(redis.RedisError):
            # Perhaps it is another one by now, and nobody has said so here.
            client.get(name) if self._clustered else client.connection_pool.get_master_address()
        return None


def failing_over(number: int, _: Any, place: tuple[str, int], phases: Any, options: dict[str, Any]) -> Any:
    """Read and write fifty keys, one process in asyncio; return the history, and the number of remote reads.

    ``seen`` follows a write that a master had when it was asked for it: since when, and its port.

    :param phases: a barrier where all wait that are ready, and an event that says when it is over.
    """
    return asyncio.run(_failing_over(number, place, phases, options))


async def _failing_over(number: int, place: tuple[str, int], phases: Any, options: dict[str, Any]) -> Any:
    ready, over = phases
    kind: Any = FlipCache if number else AIOFlipCache
    masters, witness = replicated(*place, redis if number else redis.asyncio), Witness(*place)
    if not number and place[0] == "cluster":
        await masters.initialize()
    ready.wait(60)
    # Otherwise all would look at the same time whether their master is still the master.
    await asyncio.sleep(number * 0.06)
    # Mostly for all keys: what should have been dropped and was not is seen until something else drops it.
    room = 40 if number == 2 else 60
    cache = kind("history", redis=masters, value_type="int", local_max=room, **options)
    log = await _history(cache, number, over, witness)
    stats = cache.stats()
    return log, stats.remote_hits + stats.misses


async def _history(cache: Any, number: int, over: Any, witness: Witness) -> list[Any]:
    choose = random.Random(number)
    log: list[Any] = []
    serial, writing = 0, 0.0
    while not over.is_set():
        # In asyncio nobody would listen otherwise.
        await asyncio.sleep(0.0002)
        key = choose.randrange(50)
        what = choose.choices(("read", "many"), (95, 5))[0]
        if time.monotonic() > writing:
            # Not so often that own writes hide what others' writes should have dropped.
            what = choose.choices(("write", "delete"), (95, 5))[0]
            writing = time.monotonic() + choose.expovariate(25)
        serial += 1
        value = number * 10_000_000 + serial if what == "write" else 0
        begun = time.monotonic()
        try:
            if what in ("write", "delete"):
                await settled(cache.set(key, value) if value else cache.delete_many([key]))
                log.append((what, key, value, begun, time.monotonic()))
                asked = time.monotonic()
                where = await asyncio.to_thread(witness.find, key, value)
                if where is not None:
                    log.append(("seen", key, value, begun, time.monotonic(), asked, where))
            elif what == "many":
                for each, got in (await settled(cache.get_many([key, (key + 1) % 50]))).items():
                    log.append(("read", each, got, begun, time.monotonic()))
            else:
                for each in range(key, key + 10):
                    begun = time.monotonic()
                    found = await settled(cache[each % 50])
                    log.append(("read", each % 50, found or 0, begun, time.monotonic()))
        except redis.RedisError:
            if what in ("write", "delete"):
                # It may come into effect at any time after.
                log.append((what, key, value, begun, float("inf")))
    return log


async def settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result

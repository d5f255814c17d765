"""What the processes do that race for FlipCaches; in a module of its own, so that spawned processes can import it."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable
from typing import Any

import redis

from pottery_like import FlipCache


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

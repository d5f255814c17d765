"""redis_cache() of functions that share a name, or are wrapped, or no plain functions."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from pottery_like import redis_cache
from pottery_like._core.arguments import Signature, spell
from tests.support.processes import Child, fork


@pytest.fixture
def key(redis: Redis) -> Iterator[str]:
    name = f"functions:{uuid4()}"
    yield name
    for left in redis.keys(f"*{name}*"):
        redis.delete(left)


HANDLER = """
def handler(n):
    return f'{0} {{n}}'
"""


def loaded(source: str) -> Any:
    """Load a module's function, which is known to it only."""
    names: dict[str, Any] = {"__name__": "shop.handlers"}
    exec(source, names)
    return names["handler"]


def retry(times: int) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return [times, function(*args)]

        return wrapper

    return decorate


@pytest.mark.parametrize("own", [False, True])
def test_functions_of_one_name_do_not_mix(redis: Redis, key: str, own: bool) -> None:
    decorate = redis_cache(redis=redis, key=None if own else key)
    first: Any
    first, second, third = (decorate(loaded(HANDLER.format(name))) for name in ("first", "second", "third"))
    again: Any = decorate(loaded("\n\n" + HANDLER.format("second")))
    try:
        assert (second(1), first(1), third(1)) == ("second 1", "first 1", "third 1")
        assert first.cache_info().currsize == 3
        assert again(1) == "second 1"
        assert again.cache_info().hits == 1
    finally:
        first.cache_clear()


def test_a_module_that_is_loaded_again_finds_its_results(redis: Redis, key: str) -> None:
    decorate = redis_cache(redis=redis, key=key)
    cached: Any = decorate(loaded(HANDLER.format("first")))
    assert cached(1) == "first 1"
    changed: Any = decorate(loaded(HANDLER.format("second")))
    cached = changed
    gc.collect()
    # Another version of the same function.
    assert cached(1) == "first 1"
    for lines in ("", "\n\n"):
        names: dict[str, Any] = {"decorate": decorate}
        exec(f"{lines}def make():\n    @decorate\n    def inner(): return 1\n    return inner", names)
        assert names["make"]() is not None


def test_what_a_decorator_was_told_makes_another_function(redis: Redis, key: str) -> None:
    def base(n: int) -> int:
        return n

    base.__qualname__ = "base"
    once: Any = redis_cache(redis=redis, key=key)(retry(1)(base))
    twice: Any = redis_cache(redis=redis, key=key)(retry(2)(base))
    assert (once(1), twice(1), once(1), twice(1)) == ([1, 1], [2, 1], [1, 1], [2, 1])
    assert once.cache_info().hits == 1


def test_a_wrapper_that_supplies_arguments(redis: Redis, key: str) -> None:
    calls: list[Any] = []

    def inject(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function("connection", *args, **kwargs)

        return wrapper

    @redis_cache(redis=redis, key=key, prefixes=1)
    @inject
    def query(connection: str, x: int) -> int:
        calls.append(connection)
        return x

    cached: Any = query
    assert [cached(1), cached(1), cached(x=2), cached(x=2)] == [1, 1, 2, 2]
    assert cached.cache_info()[:2] == (2, 2)
    assert len(calls) == 2
    assert cached.invalidate(1) is True
    cached(1)
    cached.invalidate_prefix(1)
    cached(1)
    assert len(calls) == 4


def test_prefixes_with_parameters_that_make_no_difference(redis: Redis, key: str) -> None:
    calls: list[int] = []

    @redis_cache(redis=redis, key=key, prefixes=2, ignore="db")
    def query(db: object, customer: int, year: int) -> int:
        calls.append(customer)
        return year

    query([], 7, 2024), query([], 8, 2024)
    query.invalidate_prefix({}, 7)
    query([], 7, 2024), query([], 8, 2024)
    assert calls == [7, 8, 7]
    query.invalidate_prefix([])
    query([], 8, 2024)
    assert calls == [7, 8, 7, 8]
    with pytest.raises(TypeError, match="leading"):
        query.invalidate_prefix([], 1, 2, 3)

    class Shop:
        @redis_cache(redis=redis, key=key, prefixes=1, ignore="self")
        def price(self, article: str) -> int:
            calls.append(0)
            return 1

        __hash__ = None  # type: ignore[assignment]

    shop, price = Shop(), Shop.__dict__["price"]
    shop.price("apple")
    price.invalidate_prefix(shop, "apple")
    shop.price("apple")
    assert calls[-2:] == [0, 0]


def test_refusals() -> None:
    class Steps:
        def __call__(self) -> Iterator[int]:
            yield 1

    def steps() -> Iterator[int]:
        yield 1

    for function in (functools.partial(steps), Steps()):
        with pytest.raises(TypeError, match="generator"):
            redis_cache(key="k")(function)
    with pytest.raises(ValueError, match="key_builder"):
        redis_cache(key="k")(max)
    options: Any
    for options in ({"codec": 5}, {"tags": 5}, {"tags": ["a", 1]}):
        with pytest.raises(TypeError, match=next(iter(options))):
            redis_cache(key="k", **options)

    signature = Signature(lambda a, b=1: None)
    calls: list[tuple[Any, Any, str]] = [
        ((1, 2, 3), {}, "takes 2"), ((), {}, "'a' is missing"), ((1,), {"a": 2}, "'a'"), ((1,), {"c": 2}, "'c'"),
    ]  # fmt: skip
    for args, kwargs, message in calls:
        with pytest.raises(TypeError, match=message):
            signature.spelled(args, kwargs)


def test_spellings() -> None:
    assert spell(Decimal("1E6000")) == spell(10**6000) != spell(10**6000 + 1)
    assert spell(-(10**6000)) == spell(Decimal("-1E6000"))
    # In a child that multiprocessing has spawned, the program has another name.
    kinds = [Enum("Color", "RED", module=module) for module in ("__main__", "__mp_main__")]
    assert spell(kinds[0]) == spell(kinds[1])
    assert spell(kinds[0]["RED"]) == spell(kinds[1]["RED"])


def test_event_loops_in_several_threads(redis: Redis, key: str) -> None:
    port = redis.connection_pool.connection_kwargs["port"]

    @redis_cache(redis=f"redis://localhost:{port}", key=key, local=10, timeout=None)
    async def late(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    async def many() -> None:
        for i in range(25):
            assert await asyncio.gather(late(i % 7), late(i % 5)) == [i % 7, i % 5]
        await late.redis().aclose()  # type: ignore[union-attr]

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(asyncio.run, many()) for _ in range(2)]:
            done.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_lock_that_is_held_while_a_process_forks(redis: Redis, key: str) -> None:
    cached = redis_cache(redis=redis, key=key)(len)
    assert cached("abc") == 3
    assert cached.redis() is redis
    memo: Any = cached.cache_info.__self__  # type: ignore[attr-defined]
    # Another thread's, counting a hit.
    with memo._calls._lock:
        child = Child(fork, cached, "abc")
    child.end()

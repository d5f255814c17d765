"""Several caches of one name in one process: what one changes, the others see, though the server tells none of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redispy
import redis.asyncio

from pottery_like import AIOFlipCache, FlipCache, redis_cache
from tests.support.facade import Loop
from tests.support.servers import SETUPS, standalone, wait_until

PORT = SETUPS[0].server


@pytest.fixture
def client() -> Iterator[redispy.Redis]:
    with redispy.Redis(port=standalone(PORT).port) as client:
        yield client
        client.delete("siblings", *client.keys("siblings:*"))


def test_flipcaches(client: redispy.Redis) -> None:
    told: list[Any] = []
    one, other = (
        FlipCache("siblings", redis=client, max_stale=10, **options) for options in ({}, {"on_update": told.append})
    )
    other["listens"]
    for value in ("1", "2"):
        assert other["a"] == one["a"]
        one["a"] = value
        assert (one["a"], other["a"]) == (value, value)
        assert dict(one.local) == {"a": value}, "its own write stays"
    del one["a"]
    assert other["a"] is None
    assert one.get_or_set("b", lambda: "3") == other["b"] == "3"
    one.set_many({"b": "4", "c": "5"})
    wait_until(lambda: (other["b"], other["c"]) == ("4", "5"), "the server has reported it")
    one.clear()
    wait_until(lambda: (other["b"], other["c"]) == (None, None), "the server has reported it")
    one.close()
    other.close()


def test_aio_flipcaches() -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(port=standalone(PORT).port) as client:
            one, other = AIOFlipCache("siblings:aio", redis=client), AIOFlipCache("siblings:aio", redis=client)
            for value in ("1", "2"):
                assert await other["a"] == await one["a"]
                await one.set("a", value)
                assert (await one["a"], await other["a"]) == (value, value)
            await one.delete("a")
            assert await other["a"] is None
            await one.close()
            await other.close()

    loop = Loop()
    loop.run(main())
    loop.close()


def test_expiry_is_exact_in_a_second_cache(client: redispy.Redis) -> None:
    """Whose deadlines come before those that the listener knew of."""
    first = FlipCache("siblings:first", redis=client, expire_time=1000)
    first["a"] = "1"
    time.sleep(0.05)
    second = FlipCache("siblings:second", redis=client, expire_time=1000)
    second["a"] = "1"
    second.set("b", "2", ttl=0.1)
    stored = time.monotonic()
    while True:
        before = time.monotonic()
        if second["b"] is None:
            break
        # The thread that sweeps may be late on a busy machine, but it must know when.
        assert before < stored + 0.14
        time.sleep(0.001)
    first.close()
    second.close()


def test_functions(client: redispy.Redis) -> None:
    computed = []

    def function(n: int) -> int:
        computed.append(n)
        return len(computed)

    one, other = (redis_cache(redis=client, key="siblings", local=10, timeout=None)(function) for _ in range(2))
    assert one(1) == other(1) == other(1) == 1
    assert one.__bypass__(1) == 2
    assert one(1) == 2
    wait_until(lambda: other(1) == 2, "the server has reported it")
    one.invalidate(1)
    wait_until(lambda: other(1) == 3, "the server has reported it")
    assert one(1) == 3
    one.cache_clear()
    wait_until(lambda: other(1) == 4, "the server has reported it")

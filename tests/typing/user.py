"""A user's program, for the type checkers."""

from __future__ import annotations

from datetime import timedelta

from redis import Redis
from typing_extensions import assert_type

from pottery_like import (
    AIODelivery,
    AIORedisDict,
    AIORedisQueue,
    AIORedisSimpleQueue,
    Delivery,
    RedisDict,
    RedisQueue,
    RedisSimpleQueue,
    redis_cache,
)


def dicts(redis: Redis) -> None:
    ages: RedisDict[str, int] = RedisDict({"ada": 36}, redis=redis, key="ages")
    assert_type(ages["ada"], int)
    assert_type(ages.get("bob"), int | None)
    assert_type(ages.get("bob", "none"), int | str)
    assert_type(ages.pop("ada"), int)
    assert_type(ages.popitem(), tuple[str, int])
    assert_type(ages.to_dict(), dict[str, int])
    assert_type(list(ages), list[str])
    assert_type(list(ages.items()), list[tuple[str, int]])
    ages["bob"] = 40
    with RedisDict[str, list[int]](redis=redis) as scores, scores.edit("ada") as values:
        assert_type(values, list[int])


async def aio_dicts() -> None:
    ages: AIORedisDict[str, int] = await AIORedisDict({"ada": 36}, key="ages")
    assert_type(await ages["ada"], int)
    assert_type(await ages.get("bob"), int | None)
    assert_type([name async for name in ages], list[str])
    async with ages.edit("ada") as age:
        assert_type(age, int)


def queues(redis: Redis) -> None:
    names: RedisSimpleQueue[str] = RedisSimpleQueue(redis=redis, key="names")
    names.put("ada")
    assert_type(names.get(timeout=1), str)
    tasks: RedisQueue[int] = RedisQueue(100, redis=redis, key="tasks", max_attempts=3)
    tasks.put(1, delay=timedelta(seconds=1), priority=-1)
    assert_type(tasks.get(), int)
    assert_type(tasks.get(lease=30), Delivery[int])
    with tasks.processing(lease=30) as task:
        assert_type(task, int)
    assert_type(tasks.dead_letters, RedisSimpleQueue[int])
    assert_type(tasks.counts().unfinished, int)


async def aio_queues() -> None:
    tasks: AIORedisQueue[int] = AIORedisQueue(key="tasks")
    assert_type(await tasks.get(), int)
    assert_type(await tasks.get(lease=30), AIODelivery[int])
    async with tasks.processing(lease=30) as task:
        assert_type(task, int)
    assert_type(tasks.dead_letters, AIORedisSimpleQueue[int])


def caches(redis: Redis) -> None:
    @redis_cache(redis=redis, key="cube", ttl=60)
    def cube(n: int, *, scale: float = 1) -> float:
        return n**3 * scale

    assert_type(cube(2, scale=2.0), float)
    assert_type(cube.__bypass__(2), float)
    assert_type(cube.cache_info().hits, int)
    assert_type(cube.invalidate(2), bool)


async def aio_caches() -> None:
    @redis_cache(key="cube")
    async def cube(n: int) -> int:
        return n**3

    assert_type(await cube(2), int)
    assert_type((await cube.cache_info()).currsize, int)


class Shop:
    @redis_cache(key="prices", ignore="self")
    def price(self, item: str) -> int:
        return len(item)

    def total(self, items: list[str]) -> int:
        return sum(assert_type(self.price(item), int) for item in items)

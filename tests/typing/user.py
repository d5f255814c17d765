"""A user's program, for the type checkers."""

from __future__ import annotations

from redis import Redis
from typing_extensions import assert_type

from pottery_like import AIORedisDict, RedisDict


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

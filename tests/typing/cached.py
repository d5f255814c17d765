"""A user's program with cached dicts, for the type checkers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from redis import Redis
from typing_extensions import assert_type

from pottery_like import AIOCachedOrderedDict, CachedOrderedDict


def cached(redis: Redis) -> None:
    found: CachedOrderedDict[int, str] = CachedOrderedDict(redis_client=redis, redis_key="found", dict_keys=(1, 2))
    assert_type(found[1], str)
    assert_type(found.misses(), frozenset[int])
    assert_type(found.setdefault(1, "one"), str)
    assert_type(list(found.items()), list[tuple[int, str]])
    assert_type(found.copy(), CachedOrderedDict[int, str])
    assert_type(CachedOrderedDict(redis_client=redis, dict_keys=[1]), CachedOrderedDict[int, Any])
    plain: OrderedDict[int, str] = found
    assert_type(plain.pop(1), str)


async def aio_cached() -> None:
    assert_type(AIOCachedOrderedDict(dict_keys=[1]), AIOCachedOrderedDict[int, Any])
    found = await AIOCachedOrderedDict[int, str](redis_key="found", dict_keys=(1, 2))
    await found.set(1, "one")
    assert_type(found[1], str)
    assert_type(await found.setdefault(2, "two"), str)

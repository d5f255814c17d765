"""A user's program with filters, for the type checkers."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis
from typing_extensions import assert_type

from pottery_like import AIOBloomFilter, AIOHyperLogLog, BloomFilter, HyperLogLog


def filters(redis: Redis) -> None:
    seen: BloomFilter[str] = BloomFilter(["a"], num_elements=100, false_positives=0.01, redis=redis, key="seen")
    assert_type(seen.add("b"), bool)
    assert_type(seen | seen, BloomFilter[str])
    assert_type(seen.contains_many("a", 1), Iterator[bool])
    assert_type(len(seen), int)
    seen |= seen
    counter = HyperLogLog[int](redis=redis)
    counter.update(counter, [1, 2])
    assert_type(counter.union([3]), HyperLogLog[int])


async def aio_filters() -> None:
    seen: AIOBloomFilter[str] = await AIOBloomFilter(["a"], num_elements=100, false_positives=0.01, window=60)
    assert_type(await seen.add("b"), bool)
    assert_type(await seen.union(seen, ["c"]), AIOBloomFilter[str])
    assert_type(await seen.contains_many("a"), list[bool])
    assert_type(seen.size(), int)
    async with AIOHyperLogLog[int]([1]) as counter:
        assert_type(await counter.size(), int)

"""A user's program with FlipCache, for the type checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from redis import Redis
from typing_extensions import assert_type

from pottery_like import AIOFlipCache, FIFODict, FlipCache, JSONCodec, LRUDict
from pottery_like.codecs import Codec


def flip(redis: Redis, codec: Codec[list[int]]) -> None:
    counts: FlipCache[str, int] = FlipCache("counts", value_type="int", value_default=0, redis_protocol=redis)
    counts["a"] = 1
    assert_type(counts["a"], int)
    assert_type(counts.get("a"), int | None)
    assert_type(counts.get("a", 1), int)
    assert_type(counts.get("a", "none"), int | str)
    assert_type(counts.pop("a", None), int | None)
    assert_type(counts.get_many(["a"]), dict[str, int])
    assert_type(counts.get_or_set("a", lambda: 1, ttl=2.5), int)
    assert_type(counts.increment("a"), int)
    assert_type(counts.setdefault("a", 1), int)
    assert_type(iter(counts), Iterator[str])
    assert_type(list(counts.items()), list[tuple[str, int]])
    assert_type(list(counts.values()), list[int])
    assert_type(counts.local["a"], int)
    assert_type(counts.to_dict(), dict[str, int])
    plain: dict[str, int] = counts
    plain.update(b=1)
    counts["a"] = "one"  # type: ignore[assignment]
    counts[1] = 1  # type: ignore[index]

    coded = FlipCache("coded", codec=codec)
    assert_type(coded, FlipCache[Any, list[int]])
    assert_type(FlipCache("any"), FlipCache[Any, Any])
    assert_type(FlipCache[int, str]("subscripted", key_type="int"), FlipCache[int, str])
    told: Callable[[int], None] = print
    loaded = FlipCache("loaded", key_type="int", loader=_load, on_update=told)
    assert_type(loaded, FlipCache[int, str])
    FlipCache[str, Any]("json", codec=JSONCodec())

    idlest: LRUDict[str, int] = LRUDict(max_items=2)
    assert_type(idlest["a"], int)
    oldest: FIFODict[str, int] = FIFODict(max_items=2)
    assert_type(oldest["a"], int)


def _load(key: int) -> str:
    return str(key)


async def _aload(key: int) -> str:
    return str(key)


async def aio_flip() -> None:
    counts: AIOFlipCache[str, int] = AIOFlipCache("counts", value_type="int", value_default=0)
    await counts.set("a", 1)
    assert_type(await counts["a"], int)
    assert_type(await counts.get("a"), int | None)
    assert_type(await counts.pop("a", "none"), int | str)
    assert_type(await counts.get_or_set("a", lambda: 1), int)
    assert_type(await counts.get_many(["a"]), dict[str, int])
    assert_type([key async for key in counts], list[str])
    assert_type([item async for item in counts.items()], list[tuple[str, int]])
    await counts.set("a", "one")  # type: ignore[arg-type]
    assert_type(AIOFlipCache("any"), AIOFlipCache[Any, Any])
    loaded: AIOFlipCache[int, str] = AIOFlipCache("loaded", key_type="int", loader=_aload)
    assert_type(await loaded[1], str)
    again: AIOFlipCache[int, str] = AIOFlipCache("loaded", key_type="int", loader=_load)
    assert_type(await again[1], str)

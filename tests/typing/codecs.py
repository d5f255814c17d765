"""A user's program with codecs, for the type checkers."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from typing_extensions import assert_type

from pottery_like import (
    CachedOrderedDict,
    Codec,
    MsgpackCodec,
    PickleCodec,
    RedisDict,
    RedisList,
    RedisQueue,
    RedisSet,
    TypedCodec,
)


@dataclass
class Point:
    x: int
    y: int


def codecs(redis: Redis) -> None:
    assert_type(TypedCodec(Point), TypedCodec[Point])
    assert_type(TypedCodec(list[Point]).decode(b"[]"), list[Point])
    assert_type(TypedCodec[int | None](int | None).decode(b"1"), int | None)
    points: Codec[Point] = TypedCodec(Point)
    found: RedisList[Point] = RedisList(redis=redis, key="points", codec=points)
    assert_type(found[0], Point)
    assert_type(RedisList(redis=redis, codec=TypedCodec(Point)), RedisList[Point])
    assert_type(RedisQueue(redis=redis, codec=TypedCodec(Point)).get(), Point)
    cached = CachedOrderedDict(redis_client=redis, dict_keys=["a"], codec=TypedCodec(Point))
    assert_type(cached["a"], Point)
    named: RedisDict[str, Point] = RedisDict(redis=redis, codec=points)
    anything: RedisDict[str, int] = RedisDict(redis=redis, codec=MsgpackCodec())
    secret: RedisSet[str] = RedisSet(["a"], redis=redis, codec=PickleCodec(b"sixteen bytes or more"))
    del named, anything, secret

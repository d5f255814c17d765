"""A user's program with codecs, for the type checkers."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from typing_extensions import assert_type

from pottery_like import Codec, MsgpackCodec, RedisList, TypedCodec


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
    anything: Codec[int] = MsgpackCodec()
    del anything

"""What typed codecs refuse, as it would come back as something else; and codecs in containers and caches."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from pottery_like import FlipCache, MsgpackCodec, PickleCodec, TypedCodec, redis_cache
from tests.conftest import Maker
from tests.support.servers import FEW


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


class Node(NamedTuple):
    value: int
    next: Node | None = None


class Model(pydantic.BaseModel):
    x: int = 0
    unsure: int | str | datetime.date = 0
    secret: pydantic.SecretStr = pydantic.SecretStr("")
    left_out: int = pydantic.Field(0, exclude=True)
    whole: float = 0.0
    _private: int = 0


class Submodel(Model):
    more: int = 0


class Struct(msgspec.Struct):
    x: int


class Substruct(Struct):
    more: int = 0


@dataclasses.dataclass
class Doubled:
    x: int
    changed: int = dataclasses.field(init=False, default=0)
    whatever: Any = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.x *= 2


def private() -> Model:
    model = Model()
    model._private = 1
    return model


def changed() -> Doubled:
    value = Doubled(0)
    value.changed = 1
    return value


def test_named_tuples_that_hold_themselves() -> None:
    codec: TypedCodec[Node] = TypedCodec(Node)
    assert codec.decode(codec.encode(Node(1, Node(2)))) == Node(1, Node(2))
    with pytest.raises(TypeError, match="can't be told apart"):
        TypedCodec(Node | list[int])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (list[Model], [Submodel()]),
        (Model | None, Submodel()),
        (Model, Model(unsure=datetime.date(2030, 1, 1))),
        (Model, Model(secret=pydantic.SecretStr("a"))),
        (Model, Model(left_out=1)),
        (Model, private()),
        (list[Struct], [Substruct(1)]),
        (Struct | None, Substruct(1)),
        (Doubled, Doubled(2)),
        (Doubled, changed()),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"come back|isn't equal"):
        TypedCodec(kind).encode(value)


def test_what_comes_back_equal_is_stored() -> None:
    for value in (Model(unsure="a", whole=1), Doubled(0), Struct(1)):
        codec: TypedCodec[Any] = TypedCodec(type(value))
        assert codec.decode(codec.encode(value)) == value


CODECS: list[tuple[Any, Any]] = [(TypedCodec(Point), Point(1, 2.0)), (TypedCodec(tuple[int, str]), (1, "a"))]


@pytest.mark.parametrize("make", FEW[:2], indirect=True, ids=str)
@pytest.mark.parametrize(("codec", "value"), CODECS, ids=repr)
def test_in_every_container(make: Maker, codec: Any, value: Any) -> None:
    for name in ("RedisList", "RedisDeque", "RedisSet", "RedisCounter"):
        subject = make(name, [value], codec=codec)
        assert [each for each in subject] == [value]  # noqa: C416
        assert value in subject
    for name in ("RedisDict", "CachedOrderedDict"):
        subject = make(name, codec=codec)
        subject["a"] = value
        subject.update(b=value)
        assert subject.setdefault("b", value) == value
        options: Any = {"dict_keys": ["a"]} if name == "CachedOrderedDict" else {}
        assert make(name, key=subject.key, codec=codec, **options)["a"] == value
        with pytest.raises(TypeError):
            subject["a"] = "another type"
    for name in ("RedisSimpleQueue", "RedisQueue"):
        subject = make(name, codec=codec)
        subject.put(value)
        assert subject.get(timeout=1) == value
    subject = make("BloomFilter", [value], num_elements=10, false_positives=0.01, codec=codec)
    assert value in subject
    subject = make("HyperLogLog", [value], codec=codec)
    assert len(subject) == 1


@pytest.mark.parametrize(
    ("codec", "value"),
    [*CODECS, (TypedCodec(Model), Model(x=1)), (MsgpackCodec(), b"\xff"), (PickleCodec(b"sixteen bytes or more"), {1})],
    ids=repr,
)
def test_in_every_cache(redis: Any, codec: Any, value: Any) -> None:
    computed = []

    @redis_cache(redis=redis, key="typed", codec=codec)
    def function() -> Any:
        computed.append(1)
        return value

    assert function() == function() == value
    assert len(computed) == 1
    with FlipCache("typed", redis=redis, codec=codec) as cache, FlipCache("typed", redis=redis, codec=codec) as other:
        cache["a"] = value
        assert other["a"] == value
        assert cache.get_or_set("b", lambda: value) == value
        cache.clear()
    function.cache_clear()
    wrong: Any = TypedCodec(uuid.UUID)

    @redis_cache(redis=redis, key="typed", codec=wrong)
    def mistaken() -> Any:
        return value

    with pytest.raises(TypeError, match="expected UUID"):
        mistaken()

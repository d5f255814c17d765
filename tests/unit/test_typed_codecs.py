"""TypedCodec: what its types carry comes back the same, everything else is refused by name."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pickle
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar, Union, get_args

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import NotRequired

from pottery_like import DataclassCodec, TypedCodec
from tests.support.strategies import texts

T = TypeVar("T")


def named(rows: list[Any]) -> list[str]:
    """Name tests after the types: the values' texts differ between processes."""
    return [str(row[0]).replace(f"{__name__}.", "") for row in rows]


UserId = NewType("UserId", int)
UTC = datetime.timezone.utc


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Row(NamedTuple):
    name: str
    size: int = 0


class Options(TypedDict):
    name: str
    size: NotRequired[int]


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


@dataclasses.dataclass
class Box(Generic[T]):
    held: T
    more: list[T]


@dataclasses.dataclass
class Tree:
    value: Any
    children: list[Tree] = dataclasses.field(default_factory=list)
    other: Tree | None = None
    size: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.size = 1 + sum(child.size for child in self.children)


class Model(pydantic.BaseModel):
    x: int
    points: list[Point] = []
    when: datetime.datetime | None = None
    short: int = pydantic.Field(0, alias="s")
    read: int = pydantic.Field(0, validation_alias="r")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.x * 2


class Struct(msgspec.Struct):
    x: int
    points: dict[int, Point] = {}
    names: set[str] = set()
    raw: bytes = b""


@dataclasses.dataclass
class Holder:
    model: Model


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    None: st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: texts,
    bytes: st.binary(max_size=5),
    datetime.datetime: st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    datetime.date: st.dates(),
    datetime.time: st.times(),
    datetime.timedelta: st.timedeltas(),
    decimal.Decimal: st.decimals(allow_nan=False),
    uuid.UUID: st.uuids(),
    Color: st.sampled_from(Color),
    Level: st.sampled_from(Level),
    Literal["a", 1]: st.sampled_from(["a", 1]),
    UserId: st.integers(),
    Annotated[str, "a note"]: texts,
    Point: st.builds(Point, st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    Row: st.builds(Row, texts, st.integers()),
    Options: st.fixed_dictionaries({"name": texts}, optional={"size": st.integers()}),
    int | str | None: st.integers() | texts | st.none(),  # type: ignore[dict-item]
    Any: st.recursive(st.integers() | texts, lambda inner: st.lists(inner, max_size=2)),
}
HASHABLE = [kind for kind in SIMPLE if kind not in (Any, Options)]
NAMES: dict[Any, st.SearchStrategy[Any]] = {
    kind: SIMPLE[kind] for kind in (str, int, bool, datetime.date, uuid.UUID, Color, Level)
}


def wrapped(inner: Any) -> Any:
    """Given a strategy of (type, strategy of its values), return one of such pairs with types around these."""
    pairs = st.tuples(inner, st.sampled_from(HASHABLE), st.sampled_from(list(NAMES)), st.sampled_from("ltTsfdob"))
    return pairs.map(lambda drawn: around(*drawn))


def around(inner: tuple[Any, Any], kind: Any, name: Any, how: str) -> tuple[Any, Any]:
    of, values = inner
    if how in "sf":
        make, builtin = (st.sets, set) if how == "s" else (st.frozensets, frozenset)
        return builtin[kind], make(SIMPLE[kind], max_size=3)  # type: ignore[index,operator]
    if how == "t":
        return tuple[of, int], st.tuples(values, st.integers())
    if how == "T":
        return tuple[of, ...], st.lists(values, max_size=3).map(tuple)
    if how == "d":
        return dict[name, of], st.dictionaries(NAMES[name], values, max_size=3)
    if how == "b":
        return Box[of], st.builds(Box, values, st.lists(values, max_size=2))
    if how == "o" and not {type(None), Any} & {of, *get_args(of)} and of is not None:
        return Union[of, None], values | st.none()  # noqa: UP007
    return list[of], st.lists(values, max_size=3)


types = st.recursive(st.sampled_from(list(SIMPLE.items())), wrapped, max_leaves=4)


@given(st.data())
def test_comes_back(data: Any) -> None:
    for _ in range(10):
        kind, values = data.draw(types)
        value = data.draw(values)
        codec: TypedCodec[Any] = TypedCodec(kind)
        raw = codec.encode(value)
        found = codec.decode(raw)
        assert found == value, (kind, raw)
        assert type(found) is type(value)
        assert raw.decode() == json.dumps(json.loads(raw), sort_keys=True), "one spelling, as JSON elsewhere"
        assert codec.encode(found) == raw


STORED: list[tuple[Any, Any, bytes]] = [
    (float, 1, b"1.0"),
    (bytes, b"\xff\x00", b'"/wA="'),
    (datetime.datetime, datetime.datetime(2030, 5, 1, 12, 30, 0, 5, UTC), b'"2030-05-01T12:30:00.000005+00:00"'),
    (datetime.date, datetime.date(2030, 5, 1), b'"2030-05-01"'),
    (datetime.time, datetime.time(12, 30), b'"12:30:00"'),
    (datetime.timedelta, -datetime.timedelta(days=1, seconds=2, microseconds=3), b'"-P1DT2.000003S"'),
    (decimal.Decimal, decimal.Decimal("1.50"), b'"1.50"'),
    (uuid.UUID, uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    (Level, Level.HIGH, b"2"),
    (set[str], {"b", "a", "c"}, b'["a", "b", "c"]'),
    (dict[int, str], {2: "b", 1: "a"}, b'{"1": "a", "2": "b"}'),
    (dict[bool, None], {True: None}, b'{"true": null}'),
    (Row, Row("a", 1), b'["a", 1]'),
    (Point, Point(1, 2), b'{"x": 1, "y": 2.0}'),
    (
        Struct,
        Struct(1, {7: Point(1, 2.0)}, {"b", "a"}, b"\xff"),
        b'{"names": ["a", "b"], "points": {"7": {"x": 1, "y": 2.0}}, "raw": "/w==", "x": 1}',
    ),
    (Model, Model(x=1), b'{"points": [], "read": 0, "short": 0, "when": null, "x": 1}'),
]


@pytest.mark.parametrize(("kind", "value", "stored"), STORED, ids=named(STORED))
def test_stored_bytes(kind: Any, value: Any, stored: bytes) -> None:
    """A promise: these bytes never change."""
    assert TypedCodec(kind).encode(value) == stored
    assert TypedCodec(kind).decode(stored) == value


def test_classes_that_hold_themselves() -> None:
    tree = Tree(1, [Tree("a"), Tree(None, [Tree([1])])], Tree(2.5))
    found = TypedCodec(Tree).decode(TypedCodec(Tree).encode(tree))
    assert found == tree
    assert found.size == 4, "set by __post_init__, not stored"
    assert b"size" not in TypedCodec(Tree).encode(tree)


MODELS: list[tuple[Any, Any]] = [
    (Model, Model(x=1, points=[Point(1, 2.0)], when=datetime.datetime(2030, 1, 1, tzinfo=UTC), s=5, r=6)),
    (list[Model], [Model(x=1)]),
    (Holder, Holder(Model(x=1))),
    (Struct, Struct(1, {7: Point(1, 2.0)}, {"b", "a"}, b"\xff")),
    (dict[str, Struct], {"a": Struct(1)}),
    (Struct | None, None),
]


@pytest.mark.parametrize(("kind", "value"), MODELS, ids=named(MODELS))
def test_models(kind: Any, value: Any) -> None:
    codec: TypedCodec[Any] = TypedCodec(kind)
    raw = codec.encode(value)
    assert codec.decode(raw) == value
    assert raw.decode() == json.dumps(json.loads(raw), sort_keys=True)
    again = pickle.loads(pickle.dumps(codec))
    assert again.decode(raw) == value
    assert repr(again) == repr(codec)


class Larger(Point):
    pass


class Submodel(Model):
    y: int = 0


ENDLESS = Tree(1)
ENDLESS.children.append(ENDLESS)

REFUSED: list[tuple[Any, Any, str]] = [
    (Point, {"x": 1}, "expected Point, not dict"),
    (Point, Larger(1, 2.0), "expected Point, not Larger"),
    (Point, Point("a", 1.0), "Point.x: expected int, not str"),  # type: ignore[arg-type]
    (list[Point], [Point(1, None)], "Point.y: expected float, not NoneType"),  # type: ignore[arg-type]
    (list[Point], (Point(1),), "expected list"),
    (int, True, "expected int, not bool"),
    (datetime.date, datetime.datetime(2030, 1, 1), "expected date, not datetime"),
    (float, float("nan"), "JSON"),
    (float, 2**60 + 1, "more digits"),
    (float, 10**400, "more digits"),
    (Tree, ENDLESS, "holds itself"),
    (str, "\ud800", "surrogate"),
    (dict[str, int], {1: 1}, "expected str, not int"),
    (int | str, 1.5, "expected int | str, not float"),
    (Literal["a", "b"], "c", "'c'"),
    (Color, "red", "expected Color, not str"),
    (tuple[int, str], (1,), "expected tuple"),
    (Options, {"name": "a", "other": 1}, "'other' is unknown"),
    (Options, {}, "'name' is missing"),
    (Row, ("a", 1), "expected Row, not tuple"),
    (Any, object(), "object"),
    (Model, {"x": 1}, "expected Model, not dict"),
    (Model, Submodel(x=1), "expected Model, not Submodel"),
    (Model, Model.model_construct(x="a"), "expected .?int"),
    (list[Model], [1], "expected"),
    (Struct, Struct("a"), "Expected `int`"),  # type: ignore[arg-type]
    (dict[str, Struct], {"a": 1}, "Expected `object`"),
]


@pytest.mark.parametrize(("kind", "value", "message"), REFUSED, ids=named(REFUSED))
def test_refused_on_writing(kind: Any, value: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?i){message}"):
        TypedCodec(kind).encode(value)


BROKEN: list[tuple[Any, bytes, str]] = [
    (Point, b"", "Expecting value"),
    (Point, b"[1]", "expected an object for Point"),
    (Point, b"{}", "Point: 'x' is missing"),
    (Point, b'{"x": "1"}', "Point.x: expected int"),
    (
        list[Tree],
        b'[{"value": 1, "children": [{"value": 1, "children": 3}]}]',
        "Tree.children: Tree.children: expected",
    ),
    (Color, b'"green"', "green"),
    (datetime.timedelta, b'"1 day"', "not a duration"),
    (uuid.UUID, b"5", "expected a string"),
    (bytes, b'"a!"', "."),
    (int | str, b"[]", "expected int | str"),
    (tuple[int, int], b"[1]", "expected tuple"),
    (Model, b'{"x": "a"}', "valid integer"),
    (Struct, b'{"x": "a"}', "Expected `int`"),
]


@pytest.mark.parametrize(("kind", "raw", "message"), BROKEN, ids=named(BROKEN))
def test_refused_on_reading(kind: Any, raw: bytes, message: str) -> None:
    with pytest.raises(Exception, match=message):
        TypedCodec(kind).decode(raw)


@dataclasses.dataclass
class Unresolved:
    x: Nowhere  # type: ignore[name-defined]  # noqa: F821


@dataclasses.dataclass
class Once:
    x: dataclasses.InitVar[int]


@pytest.mark.parametrize(
    "kind",
    [
        complex, str | datetime.date, Point | Tree, Point | dict[str, int], dict[Row, int], dict[str | int, int],
        list[T], Box, Unresolved, Once, Literal[b"a"], enum.Enum("Pair", {"A": (1, 2)}), Mapping[bytes, complex],
    ],
    ids=str,
)  # fmt: skip
def test_types_that_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError):
        TypedCodec(kind)


def test_abstract_types_and_what_other_programs_write() -> None:
    assert TypedCodec(Sequence[int]).decode(b"[1]") == [1]
    assert TypedCodec(Mapping[str, int]).decode(b'{"a": 1}') == {"a": 1}
    assert TypedCodec(list).decode(b'[1, "a"]') == [1, "a"]
    assert TypedCodec(float).decode(b"1") == 1.0
    assert TypedCodec(datetime.datetime).decode(b'"2030-01-01T00:00:00Z"').tzinfo is not None
    assert TypedCodec(datetime.timedelta).decode(b'"P1DT1H2M3.5S"') == datetime.timedelta(1, 3723, 500000)
    assert TypedCodec(Point).decode(b'{"x": 1, "new": 2}') == Point(1), "defaults for what is missing, extras ignored"


def test_dataclass_codec_is_typed_too() -> None:
    @dataclasses.dataclass
    class Line:
        points: list[Point]

    line = Line([Point(1, 2.0)])
    assert DataclassCodec(Line).decode(DataclassCodec(Line).encode(line)) == line
    assert repr(DataclassCodec(Point)) == "DataclassCodec(Point)"

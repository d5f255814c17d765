"""Arguments as text: equal arguments have one, all others another one."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import random
from collections import namedtuple
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like._core.arguments import Signature, UnfitError, spell, text_of
from tests.support.processes import Child, fork


class Color(enum.Enum):
    RED = 1
    ALSO_RED = 1  # noqa: PIE796
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Name(str, enum.Enum):
    ADA = "ada"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(frozen=True)
class Place:
    name: Any
    note: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class Home(Place):
    pass


Point = namedtuple("Point", "x y")

NUMBERS: list[Any] = [
    0, -0.0, False, 1, 1.0, True, Decimal("1.00"), Fraction(1), 1 + 0j, Level.LOW, -1, -2, 0.1, Decimal("0.1"),
    Fraction(1, 10), 0.5, Decimal("0.5"), Fraction(1, 2), 1j, 1e300, 10**300, 10**2000, Decimal("1e2000"), 2**53,
    2.0**53, 2**53 + 1, math.inf, -math.inf, Decimal("Infinity"), 1e-300, Fraction(1, 3), 1 / 3, Decimal("1e-400"),
    5e-324,
]  # fmt: skip
TEXTS: list[Any] = [
    "",
    "1",
    "a",
    "ada",
    Name.ADA,
    "\ud83d\ude00",
    "\U0001f600",
    "\ud800",
    "None",
    "(1)",
    b"",
    b"1",
    b"a",
    '"',
]
TIMES: list[Any] = [
    date(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=timezone.utc),
    datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(2024, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), datetime(2024, 10, 27, 0, 30, tzinfo=timezone.utc),
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")), datetime.min, datetime.max,
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), time(1), time(1, tzinfo=timezone.utc),
    time(2, tzinfo=timezone(timedelta(hours=1))), timedelta(days=1), timedelta(hours=24), timedelta(seconds=-1),
    timezone.utc, timezone(timedelta(0), "x"),
]  # fmt: skip
OTHERS: list[Any] = [
    None, (), (1,), (1.0,), ((1,),), (1, 2), Point(1, 2), frozenset(), frozenset([1, "a"]), frozenset(["a", 1.0]),
    Place(1), Place(1.0, "note"), Place("1"), Home(1), PurePosixPath("a/b"), PurePosixPath("a//b/"), PosixPath("a/b"),
    frozenset([(1, 2)]), Color.RED, Color.ALSO_RED, Color.BLUE, Access.READ, Access.READ | Access.WRITE, UUID(int=1),
    int, str,
]  # fmt: skip
ATOMS = NUMBERS + TEXTS + TIMES + OTHERS

values = st.recursive(
    st.sampled_from(ATOMS) | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


def test_equal_atoms_have_one_text() -> None:
    for one, other in itertools.product(ATOMS, repeat=2):
        assert (spell(one) == spell(other)) == (one == other), (one, other, spell(one), spell(other))


@given(values, values)
def test_equal_values_have_one_text(one: Any, other: Any) -> None:
    assert (spell(one) == spell(other)) == (one == other)


def test_ten_thousand_random_calls_share_a_text_only_if_they_are_equal() -> None:
    rng = random.Random(5)

    def value(depth: int = 0) -> Any:
        kind = rng.randrange(12)
        if kind < 6:
            return rng.choice(ATOMS)
        if kind < 8:
            return rng.randrange(-30, 30) / rng.choice([1, 2, 3])
        if kind < 10 or depth > 2:
            return "".join(rng.choices('a,"()1;=', k=rng.randrange(4)))
        items = [value(depth + 1) for _ in range(rng.randrange(3))]
        return tuple(items) if kind == 10 else frozenset(items)

    calls = [tuple(value() for _ in range(rng.randrange(4))) for _ in range(10_000)]
    texts = {call: spell(call) for call in calls}
    assert len(set(texts.values())) == len(texts) > 5000
    assert all(spell(call) == texts[call] for call in calls)


def test_not_a_number_is_one_number() -> None:
    assert spell(math.nan) == spell(-math.nan) == spell(Decimal("NaN"))


def test_enormous_exponents_take_no_time() -> None:
    assert spell(Decimal("1e999999")) != spell(Decimal("1e999998")) != spell(Decimal("1e-999998"))


class Keyed:
    def __init__(self, number: int) -> None:
        self.number = number

    def __redis_cache_key__(self) -> Any:
        return self.number


def test_objects_may_say_what_identifies_them() -> None:
    assert spell(Keyed(1)) == spell(Keyed(1)) != spell(Keyed(2)) != spell(2)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True)
class Approximate:
    value: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Approximate) and round(self.value) == round(other.value)

    def __hash__(self) -> int:
        return hash(round(self.value))


@pytest.mark.parametrize("value", [[], {}, set(), bytearray(), (1, []), Unhashable(), Decimal("sNaN")])
def test_unhashable_as_functools_says_it(value: Any) -> None:
    with pytest.raises(TypeError) as python:
        hash(value)
    with pytest.raises(TypeError) as ours:
        spell(value)
    assert str(ours.value) == str(python.value)


@pytest.mark.parametrize("value", [object(), len, range(3), Approximate(1.1), type("Local", (), {})()])
def test_what_has_no_text_names_the_ways_out(value: Any) -> None:
    with pytest.raises(TypeError, match="key_builder="):
        spell(value)


def plain(a: Any, b: Any = 2) -> Any:
    return [a, b]


def rich(a: Any, /, b: Any = "b", *rest: Any, c: Any, d: Any = None, **more: Any) -> Any:
    return [a, b, rest, c, d, list(more.items())]


def many(*args: Any, **kwargs: Any) -> Any:
    return [args, list(kwargs.items())]


small = st.sampled_from([0, 1, 1.0, True, "1", None, (1,), "b", 2])
FUNCTIONS: list[Callable[..., Any]] = [plain, rich, many]


@given(
    st.sampled_from(FUNCTIONS),
    *[st.tuples(st.lists(small, max_size=4), st.dictionaries(st.sampled_from("abcdxy"), small, max_size=3))] * 2,
)
def test_calls_that_give_the_function_the_same_have_one_text(function: Any, one: Any, other: Any) -> None:
    signature = Signature(function)
    texts, results = [], []
    for args, kwargs in (one, other):
        try:
            results.append(function(*args, **kwargs))
        except TypeError:
            with pytest.raises(UnfitError):
                signature.spelled(tuple(args), kwargs)
            return
        texts.append(text_of(signature.spelled(tuple(args), kwargs)))
    # The functions return what they were given, the order of further keyword arguments included.
    assert (texts[0] == texts[1]) == (results[0] == results[1])


def test_typed_is_about_the_arguments_themselves() -> None:
    signature = Signature(plain, typed=True)
    assert signature.spelled((1,), {}) == signature.spelled((), {"b": 2, "a": 1})
    assert signature.spelled((1,), {}) != signature.spelled((1.0,), {}) != signature.spelled((True,), {})
    assert signature.spelled(((1,),), {}) == signature.spelled(((1.0,),), {})


def test_ignored_parameters_make_no_difference() -> None:
    signature = Signature(rich, ("a", "d", "x"))
    assert signature.spelled(([], 1), {"c": 1, "d": {}, "x": []}) == signature.spelled((2, 1), {"c": 1})
    with pytest.raises(ValueError, match="'z'"):
        Signature(plain, ("z",))


def test_a_default_without_a_text_stands_for_itself() -> None:
    missing = object()

    def function(a: int, b: Any = missing) -> None: ...

    signature = Signature(function)
    assert signature.spelled((1,), {}) == signature.spelled((1, missing), {}) != signature.spelled((1, None), {})


class Plain:
    def method(self, n: int) -> int:
        return n


def test_instances_are_known_by_a_name_in_one_process_only() -> None:
    signature, one, other = Signature(Plain.method), Plain(), Plain()
    assert signature.spelled((one, 1), {}) == signature.spelled((one,), {"n": 1}) != signature.spelled((other, 1), {})
    child = Child(fork, lambda ours: ours.send(signature.spelled((one, 1), {})), talks=True)
    assert child.hear() != signature.spelled((one, 1), {})
    child.end()
    with pytest.raises(TypeError, match="key_builder="):
        spell(one)

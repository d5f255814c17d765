"""The local tier: what is kept, what is forgotten, and what goes first.  Without a server."""

from __future__ import annotations

import enum
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from pottery_like._core.evict import Deadlines, Frequencies
from pottery_like._core.keys import slot
from pottery_like._core.local import Entry, LocalTier
from pottery_like._core.localviews import MappedTier
from pottery_like._ops.flip_texts import Names, beside, text

P = b"n:"


def made(eviction: str = "fifo", maximum: int = 3) -> tuple[LocalTier, dict[Any, Any]]:
    data: dict[Any, Any] = {}
    return LocalTier(P, maximum, eviction, threading.RLock(), data), data


def entry(key: str, value: Any = 1, left: float = math.inf) -> Entry:
    return Entry(P + key.encode(), value, time.monotonic() + left, False, None)


def fill(tier: LocalTier, key: str, value: Any = 1, left: float = math.inf, spelling: Any = None) -> None:
    each = entry(key, value, left)
    tier.fill(key if spelling is None else spelling, each.name, tier.begin(each.name), each)


def test_a_fill_is_kept() -> None:
    tier, data = made()
    fill(tier, "a", 5)
    assert data == tier.snapshot() == {"a": 5}


@pytest.mark.parametrize("meanwhile", ["invalidate", "drop", "forget", "write", "read", "abandon"])
def test_a_fill_that_something_overtook_is_not(meanwhile: str) -> None:
    tier, data = made()
    each = entry("a")
    token = tier.begin(each.name)
    if meanwhile == "invalidate":
        tier.invalidate([b"other", each.name])
    elif meanwhile == "drop":
        tier.drop()
    elif meanwhile == "forget":
        tier.forget([each.name])
    elif meanwhile == "write":
        tier.writing([each.name])
        tier.written({each.name: ("a", None)})
    elif meanwhile == "read":
        tier.begin(each.name)
    else:
        tier.abandon(each.name, token)
    tier.fill("a", each.name, token, each)
    assert data == {}


def test_a_fill_during_a_write_is_not_kept() -> None:
    tier, data = made()
    each = entry("a", "old")
    tier.writing([each.name])
    token = tier.begin(each.name)
    tier.written({each.name: ("a", None)})
    tier.fill("a", each.name, token, each)
    assert data == {}


def test_a_write_is_kept_unless_it_overlaps_or_is_overtaken() -> None:
    tier, data = made()
    new = entry("a", "new")
    tier.writing([new.name])
    tier.written({new.name: ("a", new)})
    assert data == {"a": "new"}
    tier.writing([new.name])
    assert data == {}
    tier.invalidate([new.name])
    tier.written({new.name: ("a", new)})
    assert data == {}
    tier.writing([new.name])
    tier.writing([new.name])
    tier.written({new.name: ("a", new)})
    tier.written({new.name: ("a", entry("a", "which?"))})
    assert data == {}
    tier.writing([new.name])
    tier.written({new.name: ("a", new)})
    assert data == {"a": "new"}


def test_spellings_go_together() -> None:
    tier, data = made()
    fill(tier, "1", "one", spelling=1)
    assert tier.find("1", b"n:1") is not None
    assert data == {1: "one", "1": "one"}
    assert tier.hit(True) is tier.hit("1")
    tier.invalidate([b"n:1"])
    assert data == {}
    assert tier.snapshot() == {}


def test_fifo() -> None:
    tier, data = made()
    for key in "abc":
        fill(tier, key)
    assert tier.find("a", b"n:a") is not None
    fill(tier, "d")
    assert list(data) == ["b", "c", "d"]
    assert tier.evictions == 1


def test_lru() -> None:
    tier, data = made("lru")
    for key in "abc":
        fill(tier, key)
    tier.hit("a")
    fill(tier, "d")
    assert set(data) == {"a", "c", "d"}


def test_lru_a_new_value_is_newer_than_the_uses_before() -> None:
    tier, data = made("lru")
    for key in "abc":
        fill(tier, key)
    tier.used += "ab"
    for key in "de":
        fill(tier, key)
    assert set(data) == {"b", "d", "e"}


def test_lfu() -> None:
    tier, data = made("lfu")
    for key in "abc":
        fill(tier, key)
    for key in "aab":
        tier.hit(key)
    fill(tier, "d")
    assert set(data) == {"a", "b", "d"}
    fill(tier, "e")
    assert set(data) == {"a", "b", "e"}


def test_evicting_one_spelling_leaves_the_others() -> None:
    tier, data = made(maximum=2)
    fill(tier, "1", "one", spelling=1)
    tier.find("1", b"n:1")
    fill(tier, "2", "two")
    assert data == {"1": "one", "2": "two"}
    tier.invalidate([b"n:1"])
    assert data == {"2": "two"}


def test_deadlines() -> None:
    tier, data = made()
    woken: list[float] = []
    tier.wake = woken.append
    fill(tier, "soon", left=0.04)
    assert data == {}, "too little time left to be kept"
    fill(tier, "a", left=100)
    fill(tier, "b", left=10)
    now = time.monotonic()
    assert len(woken) == 2
    assert tier.sweep(now) == pytest.approx(now + 10, abs=1)
    assert tier.sweep(now + 11) == pytest.approx(now + 100, abs=1)
    assert set(data) == {"a"}
    assert tier.sweep(now + 101) == math.inf
    assert data == {}


def test_what_is_nearly_over_is_served_by_the_clock() -> None:
    tier, data = made()
    fill(tier, "a", left=100)
    assert data == {"a": 1}
    now = time.monotonic()
    assert tier.sweep(now + 99.7) == pytest.approx(now + 100, abs=0.2)
    assert data == {}
    assert tier.find("a", b"n:a") is tier.find("A", b"n:a") is not None
    assert tier.snapshot() == {"a": 1, "A": 1}
    fill(tier, "b", left=0.2)
    tier.know("c", entry("c", left=0.2), pinned=True)
    assert data == {}
    assert tier.find("b", b"n:b") is not None
    time.sleep(0.21)
    assert tier.find("b", b"n:b") is None, "though nobody has swept"
    lapsed = tier.find("c", b"n:c")
    assert lapsed is not None
    assert lapsed.missing


def test_pinned_entries_stay() -> None:
    tier, data = made(maximum=2)
    for key in "ab":
        tier.know(key, entry(key), pinned=True)
    fill(tier, "c")
    assert set(data) >= {"a", "b"}
    tier.invalidate([b"n:a"])
    tier.drop()
    assert set(data) == {"a", "b"}
    tier.unpin(b"n:a", stay=False)
    tier.unpin(b"n:b", stay=True)
    assert set(data) == {"b"}
    tier.drop()
    assert data == {}


@pytest.mark.parametrize("eviction", ["fifo", "lru", "lfu"])
def test_more_pinned_entries_than_there_is_room_for(eviction: str) -> None:
    """Nobody goes round among them again and again."""
    tier, data = made(eviction, maximum=10)
    fill(tier, "old")
    began = time.process_time()
    for number in range(20_000):
        tier.know(str(number), entry(str(number)), pinned=True)
    for number in range(200):
        fill(tier, f"read-{number}")
    assert time.process_time() - began < 10
    assert len(data) <= 20_001, "what is read isn't kept: there is no room"
    for number in range(20_000):
        tier.unpin(P + str(number).encode(), stay=True)
    assert len(data) == 10


def test_a_pinned_entry_past_its_deadline_is_missing() -> None:
    tier, data = made()
    tier.know("a", entry("a", "value", left=5), pinned=True)
    tier.sweep(time.monotonic() + 6)
    assert data == {"a": None}
    found = tier.find("a", b"n:a")
    assert found is not None
    assert found.missing


def test_eviction_is_constant_time_and_memory_bounded() -> None:
    tier, data = made(maximum=1000)
    for number in range(20_000):
        fill(tier, str(number), left=1000)
    assert len(data) == len(tier.order) == 1000
    assert len(tier._deadlines._heap) < 3000
    assert not tier._pending
    assert not tier._writing


class Small(dict[Any, Any]):
    """A mapping that holds two entries, and refuses some."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if value == "LARGE":
            raise ValueError("value too large")
        super().__setitem__(key, value)
        if len(self) > 2:
            del self[next(iter(self))]


def test_mapping_of_the_users() -> None:
    mapping = Small()
    names = Names("n", "str")
    tier = MappedTier(P, mapping, threading.RLock(), names.encode)
    for key in "abc":
        fill(tier, key, key.upper())
    assert tier.snapshot() == {"b": "B", "c": "C"}
    assert mapping == {"b": "B", "c": "C"}
    assert tier.hit("a") is None
    assert tier.evictions == 1
    found = tier.hit("b")
    assert found is not None
    assert found.value == "B"
    tier.invalidate([b"n:a", b"n:b"])
    fill(tier, "d", "LARGE")
    assert tier.snapshot() == {"c": "C"}
    tier.drop()
    assert mapping == {}


def test_deadlines_alone() -> None:
    due = Deadlines()
    due.set("a", 5)
    due.set("b", 3)
    due.set("a", 1)
    due.set("c", math.inf)
    assert (due.get("a"), due.get("c"), due.next()) == (1, math.inf, 1)
    assert list(due.pop_due(4)) == ["a", "b"]
    assert list(due.pop_due(10)) == []


def test_frequencies_alone() -> None:
    uses = Frequencies()
    for key in "abc":
        uses.add(key)
    uses.touch("a")
    uses.touch("nobody")
    assert uses.least() == "b"
    uses.discard("b")
    uses.discard("c")
    assert uses.least() == "a"


UTC = timezone.utc
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
UNIQUE = uuid.UUID(int=5)


class Colour(enum.Enum):
    RED = object()


class Frozen(NamedTuple):
    a: str


class DatetimeSubclass(datetime):
    pass


@dataclass(frozen=True)
class Loose:
    a: int = 1
    b: int = field(default=2, compare=False)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", "a"), (1, "1"), (True, "1"), (1.0, "1"), (1.5, "1.5"), (1 + 0j, "1"), (None, "None"), (b"x", "b'x'"),
        (("a", 1), "('a', 1)"), (("a", 1.0, (True,)), "('a', 1, (1,))"), (-0.0, "0"), (10**30, "1" + "0" * 30),
        (float("inf"), "inf"), (UNIQUE, str(UNIQUE)), (Colour.RED, "Colour.RED"), ((Colour.RED,), "('Colour.RED',)"),
        (Frozen("x"), "('x',)"), (date(2020, 1, 2), "2020-01-02"), (NOON, "2020-01-01 12:00:00+00:00"),
        (NOON.replace(tzinfo=None, fold=1), "2020-01-01 12:00:00"), (Decimal("1.10"), "1.1"), (Fraction(1, 3), "1/3"),
        (2**70 + 1, str(2**70 + 1)), (complex(-0.0, 1), "1j"), (Decimal("1E-30"), "1E-30"),
    ],
)  # fmt: skip
def test_texts_of_keys(key: Any, expected: str) -> None:
    assert text(key) == expected


@pytest.mark.parametrize(
    "key",
    [
        float("nan"),
        object(),
        frozenset("ab"),
        ["a"],
        {"a": 1},
        "\udcff",
        lambda: 0,
        memoryview(b"a"),
        Loose(),
        int,
        Decimal("NaN"),
        Decimal("1E+999999"),
        ("a", Loose()),
        DatetimeSubclass(2020, 1, 1),
    ],
)
def test_no_keys(key: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Names("n", "str").encode(key)


@pytest.mark.parametrize(
    "equal",
    [
        (Decimal("1.1"), Decimal("1.10"), Fraction(11, 10)),
        (1.5, Decimal("1.50"), Fraction(3, 2), 1.5 + 0j),
        (10**30, Decimal("1E+30"), Fraction(10**30), Decimal(10**30)),
        (-7, Decimal("-7.0"), -7.0, Fraction(-7), complex(-7)),
        (Decimal("-0.0004"), Decimal("-4E-4"), Fraction(-1, 2500)),
        (Decimal("1.00000000000000000000000000000000000000010"), Fraction(10**40 + 1, 10**40)),
        (NOON, NOON.astimezone(timezone(timedelta(hours=1)))),
    ],
)
def test_equal_keys_have_one_text(equal: tuple[Any, ...]) -> None:
    assert len(set(equal)) == 1
    assert len(set(map(text, equal))) == 1
    assert len({text((each, "x")) for each in equal}) == 1


@pytest.mark.parametrize(
    ("key", "expected"), [(5, b"n:5"), ("5", b"n:5"), (5.0, b"n:5"), (True, b"n:1"), (" 5", b"n:5")]
)
def test_int_keys(key: Any, expected: bytes) -> None:
    assert Names("n", "int").encode(key) == expected


@pytest.mark.parametrize("key", [None, 5.5, "x", "", (1,), float("inf"), b"x"])
def test_no_int_keys(key: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Names("n", "int").encode(key)


def test_keys_that_come_back() -> None:
    words, numbers = Names("n", "str"), Names("n", "int")
    assert words.decode(b"n:a:b") == "a:b"
    assert words.decode(b"n:\xff") is None
    assert numbers.decode(b"n:-5") == -5
    assert [numbers.decode(b"n:" + each) for each in (b"05", b"+5", b"x", b"")] == [None] * 4
    assert Names("a*[b]?\\c", "str").pattern() == b"a\\*\\[b\\]\\?\\\\c:*"


def test_keys_beside() -> None:
    assert beside(b"n:a}", b"x").endswith(b"}/x:n:a}")
    assert slot(beside(b"n:a}", b"x")) == slot(b"n:a}")
    assert beside(b"n:{a}b", b"x") == b"{a}/x:n:{a}b"

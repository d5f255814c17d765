"""RedisDeque against collections.deque: any sequence of calls gives the same results, exceptions and contents."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like import KeyExistsError
from tests.conftest import Maker, every
from tests.support.model import (
    PLACES,
    Fresh,
    Index,
    Other,
    assert_exact,
    at_sizes,
    call,
    exact,
    places,
)
from tests.support.outcome import assert_same, outcome
from tests.support.sequences import (
    applicable,
    apply,
    elements,
    fill,
    huge,
    iterables,
    no_index,
    others,
    several,
    shared_calls,
    whole,
)
from tests.support.strategies import uncarried

MAXLENS = [None, 0, 1, 3]

bounded = st.sampled_from([None, 0, 2, 5]).flatmap(
    lambda maxlen: several.map(lambda items: Fresh(partial(deque, maxlen=maxlen), items))
)
calls = st.one_of(
    *shared_calls,
    call("appendleft", elements),
    call("popleft"),
    call("extend extendleft +=", iterables(deque)),
    call("rotate"),
    call("rotate", st.one_of(whole, whole, st.integers(), huge, st.booleans(), whole.map(Index), no_index)),
    call("pop popleft", st.just(0)),
    call("getitem delitem", st.just(slice(1))),
    call("setitem", st.just(slice(1)), several),
    call("+ == != < <= > >= r+ r== r!= r< r<= r> r>=", bounded | others),
    call("+ == < r+", several | several.map(tuple)),
)


@pytest.fixture
def subjects(make: Maker) -> Iterator[dict[str, Any]]:
    with places(make, "RedisDeque") as found:
        yield found


@every
@given(
    maxlen=st.sampled_from(MAXLENS),
    start=st.fixed_dictionaries({place: st.lists(elements, max_size=12) for place in PLACES}),
    steps=st.lists(calls, max_size=14),
)
def test_deque(
    make: Maker, subjects: dict[str, Any], maxlen: int | None, start: dict[str, list[Any]], steps: list[Any]
) -> None:
    subjects["self"].clear()
    subjects = subjects | {"self": make("RedisDeque", (), maxlen, key=subjects["self"].key)}
    oracles = {place: deque(items, subjects[place].maxlen) for place, items in start.items()}
    for place, subject in subjects.items():
        fill(subject, start[place])
    for name, arguments in steps:
        oracle = oracles["self"]
        if not applicable(make, name, arguments, oracle):
            continue
        before = list(oracle)
        expected = outcome(lambda: apply(deque, oracles, name, arguments))  # noqa: B023
        got = outcome(lambda: apply(deque, subjects, name, arguments))  # noqa: B023
        assert_exact((name, arguments, before), expected, got)
        assert exact(subjects["self"].to_list()) == exact(oracle), (name, arguments, before)
    for place, subject in subjects.items():
        assert exact(subject.to_list()) == exact(oracles[place])


def test_starting_elements(make: Maker) -> None:
    for start in ([], "abc", [[1], {"a": 1}, 3], range(2500)):
        for maxlen in (*MAXLENS, True, 2**62):
            subject, oracle = make("RedisDeque", start, maxlen), deque(start, maxlen)
            assert exact(subject.to_list()) == exact(oracle)
            assert subject.maxlen == oracle.maxlen
            subject.append("x")
            oracle.append("x")
            assert exact(subject.to_list()) == exact(oracle)
    for refused in (-1, "a", 1.5, 2**70, Index(1)):
        expected = outcome(lambda: deque(maxlen=refused))  # noqa: B023
        assert_same(refused, expected, outcome(lambda: make("RedisDeque", [], refused)))  # noqa: B023
    with pytest.raises(TypeError):
        make("RedisDeque", 3)
    subject = make("RedisDeque", "ab")
    with pytest.raises(KeyExistsError):
        make("RedisDeque", "c", key=subject.key)
    assert make("RedisDeque", key=subject.key, maxlen=2).to_list() == ["a", "b"]
    with pytest.raises(IndexError):
        make("RedisDeque", key=subject.key, maxlen=1)


def test_what_json_cannot_carry_is_not_stored(make: Maker) -> None:
    subject = make("RedisDeque", [1, 2], 3)
    for stranger in uncarried:
        for change in (
            lambda: subject.append(stranger),  # noqa: B023
            lambda: subject.appendleft(stranger),  # noqa: B023
            lambda: subject.insert(1, stranger),  # noqa: B023
            lambda: subject.extend([7, stranger]),  # noqa: B023
            lambda: subject.extendleft([7, stranger]),  # noqa: B023
            lambda: subject + deque([7, stranger]),  # noqa: B023
            lambda: operator.setitem(subject, 0, stranger),  # noqa: B023
        ):
            kind, error = outcome(change)
            assert kind == "raises"
            assert error in {TypeError, ValueError}
    assert subject.to_list() == [1, 2]


def test_more_than_a_list_can_hold(make: Maker) -> None:
    subject = make("RedisDeque", "ab")
    # The builtin would try.
    for change in (operator.mul, operator.imul):
        with pytest.raises(MemoryError):
            change(subject, 2**31)
    assert subject.to_list() == ["a", "b"]
    bounded = make("RedisDeque", "ab", 3)
    bounded *= 2**62
    assert bounded.to_list() == ["b", "a", "b"]


def test_edit(make: Maker) -> None:
    subject = make("RedisDeque", [{"n": 1}], 3)
    with subject.edit(0) as value:
        value["n"] += 1
    assert subject.to_list() == [{"n": 2}]
    with pytest.raises(IndexError), subject.edit(1):
        pass


@at_sizes
@pytest.mark.parametrize("maxlen", [None, 1500])
def test_sizes(make: Maker, subjects: dict[str, Any], size: int, maxlen: int | None) -> None:
    start = [(number, str(number), [number])[number % 3] for number in range(size)]
    middle, new = size // 2, [-1, "new"] * 600
    inserted = (0, 1, middle, -1, size)
    changes: list[tuple[str, tuple[Any, ...]]] = [
        *((name, ("x",)) for name in ("append", "appendleft")),
        *((name, ()) for name in ("pop", "popleft", "reverse", "copy", "clear", "iter", "reversed", "len", "rotate")),
        *((name, (items,)) for name in ("extend", "extendleft") for items in ([], new, Other("near"), Other("self"))),
        *((name, (items,)) for name in ("+", "r+") for items in (deque(new), deque(new, 1100), deque([1]))),
        *((name, (Other(place),)) for name in ("+", "==", "<") for place in ("near", "self")),
        *(("rotate", (steps,)) for steps in (-1, 2, -2, 999, -1000, 1001, middle, -middle, size, 10**15 + 1)),
        *(("insert", (place, "x")) for place in inserted),
        *(("delitem", (place,)) for place in inserted),
        *(("setitem", (place, "x")) for place in inserted),
        *((name, (start[place],)) for name in ("remove", "index", "count") for place in (0, middle, -1)),
        *((name, (number,)) for name in ("*=", "*") for number in (0, 1, 2, 3)),
    ]
    fill(subjects["near"], new)
    fill(subjects["far"], start)
    subjects["self"] = make("RedisDeque", start[:0], maxlen, key=subjects["self"].key)
    for name, arguments in changes:
        if not applicable(make, name, arguments, ()):
            continue
        oracles = {"self": deque(start, maxlen), "near": deque(new)}
        subjects["self"].clear()
        subjects["self"].extend(subjects["far"])
        expected = outcome(lambda: apply(deque, oracles, name, arguments))  # noqa: B023
        assert_exact(name, expected, outcome(lambda: apply(deque, subjects, name, arguments)))  # noqa: B023
        assert subjects["self"].to_list() == list(oracles["self"]), (name, str(arguments)[:80])

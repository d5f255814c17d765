"""RedisList against list: any sequence of calls gives the same results, exceptions and contents."""

from __future__ import annotations

import copy
import operator
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like import KeyExistsError
from tests.conftest import Maker, every
from tests.support.model import PLACES, Index, Other, assert_exact, at_sizes, call, exact, places
from tests.support.outcome import outcome
from tests.support.sequences import (
    applicable,
    apply,
    elements,
    fill,
    huge,
    iterables,
    others,
    places_in_it,
    several,
    shared_calls,
    whole,
)
from tests.support.strategies import uncarried

bounds = st.one_of(st.none(), whole, whole, huge, whole.map(Index), st.booleans(), st.sampled_from(["a", 1.5]))
steps_in_it = st.one_of(
    st.none(), st.sampled_from([1, -1, 2, -2, 3, -3, 7]), huge, st.sampled_from([0, Index(2), True, 1.5])
)
slices = st.builds(slice, bounds, bounds) | st.builds(slice, bounds, bounds, steps_in_it)


def fail(value: Any) -> Any:
    raise ZeroDivisionError(value)


def constant(value: Any) -> int:
    return 0


sort_keys = st.sampled_from([None, str, repr, constant, len, fail, lambda value: (type(value).__name__, str(value)), 5])
comparable = st.one_of(st.lists(st.integers(-3, 3), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))

calls = st.one_of(
    *shared_calls,
    call("getitem delitem", slices),
    call("getitem delitem", slices),
    call("setitem", slices, iterables(list)),
    call("setitem", slices, several),
    call("assign", slices),
    call("extend +=", iterables(list)),
    call("pop", places_in_it),
    call("+ == != < <= > >= r+ r== r!= r< r<= r> r>=", several | others),
    call("+ == < r+", several.map(tuple) | several.map(deque)),
    call("sort"),
    call("sort", sort_keys, st.sampled_from([False, True, 1, 0])),
    call("sort", st.none(), st.sampled_from([None, "a"])),
    call("become", comparable),
)


def step(sides: dict[str, Any], name: str, arguments: tuple[Any, ...]) -> Any:
    """Make one call, also of those that only a list has."""
    target = sides["self"]
    if name == "sort":
        return target.sort(**dict(zip(("key", "reverse"), arguments, strict=False)))
    if name == "become":
        return fill(target, *arguments)
    return apply(list, sides, name, arguments)


@pytest.fixture
def subjects(make: Maker) -> Iterator[dict[str, Any]]:
    with places(make, "RedisList") as found:
        yield found


@every
@given(
    start=st.fixed_dictionaries({place: st.lists(elements, max_size=12) for place in PLACES}),
    steps=st.lists(calls, max_size=14),
)
def test_list(make: Maker, subjects: dict[str, Any], start: dict[str, list[Any]], steps: list[Any]) -> None:
    oracles = {place: list(items) for place, items in start.items()}
    for place, subject in subjects.items():
        fill(subject, start[place])
    for name, arguments in steps:
        oracle = oracles["self"]
        if name == "assign":
            # As many as there are, which an extended slice demands.
            name, count = "setitem", outcome(lambda: len(oracle[arguments[0]]))[1]  # noqa: B023
            arguments = (arguments[0], list(range(count)) if isinstance(count, int) else [])
        if not applicable(make, name, arguments, oracle):
            continue
        before = list(oracle)
        expected = outcome(lambda: step(oracles, name, arguments))  # noqa: B023
        if name == "sort" and expected[0] == "raises":
            # The builtin leaves a part sorted.
            oracle[:] = before
        assert_exact((name, arguments), expected, outcome(lambda: step(subjects, name, arguments)))  # noqa: B023
        assert exact(subjects["self"].to_list()) == exact(oracle), (name, arguments, before)
    for place, subject in subjects.items():
        assert exact(subject.to_list()) == exact(oracles[place])


def test_an_index_beyond_32_bits(make: Maker) -> None:
    # LSET of some servers would wrap it around.
    subject = make("RedisList", "abc")
    for index in (2**31, 2**32 - 1, 2**32, 2**53, 2**63, -(2**31) - 1, -(2**32), -(2**32) - 1):
        for change in (operator.setitem, lambda target, place, value: target.transform(place, lambda old: value)):
            with pytest.raises(IndexError):
                change(subject, index, "x")
        with pytest.raises(IndexError):
            del subject[index]
    assert subject.to_list() == ["a", "b", "c"]


def test_starting_elements(make: Maker) -> None:
    assert make("RedisList").to_list() == []
    for start in ([], [3, [1], 3], "abc", {"a": 1}, range(2500), {"a": 1}.keys(), [{"b": [1.0, True]}]):
        assert exact(make("RedisList", start).to_list()) == exact(list(start))
    subject = make("RedisList", iter("ab"))
    assert subject.to_list() == ["a", "b"]
    with pytest.raises(KeyExistsError):
        make("RedisList", ["c"], key=subject.key)
    assert make("RedisList", key=subject.key).to_list() == ["a", "b"]
    with pytest.raises(TypeError):
        make("RedisList", 3)


def test_what_json_cannot_carry_is_not_stored(make: Maker) -> None:
    start = [1, 2, 3]
    subject = make("RedisList", start)
    for stranger in [*uncarried, [uncarried[0]], {"a": uncarried[-1]}]:
        for change in (
            lambda: subject.append(stranger),  # noqa: B023
            lambda: subject.insert(1, stranger),  # noqa: B023
            lambda: subject.extend([7, stranger]),  # noqa: B023
            lambda: operator.iadd(subject, [7, stranger]),  # noqa: B023
            lambda: subject + [7, stranger],  # noqa: B023, RUF005
            lambda: operator.setitem(subject, 0, stranger),  # noqa: B023
            lambda: operator.setitem(subject, slice(2), [7, stranger]),  # noqa: B023
            lambda: subject.transform(0, lambda old: stranger),  # noqa: B023
            lambda: make("RedisList", [7, stranger]),  # noqa: B023
        ):
            kind, error = outcome(change)
            assert kind == "raises"
            assert error in {TypeError, ValueError}
    assert subject.to_list() == start


def test_tuples_come_back_as_lists(make: Maker) -> None:
    subject = make("RedisList", [(1, ("a",))])
    assert subject.to_list() == [[1, ["a"]]]
    # What is looked up is what it was stored as.
    assert (1, ("a",)) in subject
    assert subject.index([1.0, ("a",)]) == 0


def test_an_iterable_that_fails_adds_nothing(make: Maker) -> None:
    subject = make("RedisList", [1, 2])
    for change in (
        subject.extend,
        lambda items: operator.iadd(subject, items),
        lambda items: operator.setitem(subject, slice(1), items),
    ):
        with pytest.raises(ZeroDivisionError):
            change(map(fail, [1]))
    assert subject.to_list() == [1, 2]


def test_edit(make: Maker) -> None:
    subject = make("RedisList", [{"n": 1}, [1]])
    with subject.edit(0) as value:
        value["n"] += 1
    with subject.edit(-1) as value:
        value.append(2)
    assert subject.to_list() == [{"n": 2}, [1, 2]]
    for index, error in ((2, IndexError), (10**30, IndexError), ("a", TypeError)):
        with pytest.raises(error), subject.edit(index):
            pass
    with pytest.raises(ZeroDivisionError), subject.edit(0) as value:
        value["n"] = fail(value)
    assert subject[0] == {"n": 2}


def test_lists_and_deques_do_not_mix(make: Maker) -> None:
    subject, other = make("RedisList", "ab"), make("RedisDeque", "ab")
    assert subject != other
    assert subject != deque("ab")
    for question in (operator.lt, operator.ge, operator.add):
        with pytest.raises(TypeError):
            question(subject, other)
    subject += other
    assert subject == list("abab")


def test_copies_are_apart(make: Maker) -> None:
    subject = make("RedisList", ["a"])
    copies = [subject.copy()] if make.loop else [subject.copy(), copy.copy(subject), copy.deepcopy(subject)]
    for copied in copies:
        assert copied == subject
        copied.append("b")
        assert subject.to_list() == ["a"]
        copied.clear()


@at_sizes
def test_sizes(make: Maker, subjects: dict[str, Any], size: int) -> None:
    start = [(number, str(number), [number])[number % 3] for number in range(size)]
    middle, new = size // 2, [-1, "new"] * 600
    places_to_change: list[Any] = [
        *(slice(*bounds) for bounds in [(None,), (1, -1), (middle,), (middle, None), (middle, middle), (10, size - 1)]),
        *(slice(None, None, step) for step in (2, -2, 3, -1, 700)),
        *(slice(size - 2, 1, step) for step in (-1, -3)),
    ]
    changes: list[tuple[str, tuple[Any, ...]]] = [
        *(("delitem", (place,)) for place in [0, -1, middle, *places_to_change]),
        *(("setitem", (place, start[place][::-1])) for place in places_to_change),
        *(
            ("setitem", (place, items))
            for place in places_to_change[:6]
            for items in ([], new, new[:10], Other("near"))
        ),
        *(("setitem", (place, "x")) for place in (0, middle, -1)),
        *(("insert", (place, "x")) for place in (0, 1, middle, -1, size)),
        *(("pop", arguments) for arguments in [(), (0,), (middle,), (-2,)]),
        *(("remove", (start[place],)) for place in (0, middle, -1)),
        *((name, (items,)) for name in ("extend", "+=", "+") for items in ([], new, Other("near"), Other("self"))),
        *((name, (number,)) for name in ("*=", "*") for number in (0, 1, 2, 3)),
        *(("sort", arguments) for arguments in [(str,), (repr, True), (constant,), ()]),
        *((name, ()) for name in ("reverse", "copy", "clear")),
        ("append", ("x",)),
    ]
    questions: list[tuple[str, tuple[Any, ...]]] = [
        *(("getitem", (place,)) for place in [0, middle, -1, size, *places_to_change]),
        *((name, (start[place],)) for name in ("index", "count", "contains") for place in (0, middle, -1)),
        *(("index", (start[-1], *within)) for within in [(size - 1,), (-1,), (0, size - 1), (middle, size)]),
        *((name, ()) for name in ("len", "iter", "reversed", "to_list", "copy")),
        *((sign, (other,)) for sign in ("==", "<", ">=") for other in (start, start[:-1], Other("near"), Other("far"))),
    ]
    for place in ("near", "far"):
        fill(subjects[place], start if place == "far" else new)
    fill(subjects["self"], start)
    oracles = {"self": list(start), "near": new, "far": start}
    for name, arguments in questions:
        expected = outcome(lambda: step(oracles, name, arguments))  # noqa: B023
        assert_exact((name, arguments), expected, outcome(lambda: step(subjects, name, arguments)))  # noqa: B023
    for name, arguments in changes:
        oracles["self"] = list(start)
        subjects["self"].clear()
        subjects["self"].extend(subjects["far"])
        expected = outcome(lambda: step(oracles, name, arguments))  # noqa: B023
        assert_exact(name, expected, outcome(lambda: step(subjects, name, arguments)))  # noqa: B023
        assert subjects["self"].to_list() == oracles["self"], (name, str(arguments)[:80])

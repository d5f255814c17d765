"""RedisSet against set: any sequence of calls gives the same results, exceptions and contents."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like import KeyExistsError
from tests.conftest import Maker, every
from tests.support.model import (
    COMPARISONS,
    PLACES,
    Fresh,
    Other,
    at_sizes,
    call,
    call_with_any,
    places,
    resolved,
)
from tests.support.outcome import assert_same, outcome
from tests.support.strategies import keys, uncarried, unhashable

ARITHMETIC: dict[str, Any] = {"|": operator.or_, "&": operator.and_, "-": operator.sub, "^": operator.xor}
IN_PLACE: dict[str, Any] = {"|=": operator.ior, "&=": operator.iand, "-=": operator.isub, "^=": operator.ixor}
OPERATORS = {**ARITHMETIC, **COMPARISONS, **IN_PLACE}
REFLECTED = {f"r{sign}": function for sign, function in (ARITHMETIC | COMPARISONS).items()}

strangers = [value for value in uncarried if type(value).__hash__ is not None]
readable = keys | st.sampled_from(strangers)
lookups = readable | st.sampled_from([*unhashable, {1}, set()])
views = st.sampled_from([{"a": 1, ("a", 1): 0}, {}, {"x": None}]).flatmap(
    lambda items: st.sampled_from([items.keys(), items.items()])
)


def operands(elements: Any) -> Any:
    """Return a strategy for what operators take."""
    drawn = st.sets(elements, max_size=5)
    plain = st.one_of(drawn, drawn.map(frozenset), drawn.map(lambda found: dict.fromkeys(found).keys()), views)
    return plain | st.sampled_from(PLACES).map(Other)


def iterables(elements: Any) -> Any:
    """Return a strategy for what methods take, and some of what they don't."""
    drawn = st.lists(elements, max_size=5)
    odd = st.sampled_from(["ab", {"a": 1}, 3, None, [[]], [{}]])
    return st.one_of(operands(elements), drawn, drawn.map(tuple), drawn.map(lambda items: Fresh(iter, items)), odd)


calls = st.one_of(
    call("add", keys | st.sampled_from([*unhashable, {1}])),
    call("discard remove __contains__", lookups),
    call_with_any("contains_many", lookups),
    call("pop"),
    call("clear copy __len__ bool iter to_set hash"),
    call_with_any("union intersection difference intersection_update difference_update", iterables(readable)),
    call_with_any("update", iterables(keys)),
    call("symmetric_difference isdisjoint issubset issuperset", iterables(readable)),
    call("symmetric_difference_update", iterables(keys)),
    call("symmetric_difference symmetric_difference_update isdisjoint issubset issuperset"),
    call("| & - ^ &= -= == != < <= > >=", operands(readable)),
    call("|= ^=", operands(keys)),
    call(" ".join(OPERATORS), st.sampled_from([3, None, [1], (1,), "a", {"a": 1}])),
    call(" ".join(REFLECTED), operands(readable)),
)


def apply(sides: dict[str, Any], name: str, given: tuple[Any, ...]) -> Any:
    """Make one call, on a set or on a RedisSet, and return its result as plain data."""
    target = sides["self"]
    arguments = resolved(given, sides)
    if name in IN_PLACE:
        result = IN_PLACE[name](target, *arguments)
        assert isinstance(target, set) or result is target
        sides["self"] = result
        return None
    if name in OPERATORS:
        return OPERATORS[name](target, *arguments)
    if name in REFLECTED:
        result = REFLECTED[name](*arguments, target)
        # With a frozenset on the left, the builtin makes a frozenset.
        return set(result) if isinstance(result, frozenset) else result
    if name == "contains_many":
        return (
            [value in target for value in arguments]
            if isinstance(target, set)
            else list(target.contains_many(*arguments))
        )
    if name in {"iter", "copy", "to_set"}:
        read = target if name == "iter" else target.copy() if name == "copy" else target
        found = list(read) if isinstance(target, set) or name != "to_set" else list(target.to_set())
        assert len(found) == len(set(found))
        return set(found)
    if name in {"bool", "hash"}:
        return {"bool": bool, "hash": hash}[name](target)
    return getattr(target, name)(*arguments)


@pytest.fixture
def subjects(make: Maker) -> Iterator[dict[str, Any]]:
    with places(make, "RedisSet") as found:
        yield found


def applicable(make: Maker, name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a call means the same in both worlds: asyncio's verbs stand for methods and operators alike."""
    if make.loop is None or name in COMPARISONS:
        return True
    if name in REFLECTED:
        return name[1:] in COMPARISONS
    return (
        name not in OPERATORS
        or isinstance(arguments[0], Other)
        or not isinstance(arguments[0], list | tuple | str | dict)
    )


@every
@given(
    start=st.fixed_dictionaries(dict.fromkeys(PLACES, st.sets(keys, max_size=5))), steps=st.lists(calls, max_size=12)
)
def test_set(make: Maker, subjects: dict[str, Any], start: dict[str, set[Any]], steps: list[Any]) -> None:
    oracles = {place: set(elements) for place, elements in start.items()}
    for place, subject in subjects.items():
        subject.clear()
        subject.update(start[place])
    for name, arguments in steps:
        if not applicable(make, name, arguments):
            continue
        if name == "pop" and oracles["self"]:
            oracles["self"].remove(subjects["self"].pop())
            continue
        before = set(oracles["self"])
        expected = outcome(lambda: apply(oracles, name, arguments))  # noqa: B023
        if expected[0] == "raises":
            # The builtin takes the operands before the one that it refuses.
            oracles["self"] = before
        assert_same((name, arguments), expected, outcome(lambda: apply(subjects, name, arguments)))  # noqa: B023
        assert subjects["self"].to_set() == oracles["self"], (name, arguments)
    for place, subject in subjects.items():
        assert subject.to_set() == oracles[place]


def numbers(start: int, stop: int) -> set[Any]:
    """Return distinct elements, of some kinds."""
    return {(number, str(number), (number, "x"))[number % 3] for number in range(start, stop)}


MUTATORS = ["update", "intersection_update", "difference_update", "symmetric_difference_update", *IN_PLACE]
METHODS = ["union", "intersection", "difference", "symmetric_difference", "isdisjoint", "issubset", "issuperset"]
READERS = [*METHODS, *ARITHMETIC, *COMPARISONS, "r|", "r-"]


@at_sizes
def test_sizes(make: Maker, subjects: dict[str, Any], size: int) -> None:
    mine = numbers(0, size)
    subjects["far"].update(mine)
    for theirs in (numbers(size // 2, size // 2 + size), numbers(1, size), numbers(0, size)):
        subjects["near"].clear()
        subjects["near"].update(theirs)
        for name, operand in product(READERS + MUTATORS, (theirs, Other("near"))):
            if not applicable(make, name, (operand,)):
                continue
            oracles = {"self": set(mine), "near": theirs}
            if name == READERS[0] or name in MUTATORS:
                subjects["self"].clear()
                subjects["self"].update(subjects["far"])
            expected = apply(oracles, name, (operand,))
            assert apply(subjects, name, (operand,)) == expected, (name, size)
            if name in MUTATORS:
                assert subjects["self"].to_set() == oracles["self"], (name, size)
    assert apply(subjects, "iter", ()) == oracles["self"]
    subjects["self"].clear()
    subject = make("RedisSet", mine)
    assert all(subject.contains_many(*mine))
    assert {subject.pop() for _ in mine} == mine
    assert not subject


def test_true_and_1_are_two_elements(make: Maker) -> None:
    subject = make("RedisSet", [True, 0])
    assert list(subject.contains_many(True, 1, 1.0, False, 0, 0.0)) == [True, False, False, False, True, True]
    subject.add(1)
    assert len(subject) == 3
    assert subject - {1} == {True, 0}
    assert not subject.isdisjoint({True})
    subject.remove(True)
    assert 1 in subject


def test_elements_come_back_in_one_spelling(make: Maker) -> None:
    subject = make("RedisSet", [1.0, -0.0, 1e22, (2.0, ("a", None))])
    found = {repr(element) for element in subject}
    assert found == {"1", "0", str(10**22), "(2, ('a', None))"}
    assert all(subject.contains_many(1, 0, 10**22, (2, ("a", None))))


def test_what_json_cannot_carry_is_not_stored(make: Maker) -> None:
    subject = make("RedisSet", [1, 2])
    for stranger in strangers:
        for change in (
            lambda: subject.add(stranger),  # noqa: B023
            lambda: subject.update([7], [8, stranger]),  # noqa: B023
            lambda: subject.symmetric_difference_update([7, stranger]),  # noqa: B023
            lambda: operator.ior(subject, {7, stranger}),  # noqa: B023
            lambda: operator.ixor(subject, {7, stranger}),  # noqa: B023
            lambda: make("RedisSet", [7, stranger]),  # noqa: B023
        ):
            kind, error = outcome(change)
            assert kind == "raises"
            assert error in {TypeError, ValueError}
    assert subject.to_set() == {1, 2}


def test_an_operand_is_refused_as_a_whole(make: Maker) -> None:
    subject = make("RedisSet", [1])
    assert {1}.isdisjoint([1, []]) is False
    for question in (subject.isdisjoint, subject.issuperset, subject.update, subject.difference_update):
        for refused in ([1, []], [5, []]):
            with pytest.raises(TypeError):
                question(refused)
    assert subject.to_set() == {1}


def test_starting_elements(make: Maker) -> None:
    assert make("RedisSet").to_set() == set()
    for start in ([], [3, 1, 3], "abc", {"a": 1}, frozenset({None}), range(2500), {"a": 1}.items()):
        assert make("RedisSet", start).to_set() == set(start)
    subject = make("RedisSet", iter(["a", "b"]))
    assert subject.to_set() == {"a", "b"}
    with pytest.raises(KeyExistsError):
        make("RedisSet", ["c"], key=subject.key)
    assert make("RedisSet", key=subject.key).to_set() == {"a", "b"}
    for refused in (3, [[]], [{}]):
        with pytest.raises(TypeError):
            make("RedisSet", refused)


def test_copies_are_apart(make: Maker) -> None:
    subject = make("RedisSet", ["a"])
    copies = [subject.copy()] if make.loop else [subject.copy(), copy.copy(subject), copy.deepcopy(subject)]
    for copied in copies:
        assert copied == subject
        copied.add("b")
        assert subject.to_set() == {"a"}
        copied.clear()


def test_views_of_a_redis_dict(make: Maker) -> None:
    if make.loop is not None:
        pytest.skip("asyncio's keys() is an iterator, no set")
    keys_view = make("RedisDict", a=1, b=2).keys()
    subject = make("RedisSet", ["b", "c"])
    assert subject | keys_view == {"a", "b", "c"}
    assert keys_view & subject == {"b"}
    assert subject - keys_view == {"c"}
    assert subject >= make("RedisDict", b=1).keys()
    subject ^= keys_view
    assert subject == {"a", "c"}

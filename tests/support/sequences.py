"""What the models of RedisList and RedisDeque share."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import strategies as st

from tests.conftest import Maker
from tests.support.model import COMPARISONS, PLACES, Fresh, Index, Other, call, resolved
from tests.support.strategies import uncarried

# Few, so that they meet again, and many of them equal without being the same.
ELEMENTS: list[Any] = [
    0, 1, 1.0, True, False, -0.0, 2, 2.5, -7, 10**20, 1e20, 2**70, "", "a", "b", "é", None,
    [], [1], [True, 2.0], [1, 2], {}, {"x": 1}, {"x": 1.0, "y": [False]},
]  # fmt: skip
elements = st.sampled_from(ELEMENTS)
several = st.lists(elements, max_size=6)
lookups = st.sampled_from([*ELEMENTS, *uncarried])
others = st.sampled_from(PLACES).map(Other)

no_index = st.sampled_from(["a", 1.5, None, [1]])
whole = st.integers(-12, 12)
huge = st.sampled_from([2**31, 2**53 + 1, 2**62, -(2**62), 2**63, 10**30, -(10**30)])
places_in_it = st.one_of(st.integers(-4, 4), whole, huge, st.booleans(), whole.map(Index), no_index)
times = st.one_of(st.integers(-1, 3), st.sampled_from([True, False, Index(2), -(2**62), 10**30, "a", 1.5, None]))

LONGEST = 40
"""Beyond this, calls that multiply are left out."""

GROWING = {"extend", "extendleft", "+", "+=", "*", "*=", "r+", "r*", "setitem", "transform"}
ARITHMETIC: dict[str, Any] = {"+": operator.add, "*": operator.mul}
REFLECTED = {f"r{sign}": function for sign, function in (ARITHMETIC | COMPARISONS).items()}
IN_PLACE: dict[str, Any] = {"+=": operator.iadd, "*=": operator.imul}
FUNCTIONS: dict[str, Any] = {
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "len": len,
    "bool": bool,
    "iter": list,
    "reversed": lambda target: list(reversed(target)),
    "hash": hash,
    **ARITHMETIC,
    **COMPARISONS,
}


def iterables(builtin: Any) -> Any:
    """Return a strategy for what extend() takes, and some of what it doesn't."""
    return st.one_of(
        several,
        several.map(tuple),
        several.map(lambda items: Fresh(iter, items)),
        several.map(lambda items: Fresh(builtin, items)),
        st.sampled_from(["ab", {"k": 1}, range(3), 5, None]),
        others,
    )


def wrapped(value: Any) -> Any:
    """Change an element."""
    return [value, {"was": value}] if value != 1 else 2


shared_calls = [
    call("append", elements),
    call("insert", places_in_it, elements),
    call("getitem delitem", places_in_it),
    call("setitem", places_in_it, elements),
    call("remove contains count index", lookups),
    call("index", lookups, places_in_it),
    call("index", lookups, places_in_it, places_in_it),
    call("pop reverse clear copy len bool iter reversed to_list hash"),
    call("transform", places_in_it, st.just(wrapped)),
    call("* *= r*", times),
    call("== != < <= > >= +", st.sampled_from([5, None, (), "a", {"a": 1}])),
]


def fill(target: Any, items: Any) -> None:
    """Give a container, or its oracle, other elements."""
    target.clear()
    target.extend(items)


def apply(builtin: Any, sides: dict[str, Any], name: str, given: tuple[Any, ...]) -> Any:
    """Make one call, on the builtin or on the container, and return its result as plain data."""
    target = sides["self"]
    plain = isinstance(target, builtin)
    arguments = resolved(given, sides)
    if name in IN_PLACE:
        result = IN_PLACE[name](target, *arguments)
        assert result is target
        return None
    if name in REFLECTED:
        result = REFLECTED[name](*arguments, target)
    elif name in FUNCTIONS:
        result = FUNCTIONS[name](target, *arguments)
    elif name == "to_list":
        return list(target) if plain else target.to_list()
    elif name == "transform" and plain:
        index, function = arguments
        result = target[index] = function(target[index])
    else:
        result = getattr(target, name)(*arguments)
    if name in {"copy", *ARITHMETIC, "r+", "r*"}:
        # A new container: of the same kind, bounded alike.
        assert plain == isinstance(result, builtin)
        items = list(result) if plain else result.to_list()
        if not plain:
            assert result.key not in {side.key for side in sides.values()}
            result.clear()
        return [items, getattr(result, "maxlen", None)]
    return result


def applicable(make: Maker, name: str, arguments: tuple[Any, ...], oracle: Any) -> bool:
    """Whether a call can be made in both worlds, and stays small."""
    if make.loop is not None and name in {"r+", "r*"}:
        return False
    return len(oracle) <= LONGEST or name not in GROWING


def limited(oracle: Any, name: str, argument: Any) -> bool:
    """Whether the builtin doesn't try to repeat itself until memory is full."""
    return not (name in {"*", "*=", "r*"} and isinstance(argument, int) and 10 < argument <= 2**63 - 1 and oracle)

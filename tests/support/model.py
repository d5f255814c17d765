"""What the model tests share: calls as values, a container's neighbours, comparison down to the type of a number."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from tests.conftest import Maker
from tests.support.outcome import assert_same
from tests.support.servers import SETUPS

_standalone = [setup for setup in SETUPS if setup.topology == "standalone"]
_sync = next(setup for setup in _standalone if (setup.protocol, setup.world) == (2, "sync"))
_aio = next(setup for setup in reversed(_standalone) if (setup.protocol, setup.world) == (3, "aio"))
at_sizes = pytest.mark.parametrize(
    ("make", "size"),
    [(_sync, 1000), (_sync, 2500), (_aio, 1001)],
    indirect=["make"],
    ids=str,
)
"""Around a chunk and at some chunks: for what the two worlds share, and what is the same in a cluster."""

PLACES = ["self", "near", "far", "elsewhere"]


COMPARISONS: dict[str, Any] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Index:
    """An integer by ``__index__`` alone."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number

    def __repr__(self) -> str:
        return f"Index({self._number})"


class Other(NamedTuple):
    """The container at one of the places, or its oracle, as an argument."""

    place: str


class Fresh(NamedTuple):
    """An argument that is used up, so each side gets its own: ``make(items)``."""

    make: Callable[[Any], Any]
    items: Any


def call(names: str, *arguments: Any) -> Any:
    """Return a strategy for one call of any of some methods."""
    return st.tuples(st.sampled_from(names.split()), st.tuples(*arguments))


def call_with_any(names: str, argument: Any, max_size: int = 3) -> Any:
    """Return a strategy for one call of any of some methods, with any number of arguments."""
    return st.tuples(st.sampled_from(names.split()), st.lists(argument, max_size=max_size).map(tuple))


def resolved(arguments: tuple[Any, ...], places: dict[str, Any]) -> list[Any]:
    """Return the arguments with what stands for others replaced by them."""
    return [
        places[argument.place]
        if isinstance(argument, Other)
        else argument.make(argument.items)
        if isinstance(argument, Fresh)
        else argument
        for argument in arguments
    ]


@contextmanager
def places(make: Maker, name: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Make four empty containers: one, one in its hash slot, one in another, one on another client."""

    async def made() -> Any:
        return make.setup.client()

    client = make.setup.client() if make.loop is None else make.loop.run(made())
    key = make.new_key()
    found = {
        "self": make(name, key=key, **options),
        "near": make(name, key=f"{{{key}}}:near", **options),
        "far": make(name, **options),
        "elsewhere": make(name, client=client, **options),
    }
    yield found
    found["near"].clear()
    make.run(client.close() if make.loop is None else client.aclose())


def exact(value: Any) -> Any:
    """Return what is equal for the same values of the same types only: ``1``, ``1.0``, ``True`` differ."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | deque):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return [(exact(key), exact(item)) for key, item in value.items()]
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind, repr(kind(value))
    return value


def assert_exact(call: Any, expected: tuple[str, Any], got: tuple[str, Any]) -> None:
    """Fail unless the container did exactly what the builtin did."""
    assert_same(call, expected, got)
    if expected[0] == "returns":
        assert exact(expected[1]) == exact(got[1]), f"{call}: {got[1]!r} instead of {expected[1]!r}"

"""Comparing a container with the builtin: same result, or same type of exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """Return what a call gives: ``("returns", value)`` or ``("raises", type)``."""
    try:
        return "returns", call()
    except Exception as error:
        return "raises", type(error)


def jsonable(value: Any) -> Any:
    """Return a builtin's result as it looks after JSON: tuples inside are lists."""
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    return value


def assert_same(call: Any, expected: tuple[str, Any], got: tuple[str, Any]) -> None:
    """Fail unless the container did what the builtin did."""
    kind, value = expected
    assert got[0] == kind, f"{call}: the builtin {kind} {value!r}, the container {got[0]} {got[1]!r}"
    if kind == "raises":
        assert issubclass(got[1], value), f"{call}: {got[1].__name__} instead of {value.__name__}"
    else:
        assert same(value, got[1]), f"{call}: {got[1]!r} instead of {value!r}"


def same(left: Any, right: Any) -> bool:
    """Whether two results are equal and of the same types, down to the elements.

    Numbers may differ in type: in key position ``1.0`` comes back as ``1``.
    """
    if type(left) is not type(right) and not (_number(left) and _number(right)):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

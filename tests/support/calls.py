"""One call of every method of every collection, at any size: for counting round trips and for losing replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[[Any, int], Any]


def names(n: int) -> list[str]:
    return [f"k{index}" for index in range(n)]


def numbers(n: int) -> dict[str, int]:
    return {name: index for index, name in enumerate(names(n))}


def new(n: int, first: int = 10**6) -> list[int]:
    return list(range(first, first + n))


def each(items: Any) -> list[Any]:
    # list() would ask for the length first.
    return [item for item in items]  # noqa: C416


KEY: dict[str, Call] = {
    "clear": lambda c, n: c.clear(),
    "copy": lambda c, n: c.copy(),
    "expire": lambda c, n: c.expire(100),
    "persist": lambda c, n: c.persist(),
    "ttl": lambda c, n: c.ttl(),
}

DICT: dict[str, Call] = {
    **KEY,
    "__contains__": lambda c, n: c.__contains__("k0"),
    "__delitem__": lambda c, n: c.__delitem__("k0"),
    "__eq__": lambda c, n: c.__eq__(numbers(n)),
    "__getitem__": lambda c, n: c["k0"],
    "__ior__": lambda c, n: c.__ior__(numbers(n)),
    "__iter__": lambda c, n: each(c),
    "__len__": lambda c, n: c.__len__(),
    "__or__": lambda c, n: c.__or__(numbers(n)),
    "__reversed__": lambda c, n: each(c.__reversed__()),
    "__setitem__": lambda c, n: c.__setitem__("k0", 5),
    "contains_many": lambda c, n: list(c.contains_many(*names(n))),
    "get": lambda c, n: c.get("k0"),
    "items": lambda c, n: each(c.items()),
    "keys": lambda c, n: each(c.keys()),
    "pop": lambda c, n: c.pop("k0"),
    "popitem": lambda c, n: c.popitem(),
    "setdefault": lambda c, n: c.setdefault("new", 1),
    "to_dict": lambda c, n: c.to_dict(),
    "update": lambda c, n: c.update(numbers(n), k0=1),
    "values": lambda c, n: each(c.values()),
}

CALLS: dict[str, dict[str, Call]] = {"RedisDict": DICT}
FILL: dict[str, Callable[[int], Any]] = {"RedisDict": numbers}

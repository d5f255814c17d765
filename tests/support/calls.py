"""One call of every method of every collection, at any size: for counting round trips and for losing replies."""

from __future__ import annotations

from collections import Counter, deque
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

# Counter's -=, += and so on drop what isn't positive.
COUNTER: dict[str, Call] = {
    **{method: call for method, call in DICT.items() if method not in {"__ior__", "__or__", "__eq__", "popitem"}},
    "__add__": lambda c, n: c.__add__(Counter(numbers(n))),
    "__and__": lambda c, n: c.__and__(Counter(numbers(n))),
    "__eq__": lambda c, n: c.__eq__(Counter(numbers(n))),
    "__ge__": lambda c, n: c.__ge__(Counter(numbers(n))),
    "__gt__": lambda c, n: c.__gt__(Counter(numbers(n))),
    "__iadd__": lambda c, n: c.__iadd__(Counter(numbers(n))),
    "__iand__": lambda c, n: c.__iand__(Counter(numbers(n))),
    "__ior__": lambda c, n: c.__ior__(Counter(dict.fromkeys(names(n), 3))),
    "__isub__": lambda c, n: c.__isub__(Counter(dict.fromkeys(names(n), 1))),
    "__le__": lambda c, n: c.__le__(Counter(numbers(n))),
    "__lt__": lambda c, n: c.__lt__(Counter(numbers(n))),
    "__neg__": lambda c, n: c.__neg__(),
    "__or__": lambda c, n: c.__or__(Counter(numbers(n))),
    "__pos__": lambda c, n: c.__pos__(),
    "__sub__": lambda c, n: c.__sub__(Counter(numbers(n))),
    "elements": lambda c, n: each(c.elements()),
    "increment": lambda c, n: c.increment("k0", 2),
    "most_common": lambda c, n: c.most_common(3),
    "popitem": lambda c, n: c.popitem(),
    "subtract": lambda c, n: c.subtract(names(n), k0=1),
    "to_counter": lambda c, n: c.to_counter(),
    "total": lambda c, n: c.total(),
    "update": lambda c, n: c.update(names(n), k0=1),
}

SET: dict[str, Call] = {
    **KEY,
    "__and__": lambda c, n: c.__and__(set(new(n, n // 2))),
    "__contains__": lambda c, n: c.__contains__(0),
    "__eq__": lambda c, n: c.__eq__(set(range(n))),
    "__ge__": lambda c, n: c.__ge__(set(range(n))),
    "__gt__": lambda c, n: c.__gt__(set(range(n))),
    "__iand__": lambda c, n: c.__iand__(set(new(n, n // 2))),
    "__ior__": lambda c, n: c.__ior__(set(new(n))),
    "__isub__": lambda c, n: c.__isub__(set(new(n, n // 2))),
    "__iter__": lambda c, n: each(c),
    "__ixor__": lambda c, n: c.__ixor__(set(new(n, n // 2))),
    "__le__": lambda c, n: c.__le__(set(range(n))),
    "__len__": lambda c, n: c.__len__(),
    "__lt__": lambda c, n: c.__lt__(set(range(n))),
    "__or__": lambda c, n: c.__or__(set(new(n))),
    "__sub__": lambda c, n: c.__sub__(set(new(n, n // 2))),
    "__xor__": lambda c, n: c.__xor__(set(new(n, n // 2))),
    "add": lambda c, n: c.add("new"),
    "contains_many": lambda c, n: each(c.contains_many(*range(n))),
    "difference": lambda c, n: c.difference(range(n), [1]),
    "difference_update": lambda c, n: c.difference_update(range(n // 2), [1]),
    "discard": lambda c, n: c.discard(0),
    "intersection": lambda c, n: c.intersection(range(n), range(5)),
    "intersection_update": lambda c, n: c.intersection_update(range(n), range(5)),
    "isdisjoint": lambda c, n: c.isdisjoint(range(n)),
    "issubset": lambda c, n: c.issubset(range(n)),
    "issuperset": lambda c, n: c.issuperset(range(n)),
    "pop": lambda c, n: c.pop(),
    "remove": lambda c, n: c.remove(0),
    "symmetric_difference": lambda c, n: c.symmetric_difference(new(n, n // 2)),
    "symmetric_difference_update": lambda c, n: c.symmetric_difference_update(new(n, n // 2)),
    "to_set": lambda c, n: c.to_set(),
    "union": lambda c, n: c.union(new(n), ["x"]),
    "update": lambda c, n: c.update(new(n), ["x"]),
}


def sequence(builtin: Callable[[Any], Any]) -> dict[str, Call]:
    return {
        **KEY,
        "__add__": lambda c, n: c.__add__(builtin(new(n))),
        "__contains__": lambda c, n: c.__contains__(n - 1),
        "__delitem__": lambda c, n: c.__delitem__(n // 2),
        "__eq__": lambda c, n: c.__eq__(builtin(range(n))),
        "__ge__": lambda c, n: c.__ge__(builtin(range(n))),
        "__getitem__": lambda c, n: c[n // 2],
        "__gt__": lambda c, n: c.__gt__(builtin(range(n))),
        "__iadd__": lambda c, n: c.__iadd__(new(n)),
        "__imul__": lambda c, n: c.__imul__(2),
        "__iter__": lambda c, n: each(c),
        "__le__": lambda c, n: c.__le__(builtin(range(n))),
        "__len__": lambda c, n: c.__len__(),
        "__lt__": lambda c, n: c.__lt__(builtin(range(n))),
        "__mul__": lambda c, n: c.__mul__(2),
        "__reversed__": lambda c, n: each(c.__reversed__()),
        "__setitem__": lambda c, n: c.__setitem__(n // 2, "x"),
        "append": lambda c, n: c.append("x"),
        "count": lambda c, n: c.count(n - 1),
        "extend": lambda c, n: c.extend(new(n)),
        "index": lambda c, n: c.index(n - 1),
        "insert": lambda c, n: c.insert(n // 2, "x"),
        "pop": lambda c, n: c.pop(),
        "remove": lambda c, n: c.remove(n - 1),
        "reverse": lambda c, n: c.reverse(),
        "to_list": lambda c, n: c.to_list(),
    }


LIST: dict[str, Call] = {
    **sequence(list),
    "del slice": lambda c, n: c.__delitem__(slice(None, None, 2)),
    "get slice": lambda c, n: c[::2],
    "set slice": lambda c, n: c.__setitem__(slice(n // 4, n // 2), new(n)),
    "pop middle": lambda c, n: c.pop(n // 2),
}

DEQUE: dict[str, Call] = {
    **sequence(deque),
    "appendleft": lambda c, n: c.appendleft("x"),
    "extendleft": lambda c, n: c.extendleft(new(n)),
    "popleft": lambda c, n: c.popleft(),
    "rotate": lambda c, n: c.rotate(n // 2 + 1),
}

CALLS: dict[str, dict[str, Call]] = {
    "RedisCounter": COUNTER,
    "RedisDeque": DEQUE,
    "RedisDict": DICT,
    "RedisList": LIST,
    "RedisSet": SET,
}
FILL: dict[str, Callable[[int], Any]] = {
    "RedisCounter": lambda n: dict.fromkeys(names(n), 2),
    "RedisDeque": lambda n: list(range(n)),
    "RedisDict": numbers,
    "RedisList": lambda n: list(range(n)),
    "RedisSet": lambda n: set(range(n)),
}

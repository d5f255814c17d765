"""RedisDict against dict: any sequence of calls gives the same results, exceptions and contents."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Maker, every
from tests.support.outcome import assert_same, jsonable, outcome, same
from tests.support.strategies import keys, unhashable, values

mappings = st.dictionaries(keys, values, max_size=4)
lookups = keys | st.sampled_from(unhashable)


class Keys:
    """Something that has keys() but is no Mapping."""

    def __init__(self, items: dict[Any, Any]) -> None:
        self._items = items

    def keys(self) -> Any:
        return self._items.keys()

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __repr__(self) -> str:
        return f"Keys({self._items})"


def call(name: str, *arguments: Any) -> Any:
    return st.tuples(st.just(name), st.tuples(*arguments))


calls = st.one_of(
    call("__getitem__", lookups),
    call("__setitem__", lookups, values),
    call("__delitem__", lookups),
    call("__contains__", lookups),
    call("__len__"),
    call("get", lookups),
    call("get", lookups, values),
    call("pop", lookups),
    call("pop", lookups, values),
    call("popitem"),
    call("setdefault", lookups, values),
    call("setdefault", keys),
    call("update", mappings),
    call("update", st.lists(st.tuples(keys, values), max_size=4)),
    call("update", mappings.map(Keys)),
    call("update", st.sampled_from([3, [1], ["abc"], None, [("a", 1, 2)]])),
    call("clear"),
    call("list", st.just("iter")),
    call("list", st.just("reversed")),
    call("list", st.sampled_from(["keys", "values", "items"])),
    call("to_dict"),
    call("copy"),
    call("__eq__", mappings),
    call("__or__", mappings),
    call("__ior__", mappings | st.lists(st.tuples(keys, values), max_size=3)),
)


def as_stored(item: Any) -> Any:
    """Return an item with its whole numbers as they come back in key position, and its names in stored order."""
    if isinstance(item, tuple | list):
        return tuple(map(as_stored, item))
    if isinstance(item, dict):
        return sorted((name, as_stored(value)) for name, value in item.items())
    return int(item) if isinstance(item, float) and item.is_integer() else item


def unordered(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: repr(as_stored(item)))


def apply(target: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """Make one call, on a dict or on a RedisDict, and return its result as plain data."""
    if name == "list":
        (how,) = arguments
        if how == "iter":
            return unordered(target)
        if how == "reversed":
            return unordered(reversed(target) if isinstance(target, dict) else target.__reversed__())
        return unordered(getattr(target, how)())
    if name == "to_dict":
        return dict(target) if isinstance(target, dict) else target.to_dict()
    if name == "copy":
        copied = target.copy()
        return dict(copied) if isinstance(target, dict) else copied.to_dict()
    if name == "__ior__":
        target |= arguments[0]
        return None
    return getattr(target, name)(*arguments)


@every
@given(start=mappings, steps=st.lists(calls, max_size=12))
def test_dict(make: Maker, start: dict[Any, Any], steps: list[Any]) -> None:
    oracle = jsonable(start)
    subject = make("RedisDict", start)
    for name, arguments in steps:
        if name == "pop" and not oracle and arguments[0] in unhashable:
            # An empty dict doesn't look at the key that pop() is given; this is no promise of dict's.
            continue
        if name == "popitem" and oracle:
            # Which item it is, the dict's size decides: see test_order_of_a_small_dict.
            key, value = subject.popitem()
            assert same(oracle.pop(key), value)
            continue
        expected = outcome(lambda: apply(oracle, name, arguments))  # noqa: B023
        assert_same((name, arguments), expected, outcome(lambda: apply(subject, name, arguments)))  # noqa: B023
        assert_same("contents", ("returns", dict(oracle)), ("returns", subject.to_dict()))
    subject.clear()


def test_order_of_a_small_dict(make: Maker) -> None:
    subject = make("RedisDict", {"c": 1, "a": 2, "b": 3})
    subject.update(a=4, d=5)
    assert list(subject.keys()) == ["c", "a", "b", "d"]
    assert list(subject.__reversed__()) == ["d", "b", "a", "c"]
    assert [subject.popitem() for _ in range(4)] == [("d", 5), ("b", 3), ("a", 4), ("c", 1)]

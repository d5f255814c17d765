"""CachedOrderedDict against OrderedDict, with a dict as the cache behind it: any calls, here and by others."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like._ops.cachedordereddict import MISS
from tests.conftest import Maker
from tests.model.test_dict import Keys, mappings
from tests.support.facade import unwrap
from tests.support.model import call
from tests.support.outcome import assert_same, jsonable, outcome
from tests.support.servers import FEW
from tests.support.strategies import keys, unhashable, values

pairs = st.lists(st.tuples(keys, values), max_size=4)
lookups = keys | st.sampled_from(unhashable)
calls = st.one_of(
    call("open", st.lists(keys, max_size=6)),
    call("others", keys, values),
    call("__setitem__", lookups, values),
    call("setdefault", lookups, values),
    call("setdefault", keys),
    call("update __ior__", mappings | pairs | mappings.map(Keys)),
    call("update", st.sampled_from([3, [1], ["abc"], None, [("a", 1, 2)]])),
    call("update kwargs", st.dictionaries(st.sampled_from("abc"), values, max_size=2)),
    call("__delitem__ __getitem__ __contains__ get pop", lookups),
    call("get pop", lookups, values),
    call("popitem move_to_end"),
    call("popitem", st.booleans()),
    call("move_to_end", keys, st.booleans()),
    call("clear __len__ list __reversed__ values copy"),
    call("__eq__ __or__", mappings | mappings.map(OrderedDict)),
)


class Oracle:
    """An OrderedDict, and the cache that it writes to."""

    def __init__(self) -> None:
        self.here: OrderedDict[Any, Any] = OrderedDict()
        self.cache: dict[Any, Any] = {}

    def apply(self, name: str, *arguments: Any) -> Any:
        if name == "open":
            self.here = OrderedDict((key, self.cache.get(key, MISS)) for key in arguments[0])
            return None
        if name == "others":
            self.cache[arguments[0]] = arguments[1]
            return None
        if name == "setdefault" and self.here.get(arguments[0], MISS) is MISS:
            key, default = (*arguments, None)[:2]
            self.here[key] = self.cache.setdefault(key, default)
            return self.here[key]
        if name in {"__setitem__", "update", "__ior__", "kwargs"}:
            changes: OrderedDict[Any, Any] = OrderedDict()
            changes.__setitem__(*arguments) if name == "__setitem__" else changes.update(*arguments)
            self.here.update(changes)
            self.cache.update(changes)
            return None
        return plain(self.here, name, arguments)


def plain(target: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """Make a call that changes nothing but the dict here; return its result as plain data."""
    if name in {"list", "__reversed__", "values"}:
        return list(target if name == "list" else getattr(target, name)())
    result = getattr(target, name)(*arguments)
    return list(result.items()) if name in {"copy", "__or__"} and result is not NotImplemented else result


def apply(subject: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """Make a call on a CachedOrderedDict."""
    if name == "kwargs":
        return subject.update(**arguments[0])
    if name == "__ior__":
        subject |= arguments[0]
        return None
    if name in {"__setitem__", "update"}:
        return getattr(subject, name)(*arguments)
    return plain(subject, name, arguments)


@pytest.mark.parametrize("make", FEW, indirect=True, ids=str)
@given(steps=st.lists(calls, min_size=15, max_size=40))
def test_like_ordereddict(make: Maker, steps: list[Any]) -> None:
    oracle = Oracle()
    subject = make("CachedOrderedDict")
    cache = make("RedisDict", key=subject.key)
    for name, arguments in steps:
        if name == "open":
            subject = make("CachedOrderedDict", key=subject.key, dict_keys=iter(arguments[0]))
        elif name == "others":
            cache[arguments[0]] = arguments[1]
        elif name in {"get", "pop"} and not oracle.here and arguments[0] in unhashable:
            continue  # An empty dict may do without hashing the key; this is no promise of dict's.
        else:
            got = outcome(lambda: apply(subject, name, arguments))  # noqa: B023
            assert_same((name, arguments), outcome(lambda: oracle.apply(name, *arguments)), got)  # noqa: B023
        if name in {"open", "others"}:
            oracle.apply(name, *arguments)
        assert list(subject.items()) == list(oracle.here.items()), (name, arguments)
        assert subject.misses() == {key for key, value in oracle.here.items() if value is MISS}
        assert cache.to_dict() == jsonable(oracle.cache), (name, arguments)
    assert pickle.loads(pickle.dumps(unwrap(subject))) == oracle.here
    assert copy.copy(unwrap(subject)) == copy.deepcopy(unwrap(subject)) == oracle.here
    cache.clear()

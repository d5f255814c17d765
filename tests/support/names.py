"""What each container's methods are called in the two worlds.

One table: the parity test checks it, the tests' facade runs one suite in both worlds by it, and the page
``docs/asyncio.md`` shows it.
"""

from __future__ import annotations

# What the two worlds have under one name.
COMMON = ["clear", "copy", "expire", "key", "persist", "redis", "sync", "ttl"]

_DICT = [
    *COMMON, "__getitem__", "contains_many", "edit", "fromkeys", "get", "items", "keys", "pop", "popitem",
    "setdefault", "to_dict", "transform", "update", "values",
]  # fmt: skip
_SEQUENCE = [
    *COMMON, "__getitem__", "append", "count", "edit", "extend", "index", "insert", "pop", "remove", "reverse",
    "to_list", "transform",
]  # fmt: skip

_QUEUE = [*COMMON, "empty", "get", "get_nowait", "put", "put_nowait", "qsize"]

SAME: dict[str, list[str]] = {
    "BloomFilter": [
        *COMMON, "add", "contains_many", "false_positives", "intersection", "intersection_update", "num_elements",
        "num_hashes", "size", "union", "update",
    ],
    "CachedOrderedDict": [*COMMON, "__or__", "fromkeys", "misses", "setdefault", "update"],
    "FlipCache": [
        "clear", "close", "copy", "delete_many", "flush", "get", "get_many", "get_or_set", "increment",
        "invalidate_tag", "items", "keys", "listen", "local", "name", "pop", "popitem", "redis", "refresh", "set",
        "set_many", "setdefault", "stats", "to_dict", "touch", "ttl", "update", "values",
    ],
    "HyperLogLog": [*COMMON, "add", "contains_many", "union", "update"],
    "RedisCounter": [*_DICT, "elements", "increment", "most_common", "subtract", "to_counter", "total"],
    "RedisDeque": [*_SEQUENCE, "appendleft", "extendleft", "maxlen", "popleft", "rotate"],
    "RedisDict": _DICT,
    "RedisList": [*_SEQUENCE, "sort"],
    "RedisQueue": [
        *_QUEUE,
        "counts",
        "dead_letters",
        "full",
        "join",
        "max_attempts",
        "maxsize",
        "processing",
        "revive",
        "task_done",
    ],
    "RedisSimpleQueue": _QUEUE,
    "RedisSet": [
        *COMMON, "add", "contains_many", "difference", "difference_update", "discard", "intersection",
        "intersection_update", "isdisjoint", "issubset", "issuperset", "pop", "remove", "symmetric_difference",
        "symmetric_difference_update", "to_set", "union", "update",
    ],
}  # fmt: skip

_ORDER = {"__ge__": "ge", "__gt__": "gt", "__le__": "le", "__lt__": "lt"}
_SIZED = {"__contains__": "contains", "__eq__": "equals", "__iter__": "__aiter__", "__len__": "size"}
_ITEMS = {**_SIZED, "__delitem__": "delete", "__reversed__": "reversed", "__setitem__": "set"}
_LISTED = {**_ITEMS, **_ORDER, "__add__": "concat", "__iadd__": "extend", "__imul__": "multiply", "__mul__": "repeat"}

# Python's syntax on the left can't be awaited, so asyncio has the plain verb on the right.
VERBS: dict[str, dict[str, str]] = {
    "BloomFilter": {
        "__and__": "intersection",
        "__contains__": "contains",
        "__iand__": "intersection_update",
        "__ior__": "update",
        "__len__": "count",
        "__or__": "union",
    },
    "CachedOrderedDict": {"__ior__": "update", "__setitem__": "set"},
    "FlipCache": {**_SIZED, "__delitem__": "delete", "__ior__": "update", "__or__": "union", "__setitem__": "set"},
    "HyperLogLog": {"__contains__": "contains", "__ior__": "update", "__len__": "size", "__or__": "union"},
    "RedisCounter": {
        **_ITEMS,
        **_ORDER,
        "__add__": "plus",
        "__and__": "intersection",
        "__iadd__": "plus_update",
        "__iand__": "intersection_update",
        "__ior__": "union_update",
        "__isub__": "minus_update",
        "__neg__": "negative",
        "__or__": "union",
        "__pos__": "positive",
        "__sub__": "minus",
    },
    "RedisDeque": _LISTED,
    "RedisDict": {**_ITEMS, "__ior__": "update", "__or__": "union"},
    "RedisList": _LISTED,
    "RedisQueue": {},
    "RedisSimpleQueue": {},
    "RedisSet": {
        **_SIZED,
        **_ORDER,
        "__and__": "intersection",
        "__iand__": "intersection_update",
        "__ior__": "update",
        "__isub__": "difference_update",
        "__ixor__": "symmetric_difference_update",
        "__or__": "union",
        "__sub__": "difference",
        "__xor__": "symmetric_difference",
    },
}

# What needs no server: Python's syntax in both worlds.
LOCAL: dict[str, list[str]] = {
    "CachedOrderedDict": ["__contains__", "__delitem__", "__eq__", "__iter__", "__len__", "__or__", "__reversed__"],
}

# Syntax that would need the server: the asyncio class refuses it and names the verb.
REFUSED: dict[str, list[str]] = {"CachedOrderedDict": ["__ior__", "__setitem__"]}

SYNTAX = {
    "__add__": "c + other",
    "__and__": "c & other",
    "__contains__": "x in c",
    "__delitem__": "del c[i]",
    "__eq__": "c == other",
    "__ge__": "c >= other",
    "__getitem__": "c[i]",
    "__gt__": "c > other",
    "__iadd__": "c += other",
    "__iand__": "c &= other",
    "__imul__": "c *= n",
    "__ior__": "c |= other",
    "__isub__": "c -= other",
    "__iter__": "for x in c",
    "__ixor__": "c ^= other",
    "__le__": "c <= other",
    "__len__": "len(c)",
    "__lt__": "c < other",
    "__mul__": "c * n",
    "__neg__": "-c",
    "__or__": "c | other",
    "__pos__": "+c",
    "__reversed__": "reversed(c)",
    "__setitem__": "c[i] = x",
    "__sub__": "c - other",
    "__xor__": "c ^ other",
}

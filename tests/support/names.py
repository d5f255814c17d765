"""What each container's methods are called in the two worlds.

One table: the parity test checks it, the tests' facade runs one suite in both worlds by it, and the page
``docs/asyncio.md`` shows it.
"""

from __future__ import annotations

# What the two worlds have under one name.
COMMON = ["clear", "copy", "expire", "key", "persist", "redis", "sync", "ttl"]

SAME: dict[str, list[str]] = {
    "RedisDict": [
        *COMMON,
        "__getitem__",
        "contains_many",
        "edit",
        "fromkeys",
        "get",
        "items",
        "keys",
        "pop",
        "popitem",
        "setdefault",
        "to_dict",
        "transform",
        "update",
        "values",
    ],
}

# Python's syntax on the left can't be awaited, so asyncio has the plain verb on the right.
VERBS: dict[str, dict[str, str]] = {
    "RedisDict": {
        "__contains__": "contains",
        "__delitem__": "delete",
        "__eq__": "equals",
        "__ior__": "update",
        "__iter__": "__aiter__",
        "__len__": "size",
        "__or__": "union",
        "__reversed__": "reversed",
        "__setitem__": "set",
    },
}

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

"""Locks that are free in a forked child, the clients' among them.

redis-py's pools notice a fork, but not that one of their locks was held then, by a thread that exists in the parent
only: whoever used the client in the child would wait for ever.  (Nor do a cluster client's tables notice anything.)
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from typing import Any

_KINDS: dict[type, Any] = {type(make()): make for make in (threading.Lock, threading.RLock)}

_redis_pys_kinds: dict[type, bool] = {}

_known: weakref.WeakSet[Any] = weakref.WeakSet()
_ours: weakref.WeakSet[Any] = weakref.WeakSet()


def know(thing: Any) -> None:
    """Make the locks of a client or a pool anew in every child that is forked while it exists."""
    _known.add(thing)


def lock() -> Any:
    """Return a re-entrant lock that is free in every forked child, whichever thread held it in the parent."""
    made = threading.RLock()
    _ours.add(made)
    return made


def _renew() -> None:
    for each in list(_ours):
        each._at_fork_reinit()
    # With the old ones, as only what is still there has a number of its own.
    made: dict[int, tuple[Any, Any]] = {}
    seen: dict[int, Any] = {}
    waiting: list[Any] = list(_known)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        for name, value in list(getattr(thing, "__dict__", {}).items()):
            make = _KINDS.get(type(value))
            if make is None:
                waiting += [each for each in _inside(value) if _redis_pys(each)]
            else:
                # Some share a lock, and go on sharing one.
                setattr(thing, name, made.setdefault(id(value), (value, make()))[1])


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else (value,)


def _redis_pys(value: Any) -> bool:
    kind = type(value)
    found = _redis_pys_kinds.get(kind)
    if found is None:
        found = hasattr(value, "__dict__") and any(each.__module__.startswith("redis.") for each in kind.__mro__)
        _redis_pys_kinds[kind] = found
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

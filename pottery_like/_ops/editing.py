"""Changing a nested value where it is: read, change in Python, compare and swap."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pottery_like._core.op import Op, Pause, Program
from pottery_like.exceptions import ConcurrentEditError

V = TypeVar("V")

TRIES = 200
"""How often a transformation is tried while others keep changing the value."""


class Editable(Protocol[V]):
    """Operations that can be edited: a dict's by key, a list's by index."""

    def edit(self, place: Any) -> Op[bytes]: ...

    def decode(self, raw: bytes) -> V: ...

    def swap(self, place: Any, old: bytes, value: V) -> Op[bool]: ...


def transform(ops: Editable[V], place: Any, function: Callable[[V], V]) -> Program[V]:
    """Replace a value by a function of it; again and again while others change it meanwhile."""
    for attempt in range(TRIES):
        raw = yield ops.edit(place)
        value = function(ops.decode(raw))
        if (yield ops.swap(place, raw, value)):
            return value
        yield Pause(random.random() * min(0.05, 0.001 * (attempt + 1)))
    raise changed(place)


def changed(place: Any) -> ConcurrentEditError:
    """Return the exception for an edit that came too late."""
    return ConcurrentEditError(message=f"{place!r} was changed by somebody else during the edit; nothing was written")

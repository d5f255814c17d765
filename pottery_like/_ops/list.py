"""RedisList's operations: those of a Redis list, and what only ``list`` has."""

from __future__ import annotations

import hashlib
import operator
import random
import struct
from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex, TypeVar

from pottery_like._core.keys import random_sibling
from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Argument, Batch, Done, Op, Pause, Program, Task, ok
from pottery_like._ops.common import COMMANDS_AT_ONCE, STAGING_SECONDS, chunks, truth
from pottery_like._ops.editing import TRIES
from pottery_like._ops.sequence import SequenceOps, clipped, machine_sized, marker
from pottery_like.exceptions import ConcurrentEditError

T = TypeVar("T")


def _bounds(place: slice) -> tuple[int | None, int | None, int]:
    """Return a slice's start, stop and step.

    :raises TypeError: one of them isn't an integer.
    :raises ValueError: the step is zero.
    """
    place.indices(0)
    start, stop, step = (
        None if bound is None else clipped(operator.index(bound)) for bound in (place.start, place.stop, place.step)
    )
    return start, stop, 1 if step is None else step


def _words(place: slice) -> tuple[Argument, Argument, Argument]:
    start, stop, step = _bounds(place)
    return b"" if start is None else start, b"" if stop is None else stop, step


def _range(start: int | None, stop: int | None, step: int) -> tuple[int, int] | None:
    """Return LRANGE's bounds for a slice with a step of 1 or -1; None when the slice is empty in any list."""
    if step == 1:
        return None if stop == 0 else (start or 0, -1 if stop is None else stop - 1)
    return None if stop == -1 else (0 if stop is None else stop + 1, -1 if start is None else start)


class ListOps(SequenceOps[T]):
    """What can be done with a list in Redis."""

    KIND = "list"
    ASSIGNED_OUT_OF_RANGE = "list assignment index out of range"
    EMPTY = "pop from empty list"
    BAD_INDEX = "list indices must be integers or slices, not {}"

    def get_slice(self, place: slice) -> Task[list[T]]:
        """``l[start:stop:step]``: LRANGE; with a step other than 1 and -1, one script."""
        start, stop, step = _bounds(place)

        def decode(reply: list[bytes]) -> list[T]:
            return self.values.decode_many(reply if step > 0 else reply[::-1])

        if abs(step) > 1:
            return self._script("list_slice", *_words(place), decode=decode, idempotent=True)
        bounds = _range(start, stop, step)
        return Done([]) if bounds is None else self._op("LRANGE", *bounds, decode=decode)

    def set_slice(self, place: slice, source: Iterable[T] | SequenceOps[Any]) -> Program[None]:
        """``l[start:stop:step] = source``: one script; more than a thousand elements are built aside before."""
        words = _words(place)

        def decode(reply: list[int] | None) -> None:
            if reply is not None:
                new, old = reply
                raise ValueError(f"attempt to assign sequence of size {new} to extended slice of size {old}")

        others, encoded = yield from self._gathered(source)
        if len(encoded) <= CHUNK:
            yield self._script("list_assign", *words, *encoded, keys=others, decode=decode)
            return
        staging = random_sibling(self.key, "new")
        fill = (Op("RPUSH", (staging,), tuple(part), ok, False) for part in chunks(encoded))
        expire = Op("EXPIRE", (staging,), (STAGING_SECONDS,), ok, True)
        for group in chunks(fill, COMMANDS_AT_ONCE):
            yield Batch((*group, expire))
        assign = self._script("list_assign", *words, keys=(staging,), decode=decode)
        yield Batch((assign, Op("UNLINK", (staging,), (), ok, True)))

    def delete_slice(self, place: slice) -> Op[None]:
        """``del l[start:stop:step]``: one script."""
        return self._script("list_cut", *_words(place), decode=ok)

    def pop(self, index: SupportsIndex) -> Op[T]:
        """``l.pop(index)``: RPOP or LPOP, or one script."""
        place = clipped(machine_sized(index))

        def decode(reply: bytes | int) -> T:
            if isinstance(reply, int):
                raise IndexError("pop index out of range" if reply else self.EMPTY)
            return self.values.decode(reply)

        if place in {0, -1}:
            return self.pop_end("RPOP" if place else "LPOP")
        return self._script("list_pop", place, marker(), 1, decode=decode)

    def sort(self, key: Callable[[T], Any] | None, reverse: bool) -> Program[None]:
        """``l.sort(key=key, reverse=reverse)``: read, sort in Python, have the server arrange what it holds."""
        read: Op[tuple[list[bytes], list[T]]] = self._op(
            "LRANGE", 0, -1, decode=lambda reply: (reply, self.values.decode_many(reply))
        )
        for attempt in range(TRIES):
            raws, values = yield read
            ranks = values if key is None else [key(value) for value in values]
            order = sorted(range(len(ranks)), key=ranks.__getitem__, reverse=reverse)
            if order == list(range(len(order))):
                return
            digest = hashlib.sha1(b"".join(b"%d:%b" % (len(raw), raw) for raw in raws), usedforsecurity=False)
            packed = struct.pack(f"<{len(order)}I", *order)
            if (yield self._script("list_permute", digest.hexdigest().encode(), packed, decode=truth)):
                return
            yield Pause(random.random() * min(0.05, 0.001 * (attempt + 1)))
        raise ConcurrentEditError(message="the list was changed by somebody else at each attempt; nothing was sorted")

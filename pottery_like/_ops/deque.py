"""RedisDeque's operations: those of a Redis list, bounded or not, and what only ``deque`` has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsIndex, TypeVar

from pottery_like._core.op import Done, Op, Program, Task, ok
from pottery_like._ops.sequence import SequenceOps, machine_sized
from pottery_like.codecs import Codec

T = TypeVar("T")


def checked_maxlen(maxlen: int | None) -> int | None:
    """Return ``maxlen``.

    :raises TypeError: neither an integer nor None.
    :raises ValueError: negative.
    """
    if maxlen is None:
        return None
    if not isinstance(maxlen, int):
        raise TypeError("an integer is required")
    if machine_sized(maxlen) < 0:
        raise ValueError("maxlen must be non-negative")
    return int(maxlen)


class DequeOps(SequenceOps[T]):
    """What can be done with a deque in Redis."""

    KIND = "deque"
    ASSIGNED_OUT_OF_RANGE = "deque index out of range"
    EMPTY = "pop from an empty deque"
    BAD_INDEX = "sequence index must be integer, not '{}'"

    def __init__(self, key: bytes, codec: Codec[T] | None = None, maxlen: int | None = None) -> None:
        super().__init__(key, codec)
        self.maxlen = maxlen

    def fill_bounded(self, elements: Iterable[T], name: str) -> Program[None]:
        """Fill a new deque, or check that an existing one is no longer than ``maxlen``: LLEN."""
        encoded = self._encoded(elements)
        return self.create("RPUSH", encoded, 1) if encoded or self.maxlen is None else self._check_length(name)

    def _check_length(self, name: str) -> Program[None]:
        length = yield self.size()
        if self.maxlen is not None and length > self.maxlen:
            raise IndexError(f"persistent {name} beyond its maximum size")

    def rotate(self, steps: SupportsIndex) -> Task[None]:
        """``d.rotate(steps)``: LMOVE for one step, else one script."""
        number = machine_sized(steps)
        if number == 0:
            return Done(None)
        if number in {1, -1}:
            ends = (b"RIGHT", b"LEFT") if number == 1 else (b"LEFT", b"RIGHT")
            return Op("LMOVE", (self.key, self.key), ends, ok, False)
        return self._script("deque_rotate", str(number).encode(), decode=ok)

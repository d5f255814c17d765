"""RedisSimpleQueue's operations: a list, its elements through the codec."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from pottery_like._core.elements import Values
from pottery_like._core.op import Op, Program, Take, Wait, ok
from pottery_like._ops.common import KeyOps, count
from pottery_like.codecs import Codec
from pottery_like.exceptions import QueueEmptyError

T = TypeVar("T")

TIMEOUT_MAX = 9223372036.0
"""Seconds; the standard library's queues wait no longer either."""

AT_ONCE = 0.001
"""A timeout below this, in seconds, is no wait: the server would take it for none at all."""


def wait_seconds(block: object, timeout: float | None) -> float:
    """Return how long a call waits, from the standard library's two arguments.

    :raises TypeError: ``timeout`` isn't a number.
    :raises ValueError: it is negative or NaN.
    :raises OverflowError: it is larger than the standard library's queues allow.
    """
    if not block:
        return 0.0
    if timeout is None:
        return math.inf
    if not isinstance(timeout, int | float):
        raise TypeError(f"'timeout' must be a number of seconds, not {type(timeout).__name__}")
    if math.isnan(timeout):
        raise ValueError("'timeout' must not be NaN")
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return float(timeout)


def seconds(value: float) -> bytes:
    """Return a time as a blocking command takes it."""
    return b"%.3f" % value


class SimpleQueueOps(KeyOps, Generic[T]):
    """What can be done with a FIFO queue in Redis."""

    def __init__(self, key: bytes, codec: Codec[T] | None = None) -> None:
        super().__init__(key)
        self.values: Values[T] = Values(codec)

    def put(self, item: T) -> Op[None]:
        """``q.put(item)``: RPUSH."""
        return self._op("RPUSH", self.values.encode(item), decode=ok, idempotent=False)

    def get(self, block: object, timeout: float | None) -> Program[T]:
        """``q.get(block, timeout)``: LPOP; where there is nothing and time to wait, BLPOP."""
        left = wait_seconds(block, timeout)
        if left < AT_ONCE:
            item = yield Take(self._op("LPOP", decode=self._taken, idempotent=False), self._put_back)
        else:
            item = yield Take(self._op("LPOP", decode=self._perhaps, idempotent=False), self._put_back)
            if item is None:
                item = yield Wait(self._blocked, left, lambda reply: self._put_back(reply[1]))
        value: T = item[0]
        return value

    def _taken(self, reply: bytes | None) -> tuple[T]:
        if reply is None:
            raise QueueEmptyError(message="the queue is empty")
        return (self.values.decode(reply),)

    def _perhaps(self, reply: bytes | None) -> tuple[T] | None:
        return None if reply is None else (self.values.decode(reply),)

    def _blocked(self, left: float) -> Op[tuple[T]]:
        return self._op(
            "BLPOP",
            seconds(left),
            decode=lambda reply: self._taken(None if reply is None else reply[1]),
            idempotent=False,
        )

    def _put_back(self, reply: bytes | None) -> Op[None] | None:
        return None if reply is None else self._op("LPUSH", reply, decode=ok, idempotent=False)

    def size(self) -> Op[int]:
        """``q.qsize()``: LLEN."""
        return self._op("LLEN", decode=count)

    def empty(self) -> Op[bool]:
        """``q.empty()``: LLEN."""
        return self._op("LLEN", decode=lambda reply: not reply)

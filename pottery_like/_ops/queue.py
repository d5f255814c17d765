"""RedisQueue's operations: sorted sets, and lists to wait on, changed by scripts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from pottery_like._core.elements import Values
from pottery_like._core.keys import sibling
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Argument, Done, Op, Program, Take, Task, Wait, ok
from pottery_like._ops.common import KeyOps, count, milliseconds, truth
from pottery_like._ops.simplequeue import AT_ONCE, seconds, wait_seconds
from pottery_like.codecs import Codec
from pottery_like.exceptions import LeaseLostError, QueueEmptyError, QueueFullError

T = TypeVar("T")
R = TypeVar("R")

RECHECK = 10.0
"""Seconds after which who waits looks again unasked, in case whoever was woken in its place has died."""

DATA = ("ready", "delayed", "leased", "dead")
TOKENS = ("wake", "room", "idle")
"""The names of the queue's further keys, in the order in which the scripts know them."""


class QueueCounts(NamedTuple):
    """How many items a queue has.

    :ivar ready: could be taken now.
    :ivar delayed: are not due yet.
    :ivar leased: are being worked on under a lease.
    :ivar dead: are dead letters.
    :ivar unfinished: were put and are neither acknowledged, nor reported by task_done(), nor dead.
    """

    ready: int
    delayed: int
    leased: int
    dead: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """An item that was handed out.

    :ivar item: the item.
    :ivar number: by which the queue knows it.
    :ivar attempts: how often it was handed out under a lease.
    """

    item: T
    number: bytes
    attempts: int


def attempt_limit(limit: int | None) -> int:
    """Return ``max_attempts`` as the scripts take it: 0 for no limit.

    :raises TypeError: not an int.
    :raises ValueError: less than 1.
    """
    if limit is None:
        return 0
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"max_attempts must be an int or None, not {type(limit).__name__}")
    if limit < 1:
        raise ValueError(f"max_attempts must be at least 1, not {limit}")
    return limit


def _size_limit(maxsize: int) -> int:
    if not isinstance(maxsize, int):
        raise TypeError(f"maxsize must be an int, not {type(maxsize).__name__}")
    return max(0, maxsize)


def _delay(delay: float | timedelta) -> int:
    return 0 if delay in (0, timedelta()) else milliseconds(delay, "delay")


def _priority(priority: float) -> bytes:
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        raise TypeError(f"priority must be a number, not {type(priority).__name__}")
    number = float(priority)
    if not math.isfinite(number):
        raise ValueError(f"priority must be finite, not {priority}")
    return b"%.17g" % number


class QueueOps(KeyOps, Generic[T]):
    """What can be done with a task queue in Redis."""

    def __init__(
        self, key: bytes, codec: Codec[T] | None = None, maxsize: int = 0, max_attempts: int | None = None
    ) -> None:
        super().__init__(key)
        self.values: Values[T] = Values(codec)
        self.maxsize = _size_limit(maxsize)
        self.max_attempts = attempt_limit(max_attempts)
        self.data = (key, *(sibling(key, name) for name in DATA))
        self.dead = self.data[-1]
        self.wake, self.room, self.idle = (sibling(key, name) for name in TOKENS)
        self.keys = (*self.data, self.wake, self.room, self.idle)

    def _call(self, name: str, *args: Argument, decode: Callable[[Any], R], idempotent: bool = False) -> Op[R]:
        return Op(script(f"queue_{name}"), self.keys, args, decode, idempotent)

    def put(
        self, item: T, block: object, timeout: float | None, delay: float | timedelta, priority: float
    ) -> Program[None]:
        """``q.put(item, block, timeout)``: one script; when there is no room and time to wait, BLPOP and again."""
        left = wait_seconds(block, timeout if self.maxsize else None)
        args = (self.values.encode(item), _priority(priority), _delay(delay), self.maxsize)
        deadline = time.monotonic() + left
        woken = False
        while not (yield self._put(args, left >= AT_ONCE, woken)):
            if left < AT_ONCE:
                raise QueueFullError(key=self.key.decode(), message="the queue is full")
            woken = yield self._notice(self.room, min(left, RECHECK))
            left = deadline - time.monotonic()

    def _put(self, args: tuple[Argument, ...], waits: bool, woken: bool) -> Op[bool]:
        return self._call("put", *args, int(waits), int(woken), round(RECHECK * 1000), decode=truth)

    def _notice(self, token: bytes, left: float) -> Wait[bool]:
        def pop(slice_: float) -> Op[bool]:
            return Op("BLPOP", (token,), (seconds(slice_),), lambda reply: reply is not None, False)

        return Wait(pop, left, lambda _: Op("RPUSH", (token,), (b"1",), ok, False), notice=True)

    def get(self, block: object, timeout: float | None, lease: float | timedelta | None) -> Program[Taken[T]]:
        """``q.get(block, timeout)``: one script; where there is nothing and time to wait, BLPOP and again."""
        left = wait_seconds(block, timeout)
        leased = 0 if lease is None else milliseconds(lease, "lease")
        deadline = time.monotonic() + left
        woken = False
        while True:
            found = yield Take(self._take(leased, woken), self._restore)
            if isinstance(found, Taken):
                return found
            if left < AT_ONCE:
                raise QueueEmptyError(key=self.key.decode(), message="the queue is empty")
            woken = yield self._notice(self.wake, min(left, RECHECK, found))
            left = deadline - time.monotonic()

    def _take(self, lease: int, woken: bool) -> Op[Taken[T] | float]:
        args = (lease, self.max_attempts, int(woken), round(RECHECK * 1000))
        return self._call("take", *args, decode=self._taken)

    def _taken(self, reply: Any) -> Taken[T] | float:
        if isinstance(reply, int):
            return reply / 1000 if reply >= 0 else math.inf
        name, content, attempts = reply
        return Taken(self.values.decode(content), name[:14], int(attempts))

    def _restore(self, reply: Any) -> Op[None] | None:
        return None if isinstance(reply, int) else self._call("restore", *reply, decode=ok)

    def acknowledge(self, taken: Taken[T]) -> Op[None]:
        """Finish an item that was taken under a lease: one script."""
        return self._call("ack", taken.number, taken.attempts, decode=_held, idempotent=True)

    def release(self, taken: Taken[T], delay: float | timedelta) -> Op[bool]:
        """Give an item back; whether it is in the queue again, and not a dead letter: one script."""
        args = (taken.number, taken.attempts, _delay(delay), self.max_attempts)
        return self._call("release", *args, decode=_in_queue)

    def extend(self, taken: Taken[T], lease: float | timedelta) -> Op[None]:
        """Let a lease end so long from now: one script."""
        args = (taken.number, taken.attempts, milliseconds(lease, "lease"))
        return self._call("extend", *args, decode=_held, idempotent=True)

    def task_done(self) -> Op[None]:
        """``q.task_done()``: one script."""

        def decode(reply: int) -> None:
            if not reply:
                raise ValueError("task_done() called too many times")

        return self._call("done", decode=decode)

    def join(self) -> Program[None]:
        """``q.join()``: HMGET; while tasks are unfinished, BLMOVE of the token that says that none is."""
        # Moved onto its own list the token stays for the next who waits, until something is put.
        move = (b"LEFT", b"LEFT")
        while (yield self._op("HMGET", b"puts", b"done", decode=_unfinished)):
            wait = Wait(
                lambda left: Op("BLMOVE", (self.idle, self.idle), (*move, seconds(left)), truth, False),
                RECHECK,
                lambda _: None,
                notice=True,
            )
            if (yield wait):
                return

    def size(self) -> Op[int]:
        """``q.qsize()``: one script."""
        return self._call("size", decode=count, idempotent=True)

    def empty(self) -> Op[bool]:
        """``q.empty()``: one script."""
        return self._call("size", decode=lambda reply: not reply, idempotent=True)

    def full(self) -> Task[bool]:
        """``q.full()``: one script."""
        if not self.maxsize:
            return Done(False)
        return self._call("size", decode=lambda reply: bool(reply >= self.maxsize), idempotent=True)

    def counts(self) -> Op[QueueCounts]:
        """All numbers at once: one script."""
        return self._call("counts", decode=lambda reply: QueueCounts(*reply), idempotent=True)

    def revive(self, limit: int, priority: float) -> Program[int]:
        """Put dead letters back into the queue, in chunks: one script each."""
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit must be an int, not {type(limit).__name__}")
        revived = 0
        while revived < limit:
            chunk = min(CHUNK, limit - revived)
            moved = yield self._call("revive", chunk, _priority(priority), decode=count)
            revived += moved
            if moved < chunk:
                break
        return revived

    def clear(self) -> Op[None]:
        """Remove everything: one script."""
        return self._call("clear", decode=ok, idempotent=True)

    def expire(self, ttl: float | timedelta) -> Op[bool]:
        """Let all keys expire; whether there is something to expire."""
        return self._call("expire", milliseconds(ttl), decode=truth, idempotent=True)

    def persist(self) -> Op[bool]:
        """Cancel the expiry; whether there was one."""
        return self._call("expire", -1, decode=truth)

    def copy_to(self, target: bytes) -> Op[None]:
        """Copy all keys but the tokens."""
        data = (*self.data, *QueueOps[T](target).data)
        return Op(script("queue_copy"), data, (), ok, True)


def _held(reply: int) -> None:
    if not reply:
        raise LeaseLostError(message="the lease has run out, and the item has gone back to the queue")


def _in_queue(reply: int) -> bool:
    _held(reply)
    return reply == 1


def _unfinished(reply: Any) -> bool:
    puts, done = (int(number or 0) for number in reply)
    return puts > done

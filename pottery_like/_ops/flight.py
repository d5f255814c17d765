"""One computation at a time: the lease on a cache's missing entry, and what its waiters do.

Who misses asks for the entry and for the lease on its computation in one exchange, computes, and stores in a
second one, which gives the lease back.  Who finds the lease taken waits: for a flight of its own process without
the server, else on a list of the holder's, at most until the lease ends.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from pottery_like._core.keys import sibling
from pottery_like._core.lua import script
from pottery_like._core.op import Op, Take, Wait, ok
from pottery_like._ops.common import milliseconds
from pottery_like._ops.simplequeue import AT_ONCE, seconds

T = TypeVar("T")

LEASE = 10.0
"""Seconds that a dead computation delays the others, unless something else is asked for."""

RECHECK = 10.0
"""Seconds after which who waits looks again unasked, in case the server has forgotten the lease."""

AGAIN = b"+"
FAILED = b"!"
"""What the holder's list says: look again; or: the computation failed, so don't wait for another one."""

LEAD = b""
"""What the first of a process to wait is told: wait on the server, for all of them."""

_process = b""
_numbers = count()


def _renew() -> None:
    global _process
    _process = os.urandom(8).hex().encode()


_renew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def new_token() -> bytes:
    """Return what no lease in any process has been taken with."""
    return b"%s%x" % (_process, next(_numbers))


@dataclass(slots=True)
class Hit:
    """An entry that is there.

    :ivar raw: its bytes.
    :ivar ttl: seconds until it expires; ``math.inf`` for never, or where nobody needs to know.
    """

    raw: bytes
    ttl: float = math.inf


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease on an entry's computation.

    :ivar token: by which the server knows it.
    :ivar old: the bytes that may be served if the computation fails.
    """

    token: bytes
    old: bytes | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else computes the entry.

    :ivar holder: its token.
    :ivar left: seconds until its lease ends.
    """

    holder: bytes
    left: float


Found = Hit | Lease | Busy


class Entry(Protocol):
    """An entry as the engine needs it, wherever it lives."""

    @property
    def lease(self) -> int:
        """Return for how many milliseconds a lease on it is taken."""
        ...

    def look(self, token: bytes, woken: tuple[bytes, bytes] | None = None) -> Op[Found]:
        """Look it up, and take the lease where it is missing.

        :param woken: the token whose list woke the caller, and the notice that was there.
        """
        ...

    def store(self, token: bytes, value: Any, took: float) -> Op[bytes | None] | None:
        """Store what was computed in so many seconds, and give the lease back.

        Nothing is stored where a later computation has stored already, or the entry has been invalidated.

        The operation's result: the bytes that others may share; None when nothing was stored.  No operation: the value
        is not to be stored.

        :raises TypeError: or ValueError, the codec can't carry ``value``.
        """
        ...

    def release(self, token: bytes, notice: bytes) -> Op[None]:
        """Give the lease back without a value."""
        ...

    def wake(self, token: bytes) -> bytes:
        """Return the key of the list on which the waiters for this token's flight wait."""
        ...


class KeyEntry:
    """An entry that is a Redis string of its own; how it is stored is its kind's own matter.

    Whoever removes or overwrites the key makes a computation in progress void by deleting ``flights`` too.

    :param key: the key.
    :param flights: the key of the lease.
    :param lease: seconds.
    """

    __slots__ = ("_lease", "flights", "key", "row")

    def __init__(self, key: bytes, flights: bytes, lease: float) -> None:
        self.key = key
        self.flights = flights
        self.row = b""
        self._lease = milliseconds(lease, "lease")

    @property
    def lease(self) -> int:
        """Return for how many milliseconds a lease on it is taken."""
        return self._lease

    def wake(self, token: bytes) -> bytes:
        """Return the key of the list on which the waiters for this token's flight wait."""
        return sibling(self.key, "wake:" + token.decode())

    def look(self, token: bytes, woken: tuple[bytes, bytes] | None = None) -> Op[Found]:
        """Look it up, and take the lease where it is missing: one script."""
        keys = (self.key, self.flights) if woken is None else (self.key, self.flights, self.wake(woken[0]))
        notice = b"" if woken is None else woken[1]

        def decode(reply: Any) -> Found:
            if isinstance(reply, int):
                return Lease(token)
            first, left, *other = reply
            if other:
                return Busy(first, left / 1000)
            return Hit(first, left / 1000 if left >= 0 else math.inf)

        # A second run finds the lease its own.
        return Op(script("flight_get"), keys, (self.row, token, self.lease, notice), decode, True)

    def release(self, token: bytes, notice: bytes) -> Op[None]:
        """Give the lease back without a value: one script."""
        keys = (self.flights, self.wake(token))
        return Op(script("flight_release"), keys, (self.row, token, notice), ok, True)


@dataclass(frozen=True, slots=True)
class Compute:
    """Call the function; the step's result is its own, or :class:`Raised`."""


@dataclass(frozen=True, slots=True)
class Store:
    """Store a result: an operation that others of this process may have an eye on.

    The step's result is the operation's, or :class:`Unstored`.
    """

    op: Op[bytes | None]


@dataclass(frozen=True, slots=True)
class Look(Take[Any]):
    """Look an entry up.

    :param back: returns what gives back the lease that an interrupted look may have got.
    """

    back: Callable[[], Op[None]]


@dataclass(frozen=True, slots=True)
class Raised:
    """What the function raised.  Handed over, as a generator can't let every exception through."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Unstored:
    """Why a result couldn't be stored.

    :ivar answered: the server says so; else it can't be reached, and need not be told that the flight is over.
    """

    error: Exception
    answered: bool


@dataclass(frozen=True, slots=True)
class Depart:
    """Let this process's other callers know that the flight is one of its own.

    :param token: the flight's.
    :param undo: runs when the caller is interrupted or cancelled.
    """

    token: bytes
    undo: Op[None]


@dataclass(frozen=True, slots=True)
class Join:
    """Wait for a flight together with this process's other callers.

    The step's result is what :class:`Land` brings them, AGAIN when that took too long; or LEAD for the first of them,
    which waits on the server and must end its part with :class:`Land`.

    :param token: the flight's.
    :param seconds: how long at most.
    """

    token: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Land:
    """Tell this process's other callers that the flight is over.

    :param token: the flight's.
    :param found: what they may share; else AGAIN or FAILED.
    :param late: others may have taken over meanwhile, so whoever waits for any flight is to look again.
    """

    token: bytes
    found: Hit | bytes
    late: bool = False


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a flight brings: an entry's bytes, or the function's own result.

    :ivar hit: the bytes; None when this caller has called the function.
    :ivar value: the function's result, where there are no bytes.
    :ivar stored: the entry's bytes, if that result is the entry now.
    :ivar error: what the function raised.  There may be bytes all the same: an old value.
    :ivar failure: what storing the result ended in.
    :ivar away: that came from the server or the way to it.
    """

    hit: Hit | None = None
    value: T | None = None
    stored: bytes | None = None
    error: Exception | None = None
    failure: Exception | None = None
    away: bool = False


Step = Op[Any] | Look | Wait[Any] | Compute | Store | Depart | Join | Land

Flight = Generator[Step, Any, Outcome[T]]
"""A program that needs, beside the server, the function and the process's other callers."""

computing: ContextVar[frozenset[bytes]] = ContextVar("computing", default=frozenset())
"""The flights whose functions have called, directly or not, what runs now: it can't wait for them."""


def look(entry: Entry, woken: tuple[bytes, bytes] | None = None) -> Look:
    """Look an entry up; who is cancelled meanwhile gives the lease back."""
    token = new_token()
    op = entry.look(token, woken)

    def undo(reply: Any) -> Op[None] | None:
        return entry.release(token, AGAIN) if isinstance(op.decode(reply), Lease) else None

    return Look(op, undo, partial(entry.release, token, AGAIN))


def fetch(entry: Entry, max_wait: float = math.inf, share: bool = True, found: Found | None = None) -> Flight[Any]:
    """Find the entry, or compute it: alone, or after having waited for whoever does.

    Exchanges: one for a hit, two for a miss, two more for each wait.  When the function fails, those who have waited
    for it compute without any further waiting.

    :param max_wait: seconds to wait for others; then it computes too, and the result is not stored.
    :param share: whether callers of one process may use one reply.
    :param found: what a look has brought already.
    """
    deadline = time.monotonic() + max_wait
    woken: tuple[bytes, bytes] | None = None
    now: Found = found or (yield look(entry))
    while True:
        if woken is not None:
            yield Land(woken[0], now if share and isinstance(now, Hit) else woken[1])
            woken = None
        if isinstance(now, Hit):
            return Outcome(now)
        if isinstance(now, Lease):
            return (yield from compute(entry, now, share))
        holder, left = now.holder, deadline - time.monotonic()
        if left < AT_ONCE or holder in computing.get():
            return _own((yield Compute()))
        left = max(AT_ONCE, min(left, now.left, RECHECK))
        notice = yield Join(holder, left)
        if isinstance(notice, Hit):
            return Outcome(notice)
        if notice is LEAD:
            notice = yield _notice(entry.wake(holder), left)
            woken = None if notice is None else (holder, notice)
            if notice is None:
                yield Land(holder, AGAIN)
        if notice == FAILED:
            deadline = -math.inf
        now = yield look(entry, woken)


def _notice(wake: bytes, left: float) -> Wait[bytes | None]:
    def pop(slice_: float) -> Op[bytes | None]:
        return Op("BLPOP", (wake,), (seconds(slice_),), lambda reply: reply and reply[1], False)

    return Wait(pop, left, lambda reply: Op("RPUSH", (wake,), (reply[1],), ok, False), notice=True)


def _own(made: Any) -> Outcome[Any]:
    return Outcome(error=made.error) if isinstance(made, Raised) else Outcome(value=made)


def compute(entry: Entry, lease: Lease, share: bool = True) -> Flight[Any]:
    """Compute the entry under a lease, store the result, and give the lease back.

    :param share: whether callers of one process may use what was stored without asking for it.
    """
    token = lease.token
    yield Depart(token, entry.release(token, AGAIN))
    started = time.monotonic()
    made = yield Compute()
    took = time.monotonic() - started
    if isinstance(made, Raised):
        yield from _give_up(entry, token)
        return Outcome(None if lease.old is None else Hit(lease.old), error=made.error)
    try:
        op = entry.store(token, made, took)
    except Exception as failure:
        yield from _give_up(entry, token)
        return Outcome(value=made, failure=failure)
    if op is None:
        yield from _give_up(entry, token)
        return Outcome(value=made)
    raw = yield Store(op)
    if isinstance(raw, Unstored):
        yield from _give_up(entry, token, raw.answered)
        return Outcome(value=made, failure=raw.error, away=True)
    yield Land(token, Hit(raw) if share and raw is not None else AGAIN, late=took * 1000 >= entry.lease)
    return Outcome(value=made, stored=raw)


def _give_up(entry: Entry, token: bytes, reachable: bool = True) -> Generator[Step, Any, None]:
    try:
        if reachable:
            yield entry.release(token, FAILED)
    except RecursionError:
        # Who runs the flight gives back what hasn't landed, when the stack isn't full any more.
        return
    except Exception:
        # Whether or not the server hears it: the lease's end says it too.
        pass
    yield Land(token, FAILED)

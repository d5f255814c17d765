"""Exchanges with several independent masters, and waiting for a message, as steps of a program."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pottery_like._core.op import Op, Pause

T = TypeVar("T")


@dataclass(slots=True)
class Ask:
    """Send to every master, then read from every master.

    The step's result is a list with an entry for each master: the operation's result, a :class:`Repeated` one, the
    exception that it ended in, or :data:`UNASKED`.

    :param ops: one operation for each master, in the masters' order; None where there is nothing to ask.
    :param timeout: seconds that the slowest master may take.
    :param enough: whether the results so far will do.  Then masters that were silent just now aren't asked.  None asks
        every master.
    :param hasty: once there is enough, wait for the others only a little longer: what happens there stays unknown.
    :param again: makes what is sent instead, once, when a connection broke before the reply came; None sends nothing.
    :param undo: makes what is sent behind it, and not waited for, when the reply doesn't come in time.
    :param spare: don't ask masters that were silent just now, even where there isn't enough without them.
    """

    ops: tuple[Op[Any] | None, ...]
    timeout: float
    enough: Callable[[Collection[Any]], bool] | None = None
    hasty: bool = False
    again: Callable[[], tuple[Op[Any] | None, ...]] | None = None
    undo: Callable[[], tuple[Op[Any], ...]] | None = None
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Repeated:
    """The result of an operation that was sent a second time: it may have run twice.

    :param result: what the second run answered.
    """

    result: Any


class _Unasked:
    def __repr__(self) -> str:
        return "UNASKED"


UNASKED = _Unasked()


@dataclass(frozen=True, slots=True)
class Listen:
    """Expect messages to a token, and see to it that this process listens to its masters.

    The step's result is a tuple with the channel on which each master reaches the process; empty where it can't.

    :param token: what the messages will begin with.
    :param connect: set up what is missing; else only say what there is.
    """

    token: str
    connect: bool


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for a message to a token; the result is what it says after the token, or None when none came in time.

    An empty message means that some may have been lost.

    :param seconds: how long.
    :param last: expect no other message after one that isn't empty.
    """

    token: str
    seconds: float
    last: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Expect no more messages to a token."""

    token: str


Step = Ask | Listen | Await | Forget | Pause
Dialogue = Generator[Step, Any, T]
"""A program for several masters: yields steps, is sent their results, returns its own."""


def majority(masters: int) -> int:
    """Return how many of ``masters`` are a quorum: any two quorums share a master.

    >>> [majority(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return masters // 2 + 1


def drift(lease: float) -> float:
    """Return by how many seconds the clocks may disagree about the end of a lease: 1 % and 2 ms."""
    return lease * 0.01 + 0.002


def patience(lease: float, masters: int) -> float:
    """Return how many seconds a master may take to answer about a lock with this lease.

    With several masters, a silent one must cost little of the lease; with one there is nobody else to ask.
    """
    return min(1.0, max(0.1, lease / 20)) if masters > 1 else min(5.0, max(0.1, lease / 2))


def failures(replies: Sequence[Any]) -> list[Exception]:
    """Return the exceptions among the masters' replies."""
    return [reply for reply in replies if isinstance(reply, Exception)]


def seconds(value: object, name: str) -> float:
    """Check a duration.

    :raises TypeError: not a number.
    :raises ValueError: NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{name} must not be NaN")
    return value

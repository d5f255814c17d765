"""Questions to several independent masters at once, as values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pottery_like._core.op import Op, Pause

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One operation, sent to several masters together.

    :param op: the operation.
    :param settled: whether the results so far decide the matter.  Once they do, masters that are late are not
        waited for much longer, and masters that have lately been silent are not asked at all: what happens on those
        stays unknown.  None waits for every master, each within its timeout.
    :param among: the masters to ask, by index; None asks all of them.
    :param instead: other operations for some of the masters, by index.
    """

    op: Op[T]
    settled: Callable[[Collection[T]], bool] | None = None
    among: frozenset[int] | None = None
    instead: Mapping[int, Op[T]] = field(default_factory=dict)

    def to(self, index: int) -> Op[T]:
        """Return the operation for one master."""
        return self.instead.get(index, self.op) if self.instead else self.op


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What the masters said.  Each master asked, by its index, is in one of the two.

    :param results: the operation's results.
    :param errors: what it raised instead.  ``OutcomeUnknownError`` means that it may have run all the same.
    """

    results: dict[int, T]
    errors: dict[int, Exception]


Consultation = Generator["Ask[Any] | Pause", Any, T]
"""Work with several masters: yields questions and waits, is sent the answers, returns its own result."""


def majority(masters: int) -> int:
    """Return how many of ``masters`` are a quorum: any two quorums share a master.

    >>> [majority(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return masters // 2 + 1

"""NextID: how ids are reserved, on one master or on a quorum of several."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pottery_like._core.dialogue import UNASKED, Ask, Dialogue, majority
from pottery_like._core.keys import container_key
from pottery_like._core.lua import script
from pottery_like._core.op import Op, Pause, ok
from pottery_like.exceptions import DecodeError, QuorumIsImpossible, QuorumNotAchieved

PREFIX = "nextid:"

LAST = 2**63 - 1
"""Redis counts no further."""

FAILURE_SECONDS = 0.02
"""How long to wait, at most, before masters that failed are tried again."""

RACES = 1000
"""How many races one try may lose.  Nobody loses so many, unless two of the masters are one under two names."""

TIMEOUT = 1.0
"""Seconds to wait for one master among several, where its client doesn't say less."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What the masters said.  Each master asked, by its index, is in one of the two.

    :param results: the operation's results.
    :param errors: what it raised instead.  ``OutcomeUnknownError`` means that it may have run all the same.
    """

    results: dict[int, T]
    errors: dict[int, Exception]


class NextIDOps:
    """Operations on one sequence of ids.

    :param key: the sequence's name, without the prefix.
    :param raise_on_redis_errors: whether to give up at once when too many masters fail.
    :param num_tries: how often a quorum is sought before giving up.
    :param block: how many ids to reserve at once.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: an argument out of range.
    """

    def __init__(self, key: str, raise_on_redis_errors: bool, num_tries: int, block: int) -> None:
        self.key = PREFIX + container_key(key).decode()
        self.num_tries = _positive("num_tries", num_tries)
        self.raise_on_redis_errors = bool(raise_on_redis_errors)
        self.block = _positive("block", block)
        if block > LAST:
            raise ValueError(f"block must be at most {LAST}, not {block}")
        self._keys = (self.key.encode(),)
        # When the reply is lost, the runner may send it again: that skips ids, and gives none out twice.
        increment = ("INCR", ()) if block == 1 else ("INCRBY", (block,))
        self._draw: Op[int] = Op(increment[0], self._keys, increment[1], self._drawn, True)
        self._read = Op("GET", self._keys, (), _current, True)
        self._drawing = 0
        self._delete: Op[None] = Op("DEL", self._keys, (), ok, True)

    def reserve(self, masters: tuple[Any, ...]) -> Dialogue[range]:
        """Reserve the next block of ids.

        :param masters: the clients, for the exceptions to name.
        :raises QuorumNotAchieved: too few masters answered, in all tries.
        :raises QuorumIsImpossible: the same, where the user asked for it.
        :raises OverflowError: the sequence has come to its end.
        """
        if len(masters) == 1:
            return self._count(masters)
        return self._agree(masters)

    def reset(self, masters: tuple[Any, ...]) -> Dialogue[None]:
        """Start anew at 1.

        :raises QuorumNotAchieved: a master failed.  It keeps its counter, so the sequence may go on from there.
        :raises QuorumIsImpossible: too many failed, where the user asked for it.
        """
        answers = yield from self._ask((self._delete,) * len(masters))
        if answers.errors:
            raise self._failure(masters, answers)

    def _count(self, masters: tuple[Any, ...]) -> Dialogue[range]:
        answers: Answers[int] = yield from self._ask((self._draw,))
        if answers.errors:
            raise self._failure(masters, answers)
        last = answers.results[0]
        return range(last - self.block + 1, last + 1)

    def _agree(self, masters: tuple[Any, ...]) -> Dialogue[range]:
        quorum = majority(len(masters))
        tries = self.num_tries
        while True:
            drawing = self._drawing
            ops = [self._read] * len(masters)
            ops[drawing] = self._draw
            answers: Answers[int] = yield from self._ask(ops, lambda results: len(results) >= quorum)
            if len(answers.results) >= quorum:
                outcome = yield from self._claim(len(masters), drawing, answers)
                if isinstance(outcome, range):
                    return outcome
                answers = outcome
            tries -= 1
            failure = self._failure(masters, answers)
            if tries <= 0 or not isinstance(failure, QuorumNotAchieved):
                raise failure
            yield Pause(random.random() * FAILURE_SECONDS)

    def _ask(
        self, ops: Iterable[Op[T] | None], enough: Callable[[Collection[T]], bool] | None = None
    ) -> Dialogue[Answers[T]]:
        replies = yield Ask(tuple(ops), TIMEOUT, enough, enough is not None)
        answers: Answers[T] = Answers({}, {})
        for index, reply in enumerate(replies):
            if isinstance(reply, Exception):
                answers.errors[index] = reply
            elif reply is not UNASKED:
                answers.results[index] = reply
        return answers

    def _claim(self, masters: int, drawing: int, read: Answers[int]) -> Dialogue[range | Answers[Any]]:
        # One master draws the ids, so that clients at work together have different ones; then the others are raised.
        # A master grants a block when its counter goes, in one step, from below the block to the block's end.  So no
        # master grants an id twice, and of two quorums one master is in both.  A master that failed in this call is
        # not waited for again.
        counters = dict(read.results)
        self._drawing = min(counters)
        last = counters.pop(drawing, 0)
        others = set(counters)
        floor = max(counters.values())
        errors = read.errors
        quorum = majority(masters)
        for _ in range(RACES):
            if floor > last - self.block:
                drawing = min(read.results)
                above = self._draw_above(floor)
                drawn = yield from self._ask([above if index == drawing else None for index in range(masters)])
                if drawn.errors:
                    return Answers({}, {**errors, **drawn.errors})
                last, others = drawn.results[drawing], set(read.results) - {drawing}
            claim = self._raise(last - self.block, last)
            answers = yield from self._ask(
                [claim if index in others else None for index in range(masters)], self._settled(quorum, len(others))
            )
            refusals = [result for result in answers.results.values() if result is not None]
            if 1 + len(answers.results) - len(refusals) >= quorum:
                return range(last - self.block + 1, last + 1)
            if not refusals:
                return Answers(answers.results, {**errors, **answers.errors})
            # Clients that drew later have overtaken this one.
            floor = max(refusals)
        return Answers({}, errors)

    def _settled(self, quorum: int, asked: int) -> Callable[[Collection[int | None]], bool]:
        def settled(results: Collection[int | None]) -> bool:
            won = sum(result is None for result in results)
            return won + 1 >= quorum or len(results) - won > asked + 1 - quorum

        return settled

    def _draw_above(self, floor: int) -> Op[int]:
        args = (str(floor).encode(), self.block)
        return Op(script("nextid_draw"), self._keys, args, self._drawn, True)

    def _raise(self, base: int, last: int) -> Op[int | None]:
        args = (str(base).encode(), str(last).encode())
        return Op(script("nextid_claim"), self._keys, args, _refusal, False)

    def _drawn(self, reply: Any) -> int:
        last = int(reply)
        if last < self.block:
            raise DecodeError(message=f"value {last - self.block} is not an id")
        return last

    def _failure(self, masters: tuple[Any, ...], answers: Answers[Any]) -> Exception:
        errors = tuple(answers.errors.values())
        failure: Exception
        if any("would overflow" in str(error) for error in errors):
            failure = OverflowError(f"ids end at {LAST}")
        else:
            impossible = self.raise_on_redis_errors and len(errors) > len(masters) - majority(len(masters))
            failure = (QuorumIsImpossible if impossible else QuorumNotAchieved)(self.key, frozenset(masters), errors)
        failure.__cause__ = errors[0] if errors else None
        return failure


class Sequence:
    """What an object that hands out ids knows, in either world."""

    def _configure(self, key: str, raise_on_redis_errors: bool, num_tries: int, block: int) -> None:
        self._options: dict[str, Any] = {
            "key": key,
            "raise_on_redis_errors": raise_on_redis_errors,
            "num_tries": num_tries,
            "block": block,
        }
        self._ops = NextIDOps(**self._options)

    @property
    def key(self) -> str:
        """The Redis key."""
        return self._ops.key

    @property
    def raise_on_redis_errors(self) -> bool:
        """Whether too many failing masters raise QuorumIsImpossible at once."""
        return self._ops.raise_on_redis_errors

    @property
    def num_tries(self) -> int:
        """How often to try while too few masters answer."""
        return self._ops.num_tries

    @property
    def block(self) -> int:
        """How many ids are reserved at once."""
        return self._ops.block

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key}>"


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value


def _current(reply: bytes | None) -> int:
    if reply is None:
        return 0
    if not reply.isdigit():
        raise DecodeError(message="value is not an id", raw=reply)
    return int(reply)


def _refusal(reply: bytes | None) -> int | None:
    return None if reply is None else int(reply)

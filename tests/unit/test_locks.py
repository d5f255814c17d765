"""The locks' dialogues without a server: argv out, replies in."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import redis

from pottery_like._core.dialogue import Ask, Await, Forget, Listen, Repeated, drift, majority, patience
from pottery_like._ops.holds import Hold, Holds, now
from pottery_like._ops.lock_handle import wait_of
from pottery_like._ops.locks import NO_LINE, Answer, Locking, LockOps
from pottery_like.exceptions import (
    ExtendUnlockedLock,
    PrimitiveError,
    QuorumIsImpossible,
    QuorumNotAchieved,
    ReleaseUnlockedLock,
    TooManyExtensions,
)

HELD, FULL = Answer(True), Answer(False, left=9.0, holder="x" * 32)


def locking(masters: int) -> Locking:
    return Locking(LockOps("k", fenced=masters == 1), ["m"] * masters, 10.0)


def talk(dialogue: Any, *results: Any) -> tuple[list[Any], Any]:
    """Return the steps of a dialogue, and its result; ``results`` answer the Ask steps in turn."""
    steps, left, answer = [], list(results), None
    try:
        while True:
            step = dialogue.send(answer)
            steps.append(step)
            answer = left.pop(0) if isinstance(step, Ask) and left else None
            if isinstance(step, Listen):
                answer = ("",)
    except StopIteration as stop:
        return steps, stop.value


def test_arithmetic() -> None:
    assert [majority(count) for count in range(1, 6)] == [1, 2, 2, 3, 3]
    assert drift(10) == pytest.approx(0.102)
    assert patience(10, 5) == 0.5
    assert patience(10, 1) == 5


def test_free() -> None:
    steps, hold = talk(locking(1).acquire(0, raising=False), [Answer(True, fence="7")])
    assert hold.fence == 7
    assert not hold.lost
    ((op,),) = [step.ops for step in steps]
    assert op.keys == (b"redlock:k", b"{redlock:k}:waiters", b"{redlock:k}:fence")
    assert op.args == (hold.token.encode(), 10000, b"", b"")
    assert not op.idempotent
    assert steps[0].again()[0].args == (hold.token.encode(), 10000, b"", b"1")


def test_refused_without_waiting_sends_nothing_more() -> None:
    steps, hold = talk(locking(1).acquire(0, raising=False), [FULL])
    assert hold is None
    assert len(steps) == 1


@pytest.mark.parametrize(
    "answers", [[HELD, FULL, FULL], [HELD, FULL, ConnectionError()], [FULL, FULL, ConnectionError()]]
)
def test_partial_grants_are_undone(answers: list[Any]) -> None:
    steps, hold = talk(locking(3).acquire(0, raising=False), answers, [True, False, False])
    assert hold is None
    assert [step.ops[0].name for step in steps] == ["lock_acquire", "lock_release"]
    assert len(steps[1].ops) == 3


def test_majority_is_enough() -> None:
    _, hold = talk(locking(3).acquire(0, raising=False), [HELD, ConnectionError(), HELD])
    assert hold is not None
    assert hold.fence is None


def test_errors_are_counted() -> None:
    errors = [HELD, ConnectionError(), ConnectionError()]
    with pytest.raises(QuorumIsImpossible) as caught:
        talk(locking(3).acquire(0, raising=True), errors, [True, True, True])
    assert caught.value.redis_errors == errors[1:]


def test_waiting_ends_with_an_undo() -> None:
    steps, hold = talk(locking(1).acquire(0.001, raising=False), *[[FULL]] * 100)
    assert hold is None
    assert isinstance(steps[0], Listen)
    assert isinstance(steps[-2], Forget)
    assert steps[-1].ops[0].name == "lock_release"
    assert all(step.seconds <= 0.001 for step in steps if isinstance(step, Await))


def test_where_there_was_a_line_it_is_joined() -> None:
    made = locking(1)
    line = Answer(False, left=-1)

    def names(*answers: list[Any]) -> list[str]:
        dialogue, left, asked = made.acquire(None, raising=False), list(answers), []
        step = next(dialogue)
        try:
            while True:
                if isinstance(step, Ask):
                    asked.append(step.ops[0].name)
                    if not left:
                        return asked
                    step = dialogue.send(left.pop(0))
                else:
                    step = dialogue.send(("channel",) if isinstance(step, Listen) else "7")
        except StopIteration:
            return asked

    assert names([Answer(False, left=9)]) == ["lock_acquire"]
    assert names([line]) == ["lock_acquire"]
    assert names([line]) == ["RPUSHX"]
    # Lost and repeated, it is the script that says whether it stands in the line already.
    assert names([Repeated(line)]) == ["RPUSHX"]
    assert names([NO_LINE], [HELD]) == ["RPUSHX", "lock_acquire"]
    assert names([Answer(False, left=9)]) == ["lock_acquire"]


def test_interrupted_is_undone() -> None:
    dialogue = locking(1).acquire(None, raising=False)
    assert isinstance(next(dialogue), Listen)
    assert isinstance(dialogue.send(("",)), Ask)
    assert isinstance(dialogue.throw(KeyboardInterrupt()), Forget)
    assert dialogue.send(None).ops[0].name == "lock_release"  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        dialogue.send([True])


def hold_of(seconds: float = 10) -> Hold:
    parting = (LockOps("k", fenced=True).release("t" * 32, ""),)
    return Hold("t" * 32, locking(1).ask(parting), now() + seconds, None)


def test_release_twice_counts_once() -> None:
    talk(locking(1).release(hold_of(), raising=False), [Repeated(False)])
    talk(locking(1).release(hold_of(-1), raising=False), [True])
    for hold, reply in [(hold_of(), False), (hold_of(-1), Repeated(False)), (hold_of(), ConnectionError())]:
        with pytest.raises(ReleaseUnlockedLock):
            talk(locking(1).release(hold, raising=False), [reply])


def test_extend() -> None:
    hold = hold_of(1)
    talk(locking(1).extend(hold, raising=False), [Repeated(True)])
    assert hold.until > now() + 9
    with pytest.raises(ExtendUnlockedLock):
        talk(locking(1).extend(hold, raising=False), [ConnectionError()])
    assert not hold.lost
    with pytest.raises(ExtendUnlockedLock):
        talk(locking(1).extend(hold, raising=False), [False])
    assert hold.lost


def test_left_asks_a_majority() -> None:
    assert talk(locking(3).left(hold_of(), raising=False), [5000, 0, 0])[1] == 0
    assert 4 < talk(locking(3).left(hold_of(), raising=False), [5000, 9000, ConnectionError()])[1] < 5
    assert talk(locking(3).left(None, raising=False)) == ([], 0)


def test_everybody_gives_up_his_own() -> None:
    holds = Holds(lambda owner: owner != "dead")
    mine, late, other = hold_of(), hold_of(-1), hold_of()
    mine.owner, late.owner, other.owner = "me", "you", "they"
    for hold in (mine, late, other):
        holds.add(hold)
    assert holds.find("me") is mine
    assert holds.find("you") is late, "a late release must not hit the next holder"
    assert holds.find("somebody") is other
    assert holds.own("somebody") is None
    assert holds.leave("me") is None
    other.entered = True
    assert holds.leave("me") is other
    newer = hold_of()
    newer.owner = "you"
    holds.add(newer)
    assert holds.find("you") is newer
    holds.remove(newer)
    assert holds.own("you") is None, "what had ended was forgotten"


@pytest.mark.parametrize("kind", [QuorumNotAchieved, QuorumIsImpossible, ReleaseUnlockedLock, TooManyExtensions])
def test_errors_cross_to_other_processes(kind: type[PrimitiveError]) -> None:
    error = kind("redlock:x", (redis.Redis(),), (redis.ConnectionError("gone"),))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.key, str(again)) == (kind, "redlock:x", str(error))
    assert isinstance(again.redis_errors[0], redis.ConnectionError)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((True, -1), None),
        ((False, -1), 0),
        ((True, 0), 0),
        ((True, 2.5), 2.5),
        ((1, 3), 3),
        ((True, threading.TIMEOUT_MAX), threading.TIMEOUT_MAX),
    ],
)
def test_waits(arguments: tuple[Any, Any], expected: float | None) -> None:
    assert wait_of(*arguments) == expected


@pytest.mark.parametrize("timeout", [True, False, 0, -1, 0.0, 2, -2, "1", None, math.nan, Decimal(1), Fraction(1)])
@pytest.mark.parametrize("blocking", [True, False])
def test_timeouts_are_those_of_threading(blocking: bool, timeout: Any) -> None:
    def kind(function: Callable[..., Any]) -> type[Exception] | None:
        try:
            function(blocking, timeout)
        except Exception as error:
            return type(error)
        return None

    assert kind(wait_of) == kind(threading.Lock().acquire)

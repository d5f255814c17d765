"""The lock's operations, and the dialogues with its masters: acquiring, extending, giving up.

A token is made for each acquisition and is all that identifies it, so every script may run twice.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pottery_like._core.dialogue import (
    Ask,
    Await,
    Dialogue,
    Forget,
    Listen,
    Repeated,
    drift,
    failures,
    majority,
    patience,
)
from pottery_like._core.keys import container_key, sibling
from pottery_like._core.lua import script
from pottery_like._core.op import Op, Ready
from pottery_like._ops.holds import Hold, now
from pottery_like.exceptions import (
    ExtendUnlockedLock,
    QuorumIsImpossible,
    ReleaseUnlockedLock,
    WrongTypeError,
)

PREFIX = "redlock"
POLL = 0.1
"""Seconds between attempts where nobody will send a message."""
LONGEST = 30.0
"""Seconds after which a waiter tries again, whatever the holder's lease: a message may have been lost."""
PROMPT = 0.05
"""A waiter whose message comes within this part of its lease needs no second exchange."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A master's answer to an attempt.

    :param held: whether the token holds the lock there now.
    :param fence: the fencing token, if so.
    :param left: else the seconds until the present lease ends; negative when that never comes, or isn't known.
    :param holder: else whose it is, when known.
    """

    held: bool
    fence: str = ""
    left: float = 0.0
    holder: str = ""


def answered(reply: Any) -> Answer:
    """Decode the reply to an attempt."""
    if isinstance(reply, bytes):
        return Answer(True, fence=reply.decode())
    left, holder = reply
    return Answer(False, left=left / 1000, holder=holder.decode(errors="replace"))


NO_LINE = Answer(False)
"""The answer to who wanted to join the line, and found none."""


def queued(reply: int) -> Answer:
    """Decode the number of those who stand in the line now."""
    return Answer(False, left=-1) if reply else NO_LINE


class LockOps:
    """What is sent about one key.

    :param name: the key, without the prefix.
    :param fenced: whether acquisitions are numbered: with one master.
    """

    _SCRIPTS = ("lock_acquire", "lock_release", "lock_extend", "lock_left")

    def __init__(self, name: str, *, fenced: bool) -> None:
        self.key = container_key(f"{PREFIX}:{name}") if container_key(name) else b""
        self._keys: tuple[bytes, ...] = (self.key, sibling(self.key, "waiters"))
        if fenced:
            self._keys += (sibling(self.key, "fence"),)
        self._acquire, self._release, self._extend, self._left = map(script, self._SCRIPTS)

    def entry(self, token: str, lease: int, channel: str) -> str:
        """Return what stands for a waiter in the line; empty without a channel."""
        return f"{token} {lease} {channel}" if channel else ""

    def acquire(self, token: str, lease: int, channel: str, *, again: bool) -> Op[Answer]:
        """Take the lock, or join the line if there is a channel."""
        return Op(
            self._acquire, self._keys, (token.encode(), lease, channel.encode(), b"1" if again else b""),
            answered, False,
        )  # fmt: skip

    def join(self, token: str, lease: int, channel: str) -> Op[Answer] | None:
        """Join the line if there is one, which takes no script; None where it takes one."""
        return Op("RPUSHX", self._keys[1:2], (self.entry(token, lease, channel).encode(),), queued, False)

    def release(self, token: str, entry: str) -> Op[bool]:
        """Give the lock to the first in the line, or free it; and leave the line."""
        return Op(self._release, self._keys, (token.encode(), entry.encode()), bool, False)

    def extend(self, token: str, lease: int) -> Op[bool]:
        """Let the lease begin anew."""
        return Op(self._extend, self._keys[:1], (token.encode(), lease), bool, True)

    def left(self, token: str) -> Op[int]:
        """Return the milliseconds until the lease ends."""
        return Op(self._left, self._keys[:1], (token.encode(),), int, True)


class Locking:
    """The dialogues about one lock.

    :param ops: what is sent.
    :param masters: the masters, for the exceptions.
    :param lease: seconds.
    :ivar timeout: seconds that a master may take to answer.
    :ivar crowded: whether there was a line the last time: the next one to come joins it, and asks for nothing else.
    """

    def __init__(self, ops: LockOps, masters: Sequence[Any], lease: float) -> None:
        self.ops = ops
        self.masters = masters
        self.lease = lease
        self._count = len(masters)
        self._quorum = majority(self._count)
        self.timeout = patience(lease, self._count)
        self.crowded = False

    @property
    def _milliseconds(self) -> int:
        return int(self.lease * 1000)

    def acquire(self, timeout: float | None, *, raising: bool) -> Dialogue[Hold | None]:
        """Acquire the lock.

        :param timeout: seconds to wait; 0 to try once; None to wait for as long as it takes.
        :param raising: raise QuorumIsImpossible when too many masters fail.
        """
        waiter = _Waiter(self, timeout)
        try:
            hold = yield from waiter.run(raising)
        except GeneratorExit:
            raise
        except BaseException:
            yield from waiter.give_up()
            raise
        if hold is None:
            yield from waiter.give_up()
        elif waiter.expecting:
            yield Forget(waiter.token)
        return hold

    def release(self, hold: Hold, *, raising: bool) -> Dialogue[None]:
        """Give up an acquisition; once more, if that failed because masters did."""
        once_more, sure = hold.released, not hold.gone and now() < hold.until
        hold.released = True
        try:
            replies = yield hold.parting
        except GeneratorExit:
            raise
        except BaseException:
            yield hold.parting
            raise
        # A second run finds the lock given up.  While the lease lasted, only the first run can have done that.
        given = [
            _result(reply) is True or (_result(reply) is False and sure and (once_more or isinstance(reply, Repeated)))
            for reply in replies
        ]
        if sum(given) < self._quorum:
            self.check(replies, raising)
            raise ReleaseUnlockedLock(self.ops.key.decode(), self.masters, failures(replies))

    def extend(self, hold: Hold, *, raising: bool) -> Dialogue[None]:
        """Let the lease begin anew."""
        started = now()
        replies = yield self.ask(self.renewal(hold))
        if not self.renewed(hold, started, replies):
            self.check(replies, raising)
            raise ExtendUnlockedLock(self.ops.key.decode(), self.masters, failures(replies))

    def ask(
        self,
        ops: tuple[Op[Any], ...],
        again: Callable[[], tuple[Op[Any], ...]] | None = None,
        timeout: float | None = None,
        undo: Callable[[], tuple[Op[Any], ...]] | None = None,
        *,
        spare: bool = False,
    ) -> Ask:
        """Return the step that sends these operations.

        :param again: what is sent instead when a connection broke; None: the same.
        :param timeout: seconds, if less than usual.
        :param undo: what is sent behind them to a master that is silent.
        :param spare: whether not to wait for masters that were silent just now.
        """
        return Ask(ops, timeout or self.timeout, self._enough, False, again or (lambda: ops), undo, spare)

    def _enough(self, results: Collection[Any]) -> bool:
        return len(results) >= self._quorum

    def renewal(self, hold: Hold) -> tuple[Op[bool], ...]:
        """Return what lets the lease begin anew."""
        return (self.ops.extend(hold.token, self._milliseconds),) * self._count

    def renewed(self, hold: Hold, started: float, replies: Sequence[Any]) -> bool:
        """Note what the masters answered to a renewal; whether the lease began anew."""
        results = [_result(reply) for reply in replies]
        if sum(result is True for result in results) >= self._quorum:
            hold.until = max(hold.until, started + self.lease - drift(self.lease))
            return True
        if sum(result is False for result in results) > self._count - self._quorum:
            hold.gone = not hold.released
        return False

    def left(self, hold: Hold | None, *, raising: bool) -> Dialogue[float]:
        """Return the seconds for which a quorum says that the lease will last."""
        if hold is None:
            return 0
        started = now()
        ops = (self.ops.left(hold.token),) * self._count
        replies = yield self.ask(ops)
        left = sorted((result for result in map(_result, replies) if isinstance(result, int)), reverse=True)
        if len(left) < self._quorum:
            self.check(replies, raising)
            return 0
        return max(0, left[self._quorum - 1] / 1000 - drift(self.lease) - (now() - started))

    def check(self, replies: Sequence[Any], raising: bool) -> None:
        """Raise what can't be mended by waiting."""
        errors = failures(replies)
        if len(errors) > self._count - self._quorum:
            for error in errors:
                if isinstance(error, WrongTypeError):
                    raise error
            if raising:
                raise QuorumIsImpossible(self.ops.key.decode(), self.masters, errors)


def _result(reply: Any) -> Any:
    return reply.result if isinstance(reply, Repeated) else reply


class _Waiter:
    """One call of acquire()."""

    def __init__(self, locking: Locking, timeout: float | None) -> None:
        self._locking = locking
        self._ops = locking.ops
        self._lease = locking.lease
        self._deadline = None if timeout is None else now() + timeout
        self._waits = timeout is None or timeout > 0
        self._count = len(locking.masters)
        self._quorum = majority(self._count)
        self._channels: tuple[str, ...] = ("",) * self._count
        self._used: tuple[str, ...] = self._channels
        self._listened = -1.0
        self._clear = True
        self._failed = False
        self._splits = 0
        self.token = secrets.token_hex(16)
        self.expecting = False

    @property
    def _milliseconds(self) -> int:
        return int(self._lease * 1000)

    def run(self, raising: bool) -> Dialogue[Hold | None]:
        """Try until the lock is held (or the time is over: None)."""
        again = False
        while True:
            if self._waits:
                # Each time anew: a server that was restarted, for one, has to be listened to again.
                self.expecting = True
                self._channels = yield Listen(self.token, False)
            started = now()
            replies = yield self._attempt(again)
            answers = [_result(reply) for reply in replies]
            if not again and self._count == 1:
                answer = answers[0]
                self._locking.crowded = isinstance(answer, Answer) and answer.left < 0
                if answer is NO_LINE:
                    continue
            again = True
            held = [each for each in answers if isinstance(each, Answer) and each.held]
            if len(held) >= self._quorum:
                hold = self._hold(started, held[0].fence)
                if not hold.lost:
                    return hold
            self._failed = bool(failures(answers))
            self._clear = not held and not self._failed
            self._locking.check(answers, raising)
            if not self._waits or self._left() <= 0:
                return None
            if (yield from self._line_up(answers)):
                continue
            split = bool(held) and not self._decided(answers)
            pause = self._pause(answers, len(held), split)
            # All that can be done before the lock comes is: others are waiting behind this one.
            hold = self._hold(started, "", ready=True)
            message = yield Await(self.token, pause, self._count == 1)
            if message and self._count == 1:
                self.expecting = False
                if now() - started <= self._lease * PROMPT:
                    hold.fence = int(message) if message.isdigit() else None
                    return hold
            if split and message is None:
                yield from self._unravel()

    def give_up(self) -> Dialogue[None]:
        """Undo what was granted, and leave the line."""
        if self.expecting:
            yield Forget(self.token)
        if self._waits or not self._clear:
            yield from self._undo(self._leaving(self._entries()))

    def _attempt(self, again: bool) -> Ask:
        timeout = None
        if self._deadline is not None and self._waits:
            timeout = min(self._locking.timeout, max(0.05, self._left()))
        milliseconds = self._milliseconds

        def ops(again: bool = True) -> tuple[Op[Any], ...]:
            return tuple(
                self._ops.acquire(self.token, milliseconds, channel, again=again) for channel in self._channels
            )

        def undo() -> tuple[Op[bool], ...]:
            return self._leaving(self._entries())

        self._clear = False
        # Where it has once joined the line it may still stand there when nobody listens any more.
        self._used = tuple(new or old for new, old in zip(self._channels, self._used, strict=True))
        if self._locking.crowded and not again and self._channels[0]:
            joining = self._ops.join(self.token, milliseconds, self._channels[0])
            if joining is not None:
                return self._locking.ask((joining,), ops, timeout, undo)
        return self._locking.ask(ops(again), ops, timeout, undo)

    def _hold(self, started: float, fence: str, *, ready: bool = False) -> Hold:
        parting = self._leaving(self._entries())
        if ready:
            parting = tuple(map(Ready.of, parting))
        until = started + self._lease - drift(self._lease)
        return Hold(self.token, self._locking.ask(parting), until, int(fence) if fence.isdigit() else None)

    def _entries(self) -> tuple[str, ...]:
        return tuple(self._ops.entry(self.token, self._milliseconds, channel) for channel in self._used)

    def _left(self) -> float:
        return LONGEST if self._deadline is None else self._deadline - now()

    def _line_up(self, answers: Sequence[Any]) -> Dialogue[bool]:
        missing = [
            not channel and isinstance(answer, Answer) for channel, answer in zip(self._channels, answers, strict=True)
        ]
        if not any(missing) or now() - self._listened < 1:
            return False
        self._listened = now()
        before = self._channels
        self._channels = yield Listen(self.token, True)
        return self._channels != before

    def _pause(self, answers: Sequence[Any], held: int, split: bool) -> float:
        waits = []
        for channel, answer in zip(self._channels, answers, strict=True):
            if isinstance(answer, Answer) and not answer.held:
                # A holder that isn't this library's frees the lock without a word.
                told = channel and answer.holder and "-" not in answer.holder
                left = LONGEST if answer.left < 0 else answer.left + random.uniform(0.001, 0.003)
                waits.append(left if told else min(left, random.uniform(POLL / 2, POLL)))
        missing = self._quorum - held
        pause = sorted(waits)[missing - 1] if 0 < missing <= len(waits) else random.uniform(POLL / 2, POLL * 2)
        if split:
            pause = min(pause, random.uniform(0.001, 0.01))
        return max(0.0, min(pause, LONGEST, self._left()))

    def _decided(self, answers: Sequence[Any]) -> bool:
        holders = Counter(each.holder[:32] for each in answers if isinstance(each, Answer) and each.holder)
        return any(count >= self._quorum for count in holders.values())

    def _unravel(self) -> Dialogue[None]:
        """Where several waiters hold a part each, and nobody a quorum, let go of this one's part now and then."""
        self._splits += 1
        if self._splits % 2 == 0:
            yield from self._undo(self._leaving(("",) * self._count))
            pause = max(0.0, min(self._left(), random.uniform(0, 0.01) * min(self._splits, 20)))
            yield Await(self.token, pause, False)

    def _leaving(self, entries: tuple[str, ...]) -> tuple[Op[bool], ...]:
        return tuple([self._ops.release(self.token, entry) for entry in entries])

    def _undo(self, ops: tuple[Op[bool], ...]) -> Dialogue[None]:
        # Masters that have just been silent were sent this then: waiting for them would only take time.
        yield self._locking.ask(ops, spare=self._failed)

"""A lock that processes on many machines share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, TypeVar

from typing_extensions import Self

from pottery_like._core.dialogue import Dialogue
from pottery_like._io import servers
from pottery_like._io.dialogues import CLIENTS, Conductor, renewer
from pottery_like._ops.holds import Hold
from pottery_like._ops.lock_handle import AUTO_RELEASE_TIME, NUM_EXTENSIONS, LockHandle, wait_of
from pottery_like.exceptions import ExtendUnlockedLock, QuorumNotAchieved, ReleaseUnlockedLock, TooManyExtensions

T = TypeVar("T")

_log = logging.getLogger("pottery_like")


def _alive(thread: threading.Thread) -> bool:
    return thread.is_alive()


class Redlock(LockHandle):
    """``threading.Lock`` for threads, processes and machines: on one Redis master, or on a majority of several.

    >>> lock = Redlock(key="printer", masters=[redis])
    >>> with lock:
    ...     print(lock.locked() > 9)  # seconds left
    True
    >>> lock.locked()
    0

    The lock is held for a lease: it is released by itself ``auto_release_time`` seconds after it was acquired or last
    extended, so that a process that dies holding it doesn't keep it for ever.  ``lost`` tells whether that happened.

    :param key: names what the lock protects.  The Redis key is ``redlock:`` and this.
    :param masters: independent masters, each a client, a URL, or a dict of ``host``, ``port`` and so on.  The lock is
        held while more than half of them agree.  Omitted, the default server.
    :param raise_on_redis_errors: raise ``QuorumIsImpossible`` when half of the masters or more fail, instead of
        waiting for them (``acquire``) or reporting that nothing was achieved (the others).
    :param auto_release_time: the lease in seconds.
    :param num_extensions: how often :meth:`extend` may extend an acquisition.
    :param context_manager_blocking: whether ``with`` waits for the lock.
    :param context_manager_timeout: for how many seconds ``with`` waits; -1: for as long as it takes.
    :param auto_extend: renew the lease in the background, every third of it, until the lock is released.
    :param on_lost: with ``auto_extend``, called with this object, in a thread of its own, when a lease couldn't be
        renewed and has ended.
    :param reentrant: a thread that holds the lock through this object may acquire it again, and releases it as often.
    :raises ValueError: a lease that isn't positive and finite; a timeout together with not blocking.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(
        self,
        *,
        key: str,
        masters: Iterable[Any] = (),
        raise_on_redis_errors: bool = False,
        auto_release_time: float = AUTO_RELEASE_TIME,
        num_extensions: int = NUM_EXTENSIONS,
        context_manager_blocking: bool = True,
        context_manager_timeout: float = -1,
        auto_extend: bool = False,
        on_lost: Callable[[Any], object] | None = None,
        reentrant: bool = False,
    ) -> None:
        super().__init__(
            key=key,
            masters=servers.masters(masters, CLIENTS),
            raise_on_redis_errors=raise_on_redis_errors,
            auto_release_time=auto_release_time,
            num_extensions=num_extensions,
            context_manager_blocking=context_manager_blocking,
            context_manager_timeout=context_manager_timeout,
            auto_extend=auto_extend,
            on_lost=on_lost,
            reentrant=reentrant,
            alive=_alive,
        )
        self._made_conductor: Conductor | None = None
        self.lost_event = threading.Event()
        """Set when a lease that is renewed by ``auto_extend`` was lost; cleared by the next acquisition."""

    @property
    def _conductor(self) -> Conductor:
        conductor = self._made_conductor
        if conductor is None:
            conductor = self._made_conductor = Conductor(self._sources, self._ops.key, self._locking.timeout)
        return conductor

    def _conduct(self, dialogue: Dialogue[T]) -> T:
        return self._conductor.conduct(dialogue)

    def _owner(self) -> threading.Thread:
        return threading.current_thread()

    def acquire(self, blocking: bool = True, timeout: float = -1, *, raise_on_redis_errors: bool | None = None) -> bool:
        """Acquire the lock; return whether it was acquired.  1 round trip to each master, if nobody has it.

        Waiting takes no further exchanges: who releases the lock hands it to the first in the line.  A waiter looks
        for himself when the holder's lease ends.

        :param blocking: whether to wait.
        :param timeout: for how many seconds; -1: for as long as it takes.
        :param raise_on_redis_errors: instead of the object's own.
        :raises ValueError: a negative timeout; a timeout together with not blocking.
        :raises QuorumIsImpossible: half of the masters or more failed, and ``raise_on_redis_errors`` is set.
        """
        return self._acquired(wait_of(blocking, timeout), raise_on_redis_errors) is not None

    def _acquired(
        self, wait: float | None, raise_on_redis_errors: bool | None, *, entered: bool = False
    ) -> Hold | None:
        owner = self._owner()
        if self._reentered():
            return self._holds.own(owner)
        hold = self._conduct(self._locking.acquire(wait, raising=self._raising(raise_on_redis_errors)))
        if hold is not None:
            hold.owner, hold.entered = owner, entered
            self._holds.add(hold)
            if self.lost_event.is_set():
                self.lost_event.clear()
            if self.auto_extend:
                renewer(self._conductor.ways).keep(hold, self._locking, self._tell)
        return hold

    def _tell(self) -> None:
        self.lost_event.set()
        if self._on_lost is not None:
            # Not in the thread that renews the others: it may take its time there, or end its thread.
            threading.Thread(target=self._call, args=(self._on_lost,), name="pottery_like on_lost", daemon=True).start()

    def _call(self, on_lost: Callable[[Any], object]) -> None:
        try:
            on_lost(self)
        except BaseException:  # sys.exit() would end the thread without a word
            _log.exception("on_lost of %r failed", self)

    def release(self, *, raise_on_redis_errors: bool | None = None) -> None:
        """Release the lock.  1 round trip to each master.

        As with ``threading.Lock``, another thread than the holder may do it; but never does one that has acquired
        the lock itself, and lost it, release another's.

        :raises ReleaseUnlockedLock: it isn't held through this object, or the lease has ended; or half of the masters
            or more failed, which its ``redis_errors`` tell: then it may be released once more.
        :raises QuorumIsImpossible: the same, where ``raise_on_redis_errors`` is set.
        """
        hold = self._mine()
        if hold is None:
            raise ReleaseUnlockedLock(self.key, self.masters)
        self._give_up(hold, raise_on_redis_errors)

    def _give_up(self, hold: Hold, raise_on_redis_errors: bool | None) -> None:
        if self._left_again(hold):
            return
        if self.auto_extend:
            renewer(self._conductor.ways).drop(hold)
        self._conduct(self._parting(hold, raise_on_redis_errors))

    def extend(self, *, raise_on_redis_errors: bool | None = None) -> None:
        """Let the lease begin anew: ``auto_release_time`` seconds from now.  1 round trip to each master.

        :raises TooManyExtensions: it was extended ``num_extensions`` times already.
        :raises ExtendUnlockedLock: it isn't held.
        :raises QuorumIsImpossible: half of the masters or more failed, and ``raise_on_redis_errors`` is set.
        """
        hold = self._mine()
        if hold is None:
            raise ExtendUnlockedLock(self.key, self.masters)
        if hold.extensions >= self.num_extensions:
            raise TooManyExtensions(self.key, self.masters)
        self._conduct(self._locking.extend(hold, raising=self._raising(raise_on_redis_errors)))
        hold.extensions += 1

    def locked(self, *, raise_on_redis_errors: bool | None = None) -> float:
        """Return the seconds for which this object still holds the lock, 0 when it doesn't.  1 round trip to each.

        Asks the masters, so that 0 means: do not go on.  Who else may hold the lock it doesn't say.

        :raises QuorumIsImpossible: half of the masters or more failed, and ``raise_on_redis_errors`` is set.
        """
        return self._conduct(self._locking.left(self._mine(), raising=self._raising(raise_on_redis_errors)))

    def __enter__(self) -> Self:
        if self._acquired(self._wait, None, entered=True) is None:
            raise QuorumNotAchieved(self.key, self.masters)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Release the lock.  A lease that ended meanwhile doesn't hide the exception that the block raised.

        :raises ReleaseUnlockedLock: the block raised nothing, and the lease had ended: others may have been inside.
        """
        hold = self._holds.leave(self._owner())
        try:
            if hold is None:
                raise ReleaseUnlockedLock(self.key, self.masters)
            self._give_up(hold, None)
        except Exception:
            if error is None:
                raise
        return False

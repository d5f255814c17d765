"""A lock that processes on many machines share: :mod:`pottery_like.redlock`, awaited."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, TypeVar

from typing_extensions import Self

from pottery_like._core.dialogue import Dialogue
from pottery_like._io import servers
from pottery_like._io.aio_dialogues import CLIENTS, Conductor, renewer, spawn
from pottery_like._ops.holds import Hold
from pottery_like._ops.lock_handle import AUTO_RELEASE_TIME, NUM_EXTENSIONS, LockHandle, wait_of
from pottery_like.exceptions import ExtendUnlockedLock, QuorumNotAchieved, ReleaseUnlockedLock, TooManyExtensions

T = TypeVar("T")

_log = logging.getLogger("pottery_like")


def _alive(task: asyncio.Task[Any] | None) -> bool:
    return task is not None and not task.done()


class AIORedlock(LockHandle):
    """``asyncio.Lock`` for tasks, processes and machines: on one Redis master, or on a majority of several.

    >>> async def main():
    ...     lock = AIORedlock(key="shower", masters=[aioredis])
    ...     async with lock:
    ...         print(await lock.locked() > 9)  # seconds left
    ...     print(await lock.locked())
    >>> asyncio.run(main())
    True
    0

    See :class:`pottery_like.Redlock`: the arguments are the same, and one more.  Cancelling a task that acquires or
    releases leaves nothing behind: it takes at most a round trip longer, in which the acquisition is undone or the
    release is finished.

    :param cancel_on_lost: with ``auto_extend``, cancel the task that acquired the lock when its lease is lost.  Before
        Python 3.12, ``asyncio.wait_for`` makes a task of its own for ``acquire()``: use ``acquire(timeout=...)``.
    :param on_lost: as there, called in the event loop; it may be a coroutine function.
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
        cancel_on_lost: bool = False,
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
        self.cancel_on_lost = cancel_on_lost
        self._made_conductor: tuple[asyncio.AbstractEventLoop, Conductor] | None = None
        self.lost_event = asyncio.Event()
        """Set when a lease that is renewed by ``auto_extend`` was lost; cleared by the next acquisition."""

    @property
    def _conductor(self) -> Conductor:
        made, loop = self._made_conductor, asyncio.get_running_loop()
        if made is None or made[0] is not loop:
            # In one piece, as event loops in other threads may use the object too.
            made = self._made_conductor = loop, Conductor(self._sources, self._ops.key, self._locking.timeout)
        return made[1]

    async def _conduct(self, dialogue: Dialogue[T]) -> T:
        return await self._conductor.conduct(dialogue)

    def _owner(self) -> asyncio.Task[Any] | None:
        return asyncio.current_task()

    async def acquire(
        self, blocking: bool = True, timeout: float = -1, *, raise_on_redis_errors: bool | None = None
    ) -> bool:
        """Acquire the lock; return whether it was acquired.  1 round trip to each master, if nobody has it.

        Waiting takes no further exchanges: who releases the lock hands it to the first in the line.  A waiter looks
        for himself when the holder's lease ends.

        :param blocking: whether to wait.
        :param timeout: for how many seconds; -1: for as long as it takes.
        :param raise_on_redis_errors: instead of the object's own.
        :raises ValueError: a negative timeout; a timeout together with not blocking.
        :raises QuorumIsImpossible: half of the masters or more failed, and ``raise_on_redis_errors`` is set.
        """
        return await self._acquired(wait_of(blocking, timeout), raise_on_redis_errors) is not None

    async def _acquired(
        self, wait: float | None, raise_on_redis_errors: bool | None, *, entered: bool = False
    ) -> Hold | None:
        owner = self._owner()
        if self._reentered():
            return self._holds.own(owner)
        hold = await self._conduct(self._locking.acquire(wait, raising=self._raising(raise_on_redis_errors)))
        if hold is not None:
            hold.owner, hold.entered = owner, entered
            self._holds.add(hold)
            if self.lost_event.is_set():
                self.lost_event.clear()
            if self.auto_extend:
                renewer(self._conductor.ways).keep(hold, self._locking, lambda: self._tell(hold))
        return hold

    def _tell(self, hold: Hold) -> None:
        self.lost_event.set()
        if self.cancel_on_lost and hold.owner is not None:
            hold.owner.cancel()
        if self._on_lost is not None:
            try:
                result = self._on_lost(self)
            except Exception:  # the task must go on renewing the others
                _log.exception("on_lost of %r failed", self)
            else:
                if inspect.isawaitable(result):
                    spawn(result)

    async def release(self, *, raise_on_redis_errors: bool | None = None) -> None:
        """Release the lock.  1 round trip to each master.

        As with ``asyncio.Lock``, another task than the holder may do it; but never does one that has acquired the
        lock itself, and lost it, release another's.

        :raises ReleaseUnlockedLock: it isn't held through this object, or the lease has ended; or half of the masters
            or more failed, which its ``redis_errors`` tell: then it may be released once more.
        :raises QuorumIsImpossible: the same, where ``raise_on_redis_errors`` is set.
        """
        hold = self._mine()
        if hold is None:
            raise ReleaseUnlockedLock(self.key, self.masters)
        await self._give_up(hold, raise_on_redis_errors)

    async def _give_up(self, hold: Hold, raise_on_redis_errors: bool | None) -> None:
        if self._left_again(hold):
            return
        if self.auto_extend:
            renewer(self._conductor.ways).drop(hold)
        await self._conduct(self._parting(hold, raise_on_redis_errors))

    async def extend(self, *, raise_on_redis_errors: bool | None = None) -> None:
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
        await self._conduct(self._locking.extend(hold, raising=self._raising(raise_on_redis_errors)))
        hold.extensions += 1

    async def locked(self, *, raise_on_redis_errors: bool | None = None) -> float:
        """Return the seconds for which this object still holds the lock, 0 when it doesn't.  1 round trip to each.

        Asks the masters, so that 0 means: do not go on.  Who else may hold the lock it doesn't say.

        :raises QuorumIsImpossible: half of the masters or more failed, and ``raise_on_redis_errors`` is set.
        """
        return await self._conduct(self._locking.left(self._mine(), raising=self._raising(raise_on_redis_errors)))

    async def __aenter__(self) -> Self:
        if await self._acquired(self._wait, None, entered=True) is None:
            raise QuorumNotAchieved(self.key, self.masters)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Release the lock.  A lease that ended meanwhile doesn't hide the exception that the block raised.

        :raises ReleaseUnlockedLock: the block raised nothing, and the lease had ended: others may have been inside.
        """
        hold = self._holds.leave(self._owner())
        try:
            if hold is None:
                raise ReleaseUnlockedLock(self.key, self.masters)
            await self._give_up(hold, None)
        except Exception:
            if error is None:
                raise
        return False

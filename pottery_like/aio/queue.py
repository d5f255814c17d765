"""AIORedisQueue: :class:`~pottery_like.RedisQueue` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from pottery_like._io import servers
from pottery_like._io.aio import Client, Runner
from pottery_like._ops.queue import QueueCounts, QueueOps, Taken
from pottery_like.aio.base import AIOContainer
from pottery_like.aio.simplequeue import AIORedisSimpleQueue
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIODelivery(Generic[T]):
    """An item taken from an :class:`AIORedisQueue` under a lease.

    With ``async with`` it yields the item, acknowledges it when the block ends, and puts it back when the block raises.

    :ivar item: the item.
    :ivar attempts: how often it was handed out under a lease, this time included.
    """

    def __init__(self, runner: Runner, ops: QueueOps[T], taken: Taken[T]) -> None:
        self._runner = runner
        self._ops = ops
        self._taken = taken
        self._settled = False
        self.item: T = taken.item
        self.attempts = taken.attempts

    async def acknowledge(self) -> None:
        """Finish the item: it is removed for good, and counts as done for join().  O(log n), 1 round trip, atomic.

        A lease that has ended doesn't matter as long as the item hasn't been claimed by anybody else.

        :raises LeaseLostError: the lease ended, and the item went back to the queue or to somebody else.
        """
        await self._runner.run(self._ops.acknowledge(self._taken))
        self._settled = True

    async def put_back(self, delay: float | timedelta = 0.0) -> bool:
        """Give the item back to its place in the queue.  O(log n), 1 round trip, atomic.

        :param delay: seconds before it is handed out again.
        :returns: False when this was its last attempt, and it is a dead letter now.
        :raises LeaseLostError: the lease ended, and the item is back already.
        :raises OutcomeUnknownError: the reply was lost; if it didn't run, the item comes back when the lease ends.
        """
        back = await self._runner.run(self._ops.release(self._taken, delay))
        self._settled = True
        return back

    async def extend(self, lease: float | timedelta) -> None:
        """Let the lease end so many seconds from now.  O(log n), 1 round trip, atomic.

        :raises LeaseLostError: it has ended, and the item is back in the queue or with somebody else.
        """
        await self._runner.run(self._ops.extend(self._taken, lease))

    async def __aenter__(self) -> T:
        return self.item

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled:
            return
        if kind is None:
            await self.acknowledge()
            return
        try:
            await self.put_back()
        except Exception:
            # The block's own exception is what the caller must see; the end of the lease brings the item back.
            return

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.item!r} attempts={self.attempts}>"


class AIORedisQueue(AIOContainer[QueueOps[T]], Generic[T]):
    """:class:`~pottery_like.RedisQueue` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     tasks = AIORedisQueue(redis=aioredis, key='aio-tasks')
    ...     await tasks.put('write')
    ...     async with tasks.processing(lease=30) as task:
    ...         print(task)
    ...     await tasks.join()
    >>> asyncio.run(main())
    write

    Costs, guarantees and errors are RedisQueue's.  A call that is cancelled while it waits loses nothing: what it had
    taken goes back to its place in the queue before the cancellation goes on.

    :param maxsize: put() waits while the queue has so many items, beside those under a lease; 0 for no limit.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    :param max_attempts: an item that failed so often becomes a dead letter; None for no limit.  Give all consumers
        the same: it is applied by who puts an item back, or claims it from one whose lease ended.
    :raises TypeError: or ValueError, ``maxsize`` or ``max_attempts`` is no such number.
    """

    _OPS = QueueOps

    def __init__(
        self,
        maxsize: int = 0,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
        max_attempts: int | None = None,
    ) -> None:
        source = servers.checked(redis, redis_url, Client)
        self._attach(source, key, codec, maxsize=maxsize, max_attempts=max_attempts)

    @property
    def maxsize(self) -> int:
        """How many items put() leaves room for; 0 for no limit."""
        return self._ops.maxsize

    @property
    def max_attempts(self) -> int | None:
        """After how many attempts an item becomes a dead letter."""
        return self._ops.max_attempts or None

    async def put(
        self,
        item: T,
        block: bool = True,
        timeout: float | None = None,
        *,
        delay: float | timedelta = 0.0,
        priority: float = 0.0,
    ) -> None:
        """Add an item.  O(log n), 1 round trip, atomic; 2 more for each time that it has to wait.

        It is sent once: when the reply is lost, the item may or may not be in the queue.

        :param block: wait while the queue is full.
        :param timeout: wait so many seconds at most; None waits without end.
        :param delay: seconds before the item can be taken.
        :param priority: lower numbers are taken first; equal ones in the order in which they were put.
        :raises QueueFullError: (a ``queue.Full``) there was no room in time.
        :raises ValueError: ``timeout`` or ``delay`` is negative, or ``priority`` is not finite.
        :raises TypeError: or ValueError, the codec can't carry ``item``; nothing is sent.
        :raises OutcomeUnknownError: the reply was lost.
        """
        await self._drive(self._ops.put(item, block, timeout, delay, priority))

    async def put_nowait(self, item: T, *, delay: float | timedelta = 0.0, priority: float = 0.0) -> None:
        """Add an item if there is room: ``put(item, block=False)``."""
        await self._drive(self._ops.put(item, False, None, delay, priority))

    @overload
    async def get(self, block: bool = True, timeout: float | None = None, *, lease: None = None) -> T: ...
    @overload
    async def get(
        self, block: bool = True, timeout: float | None = None, *, lease: float | timedelta
    ) -> AIODelivery[T]: ...
    async def get(self, block: bool = True, timeout: float | None = None, *, lease: Any = None) -> Any:
        """Take the first item of the lowest priority.  O(log n), 1 round trip, atomic; 2 more for each wait.

        A wait takes place on the server, and occupies one connection of the client.  It lasts beyond the client's
        socket timeout and goes on when its connection breaks.  With a lease a lost reply loses nothing: the item
        comes back when the lease ends.

        :param block: wait while no item is ready.
        :param timeout: wait so many seconds at most; None waits without end.
        :param lease: seconds (or a timedelta) within which the item will be acknowledged; longer than the work takes.
        :returns: the item; with a lease a :class:`AIODelivery`.
        :raises QueueEmptyError: (a ``queue.Empty``) no item was ready in time.
        :raises ValueError: ``timeout`` is negative, or ``lease`` isn't positive.
        :raises DecodeError: the item isn't the codec's; the exception's ``raw`` has its bytes.  Without a lease it has
            left the queue; with one it comes back, and after its last attempt is a dead letter.
        :raises OutcomeUnknownError: the reply was lost; without a lease, perhaps the item with it.
        """
        taken = await self._drive(self._ops.get(block, timeout, lease))
        return taken.item if lease is None else AIODelivery(self._runner, self._ops, taken)

    async def get_nowait(self) -> T:
        """Take the first item if one is ready: ``get(block=False)``."""
        return await self.get(block=False)

    @asynccontextmanager
    async def processing(
        self, block: bool = True, timeout: float | None = None, *, lease: float | timedelta
    ) -> AsyncIterator[T]:
        """Take an item for the block: acknowledged when the block ends, put back when it raises.  2 round trips.

        Arguments and exceptions are those of :meth:`get` and :meth:`AIODelivery.acknowledge`.
        """
        async with await self.get(block, timeout, lease=lease) as item:
            yield item

    async def task_done(self) -> None:
        """Report that an item taken without a lease is finished.  O(1), 1 round trip, atomic.

        Items under a lease need no such report: acknowledging them, or giving them up as dead letters, is one.

        :raises ValueError: all items that were put are finished.
        """
        await self._run(self._ops.task_done())

    async def join(self) -> None:
        """Wait until all items that were put are finished.  O(1), 1 round trip; 1 more for each 10 s of waiting."""
        await self._drive(self._ops.join())

    async def qsize(self) -> int:
        """Return how many items are in the queue, delayed ones included.  O(log n), 1 round trip, atomic."""
        return await self._run(self._ops.size())

    async def empty(self) -> bool:
        """Return whether the queue has no items.  O(log n), 1 round trip, atomic."""
        return await self._run(self._ops.empty())

    async def full(self) -> bool:
        """Return whether the queue has ``maxsize`` items.  O(log n), 1 round trip, atomic."""
        return await self._run(self._ops.full())

    async def counts(self) -> QueueCounts:
        """Return how many items are ready, delayed, leased, dead and unfinished.  O(log n), 1 round trip, atomic."""
        return await self._run(self._ops.counts())

    @property
    def dead_letters(self) -> AIORedisSimpleQueue[T]:
        """The items that failed ``max_attempts`` times, oldest first, as a queue of their own."""
        return AIORedisSimpleQueue(redis=self._source, key=self._ops.dead.decode(), codec=self._codec)

    async def revive(self, limit: int = 1000, *, priority: float = 0.0) -> int:
        """Put the oldest dead letters back at the queue's end, their attempts forgotten.

        O(limit * log n), 1 round trip per thousand, each atomic.

        :param limit: how many at most.
        :returns: how many there were.
        """
        return await self._drive(self._ops.revive(limit, priority))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key!r} maxsize={self.maxsize}>"

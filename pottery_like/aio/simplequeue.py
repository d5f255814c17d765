"""AIORedisSimpleQueue: :class:`~pottery_like.RedisSimpleQueue` for asyncio."""

from __future__ import annotations

from typing import Generic, TypeVar

from pottery_like._io.aio import Client
from pottery_like._ops.simplequeue import SimpleQueueOps
from pottery_like.aio.base import AIOContainer
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIORedisSimpleQueue(AIOContainer[SimpleQueueOps[T]], Generic[T]):
    """:class:`~pottery_like.RedisSimpleQueue` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     cheeses = AIORedisSimpleQueue(redis=aioredis, key='aio-cheeses')
    ...     await cheeses.put('stilton')
    ...     print(await cheeses.qsize(), await cheeses.get())
    >>> asyncio.run(main())
    1 stilton

    Costs, guarantees and errors are RedisSimpleQueue's.

    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    """

    _OPS = SimpleQueueOps

    def __init__(
        self,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
    ) -> None:
        super().__init__(redis=redis, key=key, codec=codec, redis_url=redis_url)

    async def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item at the end.  O(1), 1 round trip.

        It is sent once: when the reply is lost, the item may or may not be in the queue.

        :param block: ignored, as there is always room; like ``timeout``.
        :raises TypeError: or ValueError, the codec can't carry ``item``; nothing is sent.
        :raises OutcomeUnknownError: the reply was lost.
        """
        await self._run(self._ops.put(item))

    async def put_nowait(self, item: T) -> None:
        """Add an item at the end: ``put(item)``."""
        await self._run(self._ops.put(item))

    async def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove and return the first item.  O(1), 1 round trip; 2 where it has to wait.

        Waiting, lost connections and errors are as in :meth:`RedisSimpleQueue.get`.  A task that is cancelled (by
        ``asyncio.wait_for``, say) loses nothing: a wait on the server is ended, and an item that was on its way goes
        back to the head of the queue before the cancellation goes on.  Only where the connection breaks meanwhile, or
        the server refuses its user ``CLIENT INFO`` or ``CLIENT UNBLOCK``, may that item be lost.

        :param block: wait while the queue is empty.
        :param timeout: wait so many seconds at most; None waits without end.
        :raises QueueEmptyError: (a ``queue.Empty``) there was no item in time.
        :raises ValueError: ``timeout`` is negative.
        :raises DecodeError: the item isn't the codec's.  It has left the queue; the exception's ``raw`` has its bytes.
        :raises OutcomeUnknownError: the reply was lost, and with it perhaps the item.
        """
        return await self._drive(self._ops.get(block, timeout))

    async def get_nowait(self) -> T:
        """Remove and return the first item, if there is one: ``get(block=False)``."""
        return await self._drive(self._ops.get(False, None))

    async def qsize(self) -> int:
        """Return the number of items, which others may change at any time.  O(1), 1 round trip."""
        return await self._run(self._ops.size())

    async def empty(self) -> bool:
        """Return whether there are no items, which others may change at any time.  O(1), 1 round trip."""
        return await self._run(self._ops.empty())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key!r}>"

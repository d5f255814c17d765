"""RedisSimpleQueue: ``queue.SimpleQueue`` in Redis."""

from __future__ import annotations

from typing import Generic, TypeVar

from pottery_like._io.sync import Client
from pottery_like._ops.simplequeue import SimpleQueueOps
from pottery_like.base import Container
from pottery_like.codecs import Codec

T = TypeVar("T")


class RedisSimpleQueue(Container[SimpleQueueOps[T]], Generic[T]):
    """An unbounded FIFO queue in Redis that works like ``queue.SimpleQueue``, between processes and machines.

    >>> cheeses = RedisSimpleQueue(redis=redis, key='cheeses')
    >>> for cheese in ('stilton', 'brie', 'gouda'):
    ...     cheeses.put(cheese)
    >>> cheeses.qsize()
    3
    >>> cheeses.get()
    'stilton'
    >>> cheeses.get(timeout=1)
    'brie'

    Each item goes to exactly one consumer, and consumers that wait are served in the order in which they came.
    Every method is one round trip and atomic; a get() that finds nothing waits with a second one, on the server.

    Delivery is at most once: an item is removed from the queue as it is handed out, so one that is on its way when
    the connection breaks, or with a consumer that dies, is lost.  Nothing is ever delivered twice, and no second
    item is lost with it.  For items that must survive their consumer there is :class:`RedisQueue`.

    What differs from ``queue.SimpleQueue``: items are what the codec carries, by default JSON.

    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
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

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item at the end.  O(1), 1 round trip.

        It is sent once: when the reply is lost, the item may or may not be in the queue.

        :param block: ignored, as there is always room; like ``timeout``.
        :raises TypeError: or ValueError, the codec can't carry ``item``; nothing is sent.
        :raises OutcomeUnknownError: the reply was lost.
        """
        self._run(self._ops.put(item))

    def put_nowait(self, item: T) -> None:
        """Add an item at the end: ``put(item)``."""
        self._run(self._ops.put(item))

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove and return the first item.  O(1), 1 round trip; 2 where it has to wait.

        A wait takes place on the server, occupies one connection of the client, and may last longer than the
        client's socket timeout.  When its connection breaks, it goes on over a new one, as soon as the server can be
        reached, at the end of the line; one item may have been lost with the old connection, if the server handed it
        out in that moment.  The server is asked to close that connection, if it had answered there at all, so that no
        item goes there later.

        :param block: wait while the queue is empty.
        :param timeout: wait so many seconds at most; None waits without end.
        :raises QueueEmptyError: (a ``queue.Empty``) there was no item in time.
        :raises ValueError: ``timeout`` is negative.
        :raises DecodeError: the item isn't the codec's.  It has left the queue; the exception's ``raw`` has its bytes.
        :raises OutcomeUnknownError: the reply was lost, and with it perhaps the item.
        """
        return self._drive(self._ops.get(block, timeout))

    def get_nowait(self) -> T:
        """Remove and return the first item, if there is one: ``get(block=False)``."""
        return self._drive(self._ops.get(False, None))

    def qsize(self) -> int:
        """Return the number of items, which others may change at any time.  O(1), 1 round trip."""
        return self._run(self._ops.size())

    def empty(self) -> bool:
        """Return whether there are no items, which others may change at any time.  O(1), 1 round trip."""
        return self._run(self._ops.empty())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key!r}>"

"""RedisQueue: ``queue.Queue`` in Redis, with leases, delays and priorities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from pottery_like._io import servers
from pottery_like._io.sync import Client, Runner
from pottery_like._ops.queue import QueueCounts, QueueOps, Taken
from pottery_like.base import Container
from pottery_like.codecs import Codec
from pottery_like.simplequeue import RedisSimpleQueue

T = TypeVar("T")


class Delivery(Generic[T]):
    """An item taken from a :class:`RedisQueue` under a lease.

    As a context manager it yields the item, acknowledges it when the block ends, and puts it back when the block
    raises.

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

    def acknowledge(self) -> None:
        """Finish the item: it is removed for good, and counts as done for join().  O(log n), 1 round trip, atomic.

        A lease that has ended doesn't matter as long as the item hasn't been claimed by anybody else.

        :raises LeaseLostError: the lease ended, and the item went back to the queue or to somebody else.
        """
        self._runner.run(self._ops.acknowledge(self._taken))
        self._settled = True

    def put_back(self, delay: float | timedelta = 0.0) -> bool:
        """Give the item back to its place in the queue.  O(log n), 1 round trip, atomic.

        :param delay: seconds before it is handed out again.
        :returns: False when this was its last attempt, and it is a dead letter now.
        :raises LeaseLostError: the lease ended, and the item is back already.
        :raises OutcomeUnknownError: the reply was lost; if it didn't run, the item comes back when the lease ends.
        """
        back = self._runner.run(self._ops.release(self._taken, delay))
        self._settled = True
        return back

    def extend(self, lease: float | timedelta) -> None:
        """Let the lease end so many seconds from now.  O(log n), 1 round trip, atomic.

        :raises LeaseLostError: it has ended, and the item is back in the queue or with somebody else.
        """
        self._runner.run(self._ops.extend(self._taken, lease))

    def __enter__(self) -> T:
        return self.item

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled:
            return
        if kind is None:
            self.acknowledge()
            return
        try:
            self.put_back()
        except Exception:
            # The block's own exception is what the caller must see; the end of the lease brings the item back.
            return

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.item!r} attempts={self.attempts}>"


class RedisQueue(Container[QueueOps[T]], Generic[T]):
    """A queue in Redis that works like ``queue.Queue``, between processes and machines; with leases on demand.

    >>> tasks = RedisQueue(maxsize=100, redis=redis, key='tasks', max_attempts=5)
    >>> tasks.put('write')
    >>> tasks.put('test', priority=-1)
    >>> with tasks.processing(lease=30) as task:
    ...     print(task)
    test
    >>> tasks.get()
    'write'
    >>> tasks.task_done()
    >>> tasks.join()

    put() and get() are ``queue.Queue``'s: first in, first out, each item to exactly one consumer, at most once.  An
    item taken with ``lease=`` is delivered at least once: it stays on the server until it is acknowledged, and goes
    back to its place in the queue when its consumer puts it back, dies, or lets the lease end.  No background
    process is needed for that: whoever calls get() next receives it, and who waits in get() is woken in time.

    Every method is one round trip and atomic; where put(), get() or join() must wait, they block on the server and
    then look again.  Times are the server's, so that consumers' clocks don't matter.

    What differs from ``queue.Queue``: items are what the codec carries, by default JSON; ``maxsize`` is each
    object's own, and governs its own put(); items that wait for their delay count for qsize().

    :param maxsize: put() waits while the queue has so many items, beside those under a lease; 0 for no limit.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
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

    def put(
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
        self._drive(self._ops.put(item, block, timeout, delay, priority))

    def put_nowait(self, item: T, *, delay: float | timedelta = 0.0, priority: float = 0.0) -> None:
        """Add an item if there is room: ``put(item, block=False)``."""
        self._drive(self._ops.put(item, False, None, delay, priority))

    @overload
    def get(self, block: bool = True, timeout: float | None = None, *, lease: None = None) -> T: ...
    @overload
    def get(self, block: bool = True, timeout: float | None = None, *, lease: float | timedelta) -> Delivery[T]: ...
    def get(self, block: bool = True, timeout: float | None = None, *, lease: Any = None) -> Any:
        """Take the first item of the lowest priority.  O(log n), 1 round trip, atomic; 2 more for each wait.

        A wait takes place on the server, and occupies one connection of the client.  It lasts beyond the client's
        socket timeout and goes on when its connection breaks.  With a lease a lost reply loses nothing: the item
        comes back when the lease ends.

        :param block: wait while no item is ready.
        :param timeout: wait so many seconds at most; None waits without end.
        :param lease: seconds (or a timedelta) within which the item will be acknowledged; longer than the work takes.
        :returns: the item; with a lease a :class:`Delivery`.
        :raises QueueEmptyError: (a ``queue.Empty``) no item was ready in time.
        :raises ValueError: ``timeout`` is negative, or ``lease`` isn't positive.
        :raises DecodeError: the item isn't the codec's; the exception's ``raw`` has its bytes.  Without a lease it has
            left the queue; with one it comes back, and after its last attempt is a dead letter.
        :raises OutcomeUnknownError: the reply was lost; without a lease, perhaps the item with it.
        """
        taken = self._drive(self._ops.get(block, timeout, lease))
        return taken.item if lease is None else Delivery(self._runner, self._ops, taken)

    def get_nowait(self) -> T:
        """Take the first item if one is ready: ``get(block=False)``."""
        return self.get(block=False)

    @contextmanager
    def processing(self, block: bool = True, timeout: float | None = None, *, lease: float | timedelta) -> Iterator[T]:
        """Take an item for the block: acknowledged when the block ends, put back when it raises.  2 round trips.

        >>> jobs = RedisQueue(redis=redis, key='jobs')
        >>> jobs.put('print')
        >>> with jobs.processing(lease=60) as job:
        ...     print(job)
        print

        Arguments and exceptions are those of :meth:`get` and :meth:`Delivery.acknowledge`.
        """
        with self.get(block, timeout, lease=lease) as item:
            yield item

    def task_done(self) -> None:
        """Report that an item taken without a lease is finished.  O(1), 1 round trip, atomic.

        Items under a lease need no such report: acknowledging them, or giving them up as dead letters, is one.

        :raises ValueError: all items that were put are finished.
        """
        self._run(self._ops.task_done())

    def join(self) -> None:
        """Wait until all items that were put are finished.  O(1), 1 round trip; 1 more for each 10 s of waiting."""
        self._drive(self._ops.join())

    def qsize(self) -> int:
        """Return how many items are in the queue, delayed ones included.  O(log n), 1 round trip, atomic."""
        return self._run(self._ops.size())

    def empty(self) -> bool:
        """Return whether the queue has no items.  O(log n), 1 round trip, atomic."""
        return self._run(self._ops.empty())

    def full(self) -> bool:
        """Return whether the queue has ``maxsize`` items.  O(log n), 1 round trip, atomic."""
        return self._run(self._ops.full())

    def counts(self) -> QueueCounts:
        """Return how many items are ready, delayed, leased, dead and unfinished.  O(log n), 1 round trip, atomic."""
        return self._run(self._ops.counts())

    @property
    def dead_letters(self) -> RedisSimpleQueue[T]:
        """The items that failed ``max_attempts`` times, oldest first, as a queue of their own."""
        return RedisSimpleQueue(redis=self._source, key=self._ops.dead.decode(), codec=self._codec)

    def revive(self, limit: int = 1000, *, priority: float = 0.0) -> int:
        """Put the oldest dead letters back at the queue's end, their attempts forgotten.

        O(limit * log n), 1 round trip per thousand, each atomic.

        :param limit: how many at most.
        :returns: how many there were.
        """
        return self._drive(self._ops.revive(limit, priority))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key!r} maxsize={self.maxsize}>"

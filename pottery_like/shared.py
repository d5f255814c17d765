"""Primitives that several may hold at once: a bounded semaphore and a read-write lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pottery_like._io import servers
from pottery_like._ops.lock_handle import AUTO_RELEASE_TIME
from pottery_like._ops.locks import LockOps
from pottery_like._ops.shared import READ, SLOT, WRITE, SharedOps, slots
from pottery_like.redlock import Redlock


class RedisSemaphore(Redlock):
    """``threading.BoundedSemaphore`` for threads, processes and machines: at most ``value`` hold it at once.

    >>> slots = RedisSemaphore(key="downloads", value=2, masters=[redis])
    >>> with slots:
    ...     print(slots.locked() > 9)  # seconds left
    True

    It is used as :class:`Redlock` is: each acquisition has a lease, so that the slot of a process that died comes
    free again; waiters are woken one by one in the order in which they came.  All users of a key must give the same
    ``value``.

    :param key: names what is limited.  The Redis key is ``semaphore:`` and this.
    :param value: how many may hold it at once.
    :param masters: as for :class:`Redlock`, but one: over several, no majority could keep count.
    :param options: the further arguments of :class:`Redlock`.
    :raises ValueError: as :class:`Redlock`; a value below 1; several masters.
    :raises TypeError: as :class:`Redlock`; a value that isn't an int.
    """

    def __init__(self, *, key: str, value: int = 1, masters: Iterable[Any] = (), **options: Any) -> None:
        self.value = slots(value)
        super().__init__(key=key, masters=masters, **options)

    def _make_ops(self, key: str) -> LockOps:
        self._one_master()
        return SharedOps(key, "semaphore", SLOT, self.value)

    @property
    def fencing_token(self) -> int | None:
        """Not to be had: several hold the semaphore at once.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("a semaphore has several holders at once, and no order among them")


class _Side(Redlock):
    """One side of a read-write lock."""

    def __init__(self, letter: str, **options: Any) -> None:
        self._letter = letter
        super().__init__(**options)

    def _make_ops(self, key: str) -> LockOps:
        self._one_master()
        return SharedOps(key, "rwlock", self._letter)

    @property
    def fencing_token(self) -> int | None:
        """Not to be had: readers hold the lock at once.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("a read-write lock numbers no acquisitions: use Redlock")


class RedisRWLock:
    """A lock that many may hold to read, or one to write.

    >>> lock = RedisRWLock(key="catalogue", masters=[redis])
    >>> with lock.read:
    ...     lock.write.acquire(False)
    False
    >>> with lock.write:
    ...     lock.read.acquire(False)
    False

    ``read`` and ``write`` are used as :class:`Redlock` is, leases and all.  The line is first come, first served
    for both sides: readers who come after a waiting writer wait for it, so that no writer starves.

    :param key: names what the lock protects.  The Redis key is ``rwlock:`` and this.
    :param masters: as for :class:`Redlock`, but one.
    :param auto_release_time: the lease in seconds.
    :param auto_extend: renew the leases in the background until they are released.
    :param on_lost: called with the side whose lease was lost.
    :param options: the further arguments of :class:`Redlock`.
    :ivar read: the side that many may hold.
    :ivar write: the side that one may hold alone.
    :raises ValueError: as :class:`Redlock`; several masters.
    :raises TypeError: as :class:`Redlock`.
    """

    def __init__(
        self,
        *,
        key: str,
        masters: Iterable[Any] = (),
        auto_release_time: float = AUTO_RELEASE_TIME,
        auto_extend: bool = False,
        on_lost: Callable[[Any], object] | None = None,
        **options: Any,
    ) -> None:
        sources = servers.listed(masters)
        options |= {
            "key": key,
            "masters": sources,
            "auto_release_time": auto_release_time,
            "auto_extend": auto_extend,
            "on_lost": on_lost,
        }
        self.read: Redlock = _Side(READ, **options)
        self.write: Redlock = _Side(WRITE, **options)

    @property
    def key(self) -> str:
        """The Redis key."""
        return self.read.key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key}>"

"""What the lock objects of both worlds have in common: their arguments, and what they know without asking."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

from pottery_like._core.dialogue import Dialogue, drift, seconds
from pottery_like._ops.holds import Hold, Holds
from pottery_like._ops.locks import Locking, LockOps
from pottery_like.exceptions import PrimitiveError

AUTO_RELEASE_TIME: float = 10
NUM_EXTENSIONS = 3
TIMEOUT_MAX = 9223372036.0
"""Seconds; longer waits are refused, as ``threading.Lock`` refuses them: what ``threading.TIMEOUT_MAX`` is, at most."""
LONGEST_LEASE = 1e12
"""Seconds; beyond it, the servers' arithmetic in milliseconds comes to its end, and no lock would ever be granted."""


def wait_of(blocking: bool, timeout: float) -> float | None:
    """Return the seconds that ``acquire(blocking, timeout)`` may wait; None is for ever.

    :raises ValueError: as ``threading.Lock.acquire`` raises it.
    """
    # As there: a float, or whatever counts as an int, bools included.
    timeout = seconds(timeout, "timeout") if isinstance(timeout, float) else index(timeout)
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0
    if timeout == -1:
        return None
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


class LockHandle:
    """A reference to a lock.  Two handles on one key are one lock."""

    def __init__(
        self,
        *,
        key: str,
        masters: tuple[Any, ...],
        raise_on_redis_errors: bool,
        auto_release_time: float,
        num_extensions: int,
        context_manager_blocking: bool,
        context_manager_timeout: float,
        auto_extend: bool,
        on_lost: Callable[[Any], object] | None,
        reentrant: bool,
        alive: Callable[[Any], bool],
    ) -> None:
        wait_of(context_manager_blocking, context_manager_timeout)
        lease = seconds(auto_release_time, "auto_release_time")
        if lease > LONGEST_LEASE:
            raise ValueError(f"auto_release_time must be at most {LONGEST_LEASE:.0e} seconds")
        if lease - drift(lease) <= 0:
            raise ValueError(f"auto_release_time must be a positive, finite number of seconds, not {lease!r}")
        if isinstance(num_extensions, bool) or not isinstance(num_extensions, int):
            raise TypeError(f"num_extensions must be an int, not {type(num_extensions).__name__}")
        if num_extensions < 0:
            raise ValueError("num_extensions must not be negative")
        if on_lost is not None and not callable(on_lost):
            raise TypeError("on_lost must be callable")
        self._sources = masters
        self._count = len(self._sources) or 1
        self._ops = self._make_ops(key)
        self._locking = Locking(self._ops, self._sources or ("default server",), lease)
        self._holds = Holds(alive)
        self._on_lost = on_lost
        self.raise_on_redis_errors = raise_on_redis_errors
        self.num_extensions = num_extensions
        self.context_manager_blocking = context_manager_blocking
        self.context_manager_timeout = context_manager_timeout
        self.auto_extend = auto_extend
        self.reentrant = reentrant

    def _make_ops(self, key: str) -> LockOps:
        return LockOps(key, fenced=self._count == 1)

    def _one_master(self) -> None:
        if self._count > 1:
            raise ValueError(f"{type(self).__name__} works on one master")

    @property
    def key(self) -> str:
        """The Redis key: a prefix (``redlock:``) and the key given."""
        return self._ops.key.decode()

    @property
    def masters(self) -> tuple[Any, ...]:
        """The masters as given; empty stands for the default server."""
        return self._sources

    @property
    def auto_release_time(self) -> float:
        """The lease: seconds after which the lock is released by itself."""
        return self._locking.lease

    @property
    def _wait(self) -> float | None:
        # As with Pottery, the attributes may be set.
        return wait_of(self.context_manager_blocking, self.context_manager_timeout)

    def _owner(self) -> Any:
        raise NotImplementedError

    def _mine(self) -> Hold | None:
        return self._holds.find(self._owner())

    @property
    def lost(self) -> bool:
        """Whether the lease ended while the lock was held: somebody else may have it now.

        Says what this process knows, without a round trip: by its own clock, and by what the masters answered to
        renewals.  It becomes False again with the next acquisition, and when the lock is released.
        """
        hold = self._mine()
        return hold is not None and hold.lost

    @property
    def fencing_token(self) -> int | None:
        """The number of the present acquisition, or None while the lock isn't held.  No round trip.

        Greater than that of every earlier acquisition of this key: let the storage that the lock protects refuse
        what comes with a smaller number than it has seen.

        :raises NotImplementedError: there are several masters.  They have no counter in common, so that no number
            that they agreed on could be sure to increase.
        """
        if self._count > 1:
            raise NotImplementedError("several independent masters can't number acquisitions: use one master")
        hold = self._mine()
        return None if hold is None or hold.released else hold.fence

    def _raising(self, raise_on_redis_errors: bool | None) -> bool:
        return self.raise_on_redis_errors if raise_on_redis_errors is None else raise_on_redis_errors

    def _reentered(self) -> bool:
        """Whether the present thread or task holds the lock already, and may enter again; counts it."""
        hold = self._holds.own(self._owner()) if self.reentrant else None
        if hold is None or hold.lost or hold.released:
            return False
        hold.depth += 1
        return True

    def _left_again(self, hold: Hold) -> bool:
        """Whether a re-entrant lock stays held after this release; counts it."""
        hold.depth -= 1
        return hold.depth > 0

    def _parting(self, hold: Hold, raise_on_redis_errors: bool | None) -> Dialogue[None]:
        """Give up an acquisition, and forget it unless that has to be tried again."""
        self._holds.remove(hold)
        try:
            yield from self._locking.release(hold, raising=self._raising(raise_on_redis_errors))
        except PrimitiveError as error:
            if error.redis_errors:
                hold.entered = False
                self._holds.add(hold)
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key={self.key}>"

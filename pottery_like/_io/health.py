"""What both worlds know about a master among several: how long to wait for it, and whether it is worth asking."""

from __future__ import annotations

import time
from typing import Any

from redis.exceptions import ConnectionError, ResponseError

from pottery_like._core.op import Op
from pottery_like._io.wire import Unsent, give_up, refuse

TIMEOUT = 1.0
"""Seconds to wait for one master among several, where its client doesn't say less."""

GRACE = 0.05
"""Seconds that late masters get once the others have settled the matter."""

REST = 10
"""How many timeouts long a silent master is not asked again where the others can do without it."""


class Health:
    """How one master has behaved.

    :param timeout: seconds to wait for it.
    :param own: its client's socket timeout, which may be shorter; None has no limit.
    """

    def __init__(self, timeout: float, own: float | None) -> None:
        self.timeout = timeout if own is None else min(own, timeout)
        self._rests_until = 0.0

    @property
    def trusted(self) -> bool:
        """Whether it has not kept anybody waiting lately."""
        return not self._rests_until or time.monotonic() >= self._rests_until

    def answered(self) -> None:
        """Note a reply."""
        self._rests_until = 0.0

    def failed(self, error: Exception, seconds: float) -> None:
        """Note a failure that took so long.  One that comes at once, such as a refused connection, costs nothing."""
        if seconds >= GRACE and not isinstance(error, ResponseError):
            self._rests_until = time.monotonic() + REST * self.timeout

    def skipped(self) -> Exception:
        """Return the error of a master that was not asked."""
        return ConnectionError("not asked, as it was silent a moment ago")


def failure(client: Any, op: Op[Any], error: Exception, *, sent: bool = True) -> Exception:
    """Return the exception for what went wrong with an operation on one master."""
    try:
        if isinstance(error, ResponseError):
            refuse(client, op, error)
        give_up(client, op, error if sent else Unsent(error))
    except Exception as raised:
        return raised

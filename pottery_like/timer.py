"""ContextTimer: how long a piece of code takes."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Literal

from typing_extensions import Self


class ContextTimer:
    """A stopwatch for one measurement of wall-clock time, in milliseconds.

    >>> with ContextTimer() as timer:
    ...     asyncio.run(asyncio.sleep(0.1))
    >>> 100 <= timer.elapsed() < 1000
    True

    It runs from :meth:`start` to :meth:`stop`, or through the ``with`` block, and can't be started again.
    """

    __slots__ = ("_started", "_stopped")

    def __init__(self) -> None:
        self._started: int | None = None
        self._stopped: int | None = None

    def start(self) -> None:
        """Start the timer.

        :raises RuntimeError: it was started before.
        """
        if self._started is not None:
            raise RuntimeError(f"the timer {'is running' if self._stopped is None else 'has been stopped'} already")
        self._started = time.perf_counter_ns()

    def stop(self) -> None:
        """Stop the timer.

        :raises RuntimeError: it isn't running.
        """
        now = time.perf_counter_ns()
        if self._started is None:
            raise RuntimeError("the timer has not been started")
        if self._stopped is not None:
            raise RuntimeError("the timer has been stopped already")
        self._stopped = now

    def elapsed(self) -> int:
        """Return the milliseconds, rounded, from the start to the stop, or until now while the timer is running.

        :raises RuntimeError: it was not started.
        """
        if self._started is None:
            raise RuntimeError("the timer has not been started")
        stopped = time.perf_counter_ns() if self._stopped is None else self._stopped
        return round((stopped - self._started) / 1e6)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.stop()
        return False

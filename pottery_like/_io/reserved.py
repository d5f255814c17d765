"""Ids that a process has reserved and not handed out yet."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator


class Reserved:
    """A block of ids, for the threads of one process.

    A forked child forgets it, as the ids are its parent's.

    :ivar ids: those left; to be taken and replaced only while holding the lock.
    :ivar lock: re-entrant, as a signal handler may want an id while its own thread is taking one.
    """

    ids: Iterator[int]
    lock: threading.RLock

    def __init__(self) -> None:
        self._clear()
        _all.add(self)

    def take(self) -> int | None:
        """Return the next id, or None when there is none left."""
        with self.lock:
            return next(self.ids, None)

    def replace(self, ids: range) -> None:
        """Go on with other ids."""
        with self.lock:
            self.ids = iter(ids)

    def _clear(self) -> None:
        self.lock = threading.RLock()
        self.ids = iter(())


_all: weakref.WeakSet[Reserved] = weakref.WeakSet()


def _forget() -> None:
    for reserved in list(_all):
        reserved._clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

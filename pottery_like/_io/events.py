"""Calling users' functions when keys change: in a thread of their own, as they may take long."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from pottery_like._core.op import Batch
from pottery_like._io.sync import Runner
from pottery_like._ops.flip_events import UPDATE, Changes
from pottery_like._ops.flip_texts import Names

IDLE = 5.0
"""Seconds after which a thread with nothing to do ends."""


class Teller:
    """Tells a cache's callbacks of changes.

    :param runner: the client's.
    :param names: the cache's keys.
    :param on_update: called with a key that has a new value.
    :param on_delete: called with a key that is gone.
    """

    def __init__(
        self,
        runner: Runner,
        names: Names,
        on_update: Callable[[Any], object] | None,
        on_delete: Callable[[Any], object] | None,
    ) -> None:
        self._runner = runner
        self._on_update, self._on_delete = on_update, on_delete
        self.changes = Changes(names, self._hurry)
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def _hurry(self) -> None:
        self._news.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=_tell, args=(weakref.ref(self), self._news), daemon=True)
                    self._thread.name = "pottery_like telling"
                    self._thread.start()

    def tell(self) -> bool:
        """Tell of some changes; whether there were any."""
        taken = self.changes.take()
        if not taken:
            return False
        there = self._runner.batch(Batch(self.changes.questions(taken)))
        for event, key in self.changes.events(taken, there):
            function = self._on_update if event == UPDATE else self._on_delete
            if function is not None:
                try:
                    function(key)
                except Exception as error:
                    warnings.warn(f"a callback failed for {key!r}: {error!r}", RuntimeWarning, stacklevel=2)
        return True

    def rest(self) -> bool:
        """End the thread if there is nothing to do; whether it is to end."""
        with self._lock:
            if self._news.is_set():
                return False
            self._thread = None
            return True


def _tell(reference: weakref.ref[Teller], news: threading.Event) -> None:
    while True:
        came = news.wait(IDLE)
        teller = reference()
        if teller is None or (not came and teller.rest()):
            return
        news.clear()
        try:
            while teller.tell():
                pass
        except Exception:  # the server can't be asked just now: what was taken is not told
            continue
        finally:
            del teller

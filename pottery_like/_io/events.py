"""Calling users' functions when keys change: in a thread of their own, as they may take long."""

from __future__ import annotations

import threading
import warnings
import weakref

from pottery_like._core.op import Batch
from pottery_like._io.sync import Runner
from pottery_like._ops.flip_events import Callback, Changes
from pottery_like._ops.flip_texts import Names

IDLE = 5.0
"""Seconds after which a thread with nothing to do ends."""


class Teller:
    """Tells a cache's callbacks of changes.

    :param runner: the client's; the others are :class:`~pottery_like._ops.flip_events.Changes`' parameters.
    """

    def __init__(self, runner: Runner, names: Names, on_update: Callback | None, on_delete: Callback | None) -> None:
        self._runner = runner
        self.changes = Changes(names, self._hurry, on_update, on_delete)
        self.renew()

    def renew(self) -> None:
        """Begin anew in a forked child: what waits to be told is its parent's to tell, by the parent's thread."""
        self.changes.forget()
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
        for function, key in self.changes.calls(taken, there):
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

"""What callbacks are told about changed keys, whatever thread or task calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pottery_like._core.op import Op
from pottery_like._ops.common import truth
from pottery_like._ops.flip_texts import Names

MOST = 100_000
"""So many changed keys wait at most; of further ones nobody is told."""

UPDATE, DELETE = b"update", b"delete"


class Changes:
    """Changed keys of which the callbacks are still to be told; of one changed repeatedly they are told once.

    :param names: the cache's keys.
    :param hurry: called when there is something to do; from any thread.
    """

    def __init__(self, names: Names, hurry: Callable[[], None]) -> None:
        self._names = names
        self._hurry = hurry
        self._waiting: dict[bytes, bytes | None] = {}

    def heard(self, keys: Iterable[bytes]) -> None:
        """Note that keys have changed; whether they are still there isn't known."""
        prefix = self._names.prefix
        for each in keys:
            if each.startswith(prefix) and len(self._waiting) < MOST:
                self._waiting[each] = None
        if self._waiting:
            self._hurry()

    def told(self, event: bytes, key: bytes) -> None:
        """Note what has happened to a key."""
        if len(self._waiting) < MOST:
            self._waiting[key] = event
        self._hurry()

    def take(self) -> dict[bytes, bytes | None]:
        """Return what waits, and have it wait no more."""
        taken: dict[bytes, bytes | None] = {}
        # One by one, as another thread may add some.
        while self._waiting and len(taken) < 1000:
            key, event = self._waiting.popitem()
            taken[key] = event
        return taken

    def questions(self, taken: dict[bytes, bytes | None]) -> tuple[Op[bool], ...]:
        """Return operations that say which of the keys are there whose event isn't known."""
        return tuple(Op("EXISTS", (name,), (), truth, True) for name, event in taken.items() if event is None)

    def events(self, taken: dict[bytes, bytes | None], there: list[bool]) -> list[tuple[bytes, Any]]:
        """Return the events and the users' keys."""
        answers = iter(there)
        found = []
        for name, event in taken.items():
            known = event or (UPDATE if next(answers) else DELETE)
            key = self._names.decode(name)
            if key is not None:
                found.append((known, key))
        return found

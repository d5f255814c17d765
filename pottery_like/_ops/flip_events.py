"""What callbacks are told about changed keys, whatever thread or task calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Op
from pottery_like._ops.common import truth
from pottery_like._ops.flip_texts import Names

Callback = Callable[[Any], object]

MOST = 100_000
"""So many changed keys wait at most; of further ones nobody is told."""


class Changes:
    """Changed keys of which the callbacks are still to be told; of one changed repeatedly they are told once.

    :param names: the cache's keys.
    :param hurry: called when there is something to do; from any thread.
    :param on_update: what is to be called with a key that has a new value.
    :param on_delete: what is to be called with a key that is gone.
    """

    def __init__(
        self, names: Names, hurry: Callable[[], None], on_update: Callback | None, on_delete: Callback | None
    ) -> None:
        self._names = names
        self._hurry = hurry
        self._on_update, self._on_delete = on_update, on_delete
        self._waiting: dict[bytes, None] = {}

    def heard(self, keys: Iterable[bytes]) -> None:
        """Note that keys have changed; whether they are still there isn't known."""
        prefix = self._names.prefix
        for each in keys:
            if each.startswith(prefix) and len(self._waiting) < MOST:
                self._waiting[each] = None
        if self._waiting:
            self._hurry()

    def forget(self) -> None:
        """Tell of nothing that waits."""
        self._waiting = {}

    def take(self) -> list[bytes]:
        """Return some of the keys that wait, and have them wait no more."""
        taken: list[bytes] = []
        # One by one, as another thread may add some.
        while self._waiting and len(taken) < CHUNK:
            taken.append(self._waiting.popitem()[0])
        return taken

    def questions(self, taken: list[bytes]) -> tuple[Op[bool], ...]:
        """Return operations that say which of the keys are there."""
        return tuple(Op("EXISTS", (name,), (), truth, True) for name in taken)

    def calls(self, taken: list[bytes], there: list[bool]) -> Iterator[tuple[Callback, Any]]:
        """Yield the callbacks to call, and the users' keys to call them with."""
        for name, each in zip(taken, there, strict=True):
            key, function = self._names.decode(name), self._on_update if each else self._on_delete
            if key is not None and function is not None:
                yield function, key

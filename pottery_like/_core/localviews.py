"""Further local tiers: in a mapping of the user's; and what users see of any tier."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any

from pottery_like._core.local import SHORTEST, Entry, LocalTier


class MappedTier(LocalTier):
    """Entries in a mapping of the user's, by Redis key; it decides by itself which to evict.

    :param mapping: any mutable mapping, such as one of cachetools; it is used under the lock.
    :param name_of: returns the Redis key of a user's.
    """

    def __init__(
        self,
        prefix: bytes,
        mapping: MutableMapping[bytes, Entry],
        lock: AbstractContextManager[Any],
        name_of: Callable[[Any], bytes],
    ) -> None:
        super().__init__(prefix, 0, "", lock)
        self._entries = mapping
        self._name_of = name_of

    def drop(self) -> None:
        """Forget everything.  O(n)"""
        with self.lock:
            self._pending.clear()
            for writing in self._writing.values():
                writing.clean = False
            self._entries.clear()

    def clear(self) -> None:
        """Forget everything.  O(n)"""
        self.drop()

    def hit(self, key: Any) -> Entry | None:
        """Return the entry that was asked for, if its time isn't over; a use."""
        return self.find(key, self._name_of(key))

    def find(self, key: Any, name: bytes) -> Entry | None:
        """Return the entry of a Redis key, if its time isn't over; a use."""
        with self.lock:
            entry = self._entries.get(name)
        return None if entry is None or entry.deadline <= time.monotonic() else entry

    def _enter(self, key: Any, entry: Entry) -> None:
        if entry.deadline - time.monotonic() < SHORTEST:
            return
        entry.keys.append(key)
        try:
            self._entries[entry.name] = entry
        except ValueError:  # too large, says a mapping that measures
            self._leave(entry)

    def _leave(self, entry: Entry, but: Any = None) -> None:
        try:
            del self._entries[entry.name]
        except KeyError:  # it was evicted, or expired, in the mapping
            pass

    def snapshot(self) -> dict[Any, Any]:
        """Return the values by the keys they were asked for under.  O(n)"""
        now = time.monotonic()
        with self.lock:
            entries = list(self._entries.values())
        return {entry.keys[0]: entry.value for entry in entries if not entry.missing and entry.deadline > now}


class LocalView(Mapping[Any, Any]):
    """What a cache holds in the process: a live, read-only view by the keys that users asked for."""

    def __init__(self, tier: LocalTier | None) -> None:
        self._tier = tier

    def _snapshot(self) -> dict[Any, Any]:
        return {} if self._tier is None else self._tier.snapshot()

    def __getitem__(self, key: Any) -> Any:
        """Return the value under ``key``.

        :raises KeyError: it isn't in the local tier.
        """
        return self._snapshot()[key]

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the keys there are now, next to be evicted first."""
        return iter(self._snapshot())

    def __len__(self) -> int:
        return len(self._snapshot())

    def clear(self) -> None:
        """Forget the local copies; those of values that were not written back yet stay."""
        if self._tier is not None:
            self._tier.drop()

    def __repr__(self) -> str:
        return f"LocalView({self._snapshot()})"

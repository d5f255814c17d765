"""Further local tiers: in a mapping of the user's; and what users see of any tier."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any, TypeVar

from pottery_like._core.local import SHORTEST, Entry, LocalTier

K = TypeVar("K")
V = TypeVar("V")


class _Emptied:
    """A mapping in pickled form; what is unpickled is the mapping."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._data,)


class MappedTier(LocalTier):
    """A tier whose values are in a mapping of the user's too, by their keys; it decides by itself which to evict.

    What is no longer in the mapping is no longer in the tier.  An exception of the mapping's leaves a value out, and is
    shown once; the cache goes on.

    :param mapping: any mutable mapping, such as one of cachetools; it is used under the lock.
    :param name_of: returns the Redis key of a user's.
    """

    def __init__(
        self,
        prefix: bytes,
        mapping: MutableMapping[Any, Any],
        lock: AbstractContextManager[Any],
        name_of: Callable[[Any], bytes],
    ) -> None:
        super().__init__(prefix, 0, "", lock)
        self._mapping = mapping
        self._name_of = name_of
        self._failed = False

    def drop(self) -> None:
        """Forget everything.  O(n)"""
        with self.lock:
            self._pending.clear()
            for writing in self._writing.values():
                writing.clean = False
            self._entries.clear()
            self._ask(self._mapping.clear)

    def clear(self) -> None:
        """Forget everything.  O(n)"""
        self.drop()

    def emptied(self) -> Any:
        """Forget everything, and return something to pickle that is the mapping again when it is unpickled."""
        with self.lock:
            # There is no other way to an empty one with its settings.
            self.drop()
            return _Emptied(pickle.dumps(self._mapping))

    def hit(self, key: Any) -> Entry | None:
        """Return the entry that was asked for, if its time isn't over; a use."""
        return self.find(key, self._name_of(key))

    def find(self, key: Any, name: bytes) -> Entry | None:
        """Return the entry of a Redis key, if its time isn't over; a use."""
        with self.lock:
            entry = self._entries.get(name)
            if entry is None or entry.deadline <= time.monotonic():
                return None
            if not self._ask(self._mapping.__getitem__, entry.keys[0]):
                self._lost(entry)
                return None
        return entry

    def look(self, key: Any) -> Entry | None:
        """Return the entry of a key, if its time isn't over; no use."""
        try:
            entry = self._entries.get(self._name_of(key))
        except (TypeError, ValueError):
            return None
        if entry is None or entry.deadline <= time.monotonic():
            return None
        with self.lock:
            return entry if self._holds(entry) else None

    def snapshot(self) -> dict[Any, Any]:
        """Return the values by the keys they were asked for under.  O(n)"""
        now = time.monotonic()
        with self.lock:
            entries = [each for each in self._entries.values() if self._holds(each)]
        return {entry.keys[0]: entry.value for entry in entries if not entry.missing and entry.deadline > now}

    def _enter(self, key: Any, entry: Entry) -> None:
        now = time.monotonic()
        if entry.deadline - now < SHORTEST:
            return
        old = self._entries.get(entry.name)
        if old is not None:
            self._leave(old)
        entry.keys.append(key)
        # Before: a mapping that cleans up at once must find it is there.
        self._entries[entry.name] = entry
        # That a key is missing may be no value that the mapping can measure.
        if not self._ask(self._mapping.__setitem__, key, entry.value, quiet=entry.missing):
            self._leave(entry)
        elif len(self._entries) > 2 * len(self._mapping) + 64:
            for each in list(self._entries.values()):
                if not self._holds(each):
                    self._lost(each)

    def _leave(self, entry: Entry, but: Any = None) -> None:
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]
        self._ask(self._mapping.__delitem__, entry.keys[0])

    def _lost(self, entry: Entry) -> None:
        self.evictions += 1
        del self._entries[entry.name]

    def _holds(self, entry: Entry) -> bool:
        found: list[bool] = []
        return self._ask(lambda: found.append(entry.keys[0] in self._mapping)) and found[0]

    def _ask(self, what: Callable[..., object], *arguments: Any, quiet: bool = False) -> bool:
        """Have the mapping do something; whether it has."""
        try:
            what(*arguments)
        except (KeyError, ValueError):  # it was evicted, or has expired, in the mapping; or it is too large for it
            return False
        except Exception as error:
            if not quiet and not self._failed:
                self._failed = True
                told: Any = SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__)
                told.object, told.err_msg = self._mapping, "A cache's mapping has failed: values are not kept in memory"
                sys.unraisablehook(told)
            return False
        return True


class LocalView(Mapping[K, V]):
    """What a cache holds in the process: a live, read-only view by the keys that users asked for."""

    def __init__(self, tier: LocalTier | None) -> None:
        self._tier = tier

    def _snapshot(self) -> dict[K, V]:
        return {} if self._tier is None else self._tier.snapshot()

    def __getitem__(self, key: K) -> V:
        """Return the value under ``key``.  O(1); iteration and ``len()`` are O(n).

        :raises KeyError: it isn't in the local tier.
        """
        entry = None if self._tier is None else self._tier.look(key)
        if entry is None or entry.missing:
            raise KeyError(key)
        value: V = entry.value
        return value

    def __iter__(self) -> Iterator[K]:
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

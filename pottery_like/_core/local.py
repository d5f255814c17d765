"""The local tier of a cache: what is kept in the process, and what may be kept.

It does no I/O.  Whoever reads or writes says so before and after, and whoever listens for changes calls
:meth:`LocalTier.invalidate`, :meth:`LocalTier.drop` and :meth:`LocalTier.sweep`.  An answer is kept only if nothing
was heard of its key in between, and no write of this process to it overlapped.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from pottery_like._core.evict import Deadlines, Frequencies

SHORTEST = 0.05
"""What has fewer seconds left isn't kept: entries leave a little before their time."""
LOOKED_AT = 0.5
"""Seconds before its deadline that an entry leaves the dict, where hits don't look at the clock, for the tier alone,
where they do: so late may the sweep be, in a process whose threads compute all the time."""
MOST_USES = 1 << 17
"""So many uses of keys are noted at most, until they are looked at."""
SPELLINGS = 8
"""Under so many equal spellings (``1``, ``"1"``) a key may be in the tier."""


class Entry:
    """A value in the tier.

    :ivar name: the Redis key.
    :ivar keys: the spellings under which users have asked for it.
    :ivar missing: there is no such key, and ``value`` is the default.
    :ivar stored: what tells the stored bytes from others, in a tier that writes back; else None.
    :ivar pinned: holds what was not written yet: it stays.
    :ivar shown: is in the dict of plain values too.
    """

    __slots__ = ("deadline", "keys", "missing", "name", "pinned", "shown", "stored", "value")

    def __init__(self, name: bytes, value: Any, deadline: float, missing: bool, stored: bytes | None) -> None:
        self.name = name
        self.keys: list[Any] = []
        self.value = value
        self.deadline = deadline
        self.missing = missing
        self.stored = stored
        self.pinned = self.shown = False


class _Writing:
    __slots__ = ("clean", "count")

    def __init__(self) -> None:
        self.count = 0
        self.clean = True


class LocalTier:
    """Entries by key, at most so many.

    :param prefix: what the Redis keys begin with.
    :param maximum: how many spellings of keys it holds.
    :param eviction: ``"fifo"``, ``"lru"`` or ``"lfu"``.
    :param lock: guards it; re-entrant.
    :param data: a dict that is to hold the plain values too.
    :ivar default: what a missing key's value is.
    :ivar used: keys that were used, for ``"lru"``.
    :ivar wake: is told when a sweep is due earlier than was said.
    :ivar heard: is given changed keys.
    """

    def __init__(
        self,
        prefix: bytes,
        maximum: int,
        eviction: str,
        lock: AbstractContextManager[Any],
        data: dict[Any, Any] | None = None,
    ) -> None:
        self.prefixes: tuple[bytes, ...] = (prefix,)
        self.maximum = maximum
        self.lock = lock
        self.order: OrderedDict[Any, Entry] = OrderedDict()
        self.evictions = self.invalidations = 0
        self.default: Any = None
        self.wake: Callable[[float], None] | None = None
        self.heard: Callable[[Sequence[bytes]], None] | None = None
        # What was used when nobody held the lock; the oldest uses are lost if there are very many.
        self.used: deque[Any] = deque(maxlen=min(MOST_USES, 1000 + 8 * maximum))
        self._uses = Frequencies() if eviction == "lfu" else None
        self._lru = eviction == "lru"
        self._entries: MutableMapping[bytes, Entry] = {}
        self._pinned: set[bytes] = set()
        self._pending: dict[bytes, object] = {}
        self._writing: dict[bytes, _Writing] = {}
        self._deadlines = Deadlines()
        self._told = math.inf
        data = {} if data is None else data
        self._put: Callable[[Any, Any], None] = partial(dict.__setitem__, data)
        self._take: Callable[[Any, Any], Any] = partial(dict.pop, data)

    # What listens calls these, from a thread of its own.

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """Forget keys that were changed.  O(len(keys))"""
        with self.lock:
            pending, writing, entries = self._pending, self._writing, self._entries
            for name in keys:
                if name in pending:
                    del pending[name]
                if name in writing:
                    writing[name].clean = False
                entry = entries.get(name)
                if entry is not None:
                    self.invalidations += 1
                    self._leave(entry)
        if self.heard is not None:
            self.heard(keys)

    def drop(self) -> None:
        """Forget everything but what was not written yet.  O(n)"""
        with self.lock:
            self._pending.clear()
            for writing in self._writing.values():
                writing.clean = False
            for entry in list(self._entries.values()):
                self._leave(entry)

    def sweep(self, now: float) -> float:
        """Forget what is due; return when to be called again."""
        with self.lock:
            for name in list(self._deadlines.pop_due(now)):
                entry = self._entries.get(name)
                if entry is None:
                    continue
                if entry.deadline > now:
                    self._hide(entry)
                elif entry.pinned:
                    self._lapse(entry)
                else:
                    self._leave(entry)
            self._told = self._deadlines.next()
            return self._told

    def renew(self) -> None:
        """Begin anew in a forked child: the parent writes what is to be written, and its threads hold the lock."""
        self.lock = type(self.lock)()
        self.clear()
        self._writing.clear()

    def clear(self) -> None:
        """Forget everything: what was not written yet too.  O(n)"""
        with self.lock:
            for entry in self._entries.values():
                entry.pinned = False
            self._pinned.clear()
            self.drop()

    # A hit.

    def hit(self, key: Any) -> Entry | None:
        """Return the entry that was asked for under this very key, if its time isn't over; a use.  O(1)"""
        entry = self.order.get(key)
        if entry is None or entry.deadline <= time.monotonic():
            return None
        if self._lru or self._uses is not None:
            with self.lock:
                self._used(key)
        return entry

    def _used(self, key: Any) -> None:
        if self._uses is not None:
            self._uses.touch(key)
        elif self._lru and key in self.order:
            self.order.move_to_end(key)

    def find(self, key: Any, name: bytes) -> Entry | None:
        """Return the entry of a Redis key, which henceforth is found under ``key`` too.  O(1)"""
        with self.lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            if entry.deadline <= time.monotonic():
                if not entry.pinned:
                    return None
                self._lapse(entry)
            if key in self.order:
                self._used(key)
            elif len(entry.keys) < SPELLINGS:
                self._spell(entry, key)
                self._evict()
            return entry

    # A read: begin(), then fill() or abandon().

    def begin(self, name: bytes) -> object | None:
        """Note that a key is about to be read; return what to give to fill(), or None when it may not be kept."""
        token = object()
        with self.lock:
            if name in self._writing:
                return None
            entry = self._entries.get(name)
            if entry is not None:
                if entry.pinned or time.monotonic() < entry.deadline:
                    return None
                self._leave(entry)
            self._pending[name] = token
        return token

    def abandon(self, name: bytes, token: object | None) -> None:
        """Note that the read has failed, or that its answer can't be kept."""
        if token is not None:
            with self.lock:
                if self._pending.get(name) is token:
                    del self._pending[name]

    def fill(self, key: Any, name: bytes, token: object | None, entry: Entry) -> None:
        """Keep what was read, if nothing was heard of the key meanwhile."""
        if token is None:
            return
        with self.lock:
            if self._pending.get(name) is token:
                del self._pending[name]
                self._enter(key, entry)

    # A write: writing(), then written().

    def writing(self, names: Iterable[bytes]) -> dict[bytes, Entry]:
        """Note that keys are about to be written, and forget them; return what was forgotten, where it was valid."""
        forgotten = {}
        now = time.monotonic()
        with self.lock:
            for name in names:
                self._pending.pop(name, None)
                writing = self._writing.get(name)
                if writing is None:
                    writing = self._writing[name] = _Writing()
                elif writing.count:
                    writing.clean = False
                writing.count += 1
                entry = self._entries.get(name)
                if entry is not None and not entry.pinned:
                    self._leave(entry)
                    if now < entry.deadline:
                        forgotten[name] = entry
        return forgotten

    def written(self, entries: Mapping[bytes, tuple[Any, Entry | None]]) -> None:
        """Note that the write is over.

        :param entries: for each of its keys the user's spelling, and what is known to be stored now; None when
            nothing is known, as when it failed or somebody else might have written since.
        """
        with self.lock:
            for name, (key, entry) in entries.items():
                writing = self._writing[name]
                writing.count -= 1
                if not writing.count:
                    del self._writing[name]
                # Of two writes that overlap nobody here knows which came second.
                if entry is not None and writing.clean and not writing.count:
                    self._enter(key, entry)

    def know(self, key: Any, entry: Entry, *, pinned: bool) -> None:
        """Keep an entry that is to be written later (``pinned``), or has been.  O(1)"""
        with self.lock:
            entry.pinned = pinned
            self._enter(key, entry)

    def entry(self, name: bytes) -> Entry | None:
        """Return the entry of a Redis key, whatever its deadline.  O(1)"""
        return self._entries.get(name)

    def unpin(self, name: bytes, *, stay: bool) -> None:
        """Note that an entry was written; with ``stay=False`` forget it."""
        with self.lock:
            entry = self._entries.get(name)
            if entry is not None:
                entry.pinned = False
                self._pinned.discard(name)
                if not stay:
                    self._leave(entry)
                self._evict()

    def renewed(self, name: bytes) -> None:
        """Make an entry the last to be evicted."""
        with self.lock:
            entry = self._entries.get(name)
            for key in entry.keys if entry is not None else ():
                if key in self.order:
                    self.order.move_to_end(key)

    def forget(self, names: Iterable[bytes]) -> None:
        """Forget keys, and what is being read of them."""
        with self.lock:
            for name in names:
                self._pending.pop(name, None)
                if name in self._writing:
                    self._writing[name].clean = False
                entry = self._entries.get(name)
                if entry is not None:
                    self._leave(entry)

    # The inside; the lock is held.

    def _enter(self, key: Any, entry: Entry) -> None:
        now = time.monotonic()
        if entry.deadline - now < SHORTEST and not entry.pinned:
            return
        old = self._entries.get(entry.name)
        if old is not None:
            old.pinned = False
            self._leave(old, but=key)
        self._entries[entry.name] = entry
        (self._pinned.add if entry.pinned else self._pinned.discard)(entry.name)
        due = entry.deadline - LOOKED_AT
        entry.shown = due > now
        if not entry.shown:
            due = entry.deadline
        self._spell(entry, key)
        self._deadlines.set(entry.name, due)
        self._evict()
        if due < self._told and self.wake is not None:
            self._told = due
            self.wake(due)

    def _spell(self, entry: Entry, key: Any) -> None:
        if self.used:
            # What was used before this goes before it.
            self._catch_up()
        entry.keys.append(key)
        known = key in self.order
        self.order[key] = entry
        self.order.move_to_end(key)
        if entry.shown:
            self._put(key, entry.value)
        else:
            self._take(key, None)
        if self._uses is not None:
            if known:
                self._uses.touch(key)
            else:
                self._uses.add(key)

    def _leave(self, entry: Entry, but: Any = None) -> None:
        """Remove an entry; under the spelling ``but`` another will follow at once."""
        if entry.pinned:
            return
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]
            self._deadlines.discard(entry.name)
        for key in entry.keys:
            if self.order.get(key) is not entry or (but is not None and key == but):
                continue
            del self.order[key]
            self._take(key, None)
            if self._uses is not None:
                self._uses.discard(key)

    def _hide(self, entry: Entry) -> None:
        """Leave an entry to find(), which looks at the clock."""
        entry.shown = False
        for key in entry.keys:
            self._take(key, None)
        self._deadlines.set(entry.name, entry.deadline)

    def _lapse(self, entry: Entry) -> None:
        """Show a value as missing whose time ended before it was written."""
        entry.value, entry.missing, entry.deadline, entry.shown = self.default, True, math.inf, True
        for key in entry.keys:
            self._put(key, self.default)

    def _catch_up(self) -> None:
        """Put keys that were used meanwhile in their order."""
        used, use = self.used, self.order.move_to_end if self._uses is None else self._uses.touch
        while used:
            try:
                use(used.popleft())
            except (KeyError, TypeError):  # missing, or no key at all
                continue

    def _evict(self) -> None:
        if self.used and len(self.order) > self.maximum:
            self._catch_up()
        for _ in range(len(self.order)):
            if len(self.order) <= self.maximum:
                return
            if len(self._pinned) >= self.maximum:
                # To go round among so many that stay would take long: whatever else comes goes at once.
                key = next(reversed(self.order))
                if self.order[key].pinned:
                    return
            else:
                key = self._uses.least() if self._uses is not None else next(iter(self.order))
            entry = self.order[key]
            if entry.pinned:
                self._used(key)
                self.order.move_to_end(key)
                continue
            self.evictions += 1
            entry.keys.remove(key)
            if entry.keys:
                del self.order[key]
                self._take(key, None)
                if self._uses is not None:
                    self._uses.discard(key)
            else:
                entry.keys.append(key)
                self._leave(entry)

    def look(self, key: Any) -> Entry | None:
        """Return the entry that was asked for under this very key, if its time isn't over; no use.  O(1)"""
        entry = self.order.get(key)
        return None if entry is None or entry.deadline <= time.monotonic() else entry

    def snapshot(self) -> dict[Any, Any]:
        """Return the values by the keys they were asked for under.  O(n)"""
        now = time.monotonic()
        with self.lock:
            return {key: entry.value for key, entry in self.order.items() if not entry.missing and entry.deadline > now}

"""FlipCache's write-back policy: values are changed in the local tier, and written to the server later.

Each is written only over what it was meant to replace: what was there when it was first changed.  A key that somebody
else has changed since keeps the other's value, and the own one is reported.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from pottery_like._core.local import Entry, LocalTier
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Batch, Op
from pottery_like._ops.common import chunks
from pottery_like._ops.flip_core import FlipCore, FlipProgram, Write, fingerprint, items_of
from pottery_like._ops.flipcache import Found, lifetime
from pottery_like.exceptions import DecodeError


class FlipConflict(NamedTuple):
    """A value that was not written back, because its key was changed elsewhere meanwhile.

    :ivar key: the key.
    :ivar mine: the value that was not written; None for a deletion.
    :ivar theirs: the value that is on the server; None if there is none, or a key of another Redis type.
    """

    key: Any
    mine: Any
    theirs: Any


class Dirty:
    """A change that was not written yet.

    :ivar raw: the bytes to store; None to remove the key.
    :ivar base: the fingerprint of what it replaces.
    :ivar lapses: when what it replaces disappears by itself.
    :ivar deadline: when the new value does.
    """

    __slots__ = ("base", "deadline", "key", "lapses", "raw")

    def __init__(self, key: Any, raw: bytes | None, base: bytes, lapses: float, deadline: float) -> None:
        self.key = key
        self.raw = raw
        self.base = base
        self.lapses = lapses
        self.deadline = deadline


class FlipBack:
    """Programs that change values now and write them later.

    :param core: the programs on single keys.
    :param tier: its local tier.
    :param dirty_max: how many changes may wait.
    """

    def __init__(self, core: FlipCore, tier: LocalTier, dirty_max: int) -> None:
        self.core = core
        self.tier = tier
        self.dirty_max = dirty_max
        self.dirty: dict[bytes, Dirty] = {}
        # What was sent last and has not been answered: until it is, nobody knows what a newer change replaces.
        self._sent: dict[bytes, Dirty] = {}
        # For each change that is being made, the keys that were written since it looked at what they hold.
        self._changing: dict[object, set[bytes]] = {}
        self.conflicts = 0
        self._untold: deque[FlipConflict] = deque()

    def set(self, key: Any, value: Any, ttl: float | timedelta | None) -> FlipProgram[bool]:
        """``cache[key] = value``; whether it is time to flush.  One exchange if it isn't known what it replaces."""
        name, raw = self.core.ops.names.encode(key), self.core.ops.texts.encode(value)
        return (yield from self._change({name: (key, raw)}, lifetime(ttl, self.core.ops.ms)))

    def set_many(self, arg: Any, kwargs: Mapping[str, Any], ttl: float | timedelta | None) -> FlipProgram[bool]:
        """Store items; whether it is time to flush."""
        encode, names = self.core.ops.texts.encode, self.core.ops.names
        items = {names.encode(key): (key, encode(value)) for key, value in items_of(arg, kwargs)}
        return (yield from self._change(items, lifetime(ttl, self.core.ops.ms)))

    def delete(self, keys: Iterable[Any]) -> FlipProgram[bool]:
        """``del cache[key]``; whether it is time to flush."""
        return (yield from self._change({self.core.ops.names.encode(key): (key, None) for key in keys}, 0))

    def _change(self, items: Mapping[bytes, tuple[Any, bytes | None]], ms: int) -> FlipProgram[bool]:
        decode, default = self.core.ops.texts.decode, self.core.ops.default
        entries = {
            name: Entry(name, default() if raw is None else decode(raw), math.inf, raw is None, fingerprint(raw))
            for name, (_, raw) in items.items()
        }
        lock, token = self.tier.lock, object()
        bases: dict[bytes, tuple[bytes, float]] = {}
        written: set[bytes] = set()
        with lock:
            self._changing[token] = written
        try:
            wanted = list(items)
            while True:
                bases.update((yield from self._bases(wanted)))
                with lock:
                    for name in written:
                        bases.pop(name, None)
                    written.clear()
                    wanted = [name for name in items if name not in bases and name not in self.dirty]
                    if not wanted:
                        return self._note(items, entries, bases, ms)
        finally:
            with lock:
                self._changing.pop(token, None)

    def _note(
        self,
        items: Mapping[bytes, tuple[Any, bytes | None]],
        entries: Mapping[bytes, Entry],
        bases: Mapping[bytes, tuple[bytes, float]],
        ms: int,
    ) -> bool:
        deadline = time.monotonic() + ms / 1000 if ms else math.inf
        for name, (key, raw) in items.items():
            old = self.dirty.get(name)
            base, lapses = (old.base, old.lapses) if old is not None else bases[name]
            self.dirty[name] = Dirty(key, raw, base, lapses, deadline)
            entries[name].deadline = deadline
            self.tier.know(key, entries[name], pinned=True)
        return len(self.dirty) >= self.dirty_max

    def _bases(self, names: Iterable[bytes]) -> FlipProgram[dict[bytes, tuple[bytes, float]]]:
        """What keys hold that were not changed yet, and until when: as the local tier knows it, or else the server."""
        known: dict[bytes, tuple[bytes, float]] = {}
        unknown = []
        now = time.monotonic()
        with self.tier.lock:
            for name in names:
                entry = self.tier.entry(name)
                if name in self.dirty:
                    continue
                if entry is not None and entry.deadline > now and entry.stored is not None:
                    known[name] = entry.stored, entry.deadline
                else:
                    unknown.append(name)
        for part in chunks(unknown):
            groups = self.core.groups(part)
            found = yield Batch(tuple(self.core.ops.get_many(tuple(group), True) for group in groups))
            for group, values in zip(groups, found, strict=True):
                for name, each in zip(group, values, strict=True):
                    known[name] = fingerprint(each.raw), now + each.left
        return known

    def batches(self) -> list[tuple[list[tuple[bytes, Dirty]], Op[Any]]]:
        """Return the changes that wait, in groups, and the script that writes each."""
        with self.tier.lock:
            # What may have been written already is sent as it was: the script knows it again.
            waiting = {name: self._sent.get(name, change) for name, change in self.dirty.items()}
            self._sent.update(waiting)
        groups = [part for group in self.core.groups(waiting) for part in chunks(group, CHUNK)] if waiting else []
        made = []
        now = time.monotonic()
        for group in groups:
            changes = [(name, waiting[name]) for name in group]
            words = [word for _, change in changes for word in _words(change, now)]
            ops = self.core.ops
            # Run a second time it finds its own values and is content.
            op = Op(script("flip_flush"), tuple(group), (*ops.says, *words), list, True)
            made.append((changes, op))
        return made

    def flush(self) -> FlipProgram[None]:
        """Write what waits, each group in one script.

        An exception leaves what was not answered waiting.
        """
        while True:
            with self.tier.lock:
                repeated = dict(self._sent)
            yield from self._flush()
            if not any(name in self.dirty for name in repeated):
                return

    def _flush(self) -> FlipProgram[None]:
        for changes, op in self.batches():
            keys = {name: change.key for name, change in changes}
            sent = time.monotonic()
            self.tier.writing(keys)
            entries: dict[bytes, Entry] = {}
            try:
                reply, kept = yield Write(op)
                settled = self.settle(changes, reply)
                if kept:
                    entries = {name: self._flushed(name, change, sent) for name, change in settled}
            finally:
                self.tier.written({name: (key, entries.get(name)) for name, key in keys.items()})

    def _flushed(self, name: bytes, change: Dirty, sent: float) -> Entry:
        if change.raw is None:
            return self.core.missing(name)
        return self.core.entry(
            name, Found(self.core.ops.texts.decode(change.raw), change.deadline - sent, change.raw), sent
        )

    def settle(self, changes: list[tuple[bytes, Dirty]], reply: list[Any]) -> list[tuple[bytes, Dirty]]:
        """Note what was written; return the changes after which nothing waits."""
        settled = []
        with self.tier.lock:
            names = [name for name, _ in changes]
            for each in self._changing.values():
                each.update(names)
            for name in names:
                self._sent.pop(name, None)
            for (name, change), written, theirs in zip(changes, reply[::2], reply[1::2], strict=True):
                newest = self.dirty.get(name)
                if not written:
                    self.conflicts += 1
                    self._untold.append(self._conflict(change, theirs))
                if newest is change:
                    del self.dirty[name]
                    self.tier.unpin(name, stay=False)
                    if written:
                        settled.append((name, change))
                elif newest is not None and written:
                    newest.base, newest.lapses = fingerprint(change.raw), change.deadline
        return settled

    def untold(self) -> Iterator[FlipConflict]:
        """Yield the conflicts that nobody was told of yet, each once, whatever becomes of those before."""
        while self._untold:
            try:
                each = self._untold.popleft()
            except IndexError:  # another thread took the last one
                return
            yield each

    def _conflict(self, change: Dirty, theirs: bytes | None) -> FlipConflict:
        return FlipConflict(change.key, self._shown(change.raw), self._shown(theirs))

    def _shown(self, raw: bytes | None) -> Any:
        try:
            return None if raw is None else self.core.ops.texts.decode(raw)
        except DecodeError:  # somebody else's bytes
            return raw

    def forget(self) -> None:
        """Forget all changes that wait."""
        with self.tier.lock:
            self._sent.clear()
            for each in self._changing.values():
                each.update(self.dirty)
            for name in list(self.dirty):
                del self.dirty[name]
                self.tier.unpin(name, stay=False)

    def renew(self) -> None:
        """Begin anew in a forked child: the parent writes what is to be written."""
        self.dirty.clear()
        self._sent.clear()
        self._changing.clear()


def _words(change: Dirty, now: float) -> tuple[bytes | int, ...]:
    ms = -1 if change.raw is None else 0
    if change.deadline < math.inf and ms == 0:
        left = round((change.deadline - now) * 1000)
        ms = left if left > 0 else -1
    return change.base, int(change.lapses <= now), ms, change.raw or b""

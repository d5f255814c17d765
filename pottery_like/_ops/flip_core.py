"""What FlipCache does with its two tiers: programs, the same for both worlds."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from pottery_like._core.keys import slot
from pottery_like._core.local import Entry, LocalTier
from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Batch, Op
from pottery_like._ops.common import chunks
from pottery_like._ops.dict import MISSING, as_pairs
from pottery_like._ops.flipcache import FlipOps, Found, lifetime
from pottery_like.exceptions import DecodeError

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Read:
    """Read from the server; the step's result is the operation's, and whether it may be kept in the local tier."""

    op: Op[Any]


@dataclass(frozen=True, slots=True)
class ReadMany:
    """Read in one round trip per server; the step's result is the lists of what :class:`Read` gives for each."""

    ops: tuple[Op[Any], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Change something; the step's result is the operation's, and whether what was written may be kept."""

    op: Op[Any]


ABSENT = b"-"
"""The fingerprint of a missing key."""


def fingerprint(raw: bytes | None) -> bytes:
    """Return what tells a stored value from others; of long ones a digest."""
    if raw is None:
        return ABSENT
    return b"=" + raw if len(raw) <= 40 else b"#" + hashlib.sha1(raw, usedforsecurity=False).hexdigest().encode()


FlipProgram = Generator[Any, Any, T]
"""A program whose steps are the runner's and the three above."""

Known = Mapping[bytes, Entry]


def items_of(arg: Any, kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of what ``dict.update()`` accepts, in their order: different keys may be one key here."""
    if hasattr(arg, "keys"):
        yield from as_pairs(arg)
    else:
        yield from arg
    yield from kwargs.items()


class FlipStats(NamedTuple):
    """What a cache has done so far, in this process.

    :ivar local_hits: reads answered from memory; None unless the cache counts them (``count_hits=True``).
    :ivar remote_hits: reads answered by the server with a value.
    :ivar misses: reads for which the server had no value.
    :ivar evictions: values that left memory to make room.
    :ivar invalidations: values that left memory because they were changed elsewhere.
    :ivar reconnects: how often listening for changes began anew.
    :ivar conflicts: values not written back because the key was changed elsewhere.
    :ivar size: how many values are in memory.
    :ivar dirty: how many of them were not written back yet.
    """

    local_hits: int | None
    remote_hits: int
    misses: int
    evictions: int
    invalidations: int
    reconnects: int
    conflicts: int
    size: int
    dirty: int


class FlipCore:
    """Programs on the keys of one cache.

    :param ops: its operations.
    :param tier: its local tier, if it has one.
    :param keep_missing: keep in the local tier that a key is missing.
    :ivar remember: note for each local entry what was stored.
    """

    remember = False

    def __init__(self, ops: FlipOps, tier: LocalTier | None, keep_missing: bool) -> None:
        self.ops = ops
        self.tier = tier
        # A missing key whose default would be stored isn't missing for long.
        self.keep_missing = keep_missing and ops.default_raw is None
        self.local_hits = self.remote_hits = self.misses = 0

    @property
    def clustered(self) -> bool:
        """Whether keys are on several servers."""
        return self.ops.clustered

    # Reading.

    def near(self, key: Any, name: bytes) -> Entry | None:
        """Return the local entry of a key, under whichever spelling it was found before."""
        if self.tier is None:
            return None
        entry = self.tier.find(key, name)
        self.local_hits += entry is not None
        return entry

    def fetch(self, key: Any, fill: bool) -> FlipProgram[Any]:
        """``cache[key]``, when it isn't in the local tier under this very spelling.

        :param fill: store the default where there is no value.
        """
        name = self.ops.names.encode(key)
        entry = self.near(key, name)
        if entry is not None:
            return entry.value
        found = yield from self.read(key, name, fill=fill)
        return self.ops.default() if found.value is MISSING else found.value

    def get(self, key: Any, default: D) -> FlipProgram[Any | D]:
        """``cache.get(key, default)``."""
        name = self.ops.names.encode(key)
        entry = self.near(key, name)
        if entry is not None:
            return default if entry.missing else entry.value
        found = yield from self.read(key, name, fill=False)
        return default if found.value is MISSING else found.value

    def read(self, key: Any, name: bytes, *, fill: bool) -> FlipProgram[Found]:
        """Read from the server, and keep what was found where that is allowed."""
        tier = self.tier
        op = self.ops.get(name, local=tier is not None, fill=fill)
        if tier is None:
            found: Found = yield op
        else:
            token = tier.begin(name)
            try:
                sent = time.monotonic()
                found, kept = yield Read(op)
                if kept:
                    self.keep(key, name, token, found, sent)
            finally:
                tier.abandon(name, token)
        self.count(found)
        return found

    def count(self, found: Found) -> None:
        """Count a read that the server has answered."""
        if found.value is MISSING:
            self.misses += 1
        else:
            self.remote_hits += 1

    def keep(self, key: Any, name: bytes, token: object | None, found: Found, sent: float) -> None:
        """Keep what was found in the local tier."""
        if self.tier is None:
            return
        if found.value is not MISSING:
            self.tier.fill(key, name, token, self.entry(name, found, sent))
        elif self.keep_missing:
            self.tier.fill(key, name, token, self.missing(name))

    def entry(self, name: bytes, found: Found, sent: float) -> Entry:
        """Return the local entry for what the server has."""
        left = found.left
        if self.ops.refresh:
            # A key that goes on being read must reach the server often enough to be kept alive there.
            left = left if left < math.inf else self.ops.ms / 1000
            left -= self.ops.ms / 2000
        stored = fingerprint(found.raw) if self.remember else None
        return Entry(name, found.value, sent + left, False, stored)

    def missing(self, name: bytes) -> Entry:
        """Return the local entry for a key that isn't there."""
        return Entry(name, self.ops.default(), math.inf, True, ABSENT)

    def contains(self, key: Any) -> FlipProgram[bool]:
        """``key in cache``."""
        name = self.ops.names.encode(key)
        entry = self.near(key, name)
        if entry is not None:
            return not entry.missing
        op, tier = self.ops.contains(name), self.tier
        if tier is None or not self.keep_missing:
            there: bool = yield op
            return there
        token = tier.begin(name)
        try:
            there, kept = yield Read(op)
            if kept and not there:
                tier.fill(key, name, token, self.missing(name))
        finally:
            tier.abandon(name, token)
        return there

    def get_many(self, keys: Iterable[Any]) -> FlipProgram[dict[Any, Any]]:
        """The values of those keys that are there."""
        found: dict[Any, Any] = {}
        wanted: dict[bytes, Any] = {}
        for key in keys:
            name = self.ops.names.encode(key)
            entry = self.near(key, name)
            # The order is that of the keys.
            found[key] = MISSING if entry is None or entry.missing else entry.value
            if entry is None:
                wanted.setdefault(name, []).append(key)
        for part in chunks(wanted):
            yield from self._get_chunk(part, wanted, found)
        return {key: value for key, value in found.items() if value is not MISSING}

    def _get_chunk(
        self, names: list[bytes], wanted: Mapping[bytes, list[Any]], found: dict[Any, Any]
    ) -> FlipProgram[None]:
        tier = self.tier
        groups = self.groups(names)
        ops = tuple(self.ops.get_many(tuple(group), tier is not None) for group in groups)
        tokens: dict[bytes, object | None] = {}
        try:
            if tier is not None:
                tokens = {name: tier.begin(name) for name in names}
            sent = time.monotonic()
            results, kept = yield ReadMany(ops)
            for group, values, sound in zip(groups, results, kept, strict=True):
                for name, each in zip(group, values, strict=True):
                    self.count(each)
                    for key in wanted[name]:
                        found[key] = each.value
                    if sound and tier is not None:
                        self.keep(wanted[name][0], name, tokens[name], each, sent)
        finally:
            if tier is not None:
                for name, token in tokens.items():
                    tier.abandon(name, token)

    def groups(self, names: Iterable[bytes]) -> list[list[bytes]]:
        """Return keys in groups that one operation can take."""
        if not self.clustered:
            return [list(names)]
        groups: dict[int, list[bytes]] = {}
        for name in names:
            groups.setdefault(slot(name), []).append(name)
        return list(groups.values())

    # Writing.

    def write(self, keys: Mapping[bytes, Any], op: Op[T], known: Callable[[T, float, Known], Known]) -> FlipProgram[T]:
        """Change keys by one operation, and keep what is then known of them where that is allowed.

        :param keys: the users' keys by Redis keys.
        :param known: returns the entries, given the result, when the operation was sent, and what was valid before.
        """
        tier = self.tier
        if tier is None:
            result: T = yield op
            return result
        before = tier.writing(keys)
        entries: Known = {}
        try:
            sent = time.monotonic()
            result, kept = yield Write(op)
            if kept:
                entries = known(result, sent, before)
        finally:
            tier.written({name: (key, entries.get(name)) for name, key in keys.items()})
        return result

    def write_many(self, keys: Mapping[bytes, Any], ops: list[Op[T]]) -> FlipProgram[list[T]]:
        """Change keys by operations sent together; what they write isn't kept."""
        tier = self.tier
        if tier is not None:
            tier.writing(keys)
        try:
            results: list[T] = yield Batch(tuple(ops))
        finally:
            if tier is not None:
                tier.written({name: (key, None) for name, key in keys.items()})
        return results

    def set(self, key: Any, value: Any, ttl: float | timedelta | None = None) -> FlipProgram[None]:
        """``cache[key] = value``."""
        name, raw = self.ops.names.encode(key), self.ops.texts.encode(value)
        ms = lifetime(ttl, self.ops.ms)
        yield from self.write({name: key}, self.ops.set(name, raw, ms), self.stored({name: raw}, ms))

    def stored(self, raws: Mapping[bytes, bytes], ms: int) -> Callable[[Any, float, Known], Known]:
        """Return a function that returns the entries for values just stored."""
        left = ms / 1000 if ms else math.inf

        def known(_: Any, sent: float, __: Known) -> Known:
            decode = self.ops.texts.decode
            try:
                return {name: self.entry(name, Found(decode(raw), left, raw), sent) for name, raw in raws.items()}
            except DecodeError:  # the user's decoder doesn't take what the encoder made: reading says so
                return {}

        return known

    def gone(self, name: bytes) -> Known:
        """Return the entry of a key just removed, if missing keys are kept."""
        return {name: self.missing(name)} if self.keep_missing else {}

    def delete(self, key: Any) -> FlipProgram[None]:
        """``del cache[key]``."""
        name = self.ops.names.encode(key)
        yield from self.write({name: key}, self.ops.delete(name), lambda *_: self.gone(name))

    def pop(self, key: Any, default: D) -> FlipProgram[Any | D]:
        """``cache.pop(key, default)``."""
        name = self.ops.names.encode(key)
        found = yield from self.write({name: key}, self.ops.pop(name), lambda *_: self.gone(name))
        if found.value is not MISSING:
            return found.value
        if default is MISSING:
            raise KeyError(key)
        return default

    def setdefault(self, key: Any, default: Any) -> FlipProgram[Any]:
        """``cache.setdefault(key, default)``."""
        name = self.ops.names.encode(key)
        entry = self.near(key, name)
        if entry is not None and not entry.missing:
            return entry.value
        op = self.ops.setdefault(name, self.ops.texts.encode(default))
        found = yield from self.write({name: key}, op, self.found(name))
        return found.value

    def found(self, name: bytes) -> Callable[[Found, float, Known], Known]:
        """Return a function that returns the entry for a value that a write has answered with."""
        return lambda found, sent, _: {name: self.entry(name, found, sent)}

    def increment(self, key: Any, amount: int, ttl: float | timedelta | None) -> FlipProgram[int]:
        """Add to a number."""
        name = self.ops.names.encode(key)
        op = self.ops.increment(name, amount, lifetime(ttl, self.ops.ms))
        found = yield from self.write({name: key}, op, self.found(name))
        value: int = found.value
        return value

    def touch(self, key: Any, ttl: float | timedelta | None) -> FlipProgram[bool]:
        """Give a value a new lifetime."""
        name, ms = self.ops.names.encode(key), lifetime(ttl, self.ops.ms)
        left = ms / 1000 if ms else math.inf

        def known(there: bool, sent: float, before: Known) -> Known:
            old = before.get(name)
            if old is None or old.missing or not there:
                return {}
            made = self.entry(name, Found(old.value, left), sent)
            made.stored = old.stored
            return {name: made}

        there: bool = yield from self.write({name: key}, self.ops.touch(name, ms), known)
        return there

    def refresh(self, key: Any) -> FlipProgram[None]:
        """Give a value its whole lifetime anew, and its local copy the last turn to be evicted."""
        name = self.ops.names.encode(key)
        if self.ops.ms:
            yield from self.touch(key, None)
        if self.tier is not None:
            self.tier.renewed(name)

    def ttl(self, key: Any) -> FlipProgram[float | None]:
        """The seconds that a value has left."""
        left: float | None = yield self.ops.ttl(self.ops.names.encode(key), key)
        return left

    def set_many(self, arg: Any, kwargs: Mapping[str, Any], ttl: float | timedelta | None) -> FlipProgram[None]:
        """Store items; per slot and thousand in one script."""
        ms, encode = lifetime(ttl, self.ops.ms), self.ops.texts.encode
        keys: dict[bytes, Any] = {}
        raws: dict[bytes, bytes] = {}
        for key, value in items_of(arg, kwargs):
            name = self.ops.names.encode(key)
            keys[name], raws[name] = key, encode(value)
        for part in chunks(keys):
            groups = self.groups(part)
            ops = [self.ops.set_many(tuple(group), [raws[name] for name in group], ms) for group in groups]
            chosen = {name: keys[name] for name in part}
            if len(ops) == 1:
                yield from self.write(chosen, ops[0], self.stored({name: raws[name] for name in part}, ms))
            else:
                yield from self.write_many(chosen, ops)

    def delete_many(self, keys: Iterable[Any]) -> FlipProgram[int]:
        """Remove keys; how many there were."""
        names = {self.ops.names.encode(key): key for key in keys}
        removed = 0
        for part in chunks(names, CHUNK):
            removed += yield from self.remove({name: names[name] for name in part})
        return removed

    def remove(self, names: Mapping[bytes, Any]) -> FlipProgram[int]:
        """Remove a chunk of Redis keys; how many there were."""
        counts = yield from self.write_many(names, [self.ops.delete_many(tuple(each)) for each in self.groups(names)])
        return sum(counts)

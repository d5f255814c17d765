"""What a call of a function with a redis_cache() comes to: a result that was there, or one that is computed."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from pottery_like._core.arguments import UnfitError
from pottery_like._core.op import Op
from pottery_like._ops.flight import Compute, Flight, Found, Hit, Outcome, Raised, fetch
from pottery_like._ops.memo import MemoEntry, MemoOps
from pottery_like._ops.memo_options import Options
from pottery_like.exceptions import DecodeError

if TYPE_CHECKING:
    from functools import _CacheInfo

    CacheInfo = _CacheInfo
else:
    CacheInfo = type(functools.lru_cache(lambda: None).cache_info())

UNUSUAL = object()

REMEMBERED = 1000
"""How many results a process remembers for when the server is away."""


class Recent:
    """The results that this process has seen last.

    They are kept only where ``stale_on_error=`` asks for it.
    """

    def __init__(self, options: Options) -> None:
        self._kept: dict[bytes, tuple[Hit, float]] = {}
        self.generation = 0
        self._stale = options.milliseconds("stale") / 1000
        self._life = options.milliseconds("ttl") / 1000
        self.wanted = options.stale_on_error

    def saw(self, field: bytes, hit: Hit, generation: int) -> None:
        """Remember a result, unless all were forgotten after it had been asked for in this generation."""
        if generation != self.generation:
            return
        self._kept.pop(field, None)
        self._kept[field] = hit, time.monotonic() + (self._life if hit.ttl == math.inf else hit.ttl) + self._stale
        while len(self._kept) > REMEMBERED:
            self._kept.pop(next(iter(self._kept), b""), None)

    def find(self, field: bytes) -> Hit | None:
        """Return a result that will still do."""
        hit, until = self._kept.get(field, (None, 0.0))
        return hit if time.monotonic() < until else None

    def clear(self) -> None:
        """Forget all results, and those that are under way."""
        self.generation += 1
        self._kept.clear()


class Calls:
    """The calls of one function in this process.

    :param away: the exceptions that say that Redis is away.
    :param lock: held while counting.
    """

    def __init__(
        self,
        ops: MemoOps,
        function: Callable[..., Any],
        away: tuple[type[Exception], ...],
        lock: AbstractContextManager[Any],
    ) -> None:
        self.ops = ops
        self.options = ops.options
        self.function = function
        self.hits = self.misses = 0
        self._away = away
        self._lock = lock
        self.recent = Recent(ops.options)
        self.simple = not (ops.options.most == 0 or ops.options.local or ops.options.stale_on_error)

    def renew(self, lock: AbstractContextManager[Any]) -> None:
        """Take another lock: in a forked child, a thread that doesn't exist there may hold the old one."""
        self._lock = lock

    def entry(self, args: tuple[Any, ...], kwargs: dict[str, Any], forced: bool = False) -> MemoEntry | None:
        """Return the entry of a call; None where only the function itself can tell what comes of it.

        :raises TypeError: an argument isn't hashable or has no spelling.
        """
        if self.options.most == 0:
            self._count(misses=not forced)
            return None
        try:
            entry = self.ops.entry(args, kwargs, forced)
        except UnfitError:
            return None
        entry.generation = self.recent.generation
        return entry

    def hit(self, raw: bytes) -> Any:
        """Return the result in an entry, and count it; UNUSUAL if it isn't the codec's."""
        try:
            value = self.ops.decode(raw)
        except DecodeError:
            return UNUSUAL
        with self._lock:
            self.hits += 1
        return value

    def usual(self, entry: MemoEntry, found: Found | Exception) -> Any:
        """Return the result that a look has brought, if that is all; else UNUSUAL."""
        if type(found) is not Hit:
            return UNUSUAL
        value = self.hit(found.raw)
        if self.recent.wanted and value is not UNUSUAL:
            with self._lock:
                self.recent.saw(entry.field, found, entry.generation)
        return value

    def rest(self, entry: MemoEntry, found: Found | Exception | None = None) -> Flight[Any]:
        """Do what follows a look that has brought no result; without one, look for the lease only.

        The value of the outcome is the call's, unless there is an error to raise.
        """
        bypass = found is None
        if isinstance(found, Exception):
            return (yield from self._without(entry, found))
        if isinstance(found, Hit):
            # Unreadable: another codec's, or another version's of the program.
            entry.forced, found = True, None
        try:
            outcome = yield from fetch(entry, share=self.options.statistics == "process", found=found)
        except self._away as error:
            return (yield from self._without(entry, error))
        if outcome.error is None and outcome.hit is not None:
            value = self.usual(entry, outcome.hit)
            if value is UNUSUAL:
                return (yield from self.rest(entry, outcome.hit))
            return Outcome(outcome.hit, value)
        self._count(misses=not bypass)
        if self.recent.wanted and outcome.stored is not None:
            with self._lock:
                self.recent.saw(entry.field, Hit(outcome.stored), entry.generation)
        return self._made(entry, outcome)

    def _made(self, entry: MemoEntry, outcome: Outcome[Any]) -> Outcome[Any]:
        if outcome.error is not None and outcome.hit is not None:
            with suppress(DecodeError):
                return Outcome(outcome.hit, self.ops.decode(outcome.hit.raw))
        options = self.options
        tolerant = outcome.away and (options.on_error == "compute" or options.stale_on_error)
        if outcome.failure is not None and not tolerant:
            return Outcome(error=outcome.failure)
        return outcome

    def _without(self, entry: MemoEntry, error: Exception) -> Flight[Any]:
        hit = None if entry.forced else self.recent.find(entry.field)
        if hit is not None:
            self._count(hits=True)
            return Outcome(hit, self.ops.decode(hit.raw))
        if self.options.on_error == "raise":
            return Outcome(error=error)
        self._count(misses=not entry.forced)
        made = yield Compute()
        return Outcome(error=made.error) if isinstance(made, Raised) else Outcome(value=made)

    def _count(self, hits: bool = False, misses: bool = False) -> None:
        with self._lock:
            self.hits += hits
            self.misses += misses

    def forget(self) -> None:
        """Forget what this process has seen, as something has been invalidated."""
        with self._lock:
            self.recent.clear()

    def cleared(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.hits = self.misses = 0

    def info(self) -> Op[CacheInfo]:
        """Return the hits, the misses, the size allowed, and the size."""

        def decode(hits: int, misses: int, size: int) -> CacheInfo:
            if self.options.statistics == "process":
                hits, misses = self.hits, self.misses
            return CacheInfo(hits, misses, self.options.most, size)

        return self.ops.info(decode)

"""FlipCache's values that a function computes when they are missing: one flight at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pottery_like._core.lua import script
from pottery_like._core.op import Op
from pottery_like._ops.flight import KeyEntry, Outcome
from pottery_like._ops.flip_core import FlipCore
from pottery_like._ops.flip_texts import beside
from pottery_like._ops.flipcache import NOTHING, FlipOps, Found, lifetime


class FlipEntry(KeyEntry):
    """A cache's value as the flights see it.

    :param ops: the cache's operations.
    :param name: the Redis key.
    :param encode: returns the bytes to store and the milliseconds that they live, 0 for no end.
    :param lease: seconds.
    """

    __slots__ = ("_ops", "encode")

    def __init__(
        self, ops: FlipOps, name: bytes, encode: Callable[[Any], tuple[bytes, int] | None], lease: float
    ) -> None:
        super().__init__(name, beside(name, b"flights"), lease)
        self._ops = ops
        self.encode = encode

    def wake(self, token: bytes) -> bytes:
        """Return the key of the list on which the waiters for this token's flight wait."""
        return beside(self.key, b"wake:" + token)

    def store(self, token: bytes, value: Any, took: float) -> Op[bytes | None] | None:
        """Store what was computed, unless it has been overtaken: one script."""
        encoded: Any = self.encode(value)
        if encoded is None:
            return None
        raw, ms = encoded
        keys = (self.key, self.flights, self.wake(token))
        words = (*self._ops.says, self.row, token, raw, ms)
        return Op(script("flip_flight_set"), keys, words, lambda reply: raw if reply else None, True)


class Load:
    """One get_or_set().

    :param core: the cache's programs.
    :param key: the user's key.
    :param ttl: seconds that a computed value lives; None for the cache's expire_time, ``math.inf`` for no end.
    :param lease: seconds after which somebody else may compute.
    :ivar reads: whether the value is to be read before: for the local tier, or as reading prolongs its life.
    :raises TypeError: or ValueError, the key or ``ttl`` is no such thing.
    """

    def __init__(self, core: FlipCore, key: Any, ttl: float | timedelta | None, lease: float) -> None:
        self._core = core
        self._ops = ops = core.ops
        self.reads = core.tier is not None or ops.refresh
        self._ms = lifetime(ttl, ops.ms)
        self._made = False
        self._raw: bytes | None = None
        self.entry = FlipEntry(ops, ops.names.encode(key), self._encode, lease)

    def _encode(self, value: Any) -> tuple[bytes, int] | None:
        self._made = True
        # None is no str and no int.
        self._raw = None if value is None and not self._ops.texts.none else self._ops.texts.encode(value)
        return None if self._raw is None else (self._raw, self._ms)

    def outcome(self, found: Outcome[Any]) -> Any:
        """Return what a flight has brought, or raise what the function or the encoder has raised.

        A value that could not be stored for the server's sake is a value all the same.
        """
        if self._core.tier is not None:
            # The news of one's own write may be on its way still.
            self._core.tier.forget((self.entry.key,))
        if not self.reads:
            self._core.count(NOTHING if found.hit is None else Found(found.hit.raw))
        if found.hit is not None:
            return self._ops.texts.decode(found.hit.raw)
        if found.error is not None:
            raise found.error
        if found.failure is not None and (not found.away or isinstance(found.failure, TypeError | ValueError)):
            raise found.failure
        if not self._made:
            self._encode(found.value)
        return self._ops.default() if self._raw is None else self._ops.texts.decode(self._raw)

"""FlipCache's operations on one key: a Redis string each, under ``name:key``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pottery_like._core.lua import script
from pottery_like._core.op import Argument, Op, ok
from pottery_like._ops.common import count, milliseconds, truth
from pottery_like._ops.dict import MISSING
from pottery_like._ops.flip_texts import Names, Texts, beside

R = TypeVar("R")

FRESH = 0.9
"""A key that has more of its time left than this is not given a new one when it is read for the local tier."""

INT64 = 1 << 63

LONGEST = 1 << 62
"""Milliseconds that a key can live: the server adds the time of day, and has 63 bits."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a read has found.

    :ivar value: the value; MISSING where there is none.
    :ivar left: seconds until it expires; ``math.inf`` for never.
    :ivar raw: its bytes.
    """

    value: Any
    left: float = math.inf
    raw: bytes | None = None


NOTHING = Found(MISSING)


def lifetime(ttl: float | timedelta | None, usual: int) -> int:
    """Return a ttl in milliseconds, 0 for no end.

    :param ttl: seconds, a timedelta, ``math.inf`` for no end, or None for the usual one.
    :raises TypeError: or ValueError, it is no such thing.
    """
    if ttl is None:
        return usual
    return 0 if ttl == math.inf else _lifetime(ttl, "ttl")


def _lifetime(ttl: float | timedelta, name: str) -> int:
    ms = milliseconds(ttl, name)
    if ms > LONGEST:
        raise ValueError(f"{name} must be at most {LONGEST // 1000} seconds, not {ttl}")
    return ms


def seconds_left(ms: int) -> float:
    """Return what PTTL says in seconds, or infinity."""
    return ms / 1000 if ms >= 0 else math.inf


class FlipOps:
    """What can be done with a namespace of keys.

    :param names: its keys.
    :param texts: its values.
    :param expire_time: seconds that a value lives.
    :param refresh: reading a value gives it its whole time anew.
    :param default: what a missing key's value is.
    :param publish: changes are published in the channels ``<name>/update`` and ``<name>/delete``.
    :ivar clustered: whether keys are on several servers.
    :raises TypeError: or ValueError, ``expire_time`` is no duration, or ``default`` no value of this type.
    """

    clustered = True

    def __init__(
        self,
        names: Names,
        texts: Texts,
        *,
        expire_time: float | timedelta | None,
        refresh: bool,
        default: Any,
        publish: bool,
    ) -> None:
        self.names = names
        self.texts = texts
        self.ms = 0 if expire_time is None else _lifetime(expire_time, "expire_time")
        self.refresh = bool(refresh) and self.ms > 0
        self.default_raw = None if default is None else texts.encode(default)
        self.says: tuple[Argument, Argument] = (f"{names.name}/".encode() if publish else b"", len(names.prefix))
        self.publish = publish

    def default(self) -> Any:
        """Return a missing key's value: the default as it looks when it comes back from the server."""
        return None if self.default_raw is None else self.texts.decode(self.default_raw)

    def script(self, name: str, keys: tuple[bytes, ...], *args: Argument, decode: Callable[[Any], R]) -> Op[R]:
        """Return a script of FlipCache's that says what it changes."""
        return Op(script(f"flip_{name}"), keys, (*self.says, *args), decode, False)

    def read_args(self, local: bool) -> tuple[int, int]:
        """Return the new lifetime that a read gives, and the one below which it does."""
        if not self.refresh:
            return 0, 0
        return self.ms, round(self.ms * FRESH) if local else 0

    def get(self, name: bytes, *, local: bool, fill: bool) -> Op[Found]:
        """Read a value: GET or GETEX; a script where its remaining time is wanted, or the default is stored.

        :param local: it may be kept in the local tier.
        :param fill: store the default where there is no value.
        """
        default = self.default_raw if fill else None
        if default is None and not local:
            if self.refresh:
                return Op("GETEX", (name,), (b"PX", self.ms), self._plain, True)
            return Op("GET", (name,), (), self._plain, True)
        extra: tuple[Argument, ...] = () if default is None else (self.ms, default)
        return Op(script("flip_get"), (name,), (*self.says, *self.read_args(local), *extra), self._found, True)

    def setdefault(self, name: bytes, raw: bytes) -> Op[Found]:
        """Read a value, or store it where there is none: one script."""
        words = (*self.says, *self.read_args(False), self.ms, raw, 1)
        return Op(script("flip_get"), (name,), words, self._stored(raw), True)

    def _plain(self, reply: Any) -> Found:
        return NOTHING if reply is None else Found(self.texts.decode(reply), math.inf, reply)

    def _found(self, reply: Any) -> Found:
        raw, left, stored = reply
        if raw is None:
            if not stored or self.default_raw is None:
                return NOTHING
            raw = self.default_raw
        return Found(self.texts.decode(raw), seconds_left(left), raw)

    def _stored(self, default: bytes) -> Callable[[Any], Found]:
        def decode(reply: Any) -> Found:
            raw, left, _ = reply
            raw = default if raw is None else raw
            return Found(self.texts.decode(raw), seconds_left(left), raw)

        return decode

    def contains(self, name: bytes) -> Op[bool]:
        """``key in cache``: EXISTS."""
        return Op("EXISTS", (name,), (), truth, True)

    def set(self, name: bytes, raw: bytes, ms: int) -> Op[None]:
        """``cache[key] = value``: SET; a script where the change is published."""
        if self.publish:
            return Op(script("flip_set"), (name,), (*self.says, ms, raw), ok, True)
        return Op("SET", (name,), (raw, b"PX", ms) if ms else (raw,), ok, True)

    def with_flights(self, names: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return keys, and those by which computations of their values in progress would be stored."""
        return *names, *(beside(name, b"flights") for name in names)

    def delete(self, name: bytes) -> Op[None]:
        """``del cache[key]``: UNLINK; a script where the change is published."""
        if self.publish:
            return Op(script("flip_delete"), self.with_flights((name,)), (*self.says, 1), ok, True)
        return Op("UNLINK", self.with_flights((name,)), (), ok, True)

    def pop(self, name: bytes) -> Op[Found]:
        """``cache.pop(key)``: one script."""
        return self.script("pop", self.with_flights((name,)), decode=self._plain)

    def increment(self, name: bytes, amount: int, ms: int) -> Op[Found]:
        """Add to a number: one script.

        :raises TypeError: ``amount`` isn't an int, or the cache's values aren't.
        :raises OverflowError: ``amount`` has more than 64 bits.
        """
        if self.texts.value_type != "int":
            raise TypeError("increment() needs value_type='int'")
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError(f"amount must be an int, not {type(amount).__name__}")
        if not -INT64 <= amount < INT64:
            raise OverflowError("amount must fit into 64 bits")

        def decode(reply: Any) -> Found:
            raw, left = reply
            if raw is None:
                raise OverflowError(f"{self.texts.decode(left)} + {amount} is beyond 64 bits")
            return Found(int(raw), seconds_left(left), raw)

        return self.script("increment", (name,), amount, ms, self.default_raw or b"0", decode=decode)

    def touch(self, name: bytes, ms: int) -> Op[bool]:
        """Give a value a new lifetime: PEXPIRE or PERSIST; a script where neither says whether there is one."""
        if ms and not self.publish:
            return Op("PEXPIRE", (name,), (ms,), truth, True)
        return Op(script("flip_touch"), (name,), (*self.says, ms), truth, True)

    def ttl(self, name: bytes, key: Any) -> Op[float | None]:
        """Return the seconds a value has left, or None: PTTL."""

        def decode(reply: int) -> float | None:
            if reply == -2:
                raise KeyError(key)
            return reply / 1000 if reply >= 0 else None

        return Op("PTTL", (name,), (), decode, True)

    def delete_many(self, names: tuple[bytes, ...]) -> Op[int]:
        """Remove keys of one slot; how many there were: one script."""
        return self.script("delete", self.with_flights(names), len(names), decode=count)

    def get_many(self, names: tuple[bytes, ...], local: bool) -> Op[list[Found]]:
        """Read values of one slot: MGET; a script where their remaining times are wanted, or made anew."""
        if not local and not self.refresh:
            return Op("MGET", names, (), lambda reply: [self._plain(raw) for raw in reply], True)

        def decode(reply: Any) -> list[Found]:
            return [
                NOTHING if raw is None else Found(self.texts.decode(raw), seconds_left(left), raw)
                for raw, left in zip(reply[::2], reply[1::2], strict=True)
            ]

        return Op(script("flip_get_many"), names, self.read_args(local), decode, True)

    def set_many(self, names: tuple[bytes, ...], raws: list[bytes], ms: int) -> Op[None]:
        """Store values of one slot: one script."""
        return Op(script("flip_set"), names, (*self.says, ms, *raws), ok, True)

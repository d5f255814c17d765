"""CachedOrderedDict's operations and its local part.

The cache is a hash as RedisDict's.  The dict itself is local: an ``OrderedDict`` of the keys that were asked for,
changed only when the server has taken the change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar

from typing_extensions import Self

from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Op, Program, ok
from pottery_like._ops.common import chunks, flat, in_batches, milliseconds
from pottery_like._ops.dict import DictOps, as_pairs
from pottery_like._ops.handle import Handle
from pottery_like.codecs import Codec

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Miss(Enum):
    """What a key is mapped to while the cache has no value for it."""

    MISS = "MISS"

    def __repr__(self) -> str:
        return "MISS"

    __str__ = __repr__


MISS: Any = Miss.MISS
"""A member of an enumeration stays itself when it is copied or pickled."""


class CachedOps(DictOps[K, V]):
    """What can be done with the cache."""

    def __init__(self, key: bytes, codec: Codec[V] | None = None, timeout: float | timedelta | None = None) -> None:
        super().__init__(key, codec)
        self._milliseconds = milliseconds(timeout, "timeout") if timeout else None

    def _touching(self, op: Op[T], name: str) -> Op[T]:
        """Let an operation postpone the expiry, too: one script then."""
        if self._milliseconds is None:
            return op
        return replace(op, command=script(name), args=(self._milliseconds, *op.args))

    def open(self, keys: Iterable[K]) -> Program[list[V]]:
        """Look up ``keys``; MISS for what isn't there: HMGET, or one script; in pipelined chunks beyond a thousand."""
        fields = [self.members.encode(key) for key in keys]
        if len(fields) <= CHUNK:
            return (yield self._read(fields)) if fields else []
        pages = yield from in_batches(self._read(part) for part in chunks(fields))
        return [value for page in pages for value in page]

    def _read(self, fields: list[bytes]) -> Op[list[V]]:
        return self._touching(self._op("HMGET", *fields, decode=self._values_or_misses), "cached_open")

    def _values_or_misses(self, reply: list[bytes | None]) -> list[V]:
        found = iter(self.values.decode_many([raw for raw in reply if raw is not None]))
        return [MISS if raw is None else next(found) for raw in reply]

    def set(self, key: K, value: V) -> Op[None]:
        """``d[key] = value``: HSET, or one script."""
        return self._touching(super().set(key, value), "cached_write")

    def setdefault(self, key: K, default: V) -> Op[V]:
        """Return what the cache has, after setting it to ``default`` if need be: one script."""
        return self._touching(super().setdefault(key, default), "cached_setdefault")

    def write(self, items: Mapping[K, V]) -> Program[None]:
        """Store ``items``: HSET, or one script; in pipelined chunks beyond a thousand."""
        encode_key, encode = self.members.encode, self.values.encode
        encoded = [(encode_key(key), encode(value)) for key, value in items.items()]
        if len(encoded) <= CHUNK:
            if encoded:
                yield self._hset(encoded)
            return
        yield from in_batches(self._hset(part) for part in chunks(encoded))

    def _hset(self, encoded: list[tuple[bytes, bytes]]) -> Op[None]:
        return self._touching(self._op("HSET", *flat(encoded), decode=ok), "cached_write")


def given(one: T | None, other: T | None, names: str) -> T | None:
    """Return an argument that has two names.

    :raises TypeError: it was given under both.
    """
    if one is not None and other is not None:
        raise TypeError(f"give {names}, not both")
    return other if one is None else one


class Local(Handle[CachedOps[K, V]], OrderedDict[K, V]):
    """What CachedOrderedDict is in both worlds: reading and rearranging need no server."""

    _OPS = CachedOps
    _SENTINEL = MISS
    """What a miss is mapped to, under Pottery's name for it."""

    def misses(self) -> frozenset[K]:
        """Return the keys for which there is no value yet.  O(n), nothing is sent."""
        return frozenset(key for key, value in self.items() if value is MISS)

    def clear(self) -> None:
        """Remove all items here.  O(n), nothing is sent: the cache keeps them."""
        OrderedDict.clear(self)

    def copy(self) -> Self:
        """Return another dict on the same cache, with the same items in the same order.  O(n), nothing is sent."""
        other = type(self).__new__(type(self))
        other._attach(self._source, self._key, self._codec, **self._extra)
        other._anonymous = self._anonymous
        other._keep(self.items())
        vars(other).update(self._attributes())
        return other

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = self.copy()
        other._keep((key, deepcopy(value, memo)) for key, value in self.items())
        return other

    def __or__(self, other: Any) -> Any:
        """``d | other``: a plain OrderedDict; nothing is stored."""
        return OrderedDict(self) | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        """``other | d``: a plain OrderedDict; nothing is stored."""
        return OrderedDict(other) | OrderedDict(self) if isinstance(other, dict) else NotImplemented

    def _keep(self, items: Iterable[tuple[K, V]]) -> None:
        for key, value in items:
            OrderedDict.__setitem__(self, key, value)

    def _open(self, keys: Iterable[K]) -> Program[None]:
        once = list(dict.fromkeys(keys))
        values = yield from self._ops.open(once)
        self._keep(zip(once, values, strict=True))

    def _set(self, key: K, value: V) -> Program[None]:
        if value is not MISS:
            yield self._ops.set(key, value)
        self._keep([(key, value)])

    def _setdefault(self, key: K, default: V) -> Program[V]:
        value: Any = self.get(key, MISS)
        if value is MISS:
            value = default if default is MISS else (yield self._ops.setdefault(key, default))
            self._keep([(key, value)])
        found: V = value
        return found

    def _update(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        items = {**dict(as_pairs(arg)), **kwargs}
        yield from self._ops.write({key: value for key, value in items.items() if value is not MISS})
        self._keep(items.items())

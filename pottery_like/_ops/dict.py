"""RedisDict's operations: a hash, its fields in key position, its values through the codec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from pottery_like._core.elements import Members, Values
from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Batch, Done, Op, Page, Paging, Program, Task, ok
from pottery_like._ops.common import KeyOps, chunks, count, flat, in_batches, paired, truth
from pottery_like._ops.paging import scan
from pottery_like.codecs import Codec
from pottery_like.exceptions import DecodeError

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

MISSING: Any = object()
"""Stands for an argument that was not given, and for a value that isn't there."""

ABSENT: Done[bool] = Done(False)


def as_pairs(arg: Any) -> Iterable[tuple[Any, Any]]:
    """Return the items of what ``dict()`` and ``dict.update()`` accept."""
    if isinstance(arg, Mapping):
        return arg.items()
    if hasattr(arg, "keys"):
        return ((key, arg[key]) for key in arg.keys())  # noqa: SIM118
    return dict(arg).items()


class DictOps(KeyOps, Generic[K, V]):
    """What can be done with a dict in Redis."""

    def __init__(self, key: bytes, codec: Codec[V] | None = None) -> None:
        super().__init__(key)
        self.members: Members[K] = Members()
        self.values: Values[V] = Values(codec)

    def fill(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        """Fill a new dict; see :meth:`KeyOps.create`."""
        return self.create("HSET", flat(self._encoded(arg, kwargs).items()), 2)

    def _encoded(self, arg: Any, kwargs: Mapping[str, Any]) -> dict[bytes, bytes]:
        encode_key, encode = self.members.encode, self.values.encode
        encoded = {encode_key(key): encode(value) for key, value in as_pairs(arg)}
        for name, value in kwargs.items():
            encoded[encode_key(name)] = encode(value)  # type: ignore[arg-type]
        return encoded

    def lookup(self, key: object, default: D) -> Task[V | D]:
        """``d.get(key, default)``: HGET."""
        field = self.members.find(key)
        if field is None:
            return Done(default)
        return self._op("HGET", field, decode=lambda reply: default if reply is None else self.values.decode(reply))

    def set(self, key: K, value: V) -> Op[None]:
        """``d[key] = value``: HSET."""
        return self._op("HSET", self.members.encode(key), self.values.encode(value), decode=ok)

    def delete(self, key: object) -> Op[None]:
        """``del d[key]``: HDEL."""

        def decode(reply: int) -> None:
            if not reply:
                raise KeyError(key)

        field = self.members.find(key)
        if field is None:
            raise KeyError(key)
        return self._op("HDEL", field, decode=decode, idempotent=False)

    def contains(self, key: object) -> Task[bool]:
        """``key in d``: HEXISTS."""
        field = self.members.find(key)
        return ABSENT if field is None else self._op("HEXISTS", field, decode=truth)

    def contains_many(self, keys: Iterable[object]) -> Task[list[bool]]:
        """Which of ``keys`` are there: one script."""
        fields = [self.members.find(key) for key in keys]
        known = [field for field in fields if field is not None]

        def decode(reply: list[int]) -> list[bool]:
            found = iter(reply)
            return [field is not None and bool(next(found)) for field in fields]

        return (
            self._script("dict_has", *known, decode=decode, idempotent=True) if known else Done([False] * len(fields))
        )

    def contains_item(self, key: object, value: object) -> Task[bool]:
        """``(key, value) in d.items()``: HGET."""
        field = self.members.find(key)
        if field is None:
            return ABSENT
        return self._op("HGET", field, decode=lambda reply: reply is not None and self.values.decode(reply) == value)

    def contains_value(self, value: object) -> Task[bool]:
        """``value in d.values()``: one script."""
        spellings = self.values.spellings(value)
        if not spellings:
            return ABSENT
        return self._script("dict_has_value", *spellings, decode=truth, idempotent=True)

    def size(self) -> Op[int]:
        """``len(d)``: HLEN."""
        return self._op("HLEN", decode=count)

    def setdefault(self, key: K, default: V) -> Op[V]:
        """``d.setdefault(key, default)``: one script."""
        return self._script(
            "dict_setdefault",
            self.members.encode(key),
            self.values.encode(default),
            decode=lambda reply: default if reply is None else self.values.decode(reply),
            idempotent=True,
        )

    def pop(self, key: object, default: D) -> Task[V | D]:
        """``d.pop(key, default)``: one script."""

        def decode(reply: bytes | None) -> V | D:
            if reply is not None:
                return self.values.decode(reply)
            if default is MISSING:
                raise KeyError(key)
            return default

        field = self.members.find(key)
        if field is None:
            return Done(decode(None))
        return self._script("dict_pop", field, decode=decode)

    def popitem(self) -> Op[tuple[K, V]]:
        """``d.popitem()``: one script."""

        def decode(reply: list[bytes] | None) -> tuple[K, V]:
            if reply is None:
                raise KeyError("popitem(): dictionary is empty")
            field, raw = reply
            try:
                return self.members.decode(field), self.values.decode(raw)
            except DecodeError as error:
                error.item = field, raw
                raise

        return self._script("dict_popitem", decode=decode)

    def update(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        """``d.update(arg, **kwargs)``: HSET; in pipelined chunks beyond a thousand items."""
        encoded = self._encoded(arg, kwargs)
        if not encoded:
            return
        if len(encoded) <= CHUNK:
            yield self._op("HSET", *flat(encoded.items()), decode=ok)
            return
        yield from in_batches(self._op("HSET", *flat(part), decode=ok) for part in chunks(encoded.items()))

    def to_dict(self) -> Op[dict[K, V]]:
        """``dict(d)``: HGETALL."""
        return self._op("HGETALL", decode=self._items_of)

    def _items_of(self, reply: Any) -> dict[K, V]:
        fields, raws = paired(reply)
        return dict(zip(self.members.decode_many(fields), self.values.decode_many(raws), strict=True))

    def keys(self) -> Op[list[K]]:
        """``list(d)``, at once: HKEYS."""
        return self._op("HKEYS", decode=self.members.decode_many)

    def scan_keys(self) -> Paging:
        """``iter(d)``: HSCAN."""

        def build(page: list[bytes], fresh: list[int] | None) -> list[K]:
            fields = page[::2]
            return self.members.decode_many(fields if fresh is None else [fields[index] for index in fresh])

        return scan(self.key, "HSCAN", lambda page: page[::2], build)

    def scan_values(self) -> Paging:
        """``iter(d.values())``: HSCAN."""

        def build(page: list[bytes], fresh: list[int] | None) -> list[V]:
            raws = page[1::2]
            return self.values.decode_many(raws if fresh is None else [raws[index] for index in fresh])

        return scan(self.key, "HSCAN", lambda page: page[::2], build)

    def scan_items(self) -> Paging:
        """``iter(d.items())``: HSCAN."""

        def build(page: list[bytes], fresh: list[int] | None) -> Iterable[tuple[K, V]]:
            fields, raws = page[::2], page[1::2]
            if fresh is not None:
                fields, raws = [fields[index] for index in fresh], [raws[index] for index in fresh]
            return zip(self.members.decode_many(fields), self.values.decode_many(raws), strict=True)

        return scan(self.key, "HSCAN", lambda page: page[::2], build)

    def reversed_keys(self) -> Program[list[K]]:
        """``list(reversed(d))``."""
        return backwards(self.scan_keys())

    def reversed_values(self) -> Program[list[V]]:
        """``list(reversed(d.values()))``."""
        return backwards(self.scan_values())

    def reversed_items(self) -> Program[list[tuple[K, V]]]:
        """``list(reversed(d.items()))``."""
        return backwards(self.scan_items())

    def edit(self, place: object) -> Op[bytes]:
        """Return a value's bytes, to be given back to :meth:`swap`: HGET."""

        def decode(reply: bytes | None) -> bytes:
            if reply is None:
                raise KeyError(place)
            return reply

        field = self.members.find(place)
        if field is None:
            raise KeyError(place)
        return self._op("HGET", field, decode=decode)

    def decode(self, raw: bytes) -> V:
        """Return the value of its bytes."""
        try:
            return self.values.decode(raw)
        except DecodeError as error:
            error.locate("edit", self.key)
            raise

    def swap(self, place: Any, old: bytes, value: V) -> Op[bool]:
        """Replace a value whose bytes are still ``old``; whether they were: one script."""
        field = self.members.encode(place)
        return self._script("dict_swap", field, old, self.values.encode(value), decode=truth)

    def equal(self, other: DictOps[Any, Any]) -> Program[bool]:
        """``d == other``, both on one client: two commands, one round trip."""
        mine, theirs = yield Batch((self.to_dict(), other.to_dict()), atomic=self.near(other))
        return bool(mine == theirs)


def backwards(forwards: Paging) -> Program[list[Any]]:
    """Run an iteration to its end and return its elements, last first."""
    items: list[Any] = []
    result = None
    while True:
        try:
            step = forwards.send(result)
        except StopIteration:
            return items[::-1]
        if isinstance(step, Page):
            items += step.items
            result = None
        else:
            result = yield step

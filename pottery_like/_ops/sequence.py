"""What RedisList and RedisDeque have in common: a Redis list, its elements through the codec."""

from __future__ import annotations

import operator
import sys
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, SupportsIndex, TypeVar

from pottery_like._core.elements import Values
from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Argument, Batch, Done, Op, Page, Paging, Program, Task, ok
from pottery_like._ops.common import KeyOps, chunks, count, in_batches, truth
from pottery_like.codecs import Codec, JSONCodec
from pottery_like.exceptions import DecodeError, PotteryError

T = TypeVar("T")

LIMIT = 1 << 53
"""Lua's numbers are exact up to here, and no list is that long."""

SETTABLE = 1 << 31
"""Valkey 9 takes the lowest 32 bits of what LSET is given: an index beyond these would hit another element."""

MISPLACED = ("no such key", "index out of range")
"""What LSET says when there is no element at the index."""


def clipped(index: int) -> int:
    """Return an index that means the same to a list of any possible length."""
    return max(-LIMIT, min(LIMIT, index))


def machine_sized(value: SupportsIndex) -> int:
    """Return an integer argument.

    :raises TypeError: not an integer.
    :raises OverflowError: too large for the builtins.
    """
    number = operator.index(value)
    if not -sys.maxsize - 1 <= number <= sys.maxsize:
        raise OverflowError("Python int too large to convert to C ssize_t")
    return number


def marker() -> bytes:
    """Return bytes that no element equals: for an element's place while a script moves others."""
    return uuid.uuid4().bytes


class SequenceOps(KeyOps, Generic[T]):
    """What can be done with a Redis list.

    Where a method takes a ``source``, that is an iterable of elements, or another list's operations: its elements
    are then copied on the server if it is near, and else read first.
    """

    KIND: ClassVar[str]
    ASSIGNED_OUT_OF_RANGE: ClassVar[str]
    EMPTY: ClassVar[str]
    BAD_INDEX: ClassVar[str]

    maxlen: int | None = None

    def __init__(self, key: bytes, codec: Codec[T] | None = None) -> None:
        super().__init__(key)
        self.values: Values[T] = Values(codec)

    @property
    def _most(self) -> Argument:
        return b"" if self.maxlen is None else min(self.maxlen, LIMIT)

    def _place(self, index: Any) -> int:
        if not hasattr(type(index), "__index__"):
            raise TypeError(self.BAD_INDEX.format(type(index).__name__))
        return clipped(operator.index(index))

    def _encoded(self, elements: Iterable[T]) -> list[bytes]:
        """Return what to store of ``elements``: of more than ``maxlen``, the last."""
        encode = self.values.encode
        encoded = [encode(element) for element in elements]
        return encoded if self.maxlen is None else encoded[max(0, len(encoded) - self.maxlen) :]

    def _same_texts(self, other: SequenceOps[Any]) -> bool:
        mine, theirs = self.values.codec, other.values.codec
        return mine is theirs or type(mine) is type(theirs) is JSONCodec

    def _gathered(self, source: Iterable[T] | SequenceOps[Any]) -> Program[tuple[tuple[bytes, ...], list[bytes]]]:
        """Return the key whose elements a script is to copy, or else the elements encoded."""
        if not isinstance(source, SequenceOps):
            return (), self._encoded(source)
        if not self._same_texts(source):
            return (), self._encoded((yield source.to_list()))
        if self.near(source):
            return (source.key,), []
        raws: list[bytes] = yield source.raws()
        return (), raws if self.maxlen is None else raws[max(0, len(raws) - self.maxlen) :]

    def fill(self, elements: Iterable[T]) -> Program[None]:
        """Fill a new list; see :meth:`KeyOps.create`."""
        return self.create("RPUSH", self._encoded(elements), 1)

    def get(self, index: Any) -> Op[T]:
        """``l[index]``: LINDEX."""
        return self._op("LINDEX", self._place(index), decode=lambda reply: self.values.decode(self._found(reply)))

    def _found(self, reply: bytes | None) -> bytes:
        if reply is None:
            raise IndexError(f"{self.KIND} index out of range")
        return reply

    def set(self, index: Any, value: T) -> Program[None]:
        """``l[index] = value``: LSET."""
        place = self._place(index)
        raw = self.values.encode(value)
        if not -SETTABLE <= place < SETTABLE:
            raise IndexError(self.ASSIGNED_OUT_OF_RANGE)
        try:
            yield self._op("LSET", place, raw, decode=ok, idempotent=False)
        except Exception as error:
            # No operation sees error replies; these two are what the builtin calls an IndexError.
            if isinstance(error, PotteryError) or str(error) not in MISPLACED:
                raise
            raise IndexError(self.ASSIGNED_OUT_OF_RANGE) from None

    def delete(self, index: Any) -> Op[None]:
        """``del l[index]``: one script."""

        def decode(reply: bytes | int) -> None:
            if isinstance(reply, int):
                raise IndexError(self.ASSIGNED_OUT_OF_RANGE)

        return self._script("list_pop", self._place(index), marker(), 0, decode=decode)

    def append(self, value: T, command: str = "RPUSH") -> Task[None]:
        """``l.append(value)``: RPUSH; with ``maxlen``, one script."""
        encoded = [self.values.encode(value)]
        return Done(None) if self.maxlen == 0 else self._pushed(command, encoded)

    def _pushed(self, command: str, encoded: list[bytes]) -> Op[None]:
        if self.maxlen is None:
            return self._op(command, *encoded, decode=ok, idempotent=False)
        return self._script("list_push", command.encode(), self._most, *encoded, decode=ok)

    def extend(self, source: Iterable[T] | SequenceOps[Any], command: str = "RPUSH") -> Program[None]:
        """``l.extend(source)``: RPUSH, or one script; in pipelined chunks beyond a thousand elements."""
        others, encoded = yield from self._gathered(source)
        if self.maxlen == 0:
            return
        if others:
            yield self._script("list_push", command.encode(), self._most, keys=others, decode=ok)
        elif len(encoded) <= CHUNK:
            if encoded:
                yield self._pushed(command, encoded)
        else:
            yield from in_batches(self._pushed(command, part) for part in chunks(encoded))

    def insert(self, index: SupportsIndex, value: T) -> Op[None]:
        """``l.insert(index, value)``: LPUSH, or one script."""
        place = clipped(machine_sized(index))
        raw = self.values.encode(value)

        def decode(reply: int) -> None:
            if not reply:
                raise IndexError(f"{self.KIND} already at its maximum size")

        if place == 0 and self.maxlen is None:
            return self._op("LPUSH", raw, decode=ok, idempotent=False)
        return self._script("list_insert", place, raw, marker(), self._most, decode=decode)

    def pop_end(self, command: str) -> Op[T]:
        """``l.pop()``: RPOP; ``l.pop(0)``: LPOP."""

        def decode(reply: bytes | None) -> T:
            if reply is None:
                raise IndexError(self.EMPTY)
            return self.values.decode(reply)

        return self._op(command, decode=decode, idempotent=False)

    def remove(self, value: object) -> Op[None]:
        """``l.remove(value)``: LREM, or one script."""

        def decode(reply: int) -> None:
            if not reply:
                raise ValueError(f"{self.KIND}.remove(x): x not in {self.KIND}")

        spellings = self.values.spellings(value)
        if not spellings:
            decode(0)
        if len(spellings) == 1:
            return self._op("LREM", 1, spellings[0], decode=decode, idempotent=False)
        return self._script("list_remove", *spellings, decode=decode)

    def index(self, value: object, start: SupportsIndex, stop: SupportsIndex) -> Task[int]:
        """``l.index(value, start, stop)``: LPOS, or one script."""

        def decode(reply: int | None) -> int:
            if reply is None:
                raise ValueError(f"{value!r} is not in {self.KIND}")
            return reply

        if not (hasattr(type(start), "__index__") and hasattr(type(stop), "__index__")):
            raise TypeError("slice indices must be integers or have an __index__ method")
        first, end = clipped(operator.index(start)), clipped(operator.index(stop))
        spellings = self.values.spellings(value)
        if not spellings:
            return Done(decode(None))
        if len(spellings) == 1 and first == 0 and end > 0:
            within = () if end == LIMIT else (b"MAXLEN", end)
            return self._op("LPOS", spellings[0], *within, decode=decode)
        return self._script("list_index", first, end, *spellings, decode=decode, idempotent=True)

    def contains(self, value: object) -> Task[bool]:
        """``value in l``: LPOS, or one script."""
        spellings = self.values.spellings(value)
        if not spellings:
            return Done(False)
        if len(spellings) == 1:
            return self._op("LPOS", spellings[0], decode=_is_there)
        return self._script("list_index", b"", b"", *spellings, decode=_is_there, idempotent=True)

    def count(self, value: object) -> Task[int]:
        """``l.count(value)``: one script."""
        spellings = self.values.spellings(value)
        return self._script("list_count", *spellings, decode=count, idempotent=True) if spellings else Done(0)

    def reverse(self) -> Op[None]:
        """``l.reverse()``: one script."""
        return self._script("list_reverse", decode=ok)

    def size(self) -> Op[int]:
        """``len(l)``: LLEN."""
        return self._op("LLEN", decode=count)

    def to_list(self) -> Op[list[T]]:
        """``list(l)``, at once: LRANGE."""
        return self._op("LRANGE", 0, -1, decode=self.values.decode_many)

    def raws(self) -> Op[list[bytes]]:
        """Return the elements' bytes: LRANGE."""
        return self._op("LRANGE", 0, -1, decode=list)

    def to_list_backwards(self) -> Op[list[T]]:
        """``list(reversed(l))``, at once: LRANGE."""
        return self._op("LRANGE", 0, -1, decode=lambda reply: self.values.decode_many(reply[::-1]))

    def scan(self) -> Paging:
        """``iter(l)``: LRANGE."""
        start = 0
        more = True
        while more:
            # One element beyond the page says whether there is another page.
            raws = yield self._op("LRANGE", start, start + CHUNK, decode=list)
            yield Page(self.values.decode_many(raws[:CHUNK]))
            start += CHUNK
            more = len(raws) > CHUNK

    def scan_backwards(self) -> Paging:
        """``reversed(l)``: LRANGE, and LLEN to tell where the first page ends."""
        page = self._op("LRANGE", -CHUNK, -1, decode=list)
        length, raws = yield Batch((self.size(), page), atomic=True)
        yield Page(self.values.decode_many(raws[::-1]))
        for end in range(length - CHUNK, 0, -CHUNK):
            raws = yield self._op("LRANGE", max(0, end - CHUNK), end - 1, decode=list)
            yield Page(self.values.decode_many(raws[::-1]))

    def concat(self, target: SequenceOps[T], source: Iterable[T] | SequenceOps[Any], command: str) -> Program[None]:
        """Make ``target``, new and in this slot, of this list and what is pushed to it: one script."""
        others, encoded = yield from target._gathered(source)
        if target.maxlen == 0:
            return
        if command == "LPUSH":
            encoded.reverse()
        words, rest = encoded[:CHUNK], encoded[CHUNK:]
        yield self._script("list_concat", command.encode(), target._most, *words, keys=(target.key, *others), decode=ok)
        if rest:
            ops: list[Op[Any]] = [target._op(command, *part, decode=ok, idempotent=False) for part in chunks(rest)]
            if target.maxlen is not None:
                ops.append(target._op("LTRIM", -target.maxlen, -1, decode=ok))
            yield from in_batches(ops)

    def repeat(self, times: SupportsIndex, target: SequenceOps[T] | None = None) -> Task[None]:
        """``l *= times``: one script.

        :param target: what to make instead: a new list in this slot.
        """
        number = machine_sized(times)
        if number <= 0:
            return Done(None) if target else self.clear()
        if (number == 1 and target is None) or self.maxlen == 0:
            return Done(None)
        keys = (target.key,) if target else ()
        return self._script("list_repeat", clipped(number), self._most, keys=keys, decode=_repeated)

    def both(self, other: SequenceOps[Any]) -> Program[tuple[list[T], list[Any]]]:
        """Return two lists on one client: two commands, one round trip."""
        mine, theirs = yield Batch((self.to_list(), other.to_list()), atomic=self.near(other))
        return mine, theirs

    def edit(self, place: Any) -> Op[bytes]:
        """Return an element's bytes, to be given back to :meth:`swap`: LINDEX."""
        return self._op("LINDEX", self._place(place), decode=self._found)

    def decode(self, raw: bytes) -> T:
        """Return the element of its bytes."""
        try:
            return self.values.decode(raw)
        except DecodeError as error:
            error.locate("edit", self.key)
            raise

    def swap(self, place: Any, old: bytes, value: T) -> Op[bool]:
        """Replace an element whose bytes are still ``old``; whether they were: one script."""
        return self._script("list_swap", self._place(place), old, self.values.encode(value), decode=truth)


def _is_there(reply: int | None) -> bool:
    return reply is not None


def _repeated(reply: int) -> None:
    if not reply:
        raise MemoryError("a Redis list has less than 2 ** 32 elements")

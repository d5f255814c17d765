"""BloomFilter's operations: bits in a string, or in several beyond 2**32, and the parameters in a hash beside them.

The bits of an element are Pottery's, MurmurHash3 of its JSON text by as many seeds as there are hash functions.  The
server only sets and tests them: what a script is sent are offsets, four bytes each.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import mmh3
from typing_extensions import Self

from pottery_like._core.keys import random_sibling, sibling
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Done, Op, Program, Task, ok
from pottery_like._core.texts import Texts
from pottery_like._ops.common import STAGING_SECONDS, chunks, count, in_batches, truth
from pottery_like._ops.manykeys import ManyKeysOps
from pottery_like._ops.membership import answers, tested
from pottery_like.codecs import Codec, dumps
from pottery_like.exceptions import FilterParametersError

T = TypeVar("T")
R = TypeVar("R")

STRING_BITS = 1 << 32
"""A Redis string has at most so many bits."""

MOST_STRINGS = 1024

PAGE = 1 << 23
"""So many bytes of a filter elsewhere are read, and sent, at once."""

BITMAP_BYTES = 16
"""A bitmap of up to so many bytes for each offset is sent instead of the offsets: the server ORs it in at once."""


def checked_parameters(num_elements: int, false_positives: float) -> tuple[int, float]:
    """Check a filter's parameters.

    :raises TypeError: ``num_elements`` isn't an integer, or ``false_positives`` isn't a number.
    :raises ValueError: they are out of range.
    """
    if isinstance(num_elements, bool) or not hasattr(num_elements, "__index__"):
        raise TypeError(f"num_elements must be an int, not {type(num_elements).__name__}")
    if isinstance(false_positives, bool) or not isinstance(false_positives, int | float):
        raise TypeError(f"false_positives must be a float, not {type(false_positives).__name__}")
    elements, rate = operator.index(num_elements), float(false_positives)
    if elements < 1:
        raise ValueError(f"num_elements must be at least 1, not {elements}")
    if not 0 < rate < 1:
        raise ValueError(f"false_positives must be between 0 and 1, both excluded, not {rate}")
    return elements, rate


def bits_needed(num_elements: int, false_positives: float) -> int:
    """Return the number of bits for so many elements at this rate: Pottery's formula, down to its rounding.

    :raises ValueError: they are more than the library handles.
    """
    limit = STRING_BITS * MOST_STRINGS
    bits = limit + 1
    if num_elements <= limit:
        bits = math.ceil(-num_elements * math.log(false_positives) / math.log(2) ** 2)
    if bits > limit:
        raise ValueError(f"a filter may have up to 2**42 bits; {num_elements} elements at {false_positives} take more")
    return bits


def packed(code: str, numbers: Sequence[int]) -> bytes:
    """Return numbers one after the other, most significant byte first."""
    return struct.pack(f">{len(numbers)}{code}", *numbers)


@dataclass(frozen=True)
class FarBits:
    """The bits of a filter that can't be combined where it is.

    :param parameters: its own.
    :param pages: index of the string, byte offset, bytes.
    """

    parameters: bytes
    pages: list[tuple[int, int, bytes]]


class BloomOps(ManyKeysOps, Generic[T]):
    """What can be done with a Bloom filter in Redis."""

    def __init__(
        self, key: bytes, codec: Codec[T] | None = None, *, num_elements: int, false_positives: float, **modes: Any
    ) -> None:
        super().__init__(key)
        self.texts: Texts[T] = Texts(codec)
        self.num_elements, self.false_positives = checked_parameters(num_elements, false_positives)
        self.bits = bits_needed(self.num_elements, self._rate())
        self.hashes = math.ceil(self.bits / self.num_elements * math.log(2))
        named = {"false_positives": self.false_positives, "num_elements": self.num_elements, **modes}
        self.parameters = dumps(named).encode()
        self.strings = -(-self.bits // STRING_BITS)
        # Refused here rather than at the first operation.
        sibling(key, "parameters")

    def _rate(self) -> float:
        return self.false_positives

    def all_keys(self, key: bytes) -> tuple[bytes, ...]:
        """Return the keys of the first bits, of the parameters, and of the further bits."""
        further = (sibling(key, f"bits:{index}") for index in range(1, self.strings))
        return (key, sibling(key, "parameters"), *further)

    def _checking(self, decode: Callable[[Any], R]) -> Callable[[Any], R]:
        """Return ``decode`` for a script that answers with the filter's other parameters when it has such."""

        def decode_checked(reply: Any) -> R:
            if isinstance(reply, list):
                raise self._differs(reply[0])
            return decode(reply)

        return decode_checked

    def _differs(self, there: bytes) -> FilterParametersError:
        shown = there.decode(errors="replace")
        return FilterParametersError(
            message=f"key {self.key.decode()!r} holds a filter with {shown}, not {self.parameters.decode()}"
        )

    def _checked(
        self,
        name: str,
        keys: tuple[bytes, ...],
        *args: bytes | int,
        decode: Callable[[Any], R],
        idempotent: bool = True,
    ) -> Op[R]:
        return Op(script(name), keys, (self.parameters, *args), self._checking(decode), idempotent)

    def positions(self, text: bytes) -> list[int]:
        """Return the bits of one element."""
        bits = self.bits
        if bits <= STRING_BITS:
            return [mmh3.hash(text, seed) % bits for seed in range(self.hashes)]
        return [mmh3.hash64(text, seed, signed=False)[0] % bits for seed in range(self.hashes)]

    def _offsets(self, texts: Iterable[bytes]) -> list[int]:
        positions = self.positions
        return [position for text in texts for position in positions(text)]

    def _packed(self, texts: Iterable[bytes], *, every: bool = False) -> tuple[tuple[bytes, ...], bytes, bytes]:
        """Return keys, the offsets of elements' bits, and the number among those keys of each offset's.

        :param every: return all keys, not just those concerned.
        """
        keys, offsets = self.keys, self._offsets(texts)
        if self.strings == 1:
            return keys, packed("I", offsets), b""
        strings = range(1, self.strings) if every else sorted({offset // STRING_BITS for offset in offsets} - {0})
        numbers = {0: 1} | {string: number for number, string in enumerate(strings, 3)}
        concerned = (*keys[:2], *(keys[string + 1] for string in strings))
        places = [numbers[offset // STRING_BITS] for offset in offsets]
        return concerned, packed("I", [offset % STRING_BITS for offset in offsets]), packed("H", places)

    def add(self, value: T) -> Op[bool]:
        """``f.add(value)``; whether it was not there: one script."""
        return self._insert([self.texts.encode(value)], truth, idempotent=False)

    def _insert(self, texts: Sequence[bytes], decode: Callable[[Any], R], *, idempotent: bool) -> Op[R]:
        keys, offsets, places = self._packed(texts)
        return self._checked("bloom_update", keys, offsets, places, decode=decode, idempotent=idempotent)

    def _insert_many(self, texts: Sequence[bytes]) -> Program[None]:
        size = -(-self.bits // 8)
        if size <= BITMAP_BYTES * self.hashes * len(texts) and self.strings == 1:
            bitmap = bytearray(size)
            for offset in self._offsets(texts):
                bitmap[offset >> 3] |= 128 >> (offset & 7)
            keys = (*self.keys, random_sibling(self.key, "update"))
            yield self._checked("bloom_or", keys, bytes(bitmap), decode=ok)
        elif len(texts) <= CHUNK:
            yield self._insert(texts, ok, idempotent=True)
        else:
            yield from in_batches(self._insert(part, ok, idempotent=True) for part in chunks(texts))

    def update(self, objs: Iterable[Any]) -> Program[None]:
        """``f.update(*objs)``, of filters (:class:`BloomOps`, :class:`FarBits`) and iterables: one script."""
        filters, texts = self._sorted(objs)
        if filters:
            few = texts if len(texts) <= CHUNK else []
            yield from self._merge("OR", filters, few, keep=True)
            texts = [] if few else texts
        if texts:
            yield from self._insert_many(texts)

    def _sorted(self, objs: Iterable[Any]) -> tuple[list[Any], list[bytes]]:
        filters: list[Any] = []
        texts: dict[bytes, None] = {}
        for obj in objs:
            if isinstance(obj, BloomOps | FarBits):
                filters.append(self._compatible(obj))
            else:
                texts |= dict.fromkeys(map(self.texts.encode, obj))
        return filters, list(texts)

    def _compatible(self, other: BloomOps[Any] | FarBits) -> BloomOps[Any] | FarBits:
        if other.parameters != self.parameters:
            raise FilterParametersError(
                message=f"can't combine a filter with {self.parameters.decode()} and one with "
                f"{other.parameters.decode()}"
            )
        return other

    def intersection_update(self, filters: Iterable[Any]) -> Program[None]:
        """``f &= other``: one script."""
        others = self._only_filters(filters)
        if others:
            yield from self._merge("AND", others, [], keep=True)

    def _only_filters(self, objs: Iterable[Any]) -> list[Any]:
        filters = list(objs)
        for obj in filters:
            if not isinstance(obj, BloomOps | FarBits):
                raise TypeError(f"a filter can only be intersected with filters, not {type(obj).__name__}")
        return [self._compatible(obj) for obj in filters]

    def store_union(self, objs: Iterable[Any]) -> Program[None]:
        """Make this filter, which must be new, the union of filters and elements: one script."""
        filters, texts = self._sorted(objs)
        few = texts if len(texts) <= CHUNK else []
        yield from self._merge("OR", filters, few, keep=False)
        if texts and not few:
            yield from self._insert_many(texts)

    def store_intersection(self, filters: Iterable[Any]) -> Program[None]:
        """Make this filter, which must be new, the intersection of others: one script."""
        yield from self._merge("AND", self._only_filters(filters), [], keep=False)

    def _merge(self, verb: str, filters: Sequence[Any], texts: Sequence[bytes], *, keep: bool) -> Program[None]:
        near: list[BloomOps[Any]] = []
        far: list[FarBits] = []
        for other in filters:
            if isinstance(other, BloomOps) and self.near(other):
                near.append(other)
            else:
                far.append(other if isinstance(other, FarBits) else (yield from other.read()))
        copies = [self._at(random_sibling(self.key, "far")) for _ in far]
        keys, offsets, places = self._packed(texts, every=True)
        sent: list[bytes | int] = []
        if sum(len(page) for bits in far for _, _, page in bits.pages) > PAGE:
            for copy, bits in zip(copies, far, strict=True):
                yield from copy._stage(bits)
        else:
            for number, bits in enumerate(far, 1 + len(near)):
                for string, _, page in bits.pages:
                    sent += (number * len(keys) + (string + 2 if string else 1), page)
        others = tuple(key for other in (*near, *copies) for key in other.keys)
        args = (len(keys), verb.encode(), int(keep), offsets, places, len(copies), *sent)
        yield self._checked("bloom_merge", (*keys, *others), *args, decode=ok)

    def _at(self, key: bytes) -> Self:
        """Return the operations of a filter like this one elsewhere."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.key = key
        return other

    def read(self) -> Program[FarBits]:
        """Read all bits, page by page: one script for each."""
        bit_keys = (self.key, *self.keys[2:])
        pages: list[tuple[int, int, bytes]] = []
        for index, key in enumerate(bit_keys):
            start = 0
            while True:
                keys = (key, self.keys[1])
                page: bytes = yield self._checked("bloom_read", keys, start, start + PAGE - 1, decode=bytes)
                if page:
                    pages.append((index, start, page))
                if len(page) < PAGE:
                    break
                start += PAGE
        return FarBits(self.parameters, pages)

    def _stage(self, bits: FarBits) -> Program[None]:
        """Write the bits of a large filter, page by page, into this one, which is temporary."""
        bit_keys = (self.key, *self.keys[2:])
        for string, start, page in bits.pages:
            yield Op("SETRANGE", (bit_keys[string],), (start, page), ok, True)
            if start == 0:
                yield Op("EXPIRE", (bit_keys[string],), (STAGING_SECONDS,), ok, True)

    def contains(self, value: object) -> Task[bool]:
        """``value in f``: one script."""
        texts = self.texts.find(value)
        return self._test(texts, any) if texts else Done(False)

    def contains_many(self, values: Iterable[object]) -> Program[list[bool]]:
        """Which of ``values`` are there: one script; pipelined chunks beyond a thousand."""
        return (yield from tested(map(self.texts.find, values), self._test))

    def _test(self, texts: Sequence[bytes], summary: Callable[[list[bool]], R]) -> Op[R]:
        keys, offsets, places = self._packed(texts)
        return self._checked(
            "bloom_has", keys, self.hashes, offsets, places, decode=lambda reply: summary(answers(reply))
        )

    def size(self) -> Op[int]:
        """``len(f)``, estimated from the number of bits set: one script."""
        return self._checked("bloom_count", self.keys, decode=self._estimate)

    def _estimate(self, reply: Any) -> int:
        # A filter that is full says nothing about how far beyond that it is.
        set_bits = min(count(reply), self.bits - 1)
        return math.floor(-self.bits / self.hashes * math.log(1 - set_bits / self.bits))

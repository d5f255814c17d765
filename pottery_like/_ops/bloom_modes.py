"""Bloom filters of another layout than Pottery's: those that grow, and those that forget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import mmh3

from pottery_like._core.keys import random_sibling, sibling
from pottery_like._core.op import Op, Program, ok
from pottery_like._ops.bloom import BloomOps, FarBits, bits_needed
from pottery_like._ops.common import chunks, in_batches, milliseconds
from pottery_like._ops.membership import answers
from pottery_like.codecs import Codec
from pottery_like.exceptions import FilterFullError, FilterParametersError

T = TypeVar("T")
R = TypeVar("R")

FIRST_STAGE = 1000
"""The first stage has room for at least so many elements: in smaller ones the bits of an element too often coincide."""

MARGIN = 0.9
"""What the parts may use up of the rate.

The rest is for rounding the number of hash functions, and for deriving all of an element's bits from two hashes.
"""


def bloom_ops(
    key: bytes,
    codec: Codec[Any] | None = None,
    *,
    num_elements: int,
    false_positives: float,
    scalable: bool = False,
    window: float | timedelta | None = None,
) -> BloomOps[Any]:
    """Return the operations of a filter with these parameters.

    :raises TypeError: a parameter of the wrong type.
    :raises ValueError: a parameter out of range, or two that exclude each other.
    """
    if not isinstance(scalable, bool):
        raise TypeError(f"scalable must be a bool, not {type(scalable).__name__}")
    sizes: dict[str, Any] = {"num_elements": num_elements, "false_positives": false_positives}
    if window is not None:
        if scalable:
            raise ValueError("a filter can't be scalable and have a window")
        return WindowOps(key, codec, **sizes, window=milliseconds(window, "window"))
    return ScalableOps(key, codec, **sizes, scalable=True) if scalable else BloomOps(key, codec, **sizes)


class _OneString(BloomOps[T]):
    """What both have in common."""

    kind = ""

    def __init__(self, key: bytes, codec: Codec[T] | None = None, **parameters: Any) -> None:
        super().__init__(key, codec, **parameters)
        if self.strings > 1:
            raise ValueError(f"a {self.kind} filter may have up to 2**32 bits, not {self.bits}")

    def _rate(self) -> float:
        # The rates of the parts add up: two equal ones, or each half of the one before.
        return self.false_positives / 2 * MARGIN

    def _differs(self, there: bytes) -> FilterParametersError:
        if there:
            return super()._differs(there)
        return FilterParametersError(message=f"key {self.key.decode()!r} holds no {self.kind} filter")

    def _compatible(self, other: BloomOps[Any] | FarBits) -> NoReturn:
        raise TypeError(f"a {self.kind} filter can't be combined with others")

    def _insert_many(self, texts: Sequence[bytes]) -> Program[None]:
        yield from in_batches(self._insert(part, ok, idempotent=True) for part in chunks(texts))


class ScalableOps(_OneString[T]):
    """A filter that grows by stages, each of twice as many elements at half the rate, one after the other."""

    kind = "scalable"

    def __init__(self, key: bytes, codec: Codec[T] | None = None, *, num_elements: int, **parameters: Any) -> None:
        super().__init__(key, codec, num_elements=num_elements, **parameters)
        self.first = max(self.num_elements, FIRST_STAGE)
        self.bits = bits_needed(self.first, self._rate())
        self.hashes = math.ceil(self.bits / self.first * math.log(2))

    def _hashed(self, texts: Sequence[bytes]) -> tuple[bytes | int, ...]:
        digests = map(mmh3.hash_bytes, texts)
        hashes = b"".join(digest[:6] + digest[8:14] for digest in digests)
        density = -math.log(self._rate()) / math.log(2) ** 2
        return self.first, repr(density).encode(), self.hashes, hashes

    def _insert(self, texts: Sequence[bytes], decode: Callable[[Any], R], *, idempotent: bool) -> Op[R]:
        def added(reply: int) -> R:
            if reply < 0:
                raise FilterFullError(message=f"{self.key.decode()!r} has grown to 2**32 bits and takes no more")
            return decode(reply)

        return self._checked("bloom_grow", self.keys, *self._hashed(texts), decode=added, idempotent=idempotent)

    def _test(self, texts: Sequence[bytes], summary: Callable[[list[bool]], R]) -> Op[R]:
        return self._checked(
            "bloom_grown", self.keys, *self._hashed(texts), decode=lambda reply: summary(answers(reply))
        )

    def size(self) -> Op[int]:
        """``len(f)``, counted as elements were added: HMGET."""

        def decode(reply: list[bytes | None]) -> int:
            there, stage, count = reply
            if there is not None and there != self.parameters:
                raise self._differs(there)
            earlier: int = self.first * (2 ** (int(stage or 1) - 1) - 1)
            return earlier + int(count or 0)

        return Op("HMGET", self.keys[1:2], (b"parameters", b"stage", b"count"), decode, True)


class WindowOps(_OneString[T]):
    """Two filters by turns, each for one period; what was added is there for one period to two."""

    kind = "window"

    def __init__(self, key: bytes, codec: Codec[T] | None = None, *, window: int, **parameters: Any) -> None:
        super().__init__(key, codec, window=window, **parameters)
        self.window = window

    def all_keys(self, key: bytes) -> tuple[bytes, ...]:
        """Return the keys of the even periods' bits, of the parameters, and of the odd periods' bits."""
        return (key, sibling(key, "parameters"), sibling(key, "odd"))

    def expire(self, ttl: float | timedelta) -> NoReturn:
        """Refuse: the window is the expiry."""
        raise TypeError("a filter with a window expires by itself")

    def persist(self) -> NoReturn:
        """Refuse: the window is the expiry."""
        raise TypeError("a filter with a window expires by itself")

    def _insert(self, texts: Sequence[bytes], decode: Callable[[Any], R], *, idempotent: bool) -> Op[R]:
        _, offsets, _ = self._packed(texts)
        args = (self.window, self.hashes, offsets)
        return self._checked("bloom_window_update", self.keys, *args, decode=decode, idempotent=idempotent)

    def _test(self, texts: Sequence[bytes], summary: Callable[[list[bool]], R]) -> Op[R]:
        _, offsets, _ = self._packed(texts)
        args = (self.window, self.hashes, offsets)
        return self._checked("bloom_window_has", self.keys, *args, decode=lambda reply: summary(answers(reply)))

    def size(self) -> Op[int]:
        """``len(f)``, estimated from the number of bits set in either filter: one script."""
        keys = (*self.keys, random_sibling(self.key, "count"))
        return self._checked("bloom_window_count", keys, self.window, decode=self._estimate)

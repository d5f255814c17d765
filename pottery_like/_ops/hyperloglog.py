"""HyperLogLog's operations: Redis's own type, its elements by their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pottery_like._core.keys import random_sibling
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Done, Op, Program, Task, ok
from pottery_like._core.texts import Texts
from pottery_like._ops.common import KeyOps, chunks, count, in_batches
from pottery_like._ops.membership import answers, tested
from pottery_like.codecs import Codec

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class FarRegisters:
    """The bytes of a HyperLogLog that can't be merged where it is; None when it is empty."""

    raw: bytes | None


class HyperLogLogOps(KeyOps, Generic[T]):
    """What can be done with a HyperLogLog in Redis."""

    def __init__(self, key: bytes, codec: Codec[T] | None = None) -> None:
        super().__init__(key)
        self.texts: Texts[T] = Texts(codec)

    def add(self, value: T) -> Op[None]:
        """``h.add(value)``: PFADD."""
        return self._op("PFADD", self.texts.encode(value), decode=ok)

    def update(self, objs: Iterable[Any]) -> Program[None]:
        """``h.update(*objs)``, of HyperLogLogs (:class:`HyperLogLogOps`, :class:`FarRegisters`) and iterables.

        PFADD, PFMERGE, or one script for both.
        """
        others: list[Any] = []
        texts: dict[bytes, None] = {}
        for obj in objs:
            if isinstance(obj, HyperLogLogOps | FarRegisters):
                others.append(obj)
            else:
                texts |= dict.fromkeys(map(self.texts.encode, obj))
        few = list(texts) if len(texts) <= CHUNK else []
        if others:
            yield from self._merge(others, few)
        elif few:
            yield self._op("PFADD", *few, decode=ok)
        if len(texts) > CHUNK:
            yield from in_batches(self._op("PFADD", *part, decode=ok) for part in chunks(texts))

    def _merge(self, others: Sequence[Any], texts: Sequence[bytes]) -> Program[None]:
        near: list[bytes] = []
        far: list[bytes] = []
        for other in others:
            if isinstance(other, HyperLogLogOps) and self.near(other):
                near.append(other.key)
                continue
            bits = other if isinstance(other, FarRegisters) else (yield other.read())
            if bits.raw is not None:
                far.append(bits.raw)
        if far or texts:
            temporary = (random_sibling(self.key, "far") for _ in far)
            keys = (self.key, *near, *temporary)
            yield Op(script("hll_merge"), keys, (len(far), *far, *texts), ok, True)
        else:
            yield Op("PFMERGE", (self.key, *near), (), ok, True)

    def read(self) -> Op[FarRegisters]:
        """Return the bytes: GET."""
        return self._op("GET", decode=FarRegisters)

    def size(self) -> Op[int]:
        """``len(h)``: PFCOUNT."""
        return self._op("PFCOUNT", decode=count)

    def contains(self, value: object) -> Task[bool]:
        """``value in h``: one script."""
        texts = self.texts.find(value)
        return self._test(texts, any) if texts else Done(False)

    def contains_many(self, values: Iterable[object]) -> Program[list[bool]]:
        """Which of ``values`` are there: one script; pipelined chunks beyond a thousand."""
        return (yield from tested(map(self.texts.find, values), self._test))

    def _test(self, texts: Sequence[bytes], summary: Callable[[list[bool]], R]) -> Op[R]:
        temporary = (random_sibling(self.key, "test"),)
        return self._script(
            "hll_has", *texts, decode=lambda reply: summary(answers(reply)), idempotent=True, keys=temporary
        )

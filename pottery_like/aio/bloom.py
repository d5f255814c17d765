"""AIOBloomFilter: :class:`~pottery_like.BloomFilter` for asyncio."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from pottery_like._io import servers
from pottery_like._io.aio import Client
from pottery_like._ops.bloom import BloomOps
from pottery_like._ops.bloom_modes import bloom_ops
from pottery_like.aio.base import AIOContainer
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIOBloomFilter(AIOContainer[BloomOps[T]], Generic[T]):
    """:class:`~pottery_like.BloomFilter` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     seen = AIOBloomFilter(num_elements=1000, false_positives=0.01, redis=aioredis, key='aio-seen')
    ...     print(await seen.add('alice'), await seen.contains('alice'), await seen.count())
    >>> asyncio.run(main())
    True True 1

    As :meth:`size` is the number of bits, what ``len(f)`` stands for is :meth:`count`.  Costs and errors are
    BloomFilter's.

    :param iterable: elements to start with; they are added when the filter is awaited.
    :param num_elements: see :class:`~pottery_like.BloomFilter`, as ``false_positives``, ``scalable`` and ``window``.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    """

    _OPS = staticmethod(bloom_ops)

    def __init__(
        self,
        iterable: Iterable[T] = (),
        *,
        num_elements: int,
        false_positives: float,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
        scalable: bool = False,
        window: float | timedelta | None = None,
    ) -> None:
        self._attach(
            servers.checked(redis, redis_url, Client),
            key,
            codec,
            num_elements=num_elements,
            false_positives=false_positives,
            scalable=scalable,
            window=window,
        )
        self._filling = self._ops.update((iterable,))

    @property
    def num_elements(self) -> int:
        """How many elements the filter is meant for."""
        return self._ops.num_elements

    @property
    def false_positives(self) -> float:
        """The probability of a false positive that it is meant to keep."""
        return self._ops.false_positives

    def size(self) -> int:
        """Return the number of bits: with ``scalable``, of the first stage; with ``window``, of each half.  No I/O."""
        return self._ops.bits

    def num_hashes(self) -> int:
        """Return the number of hash functions (of the first stage, with ``scalable``).  No I/O."""
        return self._ops.hashes

    async def _operand(self, other: Any) -> Any:
        if isinstance(other, AIOBloomFilter):
            return other._ops if other.redis is self.redis else await other._drive(other._ops.read())
        return other

    async def _operands(self, others: Iterable[Any]) -> list[Any]:
        return [await self._operand(other) for other in others]

    async def add(self, value: T) -> bool:
        """Add an element; return whether it was new.  O(k), 1 round trip, atomic, never sent twice.

        Of many clients that add one element at the same time, one is told that it was new.  True is certain; False is
        wrong with the filter's probability of false positives.  ``update([value])`` is repeated when the reply is lost.
        """
        return await self._run(self._ops.add(value))

    async def update(self, *objs: AIOBloomFilter[T] | Iterable[T]) -> None:
        """Add the elements of iterables and of other filters with the same parameters.

        O(n * k), and O(m) for filters; 1 round trip, atomic up to a thousand elements.  A filter in another cluster
        slot or on another server is read first.

        :raises FilterParametersError: a filter has other parameters.
        """
        await self._drive(self._ops.update(await self._operands(objs)))

    async def intersection_update(self, *others: AIOBloomFilter[T]) -> None:
        """Keep only the bits that all ``others`` have, too.  O(m), 1 round trip, atomic.

        :raises FilterParametersError: a filter has other parameters.
        """
        await self._drive(self._ops.intersection_update(await self._operands(others)))

    async def union(self, *others: AIOBloomFilter[T] | Iterable[T]) -> Self:
        """Return an anonymous filter with the elements of this one and of others, as :meth:`update`."""
        target = self._sibling("union")
        await self._drive(target._ops.store_union([self._ops, *await self._operands(others)]))
        return target

    async def intersection(self, *others: AIOBloomFilter[T]) -> Self:
        """Return an anonymous filter with the elements that are in this one and all others."""
        target = self._sibling("intersection")
        await self._drive(target._ops.store_intersection([self._ops, *await self._operands(others)]))
        return target

    async def contains(self, value: object) -> bool:
        """``value in f``: False is certain, True is probable.  O(k), 1 round trip."""
        return await self._run(self._ops.contains(value))

    async def contains_many(self, *values: object) -> list[bool]:
        """Return for each of ``values`` whether it is (probably) there.

        O(n * k), 1 round trip, atomic up to a thousand elements.
        """
        return await self._drive(self._ops.contains_many(values))

    async def count(self) -> int:
        """``len(f)``: the number of different elements, estimated; see BloomFilter.  O(m), 1 round trip."""
        return await self._run(self._ops.size())

    def __repr__(self) -> str:
        """Name the key.  No I/O."""
        return f"<{type(self).__qualname__} key={self.key}>"

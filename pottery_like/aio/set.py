"""AIORedisSet: :class:`~pottery_like.RedisSet` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Set
from typing import Any, TypeVar

from pottery_like._io.aio import Client
from pottery_like._ops.set import Relation, SetOps
from pottery_like.aio.base import AIOContainer
from pottery_like.codecs import Codec

T = TypeVar("T")
S = TypeVar("S")

Elements = Iterable[S] | AsyncIterable[S]


class AIORedisSet(AIOContainer[SetOps[T]]):
    """:class:`~pottery_like.RedisSet` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     basket = await AIORedisSet(['apple', 'pear'], redis=aioredis, key='aio-basket')
    ...     await basket.add('orange')
    ...     print(sorted(await basket.intersection({'pear', 'orange', 'plum'})), await basket.size())
    >>> asyncio.run(main())
    ['orange', 'pear'] 3

    Differences from ``set``, costs and errors are RedisSet's.  Operands may be AIORedisSets, and anything else that
    can be iterated over, asynchronously or not.

    :param iterable: elements to start with; they are stored when the container is awaited.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: on awaiting: there are elements to start with, but the key exists.
    """

    _OPS = SetOps

    def __init__(
        self,
        iterable: Iterable[T] = (),
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
    ) -> None:
        super().__init__(redis=redis, key=key, codec=codec, redis_url=redis_url)
        self._filling = self._ops.fill(iterable)

    async def _operand(self, other: Any) -> Any:
        if isinstance(other, AIORedisSet):
            return other._ops if other.redis is self.redis else await other.to_set()
        return [item async for item in other] if isinstance(other, AsyncIterable) else other

    async def _operands(self, others: Iterable[Any]) -> list[Any]:
        return [await self._operand(other) for other in others]

    async def add(self, value: T) -> None:
        """Add an element.  O(1), 1 round trip."""
        await self._run(self._ops.add(value))

    async def discard(self, value: object) -> None:
        """Remove an element if it is there.  O(1), 1 round trip."""
        await self._run(self._ops.discard(value))

    async def remove(self, value: object) -> None:
        """Remove an element.  O(1), 1 round trip.

        :raises KeyError: it isn't there.
        """
        await self._run(self._ops.remove(value))

    async def pop(self) -> T:
        """Remove and return a random element.  O(1), 1 round trip, never sent twice.

        :raises KeyError: the set is empty.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return await self._run(self._ops.pop())

    async def contains(self, value: object) -> bool:
        """``value in s``.  O(1), 1 round trip."""
        return await self._run(self._ops.contains(value))

    async def contains_many(self, *values: object) -> list[bool]:
        """Return for each of ``values`` whether it is there.  O(m), 1 round trip, atomic up to a thousand."""
        return await self._drive(self._ops.contains_many(values))

    async def size(self) -> int:
        """``len(s)``.  O(1), 1 round trip."""
        return await self._run(self._ops.size())

    def __aiter__(self) -> AsyncIterator[T]:
        """``async for value in s``.  O(n), 1 round trip per thousand elements, constant memory."""
        return self._iterate(self._ops.scan())

    async def to_set(self) -> set[T]:
        """Return a plain set of all elements.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.to_set())

    async def union(self, *others: Elements[S]) -> set[T | S]:
        """``s | other | ...``: a plain set.  O(n + m), 1 round trip, atomic."""
        return await self._drive(self._ops.union(await self._operands(others)))

    async def intersection(self, *others: Elements[Any]) -> set[T]:
        """``s & other & ...``: a plain set.  O(m), 1 round trip, atomic up to a thousand elements."""
        return await self._drive(self._ops.intersection(await self._operands(others)))

    async def difference(self, *others: Elements[Any]) -> set[T]:
        """``s - other - ...``: a plain set.  O(n + m), 1 round trip, atomic."""
        return await self._drive(self._ops.difference(await self._operands(others)))

    async def symmetric_difference(self, other: Elements[S]) -> set[T | S]:
        """``s ^ other``: a plain set.  O(n + m), 1 round trip, atomic."""
        return await self._drive(self._ops.symmetric_difference(await self._operand(other)))

    async def update(self, *others: Elements[T]) -> None:
        """``s |= other``.  O(m), 1 round trip, atomic up to a thousand elements; then pipelined in chunks."""
        await self._drive(self._ops.update(await self._operands(others)))

    async def intersection_update(self, *others: Elements[Any]) -> None:
        """``s &= other``.  O(m), 1 round trip, atomic; beyond a thousand elements, they are sent ahead, pipelined."""
        await self._drive(self._ops.intersection_update(await self._operands(others)))

    async def difference_update(self, *others: Elements[Any]) -> None:
        """``s -= other``.  O(m), 1 round trip, atomic up to a thousand elements; then pipelined in chunks."""
        await self._drive(self._ops.difference_update(await self._operands(others)))

    async def symmetric_difference_update(self, other: Elements[T]) -> None:
        """``s ^= other``.  O(m), 1 round trip, atomic; beyond a thousand elements, they are sent ahead, pipelined."""
        await self._drive(self._ops.symmetric_difference_update(await self._operand(other)))

    async def isdisjoint(self, other: Elements[Any]) -> bool:
        """Whether the set and ``other`` have nothing in common.  O(m), 1 round trip, atomic up to a thousand."""
        return await self._drive(self._ops.isdisjoint(await self._operand(other)))

    async def issubset(self, other: Elements[Any]) -> bool:
        """Whether all elements are in ``other``.  O(m), 1 round trip, atomic."""
        return await self._drive(self._ops.compare(await self._operand(other), "<="))

    async def issuperset(self, other: Elements[Any]) -> bool:
        """Whether all elements of ``other`` are in the set.  O(m), 1 round trip, atomic up to a thousand."""
        return await self._drive(self._ops.compare(await self._operand(other), ">="))

    async def le(self, other: Set[Any] | AIORedisSet[Any]) -> bool:
        """``s <= other``.  O(m), 1 round trip, atomic.

        :raises TypeError: ``other`` isn't a set.
        """
        return await self._related(other, "<=")

    async def lt(self, other: Set[Any] | AIORedisSet[Any]) -> bool:
        """``s < other``; see :meth:`le`."""
        return await self._related(other, "<")

    async def ge(self, other: Set[Any] | AIORedisSet[Any]) -> bool:
        """``s >= other``; see :meth:`le`."""
        return await self._related(other, ">=")

    async def gt(self, other: Set[Any] | AIORedisSet[Any]) -> bool:
        """``s > other``; see :meth:`le`."""
        return await self._related(other, ">")

    async def _related(self, other: Any, relation: Relation) -> bool:
        if not isinstance(other, AIORedisSet | Set):
            raise TypeError(f"expected a set, not {type(other).__name__}")
        return await self._drive(self._ops.compare(await self._operand(other), relation))

    async def equals(self, other: Any) -> bool:
        """``s == other``, for any set or AIORedisSet.  O(m), 1 round trip, atomic."""
        if not isinstance(other, AIORedisSet | Set):
            return False
        return await self._drive(self._ops.compare(await self._operand(other), "=="))

    def __repr__(self) -> str:
        """Name the key; showing the elements would take a round trip."""
        return f"<{type(self).__qualname__} key={self.key!r}>"

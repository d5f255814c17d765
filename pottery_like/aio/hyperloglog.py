"""AIOHyperLogLog: :class:`~pottery_like.HyperLogLog` for asyncio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from pottery_like._io.aio import Client
from pottery_like._ops.hyperloglog import HyperLogLogOps
from pottery_like.aio.base import AIOContainer
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIOHyperLogLog(AIOContainer[HyperLogLogOps[T]], Generic[T]):
    """:class:`~pottery_like.HyperLogLog` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     searches = await AIOHyperLogLog(['snake', 'pac-man'], redis=aioredis, key='aio-searches')
    ...     await searches.add('snake')
    ...     print(await searches.size(), await searches.contains('snake'))
    >>> asyncio.run(main())
    2 True

    What it is good for (not membership), costs and errors are HyperLogLog's.

    :param iterable: elements to start with; they are added when the container is awaited.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    """

    _OPS = HyperLogLogOps

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
        self._filling = self._ops.update((iterable,))

    async def _operand(self, obj: Any) -> Any:
        if isinstance(obj, AIOHyperLogLog):
            return obj._ops if obj.redis is self.redis else await obj._run(obj._ops.read())
        return obj

    async def add(self, value: T) -> None:
        """Add an element.  O(1), 1 round trip."""
        await self._run(self._ops.add(value))

    async def update(self, *objs: AIOHyperLogLog[T] | Iterable[T]) -> None:
        """Add the elements of iterables and of other HyperLogLogs.

        O(n), 1 round trip, atomic up to a thousand elements.  A HyperLogLog in another cluster slot or on another
        server is read first.
        """
        await self._drive(self._ops.update([await self._operand(obj) for obj in objs]))

    async def union(
        self, *objs: AIOHyperLogLog[T] | Iterable[T], redis: Client | str | None = None, key: str = ""
    ) -> AIOHyperLogLog[T]:
        """Return a HyperLogLog with the elements of this one and of others.

        O(n), 1 round trip, atomic up to a thousand elements, in this one's slot; elsewhere, this one is read first.

        :param redis: where to put it; by default where this one is.
        :param key: where to put it; what is there is kept, too.  By default the result is anonymous.
        """
        if redis is None and not key:
            target = self._sibling("union")
        else:
            target = type(self)(redis=self._source if redis is None else redis, key=key, codec=self._codec)
        await target.update(self, *objs)
        return target

    async def size(self) -> int:
        """``len(h)``: the number of different elements, estimated.  O(1), 1 round trip."""
        return await self._run(self._ops.size())

    async def contains(self, value: object) -> bool:
        """``value in h``: False is certain, True less and less so.  O(1), 1 round trip; writes a temporary copy."""
        return await self._run(self._ops.contains(value))

    async def contains_many(self, *values: object) -> list[bool]:
        """Return for each of ``values`` whether it is (maybe) there.

        O(n), 1 round trip, atomic up to a thousand elements; writes temporary copies.
        """
        return await self._drive(self._ops.contains_many(values))

    def __repr__(self) -> str:
        """Name the key; showing the length would take a round trip."""
        return f"<{type(self).__qualname__} key={self.key!r}>"

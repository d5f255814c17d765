"""AIORedisCounter: :class:`~pottery_like.RedisCounter` for asyncio."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import repeat
from typing import Any, ClassVar, NoReturn, TypeVar

from pottery_like._ops.counter import CounterOps
from pottery_like.aio.dict import AIORedisDict

K = TypeVar("K")


class AIORedisCounter(AIORedisDict[K, int]):
    """:class:`~pottery_like.RedisCounter` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     words = await AIORedisCounter(['red', 'blue', 'red'], redis=aioredis, key='aio-words')
    ...     await words.increment('red')
    ...     await words.update(['green', 'blue'])
    ...     print(await words['red'], await words['black'], await words.most_common(1))
    >>> asyncio.run(main())
    3 0 [('red', 3)]

    Python can't await ``c[key] += n``: use :meth:`increment`.  Differences from ``Counter``, costs and errors are
    RedisCounter's.

    :param arg: an iterable of elements, or a mapping of elements to counts, to start with; it is stored when the
        container is awaited.
    :param kwargs: further counts of ``str`` elements (other than the parameters' names).
    :param codec: how elements become bytes; counts are JSON numbers always.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key`` and ``redis_url``.
    :raises KeyExistsError: on awaiting: there are elements to start with, but the key exists.
    """

    _OPS: ClassVar[Any] = CounterOps
    _ops: CounterOps[K]  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, **options: Any) -> NoReturn:
        """Not defined, as for Counter.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError(f"{cls.__name__}.fromkeys() is undefined.  Use {cls.__name__}(iterable) instead.")

    async def __missing__(self, key: K) -> int:
        """Return the count of what isn't there: 0."""
        return 0

    async def delete(self, key: K) -> None:
        """``del c[key]``, which may be absent.  O(1), 1 round trip."""
        await self._run(self._ops.discard(key))

    async def increment(self, key: K, n: int = 1) -> int:
        """``c[key] += n``: add on the server, and return the new count.  O(1), 1 round trip, atomic.

        2 round trips when ``n`` is an integer, but the count a float or beyond 64 bits.

        :raises TypeError: ``n``, or the count, is no number.
        :raises ValueError: the sum would be infinite.
        :raises OverflowError: one is a float, and the other too large an integer to become one.
        """
        return await self._drive(self._ops.increment(key, n))

    async def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Add counts: of an iterable's elements, or those of a mapping or AIORedisCounter, and ``kwargs``.

        O(n), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.

        :raises TypeError: a count is no number.  Nothing is changed then.
        :raises ValueError: a count would become infinite.  Nothing is changed then.
        :raises OverflowError: a float meets too large an integer.  Nothing is changed then.
        """
        await self._drive(self._ops.update(await self._given(arg), kwargs))

    async def subtract(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Subtract counts, otherwise as :meth:`update`; counts may become zero and negative."""
        await self._drive(self._ops.subtract(await self._given(arg), kwargs))

    async def elements(self) -> AsyncIterator[K]:
        """Iterate over the elements, each as often as its count says.  O(n), 1 round trip per thousand."""
        async for key, number in self._iterate(self._ops.scan_items()):
            for element in repeat(key, number):
                yield element

    async def most_common(self, n: int | None = None) -> list[tuple[K, int]]:
        """Return the ``n`` commonest elements and their counts, or all.  O(N log n), 1 round trip."""
        limit = None if n is None else operator.index(n)
        return (await self.to_counter()).most_common(limit)

    async def total(self) -> int:
        """Return the sum of the counts, made on the server while they are integers.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.total())

    async def to_counter(self) -> Counter[K]:
        """Return a plain Counter.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.to_counter())

    async def _given(self, arg: Any) -> Any:
        if isinstance(arg, AIORedisCounter) and self.redis is arg.redis and self._ops.combines_with(arg._ops):
            return arg._ops
        if isinstance(arg, AIORedisDict):
            return await arg.to_dict()
        return () if arg is None else arg

    async def _with(self, other: Any, function: Callable[[Counter[Any], Counter[Any]], Any]) -> Any:
        """Apply ``function`` to the two counters, read in one round trip."""
        if isinstance(other, AIORedisCounter):
            if self.redis is other.redis:
                return function(*await self._drive(self._ops.both(other._ops)))
            return function(await self.to_counter(), await other.to_counter())
        if not isinstance(other, Counter):
            raise TypeError(f"expected a Counter or {AIORedisCounter.__name__}, not {type(other).__name__}")
        return function(await self.to_counter(), other)

    async def plus(self, other: Counter[K] | AIORedisCounter[K]) -> Counter[K]:
        """``c + other``: a Counter of the positive sums.  O(n), 1 round trip."""
        return await self._with(other, operator.add)  # type: ignore[no-any-return]

    async def minus(self, other: Counter[K] | AIORedisCounter[K]) -> Counter[K]:
        """``c - other``: a Counter of the positive differences.  O(n), 1 round trip."""
        return await self._with(other, operator.sub)  # type: ignore[no-any-return]

    async def union(self, other: Counter[K] | AIORedisCounter[K]) -> Counter[K]:
        """``c | other``: a Counter of the larger counts, if positive.  O(n), 1 round trip."""
        return await self._with(other, operator.or_)  # type: ignore[no-any-return]

    async def intersection(self, other: Counter[K] | AIORedisCounter[K]) -> Counter[K]:
        """``c & other``: a Counter of the smaller counts, if positive.  O(n), 1 round trip."""
        return await self._with(other, operator.and_)  # type: ignore[no-any-return]

    async def positive(self) -> Counter[K]:
        """``+c``: a Counter of the positive counts.  O(n), 1 round trip."""
        return +await self.to_counter()

    async def negative(self) -> Counter[K]:
        """``-c``: a Counter of the negative counts, negated.  O(n), 1 round trip."""
        return -await self.to_counter()

    async def plus_update(self, other: Any) -> None:
        """``c += other``, for a mapping or AIORedisCounter: add, and keep only positive counts.

        O(n), 1 round trip, atomic.  More than a thousand elements are sent in further round trips first, and then
        added at once.  Errors are those of :meth:`update`.
        """
        await self._drive(self._ops.combine("add", await self._given(other)))

    async def minus_update(self, other: Any) -> None:
        """``c -= other``: subtract, and keep only positive counts; otherwise as :meth:`plus_update`."""
        await self._drive(self._ops.combine("subtract", await self._given(other)))

    async def union_update(self, other: Any) -> None:
        """``c |= other``: the larger counts, if positive; otherwise as :meth:`plus_update`."""
        await self._drive(self._ops.combine("union", await self._given(other)))

    async def intersection_update(self, other: Any) -> None:
        """``c &= other``: the smaller counts, if positive; otherwise as :meth:`plus_update`."""
        await self._drive(self._ops.combine("intersect", await self._given(other)))

    async def equals(self, other: Any) -> bool:
        """``c == other``: for a counter, what is absent counts 0; else as a dict.  O(n), 1 round trip."""
        if isinstance(other, AIORedisCounter) and self.redis is other.redis and self.key == other.key:
            return True
        if isinstance(other, AIORedisCounter | Counter):
            return bool(await self._with(other, operator.eq))
        return await super().equals(other)

    async def le(self, other: Counter[K] | AIORedisCounter[K]) -> bool:
        """``c <= other``: whether no count is larger than the other's.  O(n), 1 round trip."""
        return bool(await self._with(other, operator.le))

    async def lt(self, other: Counter[K] | AIORedisCounter[K]) -> bool:
        """``c < other``: ``<=`` and not equal.  O(n), 1 round trip."""
        return bool(await self._with(other, operator.lt))

    async def ge(self, other: Counter[K] | AIORedisCounter[K]) -> bool:
        """``c >= other``: whether no count is smaller than the other's.  O(n), 1 round trip."""
        return bool(await self._with(other, operator.ge))

    async def gt(self, other: Counter[K] | AIORedisCounter[K]) -> bool:
        """``c > other``: ``>=`` and not equal.  O(n), 1 round trip."""
        return bool(await self._with(other, operator.gt))

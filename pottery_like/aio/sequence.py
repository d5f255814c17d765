"""What AIORedisList and AIORedisDeque have in common."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, SupportsIndex, TypeVar

from typing_extensions import Self

from pottery_like._ops.editing import changed, transform
from pottery_like._ops.sequence import LIMIT, SequenceOps
from pottery_like.aio.base import AIOContainer

T = TypeVar("T")


class AIORedisSequence(AIOContainer[SequenceOps[T]]):
    """Base of AIORedisList and AIORedisDeque."""

    _BUILTIN: ClassVar[type[Any]]
    """What it equals, beside its own kind."""

    async def _elements(self, values: Any) -> Iterable[T] | SequenceOps[Any]:
        """Return the operations of what is on this client, so that its elements need not come here."""
        if not isinstance(values, AIORedisSequence):
            plain: Iterable[T] = values
            return plain
        return values._ops if values.redis is self.redis else await values.to_list()

    def _is_kin(self, other: object) -> bool:
        return isinstance(other, AIORedisSequence) and other._BUILTIN is self._BUILTIN

    async def size(self) -> int:
        """``len(l)``.  O(1), 1 round trip."""
        return await self._run(self._ops.size())

    def __aiter__(self) -> AsyncIterator[T]:
        """``async for element in l``.  O(n), 1 round trip per thousand elements, constant memory."""
        return self._iterate(self._ops.scan())

    async def reversed(self) -> list[T]:
        """``list(reversed(l))``.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.to_list_backwards())

    async def contains(self, value: object) -> bool:
        """``value in l``.  O(n) on the server, 1 round trip."""
        return await self._run(self._ops.contains(value))

    async def append(self, value: T, /) -> None:
        """Add ``value`` at the right end.  O(1), 1 round trip, atomic.

        :raises TypeError: or ValueError: the codec can't carry ``value``; nothing is sent.
        """
        await self._run(self._ops.append(value))

    async def extend(self, values: Iterable[T] | AIORedisSequence[T], /) -> None:
        """Add ``values`` at the right end; also what ``l += values`` would do.

        O(len(values)), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        Elements of another container on the same client (and in one slot of a cluster) don't leave the server.
        """
        await self._drive(self._ops.extend(await self._elements(values)))

    async def insert(self, index: SupportsIndex, value: T, /) -> None:
        """Insert ``value`` before ``index``.  O(distance from an end), 1 round trip, atomic."""
        await self._run(self._ops.insert(index, value))

    async def remove(self, value: T, /) -> None:
        """Remove the first element that equals ``value``.  O(n) on the server, 1 round trip, atomic.

        :raises ValueError: there is none.
        """
        await self._run(self._ops.remove(value))

    async def index(self, value: object, start: SupportsIndex = 0, stop: SupportsIndex = LIMIT, /) -> int:
        """Return the first index of ``value`` from ``start`` to before ``stop``.  O(n) on the server, 1 round trip.

        :raises ValueError: it isn't there.
        """
        return await self._run(self._ops.index(value, start, stop))

    async def count(self, value: object, /) -> int:
        """Return how many elements equal ``value``.  O(n) on the server, 1 round trip."""
        return await self._run(self._ops.count(value))

    async def reverse(self) -> None:
        """Reverse the order of the elements, on the server.  O(n), 1 round trip, atomic."""
        await self._run(self._ops.reverse())

    async def to_list(self) -> list[T]:
        """Return a plain list of all elements.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.to_list())

    @asynccontextmanager
    async def edit(self, index: SupportsIndex) -> AsyncIterator[T]:
        """``async with l.edit(index) as value``: change a nested element in place.  2 round trips.

        :raises IndexError: there is no such element.
        :raises ConcurrentEditError: another element is at ``index`` meanwhile; nothing is written.
        """
        raw = await self._run(self._ops.edit(index))
        value = self._ops.decode(raw)
        yield value
        if not await self._run(self._ops.swap(index, raw, value)):
            raise changed(index)

    async def transform(self, index: SupportsIndex, function: Callable[[T], T]) -> T:
        """Replace an element by a function of it, atomically, and return it.

        2 round trips, and 2 more for each time that somebody else changes the element meanwhile.

        :raises IndexError: there is no such element.
        :raises ConcurrentEditError: the element changed at each of 200 attempts; nothing is written.
        """
        return await self._drive(transform(self._ops, index, function))

    async def _sides(self, other: Any) -> tuple[list[T], list[Any]] | None:
        """Return both sides of a comparison; None when they can't be compared."""
        if self._is_kin(other):
            if self.redis is other.redis:
                return await self._drive(self._ops.both(other._ops))
            return await self.to_list(), await other.to_list()
        return (await self.to_list(), list(other)) if isinstance(other, self._BUILTIN) else None

    async def _compared(self, other: Any, comparison: Callable[[list[T], list[Any]], bool]) -> bool:
        sides = await self._sides(other)
        if sides is None:
            raise TypeError(f"can't compare {type(self).__name__} and {type(other).__name__}")
        return comparison(*sides)

    async def equals(self, other: Any) -> bool:
        """``l == other``, for the builtin and its like.  O(n), 1 round trip for each side, 1 on one client."""
        if self._is_kin(other) and self.key == other.key and self.redis is other.redis:
            return True
        sides = await self._sides(other)
        return sides is not None and sides[0] == sides[1]

    async def lt(self, other: Any) -> bool:
        """``l < other``, as the builtin compares.  O(n), 1 round trip for each side, 1 on one client.

        :raises TypeError: ``other`` is neither the builtin nor its like.
        """
        return await self._compared(other, operator.lt)

    async def le(self, other: Any) -> bool:
        """``l <= other``; see :meth:`lt`."""
        return await self._compared(other, operator.le)

    async def gt(self, other: Any) -> bool:
        """``l > other``; see :meth:`lt`."""
        return await self._compared(other, operator.gt)

    async def ge(self, other: Any) -> bool:
        """``l >= other``; see :meth:`lt`."""
        return await self._compared(other, operator.ge)

    async def concat(self, other: Any) -> Self:
        """``l + other``: an anonymous container, made on the server.

        O(n), 1 round trip, atomic; beyond a thousand elements of a builtin ``other``, pipelined in chunks.  It
        expires with this one.

        :raises TypeError: ``other`` is neither the builtin nor its like.
        """
        if not (self._is_kin(other) or isinstance(other, self._BUILTIN)):
            raise TypeError(
                f"can only concatenate {self._BUILTIN.__name__} or {type(self).__name__}, not {type(other).__name__}"
            )
        source = await self._elements(other)
        target = self._sibling("sum")
        await self._drive(self._ops.concat(target._ops, source, "RPUSH"))
        return target

    async def repeat(self, times: SupportsIndex) -> Self:
        """``l * times``: an anonymous container, made on the server.  O(n * times), 1 round trip, atomic.

        It expires with this one.

        :raises MemoryError: more than the 2 ** 32 - 1 elements that a Redis list can hold.
        """
        target = self._sibling("product")
        await self._run(self._ops.repeat(times, target._ops))
        return target

    async def multiply(self, times: SupportsIndex) -> None:
        """``l *= times``.  O(n * times), 1 round trip, atomic.

        :raises MemoryError: more than the 2 ** 32 - 1 elements that a Redis list can hold.
        """
        await self._run(self._ops.repeat(times))

    def __repr__(self) -> str:
        """Name the key; showing the elements would take a round trip."""
        return f"<{type(self).__qualname__} key={self.key!r}>"

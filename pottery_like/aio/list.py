"""AIORedisList: :class:`~pottery_like.RedisList` for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex, TypeVar, overload

from pottery_like._io.aio import Client
from pottery_like._ops.list import ListOps
from pottery_like.aio.sequence import AIORedisSequence
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIORedisList(AIORedisSequence[T]):
    """:class:`~pottery_like.RedisList` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     squares = await AIORedisList([1, 4, 9], redis=aioredis, key='aio-squares')
    ...     await squares.append(16)
    ...     print(await squares[-1], await squares[1:3], [square async for square in squares])
    >>> asyncio.run(main())
    16 [4, 9] [1, 4, 9, 16]

    Differences from ``list``, costs and errors are RedisList's.

    :param iterable: elements to start with; they are stored when the container is awaited.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: on awaiting: there are elements to start with, but the key exists.
    """

    _OPS = ListOps
    _BUILTIN = list
    _ops: ListOps[T]  # pyright: ignore[reportIncompatibleVariableOverride]

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

    @overload
    async def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    async def __getitem__(self, index: slice) -> list[T]: ...
    async def __getitem__(self, index: Any) -> Any:
        """``await l[index]``, or ``await l[start:stop:step]``: a plain list.

        An element: O(distance from an end).  A slice: O(n); only its own elements are sent.  1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        return await self._run(self._ops.get_slice(index) if isinstance(index, slice) else self._ops.get(index))

    @overload
    async def set(self, index: SupportsIndex, value: T) -> None: ...
    @overload
    async def set(self, index: slice, value: Iterable[T] | AIORedisSequence[T]) -> None: ...
    async def set(self, index: Any, value: Any) -> None:
        """``l[index] = value``; with a ``slice``, ``l[start:stop:step] = values``.

        An element: O(distance from an end).  A slice: O(its size and the elements on the shorter side of it).
        1 round trip, atomic; more than a thousand values are sent in pipelined chunks before.

        :raises IndexError: there is no such element.
        :raises ValueError: a slice with a step other than 1 is of another size than ``values``.
        """
        if isinstance(index, slice):
            await self._drive(self._ops.set_slice(index, await self._elements(value)))
        else:
            await self._drive(self._ops.set(index, value))

    async def delete(self, index: SupportsIndex | slice) -> None:
        """``del l[index]``; with a ``slice``, ``del l[start:stop:step]``.

        O(distance from an end), or a slice's size and the elements on its shorter side.  1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        await self._run(self._ops.delete_slice(index) if isinstance(index, slice) else self._ops.delete(index))

    async def pop(self, index: SupportsIndex = -1, /) -> T:
        """Remove the element at ``index`` and return it.  O(distance from an end), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the element.

        :raises IndexError: there is no such element.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return await self._run(self._ops.pop(index))

    async def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, stably.  O(n log n), atomic.

        2 round trips, and 2 more for each time that somebody else changes the list meanwhile.

        :param key: what to sort an element by.
        :param reverse: descending.
        :raises TypeError: elements can't be ordered; nothing is changed.
        :raises ConcurrentEditError: the list changed at each of 200 attempts; nothing is changed.
        """
        await self._drive(self._ops.sort(key, reverse))

"""AIORedisDict: :class:`~pottery_like.RedisDict` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, overload

from typing_extensions import Self

from pottery_like._io.aio import Client
from pottery_like._ops.dict import MISSING, DictOps
from pottery_like._ops.editing import changed, transform
from pottery_like.aio.base import AIOContainer
from pottery_like.codecs import Codec

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


async def _plain(arg: Any) -> Any:
    return await arg.to_dict() if isinstance(arg, AIORedisDict) else arg


class AIORedisDict(AIOContainer[DictOps[K, V]]):
    """:class:`~pottery_like.RedisDict` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     tel = await AIORedisDict({'jack': 4098}, redis=aioredis, key='aio-tel')
    ...     await tel.set('guido', 4127)
    ...     print(await tel['guido'], [name async for name in tel])
    >>> asyncio.run(main())
    4127 ['jack', 'guido']

    Differences from ``dict``, costs and errors are RedisDict's.

    :param arg: a mapping or an iterable of pairs to start with; it is stored when the container is awaited.
    :param kwargs: further items with ``str`` keys (other than the parameters' names).
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: on awaiting: there are items to start with, but the key exists.
    """

    _OPS = DictOps

    def __init__(
        self,
        arg: Any = (),
        /,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[V] | None = None,
        redis_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(redis=redis, key=key, codec=codec, redis_url=redis_url)
        self._filling = self._ops.fill(arg, kwargs)

    @classmethod
    def fromkeys(
        cls,
        iterable: Iterable[Any],
        value: Any = None,
        *,
        redis: Client | str | None = None,
        key: str = "",
        **options: Any,
    ) -> Self:
        """Return a new dict, to be awaited, with each element of ``iterable`` as a key of ``value``."""
        return cls(dict.fromkeys(iterable, value), redis=redis, key=key, **options)

    async def __getitem__(self, key: K) -> V:
        """``await d[key]``.  O(1), 1 round trip.

        :raises KeyError: ``key`` isn't there, and the subclass has no ``__missing__`` (a coroutine function).
        """
        value = await self._run(self._ops.lookup(key, MISSING))
        if value is MISSING:
            missing: Callable[[K], Any] | None = getattr(self, "__missing__", None)
            if missing is None:
                raise KeyError(key)
            value = await missing(key)
        return value

    async def set(self, key: K, value: V) -> None:
        """``d[key] = value``.  O(1), 1 round trip."""
        await self._run(self._ops.set(key, value))

    async def delete(self, key: K) -> None:
        """``del d[key]``.  O(1), 1 round trip.

        :raises KeyError: ``key`` isn't there.
        """
        await self._run(self._ops.delete(key))

    async def contains(self, key: object) -> bool:
        """``key in d``.  O(1), 1 round trip."""
        return await self._run(self._ops.contains(key))

    async def contains_many(self, *keys: object) -> list[bool]:
        """Return for each of ``keys`` whether it is there.  O(len(keys)), 1 round trip, atomic."""
        return await self._run(self._ops.contains_many(keys))

    async def size(self) -> int:
        """``len(d)``.  O(1), 1 round trip."""
        return await self._run(self._ops.size())

    def __aiter__(self) -> AsyncIterator[K]:
        """``async for key in d``.  O(n), 1 round trip per thousand keys, constant memory."""
        return self._iterate(self._ops.scan_keys())

    def keys(self) -> AsyncIterator[K]:
        """Iterate over the keys."""
        return self._iterate(self._ops.scan_keys())

    def values(self) -> AsyncIterator[V]:
        """Iterate over the values."""
        return self._iterate(self._ops.scan_values())

    def items(self) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the items."""
        return self._iterate(self._ops.scan_items())

    async def reversed(self) -> list[K]:
        """``list(reversed(d))``.  O(n), 1 round trip per thousand keys."""
        return await self._drive(self._ops.reversed_keys())

    @overload
    async def get(self, key: object, default: None = None, /) -> V | None: ...
    @overload
    async def get(self, key: object, default: D, /) -> V | D: ...
    async def get(self, key: object, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default``.  O(1), 1 round trip."""
        return await self._run(self._ops.lookup(key, default))

    async def setdefault(self, key: K, default: V = None, /) -> V:  # type: ignore[assignment]
        """Return the value of ``key``, after setting it to ``default`` if need be.  O(1), 1 round trip, atomic."""
        return await self._run(self._ops.setdefault(key, default))

    @overload
    async def pop(self, key: object, /) -> V: ...
    @overload
    async def pop(self, key: object, default: D, /) -> V | D: ...
    async def pop(self, key: object, default: Any = MISSING, /) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1), 1 round trip, atomic, never sent twice.

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        :raises DecodeError: the value isn't the codec's; the exception carries its bytes.
        """
        return await self._run(self._ops.pop(key, default))

    async def popitem(self) -> tuple[K, V]:
        """Remove and return an item: the newest of a small dict, any of a large one.  O(1), 1 round trip, atomic.

        :raises KeyError: the dict is empty.
        :raises DecodeError: the item isn't the codec's; the exception carries its bytes.
        """
        return await self._run(self._ops.popitem())

    async def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Set the items of ``arg`` and ``kwargs``.  O(n), 1 round trip, atomic up to a thousand items."""
        await self._drive(self._ops.update(await _plain(arg), kwargs))

    async def to_dict(self) -> dict[K, V]:
        """Return a plain dict of all items.  O(n), 1 round trip, atomic."""
        return await self._run(self._ops.to_dict())

    @asynccontextmanager
    async def edit(self, key: K) -> AsyncIterator[V]:
        """``async with d.edit(key) as value``: change a nested value in place.  2 round trips.

        :raises KeyError: ``key`` isn't there.
        :raises ConcurrentEditError: somebody else changed the value meanwhile; nothing is written.
        """
        raw = await self._run(self._ops.edit(key))
        value = self._ops.decode(raw)
        yield value
        if not await self._run(self._ops.swap(key, raw, value)):
            raise changed(key)

    async def transform(self, key: K, function: Callable[[V], V]) -> V:
        """Replace a value by a function of it, atomically, and return it.

        2 round trips, and 2 more for each time that somebody else changes the value meanwhile.

        :raises KeyError: ``key`` isn't there.
        :raises ConcurrentEditError: the value changed at each of 200 attempts; nothing is written.
        """
        return await self._drive(transform(self._ops, key, function))

    async def equals(self, other: Any) -> bool:
        """``d == other``, for any mapping or AIORedisDict.  O(n), 1 round trip for each side."""
        if isinstance(other, AIORedisDict) and self.redis is other.redis:
            return self.key == other.key or await self._drive(self._ops.equal(other._ops))
        return bool(await self.to_dict() == await _plain(other))

    async def union(self, other: Any) -> dict[Any, Any]:
        """``d | other``: a plain dict.  O(n), 1 round trip."""
        return await self.to_dict() | dict(await _plain(other))

    def __repr__(self) -> str:
        """Name the key; showing the items would take a round trip."""
        return f"<{type(self).__qualname__} key={self.key!r}>"

"""AIOCachedOrderedDict: :class:`~pottery_like.CachedOrderedDict` for asyncio."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NoReturn

from typing_extensions import Self, TypeVar

from pottery_like._io import servers
from pottery_like._io.aio import Client
from pottery_like._ops.cachedordereddict import CachedOps, Local, given
from pottery_like.aio.base import AIOContainer
from pottery_like.aio.dict import AIORedisDict
from pottery_like.codecs import Codec

K = TypeVar("K", default=Any)
V = TypeVar("V", default=Any)


class AIOCachedOrderedDict(Local[K, V], AIOContainer[CachedOps[K, V]]):  # type: ignore[misc]
    """:class:`~pottery_like.CachedOrderedDict` for asyncio: the same, with what the server has to do awaited.

    >>> async def main():
    ...     found = await AIOCachedOrderedDict(redis_client=aioredis, redis_key='aio-documents', dict_keys=[3, 1, 2])
    ...     await found.update({key: f'document {key}' for key in found.misses()})
    ...     print(found[3], list(found), len(found))
    >>> asyncio.run(main())
    document 3 [3, 1, 2] 3

    The keys are looked up when the dict is awaited, or entered with ``async with``; before, it is empty.  Reading,
    rearranging and removing need no server and aren't awaited: ``d[key]``, ``len(d)``, ``for key in d``,
    ``del d[key]``, pop(), clear(), copy().  ``d[key] = value`` is ``await d.set(key, value)``, and ``d |= other`` is
    ``await d.update(other)``.

    Differences from ``OrderedDict``, costs, errors and parameters are CachedOrderedDict's.
    """

    # It is a dict itself: what it has in memory needs no server.
    __iter__: Any = OrderedDict.__iter__
    __contains__: Any = OrderedDict.__contains__

    def __init__(
        self,
        *,
        redis_client: Client | str | None = None,
        redis_key: str | None = None,
        dict_keys: Iterable[K] = (),
        num_tries: int = 3,
        timeout: float | timedelta | None = 60,
        redis: Client | str | None = None,
        key: str | None = None,
        codec: Codec[V] | None = None,
        redis_url: str | None = None,
    ) -> None:
        source = servers.checked(given(redis_client, redis, "redis_client or redis"), redis_url, Client)
        self._attach(source, given(redis_key, key, "redis_key or key") or "", codec, timeout=timeout)
        keys = dict.fromkeys(dict_keys)
        if keys:
            self._filling = self._open(keys)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, **options: Any) -> Self:  # type: ignore[override]
        """Return a new dict, to be awaited, with each element of ``iterable`` as a key of ``value``, stored."""
        new = cls(**options)
        new._filling = new._update(dict.fromkeys(iterable, value), {})
        return new

    def misses(self) -> frozenset[K]:
        """Return the keys for which there is no value yet.  O(n), nothing is sent.

        :raises RuntimeError: the dict wasn't awaited.
        """
        self._looked_up()
        return super().misses()

    def copy(self) -> Self:  # type: ignore[override]
        """Return another dict on the same cache, with the same items in the same order.  O(n), nothing is sent.

        :raises RuntimeError: the dict wasn't awaited.
        """
        self._looked_up()
        return super().copy()

    def __missing__(self, key: K) -> V:
        self._looked_up()
        raise KeyError(key)

    def _looked_up(self) -> None:
        if self._filling is not None:
            raise RuntimeError(f"the keys of {self._key!r} aren't looked up yet: await the dict first")

    async def set(self, key: K, value: V) -> None:
        """``d[key] = value``, and the cache's.  O(1), 1 round trip."""
        self._looked_up()
        await self._drive(self._set(key, value))

    async def setdefault(self, key: K, default: V = None) -> V:  # type: ignore[assignment,override]
        """Return ``d[key]``; where there is none, the cache's value, after setting that to ``default`` if need be.

        O(1), 1 round trip, atomic; nothing is sent when the value is known here.
        """
        self._looked_up()
        return await self._drive(self._setdefault(key, default))

    async def update(self, arg: Any = (), /, **kwargs: Any) -> None:  # type: ignore[override]
        """Set the items of ``arg`` and ``kwargs``.  O(n), 1 round trip, atomic up to a thousand items."""
        self._looked_up()
        items = await arg.to_dict() if isinstance(arg, AIORedisDict) else arg
        await self._drive(self._update(items, kwargs))

    def __setitem__(self, key: K, value: V) -> NoReturn:
        raise TypeError("storing takes a round trip: use await d.set(key, value)")

    def __ior__(self, other: Any) -> NoReturn:
        raise TypeError("storing takes a round trip: use await d.update(other)")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the items and the reference: the key, the codec, and the client's arguments (password included)."""
        self._looked_up()
        revive, arguments, attributes = super().__reduce__()
        return _revived, (revive, arguments, list(self.items())), attributes


def _revived(revive: Any, arguments: Any, items: list[tuple[Any, Any]]) -> AIOCachedOrderedDict[Any, Any]:
    found: AIOCachedOrderedDict[Any, Any] = revive(*arguments)
    found._keep(items)
    return found

"""AIOFlipCache: :class:`~pottery_like.FlipCache` for asyncio."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, cast, overload

from typing_extensions import Self, TypeVar

from pottery_like._core.localviews import LocalView
from pottery_like._io.aio import Client
from pottery_like._io.aio_tracking import Tracker
from pottery_like._ops.dict import MISSING
from pottery_like._ops.flight import LEASE, fetch
from pottery_like._ops.flip_config import FlipConfig, seconds_to_wait
from pottery_like._ops.flip_core import FlipStats, items_of
from pottery_like._ops.flip_load import Load
from pottery_like._ops.flip_tags import checked_tags
from pottery_like.aio.flipbase import AIOFlipBase, K, V, checked_client, settled
from pottery_like.codecs import Codec

D = TypeVar("D")


class AIOFlipCache(AIOFlipBase[K, V]):
    """:class:`~pottery_like.FlipCache` for asyncio: the same operations on the same keys, awaited.

    >>> async def main():
    ...     cache = AIOFlipCache('aio_cache', redis=aioredis)
    ...     await cache.set('my_key', 'my_value')
    ...     print(await cache['my_key'], await cache['unknown'])
    >>> asyncio.run(main())
    my_value None

    Costs, guarantees and errors are FlipCache's.  A hit looks at the clock, so that an event loop which was held up
    serves nothing stale.  ``loader``, callbacks and ``on_conflict`` may be coroutine functions or plain ones;
    ``on_update`` and ``on_delete`` are called in the event loop.  The parameters are FlipCache's.

    :param redis_protocol: a ``redis.asyncio.Redis``, ``redis.asyncio.RedisCluster`` or Sentinel client, or a URL.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: an argument out of range.
    """

    def __init__(
        self,
        name: str,
        *,
        local_max: int = 100,
        expire_time: float | timedelta | None = None,
        key_type: str = "str",
        value_type: str = "str",
        value_default: V | None = None,
        value_encoder: Callable[[V], str | bytes] | None = None,
        value_decoder: Callable[[Any], V] | None = None,
        redis_protocol: Client | str | None = None,
        refresh_expire_time_on_get: bool = False,
        redis: Client | str | None = None,
        redis_url: str | None = None,
        codec: Codec[V] | None = None,
        eviction: Any = "fifo",
        coherence: str | None = "tracking",
        max_stale: float = 1.0,
        write: str = "through",
        dirty_max: int = 100,
        flush_interval: float | None = 1.0,
        on_conflict: Callable[[Any], object] | None = None,
        loader: Callable[[K], V | Awaitable[V]] | None = None,
        lease: float = LEASE,
        on_update: Callable[[K], object] | None = None,
        on_delete: Callable[[K], object] | None = None,
        count_hits: bool = False,
    ) -> None:
        config = FlipConfig(
            name=name,
            local_max=local_max,
            expire_time=expire_time,
            key_type=key_type,
            value_type=value_type,
            value_default=value_default,
            value_encoder=value_encoder,
            value_decoder=value_decoder,
            refresh_expire_time_on_get=refresh_expire_time_on_get,
            codec=codec,
            eviction=eviction,
            coherence=coherence,
            max_stale=max_stale,
            write=write,
            dirty_max=dirty_max,
            flush_interval=flush_interval,
            on_conflict=on_conflict,
            loader=loader,
            lease=lease,
            on_update=on_update,
            on_delete=on_delete,
            count_hits=count_hits,
        )
        self._attach(checked_client(redis_protocol, redis, redis_url), config)

    @property
    def name(self) -> str:
        """What the Redis keys begin with, before a colon."""
        return self._config.name

    @property
    def redis(self) -> Client:
        """The client."""
        return self._runner.client

    @property
    def local(self) -> LocalView[K, V]:
        """The local tier: a live view of its values, by the keys that were asked for."""
        return LocalView(self._tier)

    def stats(self) -> FlipStats:
        """Return what the cache has done so far in this process.  No round trip."""
        core, tier, back, follower = self._core, self._tier, self._back, self._made_follower
        return FlipStats(
            local_hits=core.local_hits,
            remote_hits=core.remote_hits,
            misses=core.misses,
            evictions=tier.evictions if tier else 0,
            invalidations=tier.invalidations if tier else 0,
            reconnects=follower.stats.reconnects if follower else 0,
            conflicts=back.conflicts if back else 0,
            size=len(self.local),
            dirty=len(back.dirty) if back else 0,
        )

    async def __getitem__(self, key: K) -> V:
        """``await cache[key]``.  O(1), no round trip for a local hit, else 1."""
        if self._tier is not None and self._runner is not None:
            self._fresh()
            entry = self._tier.hit(key)
            if entry is not None:
                self._core.local_hits += 1
                return cast("V", entry.value)
        return await self.__missing__(key)

    async def __missing__(self, key: K) -> V:
        loader = self._config.loader
        if loader is not None:
            return await self.get_or_set(key, lambda: loader(key))
        value: V = await self._drive(self._scan.fetch(key))
        return value

    async def set(self, key: K, value: V, ttl: float | timedelta | None = None, *, tags: Iterable[str] = ()) -> None:
        """Store a value.  O(1), 1 round trip, atomic; with tags in a cluster 2, sometimes 4.

        :param ttl: seconds that it lives; None for the cache's expire_time, ``math.inf`` for no end.
        :param tags: names by which it can be removed later, see :meth:`invalidate_tag`.
        :raises TypeError: or ValueError, an argument isn't of the right type; nothing is sent.
        """
        named = checked_tags(tags)
        await self._introduce()
        if named:
            await self._settled()
            await self._drive(self._tags.set(key, value, ttl, named))
        elif self._back is not None:
            await self._change(self._back.set(key, value, ttl))
        else:
            await self._drive(self._core.set(key, value, ttl))

    async def delete(self, key: K) -> None:
        """``del cache[key]``; nothing happens if it isn't there.  O(1), 1 round trip."""
        if self._back is not None:
            await self._change(self._back.delete((key,)))
        else:
            await self._drive(self._core.delete(key))

    async def contains(self, key: object) -> bool:
        """``key in cache``.  O(1), 1 round trip; none if the local tier knows."""
        return await self._drive(self._core.contains(key))

    @overload
    async def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    async def get(self, key: K, default: V) -> V: ...
    @overload
    async def get(self, key: K, default: D) -> V | D: ...
    async def get(self, key: K, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``; nothing is stored.  O(1), 1 round trip, or none."""
        return await self._drive(self._core.get(key, default))

    async def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the values of those keys that are there.  O(n), 1 round trip per thousand (and per server), or none.

        Keys of one slot are read at one moment; outside of a cluster, all of a thousand.
        """
        return await self._drive(self._core.get_many(keys))

    async def set_many(self, arg: Any = (), /, *, ttl: float | timedelta | None = None, **kwargs: Any) -> None:
        """Store the items of a mapping or of pairs.  O(n), 1 round trip per thousand (and per server).

        Those of one slot are stored at one moment; outside of a cluster, all of a thousand.

        :param ttl: seconds that they live; None for the cache's expire_time, ``math.inf`` for no end.
        """
        await self._introduce()
        if self._back is not None:
            await self._change(self._back.set_many(arg, kwargs, ttl))
        else:
            await self._drive(self._core.set_many(arg, kwargs, ttl))

    async def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Store items: as :meth:`set_many`."""
        await self.set_many(items_of(arg, kwargs))

    async def delete_many(self, keys: Iterable[K]) -> int:
        """Remove keys; return how many there were.  O(n), 1 round trip per thousand (and per server).

        It is sent once: when the reply is lost, they may or may not have been removed.
        """
        await self._settled()
        return await self._drive(self._core.delete_many(keys))

    async def get_or_set(
        self,
        key: K,
        callback: Callable[[], V | Awaitable[V]],
        ttl: float | timedelta | None = None,
        *,
        wait_for_lock: bool = True,
        max_wait: float = math.inf,
    ) -> V:
        """Return the value of ``key``; if it is missing, what ``callback`` returns, which is stored.

        Only one task in all processes calls its callback at a time; the others wait for what it stores.  One that
        dies delays them by the cache's ``lease`` at most.  A value that somebody stores meanwhile is not overwritten.
        None is no value of the types str and int: it is not stored, and gives the default.

        O(1); no round trip for a local hit, 1 for a remote one, 3 for a miss (2 without a local tier, unless reading
        prolongs lives), 2 for each wait.

        :param ttl: seconds that the value lives; None for the cache's expire_time, ``math.inf`` for no end.
        :param wait_for_lock: False: while somebody else computes the value, compute it too and don't store it.
        :param max_wait: seconds after which the same is done.
        :raises Exception: what ``callback`` has raised; nothing is stored then, and the next one tries.
        """
        left = seconds_to_wait(wait_for_lock, max_wait)
        _ = self._runner  # which tells the operations whether it is a cluster
        load = Load(self._core, key, ttl, self._config.lease)
        await self._settled()
        if load.reads:
            value: Any = await self._drive(self._core.get(key, MISSING))
            if value is not MISSING:
                return cast("V", value)
        await self._introduce()

        async def call() -> Any:
            return await settled(callback())

        made: V = load.outcome(await self._flights().fly(fetch(load.entry, left), call))
        return made

    async def increment(self, key: K, amount: int = 1, ttl: float | timedelta | None = None) -> int:
        """Add to a number and return the result.  O(1), 1 round trip, atomic.

        A missing number counts as the default, or 0.  It is sent once: when the reply is lost, it may or may not have
        been added.

        :param ttl: seconds that a new number lives; one that is there keeps its time.
        :raises TypeError: ``value_type`` isn't ``"int"``, or ``amount`` no int.
        :raises OverflowError: ``amount``, what is there or the sum doesn't fit into 64 bits; nothing is changed.
        :raises DecodeError: somebody else's value is no number.
        """
        await self._settled()
        await self._introduce()
        return await self._drive(self._core.increment(key, amount, ttl))

    async def touch(self, key: K, ttl: float | timedelta | None = None) -> bool:
        """Give a value a new lifetime; return whether there is one.  O(1), 1 round trip, atomic.

        :param ttl: seconds from now; None for the cache's expire_time, ``math.inf`` for no end.
        """
        await self._settled()
        return await self._drive(self._core.touch(key, ttl))

    async def refresh(self, key: K) -> None:
        """Give a value its whole expire_time anew, and make it the last to leave the local tier.

        O(1), 1 round trip; none without expire_time.
        """
        await self._settled()
        await self._drive(self._core.refresh(key))

    async def ttl(self, key: K) -> float | None:
        """Return the seconds that a value has left, or None if it has no end.  O(1), 1 round trip.

        :raises KeyError: there is no such key.
        """
        await self._settled()
        return await self._drive(self._core.ttl(key))

    async def invalidate_tag(self, tag: str) -> int:
        """Remove the keys that were stored with this tag; return how many there were.

        O(n), 3 round trips per thousand.
        A tag is its key's, whatever is stored under it later without tags, until it is invalidated.

        :raises TypeError: or ValueError, a tag is a str, and not empty.
        """
        await self._settled()
        return await self._drive(self._tags.invalidate(tag))

    @overload
    async def pop(self, key: K) -> V: ...
    @overload
    async def pop(self, key: K, default: V) -> V: ...
    @overload
    async def pop(self, key: K, default: D) -> V | D: ...
    async def pop(self, key: K, default: Any = MISSING) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the value.

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        """
        await self._settled()
        return await self._drive(self._core.pop(key, default))

    async def popitem(self) -> tuple[K, V]:
        """Remove and return some item.  3 round trips, more in a large database with few keys of this cache.

        :raises KeyError: the cache is empty.
        """
        await self._settled()
        return await self._drive(self._scan.popitem(await self._anchors()))

    async def setdefault(self, key: K, default: V = None) -> V:  # type: ignore[assignment]
        """Return the value of ``key``, after storing ``default`` if there is none.  O(1), 1 round trip, atomic."""
        await self._settled()
        await self._introduce()
        value: V = await self._drive(self._core.setdefault(key, default))
        return value

    def __aiter__(self) -> AsyncIterator[K]:
        """``async for key in cache``: the keys in Redis, in no order.

        O(database), 1 round trip per thousand keys there, and 1.
        """
        return self._iterate(self._scan.keys)

    def keys(self) -> AsyncIterator[K]:
        """Iterate over the keys in Redis."""
        return self._iterate(self._scan.keys)

    def values(self) -> AsyncIterator[V]:
        """Iterate over the values in Redis.  As iteration, and 1 more round trip per page."""
        return self._iterate(self._scan.values)

    def items(self) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the items in Redis.  As iteration, and 1 more round trip per page."""
        return self._iterate(self._scan.items)

    async def size(self) -> int:
        """``len(cache)``: how many keys there are in Redis.  O(database), as iteration."""
        await self._settled()
        return await self._drive(self._scan.size(await self._anchors()))

    async def to_dict(self) -> dict[K, V]:
        """Return a plain dict of all items.  As iteration over them."""
        await self._settled()
        return await self._drive(self._scan.to_dict(await self._anchors()))

    async def copy(self) -> dict[K, V]:
        """Return a plain dict of all items: as :meth:`to_dict`."""
        return await self.to_dict()

    async def equals(self, other: Any) -> bool:
        """``cache == other``, for any mapping or AIOFlipCache: the items in Redis.  As iteration."""
        if not isinstance(other, Mapping | AIOFlipCache):
            return False
        return await self.to_dict() == await _plain(other)

    async def union(self, other: Any) -> dict[Any, Any]:
        """``cache | other``: a plain dict.  As iteration."""
        return await self.to_dict() | await _plain(other)

    async def clear(self) -> None:
        """Remove all keys of this cache, page by page, which doesn't block the server.

        Computations in progress are not stored, and tags are forgotten.
        O(database): twice as iteration, and 1 more round trip per page with keys to remove.
        """
        if self._back is not None:
            self._back.forget()
        await self._drive(self._scan.clear(await self._anchors()))

    async def listen(self) -> None:
        """Begin to listen for changes, as otherwise the first read does: for ``on_update`` and ``on_delete``.

        In a forked child it begins anew, for the child itself.
        """
        made = await self._follow()
        if isinstance(made, Tracker):
            await made.resume()

    async def close(self) -> None:
        """Write what was not written yet, and listen for changes no more.  The cache can be used again."""
        await self.flush()
        self._rest()
        self._deafen()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        """Show the name and the local tier.  No round trip."""
        return f"{type(self).__name__}<{self.name}>({dict(self.local)!r})"


async def _plain(other: Any) -> dict[Any, Any]:
    return await other.to_dict() if isinstance(other, AIOFlipCache) else dict(other.items())

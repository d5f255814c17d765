"""FlipCache: a cache in Redis with a copy in memory that is never stale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, cast, overload

from typing_extensions import Self, TypeVar

from pottery_like._core.localviews import LocalView
from pottery_like._io.sync import Client
from pottery_like._io.tracking import Tracker
from pottery_like._ops.dict import MISSING
from pottery_like._ops.flight import LEASE, fetch
from pottery_like._ops.flip_config import FlipConfig, seconds_to_wait
from pottery_like._ops.flip_core import FlipStats, items_of
from pottery_like._ops.flip_load import Load
from pottery_like._ops.flip_tags import checked_tags
from pottery_like.codecs import Codec
from pottery_like.flipbase import K, V, checked_client
from pottery_like.flipmapping import FlipMapping

D = TypeVar("D")

_peek = dict.get


class FlipCache(FlipMapping[K, V]):
    """A mapping in Redis with a local tier: what was read once is read again at the speed of a dict.

    >>> cache = FlipCache('my_cache', redis=redis)
    >>> cache['my_key'] = 'my_value'
    >>> cache['my_key']
    'my_value'
    >>> print(cache['unknown'])
    None

    Each key is a Redis string of its own, ``name:key``.  ``cache[key]`` gives the default where there is no such key.
    Whatever changes a key, in whichever process or program, drops the local copy; see the page on FlipCache for what
    that means when connections break.  Hits are served by ``dict`` itself; everything else (iteration, ``len``,
    ``in``, ``==``, copies ...) is about the keys in Redis.  Threads may share a cache.

    Values in the local tier are handed out as they are: change a list that you were given, and you change the local
    copy, not what is stored.

    :param name: what the Redis keys begin with, before a colon.
    :param local_max: how many values the local tier holds; 0 for none.
    :param expire_time: seconds (or a timedelta) that a value lives; None for no end.
    :param key_type: ``"str"`` or ``"int"``: as what keys come back.  Keys are looked up by their text: ``1`` and
        ``"1"`` are one key, and so are all that are equal in Python.
    :param value_type: ``"str"``, ``"int"``, ``"json"`` or ``"custom"``.
    :param value_default: what a missing key's value is.  If not None it is stored when the key is read, unless
        somebody else stores a value first.
    :param value_encoder: of custom values; returns str or bytes.
    :param value_decoder: of custom values; is given str, or bytes if ``redis_protocol`` has no ``decode_responses``.
    :param redis_protocol: a ``redis.Redis``, ``redis.RedisCluster`` or Sentinel client, or a URL.
    :param refresh_expire_time_on_get: reading a value from the server gives it its whole time anew.  Local copies then
        live half of ``expire_time`` at most, so that a value which goes on being read stays alive.
    :param redis: the same as ``redis_protocol``, under the name it has elsewhere; so is ``redis_url``.
    :param codec: how values become bytes, instead of ``value_type``; see :mod:`pottery_like.codecs`.
    :param eviction: what leaves a full local tier: ``"fifo"``, ``"lru"``, ``"lfu"``; or a mutable mapping (such as one
        of cachetools) that is to be the local tier and decides by itself.
    :param coherence: how changes made elsewhere become known: ``"tracking"``, by the server; ``"pubsub"``, by what
        caches with this setting publish; None for not at all.
    :param max_stale: seconds that a local value may be out of date when a connection has died silently.
    :param write: ``"through"``: to the server at once; ``"back"``: later, see :meth:`flush`.
    :param dirty_max: with ``"back"``, how many changes may wait.
    :param flush_interval: with ``"back"``, seconds after which they are written; None for only when they are too many.
    :param on_conflict: with ``"back"``, called with a ``FlipConflict`` for each value that was not written, because its
        key was changed elsewhere.  Without it there is a ``FlipConflictWarning``.
    :param loader: called with a key that is missing; returns the value, which is stored.
    :param lease: seconds after which somebody else computes a value whose loader or callback doesn't return.
    :param on_update: called with a key, in a thread of the library's, after its value was changed, by whomever.
    :param on_delete: called with a key after it was deleted, or has expired.
    :param count_hits: count local hits for :meth:`stats`, which makes them slower.
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
        loader: Callable[[K], V] | None = None,
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
            local_hits=core.local_hits if self._config.count_hits else None,
            remote_hits=core.remote_hits,
            misses=core.misses,
            evictions=tier.evictions if tier else 0,
            invalidations=tier.invalidations if tier else 0,
            reconnects=follower.stats.reconnects if follower else 0,
            conflicts=back.conflicts if back else 0,
            size=len(self.local),
            dirty=len(back.dirty) if back else 0,
        )

    def __missing__(self, key: K) -> V:
        if self._config.loader is not None:
            return self._load(key)
        value: V = self._drive(self._scan.fetch(key))
        return value

    def _load(self, key: K) -> V:
        loader = self._config.loader
        assert loader is not None
        return self.get_or_set(key, lambda: loader(key))

    def __setitem__(self, key: K, value: V) -> None:
        """``cache[key] = value``.  O(1), 1 round trip; none with ``write='back'``, if it is known what it replaces.

        :raises TypeError: or ValueError, ``value`` isn't of the cache's type; nothing is sent.
        :raises OutcomeUnknownError: the reply was lost, and repeating didn't help.
        """
        self.set(key, value)

    def set(self, key: K, value: V, ttl: float | timedelta | None = None, *, tags: Iterable[str] = ()) -> None:
        """Store a value.  O(1), 1 round trip, atomic; with tags in a cluster 2, sometimes 4.

        :param ttl: seconds that it lives; None for the cache's expire_time, ``math.inf`` for no end.
        :param tags: names by which it can be removed later, see :meth:`invalidate_tag`.
        :raises TypeError: or ValueError, an argument isn't of the right type; nothing is sent.
        """
        named = checked_tags(tags)
        self._introduce()
        if named:
            self._settled()
            self._drive(self._tags.set(key, value, ttl, named))
        elif self._back is not None:
            self._change(self._back.set(key, value, ttl))
        else:
            self._drive(self._core.set(key, value, ttl))

    def __delitem__(self, key: K) -> None:
        """``del cache[key]``; nothing happens if it isn't there.  O(1), 1 round trip."""
        if self._back is not None:
            self._change(self._back.delete((key,)))
        else:
            self._drive(self._core.delete(key))

    def __contains__(self, key: object) -> bool:
        """``key in cache``.  O(1), 1 round trip; none if the local tier knows."""
        return self._drive(self._core.contains(key))

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``; nothing is stored.  O(1), 1 round trip, or none."""
        value = _peek(self, key) if self._peeks else None
        return value if value is not None else self._drive(self._core.get(key, default))

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the values of those keys that are there.  O(n), 1 round trip per thousand (and per server), or none.

        Keys of one slot are read at one moment; outside of a cluster, all of a thousand.
        """
        return self._drive(self._core.get_many(keys))

    def set_many(self, arg: Any = (), /, *, ttl: float | timedelta | None = None, **kwargs: Any) -> None:
        """Store the items of a mapping or of pairs.  O(n), 1 round trip per thousand (and per server).

        Those of one slot are stored at one moment; outside of a cluster, all of a thousand.

        :param ttl: seconds that they live; None for the cache's expire_time, ``math.inf`` for no end.
        """
        self._introduce()
        if self._back is not None:
            self._change(self._back.set_many(arg, kwargs, ttl))
        else:
            self._drive(self._core.set_many(arg, kwargs, ttl))

    def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Store items: as :meth:`set_many`."""
        self.set_many(items_of(arg, kwargs))

    def delete_many(self, keys: Iterable[K]) -> int:
        """Remove keys; return how many there were.  O(n), 1 round trip per thousand (and per server).

        It is sent once: when the reply is lost, they may or may not have been removed.
        """
        self._settled()
        return self._drive(self._core.delete_many(keys))

    def get_or_set(
        self,
        key: K,
        callback: Callable[[], V],
        ttl: float | timedelta | None = None,
        *,
        wait_for_lock: bool = True,
        max_wait: float = math.inf,
    ) -> V:
        """Return the value of ``key``; if it is missing, what ``callback`` returns, which is stored.

        Only one thread in all processes calls its callback at a time; the others wait for what it stores.  One that
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
        self._settled()
        if load.reads:
            value: Any = self._drive(self._core.get(key, MISSING))
            if value is not MISSING:
                return cast("V", value)
        self._introduce()
        made: V = load.outcome(self._flights.fly(fetch(load.entry, left), callback))
        return made

    def increment(self, key: K, amount: int = 1, ttl: float | timedelta | None = None) -> int:
        """Add to a number and return the result.  O(1), 1 round trip, atomic.

        A missing number counts as the default, or 0.  It is sent once: when the reply is lost, it may or may not have
        been added.

        :param ttl: seconds that a new number lives; one that is there keeps its time.
        :raises TypeError: ``value_type`` isn't ``"int"``, or ``amount`` no int.
        :raises OverflowError: ``amount``, what is there or the sum doesn't fit into 64 bits; nothing is changed.
        :raises DecodeError: somebody else's value is no number.
        """
        self._settled()
        self._introduce()
        return self._drive(self._core.increment(key, amount, ttl))

    def touch(self, key: K, ttl: float | timedelta | None = None) -> bool:
        """Give a value a new lifetime; return whether there is one.  O(1), 1 round trip, atomic.

        :param ttl: seconds from now; None for the cache's expire_time, ``math.inf`` for no end.
        """
        self._settled()
        return self._drive(self._core.touch(key, ttl))

    def refresh(self, key: K) -> None:
        """Give a value its whole expire_time anew, and make it the last to leave the local tier.

        O(1), 1 round trip; none without expire_time.
        """
        self._settled()
        self._drive(self._core.refresh(key))

    def ttl(self, key: K) -> float | None:
        """Return the seconds that a value has left, or None if it has no end.  O(1), 1 round trip.

        :raises KeyError: there is no such key.
        """
        self._settled()
        return self._drive(self._core.ttl(key))

    def invalidate_tag(self, tag: str) -> int:
        """Remove the keys that were stored with this tag; return how many there were.

        O(n), 3 round trips per thousand.
        A tag is its key's, whatever is stored under it later without tags, until it is invalidated.

        :raises TypeError: or ValueError, a tag is a str, and not empty.
        """
        self._settled()
        return self._drive(self._tags.invalidate(tag))

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V) -> V: ...
    @overload
    def pop(self, key: K, default: D) -> V | D: ...
    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the value.

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        """
        self._settled()
        return self._drive(self._core.pop(key, default))

    def popitem(self) -> tuple[K, V]:
        """Remove and return some item.  3 round trips, more in a large database with few keys of this cache.

        :raises KeyError: the cache is empty.
        """
        self._settled()
        return self._drive(self._scan.popitem(self._anchors()))

    def setdefault(self, key: K, default: V = None) -> V:  # type: ignore[assignment]
        """Return the value of ``key``, after storing ``default`` if there is none.  O(1), 1 round trip, atomic."""
        self._settled()
        self._introduce()
        value: V = self._drive(self._core.setdefault(key, default))
        return value

    def clear(self) -> None:
        """Remove all keys of this cache, page by page, which doesn't block the server.

        Computations in progress are not stored, and tags are forgotten.
        O(database): twice as iteration, and 1 more round trip per page with keys to remove.
        """
        if self._back is not None:
            self._back.forget()
        self._drive(self._scan.clear(self._anchors()))

    def listen(self) -> None:
        """Begin to listen for changes, as otherwise the first read does: for ``on_update`` and ``on_delete``.

        In a forked child it begins anew, for the child itself.
        """
        made = self._listen()
        if isinstance(made, Tracker):
            made.resume()

    def close(self) -> None:
        """Write what was not written yet, and listen for changes no more.  The cache can be used again."""
        self.flush()
        self._deafen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Show the name and the local tier.  No round trip."""
        return f"{type(self).__name__}<{self.name}>({dict(self.local)!r})"

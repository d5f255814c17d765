"""CachedOrderedDict: an ``OrderedDict`` that remembers its values in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from typing_extensions import Self, TypeVar

from pottery_like._io import servers
from pottery_like._io.sync import Client
from pottery_like._ops.cachedordereddict import CachedOps, Local, given
from pottery_like.base import Container
from pottery_like.codecs import Codec

K = TypeVar("K", default=Any)
V = TypeVar("V", default=Any)


class CachedOrderedDict(Local[K, V], Container[CachedOps[K, V]]):
    """An ``OrderedDict`` of the keys that you need, filled from a cache in Redis as far as it has values for them.

    >>> found = CachedOrderedDict(redis_client=redis, redis_key='documents', dict_keys=[3, 1, 2])
    >>> for key in found.misses():
    ...     found[key] = f'document {key}'
    >>> list(found.items())
    [(3, 'document 3'), (1, 'document 1'), (2, 'document 2')]
    >>> CachedOrderedDict(redis_client=redis, redis_key='documents', dict_keys=[2, 7]).misses()
    frozenset({7})

    Opening looks up all keys in one round trip (beyond 50,000 keys, one for each 50,000).  From then on the dict is
    local: reading it, rearranging it and removing from it send nothing.  What is set is stored in the cache, too, and
    the dict is changed only when the server has taken it.  What differs from ``OrderedDict``:

    - A key that the cache has no value for is mapped to a marker until a value is set; see :meth:`misses`.
    - Keys are hashable JSON; values are what the codec carries, by default JSON.  What is set is kept here as it is,
      and comes back from the cache as the codec gives it (tuples as lists).
    - ``del``, pop(), popitem() and clear() leave the cache alone, as other dicts may need what it has.
    - update() changes everything or, when something in it can't be stored, nothing.
    - ``|`` returns a plain ``OrderedDict``.  A pickle holds the items and the reference to the cache.

    :param redis_client: the client or URL; see :class:`~pottery_like.base.Container`, as ``codec`` and ``redis_url``.
    :param redis_key: the Redis key of the cache, a hash.
    :param dict_keys: the keys, in their order; of equal ones the first counts.
    :param num_tries: accepted for Pottery's sake: nothing fails here because of other writers.
    :param timeout: seconds, or a timedelta, after which the whole cache disappears when nobody has opened a dict with
        keys on it or stored anything meanwhile; None or 0 for never.
    :param redis: the same as ``redis_client``.
    :param key: the same as ``redis_key``.
    :raises TypeError: an argument of the wrong type, or given twice; or a key of a type that JSON can't carry.
    :raises ValueError: a key that JSON can't carry although it has the type, such as NaN; or ``timeout`` is negative.
    :raises DecodeError: a value in the cache isn't the codec's.
    """

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
        self._fill(self._open(dict_keys))

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, **options: Any) -> Self:  # type: ignore[override]
        """Return a new dict with each element of ``iterable`` as a key of ``value``, stored.  O(n), 1 round trip."""
        new = cls(**options)
        new.update(dict.fromkeys(iterable, value))
        return new

    def __setitem__(self, key: K, value: V) -> None:
        """``d[key] = value``, and the cache's.  O(1), 1 round trip."""
        self._drive(self._set(key, value))

    def setdefault(self, key: K, default: V = None) -> V:  # type: ignore[assignment]
        """Return ``d[key]``; where there is none, the cache's value, after setting that to ``default`` if need be.

        O(1), 1 round trip, atomic: of several processes that set a default, one wins, and all return its value.
        Nothing is sent when the value is known here.
        """
        return self._drive(self._setdefault(key, default))

    def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Set the items of ``arg`` (a mapping, an object with keys(), or pairs) and ``kwargs``.

        O(n), 1 round trip, atomic; beyond a thousand items, pipelined in chunks that are each atomic.
        """
        self._drive(self._update(arg, kwargs))

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        """``d |= other``: as update()."""
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the items and the reference: the key, the codec, and the client's arguments (password included)."""
        revive, arguments, attributes = super().__reduce__()
        return _revived, (revive, arguments, list(self.items())), attributes


def _revived(revive: Any, arguments: Any, items: list[tuple[Any, Any]]) -> CachedOrderedDict[Any, Any]:
    found: CachedOrderedDict[Any, Any] = revive(*arguments)
    found._keep(items)
    return found

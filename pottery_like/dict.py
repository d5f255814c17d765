"""RedisDict: ``dict`` in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from typing_extensions import Self

from pottery_like._io.sync import Client
from pottery_like._ops.dict import MISSING, DictOps
from pottery_like._ops.editing import changed, transform
from pottery_like.base import Container
from pottery_like.codecs import Codec
from pottery_like.views import RedisItemsView, RedisKeysView, RedisValuesView

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class RedisDict(Container[DictOps[K, V]], MutableMapping[K, V]):
    """A mapping in Redis that works like ``dict``.

    >>> tel = RedisDict({'jack': 4098, 'sape': 4139}, redis=redis, key='tel')
    >>> tel['guido'] = 4127
    >>> tel
    RedisDict{'jack': 4098, 'sape': 4139, 'guido': 4127}

    Every method is one round trip and atomic; beyond a thousand items, iteration goes by pages and bulk writes by
    pipelined chunks.  What differs from ``dict``:

    - Keys are hashable JSON (``str``, numbers, ``bool``, ``None``, tuples of these); ``True`` and ``1`` are two
      keys.  Values are what the codec carries, by default JSON; tuples come back as lists.
    - Insertion order is kept only while Redis stores the hash compactly (by default up to 128 fields of at most
      64 bytes); beyond that the order is arbitrary, and popitem() takes any item.
    - Reading gives plain values: ``d['a']['b'] = 1`` changes a copy.  Use :meth:`edit` or :meth:`transform`.
    - ``|`` returns a plain ``dict``; :meth:`copy` returns an anonymous RedisDict.
    - Iteration sees changes made meanwhile, and yields what stays in the dict throughout exactly once.

    :param arg: a mapping or an iterable of pairs to start with.
    :param kwargs: further items with ``str`` keys (other than the parameters' names).
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: there are items to start with, but the key exists.  Nothing is changed then.
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
        self._fill(self._ops.fill(arg, kwargs))

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
        """Return a new RedisDict with each element of ``iterable`` as a key of ``value``.  O(n), 1 round trip."""
        return cls(dict.fromkeys(iterable, value), redis=redis, key=key, **options)

    def __getitem__(self, key: K) -> V:
        """``d[key]``.  O(1), 1 round trip.

        :raises KeyError: ``key`` isn't there, and the subclass has no ``__missing__``.
        """
        value = self._run(self._ops.lookup(key, MISSING))
        if value is MISSING:
            missing: Callable[[K], V] | None = getattr(self, "__missing__", None)
            if missing is None:
                raise KeyError(key)
            return missing(key)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        """``d[key] = value``.  O(1), 1 round trip."""
        self._run(self._ops.set(key, value))

    def __delitem__(self, key: K) -> None:
        """``del d[key]``.  O(1), 1 round trip.

        :raises KeyError: ``key`` isn't there.
        """
        self._run(self._ops.delete(key))

    def __contains__(self, key: object) -> bool:
        """``key in d``.  O(1), 1 round trip."""
        return self._run(self._ops.contains(key))

    def contains_many(self, *keys: object) -> Iterator[bool]:
        """Yield for each of ``keys`` whether it is there.  O(len(keys)), 1 round trip, atomic."""
        return iter(self._run(self._ops.contains_many(keys)))

    def __len__(self) -> int:
        """``len(d)``.  O(1), 1 round trip."""
        return self._run(self._ops.size())

    def __iter__(self) -> Iterator[K]:
        """``iter(d)``.  O(n), 1 round trip per thousand keys, constant memory."""
        return self._iterate(self._ops.scan_keys())

    def __reversed__(self) -> Iterator[K]:
        """``reversed(d)``: all keys are read first.  O(n), 1 round trip per thousand keys."""
        return iter(self._drive(self._ops.reversed_keys()))

    def keys(self) -> RedisKeysView[K, V]:
        """Return a live view of the keys."""
        return RedisKeysView(self)

    def values(self) -> RedisValuesView[K, V]:
        """Return a live view of the values.  ``value in d.values()`` is O(n) on the server, 1 round trip."""
        return RedisValuesView(self)

    def items(self) -> RedisItemsView[K, V]:
        """Return a live view of the items."""
        return RedisItemsView(self)

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V, /) -> V: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """Return ``d[key]``, or ``default``.  O(1), 1 round trip."""
        return self._run(self._ops.lookup(key, default))

    def setdefault(self, key: K, default: V = None, /) -> V:  # type: ignore[assignment]
        """Return ``d[key]``, after setting it to ``default`` if it isn't there.  O(1), 1 round trip, atomic."""
        return self._run(self._ops.setdefault(key, default))

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V, /) -> V: ...
    @overload
    def pop(self, key: K, default: D, /) -> V | D: ...
    def pop(self, key: K, default: Any = MISSING, /) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the value.

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        :raises DecodeError: the value isn't the codec's; the exception carries its bytes.
        """
        return self._run(self._ops.pop(key, default))

    def popitem(self) -> tuple[K, V]:
        """Remove and return an item: the newest of a small dict, any of a large one.  O(1), 1 round trip, atomic.

        :raises KeyError: the dict is empty.
        :raises DecodeError: the item isn't the codec's; the exception carries its bytes.
        """
        return self._run(self._ops.popitem())

    def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Set the items of ``arg`` (a mapping, an object with keys(), or pairs) and ``kwargs``.

        O(n), 1 round trip, atomic; beyond a thousand items, pipelined in chunks that are each atomic.
        """
        self._drive(self._ops.update(arg, kwargs))

    def to_dict(self) -> dict[K, V]:
        """Return a plain dict of all items.  O(n), 1 round trip, atomic."""
        return self._run(self._ops.to_dict())

    @contextmanager
    def edit(self, key: K) -> Iterator[V]:
        """Change a nested value in place: yields it, and writes it back when the block ends.

        >>> d = RedisDict({'user': {'visits': 1}}, redis=redis, key='edited')
        >>> with d.edit('user') as user:
        ...     user['visits'] += 1
        >>> d['user']
        {'visits': 2}

        2 round trips.  Nothing is written when the block raises.

        :raises KeyError: ``key`` isn't there.
        :raises ConcurrentEditError: somebody else changed the value meanwhile; nothing is written.  To have that
            retried, use :meth:`transform`.
        """
        raw = self._run(self._ops.edit(key))
        value = self._ops.decode(raw)
        yield value
        if not self._run(self._ops.swap(key, raw, value)):
            raise changed(key)

    def transform(self, key: K, function: Callable[[V], V]) -> V:
        """Replace ``d[key]`` by ``function(d[key])`` and return it, atomically.

        2 round trips, and 2 more for each time that somebody else changes the value meanwhile: ``function`` is then
        called again.

        :raises KeyError: ``key`` isn't there.
        :raises ConcurrentEditError: the value changed at each of 200 attempts; nothing is written.
        """
        return self._drive(transform(self._ops, key, function))

    def __eq__(self, other: object) -> bool:
        """``d == other``, for any mapping.  O(n), 1 round trip for each side."""
        if isinstance(other, RedisDict):
            if self.redis is not other.redis:
                return bool(self.to_dict() == other.to_dict())
            return self.key == other.key or self._drive(self._ops.equal(other._ops))
        return bool(self.to_dict() == other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        """``d | other``: a plain dict.  O(n), 1 round trip."""
        return self.to_dict() | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        """``other | d``: a plain dict.  O(n), 1 round trip."""
        return dict(other) | self.to_dict() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        """``d |= other``: as update()."""
        self.update(other)
        return self

    def __repr__(self) -> str:
        """Show all items.  O(n), 1 round trip."""
        return f"{type(self).__qualname__}{self.to_dict()}"

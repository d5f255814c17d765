"""FIFODict and LRUDict: dicts in memory that hold a limited number of items; the oldest or the idlest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from reprlib import recursive_repr
from typing import Any, Generic, TypeVar, cast

from typing_extensions import Self

from pottery_like._io.inherited import lock
from pottery_like._ops.flip_core import items_of

K = TypeVar("K")
V = TypeVar("V")

_get = dict.__getitem__
_peek = dict.get
_move = OrderedDict.move_to_end


def checked_limit(limit: object, name: str = "max_items", least: int = 1) -> int:
    """Return ``limit`` if it is a number of items.

    :raises TypeError: not an int.
    :raises ValueError: less than ``least``.
    """
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"{name} must be an int, not {type(limit).__name__}")
    if limit < least:
        raise ValueError(f"{name} must be at least {least}, not {limit}")
    return limit


_OWN = ("_max_items", "_lock", "_data", "_uses", "_deadlines", "_ttl")

NOTHING: Any = object()
"""No default."""


class Limited(Generic[K, V]):
    """What the dicts with a limit have in common: it, and views that iterate over a snapshot."""

    _max_items: int
    _lock: Any

    @property
    def max_items(self) -> int:
        """How many items the dict holds at most."""
        return self._max_items

    def _snapshot(self) -> list[tuple[K, V]]:
        raise NotImplementedError

    def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Set the items of a mapping or of pairs, all at one moment: as ``dict.update()``.  O(n)"""
        items: list[tuple[Any, Any]] = []
        try:
            # Nobody else has to wait while the user's own iterators run.
            items.extend(items_of(arg, kwargs))
        finally:
            with self._lock:
                for key, value in items:
                    self[key] = value  # type: ignore[index]

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys there are now, whatever other threads do meanwhile."""
        return iter([key for key, _ in self._snapshot()])

    def __reversed__(self) -> Iterator[K]:
        """Iterate over the keys there are now, last first."""
        return iter([key for key, _ in self._snapshot()[::-1]])

    def _noted(self) -> dict[str, Any]:
        """Return the attributes of a subclass's, or the user's."""
        return {name: value for name, value in vars(self).items() if name not in _OWN}

    def __copy__(self) -> Self:
        made = self.copy()
        vars(made).update(self._noted())
        return made

    def copy(self) -> Self:
        """Return a new dict of this kind with the same items and limit."""
        raise NotImplementedError

    def keys(self) -> Any:
        """Return a view of the keys: those there are when an iteration begins.  O(1)"""
        return SnapshotKeys(cast("Mapping[Any, Any]", self))

    def values(self) -> Any:
        """Return a view of the values: those there are when an iteration begins.  O(1)"""
        return SnapshotValues(cast("Mapping[Any, Any]", self))

    def items(self) -> Any:
        """Return a view of the items: those there are when an iteration begins.  O(1)"""
        return SnapshotItems(cast("Mapping[Any, Any]", self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the limit, the items, and what a subclass has noted."""
        return type(self), (self._max_items,), self._noted() or None, None, iter(self._snapshot())


def same_items(left: Limited[Any, Any], right: Mapping[Any, Any]) -> bool:
    """Compare with any mapping; which is no use of either's items."""
    return dict(left._snapshot()) == dict(right._snapshot() if isinstance(right, Limited) else right)


class SnapshotKeys(KeysView[Any]):
    """The keys there are when an iteration begins."""

    def __iter__(self) -> Iterator[Any]:
        return iter([key for key, _ in self._mapping._snapshot()])  # type: ignore[attr-defined]

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self)[::-1])


class SnapshotValues(ValuesView[Any]):
    """The values there are when an iteration begins."""

    def __contains__(self, value: object) -> bool:
        return value in list(self)

    def __iter__(self) -> Iterator[Any]:
        return iter([value for _, value in self._mapping._snapshot()])  # type: ignore[attr-defined]

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self)[::-1])


class SnapshotItems(ItemsView[Any, Any]):
    """The items there are when an iteration begins."""

    def __contains__(self, item: object) -> bool:
        return item in self._mapping._snapshot()  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping._snapshot())  # type: ignore[attr-defined]

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self)[::-1])


class FIFODict(Limited[K, V], OrderedDict[K, V]):
    """A dict that holds so many items at most: when a further one comes, the one set longest ago goes.

    >>> cache = FIFODict(max_items=3)
    >>> cache["a"], cache["b"], cache["c"] = "Apple", "Banana", "Cherry"
    >>> cache["d"] = "Date"
    >>> list(cache)
    ['b', 'c', 'd']

    Setting a key that is there makes it the newest.  Everything is O(1), and reading costs what it costs a plain
    dict.  Threads may share it: every method is atomic, and iteration is over the items there are when it begins.

    :param max_items: how many items it holds.
    :param args: items to start with, as for ``dict``.
    :raises TypeError: ``max_items`` isn't an int.
    :raises ValueError: ``max_items`` is less than 1.
    """

    def __init__(self, max_items: int = 1000, *args: Any, **kwargs: Any) -> None:
        self._max_items = checked_limit(max_items)
        self._lock = lock()
        super().__init__(*args, **kwargs)

    def __setitem__(self, key: K, value: V) -> None:
        """``d[key] = value``, and the oldest item goes if there is no room.  O(1)"""
        with self._lock:
            if key in self:
                super().__setitem__(key, value)
                _move(self, key)
                return
            if len(self) >= self._max_items:
                super().popitem(last=False)
            super().__setitem__(key, value)

    def _snapshot(self) -> list[tuple[K, V]]:
        with self._lock:
            return list(OrderedDict.items(self))

    def __delitem__(self, key: K) -> None:
        """``del d[key]``.  O(1)

        :raises KeyError: ``key`` isn't there.
        """
        with self._lock:
            super().__delitem__(key)

    def pop(self, key: K, default: Any = NOTHING) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remove ``key`` and return its value, or ``default``.  O(1)

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        """
        with self._lock:
            return super().pop(key) if default is NOTHING else super().pop(key, default)

    def popitem(self, last: bool = True) -> tuple[K, V]:
        """Remove and return the newest item, or with ``last=False`` the next to go.  O(1)

        :raises KeyError: the dict is empty.
        """
        with self._lock:
            return super().popitem(last)

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return ``d[key]``, after setting it to ``default`` if it isn't there.  O(1)"""
        with self._lock:
            return super().setdefault(key, default)

    def move_to_end(self, key: K, last: bool = True) -> None:
        """Make ``key`` the newest, or with ``last=False`` the next to go.  O(1)

        :raises KeyError: ``key`` isn't there.
        """
        with self._lock:
            super().move_to_end(key, last)

    def clear(self) -> None:
        """Remove all items.  O(n)"""
        with self._lock:
            super().clear()

    def copy(self) -> Self:
        """Return a new dict of this kind with the same items and limit.  O(n)"""
        return type(self)(self._max_items, self._snapshot())

    @classmethod
    def fromkeys(  # type: ignore[override]
        cls, iterable: Iterable[Any], value: Any = None
    ) -> Self:
        """Return a new dict that has each element of ``iterable`` as a key, and room for a thousand.  O(n)"""
        made = cls()
        for key in iterable:
            made[key] = value
        return made

    def __eq__(self, other: object) -> bool:
        """``d == other``: as between dicts; the order matters when the other is an OrderedDict too."""
        if not isinstance(other, dict):
            return NotImplemented
        mine = self._snapshot()
        if isinstance(other, OrderedDict):
            return mine == list(other.items())
        return dict(mine) == other

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> Self:  # type: ignore[override]
        """``d | other``: a new dict of this kind, with d's limit.  O(n)"""
        if not isinstance(other, dict):
            return NotImplemented
        made = self.copy()
        made.update(other)
        return made

    def __ror__(self, other: Any) -> Self:  # type: ignore[override]
        """``other | d``: a new dict of this kind, with d's limit.  O(n)"""
        if not isinstance(other, dict):
            return NotImplemented
        made = type(self)(self._max_items, other)
        made.update(self._snapshot())
        return made

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        """``d |= other``: as update()."""
        self.update(other)
        return self

    @recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._max_items}, {dict(self._snapshot())!r})"


class LRUDict(FIFODict[K, V]):
    """A dict that holds so many items at most: when a further one comes, the one used longest ago goes.

    >>> cache = LRUDict(max_items=3)
    >>> cache["a"], cache["b"], cache["c"] = "Alpha", "Beta", "Gamma"
    >>> cache["a"]
    'Alpha'
    >>> cache["d"] = "Delta"
    >>> list(cache)
    ['c', 'a', 'd']

    ``d[key]``, get(), setdefault() and setting are uses; ``in``, iteration and comparison are none.  Everything is
    O(1).  Threads may share it: every method is atomic, and iteration is over the items there are when it begins.

    :param max_items: how many items it holds.
    :param args: items to start with, as for ``dict``.
    :raises TypeError: ``max_items`` isn't an int.
    :raises ValueError: ``max_items`` is less than 1.
    """

    def __getitem__(self, key: K) -> V:
        """``d[key]``: a use.  O(1)

        :raises KeyError: ``key`` isn't there.
        """
        value: V = _get(self, key)
        try:
            # Atomic by itself, as all of OrderedDict's C code is: a lock would double the cost.
            _move(self, key)
        except KeyError:  # another thread has just removed it
            pass
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """Return ``d[key]``, which is a use, or ``default``.  O(1)"""
        # Not by d[key], which asks __missing__() of a subclass that has one.
        value = _peek(self, key, NOTHING)
        if value is NOTHING:
            return default
        self.mark_as_used(key)
        return value

    def mark_as_used(self, key: K) -> None:
        """Count a use of ``key``, if it is there.  O(1)"""
        try:
            _move(self, key)
        except KeyError:
            pass

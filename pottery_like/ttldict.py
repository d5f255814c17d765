"""LFUDict and TTLDict: dicts in the process's memory whose items go by use, or by age."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from reprlib import recursive_repr
from typing import Any, NoReturn, TypeVar

from typing_extensions import Self

from pottery_like._core.evict import Deadlines, Frequencies
from pottery_like._io.inherited import lock
from pottery_like._ops.common import milliseconds
from pottery_like.localdicts import NOTHING, Limited, checked_limit, same_items

K = TypeVar("K")
V = TypeVar("V")


class LFUDict(Limited[K, V], MutableMapping[K, V]):
    """A dict that holds so many items at most: when a further one comes, the one used least often goes.

    >>> cache = LFUDict(max_items=2)
    >>> cache["often"], cache["once"] = 1, 2
    >>> cache["often"] + cache["often"]
    2
    >>> cache["new"] = 3
    >>> sorted(cache)
    ['new', 'often']

    ``d[key]``, get(), setdefault() and setting are uses; ``in``, iteration and comparison are none.  Of keys used
    equally often the one whose last use is longest ago goes.  Everything is O(1).  Threads may share it: every method
    is atomic, and iteration is over the items there are when it begins.

    :param max_items: how many items it holds.
    :param args: items to start with, as for ``dict``.
    :raises TypeError: ``max_items`` isn't an int.
    :raises ValueError: ``max_items`` is less than 1.
    """

    def __init__(self, max_items: int = 1000, *args: Any, **kwargs: Any) -> None:
        self._max_items = checked_limit(max_items)
        self._lock = lock()
        self._data: dict[K, V] = {}
        self._uses = Frequencies()
        self.update(*args, **kwargs)

    def __getitem__(self, key: K) -> V:
        """``d[key]``: a use.  O(1)

        :raises KeyError: ``key`` isn't there.
        """
        with self._lock:
            value = self._data[key]
            self._uses.touch(key)
            return value

    def __setitem__(self, key: K, value: V) -> None:
        """``d[key] = value``: a use; the least used item goes if there is no room.  O(1)"""
        with self._lock:
            if key in self._data:
                self._uses.touch(key)
            else:
                if len(self._data) >= self._max_items:
                    del self[self._uses.least()]
                self._uses.add(key)
            self._data[key] = value

    def __delitem__(self, key: K) -> None:
        """``del d[key]``.  O(1)

        :raises KeyError: ``key`` isn't there.
        """
        with self._lock:
            del self._data[key]
            self._uses.discard(key)

    def __contains__(self, key: object) -> bool:
        """``key in d``: no use.  O(1)"""
        return key in self._data

    def __len__(self) -> int:
        """``len(d)``.  O(1)"""
        return len(self._data)

    def _snapshot(self) -> list[tuple[K, V]]:
        with self._lock:
            return list(self._data.items())

    def pop(self, key: K, default: Any = NOTHING) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1)

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        """
        with self._lock:
            self._uses.discard(key)
            return self._data.pop(key) if default is NOTHING else self._data.pop(key, default)

    def popitem(self) -> tuple[K, V]:
        """Remove and return the item that would go next.  O(1)

        :raises KeyError: the dict is empty.
        """
        with self._lock:
            if not self._data:
                raise KeyError(f"popitem(): {type(self).__name__} is empty")
            key = self._uses.least()
            return key, self.pop(key)

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return ``d[key]``, after setting it to ``default`` if it isn't there.  O(1)"""
        with self._lock:
            return super().setdefault(key, default)

    def clear(self) -> None:
        """Remove all items.  O(n)"""
        with self._lock:
            self._data.clear()
            self._uses.clear()

    def copy(self) -> Self:
        """Return a new dict of this kind with the same items and limit; the uses start anew.  O(n)"""
        return type(self)(self._max_items, self._snapshot())

    def __eq__(self, other: object) -> bool:
        """``d == other``, for any mapping."""
        return same_items(self, other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._max_items}, {dict(self._snapshot())!r})"


class TTLDict(Limited[K, V], MutableMapping[K, V]):
    """A dict whose items disappear some time after they were set; it holds so many at most.

    >>> cache = TTLDict(max_items=100, ttl=60)
    >>> cache["a"] = 1
    >>> cache.set("b", 2, ttl=0.001)
    >>> import time; time.sleep(0.002)
    >>> cache
    TTLDict(100, 60.0, {'a': 1})

    No method ever sees an item past its deadline, by the process's monotonic clock.  When there is no room, items
    past their deadline go, else the one set longest ago.  Setting is O(log n), everything else of one item O(1).
    Threads may share it: every method is atomic, and iteration is over the items there are when it begins.

    :param max_items: how many items it holds.
    :param ttl: seconds (or a timedelta) that an item lives.
    :param args: items to start with, as for ``dict``.
    :raises TypeError: ``max_items`` isn't an int, or ``ttl`` no duration.
    :raises ValueError: ``max_items`` is less than 1, or ``ttl`` not positive and finite.
    """

    def __init__(self, max_items: int = 1000, ttl: float | timedelta = 60.0, *args: Any, **kwargs: Any) -> None:
        self._max_items = checked_limit(max_items)
        self._ttl = milliseconds(ttl) / 1000
        self._lock = lock()
        self._data: OrderedDict[K, V] = OrderedDict()
        self._deadlines = Deadlines()
        self.update(*args, **kwargs)

    def _purge(self) -> OrderedDict[K, V]:
        for key in self._deadlines.pop_due(time.monotonic()):
            self._data.pop(key, None)
        return self._data

    def __getitem__(self, key: K) -> V:
        """``d[key]``.  O(1)

        :raises KeyError: ``key`` isn't there, or not any more.
        """
        with self._lock:
            value = self._data[key]
            if self._deadlines.get(key) <= time.monotonic():
                raise KeyError(key)
            return value

    def __setitem__(self, key: K, value: V) -> None:
        """``d[key] = value``, for the dict's ttl from now.  O(log n)"""
        self._set(key, value, self._ttl)

    def set(self, key: K, value: V, ttl: float | timedelta | None = None) -> None:
        """Set an item that lives so many seconds; None for the dict's ttl.  O(log n)

        :raises TypeError: or ValueError, ``ttl`` is no positive duration.
        """
        self._set(key, value, self._ttl if ttl is None else milliseconds(ttl) / 1000)

    def _set(self, key: K, value: V, ttl: float) -> None:
        with self._lock:
            data = self._purge()
            if key in data:
                data.move_to_end(key)
            elif len(data) >= self._max_items:
                oldest, _ = data.popitem(last=False)
                self._deadlines.discard(oldest)
            data[key] = value
            self._deadlines.set(key, time.monotonic() + ttl)

    def ttl(self, key: K) -> float:
        """Return the seconds that ``key`` has left.  O(1)

        :raises KeyError: ``key`` isn't there, or not any more.
        """
        with self._lock:
            left = self._deadlines.get(key) - time.monotonic()
            if key not in self._data or left <= 0:
                raise KeyError(key)
            return left

    def __delitem__(self, key: K) -> None:
        """``del d[key]``.  O(1)

        :raises KeyError: ``key`` isn't there, or not any more.
        """
        with self._lock:
            del self._purge()[key]
            self._deadlines.discard(key)

    def __contains__(self, key: object) -> bool:
        """``key in d``.  O(1)"""
        with self._lock:
            return key in self._purge()

    def __len__(self) -> int:
        """``len(d)``.  O(1), beside the removal of what is past its deadline."""
        with self._lock:
            return len(self._purge())

    def _snapshot(self) -> list[tuple[K, V]]:
        with self._lock:
            return list(self._purge().items())

    def pop(self, key: K, default: Any = NOTHING) -> Any:
        """Remove ``key`` and return its value, or ``default``.  O(1)

        :raises KeyError: ``key`` isn't there and there is no ``default``.
        """
        with self._lock:
            data = self._purge()
            value = data.pop(key) if default is NOTHING else data.pop(key, default)
            self._deadlines.discard(key)
            return value

    def popitem(self) -> tuple[K, V]:
        """Remove and return the item set longest ago.  O(1)

        :raises KeyError: the dict is empty.
        """
        with self._lock:
            key, value = self._purge().popitem(last=False)
            self._deadlines.discard(key)
            return key, value

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return ``d[key]``, after setting it to ``default`` if it isn't there.  O(log n)"""
        with self._lock:
            return super().setdefault(key, default)

    def clear(self) -> None:
        """Remove all items.  O(n)"""
        with self._lock:
            self._data.clear()
            self._deadlines.clear()

    def copy(self) -> Self:
        """Return a new dict of this kind with the same items, deadlines, limit and ttl.  O(n log n)"""
        made = type(self)(self._max_items, self._ttl)
        with self._lock:
            for key, value in self._purge().items():
                made._data[key] = value
                made._deadlines.set(key, self._deadlines.get(key))
        return made

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the deadlines mean nothing to another process's clock.

        :raises TypeError: always.
        """
        raise TypeError("a TTLDict can't be pickled: its deadlines are of this process's clock; pickle dict(d)")

    def __eq__(self, other: object) -> bool:
        """``d == other``, for any mapping."""
        return same_items(self, other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._max_items}, {self._ttl}, {dict(self._snapshot())!r})"

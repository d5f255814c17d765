"""Which local entry goes first: by deadline, and by how often it was used."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any


class Deadlines:
    """The deadlines of keys, earliest first.

    A deadline that was replaced stays in the heap until it is due, or until the heap has more such than valid ones.
    """

    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Any]] = []
        # Keys may not be comparable: of two equal deadlines the number decides.
        self._numbers = count()

    def set(self, key: Hashable, deadline: float) -> None:
        """Give ``key`` a deadline; ``math.inf`` for none.  O(log n)"""
        if deadline == math.inf:
            self._due.pop(key, None)
            return
        number = next(self._numbers)
        self._due[key] = deadline, number
        heappush(self._heap, (deadline, number, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(when, number, key) for key, (when, number) in self._due.items()]
            heapify(self._heap)

    def get(self, key: Hashable) -> float:
        """Return the deadline of ``key``.  O(1)"""
        due = self._due.get(key)
        return math.inf if due is None else due[0]

    def discard(self, key: Hashable) -> None:
        """Forget a key.  O(1)"""
        self._due.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._due.clear()
        self._heap.clear()

    def pop_due(self, now: float) -> Iterator[Any]:
        """Yield the keys whose deadline has come, and forget them."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, number, key = heappop(heap)
            due = self._due.get(key)
            if due is not None and due[1] == number:
                del self._due[key]
                yield key

    def next(self) -> float:
        """Return a time before which nothing is due."""
        return self._heap[0][0] if self._heap else math.inf


class Frequencies:
    """How often keys were used; every operation is O(1)."""

    def __init__(self) -> None:
        self._uses: dict[Hashable, int] = {}
        self._keys: dict[int, OrderedDict[Hashable, None]] = {}
        self._least = 0

    def add(self, key: Hashable) -> None:
        """Count a key for the first time."""
        self._uses[key] = 1
        self._keys.setdefault(1, OrderedDict())[key] = None
        self._least = 1

    def touch(self, key: Hashable) -> None:
        """Count one more use of a key, if it is known."""
        uses = self._uses.get(key)
        if uses is None:
            return
        self._leave(key, uses)
        if self._least == uses and uses not in self._keys:
            self._least = uses + 1
        self._uses[key] = uses + 1
        self._keys.setdefault(uses + 1, OrderedDict())[key] = None

    def discard(self, key: Hashable) -> None:
        """Forget a key."""
        uses = self._uses.pop(key, None)
        if uses is not None:
            self._leave(key, uses)

    def _leave(self, key: Hashable, uses: int) -> None:
        keys = self._keys[uses]
        del keys[key]
        if not keys:
            del self._keys[uses]

    def least(self) -> Any:
        """Return the key used least often; of several, the one whose last use is longest ago."""
        if self._least not in self._keys:
            # Only after the least used ones were discarded one by one.
            self._least = min(self._keys)
        return next(iter(self._keys[self._least]))

    def clear(self) -> None:
        """Forget all."""
        self._uses.clear()
        self._keys.clear()

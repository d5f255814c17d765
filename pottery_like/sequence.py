"""What RedisList and RedisDeque have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from typing import Any, ClassVar, SupportsIndex, TypeVar

from typing_extensions import Self

from pottery_like._ops.editing import changed, transform
from pottery_like._ops.sequence import LIMIT, SequenceOps
from pottery_like.base import Container

T = TypeVar("T")


class RedisSequence(Container[SequenceOps[T]], MutableSequence[T]):
    """Base of RedisList and RedisDeque."""

    _BUILTIN: ClassVar[type[Any]]
    """What it equals, beside its own kind."""

    def _elements(self, values: Iterable[T]) -> Iterable[T] | SequenceOps[Any]:
        """Return the operations of what is on this client, so that its elements need not come here."""
        if not isinstance(values, RedisSequence):
            return values
        return values._ops if values.redis is self.redis else values.to_list()

    def _is_kin(self, other: object) -> bool:
        return isinstance(other, RedisSequence) and other._BUILTIN is self._BUILTIN

    def __len__(self) -> int:
        """``len(l)``.  O(1), 1 round trip."""
        return self._run(self._ops.size())

    def __iter__(self) -> Iterator[T]:
        """``iter(l)``.  O(n), 1 round trip per thousand elements, constant memory."""
        return self._iterate(self._ops.scan())

    def __reversed__(self) -> Iterator[T]:
        """``reversed(l)``.  O(n), 1 round trip per thousand elements, constant memory."""
        return self._iterate(self._ops.scan_backwards())

    def __contains__(self, value: object) -> bool:
        """``value in l``.  O(n) on the server, 1 round trip."""
        return self._run(self._ops.contains(value))

    def append(self, value: T, /) -> None:
        """Add ``value`` at the right end.  O(1), 1 round trip, atomic.

        :raises TypeError: or ValueError: the codec can't carry ``value``; nothing is sent.
        """
        self._run(self._ops.append(value))

    def extend(self, values: Iterable[T], /) -> None:
        """Add ``values`` at the right end.

        O(len(values)), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        Elements of another container on the same client (and in one slot of a cluster) don't leave the server.
        """
        self._drive(self._ops.extend(self._elements(values)))

    def insert(self, index: SupportsIndex, value: T, /) -> None:
        """Insert ``value`` before ``index``.  O(distance from an end), 1 round trip, atomic."""
        self._run(self._ops.insert(index, value))

    def remove(self, value: T, /) -> None:
        """Remove the first element that equals ``value``.  O(n) on the server, 1 round trip, atomic.

        :raises ValueError: there is none.
        """
        self._run(self._ops.remove(value))

    def index(self, value: object, start: SupportsIndex = 0, stop: SupportsIndex = LIMIT, /) -> int:
        """Return the first index of ``value`` from ``start`` to before ``stop``.  O(n) on the server, 1 round trip.

        :raises ValueError: it isn't there.
        """
        return self._run(self._ops.index(value, start, stop))

    def count(self, value: object, /) -> int:
        """Return how many elements equal ``value``.  O(n) on the server, 1 round trip."""
        return self._run(self._ops.count(value))

    def reverse(self) -> None:
        """Reverse the order of the elements, on the server.  O(n), 1 round trip, atomic."""
        self._run(self._ops.reverse())

    def to_list(self) -> list[T]:
        """Return a plain list of all elements.  O(n), 1 round trip, atomic."""
        return self._run(self._ops.to_list())

    @contextmanager
    def edit(self, index: SupportsIndex) -> Iterator[T]:
        """Change a nested element in place: yields it, and writes it back when the block ends.

        2 round trips.  Nothing is written when the block raises.

        :raises IndexError: there is no such element.
        :raises ConcurrentEditError: another element is at ``index`` meanwhile; nothing is written.  To have that
            retried, use :meth:`transform`.
        """
        raw = self._run(self._ops.edit(index))
        value = self._ops.decode(raw)
        yield value
        if not self._run(self._ops.swap(index, raw, value)):
            raise changed(index)

    def transform(self, index: SupportsIndex, function: Callable[[T], T]) -> T:
        """Replace ``l[index]`` by ``function(l[index])`` and return it, atomically.

        2 round trips, and 2 more for each time that somebody else changes the element meanwhile: ``function`` is
        then called again.

        :raises IndexError: there is no such element.
        :raises ConcurrentEditError: the element changed at each of 200 attempts; nothing is written.
        """
        return self._drive(transform(self._ops, index, function))

    def _sides(self, other: Any) -> tuple[Any, Any] | None:
        """Return both sides of a comparison as the builtin; None when they can't be compared."""
        if self._is_kin(other):
            if self.redis is other.redis:
                return self._drive(self._ops.both(other._ops))
            return self.to_list(), other.to_list()
        return (self.to_list(), list(other)) if isinstance(other, self._BUILTIN) else None

    def __eq__(self, other: object) -> bool:
        """``l == other``, for the builtin and its like.  O(n), 1 round trip for each side, 1 on one client."""
        if isinstance(other, type(self)) and self.key == other.key and self.redis is other.redis:
            return True
        sides = self._sides(other)
        return NotImplemented if sides is None else bool(sides[0] == sides[1])

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> bool:
        """``l < other``, as the builtin compares.  O(n), 1 round trip for each side, 1 on one client."""
        sides = self._sides(other)
        return NotImplemented if sides is None else bool(sides[0] < sides[1])

    def __le__(self, other: Any) -> bool:
        """``l <= other``; see ``<``."""
        sides = self._sides(other)
        return NotImplemented if sides is None else bool(sides[0] <= sides[1])

    def __gt__(self, other: Any) -> bool:
        """``l > other``; see ``<``."""
        sides = self._sides(other)
        return NotImplemented if sides is None else bool(sides[0] > sides[1])

    def __ge__(self, other: Any) -> bool:
        """``l >= other``; see ``<``."""
        sides = self._sides(other)
        return NotImplemented if sides is None else bool(sides[0] >= sides[1])

    def __add__(self, other: Any) -> Self:
        """``l + other``: an anonymous container, made on the server.

        O(n), 1 round trip, atomic; beyond a thousand elements of a builtin ``other``, pipelined in chunks.  It
        expires with this one.
        """
        if not (self._is_kin(other) or isinstance(other, self._BUILTIN)):
            return NotImplemented
        target = self._sibling("sum")
        self._drive(self._ops.concat(target._ops, self._elements(other), "RPUSH"))
        return target

    def __iadd__(self, values: Iterable[T]) -> Self:  # type: ignore[misc]
        """``l += values``: as extend()."""
        self.extend(values)
        return self

    def __mul__(self, times: SupportsIndex) -> Self:
        """``l * times``: an anonymous container, made on the server.  O(n * times), 1 round trip, atomic.

        It expires with this one.

        :raises MemoryError: more than the 2 ** 32 - 1 elements that a Redis list can hold.
        """
        if not hasattr(type(times), "__index__"):
            return NotImplemented
        target = self._sibling("product")
        self._run(self._ops.repeat(times, target._ops))
        return target

    __rmul__ = __mul__

    def __imul__(self, times: SupportsIndex) -> Self:
        """``l *= times``.  O(n * times), 1 round trip, atomic.

        :raises MemoryError: more than the 2 ** 32 - 1 elements that a Redis list can hold.
        """
        if not hasattr(type(times), "__index__"):
            return NotImplemented
        self._run(self._ops.repeat(times))
        return self

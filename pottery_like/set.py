"""RedisSet: ``set`` in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet, Set
from typing import Any, TypeVar

from typing_extensions import Self

from pottery_like._io.sync import Client
from pottery_like._ops.set import SetOps
from pottery_like.base import Container
from pottery_like.codecs import Codec

T = TypeVar("T")
S = TypeVar("S")


class RedisSet(Container[SetOps[T]], MutableSet[T]):
    """A set in Redis that works like ``set``.

    >>> basket = RedisSet(['apple', 'pear', 'apple'], redis=redis, key='basket')
    >>> basket.add('orange')
    >>> sorted(basket & {'pear', 'orange', 'plum'})
    ['orange', 'pear']
    >>> basket -= {'apple', 'pear'}
    >>> basket
    RedisSet{'orange'}

    Every method is one round trip and atomic, and worked out on the server: with RedisSets on the same client and in
    one hash slot of a cluster (``'{shop}:a'`` and ``'{shop}:b'``), and with up to a thousand elements of any iterable,
    beyond which they go by pipelined chunks.  A RedisSet elsewhere is read first, which takes a round trip more.
    What differs from ``set``:

    - Elements are hashable JSON (``str``, numbers, ``bool``, ``None``, tuples of these), or what the codec carries;
      ``True`` and ``1`` are two elements.
    - Operators and methods such as :meth:`union` return a plain ``set``; :meth:`copy` returns an anonymous RedisSet.
    - An operand with an unhashable element, or with one that can't be stored where it is to be, is refused as a
      whole: nothing is changed, and isdisjoint() and issuperset() don't answer from the elements before it.
    - Iteration sees changes made meanwhile, and yields what stays in the set throughout exactly once.

    In the costs below, n is the set's size and m the operands'.

    :param iterable: elements to start with.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: there are elements to start with, but the key exists.  Nothing is changed then.
    :raises TypeError: an element is unhashable, or the codec can't carry it; so also where elements are added.
    """

    _OPS = SetOps

    def __init__(
        self,
        iterable: Iterable[T] = (),
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
    ) -> None:
        super().__init__(redis=redis, key=key, codec=codec, redis_url=redis_url)
        self._fill(self._ops.fill(iterable))

    def _operand(self, other: Any) -> Any:
        if isinstance(other, RedisSet):
            return other._ops if other.redis is self.redis else other.to_set()
        return other

    def _operands(self, others: Iterable[Any]) -> list[Any]:
        return [self._operand(other) for other in others]

    def add(self, value: T) -> None:
        """Add an element.  O(1), 1 round trip."""
        self._run(self._ops.add(value))

    def discard(self, value: T) -> None:
        """Remove an element if it is there.  O(1), 1 round trip."""
        self._run(self._ops.discard(value))

    def remove(self, value: T) -> None:
        """Remove an element.  O(1), 1 round trip.

        :raises KeyError: it isn't there.
        """
        self._run(self._ops.remove(value))

    def pop(self) -> T:
        """Remove and return a random element.  O(1), 1 round trip, never sent twice.

        When the reply is lost, so may be the element.

        :raises KeyError: the set is empty.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return self._run(self._ops.pop())

    def __contains__(self, value: object) -> bool:
        """``value in s``.  O(1), 1 round trip."""
        return self._run(self._ops.contains(value))

    def contains_many(self, *values: object) -> Iterator[bool]:
        """Yield for each of ``values`` whether it is there.  O(m), 1 round trip, atomic up to a thousand."""
        return iter(self._drive(self._ops.contains_many(values)))

    def __len__(self) -> int:
        """``len(s)``.  O(1), 1 round trip."""
        return self._run(self._ops.size())

    def __iter__(self) -> Iterator[T]:
        """``iter(s)``.  O(n), 1 round trip per thousand elements, constant memory."""
        return self._iterate(self._ops.scan())

    def to_set(self) -> set[T]:
        """Return a plain set of all elements.  O(n), 1 round trip, atomic."""
        return self._run(self._ops.to_set())

    def union(self, *others: Iterable[S]) -> set[T | S]:
        """Return a plain set of what is in the set or in any of ``others``.  O(n + m), 1 round trip, atomic."""
        return self._drive(self._ops.union(self._operands(others)))

    def intersection(self, *others: Iterable[object]) -> set[T]:
        """Return a plain set of what is in the set and in all of ``others``.

        O(m), whatever the set's own size; 1 round trip, atomic up to a thousand elements.
        """
        return self._drive(self._ops.intersection(self._operands(others)))

    def difference(self, *others: Iterable[object]) -> set[T]:
        """Return a plain set of what is in the set and in none of ``others``.  O(n + m), 1 round trip, atomic."""
        return self._drive(self._ops.difference(self._operands(others)))

    def symmetric_difference(self, other: Iterable[S]) -> set[T | S]:
        """Return a plain set of what is either in the set or in ``other``.  O(n + m), 1 round trip, atomic."""
        return self._drive(self._ops.symmetric_difference(self._operand(other)))

    def update(self, *others: Iterable[T]) -> None:
        """Add all elements of ``others``.

        O(m), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        """
        self._drive(self._ops.update(self._operands(others)))

    def intersection_update(self, *others: Iterable[object]) -> None:
        """Keep only what is in all of ``others``, and the expiry.

        O(m), 1 round trip, atomic; beyond a thousand elements, they are sent ahead, pipelined.
        """
        self._drive(self._ops.intersection_update(self._operands(others)))

    def difference_update(self, *others: Iterable[object]) -> None:
        """Remove all elements of ``others``.

        O(m), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        """
        self._drive(self._ops.difference_update(self._operands(others)))

    def symmetric_difference_update(self, other: Iterable[T]) -> None:
        """Add what of ``other`` isn't there, and remove what is.

        O(m), 1 round trip, atomic, never sent twice; beyond a thousand elements, they are sent ahead, pipelined.
        """
        self._drive(self._ops.symmetric_difference_update(self._operand(other)))

    def isdisjoint(self, other: Iterable[object]) -> bool:
        """Whether the set and ``other`` have nothing in common.  O(m), 1 round trip, atomic up to a thousand."""
        return self._drive(self._ops.isdisjoint(self._operand(other)))

    def issubset(self, other: Iterable[object]) -> bool:
        """Whether all elements are in ``other``.  O(m), 1 round trip, atomic.

        Only beyond a thousand elements of ``other`` is the set read, unless it has more than these.
        """
        return self._drive(self._ops.compare(self._operand(other), "<="))

    def issuperset(self, other: Iterable[object]) -> bool:
        """Whether all elements of ``other`` are in the set.  O(m), 1 round trip, atomic up to a thousand."""
        return self._drive(self._ops.compare(self._operand(other), ">="))

    def __le__(self, other: Set[Any]) -> bool:
        """``s <= other``: as issubset()."""
        return self.issubset(other) if isinstance(other, Set) else NotImplemented

    def __lt__(self, other: Set[Any]) -> bool:
        """``s < other``.  As issubset()."""
        return self._drive(self._ops.compare(self._operand(other), "<")) if isinstance(other, Set) else NotImplemented

    def __ge__(self, other: Set[Any]) -> bool:
        """``s >= other``: as issuperset()."""
        return self.issuperset(other) if isinstance(other, Set) else NotImplemented

    def __gt__(self, other: Set[Any]) -> bool:
        """``s > other``.  As issuperset(), with 1 round trip more beyond a thousand elements."""
        return self._drive(self._ops.compare(self._operand(other), ">")) if isinstance(other, Set) else NotImplemented

    def __eq__(self, other: object) -> bool:
        """``s == other``, for any set.  As issubset()."""
        return self._drive(self._ops.compare(self._operand(other), "==")) if isinstance(other, Set) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Set[S]) -> set[T | S]:
        """``s | other``: as union()."""
        return self.union(other) if isinstance(other, Set) else NotImplemented

    def __and__(self, other: Set[Any]) -> set[T]:
        """``s & other``: as intersection()."""
        return self.intersection(other) if isinstance(other, Set) else NotImplemented

    def __sub__(self, other: Set[Any]) -> set[T]:
        """``s - other``: as difference()."""
        return self.difference(other) if isinstance(other, Set) else NotImplemented

    def __xor__(self, other: Set[S]) -> set[T | S]:
        """``s ^ other``: as symmetric_difference()."""
        return self.symmetric_difference(other) if isinstance(other, Set) else NotImplemented

    __ror__ = __or__
    __rand__ = __and__
    __rxor__ = __xor__

    def __rsub__(self, other: Set[S]) -> set[S]:  # type: ignore[misc]
        """``other - s``: a plain set.  O(m), 1 round trip, atomic up to a thousand elements."""
        return self._drive(self._ops.difference_from(other)) if isinstance(other, Set) else NotImplemented

    def __ior__(self, other: Set[T]) -> Self:  # type: ignore[override,misc]
        """``s |= other``: as update()."""
        if not isinstance(other, Set):
            return NotImplemented
        self.update(other)
        return self

    def __iand__(self, other: Set[Any]) -> Self:
        """``s &= other``: as intersection_update()."""
        if not isinstance(other, Set):
            return NotImplemented
        self.intersection_update(other)
        return self

    def __isub__(self, other: Set[Any]) -> Self:
        """``s -= other``: as difference_update()."""
        if not isinstance(other, Set):
            return NotImplemented
        self.difference_update(other)
        return self

    def __ixor__(self, other: Set[T]) -> Self:  # type: ignore[override,misc]
        """``s ^= other``: as symmetric_difference_update()."""
        if not isinstance(other, Set):
            return NotImplemented
        self.symmetric_difference_update(other)
        return self

    def __repr__(self) -> str:
        """Show all elements.  O(n), 1 round trip."""
        return f"{type(self).__qualname__}{self.to_set()}"

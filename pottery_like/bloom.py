"""BloomFilter: a set in Redis that answers "probably" or "certainly not"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from pottery_like._io import servers
from pottery_like._io.sync import Client
from pottery_like._ops.bloom import BloomOps
from pottery_like._ops.bloom_modes import bloom_ops
from pottery_like.base import Container
from pottery_like.codecs import Codec

T = TypeVar("T")


class BloomFilter(Container[BloomOps[T]], Generic[T]):
    """A Bloom filter in Redis: a set of any size in about ten bits per element.

    >>> seen = BloomFilter(num_elements=1000, false_positives=0.01, redis=redis, key='seen')
    >>> seen.add('alice')
    True
    >>> seen.update(['bob', 'carol'])
    >>> 'bob' in seen, 'dave' in seen
    (True, False)
    >>> len(seen)
    3

    What was added is always found.  What was not is found by mistake with a probability that grows with the number of
    elements, to ``false_positives`` at ``num_elements``.  Elements can't be read back or removed one by one.

    Every method is one round trip and atomic, so concurrent writers lose nothing; beyond a thousand elements, it goes
    by pipelined chunks.  The parameters are stored beside the bits, and every method compares them: a filter that was
    made with others is never read or changed.  A filter of Pottery's has none yet, and takes those of the first write.

    Elements are whatever JSON, or the codec, carries, lists and dicts included; ``1`` and ``1.0`` are one element, as
    are ``(1, 2)`` and ``[1, 2]``.  Given elements to start with, they are added to those that are there.

    In the costs below, n is the number of elements given, k of hash functions, m of bits.

    :param iterable: elements to start with.
    :param num_elements: how many different elements the filter is meant for (with ``scalable``, the first stage; with
        ``window``, per window).
    :param false_positives: the probability of a false positive when it has that many, between 0 and 1.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :param scalable: let the filter grow beyond ``num_elements`` and keep its rate, up to 2**32 bits in all.
    :param window: seconds, or a timedelta: an element is forgotten between one and two windows after it was last added.
    :raises TypeError: an argument of the wrong type, or an element that the codec can't carry; nothing is sent.
    :raises ValueError: a parameter out of range.
    :raises FilterParametersError: (a ValueError) by every method: the filter at ``key`` has other parameters.
    """

    _OPS = staticmethod(bloom_ops)

    def __init__(
        self,
        iterable: Iterable[T] = (),
        *,
        num_elements: int,
        false_positives: float,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
        scalable: bool = False,
        window: float | timedelta | None = None,
    ) -> None:
        self._attach(
            servers.checked(redis, redis_url, Client),
            key,
            codec,
            num_elements=num_elements,
            false_positives=false_positives,
            scalable=scalable,
            window=window,
        )
        self._drive(self._ops.update((iterable,)))

    @property
    def num_elements(self) -> int:
        """How many elements the filter is meant for."""
        return self._ops.num_elements

    @property
    def false_positives(self) -> float:
        """The probability of a false positive that it is meant to keep."""
        return self._ops.false_positives

    def size(self) -> int:
        """Return the number of bits: with ``scalable``, of the first stage; with ``window``, of each half.  No I/O."""
        return self._ops.bits

    def num_hashes(self) -> int:
        """Return the number of hash functions (of the first stage, with ``scalable``).  No I/O."""
        return self._ops.hashes

    def _operand(self, other: Any) -> Any:
        if isinstance(other, BloomFilter):
            return other._ops if other.redis is self.redis else other._drive(other._ops.read())
        return other

    def add(self, value: T) -> bool:
        """Add an element; return whether it was new.  O(k), 1 round trip, atomic.

        Of many clients that add one element at the same time, one is told that it was new.  True is certain; False is
        wrong with the filter's probability of false positives.  As a repetition would get the other answer, it is never
        sent twice: when the reply is lost, so is the answer.  ``update([value])`` is repeated.
        """
        return self._run(self._ops.add(value))

    def update(self, *objs: BloomFilter[T] | Iterable[T]) -> None:
        """Add the elements of iterables and of other filters with the same parameters.

        O(n * k), and O(m) for filters; 1 round trip, atomic up to a thousand elements.  A filter in another cluster
        slot or on another server is read first.

        :raises FilterParametersError: a filter has other parameters.
        """
        self._drive(self._ops.update([self._operand(obj) for obj in objs]))

    def intersection_update(self, *others: BloomFilter[T]) -> None:
        """Keep only the bits that all ``others`` have, too.  O(m), 1 round trip, atomic.

        What is in all of them stays.  Other elements go, except for false positives: there are more of them than in a
        filter made of the common elements, but not more than in any of the filters.

        :raises FilterParametersError: a filter has other parameters.
        """
        self._drive(self._ops.intersection_update([self._operand(other) for other in others]))

    def union(self, *others: BloomFilter[T] | Iterable[T]) -> Self:
        """Return an anonymous filter with the elements of this one and of others, as :meth:`update`."""
        target = self._sibling("union")
        self._drive(target._ops.store_union([self._ops, *map(self._operand, others)]))
        return target

    def intersection(self, *others: BloomFilter[T]) -> Self:
        """Return an anonymous filter with the elements that are in this one and all others.

        See :meth:`intersection_update`.
        """
        target = self._sibling("intersection")
        self._drive(target._ops.store_intersection([self._ops, *map(self._operand, others)]))
        return target

    def __or__(self, other: BloomFilter[T]) -> Self:
        """``f | other``: :meth:`union`."""
        return self.union(other) if isinstance(other, BloomFilter) else NotImplemented

    def __and__(self, other: BloomFilter[T]) -> Self:
        """``f & other``: :meth:`intersection`."""
        return self.intersection(other) if isinstance(other, BloomFilter) else NotImplemented

    def __ior__(self, other: BloomFilter[T]) -> Self:
        """``f |= other``: :meth:`update`."""
        if not isinstance(other, BloomFilter):
            return NotImplemented
        self.update(other)
        return self

    def __iand__(self, other: BloomFilter[T]) -> Self:
        """``f &= other``: :meth:`intersection_update`."""
        if not isinstance(other, BloomFilter):
            return NotImplemented
        self.intersection_update(other)
        return self

    def __contains__(self, value: object) -> bool:
        """``value in f``: False is certain, True is probable.  O(k), 1 round trip."""
        return self._run(self._ops.contains(value))

    def contains_many(self, *values: object) -> Iterator[bool]:
        """Yield for each of ``values`` whether it is (probably) there.

        O(n * k), 1 round trip, atomic up to a thousand elements.
        """
        return iter(self._drive(self._ops.contains_many(values)))

    def __len__(self) -> int:
        """``len(f)``: the number of different elements, estimated from the bits set.  O(m), 1 round trip.

        Within ``num_elements`` it is off by about a percent.  With ``scalable`` it is the number of elements that were
        new when they were added, O(1).
        """
        return self._run(self._ops.size())

    def __repr__(self) -> str:
        """Name the key.  No I/O."""
        return f"<{type(self).__qualname__} key={self.key}>"

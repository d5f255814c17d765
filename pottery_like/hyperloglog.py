"""HyperLogLog: the number of different elements, in 12 kB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from pottery_like._io.sync import Client
from pottery_like._ops.hyperloglog import HyperLogLogOps
from pottery_like.base import Container
from pottery_like.codecs import Codec

T = TypeVar("T")


class HyperLogLog(Container[HyperLogLogOps[T]], Generic[T]):
    """A HyperLogLog in Redis: counts different elements, as many as you like, in 12 kB.

    >>> searches = HyperLogLog(['snake', 'pac-man'], redis=redis, key='searches')
    >>> searches.add('snake')
    >>> len(searches)
    2
    >>> 'pac-man' in searches
    True

    The count is estimated, with a standard error of 0.81 %.  Elements can't be read back or removed one by one.

    Membership is a by-product, and gets worse with every element: what was added is always found, but so is by mistake
    of what was not (measured, over 100,000 absent elements each)

    =============  ===========
    size           found by mistake
    =============  ===========
    100            0.4 %
    1,000          4 %
    10,000         32 %
    100,000        88 %
    =============  ===========

    Use :class:`~pottery_like.BloomFilter` where membership matters: it keeps the rate that you ask for.

    Every method is one round trip and atomic; beyond a thousand elements, it goes by pipelined chunks.  Elements are
    whatever JSON, or the codec, carries, lists and dicts included; ``1`` and ``1.0`` are one element.  Given elements
    to start with, they are added to those that are there.

    :param iterable: elements to start with.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :raises TypeError: (or ValueError) an element that the codec can't carry; nothing is sent.
    """

    _OPS = HyperLogLogOps

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
        self._drive(self._ops.update((iterable,)))

    def _operand(self, obj: Any) -> Any:
        if isinstance(obj, HyperLogLog):
            return obj._ops if obj.redis is self.redis else obj._run(obj._ops.read())
        return obj

    def add(self, value: T) -> None:
        """Add an element.  O(1), 1 round trip."""
        self._run(self._ops.add(value))

    def update(self, *objs: HyperLogLog[T] | Iterable[T]) -> None:
        """Add the elements of iterables and of other HyperLogLogs.

        O(n), 1 round trip, atomic up to a thousand elements.  A HyperLogLog in another cluster slot or on another
        server is read first.
        """
        self._drive(self._ops.update([self._operand(obj) for obj in objs]))

    def union(
        self, *objs: HyperLogLog[T] | Iterable[T], redis: Client | str | None = None, key: str = ""
    ) -> HyperLogLog[T]:
        """Return a HyperLogLog with the elements of this one and of others.

        O(n), 1 round trip, atomic up to a thousand elements, in this one's slot; elsewhere, this one is read first.

        :param redis: where to put it; by default where this one is.
        :param key: where to put it; what is there is kept, too.  By default the result is anonymous.
        """
        if redis is None and not key:
            target = self._sibling("union")
        else:
            target = type(self)(redis=self._source if redis is None else redis, key=key, codec=self._codec)
        target.update(self, *objs)
        return target

    def __or__(self, other: HyperLogLog[T]) -> HyperLogLog[T]:
        """``h | other``: :meth:`union`."""
        return self.union(other) if isinstance(other, HyperLogLog) else NotImplemented

    def __ior__(self, other: HyperLogLog[T]) -> Self:
        """``h |= other``: :meth:`update`."""
        if not isinstance(other, HyperLogLog):
            return NotImplemented
        self.update(other)
        return self

    def __len__(self) -> int:
        """``len(h)``: the number of different elements, estimated.  O(1), 1 round trip."""
        return self._run(self._ops.size())

    def __contains__(self, value: object) -> bool:
        """``value in h``: False is certain, True less and less so.  O(1), 1 round trip; writes a temporary copy."""
        return self._run(self._ops.contains(value))

    def contains_many(self, *values: object) -> Iterator[bool]:
        """Yield for each of ``values`` whether it is (maybe) there.

        O(n), 1 round trip, atomic up to a thousand elements; writes temporary copies.
        """
        return iter(self._drive(self._ops.contains_many(values)))

    def __repr__(self) -> str:
        """Show the key and the length.  O(1), 1 round trip."""
        return f"<{type(self).__qualname__} key={self.key} len={len(self)}>"

"""RedisDeque: ``collections.deque`` in Redis."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import SupportsIndex, TypeVar

from typing_extensions import Self

from pottery_like._io import servers
from pottery_like._io.sync import Client
from pottery_like._ops.deque import DequeOps, checked_maxlen
from pottery_like.codecs import Codec
from pottery_like.sequence import RedisSequence

T = TypeVar("T")


class RedisDeque(RedisSequence[T]):
    """A double-ended queue in Redis that works like ``collections.deque``.

    >>> letters = RedisDeque('gh', redis=redis, key='letters')
    >>> letters.append('i')
    >>> letters.appendleft('f')
    >>> letters
    RedisDeque(['f', 'g', 'h', 'i'])
    >>> letters.popleft()
    'f'

    Every method is one round trip and atomic; beyond a thousand elements, iteration goes by pages and bulk writes by
    pipelined chunks.  What differs from ``deque``:

    - Elements are what the codec carries, by default JSON; tuples come back as lists.
    - Reading gives plain values: ``d[0]['a'] = 1`` changes a copy.  Use :meth:`edit` or :meth:`transform`.
    - ``maxlen`` belongs to this object, not to the key: what somebody adds without one isn't bounded by it.
    - ``+``, ``*`` and :meth:`copy` return an anonymous RedisDeque with the same ``maxlen``.
    - Iteration sees changes made meanwhile, a page of a thousand elements at a time; it raises no RuntimeError.

    :param iterable: elements to start with; of more than ``maxlen``, the last.
    :param maxlen: how many elements to keep; more than these fall off the other end.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: there are elements to start with, but the key exists.  Nothing is changed then.
    :raises IndexError: the key exists with more than ``maxlen`` elements.  Only with a ``maxlen`` and without
        elements to start with is that looked up: 1 round trip.
    :raises TypeError: ``maxlen`` isn't an integer.
    :raises ValueError: ``maxlen`` is negative.
    """

    _OPS = DequeOps
    _BUILTIN = collections.deque
    _ops: DequeOps[T]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        iterable: Iterable[T] = (),
        maxlen: int | None = None,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[T] | None = None,
        redis_url: str | None = None,
    ) -> None:
        source = servers.checked(redis, redis_url, Client)
        self._attach(source, key, codec, maxlen=checked_maxlen(maxlen))
        self._fill(self._ops.fill_bounded(iterable, type(self).__qualname__))

    @property
    def maxlen(self) -> int | None:
        """How many elements are kept, or None: any number."""
        return self._ops.maxlen

    def __getitem__(self, index: SupportsIndex) -> T:  # type: ignore[override]
        """``d[index]``.  O(distance from an end), 1 round trip.

        :raises IndexError: there is no such element.
        """
        return self._run(self._ops.get(index))

    def __setitem__(self, index: SupportsIndex, value: T) -> None:  # type: ignore[override]
        """``d[index] = value``.  O(distance from an end), 1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        self._drive(self._ops.set(index, value))

    def __delitem__(self, index: SupportsIndex) -> None:  # type: ignore[override]
        """``del d[index]``.  O(distance from an end), 1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        self._run(self._ops.delete(index))

    def appendleft(self, value: T, /) -> None:
        """Add ``value`` at the left end.  O(1), 1 round trip, atomic.

        :raises TypeError: or ValueError: the codec can't carry ``value``; nothing is sent.
        """
        self._run(self._ops.append(value, "LPUSH"))

    def extendleft(self, values: Iterable[T], /) -> None:
        """Add ``values`` at the left end, one after the other, so that they end up in reverse order.

        O(len(values)), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        """
        self._drive(self._ops.extend(self._elements(values), "LPUSH"))

    def pop(self) -> T:  # type: ignore[override]
        """Remove the rightmost element and return it.  O(1), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the element.

        :raises IndexError: the deque is empty.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return self._run(self._ops.pop_end("RPOP"))

    def popleft(self) -> T:
        """Remove the leftmost element and return it; see :meth:`pop`."""
        return self._run(self._ops.pop_end("LPOP"))

    def rotate(self, n: SupportsIndex = 1, /) -> None:
        """Rotate ``n`` steps to the right, or ``-n`` steps to the left.

        O(min(n, len(d) - n)) on the server, 1 round trip, atomic.
        """
        self._run(self._ops.rotate(n))

    def __radd__(self, other: collections.deque[T]) -> Self:
        """``other + d``: an anonymous RedisDeque with the ``maxlen`` of ``other``; see ``+``."""
        if not isinstance(other, collections.deque):
            return NotImplemented
        target = self._sibling("sum", maxlen=other.maxlen)
        self._drive(self._ops.concat(target._ops, other, "LPUSH"))
        return target

    def __repr__(self) -> str:
        """Show all elements.  O(n), 1 round trip."""
        bound = "" if self.maxlen is None else f", maxlen={self.maxlen}"
        return f"{type(self).__qualname__}({self.to_list()}{bound})"

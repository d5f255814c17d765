"""RedisList: ``list`` in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex, TypeVar, overload

from typing_extensions import Self

from pottery_like._io.sync import Client
from pottery_like._ops.list import ListOps
from pottery_like.codecs import Codec
from pottery_like.sequence import RedisSequence

T = TypeVar("T")


class RedisList(RedisSequence[T]):
    """A sequence in Redis that works like ``list``.

    >>> squares = RedisList([1, 4, 9, 16, 25], redis=redis, key='squares')
    >>> squares[-3:]
    [9, 16, 25]
    >>> squares.append(36)
    >>> squares
    RedisList[1, 4, 9, 16, 25, 36]
    >>> squares + [49, 64]
    RedisList[1, 4, 9, 16, 25, 36, 49, 64]

    Every method is one round trip and atomic; beyond a thousand elements, iteration goes by pages and bulk writes by
    pipelined chunks.  What differs from ``list``:

    - Elements are what the codec carries, by default JSON; tuples come back as lists.
    - Both ends are O(1).  What is in the middle costs its distance from the nearer end, on the server.
    - Reading gives plain values, and slices plain lists: ``l[0]['a'] = 1`` changes a copy.  Use :meth:`edit` or
      :meth:`transform`.
    - ``+``, ``*`` and :meth:`copy` return an anonymous RedisList.
    - Iteration sees changes made meanwhile, a page of a thousand elements at a time.
    - :meth:`sort` changes nothing when it raises.

    :param iterable: elements to start with.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: there are elements to start with, but the key exists.  Nothing is changed then.
    """

    _OPS = ListOps
    _BUILTIN = list
    _ops: ListOps[T]  # pyright: ignore[reportIncompatibleVariableOverride]

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

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: Any) -> Any:
        """``l[index]``, or ``l[start:stop:step]`` as a plain list.

        An element: O(distance from an end).  A slice: O(n); only its own elements are sent.  1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        return self._run(self._ops.get_slice(index) if isinstance(index, slice) else self._ops.get(index))

    @overload
    def __setitem__(self, index: SupportsIndex, value: T) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[T]) -> None: ...
    def __setitem__(self, index: Any, value: Any) -> None:
        """``l[index] = value``, or ``l[start:stop:step] = values``.

        An element: O(distance from an end).  A slice: O(its size and the elements on the shorter side of it).
        1 round trip, atomic; more than a thousand values are sent in pipelined chunks before.

        :raises IndexError: there is no such element.
        :raises ValueError: a slice with a step other than 1 is of another size than ``values``.
        """
        if isinstance(index, slice):
            self._drive(self._ops.set_slice(index, self._elements(value)))
        else:
            self._drive(self._ops.set(index, value))

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        """``del l[index]``, or ``del l[start:stop:step]``.

        O(distance from an end), or a slice's size and the elements on its shorter side.  1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        self._run(self._ops.delete_slice(index) if isinstance(index, slice) else self._ops.delete(index))

    def pop(self, index: SupportsIndex = -1, /) -> T:
        """Remove the element at ``index`` and return it.  O(distance from an end), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the element.

        :raises IndexError: there is no such element.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return self._run(self._ops.pop(index))

    def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, stably.  O(n log n), atomic.

        The elements are read and sorted here; then the server is told the order, 4 bytes for each.  2 round trips,
        and 2 more for each time that somebody else changes the list meanwhile.

        :param key: what to sort an element by.
        :param reverse: descending.
        :raises TypeError: elements can't be ordered; nothing is changed.
        :raises ConcurrentEditError: the list changed at each of 200 attempts; nothing is changed.
        """
        self._drive(self._ops.sort(key, reverse))

    def __radd__(self, other: list[T]) -> Self:
        """``other + l``: an anonymous RedisList; see ``+``."""
        if not isinstance(other, list):
            return NotImplemented
        target = self._sibling("sum")
        self._drive(self._ops.concat(target._ops, other, "LPUSH"))
        return target

    def __repr__(self) -> str:
        """Show all elements.  O(n), 1 round trip."""
        return f"{type(self).__qualname__}{self.to_list()}"

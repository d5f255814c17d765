"""AIORedisDeque: :class:`~pottery_like.RedisDeque` for asyncio."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import SupportsIndex, TypeVar

from pottery_like._io import servers
from pottery_like._io.aio import Client
from pottery_like._ops.deque import DequeOps, checked_maxlen
from pottery_like.aio.sequence import AIORedisSequence
from pottery_like.codecs import Codec

T = TypeVar("T")


class AIORedisDeque(AIORedisSequence[T]):
    """:class:`~pottery_like.RedisDeque` for asyncio: the same operations on the same data, awaited.

    >>> async def main():
    ...     letters = await AIORedisDeque('gh', redis=aioredis, key='aio-letters')
    ...     await letters.appendleft('f')
    ...     print(await letters.pop(), await letters.to_list())
    >>> asyncio.run(main())
    h ['f', 'g']

    Differences from ``deque``, costs and errors are RedisDeque's.

    :param iterable: elements to start with; they are stored when the container is awaited.
    :param maxlen: how many elements to keep; more than these fall off the other end.
    :param redis: see :class:`~pottery_like.aio.base.AIOContainer`, as ``key``, ``codec`` and ``redis_url``.
    :raises KeyExistsError: on awaiting: there are elements to start with, but the key exists.
    :raises IndexError: on awaiting: the key exists with more than ``maxlen`` elements.
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
        self._filling = self._ops.fill_bounded(iterable, type(self).__qualname__)

    @property
    def maxlen(self) -> int | None:
        """How many elements are kept, or None: any number."""
        return self._ops.maxlen

    async def __getitem__(self, index: SupportsIndex) -> T:
        """``await d[index]``.  O(distance from an end), 1 round trip.

        :raises IndexError: there is no such element.
        """
        return await self._run(self._ops.get(index))

    async def set(self, index: SupportsIndex, value: T) -> None:
        """``d[index] = value``.  O(distance from an end), 1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        await self._drive(self._ops.set(index, value))

    async def delete(self, index: SupportsIndex) -> None:
        """``del d[index]``.  O(distance from an end), 1 round trip, atomic.

        :raises IndexError: there is no such element.
        """
        await self._run(self._ops.delete(index))

    async def appendleft(self, value: T, /) -> None:
        """Add ``value`` at the left end.  O(1), 1 round trip, atomic.

        :raises TypeError: or ValueError: the codec can't carry ``value``; nothing is sent.
        """
        await self._run(self._ops.append(value, "LPUSH"))

    async def extendleft(self, values: Iterable[T] | AIORedisSequence[T], /) -> None:
        """Add ``values`` at the left end, one after the other, so that they end up in reverse order.

        O(len(values)), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.
        """
        await self._drive(self._ops.extend(await self._elements(values), "LPUSH"))

    async def pop(self) -> T:
        """Remove the rightmost element and return it.  O(1), 1 round trip, atomic.

        It is never sent twice: when the reply is lost, so may be the element.

        :raises IndexError: the deque is empty.
        :raises DecodeError: the element isn't the codec's; the exception carries its bytes.
        """
        return await self._run(self._ops.pop_end("RPOP"))

    async def popleft(self) -> T:
        """Remove the leftmost element and return it; see :meth:`pop`."""
        return await self._run(self._ops.pop_end("LPOP"))

    async def rotate(self, n: SupportsIndex = 1, /) -> None:
        """Rotate ``n`` steps to the right, or ``-n`` steps to the left.

        O(min(n, len(d) - n)) on the server, 1 round trip, atomic.
        """
        await self._run(self._ops.rotate(n))

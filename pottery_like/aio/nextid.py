"""AIONextID: :class:`~pottery_like.NextID` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from typing_extensions import Self

from pottery_like._io import servers
from pottery_like._io.aio import Client
from pottery_like._io.aio_dialogues import Conductor
from pottery_like._io.reserved import Reserved
from pottery_like._ops.nextid import TIMEOUT, Sequence


class AIONextID(Sequence, AsyncIterator[int]):
    """:class:`~pottery_like.NextID` for asyncio: the same sequences, awaited.

    >>> async def main():
    ...     tweet_ids = AIONextID(key='aio-tweet-ids', masters=[aioredis])
    ...     print(await anext(tweet_ids))
    ...     async for tweet_id in tweet_ids:
    ...         print(tweet_id)
    ...         if tweet_id >= 3:
    ...             break
    >>> asyncio.run(main())
    1
    2
    3

    Guarantees, costs and errors are NextID's.  Tasks may share an object, and forked children inherit it.  A call that
    is cancelled may skip an id.

    :param key: see :class:`~pottery_like.NextID`, as ``raise_on_redis_errors``, ``num_tries`` and ``block``.
    :param masters: asyncio clients, URLs, or dicts of ``host`` and ``port``; one, or an iterable.
    :raises TypeError: an argument of the wrong type, before anything is sent.
    :raises ValueError: an argument out of range, before anything is sent.
    """

    def __init__(
        self,
        *,
        key: str = "current",
        masters: Client | str | Mapping[str, Any] | Iterable[Client | str | Mapping[str, Any]] = (),
        raise_on_redis_errors: bool = False,
        num_tries: int = 3,
        block: int = 1,
    ) -> None:
        self._configure(key, raise_on_redis_errors, num_tries, block)
        self._sources = servers.masters(masters, Client)
        self._made_conductor: tuple[asyncio.AbstractEventLoop, Conductor] | None = None
        self._reserved = Reserved()
        self._reserving: asyncio.Task[None] | None = None

    @property
    def masters(self) -> frozenset[Client]:
        """The masters' clients."""
        return frozenset(self._conductor.clients)

    @property
    def _conductor(self) -> Conductor:
        made, loop = self._made_conductor, asyncio.get_running_loop()
        if made is None or made[0] is not loop:
            # The library's own clients belong to the event loop that they were first used in.
            made = loop, Conductor(self._sources, self._ops.key.encode(), TIMEOUT, patient=True)
            self._made_conductor = made
        return made[1]

    async def _reserve(self) -> range:
        conductor = self._conductor
        return await conductor.conduct(self._ops.reserve(conductor.clients))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        """``await anext(ids)``.  O(1); round trips and errors are those of :meth:`NextID.__next__`."""
        if self._ops.block == 1:
            return (await self._reserve()).start
        while (value := self._reserved.take()) is None:
            await self._replenish()
        return value

    async def _replenish(self) -> None:
        # All tasks wait for one block, and a task that is cancelled meanwhile takes none from the others.
        task, loop = self._reserving, asyncio.get_running_loop()
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._reserving = loop.create_task(self._reserve_block())
            # Its error is raised by those who wait for it; asyncio need not report it when nobody does any more.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    async def _reserve_block(self) -> None:
        self._reserved.replace(await self._reserve())

    async def reset(self) -> None:
        """Start again at 1, on all masters.  O(1), 1 round trip for each.

        Ids after that repeat those before it; other objects go on with what is left of their blocks.

        :raises QuorumNotAchieved: a master failed.  It keeps its counter, so the sequence may go on from there.
        :raises QuorumIsImpossible: too many masters failed, with ``raise_on_redis_errors``.
        """
        conductor = self._conductor
        await conductor.conduct(self._ops.reset(conductor.clients))
        self._reserved.replace(range(0))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: the key and the masters' arguments (passwords included), no reserved ids."""
        return _revived, (type(self), list(map(servers.portable, self._sources or (None,))), self._options)


def _revived(cls: type[AIONextID], sources: list[str | bytes | dict[str, Any]], options: dict[str, Any]) -> AIONextID:
    return cls(masters=list(map(servers.revived, sources)), **options)

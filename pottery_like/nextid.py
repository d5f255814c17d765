"""NextID: increasing ids, unique over processes and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from typing_extensions import Self

from pottery_like._io import servers
from pottery_like._io.dialogues import Conductor
from pottery_like._io.reserved import Reserved
from pottery_like._io.sync import Client
from pottery_like._ops.nextid import TIMEOUT, Sequence


class NextID(Sequence, Iterator[int]):
    """An endless iterator of increasing integers, none of which is ever handed out twice.

    >>> tweet_ids = NextID(key='tweet-ids', masters={redis})
    >>> next(tweet_ids), next(tweet_ids)
    (1, 2)
    >>> hundreds = NextID(key='tweet-ids', masters={redis}, block=100)
    >>> next(hundreds), next(hundreds), next(tweet_ids)
    (3, 4, 103)

    Ids may be skipped: by clients that race over several masters, by a lost reply, and by a process that ends with
    part of its block unused.  An id from a call that begins after another call's end is the higher one, over all
    clients; with blocks that holds for each NextID object.  Objects are safe to share between threads and to
    inherit by fork.

    :param key: the sequence's name.  It is kept under the Redis key ``nextid:KEY``, shared with Pottery.
    :param masters: independent Redis servers: clients, URLs, or dicts of ``host`` and ``port``; one, or an iterable.
        An id needs more than half of them.  Omitted, the default server, see :class:`~pottery_like.base.Container`.
    :param raise_on_redis_errors: raise QuorumIsImpossible as soon as too many masters fail, instead of trying again
        and raising QuorumNotAchieved.
    :param num_tries: how often to try while too few of several masters answer.  Races with other clients don't count.
        With one master, its client's own retries apply.
    :param block: how many ids to reserve at once and then hand out without a round trip.
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
        self._made_conductor: Conductor | None = None
        self._reserved = Reserved()

    @property
    def masters(self) -> frozenset[Client]:
        """The masters' clients."""
        return frozenset(self._conductor.clients)

    @property
    def _conductor(self) -> Conductor:
        if self._made_conductor is None:
            self._made_conductor = Conductor(self._sources, self._ops.key.encode(), TIMEOUT, patient=True)
        return self._made_conductor

    def _reserve(self) -> range:
        conductor = self._conductor
        return conductor.conduct(self._ops.reserve(conductor.clients))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        """``next(ids)``.  O(1).

        Round trips: one with one master, two with several, plus one for each race lost to another client; with
        blocks, none until the block is used up.

        :raises QuorumNotAchieved: too few masters answered, in all tries.
        :raises QuorumIsImpossible: the same, with ``raise_on_redis_errors``, at once.
        :raises OverflowError: the ids have come to 2**63 - 1, where Redis ends.
        """
        if self._ops.block == 1:
            return self._reserve().start
        reserved = self._reserved
        # While one thread reserves the next block, the others wait for it instead of reserving blocks of their own.
        with reserved.lock:
            while True:
                for value in reserved.ids:
                    return value
                reserved.ids = iter(self._reserve())

    def reset(self) -> None:
        """Start again at 1, on all masters.  O(1), 1 round trip for each.

        Ids after that repeat those before it; other objects go on with what is left of their blocks.

        :raises QuorumNotAchieved: a master failed.  It keeps its counter, so the sequence may go on from there.
        :raises QuorumIsImpossible: too many masters failed, with ``raise_on_redis_errors``.
        """
        conductor = self._conductor
        conductor.conduct(self._ops.reset(conductor.clients))
        self._reserved.replace(range(0))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: the key and the masters' arguments (passwords included), no reserved ids."""
        return _revived, (type(self), list(map(servers.portable, self._sources or (None,))), self._options)


def _revived(cls: type[NextID], sources: list[str | bytes | dict[str, Any]], options: dict[str, Any]) -> NextID:
    return cls(masters=list(map(servers.revived, sources)), **options)

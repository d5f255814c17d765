"""What both worlds share about following what caches publish: whom a message concerns, and whether it may be missed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pottery_like._core.coherence import Tiers
from pottery_like._core.replies import Refusal

EVENTS = (b"update", b"delete")


def channels(tiers: Iterable[Any]) -> tuple[bytes, ...]:
    """Return the channels in which tiers are told of changes: ``<name>/update`` and ``<name>/delete``."""
    names = sorted({prefix[:-1] for tier in tiers for prefix in tier.prefixes})
    return tuple(name + b"/" + event for name in names for event in EVENTS)


class Line:
    """A connection subscribed to channels: what it has said, and since when nothing can have been missed.

    :param tiers: who hears of changes.
    :param max_stale: seconds for which a proof may be relied on.
    :ivar wanted: the channels it is subscribed to.
    :ivar good_until: until when it is proved to be alive.
    """

    def __init__(self, tiers: Tiers, max_stale: float) -> None:
        self.wanted: tuple[bytes, ...] = ()
        self.good_until = 0.0
        self._tiers = tiers
        self._max_stale = max_stale
        self._asked = 0.0
        self._subscribed: set[bytes] = set()

    def ask(self, now: float) -> bool:
        """Whether to ask for a sign of life now; it is taken to be done then."""
        if self._asked or now < self.good_until - self._max_stale * 0.65:
            return False
        self._asked = now
        return True

    def take(self, reply: Any) -> None:
        """Take what the connection has brought.

        :raises ValueError: the server refuses.
        """
        if isinstance(reply, Refusal):
            raise ValueError(str(reply))
        if reply[0] == b"message":
            self._tell(reply[1], reply[2])
        elif reply[0] == b"subscribe":
            self._subscribed.add(reply[1])
        elif reply[0] == b"pong" and self._asked:
            # The time before asking counts, as in a link's pulse.
            self.good_until = self._asked + self._max_stale * 0.9
            self._asked = 0.0

    def _tell(self, channel: bytes, text: bytes) -> None:
        name, _, event = channel.rpartition(b"/")
        prefix = name + b":"
        self._tiers.stats.invalidations += 1
        for tier in self._tiers:
            if prefix in tier.prefixes:
                tier.invalidate([prefix + text])
                if tier.told is not None:
                    tier.told(event, prefix + text)

    def covers(self, keys: Iterable[bytes]) -> bool:
        """Whether changes to these keys would be heard of."""
        if time.monotonic() >= self.good_until:
            return False
        prefixes = tuple({each.rpartition(b"/")[0] + b":" for each in self._subscribed})
        return all(key.startswith(prefixes) for key in keys)

    @property
    def due(self) -> float:
        """When to look again, if nothing comes."""
        return self.good_until if self._asked else self.good_until - self._max_stale * 0.65

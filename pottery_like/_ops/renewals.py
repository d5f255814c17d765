"""Which leases to renew, when, and all together: the renewers' decisions in either world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pottery_like._core.dialogue import Ask
from pottery_like._ops.holds import Hold, now
from pottery_like._ops.locks import Locking

IN_TIME = 3
"""A lease is renewed each time this part of it has passed."""
ONCE_MORE = 12
"""A renewal that failed is tried again after this part of the lease."""
ALONG = 8
"""Leases due within this part of theirs are renewed along with those due now."""


class Renewals:
    """The leases of all locks on the same masters."""

    def __init__(self) -> None:
        self._kept: dict[Hold, tuple[Locking, Callable[[], None]]] = {}
        self._due: dict[Hold, float] = {}

    def keep(self, hold: Hold, locking: Locking, lost: Callable[[], None]) -> None:
        """Renew this lease until it is dropped; call ``lost`` if that fails."""
        self._kept[hold] = locking, lost
        self._due[hold] = now() + locking.lease / IN_TIME

    def drop(self, hold: Hold) -> None:
        """Stop renewing."""
        self._kept.pop(hold, None)
        self._due.pop(hold, None)

    @property
    def pause(self) -> float | None:
        """Seconds until something is due; None when nothing is kept."""
        return max(0.0, min(self._due.values()) - now()) if self._due else None

    def batch(self) -> dict[Hold, Locking]:
        """Return what to renew now."""
        return {
            hold: locking
            for hold, (locking, _) in self._kept.items()
            if self._due[hold] - now() <= locking.lease / ALONG
        }

    def ask(self, batch: dict[Hold, Locking]) -> Ask:
        """Return the step that renews a batch.  Each lease has all masters, one lease after the other."""
        ops = tuple(op for hold, locking in batch.items() for op in locking.renewal(hold))
        timeout = min(locking.lease for locking in batch.values()) / 6
        return Ask(ops, timeout, lambda results: len(results) > len(ops) // 2, again=lambda: ops)

    def answered(
        self, batch: dict[Hold, Locking], started: float, replies: Sequence[Any]
    ) -> list[tuple[Hold, Callable[[], None]]]:
        """Note what the masters answered; return the leases that are lost, and whom to tell."""
        gone, width = [], len(replies) // len(batch)
        for index, (hold, locking) in enumerate(batch.items()):
            renewed = locking.renewed(hold, started, replies[index * width : (index + 1) * width])
            if hold not in self._kept:
                continue
            if not hold.lost and not hold.released:
                self._due[hold] = now() + locking.lease / (IN_TIME if renewed else ONCE_MORE)
                continue
            gone.append((hold, self._kept[hold][1]))
            self.drop(hold)
        return [(hold, lost) for hold, lost in gone if hold.lost]

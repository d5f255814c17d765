"""Who holds what through one lock object: kept locally, so that nobody gives up what somebody else holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pottery_like._core.dialogue import Ask


def _best() -> Callable[[], float]:
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else partial(time.clock_gettime, boot)


now = _best()
"""Returns the local time in seconds, from a clock that nobody sets and that goes on while the machine sleeps."""


@dataclass(eq=False, slots=True)
class Hold:
    """One acquisition.

    :param token: what the masters hold.
    :param parting: the step that gives it up.
    :param until: the local time until which the lease lasts for certain.
    :param fence: the fencing token; None with several masters.
    :ivar owner: the thread or task that acquired it.
    :ivar process: the process that acquired it: a fork's child holds nothing.
    :ivar depth: how often its owner acquired it, in the re-entrant mode.
    :ivar entered: whether a ``with`` block will give it up.
    :ivar extensions: how often it was extended by hand.
    :ivar released: whether it was given up, or is just being given up.
    :ivar gone: whether the masters said that it is held no more.
    """

    token: str
    parting: Ask
    until: float
    fence: int | None
    owner: Any = None
    process: int = field(default_factory=os.getpid)
    depth: int = 1
    entered: bool = False
    extensions: int = 0
    released: bool = False
    gone: bool = False

    @property
    def lost(self) -> bool:
        """Whether the lease ended before it was given up."""
        return self.gone or (not self.released and now() >= self.until)


class Holds:
    """The acquisitions made through one lock object.

    A thread (or task) gives up its own; only one that has none gives up another's, as ``threading.Lock`` allows.
    A lease that has ended is kept until its owner learns of it, so that its late release hits nobody else's.  So is one
    whose release failed because masters did, to be released once more.

    :param alive: whether an owner still runs.
    """

    def __init__(self, alive: Callable[[Any], bool]) -> None:
        self._alive = alive
        self._holds: list[Hold] = []

    def add(self, hold: Hold) -> None:
        """Take note of an acquisition."""
        for each in list(self._holds):
            if self._spent(each, hold):
                self.remove(each)
        self._holds.append(hold)

    def _spent(self, hold: Hold, newer: Hold) -> bool:
        if hold.process != newer.process:
            return True
        over = hold.released or (hold.lost and not hold.entered)
        return over and (hold.owner is newer.owner or not self._alive(hold.owner))

    def find(self, owner: Any) -> Hold | None:
        """Return the owner's latest acquisition, or else the latest of all."""
        process = os.getpid()
        latest = None
        for hold in self._holds[::-1]:
            if hold.process == process:
                if hold.owner is owner:
                    return hold
                latest = latest or hold
        return latest

    def own(self, owner: Any) -> Hold | None:
        """Return the owner's latest acquisition."""
        hold = self.find(owner)
        return hold if hold is not None and hold.owner is owner else None

    def leave(self, owner: Any) -> Hold | None:
        """Return the acquisition of the owner's innermost ``with`` block, or else of the latest.

        An exit stack may be closed by another thread or task than the one that filled it.
        """
        process = os.getpid()
        entered = [hold for hold in reversed(list(self._holds)) if hold.entered and hold.process == process]
        return next((hold for hold in entered if hold.owner is owner), entered[0] if entered else None)

    def remove(self, hold: Hold) -> None:
        """Forget an acquisition."""
        # One C call each: threads share the list.
        if hold in self._holds:
            self._holds.remove(hold)

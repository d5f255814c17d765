"""When a local copy may be trusted.  Nothing here does I/O.

Two connections to each master make a *link*.  One listens, subscribed to the server's invalidation channel.  The other
is tracked: the server sends to the first one the names of the keys, beginning with certain prefixes, that anybody but
this connection itself changes.  Why no copy is older than ``max_stale`` seconds:

1. A copy is kept only if its key was announced (a placeholder) before it was read, if the link was alive before the
   read was sent, and if the placeholder is still there after the reply.  The server tells of every later change, and
   telling removes copy and placeholder alike, in whatever order the news and the reply come.
2. The server tells of a change before it answers whoever made it, and in order: an answer on the listening connection
   to a question asked at time *t* comes after the news of all that was finished by *t*, as long as the tracked
   connection was still there at *t*.  So both are asked, over and over; the link is proved up to the earlier of the
   two questions last answered, and dead when that proof is too old.  What counts is the time *before* the question was
   sent: a thread that is held up anywhere, for however long, can only make a proof look older than it is.
3. Whenever a link ends, or may have missed something (other prefixes, another role, another shape of the cluster),
   every copy and placeholder goes first, and nothing is kept until a new link has been proved.  A reading thread that
   was held up in between finds its placeholder gone.
4. An own write may stay as a copy if it went through the tracked connection.  The server remembers for each key who
   changed it last in a turn of its event loop, and leaves out only what the tracked connection itself changed last.
   Swallowing news of one's own instead would lose somebody else's write in the same turn.  As nobody tells of such a
   write, it must itself end whatever else was going on with the key here: either its own placeholder is still there
   and it becomes the copy, or copy and placeholder go, whoever's they are.
5. A reply from another server than the one the link leads to (a master that was replaced, a name that now leads
   elsewhere) proves nothing and isn't kept.  A link whose server has stopped being a master is dead.

What remains is the time between a connection's silent death and the end of its proof, ``max_stale`` at most, and the
time that the interpreter needs to let the listening thread run.
"""

from __future__ import annotations

import math
import random
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Protocol

BEATS: Final = 4
"""How many heartbeats fit into the time for which a proof is good."""

EARLY: Final = 0.03
"""Seconds by which sweeps come before the deadlines, so that they are over by then."""

SHORTEST: Final = 0.05
LONGEST: Final = 5.0
"""Seconds between attempts to make a link: at first, and in the end."""

STEADY: Final = 1.0
"""Seconds that a link must have lived for the next one to be made as soon as the first."""

REFUSED: Final = 30.0
"""Seconds until a server that refused is asked again: its permissions may have changed."""


class Tier(Protocol):
    """What a cache gives the listener.  Its methods are called by any thread, and must not wait for the server.

    In a forked child, :meth:`drop` is called before anything else runs there.  A lock of the tier may then be held by
    a thread that exists in the parent only: a tier that has locks gives a method ``renew()``, called before, that makes
    them anew.
    """

    prefixes: tuple[bytes, ...]
    """The Redis keys it caches begin with one of these."""

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """Forget keys that others have changed; there may be keys of other prefixes among them."""

    def drop(self) -> None:
        """Forget everything, placeholders included: anything may be stale."""

    def sweep(self, now: float) -> float:
        """Forget what is due at ``now``, in ``time.monotonic()``'s seconds; return when to call again, or ``inf``."""
        ...


@dataclass(slots=True)
class Stats:
    """What has happened to a tracker's links.

    :ivar reconnects: how many links were made after the first one to each server.
    :ivar invalidations: how many changed keys the servers have named.
    :ivar drops: how often all copies were dropped.
    """

    reconnects: int = 0
    invalidations: int = 0
    drops: int = 0


def minimal(prefixes: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the prefixes that cover the same keys without overlapping, as a server demands."""
    found: list[bytes] = []
    for prefix in sorted(set(prefixes)):
        # In this order, what covers a prefix comes right before those it covers.
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return tuple(found)


def additions(registered: Sequence[bytes], wanted: Sequence[bytes]) -> tuple[bytes, ...] | None:
    """Return the prefixes to add to those registered, or None if that takes a new beginning.

    :param wanted: minimal, and covering at least what the caller needs.
    """
    missing = tuple(each for each in wanted if not each.startswith(tuple(registered)))
    return None if any(each.startswith(missing) for each in registered) else missing


class Pulse:
    """Whether a link is provably alive.

    :param max_stale: seconds for which a proof may be relied on.
    :param sent: when the first question, answered on both connections, was sent.
    """

    def __init__(self, max_stale: float, sent: float) -> None:
        # The end of a proof is noticed a moment later, which counts too.
        self._good_for = max_stale * 0.9
        self._pause = max_stale / BEATS
        self._heard = self._tracked = sent
        self.good_until = sent + self._good_for

    def heard(self, sent: float) -> None:
        """Note that the listening connection has answered a question sent at this time."""
        self._heard = max(self._heard, sent)
        self.good_until = min(self._heard, self._tracked) + self._good_for

    def tracked(self, sent: float) -> None:
        """Note the same of the tracked connection."""
        self._tracked = max(self._tracked, sent)
        self.good_until = min(self._heard, self._tracked) + self._good_for

    @property
    def listening_due(self) -> float:
        """When to ask the listening connection next."""
        return self._heard + self._pause

    @property
    def tracked_due(self) -> float:
        """When to ask the tracked connection next."""
        return self._tracked + self._pause


class Backoff:
    """How long to wait before trying again; each time longer, and not in step with others."""

    def __init__(self) -> None:
        self._next = SHORTEST

    def pause(self) -> float:
        """Return the seconds to wait after one more failure."""
        seconds, self._next = self._next, min(LONGEST, self._next * 2)
        return seconds * (0.5 + random.random() / 2)

    def reset(self) -> None:
        """Begin anew, after a success that lasted."""
        self._next = SHORTEST


class Tiers:
    """The tiers that hear from one client's links, kept weakly."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[Any]] = {}
        self._due: dict[int, float] = {}
        self.stats = Stats()

    def __len__(self) -> int:
        return len(self._references)

    def add(self, tier: Tier, gone: Callable[[], object]) -> None:
        """Take up a tier.

        :param gone: called when it has been collected.
        """
        number = id(tier)

        def end(_: object) -> None:
            self._references.pop(number, None)
            self._due.pop(number, None)
            gone()

        self._references[number] = weakref.ref(tier, end)
        self._due[number] = 0.0

    def discard(self, tier: Tier) -> None:
        """Give up a tier."""
        self._references.pop(id(tier), None)
        self._due.pop(id(tier), None)

    def __iter__(self) -> Any:
        return iter([tier for tier in (each() for each in list(self._references.values())) if tier is not None])

    @property
    def told(self) -> bool:
        """Whether anybody is to be told of changes, who may never ask for anything."""
        return any(getattr(tier, "heard", None) is not None for tier in self)

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """The minimal prefixes of all."""
        return minimal(prefix for tier in self for prefix in tier.prefixes)

    def invalidate(self, keys: Sequence[bytes], but: object = None) -> None:
        """Tell the tiers about changed keys.

        :param but: the tier that has changed them, and knows.
        """
        if but is None:
            self.stats.invalidations += len(keys)
        for tier in self:
            if tier is but:
                continue
            try:
                tier.invalidate(keys)
            except Exception as error:
                self._failed(tier, error)

    def drop(self) -> None:
        """Have all tiers forget everything."""
        self.stats.drops += 1
        for tier in self:
            tier.drop()

    @staticmethod
    def _failed(tier: Tier, error: Exception) -> None:
        # It must not go on with what it should have forgotten; and the other tiers must go on.
        tier.drop()
        told: Any = SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__)
        told.object, told.err_msg = tier, "A cache could not forget what has changed"
        sys.unraisablehook(told)

    def forked(self) -> None:
        """Have all tiers forget everything, in a forked child."""
        for tier in self:
            getattr(tier, "renew", bool)()
            tier.drop()

    def sweep(self, now: float) -> float:
        """Sweep the tiers whose time has nearly come; return when to call again."""
        for number, when in list(self._due.items()):
            if when - EARLY <= now:
                reference = self._references.get(number)
                tier = reference() if reference is not None else None
                if tier is None:
                    self._due.pop(number, None)
                    continue
                # Set before: an earlier wish that comes meanwhile must not be lost.
                self._due[number] = math.inf
                try:
                    later = tier.sweep(now + EARLY)
                except Exception as error:
                    self._failed(tier, error)
                    continue
                self._due[number] = min(self._due.get(number, math.inf), later)
        return min(list(self._due.values()), default=math.inf) - EARLY

    def wake(self, when: float) -> bool:
        """Note that a sweep is due at this time; whether that is news."""
        earliest = math.inf
        for number, due in list(self._due.items()):
            earliest = min(earliest, due)
            if when < due:
                self._due[number] = when
        return when < earliest

"""What both worlds note about a client's servers: to which there are links, and to which there are still to be some."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

from redis.exceptions import RedisClusterException, RedisError

from pottery_like._core.coherence import REFUSED, STEADY, Backoff, Pulse, Stats
from pottery_like._core.op import Op
from pottery_like._io.watching import refusal

LAYOUT = " layout"
"""What stands among the servers to reach for the wish to know them anew."""


class Reached(Protocol):
    """What is noted about a link."""

    born: float
    closed: bool
    dead: bool
    pulse: Pulse


L = TypeVar("L", bound=Reached)


class Reach(Generic[L]):
    """The links to a client's servers, by the servers' names; a server that stands alone has none.

    Nothing here does I/O or waits; several threads need a lock.

    :param clustered: whether the servers are a cluster's masters, which have to be asked for.
    :param stats: where it is counted how often a server was reached again.
    :ivar active: whether there are to be links.
    :ivar attempts: when to try to reach what isn't reached yet.
    :ivar relearn: whether the cluster may have changed since it was asked for its masters.
    """

    def __init__(self, clustered: bool, stats: Stats) -> None:
        self.active = False
        self.links: dict[str, L] = {}
        self.attempts: dict[str, float] = {}
        self.relearn = False
        self._clustered = clustered
        self._stats = stats
        self._backoffs: dict[str, Backoff] = {}
        self._met: set[str] = set()
        self._rest_until = 0.0

    @property
    def good_until(self) -> float:
        """Until when, in ``time.monotonic()``'s seconds, all links are proved to be alive."""
        links = list(self.links.values())
        if not links or self.attempts or any(link.dead for link in links):
            return -math.inf
        return min(link.pulse.good_until for link in links)

    @property
    def settled(self) -> bool:
        """Whether everything was tried once."""
        return 0.0 not in list(self.attempts.values())

    def link(self, client: Any, op: Op[Any]) -> L | None:
        """Return the link to the server that has the operation's keys."""
        if not self._clustered:
            return self.links.get("")
        try:
            return self.links.get(client.nodes_manager.get_node_from_slot(op.slot).name)
        except (RedisError, RedisClusterException):
            return None

    def hurry(self) -> None:
        """Let :meth:`begin` begin, however short a time ago the last attempt failed."""
        self._rest_until = 0.0

    def begin(self, now: float) -> bool:
        """Want links, unless they are wanted already or could not be had just now; whether that is new."""
        if self.active or now < self._rest_until:
            return False
        self.active = True
        self.attempts = {LAYOUT if self._clustered else "": 0.0}
        return True

    def end(self) -> list[L]:
        """Want links no more; return those there were."""
        self.active = False
        self.attempts.clear()
        links, self.links = self.links, {}
        return list(links.values())

    def reached(self, name: str, link: L) -> bool:
        """Note a new link; whether it is still wanted."""
        if not self.active or name not in self.attempts:
            return False
        del self.attempts[name]
        self.links[name] = link
        self._stats.reconnects += name in self._met
        self._met.add(name)
        return True

    def learned(self, names: Iterable[str]) -> list[L]:
        """Note the names of a cluster's masters; return the links to what is none any more."""
        wanted = set(names)
        self.attempts.pop(LAYOUT, None)
        for name in wanted - self.links.keys():
            self.attempts.setdefault(name, 0.0)
        for name in self.attempts.keys() - wanted:
            del self.attempts[name]
        return [self.links.pop(name) for name in self.links.keys() - wanted]

    def lost(self, link: L, now: float) -> bool:
        """Note that a link has ended, and when to try again; whether it was one of these."""
        name = next((name for name, each in self.links.items() if each is link), None)
        if name is None:
            return False
        del self.links[name]
        if not link.closed:
            backoff = self._backoff(name)
            if now - link.born > STEADY:
                backoff.reset()
            self.attempts[name] = now + backoff.pause()
            if self._clustered:
                self.attempts[LAYOUT] = now + backoff.pause()
                self.relearn = True
        return True

    def failed(self, name: str, error: Exception) -> tuple[float, str]:
        """Return for how many seconds not to try again, and why, if the server refuses."""
        reason = refusal(error)
        if reason is not None:
            return REFUSED, reason
        self.relearn = True
        return self._backoff(name).pause(), ""

    def rest(self, until: float) -> None:
        """Begin nothing before that: nothing goes on by itself, in case nobody wants it any more."""
        self._rest_until = until

    def again(self, name: str, when: float) -> None:
        """Note when to try again what has failed, if it is still wanted."""
        if name in self.attempts:
            self.attempts[name] = when
            if self._clustered and name != LAYOUT:
                self.attempts.setdefault(LAYOUT, when)

    def _backoff(self, name: str) -> Backoff:
        return self._backoffs.setdefault(name, Backoff())

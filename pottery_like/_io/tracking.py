"""Following what others change: the listening side of the caches on one client."""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from pottery_like._core.coherence import LONGEST, Stats, Tier, Tiers
from pottery_like._core.op import Batch, Op
from pottery_like._io.links import Link, peer_of
from pottery_like._io.listener import the_listener
from pottery_like._io.reaching import LAYOUT, Reach
from pottery_like._io.sync import Runner
from pottery_like._io.watching import Hearing, Messages, Noted, Refused, covers, patience, publication, refusal

T = TypeVar("T")


class Tracker:
    """Follows the changes to one client's servers, for all its caches.

    :ivar reason: why the server refuses to track, or empty.
    :ivar max_stale: seconds that a copy may be out of date when a connection has died silently.
    """

    def __init__(self, runner: Runner, max_stale: float, messages: bool = False) -> None:
        self.runner = runner
        self.max_stale = max_stale
        self.reason = ""
        self._tiers = Tiers()
        self._hearing = Messages() if messages else Hearing()
        self._messages = messages
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._reach: Reach[Link] = Reach(self.runner.clustered, self._tiers.stats)
        self._trying: set[str] = set()
        # Only a Sentinel's pool has somebody to ask who the master is.
        pool = getattr(self.runner.client, "connection_pool", None)
        self._whereabouts: Callable[[], Any] | None = getattr(pool, "get_master_address", None)
        self._check_at = time.monotonic()
        self._checking = False

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._tiers.stats

    @property
    def fresh_until(self) -> float:
        """Until when, in ``time.monotonic()``'s seconds, all links are proved to be alive."""
        return self._reach.good_until

    def watch(self, tier: Tier) -> None:
        """Tell a tier of changes, for as long as it exists.

        Returns when the links are there, or have failed for the time being; within the socket timeout.
        """
        self._tiers.add(tier, the_listener().wake)
        self.resume()
        for link in list(self._reach.links.values()):
            self._extend(link)
        # Until it has been swept once, its wishes to be swept earlier are taken for known.
        the_listener().wake()

    def resume(self) -> None:
        """Have the links again, if they were lost or are a forked child's parent's; returns as :meth:`watch` does."""
        self._reach.hurry()
        self._resume()
        self._settled.wait(patience(self.runner.client))

    def forget(self, tier: Tier) -> None:
        """Tell a tier no more."""
        self._tiers.discard(tier)
        the_listener().wake()

    def usable(self, op: Op[Any]) -> bool:
        """Whether what a read of the operation's keys finds may be kept now."""
        link = self._link(op)
        return link is not None and covers(link, op, time.monotonic())

    def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation; also return whether its answer may be kept.  One round trip."""
        note = Noted(self._link(op), op, peer_of)
        result = self.runner.run(op, note)
        return result, note.kept

    def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together; also return for each whether its answer may be kept."""
        noted = [Noted(self._link(op), op, peer_of) for op in ops]
        results = self.runner.batch(Batch(tuple(ops)), lambda index, connection: noted[index](connection))
        return results, [note.kept for note in noted]

    def write(self, op: Op[T], own: Tier | None = None) -> tuple[T, bool]:
        """Run an operation that changes keys; also return whether what it wrote may be kept.

        :param own: the tier that may keep it; the client's others forget the keys.

        Nobody tells of a write that may be kept.  So a tier whose placeholder is gone by then, to another fill or
        another write of its own, forgets the key: placeholder and copy, whoever's they are.  (What a script writes
        is told of like anybody's write: such a copy doesn't stay for long.)
        """
        if self._messages:
            published = publication(op, self._tiers.prefixes)
            return (self.runner.batch(Batch((op, *published), atomic=True)))[0], False
        link = self._link(op)
        connection = link.talk() if link is not None and covers(link, op, time.monotonic()) else None
        if link is None or connection is None:
            try:
                return self.runner.run(op), False
            finally:
                # The server's report comes a little later; here it is known already.
                self._tiers.invalidate(op.keys, own)
        sent, kept = time.monotonic(), False

        def over(answered: bool) -> None:
            nonlocal kept
            kept = answered
            link.give_back(sent if answered else None)

        try:
            result = self.runner.run_on(connection, op, over)
        except BaseException:
            # It may have changed something nevertheless, of which nobody tells.
            self._tiers.invalidate(op.keys)
            raise
        # The server reports to this client only what others have changed.
        self._tiers.invalidate(op.keys, own if kept else None)
        return result, kept and covers(link, op, time.monotonic())

    def wake(self, when: float) -> None:
        """Sweep the tiers at ``when`` already, in ``time.monotonic()``'s seconds."""
        if self._tiers.wake(when):
            the_listener().wake()

    def _link(self, op: Op[Any]) -> Link | None:
        if not self._reach.active:
            self._resume()
        return self._reach.link(self.runner.client, op)

    def _resume(self) -> None:
        with self._lock:
            if not len(self._tiers) or not self._reach.begin(time.monotonic()):
                return
            self._settled.clear()
            the_listener().serve(self)
        the_listener().wake()

    # What the listening thread does.

    def attend(self, now: float) -> float:
        """Do what is due; return when to come again."""
        if not len(self._tiers):
            self.rest()
            return math.inf
        due = self._tiers.sweep(now)
        with self._lock:
            attempts = self._reach.attempts
            ready = [name for name, when in attempts.items() if when <= now and name not in self._trying]
            self._trying.update(ready)
            due = min([due, *(when for name, when in attempts.items() if name not in self._trying)])
        if self._whereabouts is not None and self._reach.links:
            if now >= self._check_at and not self._checking:
                self._checking = True
                if not _started(self._check):
                    self._checking, self._check_at = False, now + LONGEST
            due = min(due, math.inf if self._checking else self._check_at)
        for name in ready:
            # Its greeting may take long: the links that live must be heard meanwhile.
            if not _started(self._try, name):
                with self._lock:
                    self._trying.discard(name)
                    self._reach.attempts[name] = now + LONGEST
        return due

    def lost(self, link: Link) -> None:
        """Note that a link has ended."""
        with self._lock:
            known = self._reach.lost(link, time.monotonic())
        if known and link.closed:
            self.rest()

    def rest(self) -> None:
        """End the links, until there is something to do again."""
        with self._lock:
            links = self._reach.end()
            the_listener().leave(self)
        for link in links:
            link.die()
        self._settled.set()

    def _try(self, name: str) -> None:
        pause: float | None = None
        try:
            if name == LAYOUT:
                self._learn()
            else:
                self._connect(name)
            self.reason = ""
        except Exception as error:
            with self._lock:
                pause, refused = self._reach.failed(name, error)
            self.reason = refused or self.reason
        with self._lock:
            self._trying.discard(name)
            # Who only wants to be told doesn't come to ask for links anew.
            idle = pause is not None and not self._reach.links and not self._trying and not self._tiers.told
        if idle and pause is not None:
            self._reach.rest(time.monotonic() + pause)
            self.rest()
        with self._lock:
            if pause is not None:
                self._reach.again(name, time.monotonic() + pause)
            if not self._trying and self._reach.settled:
                self._settled.set()
        the_listener().wake()

    def _check(self) -> None:
        """Leave a master that Sentinel has replaced; it may take long to hear of that itself."""
        try:
            if self._whereabouts is not None:
                address = self._whereabouts()
                for link in list(self._reach.links.values()):
                    if link.address != address:
                        link.die()
        except (RedisError, OSError):
            pass
        finally:
            self._check_at = time.monotonic() + self.max_stale / 2
            self._checking = False
        the_listener().wake()

    def _learn(self) -> None:
        """Learn the cluster's masters."""
        client: Any = self.runner.client
        if self._reach.relearn:
            self._reach.relearn = False
            client.nodes_manager.initialize()
        with self._lock:
            gone = self._reach.learned(node.name for node in client.get_primaries())
        for link in gone:
            link.die()

    def _node(self, name: str) -> Redis:
        client = self.runner.client
        if isinstance(client, Redis):
            return client
        node = client.get_node(node_name=name)
        if node is None:
            raise RedisError(f"no node {name} any more")
        return client.get_redis_connection(node)

    def _connect(self, name: str) -> None:
        options: dict[str, Any] = {
            "hearing": self._hearing,
            "max_stale": self.max_stale,
            "clustered": self.runner.clustered,
        }
        link = Link(self, self._node(name), self._tiers, wake=the_listener().wake, **options)
        link.open(self._tiers.prefixes)
        with self._lock:
            wanted = self._reach.reached(name, link)
        if not wanted:
            link.close()
            return
        the_listener().take(link)
        self._extend(link)

    def _extend(self, link: Link) -> None:
        try:
            link.extend(self._tiers.prefixes)
        except (RedisError, OSError, Refused) as error:
            self.reason = refusal(error) or self.reason

    def forked(self) -> None:
        """Begin anew in a child process: the links are the parent's."""
        self._tiers.forked()
        self._reset()


def _started(work: Callable[..., None], *arguments: str) -> bool:
    """Do something in a thread of its own; whether there can be one more."""
    try:
        threading.Thread(target=work, args=arguments, name="pottery_like connecting", daemon=True).start()
    except RuntimeError:
        return False
    return True


_trackers: weakref.WeakValueDictionary[tuple[int, bool], Tracker] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def tracker(runner: Runner, max_stale: float = 1.0, *, messages: bool = False) -> Tracker:
    """Return the tracker of a runner's client; the same one for all its caches.

    :param max_stale: seconds, the shortest that any of them wants.
    :param messages: rely on what is published about changes, not on what the server notices: for servers and proxies
        that can't track.  Changes by those who don't publish go unseen.
    """
    # A tracker holds its client, so no other client has this id meanwhile.
    name = id(runner.client), messages
    with _guard:
        found = _trackers.get(name)
        if found is None:
            found = _trackers[name] = Tracker(runner, max_stale, messages)
        found.max_stale = min(found.max_stale, max_stale)
        return found


def _renew() -> None:
    global _guard
    _guard = threading.Lock()
    for each in list(_trackers.values()):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

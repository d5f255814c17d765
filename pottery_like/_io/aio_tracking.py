""":mod:`pottery_like._io.tracking`, for asyncio: it listens while its event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import RedisCluster
from redis.exceptions import RedisError

from pottery_like._core.coherence import Stats, Tier, Tiers
from pottery_like._core.op import Batch, Op
from pottery_like._io.aio import Runner
from pottery_like._io.aio_connections import Place, heeded, within
from pottery_like._io.aio_links import Link, peer_of
from pottery_like._io.reaching import LAYOUT, Reach
from pottery_like._io.watching import Hearing, Messages, Noted, Refused, covers, patience, publication, refusal

T = TypeVar("T")

CHECK = " check"
"""What stands among the attempts for the question to Sentinel."""

IDLE = 60.0
"""Seconds to sleep when nothing is due."""


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._reach: Reach[Link] = Reach(self.runner.clustered, self._tiers.stats)
        self._trying: dict[str, asyncio.Task[None]] = {}
        # Only a Sentinel's pool has somebody to ask who the master is.
        pool = getattr(self.runner.client, "connection_pool", None)
        self._whereabouts: Callable[[], Any] | None = getattr(pool, "get_master_address", None)
        self._check_at = time.monotonic()

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._tiers.stats

    @property
    def fresh_until(self) -> float:
        """Until when, in ``time.monotonic()``'s seconds, all links are proved to be alive."""
        return self._reach.good_until

    async def watch(self, tier: Tier) -> None:
        """Tell a tier of changes, for as long as it exists.

        Returns when the links are there, or have failed for the time being; within the socket timeout.
        """
        self._tiers.add(tier, _waker(weakref.ref(self)))
        await self.resume()
        for link in list(self._reach.links.values()):
            await self._extend(link)
        # Until it has been swept once, its wishes to be swept earlier are taken for known.
        self._wake()

    async def resume(self) -> None:
        """Have the links again, if they were lost or are a forked child's parent's; returns as :meth:`watch` does."""
        self._reach.hurry()
        self._resume()
        with contextlib.suppress(asyncio.TimeoutError):
            # Unlike asyncio.wait_for before Python 3.12, this swallows no cancellation.
            async with within(patience(self.runner.client)):
                await self._settled.wait()

    def forget(self, tier: Tier) -> None:
        """Tell a tier no more."""
        self._tiers.discard(tier)
        self._wake()

    def usable(self, op: Op[Any]) -> bool:
        """Whether what a read of the operation's keys finds may be kept now."""
        link = self._link(op)
        return link is not None and covers(link, op, time.monotonic())

    async def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation; also return whether its answer may be kept.  One round trip."""
        note = Noted(self._link(op), op, peer_of)
        result = await self.runner.run(op, note)
        return result, note.kept

    async def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together; also return for each whether its answer may be kept."""
        noted = [Noted(self._link(op), op, peer_of) for op in ops]
        results = await self.runner.batch(Batch(tuple(ops)), lambda index, connection: noted[index](connection))
        return results, [note.kept for note in noted]

    async def write(self, op: Op[T], own: Tier | None = None) -> tuple[T, bool]:
        """Run an operation that changes keys; also return whether what it wrote may be kept.

        :param own: the tier that may keep it; the client's others forget the keys.

        Nobody tells of a write that may be kept.  So a tier whose placeholder is gone by then, to another fill or
        another write of its own, forgets the key: placeholder and copy, whoever's they are.  (What a script writes
        is told of like anybody's write: such a copy doesn't stay for long.)
        """
        if self._messages:
            published = publication(op, self._tiers.prefixes)
            return (await self.runner.batch(Batch((op, *published), atomic=True)))[0], False
        link = self._link(op)
        connection = link.talk() if link is not None and covers(link, op, time.monotonic()) else None
        if link is None or connection is None:
            try:
                return await self.runner.run(op), False
            finally:
                # The server's report comes a little later; here it is known already.
                self._tiers.invalidate(op.keys, own)
        sent, kept = time.monotonic(), False

        def over(answered: bool) -> None:
            nonlocal kept
            kept = answered
            link.give_back(sent if answered else None)

        try:
            result = await self.runner.run_on(connection, op, over)
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
            self._wake()

    def _wake(self) -> None:
        self._set_timer(0.0)

    def wake_from_anywhere(self) -> None:
        """Look whether anything is due, in the event loop; it may be gone."""
        if self._loop is not None and self._reach.active:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reach.active and self._loop is not None:
            # An idle tracker may be collected.
            reference: weakref.ref[Tracker] = weakref.ref(self)
            self._timer = self._loop.call_later(seconds, _attend, reference)

    def _link(self, op: Op[Any]) -> Link | None:
        if not self._reach.active or self._loop is not asyncio.get_running_loop():
            self._resume()
        return self._reach.link(self.runner.client, op)

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Its connections can't be used in another event loop, nor can its tasks.
            links = self._reach.end()
            self._reset()
            for link in links:
                link.die()
            self._loop = loop
        if len(self._tiers) and self._reach.begin(time.monotonic()):
            self._settled.clear()
            self._wake()

    def attend(self) -> None:
        """Do what is due."""
        if not len(self._tiers):
            self.rest()
            return
        now = time.monotonic()
        due = self._tiers.sweep(now)
        if self._whereabouts is not None and self._reach.links and CHECK not in self._trying:
            if now >= self._check_at:
                self._trying[CHECK] = asyncio.ensure_future(self._check())
            due = min(due, self._check_at if CHECK not in self._trying else math.inf)
        for name, when in list(self._reach.attempts.items()):
            if name in self._trying:
                continue
            if when > now:
                due = min(due, when)
                continue
            self._trying[name] = asyncio.ensure_future(self._try(name))
        self._set_timer(max(0.0, min(IDLE, due - time.monotonic())))

    def lost(self, link: Link) -> None:
        """Note that a link has ended."""
        if self._reach.lost(link, time.monotonic()):
            if link.closed:
                self.rest()
            else:
                self._wake()

    def rest(self) -> None:
        """End the links, until there is something to do again."""
        links = self._reach.end()
        trying, self._trying = self._trying, {}
        for link in links:
            link.die()
        with contextlib.suppress(RuntimeError):
            for task in trying.values():
                task.cancel()
            if self._timer is not None:
                self._timer.cancel()
            self._settled.set()

    async def _try(self, name: str) -> None:
        pause: float | None = None
        try:
            await (self._learn() if name == LAYOUT else self._connect(name))
            self.reason = ""
        except Exception as error:
            pause, refused = self._reach.failed(name, error)
            self.reason = refused or self.reason
        finally:
            self._trying.pop(name, None)
        # Who only wants to be told doesn't come to ask for links anew.
        if pause is not None and not self._reach.links and not self._trying and not self._tiers.told:
            self._reach.rest(time.monotonic() + pause)
            self.rest()
        if pause is not None:
            self._reach.again(name, time.monotonic() + pause)
        if not self._trying and self._reach.settled:
            self._settled.set()
        self._wake()

    async def _check(self) -> None:
        """Leave a master that Sentinel has replaced; it may take long to hear of that itself."""
        try:
            if self._whereabouts is not None:
                address = await self._whereabouts()
                for link in list(self._reach.links.values()):
                    if link.address != address:
                        link.die()
        except (RedisError, OSError):
            pass
        finally:
            self._check_at = time.monotonic() + self.max_stale / 2
            self._trying.pop(CHECK, None)
        self._wake()

    async def _learn(self) -> None:
        """Learn the cluster's masters."""
        client: Any = self.runner.client
        await heeded(client.initialize())
        if self._reach.relearn:
            self._reach.relearn = False
            await heeded(client.nodes_manager.initialize())
        for link in self._reach.learned(node.name for node in client.get_primaries()):
            link.die()

    def _place(self, name: str) -> Place:
        client = self.runner.client
        if isinstance(client, RedisCluster):
            node = client.get_node(node_name=name)
            if node is None:
                raise RedisError(f"no node {name} any more")
            return node
        return client.connection_pool

    async def _connect(self, name: str) -> None:
        runner = self.runner
        place = self._place(name)
        options: dict[str, Any] = {"hearing": self._hearing, "max_stale": self.max_stale, "clustered": runner.clustered}
        link = Link(self, runner.client, place, self._tiers, **options)
        await link.open(self._tiers.prefixes)
        if not self._reach.reached(name, link):
            link.close()
            return
        link.start()
        await self._extend(link)

    async def _extend(self, link: Link) -> None:
        try:
            await link.extend(self._tiers.prefixes)
        except (RedisError, OSError, Refused, asyncio.TimeoutError) as error:
            self.reason = refusal(error) or self.reason

    def forked(self) -> None:
        """Begin anew in a child process: the links are the parent's."""
        self._tiers.forked()
        self._reset()


def _attend(reference: weakref.ref[Tracker]) -> None:
    tracker = reference()
    if tracker is not None:
        tracker.attend()


def _waker(reference: weakref.ref[Tracker]) -> Callable[[], None]:
    def wake() -> None:
        tracker = reference()
        if tracker is not None:
            tracker.wake_from_anywhere()

    return wake


_trackers: weakref.WeakValueDictionary[tuple[int, bool], Tracker] = weakref.WeakValueDictionary()


def tracker(runner: Runner, max_stale: float = 1.0, *, messages: bool = False) -> Tracker:
    """Return the tracker of a runner's client; the same one for all its caches.

    :param max_stale: seconds, the shortest that any of them wants.
    :param messages: rely on what is published about changes, not on what the server notices: for servers and proxies
        that can't track.  Changes by those who don't publish go unseen.
    """
    # A tracker holds its client, so no other client has this id meanwhile.
    name = id(runner.client), messages
    found = _trackers.get(name)
    if found is None:
        found = _trackers[name] = Tracker(runner, max_stale, messages)
    found.max_stale = min(found.max_stale, max_stale)
    return found


def _renew() -> None:
    for each in list(_trackers.values()):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

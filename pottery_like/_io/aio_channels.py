""":mod:`pottery_like._io.channels`, for asyncio: one task and one connection."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
import weakref
from collections.abc import Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pottery_like._core.coherence import Backoff, Stats, Tiers
from pottery_like._core.op import Batch, Op
from pottery_like._core.replies import Replies
from pottery_like._io.aio import Runner
from pottery_like._io.aio_links import NEVER, PORTION, kind_of
from pottery_like._io.published import Line, channels
from pottery_like._io.watching import pair, patience

T = TypeVar("T")


class Channels:
    """Follows what the caches on one client's servers publish.

    :ivar reason: why the server refuses, or empty.
    """

    def __init__(self, runner: Runner, max_stale: float) -> None:
        self.runner = runner
        self.max_stale = max_stale
        self.reason = ""
        self._tiers = Tiers()
        self._reset()

    def _reset(self) -> None:
        self._settled = asyncio.Event()
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Any = None

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._tiers.stats

    @property
    def fresh_until(self) -> float:
        """Until when the connection is proved to be alive."""
        return -math.inf if self._line is None else self._line.good_until

    async def watch(self, tier: Any) -> None:
        """Tell a tier of changes, for as long as it exists; returns when that has begun, or has failed."""
        self._tiers.add(tier, bool)
        self._resume()
        self._settled.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settled.wait(), patience(self.runner.client))

    def forget(self, tier: Any) -> None:
        """Tell a tier no more."""
        self._tiers.discard(tier)
        if self._task is not None and not len(self._tiers):
            self._task.cancel()

    async def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation; also return whether its answer may be kept."""
        line = self._usable((op,))
        return await self.runner.run(op), line is not None and line is self._line

    async def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together; also return for each whether its answer may be kept."""
        line = self._usable(ops)
        results = await self.runner.batch(Batch(tuple(ops)))
        return results, [line is not None and line is self._line] * len(ops)

    async def write(self, op: Op[T], own: object = None) -> tuple[T, bool]:
        """Run an operation that changes keys; it isn't kept, as it is published to this process too."""
        return await self.runner.run(op), False

    def wake(self, when: float) -> None:
        """Sweep the tiers at ``when`` already."""
        self._tiers.wake(when)

    def _usable(self, ops: Sequence[Op[Any]]) -> Line | None:
        self._resume()
        line = self._line
        return line if line is not None and all(line.covers(op.keys) for op in ops) else None

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._reset()
            self._loop = loop
            self._tiers.drop()
        if len(self._tiers) and (self._task is None or self._task.done()):
            self._task = loop.create_task(_follow(weakref.ref(self)))

    async def connect(self) -> tuple[Any, Line, Replies]:
        """Make the connection; raises what went wrong."""
        client: Any = self.runner.client
        if isinstance(client, Redis):
            place: Any = client.connection_pool
        else:
            # In a cluster every server is told of everything.
            await client.initialize()
            place = client.get_primaries()[0]
        connection, _ = pair(client, *kind_of(client, place), NEVER)
        await connection.connect()
        self._connection = connection
        return connection, Line(self._tiers, self.max_stale), Replies()

    async def round(self, connection: Any, line: Line, replies: Replies) -> bool:
        """Do what is due on the connection; whether it goes on."""
        if not len(self._tiers):
            return False
        now = time.monotonic()
        due = self._tiers.sweep(now)
        wanted = channels(self._tiers)
        if wanted != line.wanted:
            line.wanted = wanted
            await connection.send_command("SUBSCRIBE", *wanted)
        if line.ask(now):
            await connection.send_command("PING", "0")
        elif now >= line.good_until and line is self._line:
            raise TimeoutError("no sign of life")
        # New wishes, to sweep earlier or to subscribe, are looked for so often.
        patience = max(0.001, min(0.02, due - now, line.due - now))
        try:
            data = await asyncio.wait_for(connection._reader.read(PORTION), patience)
        except asyncio.TimeoutError:
            return True
        if not data:
            raise ConnectionError("the server closed the connection")
        for reply in replies.feed(data):
            line.take(reply)
        if self._line is not line and line.good_until > now:
            self._tiers.drop()
            self._line = line
        if all(line.covers((tier.prefixes[0],)) for tier in self._tiers):
            self._settled.set()
        return True

    def lost(self, error: Exception) -> None:
        """Note that the connection has ended."""
        self._line = None
        self._tiers.drop()
        self.stats.reconnects += 1
        self.reason = str(error) if isinstance(error, ValueError) else ""
        self.close()
        self._settled.set()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(RuntimeError, OSError):
                self._connection._close()

    def forked(self) -> None:
        """Begin anew in a child process."""
        self._tiers.forked()
        self._reset()


async def _follow(reference: weakref.ref[Channels]) -> None:
    backoff = Backoff()
    held: tuple[Any, Line, Replies] | None = None
    try:
        while True:
            follower = reference()
            if follower is None:
                return
            try:
                held = held or await follower.connect()
                if not await follower.round(*held):
                    return
                if follower._line is held[1]:
                    backoff.reset()
                pause = 0.0
            except (RedisError, OSError, ValueError) as error:
                follower.lost(error)
                held, pause = None, backoff.pause()
            del follower
            if pause:
                await asyncio.sleep(pause)
    finally:
        follower = reference()
        if follower is not None:
            follower.close()
            follower._line = None
            follower._tiers.drop()


_all: weakref.WeakValueDictionary[int, Channels] = weakref.WeakValueDictionary()


def follower(runner: Runner, max_stale: float) -> Channels:
    """Return the follower of a runner's client; the same one for all its caches."""
    found = _all.get(id(runner.client))
    if found is None:
        found = _all[id(runner.client)] = Channels(runner, max_stale)
    found.max_stale = min(found.max_stale, max_stale)
    return found


def _renew() -> None:
    for each in list(_all.values()):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

"""Following what caches publish: the tracker's interface over publish and subscribe."""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from pottery_like._core.coherence import Backoff, Stats, Tiers
from pottery_like._core.op import Batch, Op
from pottery_like._core.replies import Replies
from pottery_like._io.links import NEVER
from pottery_like._io.published import Line, channels
from pottery_like._io.servers import connection_arguments
from pottery_like._io.sync import Runner
from pottery_like._io.watching import pair, patience

T = TypeVar("T")

PORTION = 1 << 18
"""Bytes to read at once."""


class Channels:
    """Follows what the caches on one client's servers publish: one thread and one connection.

    :ivar reason: why the server refuses, or empty.
    """

    def __init__(self, runner: Runner, max_stale: float) -> None:
        self.runner = runner
        self.max_stale = max_stale
        self.reason = ""
        self._tiers = Tiers()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._line: Line | None = None
        self._thread: threading.Thread | None = None
        self._connection: Any = None

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._tiers.stats

    @property
    def fresh_until(self) -> float:
        """Until when the connection is proved to be alive."""
        return -math.inf if self._line is None else self._line.good_until

    def watch(self, tier: Any) -> None:
        """Tell a tier of changes, for as long as it exists; returns when that has begun, or has failed."""
        self._tiers.add(tier, bool)
        self._settled.clear()
        self._resume()
        self._settled.wait(patience(self.runner.client))

    def forget(self, tier: Any) -> None:
        """Tell a tier no more."""
        self._tiers.discard(tier)

    def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation; also return whether its answer may be kept."""
        line = self._usable((op,))
        return self.runner.run(op), line is not None and line is self._line

    def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together; also return for each whether its answer may be kept."""
        line = self._usable(ops)
        results = self.runner.batch(Batch(tuple(ops)))
        return results, [line is not None and line is self._line] * len(ops)

    def write(self, op: Op[T], own: object = None) -> tuple[T, bool]:
        """Run an operation that changes keys; it isn't kept, as it is published to this process too."""
        return self.runner.run(op), False

    def wake(self, when: float) -> None:
        """Sweep the tiers at ``when`` already."""
        self._tiers.wake(when)

    def _usable(self, ops: Sequence[Op[Any]]) -> Line | None:
        if self._thread is None:
            self._resume()
        line = self._line
        return line if line is not None and all(line.covers(op.keys) for op in ops) else None

    def _resume(self) -> None:
        with self._lock:
            if self._thread is None and len(self._tiers):
                self._thread = threading.Thread(target=_follow, args=(weakref.ref(self),), daemon=True)
                self._thread.name = "pottery_like subscribing"
                self._thread.start()

    # What the thread does.

    def connect(self) -> tuple[Any, Line, Replies]:
        """Make the connection; raises what went wrong."""
        client: Any = self.runner.client
        if not isinstance(client, Redis):
            # In a cluster every server is told of everything.
            client = client.get_redis_connection(client.get_primaries()[0])
        kind: Any = client.connection_pool.connection_class
        connection, _ = pair(client, kind, connection_arguments(client), NEVER)
        connection.connect()
        self._connection = connection
        return connection, Line(self._tiers, self.max_stale), Replies()

    def round(self, connection: Any, line: Line, replies: Replies) -> bool:
        """Do what is due on the connection; whether it goes on."""
        if not len(self._tiers):
            return False
        now = time.monotonic()
        due = self._tiers.sweep(now)
        wanted = channels(self._tiers)
        if wanted != line.wanted:
            line.wanted = wanted
            connection.send_command("SUBSCRIBE", *wanted)
        if line.ask(now):
            connection.send_command("PING", "0")
        elif now >= line.good_until and line is self._line:
            raise TimeoutError("no sign of life")
        sock = connection._sock
        # New wishes, to sweep earlier or to subscribe, are looked for so often.
        sock.settimeout(max(0.001, min(0.02, due - now, line.due - now)))
        try:
            data = sock.recv(PORTION)
        except TimeoutError:
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
        if self._connection is not None:
            self._connection.disconnect()
        self._settled.set()

    def ended(self) -> None:
        """Note that the thread has ended."""
        with self._lock:
            self._line = self._thread = None
            self._tiers.drop()

    def forked(self) -> None:
        """Begin anew in a child process."""
        self._tiers.forked()
        self._reset()


def _follow(reference: weakref.ref[Channels]) -> None:
    backoff = Backoff()
    while True:
        held: tuple[Any, Line, Replies] | None = None
        try:
            while True:
                follower = reference()
                if follower is None:
                    break
                held = held or follower.connect()
                if not follower.round(*held):
                    follower.ended()
                    break
                if follower._line is held[1]:
                    backoff.reset()
                del follower
            if held is not None:
                held[0].disconnect()
            return
        except (RedisError, OSError, ValueError) as error:
            follower = reference()
            if follower is None:
                return
            follower.lost(error)
            del follower
            time.sleep(backoff.pause())


_all: weakref.WeakValueDictionary[int, Channels] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def follower(runner: Runner, max_stale: float) -> Channels:
    """Return the follower of a runner's client; the same one for all its caches."""
    with _guard:
        found = _all.get(id(runner.client))
        if found is None:
            found = _all[id(runner.client)] = Channels(runner, max_stale)
        found.max_stale = min(found.max_stale, max_stale)
        return found


def _renew() -> None:
    global _guard
    _guard = threading.Lock()
    for each in list(_all.values()):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

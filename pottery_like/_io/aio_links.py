""":mod:`pottery_like._io.links`, for asyncio: a link is two connections and two tasks."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import weakref
from collections.abc import Callable
from typing import Any

from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

from pottery_like._core.coherence import Pulse, Tiers, additions, minimal
from pottery_like._core.replies import Flush, Keys, Refusal, Replies
from pottery_like._io.aio_connections import Place, closed
from pottery_like._io.servers import connection_arguments, node_arguments
from pottery_like._io.watching import (
    SUBSCRIBE,
    UNTRACKED,
    Question,
    Words,
    accepted,
    pair,
    patience,
    tracking,
)

PORTION = 1 << 18
"""Bytes to read at once."""

FAST = 0.005
"""Seconds until a tracked connection that somebody else was talking on is looked at again."""

NEVER = Retry(NoBackoff(), 0)


def peer_of(connection: Any) -> Any:
    """Return the address of the server that a connection leads to."""
    writer = connection._writer
    return None if writer is None else writer.get_extra_info("peername")


def _close(connection: Any) -> None:
    # Its event loop may be closed already.
    with contextlib.suppress(RuntimeError, OSError):
        connection._close()


class Link:
    """A link; it is made once, lives and dies, and another takes its place.

    :param place: where the client's connections to this server come from.
    :param tiers: who hears of changes.
    :param lost: called when the link is dead.
    :ivar prefixes: what the server tells us about; empty while it isn't certain.
    """

    def __init__(
        self,
        owner: Any,
        client: Any,
        place: Place,
        tiers: Tiers,
        *,
        max_stale: float,
        clustered: bool,
    ) -> None:
        self.owner = weakref.ref(owner)
        self.prefixes: tuple[bytes, ...] = ()
        self.dead = False
        self.closed = False
        self._place = place
        self._tiers = tiers
        self._patience = patience(client)
        self._max_stale = max_stale
        self._listening, self._tracked = pair(client, *kind_of(client, place), NEVER)
        self._question = Question(clustered)
        self._replies = Replies()
        self._listener = 0
        self._asked = 0.0
        self._talking = False
        self._lent = False
        self._wanted = False
        self._hearing: asyncio.Future[None] | None = None
        self._asking: asyncio.Future[None] | None = None

    async def open(self, prefixes: tuple[bytes, ...]) -> None:
        """Connect, have the server track, and hear the first answers.  Raises what went wrong."""
        try:
            await asyncio.wait_for(self._open(prefixes), self._patience)
        except BaseException:
            _close(self._listening)
            _close(self._tracked)
            raise

    async def _open(self, prefixes: tuple[bytes, ...]) -> None:
        listening, tracked = self._listening, self._tracked
        await listening.connect()
        self._listener = await self._said(listening, ("CLIENT", "ID"))
        # From here on its bytes are read without redis-py, whose buffer is empty.
        self._reader: asyncio.StreamReader = listening._reader
        await listening.send_command(*SUBSCRIBE)
        await self._expect(lambda reply: reply[0] == b"subscribe")
        await tracked.connect()
        self.peer = peer_of(tracked)
        if peer_of(listening) != self.peer:
            raise ConnectionError("the two connections lead to different servers")
        await self._said(tracked, tracking(self._listener, prefixes))
        sent = time.monotonic()
        await listening.send_command("PING", "0")
        await self._expect(lambda reply: reply[0] == b"pong")
        if not self._question.understood(await self._answers()):
            raise ConnectionError("the server is no master, or its cluster is down")
        self.pulse = Pulse(self._max_stale, sent)
        self.born = sent
        self.prefixes = prefixes
        self._adopt()

    def start(self) -> None:
        """Begin to listen."""
        self._hearing = asyncio.ensure_future(self._hear())
        self._timer = asyncio.get_running_loop().call_soon(self._beat)

    async def _said(self, connection: Any, words: Words) -> Any:
        await connection.send_command(*words)
        replies = Replies()
        while True:
            for reply in replies.feed(await _some(connection._reader)):
                return accepted(reply)

    async def _answers(self) -> list[Any]:
        words, replies, got = self._question.words, Replies(), list[Any]()
        self._tracked._writer.writelines(self._tracked.pack_commands(words))
        while len(got) < len(words):
            got += replies.feed(await _some(self._tracked._reader))
        return got

    async def _expect(self, wanted: Callable[[Any], bool]) -> None:
        # What else comes was changed before anybody could have a copy.
        while True:
            for reply in self._replies.feed(await _some(self._reader)):
                if isinstance(accepted(reply), list) and not isinstance(reply, Keys) and wanted(reply):
                    return

    def _held(self) -> Any:
        place: Any = self._place
        return place._connections if isinstance(place, ClusterNode) else getattr(place, "_in_use_connections", None)

    def _adopt(self) -> None:
        """Let the client's pool close the link with its own connections."""
        held = self._held()
        if isinstance(held, set):
            held.add(self._listening)
        elif isinstance(held, list):
            held.append(self._listening)

    @property
    def address(self) -> Any:
        """Host and port of the server, as a Sentinel names them."""
        return self._tracked.host, self._tracked.port

    async def _hear(self) -> None:
        try:
            while not self.dead:
                for reply in self._replies.feed(await _some(self._reader)):
                    if isinstance(reply, Keys):
                        self._tiers.invalidate(reply)
                    elif isinstance(reply, Flush):
                        self._tiers.drop()
                    elif isinstance(reply, Refusal):
                        return
                    elif reply[0] == b"pong":
                        self.pulse.heard(self._asked)
                        self._asked = 0.0
                        self._timer.cancel()
                        self._beat()
        except Exception:  # the connection's end, no server's words, or a tier that failed
            return
        finally:
            self.die()

    def _beat(self) -> None:
        """Ask what is due to be asked; notice what has been silent for too long."""
        pulse, now = self.pulse, time.monotonic()
        writer = self._listening._writer
        if self.dead or writer is None or now >= pulse.good_until:
            self.die()
            return
        if not self._asked and now >= pulse.listening_due:
            self._asked = now
            writer.write(b"*2\r\n$4\r\nPING\r\n$1\r\n0\r\n")
        if now >= pulse.tracked_due and self._asking is None:
            self._wanted = True
            if not self._talking:
                self._asking = asyncio.ensure_future(self._ask_tracked(now))
        due = min(
            pulse.good_until,
            math.inf if self._asked else pulse.listening_due,
            math.inf if self._asking else now + FAST if self._wanted else pulse.tracked_due,
        )
        self._timer = asyncio.get_running_loop().call_later(max(0.001, due - time.monotonic()), self._beat)

    async def _ask_tracked(self, now: float) -> None:
        self._talking = True
        try:
            understood = self._question.understood(await self._answers())
        except Exception:  # the connection's end, or no server's words
            understood = False
        finally:
            self._talking, self._wanted, self._asking = False, False, None
        if not understood or self.dead:
            self.die()
            return
        self.pulse.tracked(now)
        self._timer.cancel()
        self._beat()

    def die(self) -> None:
        """End the link: the tiers forget everything, and keep nothing."""
        if self.dead:
            return
        self.dead = True
        # Only the client's own pool closes it before it is dead.
        writer = self._listening._writer
        self.closed = writer is None or (writer.is_closing() and self._reader.exception() is None)
        self._tiers.drop()
        self.close()
        owner = self.owner()
        if owner is not None:
            owner.lost(self)

    def close(self) -> None:
        """Close the connections, the tracked one as soon as nobody talks on it."""
        self.dead = True
        held = self._held()
        if isinstance(held, set):
            held.discard(self._listening)
        elif isinstance(held, list) and self._listening in held:
            held.remove(self._listening)
        _close(self._listening)
        if not self._lent:
            _close(self._tracked)
        for task in (self._hearing, self._asking):
            if task is not None:
                with contextlib.suppress(RuntimeError):
                    task.cancel()

    def talk(self) -> Any:
        """Return the tracked connection if it is free and sound, to be given back by :meth:`give_back`; or None."""
        if self._wanted or self.dead or self._talking:
            return None
        reader = self._tracked._reader
        if reader is None or reader.at_eof() or reader._buffer or closed(self._tracked):
            self.die()
            return None
        self._talking = self._lent = True
        return self._tracked

    def give_back(self, proof: float | None) -> None:
        """Give the tracked connection back.

        :param proof: when a write was sent that the server has answered.
        """
        self._talking = self._lent = False
        if proof is not None and not self.dead:
            self.pulse.tracked(proof)
        if self.dead:
            _close(self._tracked)
        elif self._tracked._writer is None:
            self.die()

    async def extend(self, wanted: tuple[bytes, ...]) -> None:
        """Have the server tell about more keys.  Raises what went wrong; the link is dead then."""
        while self._talking and not self.dead:
            await asyncio.sleep(FAST)
        registered = self.prefixes
        wanted = minimal((*registered, *wanted))
        if wanted == registered or self.dead:
            return
        more = additions(registered, wanted)
        self._talking, self.prefixes = True, ()
        try:
            if more is None:
                await asyncio.wait_for(self._said(self._tracked, UNTRACKED), self._patience)
            words = tracking(self._listener, wanted if more is None else more)
            await asyncio.wait_for(self._said(self._tracked, words), self._patience)
        except BaseException:
            self._talking = False
            self.die()
            raise
        self._talking = False
        # Meanwhile nothing was kept, and something may have been missed.
        self._tiers.drop()
        self.prefixes = wanted


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(PORTION)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def kind_of(client: Any, place: Place) -> tuple[Any, dict[str, Any]]:
    """Return the class of a client's connections to a place, and their arguments."""
    arguments = node_arguments(place) if isinstance(place, ClusterNode) else connection_arguments(client)
    return place.connection_class, arguments

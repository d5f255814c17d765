""":mod:`pottery_like._io.links`, for asyncio: a link is two connections and two tasks."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import weakref
from typing import Any

from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

from pottery_like._core.coherence import Tiers, additions, minimal
from pottery_like._core.replies import Replies
from pottery_like._io.aio_connections import Place, closed, heeded, within
from pottery_like._io.servers import connection_arguments, node_arguments
from pottery_like._io.watching import UNTRACKED, LinkState, Words, accepted, greeting, pair

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


class Link(LinkState):
    """A link; it is made once, lives and dies, and another takes its place.

    :param place: where the client's connections to this server come from.
    :param options: a :class:`LinkState`'s.
    """

    def __init__(self, owner: Any, client: Any, place: Place, tiers: Tiers, **options: Any) -> None:
        super().__init__(owner, client, pair(client, *kind_of(client, place), NEVER), tiers, **options)
        self._place = place
        self._talking = False
        self._lent = False
        self._wanted = False
        self._hearing_task: asyncio.Future[None] | None = None
        self._asking: asyncio.Future[None] | None = None

    async def open(self, prefixes: tuple[bytes, ...]) -> None:
        """Connect, have the server track, and hear the first answers.  Raises what went wrong."""
        self._adopt()
        try:
            # Unlike asyncio.wait_for before Python 3.12, this leaves no task behind whose failure nobody hears of.
            async with within(self._patience):
                await self._open(prefixes)
        except BaseException:
            self._leave()
            _close(self._listening)
            _close(self._tracked)
            raise

    async def _open(self, prefixes: tuple[bytes, ...]) -> None:
        connections = self._listening, self._tracked
        for connection in connections:
            await heeded(connection.connect())
        # From here on bytes are read without redis-py, whose buffer is empty.
        self._reader: asyncio.StreamReader = self._listening._reader
        self.peer = peer_of(self._tracked)
        if peer_of(self._listening) != self.peer:
            raise ConnectionError("the two connections lead to different servers")
        steps = greeting(self._hearing, prefixes, self._question)
        try:
            which, commands = next(steps)
            while True:
                which, commands = steps.send(await self._answers(connections[which], commands))
        except StopIteration as stop:
            listener, born = stop.value
            self._greeted(listener, born, prefixes)

    def start(self) -> None:
        """Begin to listen."""
        self._hearing_task = asyncio.ensure_future(self._hear())
        _at_the_end_of(self._tracked._reader, weakref.WeakMethod(self.die))
        self._timer = asyncio.get_running_loop().call_soon(self._beat)

    async def _answers(self, connection: Any, commands: list[Words]) -> list[Any]:
        connection._writer.writelines(connection.pack_commands(commands))
        replies = self._replies if connection is self._listening else Replies()
        got: list[Any] = []
        while len(got) < len(commands):
            got += self._answered(replies, await _some(connection._reader))
        return got

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

    def _leave(self) -> None:
        held = self._held()
        if isinstance(held, set):
            held.discard(self._listening)
        elif isinstance(held, list) and self._listening in held:
            held.remove(self._listening)

    async def _hear(self) -> None:
        try:
            while not self.dead:
                data = await _some(self._reader)
                asked = self._asked
                if not self._heard(data):
                    return
                if asked and not self._asked:
                    self._timer.cancel()
                    self._beat()
        except Exception:  # the connection's end, or no server's words
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
            understood = self._question.understood(await self._answers(self._tracked, self._question.words))
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
        self._leave()
        _close(self._listening)
        if not self._lent:
            _close(self._tracked)
        for task in (self._hearing_task, self._asking):
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
        # In a cluster the other questions must be asked too, however much is written.
        if proof is not None and not self.dead and not self._question.clustered:
            self.pulse.tracked(proof)
        if self.dead:
            _close(self._tracked)
        elif self._tracked._writer is None:
            self.die()

    async def extend(self, wanted: tuple[bytes, ...]) -> None:
        """Have the server tell about more keys.  Raises what went wrong; the link is dead then."""
        while self._talking and not self.dead:
            await asyncio.sleep(FAST)
        wanted = minimal((*self.prefixes, *wanted))
        if wanted == self.prefixes or self.dead:
            return
        self._talking = True
        try:
            more, self.prefixes = additions(self.prefixes, wanted), ()
            words = self._hearing.registration(self._listener, wanted if more is None else more)
            if words is None:
                # Another link will subscribe to all.
                self.die()
                return
            commands = [words] if more is not None else [UNTRACKED, words]
            async with within(self._patience):
                for reply in await self._answers(self._tracked, commands):
                    accepted(reply)
        except BaseException:
            self.die()
            raise
        finally:
            self._talking = False
        # Meanwhile nothing was kept, and something may have been missed.
        self._tiers.drop()
        self.prefixes = wanted


def _at_the_end_of(reader: asyncio.StreamReader, die: weakref.WeakMethod[Any]) -> None:
    """Call ``die`` when a connection ends, even if nobody reads from it."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        function = die()
        if function is not None:
            function()

    def followed(method: Any) -> Any:
        def called(*arguments: Any) -> None:
            method(*arguments)
            # Not within what the transport is doing.
            loop.call_soon(end)

        return called

    for name in ("feed_eof", "set_exception"):
        setattr(reader, name, followed(getattr(reader, name)))
    if reader.at_eof() or reader.exception() is not None:
        loop.call_soon(end)


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(PORTION)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def kind_of(client: Any, place: Place) -> tuple[Any, dict[str, Any]]:
    """Return the class of a client's connections to a place, and their arguments."""
    arguments = node_arguments(place) if isinstance(place, ClusterNode) else connection_arguments(client)
    return place.connection_class, arguments

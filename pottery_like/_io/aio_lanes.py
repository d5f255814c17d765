"""The ways to several masters: :mod:`pottery_like._io.lanes`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pottery_like._core.dialogue import Ask
from pottery_like._io import routes
from pottery_like._io.aio import Client, Runner
from pottery_like._io.aio_connections import acquire, send, within
from pottery_like._io.exchange import Exchange
from pottery_like._io.routes import CONNECTING, Route, Ways, listening

TURN = 0.001
"""Seconds until the client's pool is asked once more for a connection, when it had given all away."""

_PLAIN = (redis.asyncio.Connection, redis.asyncio.SSLConnection, redis.asyncio.UnixDomainSocketConnection)


class Lane(Route):
    """The way to one master: its client's connections, given up after ``timeout`` seconds.

    :param client: the user's client.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        super().__init__(client, timeout, _PLAIN, Retry(NoBackoff(), 0))

    async def open(self, seconds: float) -> Any:
        """Return a connection."""
        try:
            async with within(min(self.timeout, max(seconds, CONNECTING))):
                while True:
                    try:
                        return await acquire(self.client.connection_pool, self._never)
                    except redis.ConnectionError as error:
                        # Older versions of redis-py raise no class of its own here.
                        if not str(error).startswith("Too many connections"):
                            raise
                    # The client's pool has a limit: other tasks have them all, most for a round trip.
                    await asyncio.sleep(TURN)
        except asyncio.TimeoutError as error:
            raise redis.TimeoutError("no connection in time") from error

    async def send(self, connection: Any, words: list[bytes]) -> None:
        """Send packed operations."""
        await send(connection, b"".join(words), self.timeout)

    async def read(self, connection: Any, seconds: float) -> Any:
        """Return a reply."""
        # Not by its own timeout, which can't be told from the reply nil.
        try:
            async with within(max(0.0, seconds)):
                return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except asyncio.TimeoutError as error:
            raise redis.TimeoutError("no reply in time") from error

    async def give_back(self, connection: Any) -> None:
        """Take back a connection that has been read to the end."""
        await self.client.connection_pool.release(connection)

    async def close(self, connection: Any) -> None:
        """Take back a connection that is of no more use."""
        await connection.disconnect(nowait=True)
        await self.client.connection_pool.release(connection)


class Detour(routes.Detour):
    """The way to a master by the runner."""

    def __init__(self, client: Client, key: bytes, timeout: float) -> None:
        super().__init__(client, key, timeout, Runner(client).run)

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        return listening(self.node.connection_class, {**self.node.connection_kwargs, "socket_timeout": self.timeout})


Way = Lane | Detour

_lanes = Ways(Lane)


def way(client: Client, key: bytes, timeout: float, *, patient: bool = False) -> Way:
    """Return the way to a master.

    :param patient: with the client's own retries and timeouts.
    """
    direct = isinstance(client, Redis) and not patient
    return _lanes(client, timeout) if direct else Detour(client, key, timeout)


async def exchange(ways: Sequence[Way], step: Ask) -> list[Any]:
    """Take an :class:`Ask` step."""
    if len(ways) == 1 and isinstance(ways[0], Detour) and step.again is None and step.ops[0] is not None:
        try:
            return [await ways[0].run(step.ops[0])]
        except Exception as error:
            return [error]
    made = Exchange(ways, step)
    work = made.run()
    try:
        pending = next(work)
        while True:
            try:
                result = await pending
            except BaseException as error:
                pending = work.throw(error)
            else:
                pending = work.send(result)
    except StopIteration:
        return made.results

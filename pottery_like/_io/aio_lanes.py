"""Exchanges with several masters at once: :mod:`pottery_like._io.lanes`, awaited."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Sequence
from typing import Any

import redis.asyncio
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from pottery_like._core.dialogue import Repeated, Spread
from pottery_like._core.keys import slot
from pottery_like._core.op import Op
from pottery_like._io.aio import Runner
from pottery_like._io.routes import Route, listening, planned, refusal
from pottery_like._io.wire import POOL_ARGUMENTS, decoded, lost_reply

if sys.version_info >= (3, 11):
    from asyncio import timeout as within
else:
    # redis-py needs it there.
    from async_timeout import timeout as within

_PLAIN = (redis.asyncio.Connection, redis.asyncio.SSLConnection, redis.asyncio.UnixDomainSocketConnection)


class Lane(Route):
    """The way to one master: its client's connections, given up after ``timeout`` seconds.

    :param client: the user's client.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        super().__init__(client, timeout, _PLAIN, Retry(NoBackoff(), 0))

    @property
    def pool(self) -> ConnectionPool:
        """Where connections come from."""
        pool: ConnectionPool = self.client.connection_pool
        return pool

    async def connection(self) -> Any:
        """Return a connection; give it back to the pool."""
        try:
            async with within(self.timeout):
                return await self.pool.get_connection(*POOL_ARGUMENTS)
        except TimeoutError as error:
            raise redis.TimeoutError("no connection in time") from error


class Detour:
    """The way to a master that is a cluster: one operation after the other, with its redirections.

    :param client: the user's client.
    :param key: the key that all operations are about.
    :param timeout: seconds that a node may take to listen.
    """

    up = True

    def __init__(self, client: RedisCluster, key: bytes, timeout: float) -> None:
        self.client = client
        self.runner = Runner(client)
        self.timeout = timeout
        self._key = key

    @property
    def identity(self) -> Any:
        """The node that speaks about the key: only there do the scripts see who listens."""
        try:
            node = self.client.nodes_manager.get_node_from_slot(slot(self._key))
        except KeyError:  # the client hasn't learnt the cluster's layout yet
            return None
        return node.host, node.port

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        node = self.client.nodes_manager.get_node_from_slot(slot(self._key))
        return listening(node.connection_class, {**node.connection_kwargs, "socket_timeout": self.timeout})

    async def run(self, op: Op[Any], again: Op[Any]) -> Any:
        """Return an operation's result, or its exception."""
        try:
            return await self.runner.run(op)
        except redis.ConnectionError:
            try:
                return Repeated(await self.runner.run(again))
            except (RedisError, OSError) as error:
                return error
        except (RedisError, OSError, TypeError) as error:
            return error


Way = Lane | Detour

_lanes: weakref.WeakKeyDictionary[Redis, dict[float, Lane]] = weakref.WeakKeyDictionary()


def way(client: Redis | RedisCluster, key: bytes, timeout: float) -> Way:
    """Return the way to a master, the same one for everybody who uses the client."""
    if isinstance(client, RedisCluster):
        return Detour(client, key, timeout)
    lanes = _lanes.setdefault(client, {})
    if timeout not in lanes:
        lanes[timeout] = Lane(client, timeout)
    return lanes[timeout]


async def spread(ways: Sequence[Way], step: Spread) -> list[Any]:
    """Take a :class:`Spread` step.  The ways may repeat: what goes the same way goes together."""
    results: list[Any] = [None] * len(ways)
    exchanges = []
    try:
        for each, indexes in planned(ways, results):
            if isinstance(each, Detour):
                for index in indexes:
                    results[index] = await each.run(step.ops[index], step.again()[index])
            else:
                exchange = _Exchange(each, indexes, results)
                exchanges.append(exchange)
                await exchange.send(step.ops)
        deadline = time.monotonic() + step.timeout
        for exchange in exchanges:
            await exchange.receive(step, deadline)
    finally:
        for exchange in exchanges:
            await exchange.end()
    return results


class _Exchange:
    """What goes one way in one step."""

    def __init__(self, lane: Lane, indexes: list[int], results: list[Any]) -> None:
        self._lane = lane
        self._indexes = indexes
        self._results = results
        self._connection: Any = None
        self._due: list[int] = []
        self._lost: list[int] = []

    async def send(self, ops: Sequence[Op[Any]]) -> None:
        """Send without waiting for an answer."""
        try:
            self._connection = await self._lane.connection()
        except (RedisError, OSError) as error:
            self._fail(self._indexes, error)
            return
        self._due = list(self._indexes)
        connection = self._connection
        try:
            await connection.send_packed_command(connection.pack_commands([ops[i].argv() for i in self._indexes]))
        except (RedisError, OSError) as error:
            await self._break(ops, error)

    async def receive(self, step: Spread, deadline: float) -> None:
        """Read the answers; once more, on a new connection, when the old one broke."""
        await self._read(step.ops, deadline)
        if self._lost and time.monotonic() < deadline:
            self._indexes, self._lost = self._lost, []
            ops = step.again()
            await self.send(ops)
            await self._read(ops, deadline)
            for index in self._indexes:
                if not isinstance(self._results[index], Exception):
                    self._results[index] = Repeated(self._results[index])

    async def _read(self, ops: Sequence[Op[Any]], deadline: float) -> None:
        if self._connection is None:
            return
        try:
            unknown = await self._replies(ops, deadline)
            if unknown:
                self._due = unknown
                connection = self._connection
                await connection.send_packed_command(connection.pack_commands([ops[i].eval_argv() for i in unknown]))
                await self._replies(ops, deadline)
        except (RedisError, OSError) as error:
            await self._break(ops, error)
        else:
            self._lane.answered()

    async def _replies(self, ops: Sequence[Op[Any]], deadline: float) -> list[int]:
        """Read what is due; return those whose script the server has yet to learn."""
        connection, client, unknown = self._connection, self._lane.client, []
        due, self._due = self._due, list(self._due)
        for index in due:
            remaining = max(0.001, deadline - time.monotonic())
            try:
                reply = await connection.read_response(
                    disable_decoding=True, timeout=remaining, disconnect_on_error=False
                )
            except NoScriptError:
                unknown.append(index)
            except ResponseError as error:
                self._results[index] = refusal(client, ops[index], error)
            else:
                if reply is None:
                    raise redis.TimeoutError("no answer in time")
                self._results[index] = decoded(client, ops[index], reply)
            self._due.remove(index)
        return unknown

    async def _break(self, ops: Sequence[Op[Any]], error: Exception) -> None:
        due, self._due = self._due, []
        self._fail(due, lost_reply(self._lane.client, ops[due[0]], error))
        if not isinstance(error, redis.TimeoutError):
            self._lost = due
        connection, self._connection = self._connection, None
        await connection.disconnect(nowait=True)
        await self._lane.pool.release(connection)

    def _fail(self, indexes: list[int], error: Exception) -> None:
        for index in indexes:
            self._results[index] = error
        if isinstance(error, redis.TimeoutError):
            self._lane.silent()

    async def end(self) -> None:
        """Give the connection back, after reading off it what a cancellation left unread.

        What a cancelled exchange has sent has then run, so that what undoes it comes after it.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            while self._due:
                try:
                    if (
                        await connection.read_response(
                            disable_decoding=True, timeout=self._lane.timeout, disconnect_on_error=False
                        )
                        is None
                    ):
                        await connection.disconnect(nowait=True)
                        break
                except ResponseError:
                    pass
                self._due.pop()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, RedisError | OSError):
                raise
        finally:
            await self._lane.pool.release(connection)

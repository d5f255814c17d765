"""Exchanges with several masters at once, without threads: write to all, then read from all."""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from redis import ConnectionPool, Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from pottery_like._core.dialogue import Repeated, Spread
from pottery_like._core.keys import slot
from pottery_like._core.op import Op
from pottery_like._io.routes import Route, planned, refusal
from pottery_like._io.sync import Runner
from pottery_like._io.wire import POOL_ARGUMENTS, decoded, lost_reply

SLACK = 0.05
"""Seconds by which an exchange may exceed its time."""

FRESH = 0.1
"""Seconds for which a connection isn't looked at before it is used again: a broken one costs a repetition."""

_PLAIN = (redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection)


def readable(files: Iterable[int], seconds: float) -> list[int]:
    """Wait until something can be read from one of the files; return those from which it can."""
    if hasattr(select, "poll"):
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        return [file for file, _ in poll.poll(max(0.0, seconds) * 1000)]
    return select.select(list(files), [], [], max(0.0, seconds))[0]


class Lane(Route):
    """The way to one master: connections that give up after ``timeout`` seconds, and are not tried again and again.

    :param client: the user's client.  Its pool is used where its connections can't be had otherwise (Sentinel's).
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        super().__init__(client, timeout, _PLAIN, Retry(NoBackoff(), 0))
        self._own = ConnectionPool(self.kind, **self.arguments()) if self.plain else None
        self._idle: list[tuple[Any, float]] = []
        self._process = os.getpid()

    @property
    def pool(self) -> ConnectionPool:
        """Where connections come from."""
        return self._own or self.client.connection_pool

    def connection(self) -> Any:
        """Return a connection; give it back by :meth:`give_back`."""
        if self._process != os.getpid():
            # A fork's child leaves its parent's connections alone; the pool does so by itself.
            self._process, self._idle = os.getpid(), []
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < FRESH or self._clean(connection):
                return connection
            self.pool.release(connection)
        return self.pool.get_connection(*POOL_ARGUMENTS)

    @staticmethod
    def _clean(connection: Any) -> bool:
        try:
            # What can be read now is the end of the connection.
            if not connection.can_read(0):
                return True
        except (RedisError, OSError):
            pass
        connection.disconnect()
        return False

    def give_back(self, connection: Any) -> None:
        """Take back a connection that has been read to the end."""
        if self.plain:
            self._idle.append((connection, time.monotonic()))
        else:
            self.pool.release(connection)

    def broken(self) -> None:
        """Doubt the connections at hand: one of them was broken."""
        while self._idle:
            self.pool.release(self._idle.pop()[0])


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
        node = self.client.nodes_manager.get_node_from_slot(slot(self._key))
        return node.host, node.port

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        node = self.client.nodes_manager.get_node_from_slot(slot(self._key))
        client = self.client.get_redis_connection(node)
        return Route(client, self.timeout, _PLAIN, Retry(NoBackoff(), 0)).listener()

    def run(self, op: Op[Any], again: Op[Any]) -> Any:
        """Return an operation's result, or its exception."""
        try:
            return self.runner.run(op)
        except redis.ConnectionError:
            try:
                return Repeated(self.runner.run(again))
            except (RedisError, OSError) as error:
                return error
        except (RedisError, OSError, TypeError) as error:
            return error


Way = Lane | Detour

_lanes: weakref.WeakKeyDictionary[Redis, dict[float, Lane]] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def way(client: Redis | RedisCluster, key: bytes, timeout: float) -> Way:
    """Return the way to a master, the same one for everybody who uses the client."""
    if isinstance(client, RedisCluster):
        return Detour(client, key, timeout)
    with _guard:
        lanes = _lanes.setdefault(client, {})
        if timeout not in lanes:
            lanes[timeout] = Lane(client, timeout)
        return lanes[timeout]


def _renew() -> None:
    global _guard
    _guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def spread(ways: Sequence[Way], step: Spread) -> list[Any]:
    """Take a :class:`Spread` step.  The ways may repeat: what goes the same way goes together."""
    results: list[Any] = [None] * len(ways)
    if len(ways) == 1 and isinstance(ways[0], Lane):
        _alone(ways[0], step, results)
        return results
    exchanges = []
    try:
        for each, indexes in planned(ways, results):
            if isinstance(each, Detour):
                for index in indexes:
                    results[index] = each.run(step.ops[index], step.again()[index])
            else:
                exchange = _Exchange(each, indexes, results)
                exchanges.append(exchange)
                exchange.send(step.ops)
        deadline = time.monotonic() + step.timeout
        for exchange in exchanges:
            exchange.receive(step, deadline)
    finally:
        for exchange in exchanges:
            exchange.end()
    return results


def _alone(lane: Lane, step: Spread, results: list[Any]) -> None:
    exchange = _Exchange(lane, [0], results)
    try:
        exchange.send(step.ops)
        exchange.receive(step, time.monotonic() + step.timeout)
    finally:
        exchange.end()


class _Exchange:
    """What goes one way in one step."""

    def __init__(self, lane: Lane, indexes: list[int], results: list[Any]) -> None:
        self._lane = lane
        self._indexes = indexes
        self._results = results
        self._connection: Any = None
        self._due: list[int] = []
        self._lost: list[int] = []

    def send(self, ops: Sequence[Op[Any]]) -> None:
        """Send without waiting for an answer."""
        lane = self._lane
        try:
            self._connection = lane.connection()
        except (RedisError, OSError) as error:
            self._fail(self._indexes, error)
            return
        self._due = list(self._indexes)
        connection = self._connection
        try:
            if len(self._indexes) == 1:
                connection.send_packed_command((ops[self._indexes[0]].packed(),))
            else:
                connection.send_packed_command([ops[i].packed() for i in self._indexes])
        except (RedisError, OSError) as error:
            self._break(ops, error)

    def receive(self, step: Spread, deadline: float) -> None:
        """Read the answers; once more, on a new connection, when the old one broke."""
        self._read(step.ops, deadline)
        if self._lost and time.monotonic() < deadline:
            self._indexes, self._lost = self._lost, []
            ops = step.again()
            self.send(ops)
            self._read(ops, deadline)
            for index in self._indexes:
                if not isinstance(self._results[index], Exception):
                    self._results[index] = Repeated(self._results[index])

    def _read(self, ops: Sequence[Op[Any]], deadline: float) -> None:
        if self._connection is None:
            return
        try:
            unknown = self._replies(ops, deadline)
            if unknown:
                self._due = unknown
                connection = self._connection
                connection.send_packed_command(connection.pack_commands([ops[i].eval_argv() for i in unknown]))
                self._replies(ops, deadline)
        except (RedisError, OSError) as error:
            self._break(ops, error)
        else:
            self._lane.answered()

    def _replies(self, ops: Sequence[Op[Any]], deadline: float) -> list[int]:
        """Read what is due; return those whose script the server has yet to learn."""
        connection, client, unknown = self._connection, self._lane.client, []
        due, self._due = self._due, list(self._due)
        for index in due:
            # The connection itself gives up in time, unless others have used up some of it.
            remaining = deadline - time.monotonic()
            if remaining < self._lane.timeout - SLACK and not connection.can_read(max(0.0, remaining)):
                raise redis.TimeoutError("no answer in time")
            try:
                reply = connection.read_response(disable_decoding=True, disconnect_on_error=False)
            except NoScriptError:
                unknown.append(index)
            except ResponseError as error:
                self._results[index] = refusal(client, ops[index], error)
            else:
                self._results[index] = decoded(client, ops[index], reply)
            self._due.remove(index)
        return unknown

    def _break(self, ops: Sequence[Op[Any]], error: Exception) -> None:
        due, self._due = self._due, []
        self._fail(due, lost_reply(self._lane.client, ops[due[0]], error))
        self._lane.broken()
        if not isinstance(error, redis.TimeoutError):
            self._lost = due
        connection, self._connection = self._connection, None
        connection.disconnect()
        self._lane.pool.release(connection)

    def _fail(self, indexes: list[int], error: Exception) -> None:
        for index in indexes:
            self._results[index] = error
        if isinstance(error, redis.TimeoutError):
            self._lane.silent()

    def end(self) -> None:
        """Give the connection back, after reading off it what an interruption left unread."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            while self._due and connection.can_read(self._lane.timeout):
                self._due.pop()
                try:
                    connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except ResponseError:
                    continue
        except (RedisError, OSError):
            self._due = self._due or [0]
        if self._due:
            connection.disconnect()
            self._lane.pool.release(connection)
        else:
            self._lane.give_back(connection)

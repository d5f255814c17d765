"""Exchanges with several masters at once, without threads: write to all, then read from all."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import redis
from redis import ConnectionPool, Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from pottery_like._core.op import Op
from pottery_like._core.quorum import Repeated, Spread, majority
from pottery_like._io.servers import connection_arguments
from pottery_like._io.sync import Runner
from pottery_like._io.wire import POOL_ARGUMENTS, decoded, lost_reply, refuse

COOL_OFF = 1.0
"""Seconds for which a master that was silent is passed over, while enough others answer; twice as long each time."""
LONGEST_COOL_OFF = 30.0

try:
    from redis.maint_notifications import MaintNotificationsConfig
except ImportError:
    _QUIET: dict[str, Any] = {}
else:
    _QUIET = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}

SLACK = 0.05
"""Seconds by which an exchange may exceed its time."""

_PLAIN = (redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection)


class Lane:
    """The way to one master: connections that give up after ``timeout`` seconds, and are not tried again and again.

    :param client: the user's client.  Its pool is used where its connections can't be had otherwise (Sentinel's).
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        self.client = client
        pool = client.connection_pool
        self.kwargs = connection_arguments(client)
        self.kind = pool.connection_class
        own = self.kwargs.get("socket_timeout")
        self.timeout = timeout if own is None else min(timeout, own)
        self.plain = self.kind in _PLAIN
        self.pool = pool if not self.plain else ConnectionPool(self.kind, **self.arguments(self.timeout))
        self._idle: list[Any] = []
        self._process = os.getpid()
        self._down_until = 0.0
        self._silences = 0

    def arguments(self, timeout: float) -> dict[str, Any]:
        """Return the arguments of a connection that gives up after ``timeout`` seconds."""
        changed = {"socket_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        if "path" not in self.kwargs:
            changed["socket_connect_timeout"] = timeout
        return {**self.kwargs, **changed}

    @property
    def identity(self) -> Any:
        """What tells this master from others; equal for two clients of one server."""
        named = ("host", "port", "path", "username", "password", "ssl_certfile")
        values = tuple(self.kwargs.get(name) for name in named)
        return (self.kind, values) if self.plain else id(self.pool)

    @property
    def up(self) -> bool:
        """Whether the master isn't known to be silent."""
        return time.monotonic() >= self._down_until

    def connection(self) -> Any:
        """Return a connection; give it back by :meth:`give_back`."""
        if self._process != os.getpid():
            # A fork's child leaves its parent's connections alone; the pool does so by itself.
            self._process, self._idle = os.getpid(), []
        try:
            return self._idle.pop()
        except IndexError:
            return self.pool.get_connection(*POOL_ARGUMENTS)

    def give_back(self, connection: Any) -> None:
        """Take back a connection.

        The pool would check each time whether the server has closed it: here a broken one costs a repetition.
        """
        if self.plain and connection.is_connected:
            self._idle.append(connection)
        else:
            self.pool.release(connection)

    def broken(self) -> None:
        """Doubt the connections at hand: one of them was broken."""
        while self._idle:
            self.pool.release(self._idle.pop())

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        if not self.plain:
            return self.pool.make_connection()
        # Messages then come as plain replies, whatever protocol the client speaks.
        arguments = {**self.arguments(self.timeout), "protocol": 2}
        arguments.pop("maint_notifications_config", None)
        return self.kind(**arguments, **_QUIET)

    def answered(self) -> None:
        """Note that the master speaks."""
        self._silences = 0

    def silent(self) -> None:
        """Note that the master did not speak in time."""
        self._down_until = time.monotonic() + min(LONGEST_COOL_OFF, COOL_OFF * 2.0**self._silences)
        self._silences += 1


class Detour:
    """The way to a master that is a cluster: one operation after the other, with its redirections.

    :param client: the user's client.
    """

    up = True
    plain = False

    def __init__(self, client: RedisCluster) -> None:
        self.client = client
        self.runner = Runner(client)

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

_lanes: weakref.WeakKeyDictionary[Any, dict[float, Way]] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def way(client: Redis | RedisCluster, timeout: float) -> Way:
    """Return the way to a master, the same one for everybody who uses the client."""
    owner: Any = client if isinstance(client, RedisCluster) else client.connection_pool
    with _guard:
        ways = _lanes.setdefault(owner, {})
        if timeout not in ways:
            ways[timeout] = Detour(client) if isinstance(client, RedisCluster) else Lane(client, timeout)
        return ways[timeout]


def refusal(client: Any, op: Op[Any], error: ResponseError) -> Exception:
    """Return the library's exception for an error reply."""
    try:
        refuse(client, op, error)
    except Exception as raised:
        return raised


def spread(ways: Sequence[Way], step: Spread) -> list[Any]:
    """Take a :class:`Spread` step.  The ways may repeat: what goes the same way goes together."""
    results: list[Any] = [None] * len(ways)
    if len(ways) == 1 and isinstance(ways[0], Lane):
        _alone(ways[0], step, results)
        return results
    groups: dict[int, tuple[Way, list[int]]] = {}
    for index, each in enumerate(ways):
        groups.setdefault(id(each), (each, []))[1].append(index)
    passable = [each for each, _ in groups.values() if each.up]
    choosy = majority(len(groups)) <= len(passable) < len(groups)
    exchanges = []
    try:
        for each, indexes in groups.values():
            if isinstance(each, Detour):
                for index in indexes:
                    results[index] = each.run(step.ops[index], step.again()[index])
            elif choosy and not each.up:
                for index in indexes:
                    results[index] = redis.TimeoutError("this master was silent just now")
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
                connection.send_command(*ops[self._indexes[0]].argv())
            else:
                connection.send_packed_command(connection.pack_commands([ops[i].argv() for i in self._indexes]))
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
                reply = connection.read_response(disable_decoding=True)
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
        self._connection.disconnect()
        self.end()

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
                    connection.read_response(disable_decoding=True)
                except ResponseError:
                    continue
        except (RedisError, OSError):
            connection.disconnect()
        if self._due:
            connection.disconnect()
        self._lane.give_back(connection)


__all__ = ["Detour", "Lane", "Way", "refusal", "spread", "way"]

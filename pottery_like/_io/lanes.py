"""The ways to several masters, asked together and without threads."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import redis
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from pottery_like._core.dialogue import Ask
from pottery_like._core.op import Ready
from pottery_like._io import routes
from pottery_like._io.exchange import Exchange
from pottery_like._io.inherited import know
from pottery_like._io.routes import CONNECTING, Route, Ways
from pottery_like._io.sync import Client, Runner, drop_idle
from pottery_like._io.wire import POOL_ARGUMENTS, decoded

SLACK = 0.05
"""Seconds by which an exchange may exceed its time."""

FRESH = 0.1
"""Seconds for which a connection isn't looked at before it is used again."""

_PING = b"*1\r\n$4\r\nPING\r\n"
"""Goes ahead of what others are waiting for.

Of the clients that a server has something to write to after a turn, it begins with the one that joined them last.  This
one has joined them before the operation sends its message to a waiter, so that the waiter is not the second to wake.
"""

_PLAIN = (redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection)


class Lane(Route):
    """The way to one master: connections that give up after ``timeout`` seconds, and are not tried again and again.

    :param client: the user's client.  Its pool is used where its connections can't be had otherwise.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        super().__init__(client, timeout, _PLAIN, Retry(NoBackoff(), 0))
        self._own = self._made(client.connection_pool)
        self._idle: list[tuple[Any, float]] = []
        self._process = os.getpid()
        know(self._pool)

    def _made(self, theirs: Any) -> ConnectionPool | None:
        """Return a pool whose connections give up in time, already in their greetings."""
        arguments = self.arguments()
        if self.plain:
            # As many as threads need them at once: where there is a limit, somebody's release would fail.
            return ConnectionPool(self.kind, max_connections=2**31, **arguments)
        if type(theirs) is not SentinelConnectionPool:
            return None
        # That is the pool itself.
        arguments.pop("connection_pool", None)
        arguments |= {name: getattr(theirs, name) for name in ("is_master", "check_connection")}
        arguments["connection_class"] = self.kind
        return SentinelConnectionPool(theirs.service_name, theirs.sentinel_manager, **arguments)

    @property
    def _pool(self) -> ConnectionPool:
        return self._own or self.client.connection_pool

    def open(self, seconds: float) -> Any:
        """Return a connection."""
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
            self._pool.release(connection)
        seconds = max(seconds, CONNECTING)
        if self.plain and seconds < self.timeout - SLACK:
            # Its timeouts are for this time only, so the pool doesn't learn of it: its socket_timeout tells.
            connection = self.kind(**self.arguments(seconds))
            connection.connect()
            return connection
        try:
            return self._pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError):
            raise
        except BaseException:
            drop_idle(self._pool)
            raise

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

    def send(self, connection: Any, words: list[bytes]) -> None:
        """Send packed operations."""
        connection.send_packed_command([b"".join(words)])

    def read(self, connection: Any, seconds: float) -> Any:
        """Return a reply."""
        # The connection itself gives up in time, unless others have used up some of it.
        if seconds < self.timeout - SLACK and not connection.can_read(max(0.0, seconds)):
            raise redis.TimeoutError("no reply in time")
        return connection.read_response(disable_decoding=True, disconnect_on_error=False)

    def skip(self, connection: Any, seconds: float) -> None:
        """Read a reply that says nothing."""
        try:
            self.read(connection, seconds)
        except redis.ResponseError:
            pass

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        return super().listener() if self.plain else self._pool.make_connection()

    def give_back(self, connection: Any) -> None:
        """Take back a connection that has been read to the end."""
        if self.plain:
            if connection.socket_timeout == self.timeout:
                self._idle.append((connection, time.monotonic()))
            else:
                connection.disconnect()
        else:
            self._pool.release(connection)

    def close(self, connection: Any) -> None:
        """Take back a connection that is of no more use, and doubt the others."""
        connection.disconnect()
        if not self.plain or connection.socket_timeout == self.timeout:
            self._pool.release(connection)
        while self._idle:
            self._pool.release(self._idle.pop()[0])


class Detour(routes.Detour):
    """The way to a master by the runner."""

    def __init__(self, client: Client, key: bytes, timeout: float) -> None:
        super().__init__(client, key, timeout, Runner(client).run)

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        client = self.client.get_redis_connection(self.node)
        return Route(client, self.timeout, _PLAIN, Retry(NoBackoff(), 0)).listener()


Way = Lane | Detour

_lanes = Ways(Lane)


def way(client: Client, key: bytes, timeout: float, *, patient: bool = False) -> Way:
    """Return the way to a master.

    :param patient: with the client's own retries and timeouts.
    """
    direct = isinstance(client, Redis) and not patient
    return _lanes(client, timeout) if direct else Detour(client, key, timeout)


def _renew() -> None:
    _lanes.guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def exchange(ways: Sequence[Way], step: Ask) -> list[Any]:
    """Take an :class:`Ask` step."""
    op = step.ops[0]
    if len(ways) > 1 or op is None or step.spare:
        return _exchange(ways, step)
    lane = ways[0]
    if not isinstance(lane, Lane):
        if step.again is not None:
            return _exchange(ways, step)
        try:
            return [lane.run(op)]
        except Exception as error:
            return [error]
    # One master, and most often nothing unusual happens: others may be waiting for what is sent here.
    began = time.monotonic()
    connection = None
    sent, awaited, left = False, isinstance(op, Ready), step.timeout
    try:
        connection = lane.open(left)
        connection.send_packed_command((_PING + op.words if isinstance(op, Ready) else op.packed(),))
        sent = True
        if awaited:
            lane.skip(connection, left)
            awaited = False
            left = max(0.0, left - (time.monotonic() - began))
        reply = lane.read(connection, left)
    except BaseException as error:
        if not sent and not isinstance(error, Exception):
            # Interrupted: no reply will come, or it can't be told.
            if connection is not None:
                lane.close(connection)
            raise
        left = max(0.0, step.timeout - (time.monotonic() - began))
        return _exchange([_Begun(lane, connection, error, ahead=awaited)], replace(step, timeout=left))
    lane.give_back(connection)
    try:
        return [decoded(lane.client, op, reply)]
    except Exception as error:
        return [error]


class _Begun:
    """A lane on which an exchange has come to an error, which comes once more: the rest is as for any other.

    :param ahead: whether a reply that says nothing precedes the operation's.
    """

    def __init__(self, lane: Lane, connection: Any, error: BaseException, *, ahead: bool) -> None:
        self._lane = lane
        self._connection = connection
        self._error: BaseException | None = error
        self._ahead = ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)

    def open(self, seconds: float) -> Any:
        connection, self._connection = self._connection, None
        if connection is None:
            self._raise()
            self._ahead = False
            return self._lane.open(seconds)
        return connection

    def send(self, connection: Any, words: list[bytes]) -> None:
        if self._error is None:
            self._lane.send(connection, words)

    def read(self, connection: Any, seconds: float) -> Any:
        self._raise()
        if self._ahead:
            self._lane.skip(connection, seconds)
            self._ahead = False
        return self._lane.read(connection, seconds)

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _exchange(ways: Sequence[Any], step: Ask) -> list[Any]:
    made = Exchange(ways, step)
    work = made.run()
    result = None
    try:
        while True:
            result = work.send(result)
    except StopIteration:
        return made.results
    except BaseException as error:
        # A signal handler's may come between two steps; then what they have begun isn't ended yet.
        result = work.throw(error)
        while True:
            result = work.send(result)


def readable(files: Iterable[int], seconds: float) -> list[int]:
    """Wait until something can be read from one of the files; return those from which it can."""
    if hasattr(select, "poll"):
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        return [file for file, _ in poll.poll(max(0.0, seconds) * 1000)]
    return select.select(list(files), [], [], max(0.0, seconds))[0]

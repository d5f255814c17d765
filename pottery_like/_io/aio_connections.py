"""Where the asyncio runner gets its connections from."""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Awaitable
from typing import Any, TypeAlias, TypeVar

from redis.asyncio import ConnectionPool
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.exceptions import RedisError, TimeoutError

from pottery_like._io.wire import POOL_ARGUMENTS

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    # redis-py needs it there.
    from async_timeout import timeout

T = TypeVar("T")

within = timeout
"""Ends a block after some seconds by ``asyncio.TimeoutError``."""

Place: TypeAlias = ConnectionPool | ClusterNode
"""Where connections come from."""


def cancellations() -> int:
    """Return how often the present task was asked to end; always 0 before Python 3.11, which doesn't know."""
    if sys.version_info < (3, 11):
        return 0
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _heed(before: int) -> None:
    """End if the task was asked to since then."""
    if cancellations() > before:
        raise asyncio.CancelledError


async def heeded(work: Awaitable[T]) -> T:
    """Await what is redis-py's, and end after it if the task was asked to meanwhile.

    redis-py sends through asyncio.wait_for, which before Python 3.12 may swallow a cancellation, or a timeout's.
    """
    before = cancellations()
    try:
        return await work
    finally:
        _heed(before)


async def acquire(place: Place, never: Retry | None = None) -> Any:
    """Take a connection that is open.

    :param never: a policy to connect by, instead of the client's own with its pauses, as far as the pool allows it; and
        without the client's own timeout, which the caller sees to.
    """
    before = cancellations()
    try:
        return await _acquire(place, never, before)
    except (RedisError, OSError):
        _heed(before)
        raise


async def _acquire(place: Place, never: Retry | None, before: int) -> Any:
    if isinstance(place, ClusterNode):
        connection: Any = place.acquire_connection()
        try:
            # Unlike a pool, a node hands out connections unchecked, such as one that the server has closed.
            if connection.is_connected and await _has_data(connection):
                await connection.disconnect(nowait=True)
            await connection.connect()
            _heed(before)
        except BaseException:
            await connection.disconnect(nowait=True)
            await release(place, connection)
            raise
        return connection
    impatient = never is not None and type(place) is ConnectionPool
    try:
        connection = place.get_available_connection() if impatient else await place.get_connection(*POOL_ARGUMENTS)
    except (RedisError, OSError):
        raise
    except BaseException:
        # One of its idle connections may have been cut short in its greeting.
        for idle in list(getattr(place, "_available_connections", ())):
            idle._close()
        raise
    usual = connection.retry, connection.socket_timeout
    try:
        try:
            if impatient:
                connection.retry, connection.socket_timeout = never, None
                await place.ensure_connection(connection)
            # The pool looks at what the event loop has read, and the loop may not have run since the server left.
            if closed(connection) or _replaced(place, connection):
                await connection.disconnect(nowait=True)
                await connection.connect()
            _heed(before)
        finally:
            connection.retry, connection.socket_timeout = usual
    except BaseException:
        # Its greeting may have been cut short, whose replies would be taken for other commands'.
        await connection.disconnect(nowait=True)
        await place.release(connection)
        raise
    return connection


async def send(connection: Any, data: bytes | list[bytes], seconds: float | None = None) -> None:
    """Send packed words.

    :param seconds: how long that may take, instead of the connection's own timeout.
    """
    # By that, redis-py sends through asyncio.wait_for: see heeded().  It also makes a task for it.
    own, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with within(own if seconds is None else seconds):
            await connection.send_packed_command(data)
    except asyncio.TimeoutError as error:
        raise TimeoutError("could not send in time") from error
    finally:
        connection.socket_timeout = own


def closed(connection: Any) -> bool:
    writer = getattr(connection, "_writer", None)
    if writer is None or not hasattr(select, "poll") or writer.get_extra_info("ssl_object") is not None:
        return False
    sock = writer.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _replaced(pool: Any, connection: Any) -> bool:
    """Whether a Sentinel has named another master since.  Such pools take back what was in use then."""
    named = getattr(pool, "master_address", None)
    return named is not None and named != (connection.host, connection.port)


async def _has_data(connection: Any) -> bool:
    check = getattr(connection, "can_read", None) or connection.can_read_destructive
    try:
        return bool(await check())
    except (RedisError, OSError):
        return True


async def release(place: Place, connection: Any) -> None:
    """Give a connection back."""
    if isinstance(place, ClusterNode):
        if hasattr(place, "release"):
            place.release(connection)
        else:
            place._free.append(connection)
    else:
        await place.release(connection)

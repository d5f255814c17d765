"""The asyncio runner's part that waits on the server, and that puts back what a cancelled caller had taken."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError, ResponseError

from pottery_like._core.op import Op, Take, Task, Wait
from pottery_like._io.aio_connections import Place, acquire, heeded, release, send, within
from pottery_like._io.waiting import Waiting, keep_alive
from pottery_like._io.wire import Attempt, Settings, Unsent, Words, decoded

T = TypeVar("T")

ASKING = 1.0
"""Seconds for the request to end a wait, which the pool may have no connection for."""

ASKED = 0.1
"""Seconds for that request's own reply when its effect is there already."""


class Waits(ABC):
    """What a runner adds to running operations."""

    client: Redis | RedisCluster
    round_trips: int
    _settings: Settings

    def __init__(self) -> None:
        self._leaving: set[asyncio.Future[None]] = set()

    @abstractmethod
    async def run(self, op: Task[T]) -> T:
        """Run one operation and return its result."""

    @abstractmethod
    async def _place(self, op: Op[Any]) -> Place: ...

    @abstractmethod
    async def _recover(self, op: Op[Any], started: float, error: Exception) -> Any: ...

    @abstractmethod
    async def _exchange(self, place: Place, argv: Words, *, asking: bool = False) -> Any: ...

    @abstractmethod
    async def _prepared(self, op: Op[Any], attempt: Attempt) -> Place: ...

    async def take(self, take: Take[T]) -> T:
        """Run one operation; if the caller is cancelled meanwhile, put back what it has taken."""
        op, started = take.op, time.monotonic()
        try:
            reply = await self._taken(await self._place(op), take)
        except (RedisError, OSError, Unsent) as error:
            recovering = asyncio.ensure_future(self._recover(op, started, error))
            try:
                reply = await asyncio.shield(recovering)
            except asyncio.CancelledError:
                await self._leave(self._put_back(recovering, take.undo))
                raise
        result: T = decoded(self.client, op, reply)
        return result

    async def _taken(self, place: Place, take: Take[Any]) -> Any:
        try:
            connection = await acquire(place)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        self.round_trips += 1
        sent = False
        try:
            await heeded(connection.check_health())
            # send_command() can be cancelled when the words have gone already; this can't.
            connection._writer.writelines(connection.pack_command(*take.op.argv()))
            sent = True
            reply = await connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except asyncio.CancelledError:
            if not sent:
                await connection.disconnect(nowait=True)
                await release(place, connection)
                raise
            await self._leave(self._late(place, connection, take))
            raise
        except BaseException as error:
            if not isinstance(error, ResponseError):
                await connection.disconnect(nowait=True)
            await release(place, connection)
            raise
        await release(place, connection)
        return reply

    async def _late(self, place: Place, connection: Any, take: Take[Any]) -> None:
        reading = asyncio.ensure_future(connection.read_response(disable_decoding=True))
        await self._end(reading)
        await release(place, connection)
        await self._put_back(reading, take.undo)

    async def _end(self, running: asyncio.Future[Any]) -> None:
        """Wait for a reply that nobody needs, no longer than for any other: the client may have no timeout."""
        await asyncio.wait([running], timeout=self._settings.patience)
        if not running.done():
            running.cancel()
            await asyncio.wait([running])

    async def _put_back(self, running: asyncio.Future[Any], undo: Callable[[Any], Op[Any] | None]) -> None:
        try:
            await self._end(running)
            if running.cancelled():
                return
            op = undo(running.result())
            if op is not None:
                await self.undo(op)
        except Exception:
            # The cancellation that led here is what the caller must see.
            return

    async def undo(self, op: Op[Any]) -> None:
        """Run an operation for a caller who is cancelled and waits for it, though not for ever.

        :raises asyncio.TimeoutError: the server is silent, and the client has no timeout.
        """
        # The last attempt may take as long as all before it.
        async with within(2 * self._settings.patience):
            await self.run(op)

    async def _leave(self, work: Coroutine[Any, Any, None]) -> None:
        leaving = asyncio.ensure_future(work)
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.shield(leaving)

    async def wait(self, wait: Wait[T]) -> T:
        """Wait on the server and return the result; across lost connections, and beyond the socket timeout."""
        waiting = Waiting(self.client, wait, self._settings)
        attempt = Attempt()
        while True:
            op = waiting.next()
            try:
                reply = await self._held(await self._prepared(op, attempt), waiting)
            except (RedisError, OSError, Unsent) as error:
                attempt = waiting.after(error)
                await asyncio.sleep(attempt.pause)
                continue
            if waiting.over(reply):
                result: T = decoded(self.client, op, reply)
                return result

    async def _held(self, place: Place, waiting: Waiting) -> Any:
        try:
            connection = await acquire(place)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        self.round_trips += 1
        # A task of its own: the reply it reads must not be torn by the caller's cancellation.
        told = asyncio.Event()
        reading = asyncio.ensure_future(self._converse(connection, waiting, told))
        try:
            await asyncio.wait([reading], timeout=waiting.due)
            if not reading.done():
                await self._unblock(place, waiting, reading)
            reply = await asyncio.shield(reading)
        except asyncio.CancelledError:
            await self._leave(self._withdraw(place, connection, waiting, told, reading))
            raise
        except BaseException as error:
            if not isinstance(error, ResponseError):
                await connection.disconnect(nowait=True)
            await release(place, connection)
            raise
        await release(place, connection)
        return reply

    async def _converse(self, connection: Any, waiting: Waiting, told: asyncio.Event) -> Any:
        words = waiting.words()
        await send(connection, connection.pack_commands(words))
        waiting.told([await self._reply(connection) for _ in words[1:]])
        told.set()
        keep_alive(connection._writer.get_extra_info("socket"))
        timeout = connection.socket_timeout
        connection.socket_timeout = waiting.due + waiting.grace
        try:
            return await connection.read_response(disable_decoding=True)
        finally:
            connection.socket_timeout = timeout

    async def _reply(self, connection: Any) -> Any:
        try:
            return await connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    async def _unblock(self, place: Place, waiting: Waiting, reading: asyncio.Future[Any]) -> bool:
        """End a wait on the server; whether it has ended, or could be asked to."""
        words = waiting.unblock()
        if words is None:
            return False
        asking = asyncio.ensure_future(self._exchange(place, words))
        asking.add_done_callback(_noticed)
        try:
            await asyncio.wait([asking, reading], timeout=ASKING, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await asyncio.wait([asking], timeout=ASKED)
                return True
            return asking.done() and asking.exception() is None
        finally:
            asking.cancel()

    async def _withdraw(
        self, place: Place, connection: Any, waiting: Waiting, told: asyncio.Event, reading: asyncio.Future[Any]
    ) -> None:
        """Stop waiting, and put back what had come already."""
        telling = asyncio.ensure_future(told.wait())
        try:
            # No longer than for any other reply, as the client may have no timeout.
            await asyncio.wait([telling, reading], timeout=waiting.grace, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() and not await self._unblock(place, waiting, reading):
                return
            undo = waiting.undo(await asyncio.wait_for(reading, waiting.grace))
            if undo is not None:
                await self.undo(undo)
        except Exception:
            # The cancellation that led here is what the caller must see.
            return
        finally:
            telling.cancel()
            reading.cancel()
            # It closes its connection, which must not be somebody else's by then.
            await asyncio.wait([reading])
            if reading.cancelled() or reading.exception() is not None:
                await connection.disconnect(nowait=True)
            await release(place, connection)


def _noticed(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()

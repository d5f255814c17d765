"""The asyncio runner: :mod:`pottery_like._io.sync`, awaited."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import RedisError, ResponseError

from pottery_like._core.op import Batch, Done, Op, Page, Paging, Pause, Program, Take, Task, Wait
from pottery_like._io.waiting import Waiting, keep_alive
from pottery_like._io.wire import (
    POOL_ARGUMENTS,
    Attempt,
    Recovery,
    Settings,
    Unsent,
    Words,
    decoded,
    give_up,
    pack,
    refuse,
    repeatable,
)

T = TypeVar("T")

Client: TypeAlias = Redis | RedisCluster
Place: TypeAlias = ConnectionPool | ClusterNode
"""Where connections come from."""


ASKING = 1.0
"""Seconds for the request to end a wait, which the pool may have no connection for."""

ASKED = 0.1
"""Seconds for that request's own reply when its effect is there already."""


async def _acquire(place: Place) -> Any:
    if isinstance(place, ClusterNode):
        connection: Any = place.acquire_connection()
        try:
            # Unlike a pool, a node hands out connections unchecked, such as one that the server has closed.
            if connection.is_connected and await _has_data(connection):
                await connection.disconnect(nowait=True)
            await connection.connect()
        except BaseException:
            await _release(place, connection)
            raise
        return connection
    connection = await place.get_connection(*POOL_ARGUMENTS)
    if _closed(connection):
        # The pool looks at what the event loop has read, and the loop may not have run since the server left.
        await connection.disconnect(nowait=True)
        try:
            await connection.connect()
        except BaseException:
            await place.release(connection)
            raise
    return connection


def _closed(connection: Any) -> bool:
    writer = getattr(connection, "_writer", None)
    if writer is None or not hasattr(select, "poll") or writer.get_extra_info("ssl_object") is not None:
        return False
    sock = writer.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _has_data(connection: Any) -> bool:
    check = getattr(connection, "can_read", None) or connection.can_read_destructive
    try:
        return bool(await check())
    except (RedisError, OSError):
        return True


async def _release(place: Place, connection: Any) -> None:
    if isinstance(place, ClusterNode):
        if hasattr(place, "release"):
            place.release(connection)
        else:
            place._free.append(connection)
    else:
        await place.release(connection)


class Runner:
    """Runs operations on one client: ``redis.asyncio.Redis`` (Sentinel's included) or its ``RedisCluster``.

    :ivar round_trips: how many exchanges it has begun.

    A task cancelled while it waits for a reply leaves the operation's outcome unknown, as a lost reply does.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.clustered = isinstance(client, RedisCluster)
        self.round_trips = 0
        self._leaving: set[asyncio.Future[None]] = set()
        if isinstance(client, RedisCluster):
            kwargs = client.connection_kwargs
            self._settings = Settings.of(getattr(client, "retry", None), kwargs.get("socket_timeout"), True)
        else:
            kwargs = client.connection_pool.connection_kwargs
            self._settings = Settings.of(kwargs.get("retry"), kwargs.get("socket_timeout"), False)

    async def run(self, op: Task[T]) -> T:
        """Run one operation and return its result."""
        if isinstance(op, Done):
            return op.value
        started = time.monotonic()
        try:
            reply = await self._exchange(await self._place(op), op.argv())
        except (RedisError, OSError, Unsent) as error:
            reply = await self._recover(op, started, error)
        result: T = decoded(self.client, op, reply)
        return result

    async def step(self, step: Task[Any] | Batch | Pause | Take[Any] | Wait[Any]) -> Any:
        """Take one step of a program."""
        if isinstance(step, Op | Done):
            return await self.run(step)
        if isinstance(step, Take):
            return await self.take(step)
        if isinstance(step, Batch):
            return await self.batch(step)
        if isinstance(step, Wait):
            return await self.wait(step)
        await asyncio.sleep(step.seconds)
        return None

    async def take(self, take: Take[T]) -> T:
        """Run one operation; if the caller is cancelled meanwhile, put back what it has taken."""
        running = asyncio.ensure_future(self.run(replace(take.op, decode=_raw)))
        try:
            reply = await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._leave(self._put_back(running, take.undo))
            raise
        result: T = decoded(self.client, take.op, reply)
        return result

    async def _put_back(self, running: asyncio.Future[Any], undo: Callable[[Any], Op[Any] | None]) -> None:
        try:
            op = undo(await running)
            if op is not None:
                await self.run(op)
        except Exception:
            # The cancellation that led here is what the caller must see.
            return

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
            connection = await _acquire(place)
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
            await _release(place, connection)
            raise
        await _release(place, connection)
        return reply

    async def _converse(self, connection: Any, waiting: Waiting, told: asyncio.Event) -> Any:
        words = waiting.words()
        await connection.send_packed_command(connection.pack_commands(words))
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
            await asyncio.wait([telling, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() and not await self._unblock(place, waiting, reading):
                return
            undo = waiting.undo(await asyncio.wait_for(reading, waiting.grace))
            if undo is not None:
                await self.run(undo)
        except Exception:
            # The cancellation that led here is what the caller must see.
            return
        finally:
            telling.cancel()
            if not reading.done():
                reading.cancel()
            if not reading.done() or reading.cancelled() or reading.exception() is not None:
                await connection.disconnect(nowait=True)
            await _release(place, connection)

    async def drive(self, program: Program[T]) -> T:
        """Run a program to its end and return its result."""
        try:
            step = next(program)
            while True:
                try:
                    result = await self.step(step)
                except Exception as error:
                    step = program.throw(error)
                else:
                    step = program.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def iterate(self, paging: Paging) -> AsyncIterator[Any]:
        """Run an iteration, yielding its elements."""
        result = None
        while True:
            try:
                step = paging.send(result)
            except StopIteration:
                return
            if isinstance(step, Page):
                for item in step.items:
                    yield item
                result = None
            else:
                result = await self.step(step)

    async def batch(self, batch: Batch) -> list[Any]:
        """Send operations together and return their results; what fails raises after all have been answered."""
        if batch.atomic:
            return await self._transaction(batch.ops)
        results: list[Any] = [None] * len(batch.ops)
        for place, indexes in await self._grouped(batch.ops):
            ops = [batch.ops[index] for index in indexes]
            for index, reply in zip(indexes, await self._together(place, ops, pack(ops)), strict=True):
                results[index] = reply
        return await self._decoded(batch.ops, results)

    async def _decoded(self, ops: Sequence[Op[Any]], replies: list[Any]) -> list[Any]:
        for index, (op, reply) in enumerate(zip(ops, replies, strict=True)):
            if isinstance(reply, ResponseError):
                if not repeatable(reply, self._settings.cluster):
                    refuse(self.client, op, reply)
                replies[index] = await self._recover(op, time.monotonic(), reply)
        return [decoded(self.client, op, reply) for op, reply in zip(ops, replies, strict=True)]

    async def _transaction(self, ops: tuple[Op[Any], ...]) -> list[Any]:
        started, first = time.monotonic(), ops[0]
        recovery = Recovery(self.client, first, self._settings, started)
        place = await self._place(first)
        while True:
            queued = await self._together(place, ops, [("MULTI",), *pack(ops), ("EXEC",)])
            replies = queued.pop()
            if not isinstance(replies, ResponseError):
                for op, reply in zip(ops, replies, strict=True):
                    if isinstance(reply, ResponseError):
                        refuse(self.client, op, reply)
                return [decoded(self.client, op, reply) for op, reply in zip(ops, replies, strict=True)]
            # EXEC was refused as a whole, because of the first command that could not be queued.
            error = next((reply for reply in queued if isinstance(reply, ResponseError)), replies)
            attempt = recovery.after(error)
            if attempt.asking:
                # A slot on its way to another server can't be asked for in a transaction.
                return [await self.run(op) for op in ops]
            place = await self._prepared(first, attempt)

    async def _grouped(self, ops: Sequence[Op[Any]]) -> list[tuple[Place, list[int]]]:
        groups: dict[int, tuple[Place, list[int]]] = {}
        for index, op in enumerate(ops):
            place = await self._place(op)
            groups.setdefault(id(place), (place, []))[1].append(index)
        return list(groups.values())

    async def _place(self, op: Op[Any]) -> Place:
        client = self.client
        if isinstance(client, Redis):
            return client.connection_pool
        try:
            await client.initialize()
            return client.nodes_manager.get_node_from_slot(op.slot)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error

    async def _exchange(self, place: Place, argv: Words, *, asking: bool = False) -> Any:
        try:
            connection = await _acquire(place)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        self.round_trips += 1
        try:
            if asking:
                await connection.send_command("ASKING")
                await connection.read_response()
            await connection.send_command(*argv)
            return await connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            # A reply may still come: nobody else may read it off this connection.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await _release(place, connection)

    async def _together(self, place: Place, ops: Sequence[Op[Any]], argvs: list[Words]) -> list[Any]:
        try:
            connection = await _acquire(place)
        except (RedisError, OSError) as error:
            give_up(self.client, ops[0], Unsent(error))
        self.round_trips += 1
        replies: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(argvs))
            while len(replies) < len(argvs):
                try:
                    replies.append(await connection.read_response(disable_decoding=True))
                except ResponseError as error:
                    replies.append(error)
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            give_up(self.client, ops[0], error)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await _release(place, connection)
        return replies

    async def _recover(self, op: Op[Any], started: float, error: Exception) -> Any:
        recovery = Recovery(self.client, op, self._settings, started)
        while True:
            attempt = recovery.after(error)
            if attempt.pause:
                await asyncio.sleep(attempt.pause)
            try:
                place = await self._prepared(op, attempt)
                argv = op.eval_argv() if attempt.source else op.argv()
                return await self._exchange(place, argv, asking=attempt.asking)
            except (RedisError, OSError, Unsent) as failure:
                error = failure

    async def _prepared(self, op: Op[Any], attempt: Attempt) -> Place:
        client = self.client
        if isinstance(client, Redis):
            return client.connection_pool
        if attempt.refresh:
            try:
                await client.nodes_manager.initialize()
            except (RedisError, OSError) as error:
                raise Unsent(error) from error
        if attempt.node is not None:
            node = client.get_node(*attempt.node)
            if node is not None:
                return node
        return await self._place(op)


def _raw(reply: Any) -> Any:
    return reply

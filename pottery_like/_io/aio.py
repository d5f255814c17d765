"""The asyncio runner: :mod:`pottery_like._io.sync`, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError, ResponseError

from pottery_like._core.driving import drive_later
from pottery_like._core.op import Batch, Done, Op, Page, Paging, Pause, Program, Take, Task, Wait
from pottery_like._io.aio_connections import Place, acquire, heeded, release, send
from pottery_like._io.aio_waiting import Waits
from pottery_like._io.wire import (
    Attempt,
    Note,
    NoteOf,
    Recovery,
    Settings,
    Unsent,
    Words,
    decoded,
    give_up,
    note_all,
    pack,
    packed,
    refuse,
    repeatable,
)

T = TypeVar("T")

Client: TypeAlias = Redis | RedisCluster


class Runner(Waits):
    """Runs operations on one client: ``redis.asyncio.Redis`` (Sentinel's included) or its ``RedisCluster``.

    :ivar round_trips: how many exchanges it has begun.

    A task cancelled while it waits for a reply leaves the operation's outcome unknown, as a lost reply does.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.clustered = isinstance(client, RedisCluster)
        self.round_trips = 0
        super().__init__()
        if isinstance(client, RedisCluster):
            kwargs = client.connection_kwargs
            self._settings = Settings.of(getattr(client, "retry", None), kwargs.get("socket_timeout"), True)
        else:
            kwargs = client.connection_pool.connection_kwargs
            self._settings = Settings.of(kwargs.get("retry"), kwargs.get("socket_timeout"), False)

    async def run(self, op: Task[T], note: Note | None = None) -> T:
        """Run one operation and return its result."""
        if isinstance(op, Done):
            return op.value
        started = time.monotonic()
        try:
            reply = await self._exchange(await self._place(op), op.argv(), note=note)
        except (RedisError, OSError, Unsent) as error:
            if note is not None:
                note(None)
            reply = await self._recover(op, started, error, note)
        result: T = decoded(self.client, op, reply)
        return result

    async def run_on(self, connection: Any, op: Op[T], over: Callable[[bool], None]) -> T:
        """Run one operation on a connection of the caller's, which is not used for further attempts.

        :param over: called when the connection is free again, with whether it brought the answer.
        """
        started, answered = time.monotonic(), False
        try:
            try:
                reply = await self._say(connection, op.argv(), asking=False)
                answered = True
            finally:
                over(answered)
        except (RedisError, OSError) as error:
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

    async def drive(self, program: Program[T]) -> T:
        """Run a program to its end and return its result."""
        return await drive_later(program, self.step)

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

    async def batch(self, batch: Batch, note: NoteOf | None = None) -> list[Any]:
        """Send operations together and return their results; what fails raises after all have been answered."""
        if batch.atomic:
            return await self._transaction(batch.ops)
        results: list[Any] = [None] * len(batch.ops)
        for place, indexes in await self._grouped(batch.ops):
            ops = [batch.ops[index] for index in indexes]
            noted = None if note is None else partial(note_all, note, indexes)
            for index, reply in zip(indexes, await self._together(place, ops, pack(ops), noted), strict=True):
                results[index] = reply
        return await self._decoded(batch.ops, results, note)

    async def _decoded(self, ops: Sequence[Op[Any]], replies: list[Any], note: NoteOf | None) -> list[Any]:
        for index, (op, reply) in enumerate(zip(ops, replies, strict=True)):
            if isinstance(reply, ResponseError):
                if not repeatable(reply, self._settings.cluster):
                    refuse(self.client, op, reply)
                if note is not None:
                    note(index, None)
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
            await heeded(client.initialize())
            return client.nodes_manager.get_node_from_slot(op.slot)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error

    async def _exchange(self, place: Place, argv: Words, *, asking: bool = False, note: Note | None = None) -> Any:
        try:
            connection = await acquire(place)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        try:
            if note is not None:
                note(connection)
            return await self._say(connection, argv, asking=asking)
        finally:
            await release(place, connection)

    async def _say(self, connection: Any, argv: Words, *, asking: bool) -> Any:
        self.round_trips += 1
        try:
            if asking:
                await send(connection, connection.pack_command("ASKING"))
                await connection.read_response()
            data = packed(argv)
            await send(connection, connection.pack_command(*argv) if data is None else data)
            return await connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            # A reply may still come: nobody else may read it off this connection.
            await connection.disconnect(nowait=True)
            raise

    async def _together(
        self, place: Place, ops: Sequence[Op[Any]], argvs: list[Words], note: Note | None = None
    ) -> list[Any]:
        try:
            connection = await acquire(place)
        except (RedisError, OSError) as error:
            give_up(self.client, ops[0], Unsent(error))
        self.round_trips += 1
        replies: list[Any] = []
        try:
            if note is not None:
                note(connection)
            await send(connection, connection.pack_commands(argvs))
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
            await release(place, connection)
        return replies

    async def _recover(self, op: Op[Any], started: float, error: Exception, note: Note | None = None) -> Any:
        recovery = Recovery(self.client, op, self._settings, started)
        while True:
            attempt = recovery.after(error)
            if attempt.pause:
                await asyncio.sleep(attempt.pause)
            try:
                place = await self._prepared(op, attempt)
                argv = op.eval_argv() if attempt.source else op.argv()
                return await self._exchange(place, argv, asking=attempt.asking, note=note)
            except (RedisError, OSError, Unsent) as failure:
                error = failure

    async def _prepared(self, op: Op[Any], attempt: Attempt) -> Place:
        client = self.client
        if isinstance(client, Redis):
            return client.connection_pool
        if attempt.refresh:
            try:
                await heeded(client.nodes_manager.initialize())
            except (RedisError, OSError) as error:
                raise Unsent(error) from error
        if attempt.node is not None:
            node = client.get_node(*attempt.node)
            if node is not None:
                return node
        return await self._place(op)

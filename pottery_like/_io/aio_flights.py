"""Runs the flights of :mod:`pottery_like._ops.flight` in asyncio: :mod:`pottery_like._io.flights`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from pottery_like._core.op import Op
from pottery_like._io.aio import Runner
from pottery_like._io.wire import AWAY
from pottery_like._ops.flight import (
    AGAIN,
    LEAD,
    Compute,
    Depart,
    Flight,
    Hit,
    Join,
    Land,
    Outcome,
    Raised,
    Step,
    Store,
    Unstored,
    computing,
)

T = TypeVar("T")


class Flights:
    """The flights of one client in one event loop.

    :param runner: the client's.
    :param write: runs the operations that store results, where the runner doesn't.
    """

    def __init__(self, runner: Runner, write: Callable[[Op[Any]], Awaitable[Any]] | None = None) -> None:
        self.runner = runner
        self._write = write or runner.run
        self._flying: dict[bytes, asyncio.Future[Hit | bytes]] = {}
        self._leaving: set[asyncio.Future[Any]] = set()

    async def fly(self, flight: Flight[T], function: Callable[[], Awaitable[T]]) -> Outcome[T]:
        """Run a flight to its end.

        A task that is cancelled while it computes gives the lease back, and another one takes over.
        """
        mine: dict[bytes, Op[None] | None] = {}
        try:
            step = next(flight)
            while True:
                try:
                    result = await self._step(step, function, mine)
                except Exception as error:
                    step = flight.throw(error)
                else:
                    step = flight.send(result)
        except StopIteration as stop:
            outcome: Outcome[T] = stop.value
            return outcome
        finally:
            # Nothing, unless it was interrupted or cancelled.
            for token, undo in mine.items():
                self._land(token, AGAIN)
                if undo is not None:
                    await self.leave(undo)

    async def leave(self, undo: Op[None]) -> None:
        """Run an operation for a caller who is cancelled."""
        leaving = asyncio.ensure_future(self._undo(undo))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.shield(leaving)

    async def _undo(self, undo: Op[None]) -> None:
        with suppress(Exception):
            await self.runner.undo(undo)

    async def _step(
        self, step: Step, function: Callable[[], Awaitable[Any]], mine: dict[bytes, Op[None] | None]
    ) -> Any:
        if isinstance(step, Compute):
            return await self._call(function, mine)
        if isinstance(step, Store):
            try:
                return await self._write(step.op)
            except AWAY as error:
                return Unstored(error, isinstance(error, ResponseError))
        if isinstance(step, Depart):
            self._flying.setdefault(step.token, asyncio.get_running_loop().create_future())
            mine[step.token] = step.undo
            return None
        if isinstance(step, Join):
            return await self._join(step, mine)
        if isinstance(step, Land):
            mine.pop(step.token, None)
            self._land(step.token, step.found)
            for other in list(self._flying) if step.late else ():
                self._land(other, AGAIN)
            return None
        return await self.runner.step(step)

    async def _call(self, function: Callable[[], Awaitable[Any]], mine: dict[bytes, Op[None] | None]) -> Any:
        before = computing.set(computing.get() | mine.keys())
        try:
            return await function()
        except Exception as error:
            return Raised(error)
        finally:
            computing.reset(before)

    async def _join(self, join: Join, mine: dict[bytes, Op[None] | None]) -> Hit | bytes:
        flying = self._flying.get(join.token)
        if flying is None:
            self._flying[join.token] = asyncio.get_running_loop().create_future()
            mine[join.token] = None
            return LEAD
        await asyncio.wait([flying], timeout=join.seconds)
        return flying.result() if flying.done() else AGAIN

    def _land(self, token: bytes, found: Hit | bytes) -> None:
        flying = self._flying.pop(token, None)
        if flying is not None and not flying.done():
            flying.set_result(found)

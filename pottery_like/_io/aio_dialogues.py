"""Conducting dialogues with several masters in the asyncio world, and renewing leases in the background."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis.asyncio

from pottery_like._core.dialogue import Ask, Await, Dialogue, Listen, Step
from pottery_like._core.op import Pause
from pottery_like._io import servers
from pottery_like._io.aio_connections import cancellations
from pottery_like._io.aio_hub import the_hub
from pottery_like._io.aio_lanes import Way, exchange, way
from pottery_like._ops.holds import Hold, now
from pottery_like._ops.locks import Locking
from pottery_like._ops.renewals import Renewals

T = TypeVar("T")

CLIENTS = servers.AIO

_background: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Any) -> asyncio.Task[Any]:
    """Start a task that nobody needs to keep."""
    task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


def client_of(master: Any) -> redis.asyncio.Redis | redis.asyncio.RedisCluster:
    """Return the client for a master: a client, a URL, a dict of connection arguments, or None: the default server."""
    if isinstance(master, Mapping):
        arguments = {"socket_timeout": servers.TIMEOUT, **master}
        return servers.aio_shared(f"{sorted(arguments.items())!r}", lambda: redis.asyncio.Redis(**arguments))
    return servers.aio_client(master)


class Conductor:
    """Conducts dialogues with some masters, in one event loop.

    :param masters: clients, URLs or dicts; none: the default server.
    :param key: what the dialogues are about.
    :param timeout: seconds that a master may take to answer.
    :param patient: whether one master alone has its client's own retries and timeouts instead.
    """

    def __init__(self, masters: tuple[Any, ...], key: bytes, timeout: float, *, patient: bool = False) -> None:
        self.clients = tuple(client_of(master) for master in masters or (None,))
        patient = patient and len(self.clients) == 1
        self.ways: tuple[Way, ...] = tuple(way(client, key, timeout, patient=patient) for client in self.clients)

    async def conduct(self, dialogue: Dialogue[T]) -> T:
        """Conduct a dialogue to its end and return its result."""
        before = cancellations()
        try:
            step = next(dialogue)
            while True:
                try:
                    result = await self._take(step)
                    # redis-py sends by way of asyncio.wait_for, which before Python 3.12 may swallow a cancellation.
                    if cancellations() > before:
                        raise asyncio.CancelledError
                except asyncio.CancelledError as error:
                    await self._wind_up(dialogue, error)
                    raise
                except Exception as error:
                    step = dialogue.throw(error)
                else:
                    step = dialogue.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def _wind_up(self, dialogue: Dialogue[Any], error: BaseException) -> None:
        # What must be undone is undone even if the task is cancelled a second time.
        try:
            await asyncio.shield(spawn(self._rest(dialogue, error)))
        except asyncio.CancelledError:
            pass

    async def _rest(self, dialogue: Dialogue[Any], error: BaseException) -> None:
        try:
            step = dialogue.throw(error)
            while True:
                try:
                    result = await self._take(step)
                except Exception as failure:
                    step = dialogue.throw(failure)
                else:
                    step = dialogue.send(result)
        except (StopIteration, asyncio.CancelledError):
            return

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Ask):
            return await exchange(self.ways, step)
        if isinstance(step, Await):
            return await the_hub().wait(step.token, step.seconds, last=step.last)
        if isinstance(step, Listen):
            return await the_hub().listen(self.ways, step.token, connect=step.connect)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return the_hub().forget(step.token)


class Renewer:
    """Renews the leases of all locks on the same masters: one task for them."""

    def __init__(self, ways: tuple[Way, ...]) -> None:
        self._ways = ways
        self._changed = asyncio.Event()
        self._renewals = Renewals()
        self._task: asyncio.Task[None] | None = None

    def keep(self, hold: Hold, locking: Locking, lost: Callable[[], None]) -> None:
        """Renew this lease until it is released; call ``lost`` if that fails."""
        self._renewals.keep(hold, locking, lost)
        self._changed.set()
        if self._task is None:
            self._task = spawn(self._work())

    def drop(self, hold: Hold) -> None:
        """Stop renewing."""
        self._renewals.drop(hold)
        self._changed.set()

    async def _work(self) -> None:
        try:
            while (pause := self._renewals.pause) is not None:
                if pause:
                    self._changed.clear()
                    timer = asyncio.get_running_loop().call_later(pause, self._changed.set)
                    try:
                        await self._changed.wait()
                    finally:
                        timer.cancel()
                    continue
                started, batch = now(), self._renewals.batch()
                replies = await exchange(self._ways * len(batch), self._renewals.ask(batch))
                for _, lost in self._renewals.answered(batch, started, replies):
                    lost()
        finally:
            self._task = None
            _renewers.get(asyncio.get_running_loop(), {}).pop(self._ways, None)


_renewers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Way, ...], Renewer]] = (
    weakref.WeakKeyDictionary()
)


def renewer(ways: tuple[Way, ...]) -> Renewer:
    """Return this event loop's renewer for these masters."""
    mine = _renewers.setdefault(asyncio.get_running_loop(), {})
    if ways not in mine:
        mine[ways] = Renewer(ways)
    return mine[ways]

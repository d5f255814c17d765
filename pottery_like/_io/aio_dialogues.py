"""Conducting the locks' dialogues in the asyncio world, and renewing leases in the background."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis.asyncio

from pottery_like._core.dialogue import Await, Dialogue, Forget, Listen, Spread, Step, patience
from pottery_like._io import servers
from pottery_like._io.aio_hub import the_hub
from pottery_like._io.aio_lanes import Way, spread, way
from pottery_like._ops.holds import Hold, now
from pottery_like._ops.locks import Locking

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


def _cancellations() -> int:
    if sys.version_info < (3, 11):
        return 0
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Conductor:
    """Conducts dialogues with some masters, in one event loop.

    :param masters: clients, URLs or dicts; none: the default server.
    :param key: what the dialogues are about.
    :param lease: seconds, by which the masters' time for an answer is measured.
    """

    def __init__(self, masters: tuple[Any, ...], key: bytes, lease: float) -> None:
        sources = masters or (None,)
        timeout = patience(lease, len(sources))
        self._clients = [client_of(master) for master in sources]
        self.ways: tuple[Way, ...] = tuple(way(client, key, timeout) for client in self._clients)

    async def conduct(self, dialogue: Dialogue[T]) -> T:
        """Conduct a dialogue to its end and return its result."""
        before = _cancellations()
        try:
            step = next(dialogue)
            while True:
                try:
                    result = await self._take(step)
                    # redis-py sends by way of asyncio.wait_for, which before Python 3.12 may swallow a cancellation.
                    if _cancellations() > before:
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
        if isinstance(step, Spread):
            return await spread(self.ways, step)
        if isinstance(step, Listen):
            return await the_hub().listen(self.ways, step.token, connect=step.connect)
        if isinstance(step, Await):
            return await the_hub().wait(step.token, step.seconds, last=step.last)
        assert isinstance(step, Forget)
        the_hub().forget(step.token)
        return None


class Renewer:
    """Renews the leases of all locks on the same masters: one task for them."""

    def __init__(self, ways: tuple[Way, ...]) -> None:
        self._ways = ways
        self._changed = asyncio.Event()
        self._kept: dict[Hold, tuple[Locking, Callable[[], None]]] = {}
        self._due: dict[Hold, float] = {}
        self._task: asyncio.Task[None] | None = None

    def keep(self, hold: Hold, locking: Locking, lost: Callable[[], None]) -> None:
        """Renew this lease until it is released; call ``lost`` if that fails."""
        self._kept[hold] = locking, lost
        self._due[hold] = now() + locking.lease / 3
        self._changed.set()
        if self._task is None:
            self._task = spawn(self._work())

    def drop(self, hold: Hold) -> None:
        """Stop renewing."""
        self._kept.pop(hold, None)
        self._due.pop(hold, None)
        self._changed.set()

    async def _work(self) -> None:
        try:
            while self._due:
                first = min(self._due.values())
                if first > now():
                    self._changed.clear()
                    timer = asyncio.get_running_loop().call_later(first - now(), self._changed.set)
                    try:
                        await self._changed.wait()
                    finally:
                        timer.cancel()
                    continue
                # Those due soon go along with those due now.
                await self._renew(
                    {
                        hold: locking
                        for hold, (locking, _) in self._kept.items()
                        if self._due[hold] - now() <= locking.lease / 8
                    }
                )
        finally:
            self._task = None
            _renewers.get(asyncio.get_running_loop(), {}).pop(self._ways, None)

    async def _renew(self, batch: dict[Hold, Locking]) -> None:
        started = now()
        ops = tuple(op for hold, locking in batch.items() for op in locking.renewal(hold).ops)
        timeout = min(locking.lease for locking in batch.values()) / 6
        replies = await spread(self._ways * len(batch), Spread(ops, lambda: ops, timeout))
        width = len(self._ways)
        for index, (hold, locking) in enumerate(batch.items()):
            renewed = locking.renewed(hold, started, replies[index * width : (index + 1) * width])
            if hold not in self._kept:
                continue
            if not hold.lost and not hold.released:
                self._due[hold] = now() + locking.lease / (3 if renewed else 12)
                continue
            _, lost = self._kept.pop(hold)
            del self._due[hold]
            if hold.lost:
                lost()


_renewers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Way, ...], Renewer]] = (
    weakref.WeakKeyDictionary()
)


def renewer(ways: tuple[Way, ...]) -> Renewer:
    """Return this event loop's renewer for these masters."""
    mine = _renewers.setdefault(asyncio.get_running_loop(), {})
    if ways not in mine:
        mine[ways] = Renewer(ways)
    return mine[ways]

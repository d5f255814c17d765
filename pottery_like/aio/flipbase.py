"""What an AIOFlipCache is underneath: :mod:`pottery_like.flipbase`, awaited."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
import warnings
import weakref
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any, Generic

from typing_extensions import TypeVar

from pottery_like._core.driving import drive_later
from pottery_like._core.lua import Script
from pottery_like._core.op import Op
from pottery_like._io import servers, unwritten
from pottery_like._io.aio import Client, Runner
from pottery_like._io.aio_connections import heeded
from pottery_like._io.aio_events import Teller
from pottery_like._io.aio_flights import Flights
from pottery_like._io.aio_tracking import Tracker, tracker
from pottery_like._io.anchors import anchors
from pottery_like._io.following import AioTrusting
from pottery_like._ops.flip_back import FlipConflict
from pottery_like._ops.flip_config import FlipConfig, FlipParts
from pottery_like._ops.flip_core import FlipProgram, Read, ReadMany, Write
from pottery_like.exceptions import BypassedWarning, FlipConflictWarning

K = TypeVar("K", default=Any)
V = TypeVar("V", default=Any)
T = TypeVar("T")
Follower = Tracker | AioTrusting


async def settled(result: Any) -> Any:
    """Return what a function of the user's has returned, awaited if need be."""
    return await result if inspect.isawaitable(result) else result


class AIOFlipBase(Generic[K, V]):
    """The machinery of an AIOFlipCache, of which users see nothing."""

    # Else Python would use __getitem__ for "in" and "for", which brings a coroutine for every number, without end.
    __iter__ = None
    __contains__ = None

    _config: FlipConfig
    _source: Any

    def _attach(self, source: Any, config: FlipConfig) -> None:
        self._config = config
        self._source = source
        parts = self._parts = FlipParts(config, nullcontext(), not servers.decodes(source))
        self._core, self._scan, self._tags, self._back = parts.core, parts.scan, parts.tags, parts.back
        self._tier = parts.tier
        self._loop: asyncio.AbstractEventLoop | None = None
        self._made_runner: Runner | None = None
        self._made_follower: Follower | None = None
        self._teller: Teller | None = None
        self._made_flights: Flights | None = None
        self._flusher: asyncio.TimerHandle | None = None
        self._flush: asyncio.Task[None] | None = None
        _all.add(self)

    @property
    def _runner(self) -> Runner:
        runner, loop = self._made_runner, asyncio.get_running_loop()
        if runner is None or self._loop is not loop:
            # In another event loop nothing is left of what listened, and the library's own clients are others.
            if runner is None or not isinstance(self._source, Client):
                runner = self._made_runner = Runner(servers.aio_client(self._source))
            self._core.ops.clustered = runner.clustered
            self._loop = loop
            self._made_follower = self._made_flights = self._flusher = self._teller = None
            self._flushing = asyncio.Lock()
            if self._tier is not None:
                self._tier.drop()
        return runner

    async def _follow(self) -> Follower:
        """Return what knows whether an answer may be kept; listening begins here."""
        runner = self._runner
        if self._made_follower is not None:
            return self._made_follower
        config, ear = self._config, self._parts.ear
        if not config.listens:
            self._made_follower = AioTrusting(runner)
            return self._made_follower
        made = tracker(runner, config.max_stale, messages=config.coherence == "pubsub")
        ear.wake = made.wake
        if config.tells and self._teller is None:
            self._teller = Teller(runner, self._core.ops.names, config.on_update, config.on_delete)
            ear.heard = self._teller.changes.heard
        await made.watch(ear)
        if made.reason and self._made_follower is None:
            text = (
                f"{self._config.name!r} keeps nothing in memory, as the server refuses to report changes: {made.reason}"
            )
            warnings.warn(text, BypassedWarning, stacklevel=2)
        self._made_follower = made
        return made

    def _deafen(self) -> None:
        """Listen no more; so nothing may be kept."""
        made, self._made_follower = self._made_follower, None
        if isinstance(made, Tracker):
            made.forget(self._parts.ear)
            self._parts.ear.drop()

    def _flights(self) -> Flights:
        if self._made_flights is None:
            self._made_flights = Flights(self._runner)
        return self._made_flights

    async def _anchors(self) -> tuple[bytes, ...]:
        client: Any = self._runner.client
        if self._runner.clustered:
            await heeded(client.initialize())
        return anchors(client)

    def _fresh(self) -> None:
        """Forget everything if the event loop was held up for so long that changes may have been missed."""
        made = self._made_follower
        if made is not None and self._tier is not None and time.monotonic() > made.fresh_until:
            self._tier.drop()

    async def _step(self, step: Any) -> Any:
        if isinstance(step, Read):
            return await (await self._follow()).read(step.op)
        if isinstance(step, Write):
            following = await self._follow()
            if isinstance(following, Tracker) and isinstance(step.op.command, Script):
                # What a script has written is reported to whoever sent it, too.
                return await self._runner.run(step.op), False
            result, kept = await following.write(step.op, self._parts.ear)
            if kept and self._teller is not None:
                # The server doesn't report what went this way.
                self._teller.changes.heard(step.op.keys)
            return result, kept
        if isinstance(step, ReadMany):
            return await (await self._follow()).batch(step.ops)
        return await self._runner.step(step)

    async def _drive(self, program: FlipProgram[T]) -> T:
        if self._runner is not None and self._made_follower is None and self._tier is not None:
            # What is announced before the listening begins would not be kept.
            await self._follow()
        self._fresh()
        try:
            return await drive_later(program, self._step)
        finally:
            # When it was cancelled: what it has begun must be known to be over.
            program.close()

    async def _introduce(self) -> None:
        if not self._scan.introduced:
            await self._drive(self._scan.introduce())

    async def _iterate(self, paging: Any) -> AsyncIterator[Any]:
        await self._settled()
        async for item in self._runner.iterate(paging(await self._anchors())):
            yield item

    async def _change(self, program: FlipProgram[bool]) -> None:
        """Make a change that is written in time."""
        unwritten.keep(self)
        due = await self._drive(program)
        if due:
            await self.flush()
        else:
            self._flush_later()

    def _flush_later(self) -> None:
        """Have what waits written in time; nothing is left pending by :meth:`_rest`."""
        interval = self._config.flush_interval
        if interval is not None and self._flusher is None and self._back is not None and self._back.dirty:
            self._flusher = asyncio.get_running_loop().call_later(interval, self._begin_flush)

    def _begin_flush(self) -> None:
        self._flush = asyncio.ensure_future(self._flush_unasked())

    async def _flush_unasked(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # what is unwritten stays so, shows in stats().dirty, and is tried again
            text = f"{self._config.name!r}: writing what waits, or on_conflict, has failed: {error!r}"
            try:
                warnings.warn(text, RuntimeWarning, stacklevel=1)
            except RuntimeWarning as shown:  # warnings are errors here, and the task is to go on
                asyncio.get_running_loop().call_exception_handler({"message": text, "exception": shown})
        finally:
            self._flusher = None
        self._flush_later()

    def _rest(self) -> None:
        """Flush no more by itself, if nothing waits."""
        if self._flusher is not None and not (self._back and self._back.dirty):
            self._flusher.cancel()
            self._flusher = None

    async def flush(self) -> None:
        """Write what was not written yet; with ``write='through'`` there is nothing to do.

        1 round trip per thousand changes (and per slot of a cluster), each script atomic.

        :raises Exception: what the server or the connection has to say; what was not written waits on.
        """
        back = self._back
        if back is None or not back.dirty:
            return
        assert self._runner is not None
        try:
            async with self._flushing:
                await self._drive(back.flush())
                if not back.dirty:
                    unwritten.release(self)
        finally:
            failed: Exception | None = None
            for each in back.untold():
                try:
                    await settled(self._report(each))
                except Exception as error:
                    failed = failed or error
            if failed is not None:
                raise failed

    async def _settled(self) -> None:
        """Write what was not written yet, before the server is asked about it."""
        if self._back is not None:
            await self.flush()

    def _report(self, conflict: FlipConflict) -> Any:
        if self._config.on_conflict is not None:
            return self._config.on_conflict(conflict)
        key, mine, _ = conflict
        text = f"{self._config.name!r}: {key!r} was changed elsewhere; {mine!r} was not written"
        return warnings.warn(text, FlipConflictWarning, stacklevel=4)

    def _unwritten(self) -> tuple[Any, list[tuple[list[Any], Op[Any]]]] | None:
        if self._back is None or not self._back.dirty or self._made_runner is None:
            return None
        return self._made_runner, self._back.batches()

    def _settle(self, changes: list[Any], reply: Any) -> None:
        if self._back is not None:
            self._back.settle(changes, reply)
            for each in self._back.untold():
                try:
                    told = self._report(each)
                    if inspect.isawaitable(told):
                        # The process ends, and with it the event loop has.
                        asyncio.run(settled(told))
                except Exception as error:
                    text = f"{self._config.name!r}: on_conflict has failed: {error!r}"
                    warnings.warn(text, RuntimeWarning, stacklevel=1)

    def _forked(self) -> None:
        # The parent writes what is to be written.
        if self._back is not None:
            self._back.renew()
        if self._tier is not None:
            self._tier.renew()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: the settings, and the client's arguments (its password included)."""
        return _revived, (type(self), servers.portable(self._source), self._parts.portable())


def _revived(cls: Any, source: str | bytes, settings: dict[str, Any]) -> Any:
    return cls(**settings, redis=servers.revived(source))


def checked_client(redis_protocol: Any, redis: Any, redis_url: str | None) -> Any:
    """Return the client or URL that was given under whichever name.

    :raises TypeError: it is neither, or there are two.
    """
    if redis_protocol is not None and redis is not None:
        raise TypeError("give redis_protocol or redis, not both")
    return servers.checked(redis if redis_protocol is None else redis_protocol, redis_url, Client)


_all: weakref.WeakSet[AIOFlipBase[Any, Any]] = weakref.WeakSet()


def _renew_all() -> None:
    for cache in list(_all):
        cache._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)

"""The results of one coroutine function in Redis: :mod:`pottery_like.memo`, awaited."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from pottery_like._core.keys import container_key, random_key
from pottery_like._core.op import Op
from pottery_like._io import servers
from pottery_like._io.aio import Client, Runner
from pottery_like._io.aio_flights import Flights
from pottery_like._io.aio_tracking import Tracker, tracker
from pottery_like._io.leaving import remove_keys
from pottery_like._io.owned import Owned
from pottery_like._io.wire import AWAY
from pottery_like._ops.calls import UNUSUAL, CacheInfo, Calls
from pottery_like._ops.flight import AGAIN, Flight, Found, look, new_token
from pottery_like._ops.memo import MemoEntry, MemoOps, own_key
from pottery_like._ops.memo_options import Options
from pottery_like._ops.near import Near
from pottery_like.codecs import Codec

_owned: Owned[Runner] = Owned(remove_keys)


class _Place:
    """What a function has in one event loop, to which futures and the library's own clients belong.

    :ivar near: the results in this process, once there are any.
    """

    __slots__ = ("flights", "loop", "near")

    def __init__(self, loop: asyncio.AbstractEventLoop, runner: Runner, local: bool) -> None:
        self.loop = loop
        self.near: tuple[Near, Tracker] | None = None
        self.flights = Flights(runner, self._write if local else None)

    async def _write(self, op: Op[Any]) -> Any:
        try:
            return await self.flights.runner.run(op)
        finally:
            # The server tells of it, too, but maybe not before the next call.
            if self.near is not None:
                self.near[0].written(op)


class AIOMemo:
    """A coroutine function and its results.

    :param function: the coroutine function.
    :param source: the client or URL.
    :param key: the key; None for the function's own.
    """

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        source: Any,
        key: str | None,
        codec: Codec[Any] | None,
        options: Options,
    ) -> None:
        self._source = servers.checked(source, None, Client)
        named = own_key(function) if key is None else key
        self._anonymous = named is None
        where = container_key(random_key() if named is None else named)
        self._ops = MemoOps(where, function, options, codec, shared=key is not None)
        self._calls = Calls(self._ops, function, AWAY, nullcontext())
        self._function = function
        self._last: _Place | None = None
        self._places: dict[asyncio.AbstractEventLoop, _Place] = {}

    @property
    def _here(self) -> _Place:
        # Event loops in several threads take turns here: one look at the attribute, and no other.
        place, loop = self._last, asyncio.get_running_loop()
        if place is None or place.loop is not loop:
            place = self._last = self._places.get(loop) or self._arrive(loop)
        return place

    def _arrive(self, loop: asyncio.AbstractEventLoop) -> _Place:
        for other in list(self._places):
            if other.is_closed():
                self._places.pop(other, None)
        runner = Runner(servers.aio_client(self._source))
        place = self._places[loop] = _Place(loop, runner, bool(self._ops.options.local))
        if self._anonymous:
            _owned.add(runner, self._ops.clear())
        return place

    @property
    def _made_flights(self) -> Flights | None:
        return None if self._last is None else self._last.flights

    @property
    def _flights(self) -> Flights:
        return self._here.flights

    def redis(self) -> Client:
        """Return the client; for a URL, the library's own for it and the running event loop."""
        return self._flights.runner.client

    def wrapper(self) -> Callable[..., Awaitable[Any]]:
        """Return the function that looks for results first."""

        @functools.wraps(self._function)
        async def cached(*args: Any, **kwargs: Any) -> Any:
            return await self._call(args, kwargs)

        @functools.wraps(self._function)
        async def bypass(*args: Any, **kwargs: Any) -> Any:
            return await self._bypass(args, kwargs)

        made: Any = cached
        made.__bypass__ = bypass
        for method in (
            self.cache_clear,
            self.cache_info,
            self.cache_parameters,
            self.invalidate,
            self.invalidate_prefix,
            self.invalidate_tag,
            self.redis,
        ):
            setattr(made, method.__name__, method)
        return cached

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls = self._calls
        entry = calls.entry(args, kwargs)
        if entry is None:
            return await self._function(*args, **kwargs)
        found: Found | Exception
        try:
            found = await self._look(entry)
        except AWAY as error:
            found = error
        value = calls.usual(entry, found)
        return await self._fly(calls.rest(entry, found), args, kwargs) if value is UNUSUAL else value

    async def _look(self, entry: MemoEntry) -> Found:
        if not self._ops.options.local:
            reply: Found = await self._flights.runner.step(look(entry))
            return reply
        place = self._here
        near, following = place.near or await self._nearby(place)
        hit = near.find(entry.field)
        if hit is not None and time.monotonic() < following.fresh_until:
            return hit
        keep: Found | None = None
        token = new_token()
        op = entry.look(token)
        mark, sent = near.expect(entry.field), time.monotonic()
        try:
            found, kept = await following.read(op)
            keep = found if kept else None
        except asyncio.CancelledError:
            await place.flights.leave(entry.release(token, AGAIN))
            raise
        finally:
            near.keep(entry.field, mark, keep, sent)
        return found

    async def _nearby(self, place: _Place) -> tuple[Near, Tracker]:
        near, following = Near(self._ops, nullcontext), tracker(place.flights.runner)
        await following.watch(near)
        place.near = near, following
        return place.near

    async def _change(self, op: Op[Any]) -> Any:
        try:
            return await self._run(op)
        finally:
            self._calls.forget()
            near = self._here.near
            if near is not None:
                near[0].drop()

    async def _bypass(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        entry = self._calls.entry(args, kwargs, forced=True)
        if entry is None:
            return await self._function(*args, **kwargs)
        return await self._fly(self._calls.rest(entry), args, kwargs)

    async def _fly(self, flight: Flight[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outcome = await self._flights.fly(flight, functools.partial(self._function, *args, **kwargs))
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            # The exception knows this frame, which must not know the exception.
            del outcome

    async def _run(self, op: Op[Any]) -> Any:
        return await self._flights.runner.run(op)

    async def cache_info(self) -> CacheInfo:
        """Return how often there was a result and how often not, ``maxsize``, and how many results there are.

        O(1), 1 round trip; with ``ttl=`` O(log n) more for each result that has expired since.
        """
        info: CacheInfo = await self._run(self._calls.info())
        return info

    async def cache_clear(self) -> None:
        """Remove all results, and count from 0.  O(n) on the server's background thread; 1 round trip, atomic.

        What is being computed meanwhile is not stored.
        """
        await self._change(self._ops.clear())
        self._calls.cleared()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the arguments of redis_cache()."""
        return self._ops.options.parameters()

    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the result for these arguments.  O(1), 1 round trip, atomic.

        What is being computed for them meanwhile is not stored.

        :returns: whether there was one.
        :raises TypeError: the arguments don't fit the function, or can't be part of a key.
        """
        removed: bool = await self._change(self._ops.drop(self._ops.spelled(args, kwargs)))
        return removed

    async def invalidate_prefix(self, *args: Any) -> None:
        """Make invalid the results for all calls with these leading arguments.  O(1), 1 round trip, atomic.

        :raises TypeError: there are more than ``prefixes=`` provides for.
        """
        await self._change(self._ops.drop_prefix(args))

    async def invalidate_tag(self, *tags: str) -> None:
        """Make invalid all results with one of these tags.  O(len(tags)), 1 round trip, atomic.

        :raises TypeError: the cache has no ``tags=``.
        """
        await self._change(self._ops.drop_tags(tags))

"""The results of one function in Redis: what :func:`~pottery_like.redis_cache` makes of a plain function."""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pottery_like._core.arguments import UnfitError
from pottery_like._core.keys import container_key, random_key
from pottery_like._core.op import Op
from pottery_like._io import servers
from pottery_like._io.flights import Flights
from pottery_like._io.leaving import remove_keys
from pottery_like._io.owned import Owned
from pottery_like._io.sync import Client, Runner
from pottery_like._io.tracking import Tracker, tracker
from pottery_like._io.wire import AWAY
from pottery_like._ops.calls import UNUSUAL, CacheInfo, Calls
from pottery_like._ops.flight import AGAIN, Flight, Found, Outcome, new_token
from pottery_like._ops.memo import MemoEntry, MemoOps, own_key
from pottery_like._ops.memo_options import Options
from pottery_like._ops.near import Near
from pottery_like.codecs import Codec

_owned: Owned[Runner] = Owned(remove_keys)


class Memo:
    """A function and its results.

    :param function: the function.
    :param source: the client or URL.
    :param key: the key; None for the function's own.
    """

    def __init__(
        self, function: Callable[..., Any], source: Any, key: str | None, codec: Codec[Any] | None, options: Options
    ) -> None:
        self._source = servers.checked(source, None, Client)
        named = own_key(function) if key is None else key
        self._anonymous = named is None
        where = container_key(random_key() if named is None else named)
        self._ops = MemoOps(where, function, options, codec, shared=key is not None)
        self._calls = Calls(self._ops, function, AWAY, threading.Lock())
        _all.add(self)
        self._function = function
        self._made_flights: Flights | None = None
        self._near: tuple[Near, Tracker] | None = None

    @property
    def _flights(self) -> Flights:
        flights = self._made_flights
        if flights is None:
            runner = Runner(servers.sync_client(self._source))
            flights = self._made_flights = Flights(runner, self._write if self._ops.options.local else None)
            if self._anonymous:
                _owned.add(flights.runner, self._ops.clear())
        return flights

    def renew(self) -> None:
        """Start as a forked child's."""
        self._calls.renew(threading.Lock())

    def redis(self) -> Client:
        """Return the client; for a URL, the library's own for it."""
        return self._flights.runner.client

    def wrapper(self) -> Callable[..., Any]:
        """Return the function that looks for results first."""
        # Each frame less allows functions that call themselves more depth.
        call = self._call_simply if self._calls.simple else self._call

        @functools.wraps(self._function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            return call(args, kwargs)

        @functools.wraps(self._function)
        def bypass(*args: Any, **kwargs: Any) -> Any:
            return self._bypass(args, kwargs)

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

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls = self._calls
        entry = calls.entry(args, kwargs)
        if entry is None:
            return self._function(*args, **kwargs)
        flights, token = self._flights, new_token()
        found: Found | Exception
        try:
            try:
                found = self._look(entry, token)
            except AWAY as error:
                found = error
            value = calls.usual(entry, found)
            if value is not UNUSUAL:
                return value
            outcome = self._fly(calls.rest(entry, found), args, kwargs)
        except BaseException:
            # Interrupted, or the stack is full: maybe it has got the lease.
            flights.held.append(functools.partial(entry.release, token, AGAIN))
            flights.give_back()
            raise
        return self._result(outcome)

    def _call_simply(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do the same with as little as possible before a hit."""
        ops = self._ops
        try:
            call = ops.spelled(args, kwargs)
        except UnfitError:
            return self._function(*args, **kwargs)
        flights = self._made_flights or self._flights
        field, token = ops.field(call), new_token()
        found: Found | Exception
        try:
            try:
                reply = flights.runner.run(ops.ask(field, token))
                if type(reply) is bytes:
                    value = self._calls.hit(reply)
                    if value is not UNUSUAL:
                        return value
                found = ops.found(reply, token)
            except AWAY as error:
                found = error
            outcome = self._fly(self._calls.rest(MemoEntry(ops, call, args, kwargs), found), args, kwargs)
        except BaseException:
            flights.held.append(functools.partial(ops.release, field, token, AGAIN))
            flights.give_back()
            raise
        return self._result(outcome)

    def _look(self, entry: MemoEntry, token: bytes) -> Found:
        if not self._ops.options.local:
            return self._flights.runner.run(entry.look(token))
        near, following = self._near or self._nearby()
        hit = near.find(entry.field)
        if hit is not None and time.monotonic() < following.fresh_until:
            return hit
        keep: Found | None = None
        mark, sent = near.expect(entry.field), time.monotonic()
        try:
            found, kept = following.read(entry.look(token))
            keep = found if kept else None
        finally:
            near.keep(entry.field, mark, keep, sent)
        return found

    def _nearby(self) -> tuple[Near, Tracker]:
        near, following = Near(self._ops, threading.Lock), tracker(self._flights.runner)
        following.watch(near)
        self._near = near, following
        return self._near

    def _write(self, op: Op[Any]) -> Any:
        try:
            return self._flights.runner.run(op)
        finally:
            # The server tells of it, too, but maybe not before the next call.
            if self._near is not None:
                self._near[0].written(op)

    def _change(self, op: Op[Any]) -> Any:
        try:
            return self._run(op)
        finally:
            self._calls.forget()
            if self._near is not None:
                self._near[0].drop()

    def _bypass(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        entry = self._calls.entry(args, kwargs, forced=True)
        if entry is None:
            return self._function(*args, **kwargs)
        return self._result(self._fly(self._calls.rest(entry), args, kwargs))

    def _fly(self, flight: Flight[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome[Any]:
        return self._flights.fly(flight, functools.partial(self._function, *args, **kwargs))

    def _result(self, outcome: Outcome[Any]) -> Any:
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            # The exception knows this frame, which must not know the exception.
            del outcome

    def _run(self, op: Op[Any]) -> Any:
        return self._flights.runner.run(op)

    def cache_info(self) -> CacheInfo:
        """Return how often there was a result and how often not, ``maxsize``, and how many results there are.

        O(1), 1 round trip; with ``ttl=`` O(log n) more for each result that has expired since.
        """
        info: CacheInfo = self._run(self._calls.info())
        return info

    def cache_clear(self) -> None:
        """Remove all results, and count from 0.  O(n) on the server's background thread; 1 round trip, atomic.

        What is being computed meanwhile is not stored.
        """
        self._change(self._ops.clear())
        self._calls.cleared()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the arguments of redis_cache()."""
        return self._ops.options.parameters()

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the result for these arguments.  O(1), 1 round trip, atomic.

        What is being computed for them meanwhile is not stored.

        :returns: whether there was one.
        :raises TypeError: the arguments don't fit the function, or can't be part of a key.
        """
        removed: bool = self._change(self._ops.drop(self._ops.spelled(args, kwargs)))
        return removed

    def invalidate_prefix(self, *args: Any) -> None:
        """Make invalid the results for all calls with these leading arguments.  O(1), 1 round trip, atomic.

        :raises TypeError: there are more than ``prefixes=`` provides for.
        """
        self._change(self._ops.drop_prefix(args))

    def invalidate_tag(self, *tags: str) -> None:
        """Make invalid all results with one of these tags.  O(len(tags)), 1 round trip, atomic.

        :raises TypeError: the cache has no ``tags=``.
        """
        self._change(self._ops.drop_tags(tags))


_all: weakref.WeakSet[Memo] = weakref.WeakSet()


def _renew() -> None:
    for memo in _all:
        memo.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

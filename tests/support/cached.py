"""redis_cache() in either world behind the synchronous surface."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from pottery_like import redis_cache
from tests.conftest import Maker
from tests.support.facade import Loop
from tests.support.servers import Setup


class _Awaited:
    """A cached coroutine function that is called like a function."""

    def __init__(self, loop: Loop, cached: Any) -> None:
        self._loop, self._cached = loop, cached
        assert inspect.iscoroutinefunction(cached)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(lambda: self._cached(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cached, name)
        return lambda *args, **kwargs: self._loop.call(lambda: value(*args, **kwargs))


class Counted:
    """A function that counts its calls, and the cache in front of it.

    :ivar calls: how often the function was called.
    :ivar cached: the function with its cache.
    """

    def __init__(self, make: Maker, function: Callable[..., Any], pause: Any = None, **options: Any) -> None:
        self.calls = 0
        options = {"redis": make.client, "key": options.get("key") or make.new_key(), **options}
        self.key: str = options["key"]
        self.make = make
        decorate: Any = redis_cache(**options)
        if make.loop is None:

            @functools.wraps(function)
            def counted(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                if pause is not None:
                    pause.enter()
                return function(*args, **kwargs)

            self.cached: Any = decorate(counted)
        else:

            @functools.wraps(function)
            async def counted_later(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                if pause is not None:
                    await pause.enter_later()
                return function(*args, **kwargs)

            self.cached = _Awaited(make.loop, decorate(counted_later))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.cached(*args, **kwargs)

    def counts(self) -> tuple[int, int, int]:
        """Return hits, misses and the number of results."""
        info = self.cached.cache_info()
        return info.hits, info.misses, info.currsize

    def trips(self, *args: Any) -> int:
        """Call it, and return how many exchanges that took."""
        cached = self.cached if self.make.loop is None else self.cached._cached
        memo = cached.cache_info.__self__

        def begun() -> int:
            flights = memo._made_flights
            return 0 if flights is None else int(flights.runner.round_trips)

        before = begun()
        self(*args)
        return begun() - before


def maker(setup: Setup) -> Iterator[Maker]:
    """Make caches on one set-up."""
    loop = Loop() if setup.world == "aio" else None
    client = loop.call(setup.client) if loop else setup.client()
    made = Maker(setup, client, loop)
    yield made
    made.close()


def given_back(*args: Any, **kwargs: Any) -> Any:
    """Return what it was given."""
    return [list(args), [list(item) for item in kwargs.items()]]


def plain(a: Any, b: Any = 2) -> Any:
    """Return what it was given."""
    return [a, b]

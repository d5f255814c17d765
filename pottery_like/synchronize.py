"""A decorator that lets one call at a time run, over all threads, processes and machines."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pottery_like._io import servers
from pottery_like._ops.lock_handle import AUTO_RELEASE_TIME, wait_of
from pottery_like.aio.redlock import AIORedlock
from pottery_like.redlock import Redlock

F = TypeVar("F", bound=Callable[..., Any])


def _called(function: Any) -> Any:
    """Return what runs when this is called: of an object, its method."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) or isinstance(function, type) else type(function).__call__


def synchronize(
    *,
    key: str,
    masters: Iterable[Any] = (),
    raise_on_redis_errors: bool = False,
    auto_release_time: float = AUTO_RELEASE_TIME,
    blocking: bool = True,
    timeout: float = -1,
    auto_extend: bool = False,
) -> Callable[[F], F]:
    """Decorate a function, or a coroutine function, so that only one call at a time runs.

    >>> @synchronize(key="report", masters=[redis])
    ... def report():
    ...     return "written"
    >>> report()
    'written'

    Each call has a lock object of its own: a :class:`Redlock`, or an :class:`AIORedlock` for a coroutine function
    (whose masters are then asyncio clients, URLs or dicts).

    :param key: names what is protected; functions with one key exclude each other.
    :param masters: see :class:`Redlock`.
    :param raise_on_redis_errors: see :class:`Redlock`.
    :param auto_release_time: the lease in seconds.
    :param blocking: whether a call waits for its turn; else it raises ``QuorumNotAchieved``.
    :param timeout: for how many seconds it waits; -1: for as long as it takes.
    :param auto_extend: renew the lease for as long as the call takes.
    :raises ValueError: as :class:`Redlock` raises it, when the function is decorated.
    :raises TypeError: as :class:`Redlock` raises it, when the function is decorated or, for the masters, called; the
        function is a generator function, whose body would run without the lock.
    """
    wait_of(blocking, timeout)
    options: dict[str, Any] = {
        "key": key,
        "raise_on_redis_errors": raise_on_redis_errors,
        "auto_release_time": auto_release_time,
        "context_manager_blocking": blocking,
        "context_manager_timeout": timeout,
        "auto_extend": auto_extend,
    }
    Redlock(**options)
    sources = servers.listed(masters)

    def decorate(function: F) -> F:
        wrapper: Any
        if isinstance(function, staticmethod | classmethod):
            method: Any = function
            made: F = type(method)(decorate(method.__func__))
            return made
        kinds = function, _called(function)
        if any(map(inspect.isgeneratorfunction, kinds)) or any(map(inspect.isasyncgenfunction, kinds)):
            raise TypeError("synchronize() can't protect a generator: its body runs when the call has returned")
        if any(map(inspect.iscoroutinefunction, kinds)):

            @functools.wraps(function)
            async def synchronized(*args: Any, **kwargs: Any) -> Any:
                async with AIORedlock(masters=sources, **options):
                    return await function(*args, **kwargs)

            wrapper = synchronized
        else:

            @functools.wraps(function)
            def synchronized_here(*args: Any, **kwargs: Any) -> Any:
                with Redlock(masters=sources, **options):
                    return function(*args, **kwargs)

            wrapper = synchronized_here
        decorated: F = wrapper
        return decorated

    return decorate

"""A decorator that keeps a function's results in Redis, for all processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, TypeVar, overload

from typing_extensions import ParamSpec, Self

from pottery_like._ops.flight import LEASE
from pottery_like._ops.memo import refused
from pottery_like._ops.memo_options import TIMEOUT, OnError, Options, Policy, Statistics
from pottery_like.aio.memo import AIOMemo
from pottery_like.codecs import Codec
from pottery_like.memo import Memo

if TYPE_CHECKING:
    from functools import _CacheInfo as CacheInfo

    from pottery_like._io import aio, sync

P = ParamSpec("P")
Rest = ParamSpec("Rest")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
T = TypeVar("T")


class _Nothing:
    """What no function returns: one whose result type is Any or not given, NoReturn, or (for mypy) a variable, fits."""


class _Named(Protocol):
    __name__: str
    __qualname__: str

    def cache_parameters(self) -> dict[str, Any]:
        """See :meth:`pottery_like.memo.Memo.cache_parameters`."""
        ...


class _Results(_Named, Protocol):
    def cache_info(self) -> CacheInfo:
        """See :meth:`pottery_like.memo.Memo.cache_info`."""
        ...

    def cache_clear(self) -> None:
        """See :meth:`pottery_like.memo.Memo.cache_clear`."""
        ...

    def invalidate_prefix(self, *args: Any) -> None:
        """See :meth:`pottery_like.memo.Memo.invalidate_prefix`."""
        ...

    def invalidate_tag(self, *tags: str) -> None:
        """See :meth:`pottery_like.memo.Memo.invalidate_tag`."""
        ...

    def redis(self) -> sync.Client:
        """See :meth:`pottery_like.memo.Memo.redis`."""
        ...


class BoundFunction(_Results, Protocol[P, R_co]):
    """A cached method of an instance, or of a class.  ``invalidate()`` takes that, too, as its first argument."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """See :meth:`CachedFunction.__call__`."""
        ...

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """See :meth:`pottery_like.memo.Memo.invalidate`."""
        ...


class CachedFunction(_Results, Protocol[P, R_co]):
    """What :func:`redis_cache` makes of a function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the function's result: one that was there, or a new one.  1 round trip, or 2."""
        ...

    def __bypass__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function in any case, and keep the result.  2 round trips."""
        ...

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself."""
        ...

    # Type checkers don't see @classmethod and @staticmethod above: what the first parameter takes tells.  mypy finds
    # that out of the first three, of which none ever fits for pyright, and pyright out of the others.
    @overload
    def __get__(self: Callable[Concatenate[T, Rest], R], instance: Any, owner: T) -> BoundFunction[Rest, R]: ...
    @overload
    def __get__(self: Callable[Concatenate[T, Rest], R], instance: T, owner: Any = None) -> BoundFunction[Rest, R]: ...
    @overload
    def __get__(self: Callable[Rest, R], instance: Any, owner: Any = None) -> CachedFunction[Rest, R]: ...
    @overload
    def __get__(self: CachedFunction[Concatenate[T, Rest], R], instance: Any, owner: T) -> BoundFunction[Rest, R]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[T, Rest], R], instance: T, owner: Any = None
    ) -> BoundFunction[Rest, R]: ...
    @overload
    def __get__(self, instance: Any, owner: Any = None) -> Self: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """See :meth:`pottery_like.memo.Memo.invalidate`."""
        ...


class _AIOResults(_Named, Protocol):
    async def cache_info(self) -> CacheInfo:
        """See :meth:`pottery_like.memo.Memo.cache_info`."""
        ...

    async def cache_clear(self) -> None:
        """See :meth:`pottery_like.memo.Memo.cache_clear`."""
        ...

    async def invalidate_prefix(self, *args: Any) -> None:
        """See :meth:`pottery_like.memo.Memo.invalidate_prefix`."""
        ...

    async def invalidate_tag(self, *tags: str) -> None:
        """See :meth:`pottery_like.memo.Memo.invalidate_tag`."""
        ...

    def redis(self) -> aio.Client:
        """See :meth:`pottery_like.aio.memo.AIOMemo.redis`: the running event loop's."""
        ...


class AIOBoundFunction(_AIOResults, Protocol[P, R_co]):
    """A cached coroutine method of an instance, or of a class: :class:`BoundFunction`, awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """See :meth:`CachedFunction.__call__`."""
        ...

    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """See :meth:`pottery_like.memo.Memo.invalidate`."""
        ...


class AIOCachedFunction(_AIOResults, Protocol[P, R_co]):
    """What :func:`redis_cache` makes of a coroutine function: :class:`CachedFunction`, awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Return the function's result: one that was there, or a new one.  1 round trip, or 2."""
        ...

    def __bypass__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Call the function in any case, and keep the result.  2 round trips."""
        ...

    @property
    def __wrapped__(self) -> Callable[P, Coroutine[Any, Any, R_co]]:
        """The function itself."""
        ...

    # See CachedFunction.
    @overload
    def __get__(
        self: Callable[Concatenate[T, Rest], Coroutine[Any, Any, R]], instance: Any, owner: T
    ) -> AIOBoundFunction[Rest, R]: ...
    @overload
    def __get__(
        self: Callable[Concatenate[T, Rest], Coroutine[Any, Any, R]], instance: T, owner: Any = None
    ) -> AIOBoundFunction[Rest, R]: ...
    @overload
    def __get__(
        self: Callable[Rest, Coroutine[Any, Any, R]], instance: Any, owner: Any = None
    ) -> AIOCachedFunction[Rest, R]: ...
    @overload
    def __get__(
        self: AIOCachedFunction[Concatenate[T, Rest], R], instance: Any, owner: T
    ) -> AIOBoundFunction[Rest, R]: ...
    @overload
    def __get__(
        self: AIOCachedFunction[Concatenate[T, Rest], R], instance: T, owner: Any = None
    ) -> AIOBoundFunction[Rest, R]: ...
    @overload
    def __get__(self, instance: Any, owner: Any = None) -> Self: ...

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """See :meth:`pottery_like.memo.Memo.invalidate`."""
        ...


class _Decorator(Protocol):
    # A coroutine function is a function, too; the first that fits is meant.
    @overload
    def __call__(self, function: Callable[..., _Nothing], /) -> CachedFunction[..., Any]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AIOCachedFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...


def redis_cache(
    *,
    redis: sync.Client | aio.Client | str | None = None,
    key: str | None = None,
    timeout: float | timedelta | None = TIMEOUT,
    codec: Codec[Any] | None = None,
    ttl: float | timedelta | Callable[[Any], float | timedelta | None] | None = None,
    maxsize: int | None = None,
    policy: Policy = "lru",
    cache_if: Callable[[Any], object] | None = None,
    typed: bool = False,
    ignore: str | Sequence[str] = (),
    key_builder: Callable[..., Any] | None = None,
    tags: Sequence[str] | Callable[..., Iterable[str]] = (),
    prefixes: int = 0,
    lease: float | timedelta = LEASE,
    early: float = 0.0,
    stale: float | timedelta = 0.0,
    stale_on_error: bool = False,
    on_error: OnError = "raise",
    statistics: Statistics = "process",
    local: int = 0,
) -> _Decorator:
    """Decorate a function, or a coroutine function, so that its results are kept in Redis.

    >>> @redis_cache(redis=redis, key="squares")
    ... def square(n):
    ...     return n * n
    >>> square(4), square(4), square(n=4)
    (16, 16, 16)
    >>> square.cache_info()
    CacheInfo(hits=2, misses=1, maxsize=None, currsize=1)

    All processes that use the key share the results.  A hit takes 1 round trip, a miss 2.  Of all callers that miss one
    result at the same time, in all processes, one calls the function, and the others wait for its result.

    The decorated function has ``__wrapped__``, ``__bypass__()``, ``cache_info()``, ``cache_clear()``,
    ``cache_parameters()``, ``invalidate()``, ``invalidate_prefix()``, ``invalidate_tag()`` and ``redis()``; those of a
    coroutine function that need the server are awaited.

    :param redis: a client or a URL; an asyncio client for a coroutine function.  Omitted, the server is looked for at
        first use: ``REDIS_URL``, localhost:6379, the embedded server.
    :param key: the Redis key of the results.  Omitted, it is made from the function's module and name; for a function
        that was made inside another one, or in ``__main__``, it is random, and the results go with the process.
    :param timeout: seconds (or a timedelta) after the last access, hit or miss, when all results go; None for never.
    :param codec: how results become bytes; JSON by default, see :mod:`pottery_like.codecs`.
    :param ttl: seconds after which a result expires, or a function that is given the result and returns them, or None
        for never; what it gives no more than 0 seconds is not kept.
    :param maxsize: how many results are kept at most.
    :param policy: what goes first then: ``"lru"``, what was used least recently, or ``"lfu"``, least often.
    :param cache_if: is given a result, and says whether to keep it.
    :param typed: whether equal arguments of different types, such as 1 and 1.0, are different calls.
    :param ignore: the names of parameters that make no difference, such as a connection.
    :param key_builder: is given the arguments, and returns what stands for them in the key.
    :param tags: the tags of all results, or a function that is given the arguments and returns them.
    :param prefixes: for how many leading arguments there is invalidate_prefix().
    :param lease: seconds (or a timedelta) after which somebody else computes a result if whoever does doesn't finish.
    :param early: above 0, a call may compute a result anew before it expires, the more probably the longer that takes
        and the closer the end is; 1 is a good value.
    :param stale: seconds for which a result that has expired is served while one caller computes it anew.
    :param stale_on_error: whether it is served when the function fails, or Redis is away, too.
    :param on_error: when Redis is away, ``"raise"`` its exception, or ``"compute"``: call the function.
    :param statistics: whether cache_info() counts for this ``"process"``, or on the ``"server"``, for all.
    :param local: how many results are kept in this process, too, until the server says that they have changed.
    :raises TypeError: or ValueError, one of these can't be meant; or what is decorated is no such function.
    """
    for method in ("encode", "decode"):
        if codec is not None and not callable(getattr(codec, method, None)):
            raise TypeError(f"codec must have the methods encode() and decode(), not be {codec!r}")
    options = Options(
        timeout=timeout,
        ttl=ttl,
        maxsize=maxsize,
        policy=policy,
        cache_if=cache_if,
        early=early,
        stale=stale,
        stale_on_error=stale_on_error,
        tags=tags,
        prefixes=prefixes,
        typed=typed,
        ignore=ignore,
        key_builder=key_builder,
        lease=lease,
        on_error=on_error,
        statistics=statistics,
        local=local,
    )

    def decorate(function: Any) -> Any:
        reason = refused(function)
        if reason is not None:
            raise TypeError(reason)
        # An object may be called by a coroutine function.
        awaited = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
        kind: Any = AIOMemo if awaited else Memo
        return kind(function, redis, key, codec, options).wrapper()

    return decorate

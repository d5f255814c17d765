"""A decorator that keeps a function's results in Redis, for all processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pottery_like._ops.memo import Options, refused
from pottery_like.aio.memo import AIOMemo
from pottery_like.codecs import Codec
from pottery_like.memo import Memo

F = TypeVar("F", bound=Callable[..., Any])


def redis_cache(*, redis: Any = None, key: str | None = None, codec: Codec[Any] | None = None, **options: Any) -> Any:
    made = Options(**options)

    def decorate(function: F) -> F:
        reason = refused(function)
        if reason:
            raise TypeError(reason)
        kind: Any = AIOMemo if inspect.iscoroutinefunction(function) else Memo
        wrapper: F = kind(function, redis, key, codec, made).wrapper()
        return wrapper

    return decorate

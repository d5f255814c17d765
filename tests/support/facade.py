"""An asyncio container behind the synchronous one's surface, so that one suite runs in both worlds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from pottery_like.aio.base import AIOContainer
from tests.support.names import LOCAL, VERBS


class Loop:
    """An event loop that runs coroutines to their end, one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def call(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` inside the loop; return what its awaitable or async iterator gives, or its result."""
        return self._loop.run_until_complete(_settle(function))

    def run(self, awaitable: Any) -> Any:
        """Return what an awaitable gives."""
        return self.call(lambda: awaitable)

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _settle(function: Callable[[], Any]) -> Any:
    result = function()
    if isinstance(result, AsyncIterator):
        return iter([item async for item in result])
    # A container is awaitable so that it can be filled; as a result it has been.
    if inspect.isawaitable(result) and not isinstance(result, AIOContainer):
        return await result
    return result


class _Editing:
    """``with`` around an ``async with``."""

    def __init__(self, loop: Loop, manager: Any) -> None:
        self._loop, self._manager = loop, manager

    def __enter__(self) -> Any:
        return self._loop.run(self._manager.__aenter__())

    def __exit__(self, *error: Any) -> Any:
        return self._loop.run(self._manager.__aexit__(*error))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._manager, name)
        return (lambda *args: self._loop.call(lambda: value(*args))) if callable(value) else value


def wrap(loop: Loop, container: Any) -> Any:
    """Return the facade of an asyncio container."""
    return FACADES[type(container).__name__](loop, container)


def unwrap(value: Any) -> Any:
    """Return the asyncio container behind a facade; anything else as it is."""
    return value._container if isinstance(value, _Facade) else value


class _Facade:
    def __init__(self, loop: Loop, container: Any) -> None:
        self._loop, self._container = loop, container

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self._container, name)
        named = {key: unwrap(value) for key, value in kwargs.items()}
        result = self._loop.call(lambda: method(*map(unwrap, args), **named))
        if isinstance(result, AIOContainer):
            return wrap(self._loop, result)
        return _Editing(self._loop, result) if hasattr(result, "__aenter__") else result

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._container, name)
        if isinstance(value, AIOContainer):
            return wrap(self._loop, value)
        return (lambda *args, **kwargs: self._call(name, *args, **kwargs)) if callable(value) else value

    def __repr__(self) -> str:
        return repr(self._container)


def _method(name: str, verb: str) -> Any:
    in_place = name.startswith("__i") and name not in ("__iter__", "__invert__")

    def method(self: _Facade, *args: Any) -> Any:
        result = self._call(verb, *args)
        return self if in_place else result

    method.__name__ = name
    return method


def _iterate(self: _Facade) -> Iterator[Any]:
    result: Iterator[Any] = self._loop.call(self._container.__aiter__)
    return result


def _facade(name: str, verbs: dict[str, str]) -> type[_Facade]:
    body: dict[str, Any] = {dunder: _method(dunder, verb) for dunder, verb in verbs.items()}
    body |= {"__getitem__": _method("__getitem__", "__getitem__"), "__iter__": _iterate, "__hash__": None}
    body |= {dunder: _method(dunder, dunder) for dunder in LOCAL.get(name, ())}
    return type(f"{name}Facade", (_Facade,), body)


FACADES = {f"AIO{name}": _facade(name, verbs) for name, verbs in VERBS.items()}

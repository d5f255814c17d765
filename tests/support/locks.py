"""Locks for the tests: each with a client of its own, the asyncio ones behind the synchronous surface."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from pottery_like.aio.redlock import AIORedlock
from pottery_like.redlock import Redlock
from tests.support.servers import Node, Setup


class Actor:
    """A lock object of either world, to be used from one thread at a time.

    :param make: makes the lock from its masters.
    :param clients: makes the masters' clients; in the asyncio world called inside the event loop.
    """

    def __init__(self, make: Callable[[list[Any]], Any], clients: Callable[[], list[Any]], world: str) -> None:
        self._loop = asyncio.new_event_loop() if world == "aio" else None
        self._clients = clients() if self._loop is None else self._loop.run_until_complete(_call(clients))
        self._lock = make(self._clients) if self._loop is None else self._loop.run_until_complete(
            _call(lambda: make(self._clients))
        )  # fmt: skip

    def _run(self, result: Any) -> Any:
        return result if self._loop is None else self._loop.run_until_complete(result)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._lock, name)
        return (lambda *args, **options: self._run(value(*args, **options))) if callable(value) else value

    @property
    def lost(self) -> Any:
        return self._within(lambda: self._lock.lost)

    @property
    def fencing_token(self) -> Any:
        return self._within(lambda: self._lock.fencing_token)

    def _within(self, function: Callable[[], Any]) -> Any:
        return function() if self._loop is None else self._loop.run_until_complete(_call(function))

    def __repr__(self) -> str:
        return repr(self._lock)

    def __enter__(self) -> Any:
        self._run(self._lock.__aenter__() if self._loop else self._lock.__enter__())
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._run(self._lock.__aexit__(*error) if self._loop else self._lock.__exit__(*error))

    def close(self) -> None:
        if self._loop is None:
            for client in self._clients:
                client.close()
        else:
            self._loop.run_until_complete(_close(self._clients))
            self._loop.close()


async def _call(function: Callable[[], Any]) -> Any:
    return function()


async def _close(clients: list[Any]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, left = await asyncio.wait(others, timeout=20)
        assert not left, f"cancelled, and they don't end: {left}"
    for client in clients:
        await client.aclose()


class InBackground:
    """A call in a thread.

    :ivar result: what it returned, or its exception.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, **options: Any) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._call, args=(function, args, options), daemon=True)
        self._thread.start()

    def _call(self, function: Callable[..., Any], args: Any, options: Any) -> None:
        try:
            self.result = function(*args, **options)
        except BaseException as error:
            self.result = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self, seconds: float = 20) -> Any:
        """Return the result."""
        self._thread.join(seconds)
        assert not self.running, f"not within {seconds} s"
        return self.result


def clients_of(setup: Setup) -> Callable[[], list[Any]]:
    """Return what makes a list with one client of a cell of the matrix."""
    return lambda: [setup.client()]


class Actors:
    """Locks on one key.

    :ivar name: the key, without the prefix.
    """

    def __init__(self, world: str) -> None:
        self.world = world
        self.name = uuid.uuid4().hex
        self.key = f"redlock:{self.name}"
        self._made: list[Actor] = []

    def __call__(self, ports: list[int], **options: Any) -> Any:
        kind: Any = AIORedlock if self.world == "aio" else Redlock
        package: Any = redis.asyncio if self.world == "aio" else redis
        actor = Actor(
            lambda masters: kind(key=self.name, masters=masters, **options),
            lambda: [package.Redis(port=port) for port in ports],
            self.world,
        )
        self._made.append(actor)
        return actor

    def holders(self, nodes: list[Node]) -> list[bytes | None]:
        """Return what the masters that run hold."""
        values = []
        for node in nodes:
            if node.process is not None:
                with redis.Redis(port=node.port) as client:
                    values.append(client.get(self.key))
        return values

    def close(self) -> None:
        for actor in self._made:
            actor.close()

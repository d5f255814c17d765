"""NextID in either world behind one synchronous surface, and a worker process that takes ids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio

from pottery_like.aio.nextid import AIONextID
from pottery_like.nextid import NextID
from tests.support.facade import Loop
from tests.support.processes import Child, context


class World:
    """One of the worlds: "sync" or "aio"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = Loop() if name == "aio" else None
        self._clients: list[Any] = []

    def run(self, function: Callable[[], Any]) -> Any:
        """Call ``function``; return its result, awaited where it must be."""
        return function() if self.loop is None else self.loop.call(function)

    def client(self, port: int, **options: Any) -> Any:
        """Return a new client, to be closed with the world."""
        package: Any = redis if self.loop is None else redis.asyncio
        return self.own(package.Redis(port=port, **options))

    def own(self, client: Any) -> Any:
        """Take over a client."""
        self._clients.append(client)
        return client

    def ids(self, **options: Any) -> Ids:
        """Return a new NextID."""
        return Ids(self, NextID(**options) if self.loop is None else AIONextID(**options))

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            self.run(client.close if self.loop is None else client.aclose)
        if self.loop is not None:
            self.loop.close()


class Ids:
    """NextID or AIONextID."""

    def __init__(self, world: World, ids: Any) -> None:
        self._world, self.ids = world, ids

    def next(self) -> int:
        """``next(ids)``."""
        asynchronous = self._world.loop is not None
        return int(self._world.run(lambda: anext(self.ids) if asynchronous else next(self.ids)))

    def take(self, count: int) -> list[int]:
        """Return the next ids."""
        return [self.next() for _ in range(count)]

    def reset(self) -> None:
        """``ids.reset()``."""
        self._world.run(self.ids.reset)


@dataclass(frozen=True)
class Case:
    """What several processes do at once: each takes ``count`` ids of one sequence."""

    ports: list[int]
    count: int
    block: int = 1
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


Outcome = tuple[list[int], list[str]]
"""The ids of one process, and its errors."""


class Takers:
    """Processes that take ids together, one case after the other."""

    def __init__(self, processes: int, cases: list[Case]) -> None:
        self._ready, self._results = context.Barrier(processes + 1), context.Queue()
        args = (cases, self._ready, self._results)
        self._children = [Child(context, _take_ids, *args) for _ in range(processes)]

    def start(self) -> None:
        """Let all begin with the next case."""
        self._ready.wait(60)

    def outcomes(self) -> list[Outcome]:
        """Return what each process has taken in that case."""
        return [self._results.get(timeout=60) for _ in self._children]

    def join(self) -> None:
        """Wait for the ends of the processes."""
        for each in self._children:
            each.end()


def _take_ids(cases: list[Case], ready: Any, results: Any) -> None:
    for case in cases:
        clients = [redis.Redis(port=port) for port in case.ports]
        ids = NextID(key=case.key, masters=clients, block=case.block)
        taken, errors = [], []
        ready.wait(60)
        for _ in range(case.count):
            try:
                taken.append(next(ids))
            except Exception as error:
                errors.append(repr(error))
        results.put((taken, errors))
        for client in clients:
            client.close()

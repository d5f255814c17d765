"""FlipCaches on a set-up; in the asyncio world behind the synchronous surface."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

import pottery_like
from tests.support.facade import Loop, wrap
from tests.support.servers import Setup, cluster, standalone, wait_until

_numbers = itertools.count()


class Flips:
    """Makes caches on one set-up.

    :ivar raw: a plain client of the same server or cluster, somebody else's so to speak.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.loop = Loop() if setup.world == "aio" else None
        self.client = self.new_client()
        self.raw = somebody_else(setup)
        self._made: list[Any] = []

    def new_client(self, **options: Any) -> Any:
        if self.loop is None:
            return self.setup.client(**options)

        async def made() -> Any:
            return self.setup.client(**options)

        return self.loop.run(made())

    def name(self) -> str:
        """Return a name that no other cache has."""
        return f"flip-{os.getpid()}-{uuid.uuid4().hex[:6]}-{next(_numbers)}"

    def __call__(self, name: str | None = None, **options: Any) -> Any:
        # So that no proof runs out while a busy machine does something else.
        options = {"redis": self.client, "max_stale": 10, **options}
        if self.loop is None:
            made: Any = pottery_like.FlipCache(name or self.name(), **options)
        else:
            made = wrap(self.loop, pottery_like.AIOFlipCache(name or self.name(), **options))
        self._made.append(made)
        return made

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until ``condition`` holds, and let the event loop run meanwhile."""

        def holds() -> Any:
            self.pause()
            return condition()

        wait_until(holds, what)

    def pause(self, seconds: float = 0.0) -> None:
        """Let the event loop run."""
        if self.loop is not None:
            import asyncio

            self.loop.run(asyncio.sleep(seconds))

    def close(self) -> None:
        for each in self._made:
            self.raw_clear(each.name)
            each.close()
        if self.loop is None:
            self.client.close()
        else:
            self.loop.run(self.client.aclose())
            self.loop.close()
        self.raw.close()

    def raw_clear(self, name: str) -> None:
        for key in self.raw.scan_iter(f"{name}*", count=1000):
            self.raw.delete(key)


def somebody_else(setup: Setup) -> Any:
    """Return a plain synchronous client of a set-up's server."""
    if setup.topology == "cluster":
        return redis.RedisCluster(host="127.0.0.1", port=cluster(setup.server)[0].port)
    return redis.Redis(port=standalone(setup.server).port)


@contextmanager
def flips(setup: Setup) -> Iterator[Flips]:
    """Make caches for the block."""
    made = Flips(setup)
    try:
        yield made
    finally:
        made.close()

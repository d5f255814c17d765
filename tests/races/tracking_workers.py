"""Processes that read and write keys through caches, and say what they saw."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import redis
import redis.asyncio

from tests.support.tracking import cache, put

Write = tuple[str, int, int, float]
"""``w``, key, number, when it had been acknowledged."""

Read = tuple[str, int, int, float]
"""``r``, key, number seen, when the read began."""


def work(connection: Any, own: int, world: str, options: dict[str, Any]) -> None:
    """Write the keys that are ``own`` modulo 3, read all, and send the history.

    :param options: the server's ``port``; how many ``keys`` there are; for how many ``seconds``; and ``max_stale``.
    """
    package: Any = redis if world == "sync" else redis.asyncio
    history: list[Write | Read] = []
    # The last number begun, and the last one acknowledged.
    last = dict.fromkeys(range(own, options["keys"], 3), 0)
    local = 0
    with cache(world, lambda: package.Redis(port=options["port"]), b"race:", max_stale=options["max_stale"]) as mine:
        deadline = time.monotonic() + options["seconds"]
        while time.monotonic() < deadline:
            key = random.randrange(options["keys"])
            name = b"race:%d" % key
            with contextlib.suppress(redis.RedisError, OSError):
                if key in last and random.random() < 0.1:
                    last[key] += 1
                    value = b"%d" % last[key]
                    if random.random() < 0.5:
                        mine.write(name, value)
                    else:
                        mine.run(lambda name=name, value=value: mine.tracker.runner.run(put(name, value)))
                    history.append(("w", key, last[key], time.monotonic()))
                else:
                    local += name in mine.copies.values
                    began = time.monotonic()
                    history.append(("r", key, int(mine.read(name) or 0), began))
        reconnects = mine.tracker.stats.reconnects
    connection.send((history, local, reconnects))

"""What the processes of test_redis_cache.py do."""

from __future__ import annotations

import asyncio
import enum
import random
import sys
import threading
import time
from itertools import chain
from typing import Any

import redis as redispy

from pottery_like import redis_cache

THREADS = 25


class Kind(enum.Enum):
    BOOK = 1


def slow_function(client: redispy.Redis, **options: Any) -> Any:
    """Return a cached function that counts its calls on the server."""

    def slow(n: int) -> int:
        client.incr(f"calls:{n}")
        time.sleep(0.2)
        return n * 2

    return redis_cache(redis=client, key="races", **options)(slow)


def threads(port: int, barrier: Any, results: Any) -> None:
    """Call it in many threads at once."""
    with redispy.Redis(port=port) as client:
        slow = slow_function(client)
        found: list[Any] = []

        def call() -> None:
            barrier.wait(30)
            found.extend(slow(n) for n in (1, 2))

        running = [threading.Thread(target=call) for _ in range(THREADS)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        results.put((sorted(found), tuple(slow.cache_info())))


def tasks(port: int, barrier: Any, results: Any) -> None:
    """Call it in many tasks at once."""

    async def main() -> None:
        async with redispy.asyncio.Redis(port=port) as client:

            async def slow(n: int) -> int:
                await client.incr(f"calls:{n}")
                await asyncio.sleep(0.2)
                return n * 2

            cached = redis_cache(redis=client, key="races")(slow)

            async def call() -> list[int]:
                return [await cached(n) for n in (1, 2)]

            barrier.wait(30)
            found = await asyncio.gather(*(call() for _ in range(THREADS)))
            results.put((sorted(chain.from_iterable(found)), tuple(await cached.cache_info())))

    asyncio.run(main())


def versioned(client: redispy.Redis, **options: Any) -> Any:
    """Return a cached function that reads a version, slowly."""

    def version(n: int) -> int:
        found = int(client.get("version") or 0)
        time.sleep(random.random() * 0.004)
        return found

    return redis_cache(redis=client, key="versions", **options)(version)


def readers(port: int, options: dict[str, Any], seconds: float, results: Any) -> None:
    """Read versions in some threads; report how many were read, and those older than what was invalidated before."""
    found: list[tuple[int, int]] = []
    end = time.monotonic() + seconds
    with redispy.Redis(port=port) as client:
        version = versioned(client, **options)

        def read() -> None:
            while time.monotonic() < end:
                announced = int(client.get("announced") or 0)
                found.append((announced, version(random.randrange(2))))

        running = [threading.Thread(target=read) for _ in range(4)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    results.put((len(found), [each for each in found if each[1] < each[0]]))


def never(port: int) -> None:
    """Take the lease and don't come back."""
    with redispy.Redis(port=port) as client:
        redis_cache(redis=client, key="killed", lease=0.7)(lost)("x")


def lost(what: str) -> str:
    """Never return, in the process that is to be killed."""
    with redispy.Redis(port=int(sys.argv[1])) as client:
        client.incr("began")
    time.sleep(60)
    return what


def once(port: int) -> None:
    """Call a function with arguments whose hash() differs between processes; print hits and misses."""
    with redispy.Redis(port=port) as client:

        @redis_cache(redis=client, key="seeds")
        def price(*args: Any, **kwargs: Any) -> list[Any]:
            return [len(args)]

        names = frozenset(f"name{i}" for i in range(50))
        price("ada", b"x", (names, None), Kind.BOOK, when=1.0, names=names)
        print(*price.cache_info()[:2])


if __name__ == "__main__":
    globals()[sys.argv[2]](int(sys.argv[1]))

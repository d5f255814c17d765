"""A cache of the simplest kind over a tracker of either world, with a synchronous surface."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
import redis.asyncio

from pottery_like._core.op import Op
from pottery_like._io import aio, aio_tracking, sync, tracking


def get(key: bytes) -> Op[bytes | None]:
    return Op("GET", (key,), (), lambda reply: reply, True)


def put(key: bytes, value: bytes, *options: bytes | int) -> Op[Any]:
    return Op("SET", (key,), (value, *options), lambda reply: reply, True)


def listening() -> list[threading.Thread]:
    """Return the threads that trackers have."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("pottery_like")]


class Running:
    """An event loop that runs in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, awaitable: Any) -> Any:
        async def await_it() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(await_it(), self.loop).result(60)

    def call(self, function: Callable[[], Any]) -> Any:
        async def call_it() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call_it(), self.loop).result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        assert not self._thread.is_alive(), "something in the event loop doesn't end"
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Copies:
    """Local copies, filled in the order that a tracker asks for."""

    def __init__(self, *prefixes: bytes) -> None:
        self.prefixes = prefixes
        self.values: dict[bytes, bytes | None] = {}
        self.fills: dict[bytes, object] = {}
        self.lock = threading.Lock()
        self.drops = 0
        self.sweeps: list[float] = []
        self.next = math.inf

    def renew(self) -> None:
        self.lock = threading.Lock()

    def invalidate(self, keys: Sequence[bytes]) -> None:
        with self.lock:
            for key in keys:
                self.values.pop(key, None)
                self.fills.pop(key, None)

    def drop(self) -> None:
        with self.lock:
            self.drops += 1
            self.values.clear()
            self.fills.clear()

    def sweep(self, now: float) -> float:
        self.sweeps.append(now)
        return self.next

    def begin(self, key: bytes) -> object:
        with self.lock:
            token = self.fills[key] = object()
            return token

    def keep(self, key: bytes, token: object, value: bytes | None, kept: bool, *, written: bool = False) -> None:
        with self.lock:
            own = self.fills.get(key) is token
            if own or written:
                self.fills.pop(key, None)
                self.values.pop(key, None)
            if own and kept:
                self.values[key] = value


class Cache:
    """Copies of one client's keys."""

    def __init__(self, world: str, make: Callable[[], Any], *prefixes: bytes, **options: Any) -> None:
        # Long, so that no proof runs out while a busy machine does something else.
        options = {"max_stale": 10, **options}
        self.running = Running() if world == "aio" else None
        if self.running is None:
            self.client = make()
            self.tracker: Any = tracking.tracker(sync.Runner(self.client), **options)
        else:
            self.client = self.running.call(make)
            self.tracker = aio_tracking.tracker(aio.Runner(self.client), **options)
        self.copies = Copies(*prefixes)
        self.run(lambda: self.tracker.watch(self.copies))

    def run(self, function: Callable[[], Any]) -> Any:
        """Call in the right thread; return what comes of it."""
        if self.running is None:
            return function()
        result = self.running.call(function)
        return self.running.run(result) if asyncio.iscoroutine(result) else result

    def read(self, key: bytes) -> bytes | None:
        """Return a value, the copy if there is one; keep a copy if that is allowed."""
        copies = self.copies
        try:
            return copies.values[key]
        except KeyError:
            pass
        token = copies.begin(key)
        value, kept = self.run(lambda: self.tracker.read(get(key)))
        copies.keep(key, token, value, kept)
        return value

    def write(self, key: bytes, value: bytes, *options: bytes | int) -> bool:
        """Write; return whether a copy may be kept."""
        copies = self.copies
        token, kept = copies.begin(key), False
        try:
            _, kept = self.run(lambda: self.tracker.write(put(key, value, *options), copies))
        finally:
            copies.keep(key, token, value, kept, written=True)
        return bool(kept)

    def usable(self, key: bytes) -> bool:
        return bool(self.run(lambda: self.tracker.usable(get(key))))

    def fill(self, key: bytes, seconds: float = 20) -> None:
        """Read until there is a copy."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                self.read(key)
            if key in self.copies.values:
                return
            assert time.monotonic() < deadline, f"no copy within {seconds} s ({self.tracker.reason})"
            time.sleep(0.01)

    def gone(self, key: bytes, seconds: float = 5.0) -> float:
        """Wait until there is no copy; return the seconds."""
        started = time.monotonic()
        while key in self.copies.values:
            assert time.monotonic() < started + seconds, f"still there after {seconds} s"
            time.sleep(0.0005)
        return time.monotonic() - started

    def close(self) -> None:
        if self.running is None:
            self.client.close()
        else:
            self.running.run(self.client.aclose())
            self.running.run(asyncio.sleep(0.01))
            self.running.close()


@contextlib.contextmanager
def cache(world: str, make: Callable[[], Any], *prefixes: bytes, **options: Any) -> Iterator[Cache]:
    """Have a cache for the block."""
    made = Cache(world, make, *prefixes, **options)
    try:
        yield made
    finally:
        made.close()

"""Listening for messages to an event loop's waiters: one connection to each server."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from pottery_like._io.aio_connections import within
from pottery_like._io.aio_lanes import Way

IDLE = 1.0
"""Seconds after which an event loop without waiters stops listening: it may be about to end."""
SILENCE = 5.0
"""Seconds after which a connection that brings nothing is asked for a sign of life."""


class _Box:
    def __init__(self) -> None:
        self.messages: deque[str] = deque()
        self.waiting: asyncio.Future[None] | None = None

    def put(self, message: str) -> None:
        self.messages.append(message)
        self.wake()

    def wake(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


class Hub:
    """Brings the messages that reach this event loop to the waiters they are for."""

    def __init__(self) -> None:
        self.channel = f"pottery_like:wake:{uuid.uuid4().hex}"
        self._boxes: dict[str, _Box] = {}
        self._tasks: dict[Any, asyncio.Task[None]] = {}
        self._connecting: dict[Any, asyncio.Lock] = {}
        self._idle: asyncio.TimerHandle | None = None

    async def listen(self, ways: Sequence[Way], token: str, *, connect: bool) -> tuple[str, ...]:
        """Expect messages to ``token``; return the channel for each master, empty where there is none."""
        if not connect and not self._tasks:
            return ("",) * len(ways)
        self._boxes.setdefault(token, _Box())
        return tuple([self.channel if await self._hears(each, connect=connect) else "" for each in ways])

    async def wait(self, token: str, seconds: float, *, last: bool) -> str | None:
        """Wait for a message; return what it says after the token.

        An empty one means that messages may have been lost.

        :param last: forget the token after one that isn't empty.
        """
        box = self._boxes.get(token)
        if box is None:
            await asyncio.sleep(seconds)
            return None
        if not box.messages:
            loop = asyncio.get_running_loop()
            box.waiting = loop.create_future()
            timer = loop.call_later(seconds, box.wake)
            try:
                await box.waiting
            finally:
                timer.cancel()
                box.waiting = None
        message = box.messages.popleft() if box.messages else None
        if message and last:
            self.forget(token)
        return message

    def forget(self, token: str) -> None:
        """Expect no more messages to ``token``."""
        self._boxes.pop(token, None)
        if not self._boxes and self._tasks and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(IDLE, self._rest)

    def _rest(self) -> None:
        self._idle = None
        if not self._boxes:
            for task in self._tasks.values():
                task.cancel()
            self._tasks.clear()

    async def _hears(self, way: Way, *, connect: bool) -> bool:
        try:
            identity = way.identity
        except (RedisError, OSError):
            return False
        if identity in self._tasks:
            return True
        if not connect or not way.up or identity is None:
            return False
        async with self._connecting.setdefault(identity, asyncio.Lock()):
            if identity in self._tasks:
                return True
            connection = way.listener()
            # See Lane.send.
            connection.socket_timeout = None
            try:
                async with within(way.timeout):
                    await connection.connect()
                    await connection.send_command("SUBSCRIBE", self.channel)
                    await connection.read_response(disable_decoding=True)
            except (RedisError, OSError, asyncio.TimeoutError):
                await connection.disconnect(nowait=True)
                return False
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            self._tasks[identity] = asyncio.create_task(self._work(identity, connection))
        return True

    async def _work(self, identity: Any, connection: Any) -> None:
        heard, asked = time.monotonic(), False
        try:
            while heard + 2 * SILENCE > time.monotonic():
                reply = await connection.read_response(disable_decoding=True, timeout=SILENCE)
                if reply is None:
                    if not asked:
                        asked = True
                        await connection.send_command("PING")
                    continue
                heard, asked = time.monotonic(), False
                kind, *rest = reply
                if kind == b"message":
                    token, _, text = rest[1].decode().partition(" ")
                    box = self._boxes.get(token)
                    if box is not None:
                        box.put(text)
        except (RedisError, OSError):
            pass
        finally:
            if self._tasks.get(identity) is asyncio.current_task():
                del self._tasks[identity]
            # What was said meanwhile is lost: everybody looks for himself.
            for box in self._boxes.values():
                box.put("")
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def the_hub() -> Hub:
    """Return this event loop's hub."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    return hub

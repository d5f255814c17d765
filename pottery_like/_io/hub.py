"""Listening for messages to this process's waiters: one thread, and one connection to each server."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from redis.exceptions import RedisError

from pottery_like._io.lanes import Way

IDLE = 30.0
"""Seconds after which a process without waiters stops listening."""
SILENCE = 5.0
"""Seconds after which a connection that brings nothing is asked for a sign of life."""


class _Line:
    """A connection that listens to one server."""

    def __init__(self, identity: Any, connection: Any) -> None:
        self.identity = identity
        self.connection = connection
        self.heard = time.monotonic()
        self.asked = False


class Hub:
    """Brings the messages that reach this process to the waiters they are for."""

    def __init__(self) -> None:
        self.channel = f"pottery_like:wake:{uuid.uuid4().hex}"
        self._boxes: dict[str, SimpleQueue[str]] = {}
        self._lines: dict[Any, _Line] = {}
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector | None = None
        self._waker: socket.socket | None = None
        self._idle_since = 0.0

    def listen(self, ways: Sequence[Way], token: str, *, connect: bool) -> tuple[str, ...]:
        """Expect messages to ``token``; return the channel for each master, empty where there is none."""
        self._boxes.setdefault(token, SimpleQueue())
        return tuple(self.channel if self._hears(each, connect=connect) else "" for each in ways)

    def wait(self, token: str, seconds: float) -> str | None:
        """Wait for a message; return what it says after the token."""
        box = self._boxes.get(token)
        if box is None:
            time.sleep(seconds)
            return None
        try:
            return box.get(timeout=seconds) if seconds > 0 else box.get_nowait()
        except Empty:
            return None

    def forget(self, token: str) -> None:
        """Expect no more messages to ``token``."""
        self._boxes.pop(token, None)

    def _hears(self, way: Way, *, connect: bool) -> bool:
        try:
            identity = way.identity
        except (RedisError, OSError):
            return False
        if identity in self._lines:
            return True
        if not connect or not way.up:
            return False
        with self._connecting:
            if identity in self._lines:
                return True
            connection = way.listener()
            try:
                connection.connect()
                connection.send_command("SUBSCRIBE", self.channel)
                connection.read_response(disable_decoding=True)
            except (RedisError, OSError):
                connection.disconnect()
                return False
            self._add(_Line(identity, connection))
        return True

    def _add(self, line: _Line) -> None:
        with self._lock:
            self._lines[line.identity] = line
            if self._thread is None:
                self._selector = selectors.DefaultSelector()
                receiver, self._waker = socket.socketpair()
                receiver.setblocking(False)
                self._selector.register(receiver, selectors.EVENT_READ)
                self._idle_since = time.monotonic()
                self._thread = threading.Thread(target=self._work, name="pottery_like waiting", daemon=True)
                self._thread.start()
            if self._waker is not None:
                self._waker.send(b".")

    def _work(self) -> None:
        selector = self._selector
        assert selector is not None
        watched: dict[Any, int] = {}
        while True:
            ready = selector.select(1.0)
            moment = time.monotonic()
            for key, _ in ready:
                if key.data is None:
                    assert isinstance(key.fileobj, socket.socket)
                    key.fileobj.recv(4096)
                else:
                    self._hear(key.data, moment)
            for line in list(self._lines.values()):
                self._ask(line, moment)
            for line, descriptor in list(watched.items()):
                if self._lines.get(line.identity) is not line:
                    selector.unregister(descriptor)
                    del watched[line]
                    line.connection.disconnect()
            for line in list(self._lines.values()):
                if line not in watched:
                    try:
                        descriptor = line.connection._sock.fileno()
                        selector.register(descriptor, selectors.EVENT_READ, line)
                    except (AttributeError, KeyError, ValueError, OSError):  # it has ended already
                        self._drop(line)
                        continue
                    watched[line] = descriptor
                    self._hear(line, moment)
            if self._boxes:
                self._idle_since = moment
            if (moment - self._idle_since > IDLE or not self._lines) and self._stopped(selector):
                return

    def _hear(self, line: _Line, moment: float) -> None:
        connection = line.connection
        try:
            while connection.can_read(0):
                line.heard, line.asked = moment, False
                kind, *rest = connection.read_response(disable_decoding=True)
                if kind == b"message":
                    token, _, text = rest[1].decode().partition(" ")
                    box = self._boxes.get(token)
                    if box is not None:
                        box.put(text)
        except (RedisError, OSError):
            self._drop(line)

    def _ask(self, line: _Line, moment: float) -> None:
        if moment - line.heard < SILENCE:
            return
        if line.asked and moment - line.heard > 2 * SILENCE:
            self._drop(line)
        elif not line.asked:
            line.asked = True
            try:
                line.connection.send_command("PING")
            except (RedisError, OSError):
                self._drop(line)

    def _drop(self, line: _Line) -> None:
        self._lines.pop(line.identity, None)
        # What was said meanwhile is lost: everybody looks for himself.
        for box in list(self._boxes.values()):
            box.put("")

    def _stopped(self, selector: selectors.BaseSelector) -> bool:
        with self._lock:
            if self._boxes and self._lines:
                return False
            for line in self._lines.values():
                line.connection.disconnect()
            self._lines.clear()
            for key in list(selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
            selector.close()
            if self._waker is not None:
                self._waker.close()
            self._thread = self._selector = self._waker = None
            return True


hub = Hub()


def _renew() -> None:
    # The listening thread and its connections stayed with the parent.
    global hub
    hub = Hub()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def the_hub() -> Hub:
    """Return this process's hub."""
    return hub

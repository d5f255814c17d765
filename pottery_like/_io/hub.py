"""Listening for messages to this process's waiters: one connection to each server, and no thread.

One of the waiting threads, the leader, reads what comes and puts it into the others' boxes.  Most often the leader is
the only one, so that a message reaches the thread it is for without another thread in between.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from queue import Empty
from typing import Any

from redis.exceptions import RedisError

from pottery_like._io.lanes import Way, readable

SILENCE = 5.0
"""Seconds after which a connection that brings nothing is asked for a sign of life."""
SLICE = 1.0
"""Seconds after which the leader looks after the connections, whether something came or not."""
NESTED = 0.05
"""Seconds that a signal handler waits which interrupted the leader."""


class _Line:
    """A connection that listens to one server."""

    def __init__(self, identity: Any, connection: Any) -> None:
        self.identity = identity
        self.heard = time.monotonic()
        self.asked = 0.0
        self._connection = connection
        self._socket: socket.socket = connection._sock
        self._socket.setblocking(False)
        self.file = self._socket.fileno()
        self.plain = not isinstance(self._socket, ssl.SSLSocket)
        self._rest = b""

    def read(self, seconds: float = 0) -> list[str]:
        """Return the messages that have come.

        A message is a token, a blank and a text.  Nothing else in a server's replies to a subscriber has a blank, so
        they are found without parsing these: that is most of the time from a message's coming to its waiter's waking.

        :param seconds: how long to wait for some, if the connection is plain.
        :raises OSError: the connection has ended.
        """
        try:
            if self.plain:
                self._socket.settimeout(seconds)
            data = self._socket.recv(16384)
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                data += self._socket.recv(16384)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return []
        if not data:
            raise ConnectionResetError
        self.heard, self.asked = time.monotonic(), 0.0
        *words, self._rest = (self._rest + data).split(b"\r\n")
        return [word.decode() for word in words if b" " in word]

    def ask(self) -> None:
        """Ask for a sign of life.

        :raises OSError: the connection has ended.
        """
        self._socket.sendall(b"PING\r\n")

    def nudge(self) -> None:
        """Wake the thread that may be waiting for this line alone."""
        if self.plain:
            try:
                self.ask()
            except OSError:  # which wakes it, too
                pass

    def close(self) -> None:
        """Listen no more."""
        self._connection.disconnect()


class _Box:
    """The messages to one waiter.  None among them: it might lead.

    Any thread or signal handler may put something there, at any time.  ``queue.SimpleQueue`` allows that, too, but its
    ``get()`` waits for ever when its time runs out between CPython's two looks at the clock.
    """

    def __init__(self) -> None:
        self.thread = 0
        self._messages: deque[str | None] = deque()
        # Free when there may be something new.
        self._news = threading.Lock()

    def empty(self) -> bool:
        """Whether there is nothing."""
        return not self._messages

    def put(self, message: str | None) -> None:
        """Add something."""
        self._messages.append(message)
        try:
            self._news.release()
        except RuntimeError:  # it is free already
            pass

    def get(self, seconds: float) -> str | None:
        """Take something, having waited for it.

        :raises Empty: nothing came in time.
        """
        until = time.monotonic() + seconds
        while not self._messages:
            if not self._news.acquire(timeout=max(0.0, until - time.monotonic())):
                raise Empty
        return self._messages.popleft()


class _End(socket.socket):
    """A socket that is there until the process ends, or forks, and is no leak then."""

    def __del__(self) -> None:
        self.close()


class Hub:
    """Brings the messages that reach this process to the waiters they are for."""

    def __init__(self) -> None:
        self.channel = f"pottery_like:wake:{uuid.uuid4().hex}"
        self._boxes: dict[str, _Box] = {}
        self._lines: dict[Any, _Line] = {}
        # Re-entrant, as a signal handler may want to listen while its own thread is connecting.
        self._connecting = threading.RLock()
        self._waiting: dict[str, _Box] = {}
        # At most one entry: who leads.  A dict, as setdefault can't be interrupted halfway.
        self._leader: dict[str, _Box] = {}
        # One at most, and a dict for the same reason.
        self._wakers: dict[str, tuple[socket.socket, socket.socket]] = {}

    @property
    def _waker(self) -> tuple[socket.socket, socket.socket]:
        """What wakes a leader who waits for several lines, or for the first one."""
        if not self._wakers:
            one, other = (_End(fileno=each.detach()) for each in socket.socketpair())
            one.setblocking(False)
            other.setblocking(False)
            self._wakers.setdefault("", (one, other))
        return self._wakers[""]

    def listen(self, ways: Sequence[Way], token: str, *, connect: bool) -> tuple[str, ...]:
        """Expect messages to ``token``; return the channel for each master, empty where there is none."""
        if not connect and not self._lines:
            return ("",) * len(ways)
        if token not in self._boxes:
            self._boxes[token] = _Box()
        return tuple([self.channel if self._hears(each, connect=connect) else "" for each in ways])

    def wait(self, token: str, seconds: float, *, last: bool) -> str | None:
        """Wait for a message; return what it says after the token.

        An empty one means that messages may have been lost.

        :param last: forget the token after one that isn't empty.
        """
        box = self._boxes.get(token)
        if box is None:
            time.sleep(seconds)
            return None
        until = time.monotonic() + seconds
        box.thread = threading.get_ident()
        self._waiting[token] = box
        try:
            while True:
                leader = self._leader.setdefault("", box)
                if leader is box:
                    message = self._lead(box, until)
                elif leader.thread == box.thread:
                    time.sleep(min(seconds, NESTED))
                    return None
                else:
                    message = box.get(until - time.monotonic())
                if message is not None:
                    if message and last:
                        self.forget(token)
                    return message
        except Empty:
            return None
        finally:
            del self._waiting[token]
            if self._leader.get("") is box:
                del self._leader[""]
            if self._waiting and not self._leader:
                for other in list(self._waiting.values())[:1]:
                    other.put(None)

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
            if identity in self._lines:  # by a signal handler
                connection.disconnect()
                return True
            others = list(self._lines.values())
            self._lines[identity] = _Line(identity, connection)
            with contextlib.suppress(BlockingIOError):  # it is full of what nobody had to look at
                self._waker[1].send(b".")
            if len(others) == 1:
                others[0].nudge()
        return True

    def _lead(self, box: _Box, until: float) -> str | None:
        """Read for everybody until there is something in this box.

        :raises Empty: nothing came in time.
        """
        waker = self._waker[0]
        woken = waker.fileno()
        while box.empty() and (moment := time.monotonic()) < until:
            for line in list(self._lines.values()):
                self._ask(line, moment)
            lines = list(self._lines.values())
            slice_ = min(until - moment, SLICE)
            if len(lines) == 1 and lines[0].plain:
                # Most often, and others may be waiting behind this one: poll() and what it takes come to 50 us.
                self._hear(lines[0], slice_)
                continue
            files = {line.file: line for line in lines}
            for file in readable([woken, *files], slice_):
                if file == woken:
                    waker.recv(4096)
                else:
                    self._hear(files[file])
        return box.get(0)

    def _hear(self, line: _Line, seconds: float = 0) -> None:
        try:
            for text in line.read(seconds):
                token, _, message = text.partition(" ")
                box = self._boxes.get(token)
                if box is not None:
                    box.put(message)
        except OSError:
            self._drop(line)
        except BaseException:
            # A signal handler's exception: what was read may be lost.
            self._look()
            raise

    def _ask(self, line: _Line, moment: float) -> None:
        if moment - line.heard < SILENCE:
            return
        if not line.asked:
            line.asked = moment
            try:
                line.ask()
            except OSError:
                self._drop(line)
        elif moment - line.asked > SILENCE:
            self._drop(line)

    def _drop(self, line: _Line) -> None:
        self._lines.pop(line.identity, None)
        line.close()
        self._look()

    def _look(self) -> None:
        """Have everybody look for himself, as messages may have been lost."""
        for box in list(self._boxes.values()):
            box.put("")


hub = Hub()


def _renew() -> None:
    # The waiting threads and the connections stayed with the parent.
    global hub
    hub = Hub()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def the_hub() -> Hub:
    """Return this process's hub."""
    return hub

"""A link to one master: a connection that listens and one that is tracked."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from pottery_like._core.coherence import Tiers, additions, minimal
from pottery_like._core.replies import Replies
from pottery_like._io.quick import PORTION, receiver
from pottery_like._io.servers import connection_arguments
from pottery_like._io.watching import UNTRACKED, LinkState, Words, accepted, greeting, pair

UNREADY = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)
"""What reading raises if there is nothing to be read yet."""

FRESH = 0.1
"""Seconds for which a connection isn't looked at before it is used again."""

NEVER = Retry(NoBackoff(), 0)


def peer_of(connection: Any) -> Any:
    """Return the address of the server that a connection leads to."""
    try:
        return getattr(connection, "_conn", connection)._sock.getpeername()
    except (AttributeError, OSError):
        return None


def _own(sock: socket.socket) -> socket.socket:
    """Return a socket that nobody else closes: its number might be another connection's at once."""
    return sock if isinstance(sock, ssl.SSLSocket) else sock.dup()


class Link(LinkState):
    """A link; it is made once, lives and dies, and another takes its place.

    :param client: the client of this one server.
    :param wake: called when there is news for the listening thread.
    :param options: a :class:`LinkState`'s.
    """

    def __init__(self, owner: Any, client: Redis, tiers: Tiers, *, wake: Callable[[], None], **options: Any) -> None:
        self._pool = client.connection_pool
        kind: Any = self._pool.connection_class
        super().__init__(owner, client, pair(client, kind, connection_arguments(client), NEVER), tiers, **options)
        self._wake = wake
        self._answers = Replies()
        self._got: list[Any] = []
        self._asked_tracked = 0.0
        # Held by whoever talks on the tracked connection; nobody waits for it except to register prefixes.
        self._talking = threading.Lock()
        self._spoke = 0.0
        self.wanted = False

    def open(self, prefixes: tuple[bytes, ...]) -> None:
        """Connect, have the server track, and hear the first answers.  Raises what went wrong."""
        self._adopt()
        try:
            self._open(prefixes)
        except BaseException:
            self._leave()
            self._listening.disconnect()
            self._tracked.disconnect()
            raise

    def _open(self, prefixes: tuple[bytes, ...]) -> None:
        connections = self._listening, self._tracked
        for connection in connections:
            connection.connect()
            # From here on bytes are read without redis-py, whose buffer is empty.
            connection._sock.settimeout(self._patience)
        self.tracked_socket: socket.socket = self._tracked._sock
        self.peer = peer_of(self._tracked)
        if peer_of(self._listening) != self.peer:
            raise ConnectionError("the two connections lead to different servers")
        steps = greeting(self._hearing, prefixes, self._question)
        try:
            which, commands = next(steps)
            while True:
                which, commands = steps.send(self._answers_to(connections[which], commands))
        except StopIteration as stop:
            listener, born = stop.value
            self._greeted(listener, born, prefixes)
        self.tracked_socket.settimeout(self._tracked.socket_timeout)
        self.listening_socket = _own(self._listening._sock)
        self.listening_socket.setblocking(False)
        self._receive = receiver(self.listening_socket)
        # Reading from others may take a turn of its own.
        self.prompt = not isinstance(self.listening_socket, ssl.SSLSocket)

    def _answers_to(self, connection: Any, commands: list[Words]) -> list[Any]:
        sock = connection._sock
        sock.sendall(b"".join(connection.pack_commands(commands)))
        replies = self._replies if connection is self._listening else Replies()
        got: list[Any] = []
        while len(got) < len(commands):
            data = sock.recv(PORTION)
            if not data:
                raise ConnectionError("the server closed the connection")
            got += self._answered(replies, data)
        return got

    def _adopt(self) -> None:
        """Let the client's pool close the link with its own connections."""
        pool: Any = self._pool
        with pool._lock if hasattr(pool, "_lock") else nullcontext():
            if isinstance(pool, BlockingConnectionPool):
                pool._connections.append(self._listening)
            else:
                pool._in_use_connections.add(self._listening)

    def _leave(self) -> None:
        pool: Any = self._pool
        with pool._lock if hasattr(pool, "_lock") else nullcontext():
            if not isinstance(pool, BlockingConnectionPool):
                pool._in_use_connections.discard(self._listening)
            elif self._listening in pool._connections:
                pool._connections.remove(self._listening)

    # What the listening thread does.

    def hear(self) -> None:
        """Read what has come on the listening connection."""
        try:
            data = self._receive()
        except UNREADY:
            return
        except OSError:
            self.die()
            return
        try:
            if not data or not self._heard(data):
                self.die()
        except (ValueError, TypeError, IndexError):  # no server's words
            self.die()

    def ask(self, now: float) -> None:
        """Ask what is due to be asked; notice what has been silent for too long."""
        if self._listening._sock is None or now >= self.pulse.good_until:
            self.die()
            return
        try:
            if not self._asked and now >= self.pulse.listening_due:
                self._asked = now
                self.listening_socket.send(b"*2\r\n$4\r\nPING\r\n$1\r\n0\r\n")
            if not self._asked_tracked and now >= self.pulse.tracked_due:
                self._ask_tracked()
        except (RedisError, OSError):
            self.die()

    def _ask_tracked(self) -> None:
        self.wanted = True
        if not self._talking.acquire(blocking=False):
            return
        self._asked_tracked, self._got = time.monotonic(), []
        self._answers = Replies()
        self.tracked_socket.settimeout(0)
        # Not by redis-py, which would open a connection anew that has been closed.
        self.tracked_socket.sendall(b"".join(self._tracked.pack_commands(self._question.words)))

    @property
    def asking(self) -> bool:
        """Whether an answer on the tracked connection is due."""
        return self._asked_tracked > 0

    def hear_tracked(self) -> None:
        """Read an answer on the tracked connection."""
        try:
            data = self.tracked_socket.recv(PORTION)
        except UNREADY:
            return
        except OSError:
            self.die()
            return
        self._got += self._answers.feed(data)
        if not data:
            self.die()
        elif len(self._got) == len(self._question.words):
            if not self._question.understood(self._got):
                self.die()
                return
            self.pulse.tracked(self._asked_tracked)
            self.tracked_socket.settimeout(self._tracked.socket_timeout)
            self._asked_tracked, self.wanted = 0.0, False
            self._talking.release()

    @property
    def next(self) -> float:
        """When the listening thread must look again, if nothing comes."""
        pulse = self.pulse
        due = pulse.good_until
        if not self._asked:
            due = min(due, pulse.listening_due)
        if not self._asked_tracked:
            due = min(due, time.monotonic() + 0.005 if self.wanted else pulse.tracked_due)
        return due

    def die(self) -> None:
        """End the link: the tiers forget everything, and keep nothing."""
        if self.dead:
            return
        self.dead = True
        # Only the client's own pool closes it before it is dead.
        self.closed = self._listening._sock is None
        self._tiers.drop()
        self._wake()

    def close(self) -> None:
        """Close the connections, the tracked one as soon as nobody talks on it."""
        self.dead = True
        self._leave()
        self._listening.disconnect()
        self.listening_socket.close()
        if self._asked_tracked or self._talking.acquire(blocking=False):
            self._tracked.disconnect()

    # What the threads that use caches do.

    def talk(self) -> Any:
        """Return the tracked connection if it is free and sound, to be given back by :meth:`give_back`; or None."""
        if self.wanted or self.dead or not self._talking.acquire(blocking=False):
            return None
        try:
            if (
                not self.dead
                and self._tracked._sock is not None
                # What can be read now is the end of the connection.
                and (time.monotonic() - self._spoke < FRESH or not self._tracked.can_read(0))
            ):
                return self._tracked
        except (RedisError, OSError):
            pass
        self.give_back(None)
        self.die()
        return None

    def give_back(self, proof: float | None) -> None:
        """Give the tracked connection back.

        :param proof: when a write was sent that the server has answered.
        """
        self._spoke = proof or 0.0
        # In a cluster the other questions must be asked too, however much is written.
        if proof is not None and not self.dead and not self._question.clustered:
            self.pulse.tracked(proof)
        self._talking.release()
        if self._tracked._sock is None:
            self.die()
        elif self.dead:
            self.close()

    def extend(self, wanted: tuple[bytes, ...]) -> None:
        """Have the server tell about more keys.  Raises what went wrong; the link is dead then."""
        if not self._talking.acquire(timeout=self._patience):
            self.die()
            return
        try:
            wanted = minimal((*self.prefixes, *wanted))
            if wanted == self.prefixes:
                return
            more, self.prefixes = additions(self.prefixes, wanted), ()
            words = self._hearing.registration(self._listener, wanted if more is None else more)
            if words is None:
                # Another link will subscribe to all.
                self.die()
                return
            self.tracked_socket.settimeout(self._patience)
            for reply in self._answers_to(self._tracked, [words] if more is not None else [UNTRACKED, words]):
                accepted(reply)
            # Meanwhile nothing was kept, and something may have been missed.
            self._tiers.drop()
            self.prefixes = wanted
            self.tracked_socket.settimeout(self._tracked.socket_timeout)
        except Exception:
            self.die()
            raise
        finally:
            self.give_back(None)

    def forked(self) -> None:
        """Leave the connections to the parent process."""
        self.dead = True
        self.listening_socket.close()
        for connection in (self._listening, self._tracked):
            if connection.pid != os.getpid():
                connection.disconnect()

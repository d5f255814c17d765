"""What both runners share about replies that the server holds back.  Nothing here does I/O."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    MaxConnectionsError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
)

from pottery_like._core.op import Op, Wait
from pottery_like._io.wire import Attempt, Recovery, Settings, Unsent, Words, give_up

LONGEST = 300.0
"""Seconds that one command blocks.  Waiting longer takes a further command, and a new place in the line."""

SHORTEST = 0.001
"""Seconds; less would mean forever to the server."""

LATE = 0.005
"""Seconds after which a wait's end is asked for: the server itself looks at its clock ten times a second only."""

BACKOFF = 0.25
"""Seconds between attempts to reach a server that has gone; the first follows at once."""

KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""How a connection is probed that is silent for long: one that died without a word is noticed within 30 seconds."""

_CLIENT = re.compile(rb"\bid=(\d+) addr=(\S+)")


def keep_alive(sock: Any) -> None:
    """Let the system probe a TCP connection on which nothing will be said for long."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Waiting:
    """One wait: how long it still lasts, and what follows a connection that breaks meanwhile.

    A connection that broke has lost at most the one reply that was on its way.  The server may not have noticed,
    and would hand the next thing to it: the new connection has the old one closed first.
    """

    def __init__(self, client: Any, wait: Wait[Any], settings: Settings) -> None:
        self._client = client
        self._wait = wait
        self._settings = settings
        self._deadline = time.monotonic() + wait.seconds
        self._op: Op[Any] = wait.op(SHORTEST)
        self._slice = 0.0
        self._told: bytes | None = None
        self._ghost: Words | None = None
        self._attempt = Attempt()
        self._recovery: Recovery | None = None
        self._broke = False
        self._failed = False

    def next(self) -> Op[Any]:
        """Begin the next command."""
        self._told = None
        left = LONGEST if not (self._broke and self._wait.notice) else SHORTEST
        self._slice = max(SHORTEST, min(left, self._deadline - time.monotonic()))
        self._op = self._wait.op(self._slice)
        return self._op

    def words(self) -> list[Words]:
        """Return what to send: the command, behind a question who we are to the server."""
        words: list[Words] = [("CLIENT", "INFO"), self._op.argv()]
        if self._attempt.asking:
            words.insert(1, ("ASKING",))
        return [self._ghost, *words] if self._ghost else words

    @property
    def due(self) -> float:
        """Seconds after which the server's reply is late."""
        return self._slice + LATE

    @property
    def grace(self) -> float:
        """Seconds that a reply may take which the server isn't holding back."""
        return self._settings.patience

    def told(self, heads: list[Any]) -> None:
        """Take the replies that precede the command's."""
        self._told = next((head for head in heads if isinstance(head, bytes) and _CLIENT.search(head)), None)
        self._ghost = None

    def unblock(self) -> Words | None:
        """Return the command that ends the wait from another connection, if the server has said who we are."""
        found = _CLIENT.search(self._told or b"")
        return ("CLIENT", "UNBLOCK", found[1]) if found else None

    def undo(self, reply: Any) -> Op[Any] | None:
        """Return what puts back a reply that came too late."""
        return None if reply is None else self._wait.undo(reply)

    def over(self, reply: Any) -> bool:
        """Whether this reply ends the wait."""
        self._recovery, self._attempt, self._failed = None, Attempt(), False
        return reply is not None or (self._broke and self._wait.notice) or time.monotonic() >= self._deadline

    def after(self, error: Exception) -> Attempt:
        """Return the next attempt, or raise."""
        cause = error.cause if isinstance(error, Unsent) else error
        if isinstance(cause, ResponseError) and not isinstance(cause, ConnectionError):
            if str(cause).startswith("UNBLOCKED"):
                # The master became a replica, or the key's type changed: look again.
                self._attempt = Attempt(refresh=self._settings.cluster, pause=BACKOFF)
                return self._attempt
            self._recovery = self._recovery or Recovery(self._client, self._op, self._settings, time.monotonic())
            self._attempt = self._recovery.after(cause)
            return self._attempt
        lost = isinstance(cause, ConnectionError | TimeoutError | RedisClusterException | OSError)
        final = isinstance(cause, AuthenticationError | MaxConnectionsError)
        left = self._deadline - time.monotonic()
        if not lost or final or left <= 0:
            give_up(self._client, self._op, error)
        if not isinstance(error, Unsent):
            self._broke = True
            self._remember()
        self._attempt = Attempt(refresh=self._settings.cluster, pause=min(BACKOFF, left) if self._failed else 0.0)
        self._failed = True
        return self._attempt

    def _remember(self) -> None:
        found = _CLIENT.search(self._told or b"")
        if found:
            # Both, as a server that has restarted counts its clients anew.
            self._ghost = ("CLIENT", "KILL", "ID", found[1], "ADDR", found[2])
        self._told = None

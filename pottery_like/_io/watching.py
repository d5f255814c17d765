"""What both worlds share about links: what is said on their connections, and what the answers mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import AuthenticationError, AuthorizationError, ResponseError

from pottery_like._core.coherence import Pulse
from pottery_like._core.op import Op
from pottery_like._core.replies import INVALIDATE, Refusal
from pottery_like._io.routes import listening
from pottery_like._io.servers import connection_arguments

PATIENCE = 5.0
"""Seconds that making a link may take, where the client has no shorter timeout."""

Words = tuple["bytes | str | int", ...]

_SHAPE = re.compile(rb"cluster_(?:state|size|current_epoch|known_nodes):\w+")


class Refused(Exception):
    """The server will not track; trying again at once is of no use."""


def patience(client: Any) -> float:
    """Return the seconds that making a link may take."""
    own = connection_arguments(client).get("socket_timeout")
    return PATIENCE if own is None else min(PATIENCE, float(own))


def pair(client: Any, kind: Any, arguments: dict[str, Any], never: Any) -> tuple[Any, Any]:
    """Return a link's two connections, not yet connected.

    :param kind: the class of the client's connections to this server.
    :param arguments: theirs.
    :param never: a retry policy of this world that tries once.
    """
    limit = patience(client)
    changed: dict[str, Any] = {"retry": never, "health_check_interval": 0}
    if "path" not in arguments:
        changed["socket_connect_timeout"] = limit
    given = {**arguments, **changed}
    return listening(kind, {**given, "socket_timeout": limit}), listening(kind, given)


def tracking(listener: int, prefixes: Sequence[bytes]) -> Words:
    """Return the command that has the server tell connection ``listener`` of changes."""
    words: list[bytes | str | int] = ["CLIENT", "TRACKING", "ON", "REDIRECT", listener, "BCAST"]
    for prefix in prefixes:
        words += ["PREFIX", prefix]
    return (*words, "NOLOOP")


UNTRACKED: Words = ("CLIENT", "TRACKING", "OFF")
SUBSCRIBE: Words = ("SUBSCRIBE", INVALIDATE)


def accepted(reply: Any) -> Any:
    """Return a reply that is no error."""
    if isinstance(reply, Refusal):
        raise Refused(str(reply))
    return reply


def refusal(error: Exception) -> str | None:
    """Return why the server refuses, or None if this error is of another kind."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, AuthenticationError | AuthorizationError):
        return str(error)
    return str(error) if isinstance(error, ResponseError) else None


class Question:
    """What the tracked connection is asked over and over, and what its answers say."""

    def __init__(self, clustered: bool) -> None:
        self._role = True
        self._clustered = clustered
        self.shape: tuple[bytes, ...] = ()

    @property
    def words(self) -> list[Words]:
        """The commands to send together."""
        first: Words = ("ROLE",) if self._role else ("PING",)
        return [first, ("CLUSTER", "INFO")] if self._clustered else [first]

    def understood(self, replies: list[Any]) -> bool:
        """Take the answers; whether the server is a master in a cluster of the shape it had."""
        role, *rest = replies
        if isinstance(role, Refusal):
            # It may not be allowed; then the connection's life must do.
            self._role = False
        elif self._role and (not role or role[0] != b"master"):
            return False
        if rest and isinstance(rest[0], bytes):
            shape, before = tuple(_SHAPE.findall(rest[0])), self.shape
            self.shape = shape
            return b"cluster_state:ok" in shape and before in ((), shape)
        return True


class Linked(Protocol):
    """What decides whether a link may be relied on."""

    prefixes: tuple[bytes, ...]
    dead: bool
    pulse: Pulse


def covers(link: Linked, op: Op[Any], now: float) -> bool:
    """Whether a link tells of changes to an operation's keys."""
    prefixes = link.prefixes
    return not link.dead and now < link.pulse.good_until and all(key.startswith(prefixes) for key in op.keys)

"""What both worlds share about links: what is said on their connections, and what the answers mean."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from redis.exceptions import AuthenticationError, AuthorizationError, ConnectionError, ResponseError

from pottery_like._core.coherence import Pulse
from pottery_like._core.op import NodeOp, Op
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


class Hearing:
    """How a server tells of changes: it tracks all that is done to keys with certain prefixes."""

    def subscriptions(self, prefixes: Sequence[bytes]) -> list[Words]:
        """Return what the listening connection says first."""
        return [("SUBSCRIBE", INVALIDATE)]

    def registration(self, listener: int, prefixes: Sequence[bytes]) -> Words | None:
        """Return what the tracked connection says then.

        :param listener: the server's number for the listening connection.
        """
        words: list[bytes | str | int] = ["CLIENT", "TRACKING", "ON", "REDIRECT", listener, "BCAST"]
        for prefix in prefixes:
            words += ["PREFIX", prefix]
        return (*words, "NOLOOP")

    def keys(self, reply: Any) -> list[bytes]:
        """Return the keys that a message tells of."""
        return []


class Messages(Hearing):
    """Whoever changes a key publishes that he did: on ``name/update`` or ``name/delete``, for keys ``name:key``."""

    def subscriptions(self, prefixes: Sequence[bytes]) -> list[Words]:
        """Return what the listening connection says first."""
        return [("SUBSCRIBE", channel) for prefix in prefixes for channel in channels(prefix)]

    def registration(self, listener: int, prefixes: Sequence[bytes]) -> Words | None:
        """Return what the tracked connection says then: nothing, it is there to be asked."""
        return None

    def keys(self, reply: Any) -> list[bytes]:
        """Return the keys that a message tells of."""
        if isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message":
            name, _, _ = reply[1].rpartition(b"/")
            return [b"%b:%b" % (name, reply[2])]
        return []


def channels(prefix: bytes) -> tuple[bytes, bytes]:
    """Return the channels for updates and deletions of keys with a prefix (``name:``)."""
    name = prefix.removesuffix(b":")
    return name + b"/update", name + b"/delete"


def publication(op: Op[Any], prefixes: Sequence[bytes]) -> list[Op[int]]:
    """Return the operations that publish what an operation does."""
    deletion = op.command in ("DEL", "UNLINK", "GETDEL")
    return [
        NodeOp("PUBLISH", op.keys, (channels(prefix)[deletion], key.removeprefix(prefix)), int, False)
        for key in op.keys
        for prefix in prefixes
        if key.startswith(prefix)
    ]


UNTRACKED: Words = ("CLIENT", "TRACKING", "OFF")

LISTENING, TRACKED = 0, 1
"""The two connections of a link."""


def greeting(
    hearing: Hearing, prefixes: Sequence[bytes], question: Question
) -> Generator[tuple[int, list[Words]], list[Any], tuple[int, float]]:
    """Make two connections a link: yield what to say on which of them, and be sent the answers.

    Returns the server's number for the listening connection, and when both were asked for the first time.
    """
    name = f"pottery_like:listening:{uuid.uuid4().hex[:16]}"
    number, named = yield LISTENING, [("CLIENT", "ID"), ("CLIENT", "SETNAME", name)]
    listener = accepted(number)
    for answer in (yield LISTENING, hearing.subscriptions(prefixes)):
        accepted(answer)
    (known,) = yield TRACKED, [("CLIENT", "LIST", "ID", str(listener))]
    if not isinstance(named, Refusal) and isinstance(known, bytes) and name.encode() not in known:
        # Its number may well be somebody else's there.
        raise Refused("the two connections lead to different servers")
    register = hearing.registration(listener, prefixes)
    if register is not None:
        accepted((yield TRACKED, [register])[0])
    sent = time.monotonic()
    accepted((yield LISTENING, [("PING", "0")])[0])
    if not question.understood((yield TRACKED, question.words)):
        raise ConnectionError("the server is no master, or its cluster is down")
    return listener, sent


def accepted(reply: Any) -> Any:
    """Return a reply that is no error."""
    if isinstance(reply, Refusal):
        kind = reply.partition(" ")[0]
        if kind in ("NOPERM", "NOAUTH") or (kind == "ERR" and "max number of clients" not in reply):
            raise Refused(str(reply))
        raise ConnectionError(str(reply))
    return reply


def refusal(error: Exception) -> str | None:
    """Return why the server refuses, or None if this error is of another kind."""
    if isinstance(error, Refused | AuthenticationError | AuthorizationError):
        return str(error)
    return str(error) if isinstance(error, ResponseError) else None


class Question:
    """What the tracked connection is asked over and over, and what its answers say."""

    def __init__(self, clustered: bool) -> None:
        self._role = True
        self.clustered = clustered
        self.shape: tuple[bytes, ...] = ()

    @property
    def words(self) -> list[Words]:
        """The commands to send together."""
        first: Words = ("ROLE",) if self._role else ("PING",)
        return [first, ("CLUSTER", "INFO")] if self.clustered else [first]

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
    peer: Any


def covers(link: Linked, op: Op[Any], now: float) -> bool:
    """Whether a link tells of changes to an operation's keys."""
    prefixes = link.prefixes
    return not link.dead and now < link.pulse.good_until and all(key.startswith(prefixes) for key in op.keys)


class Noted:
    """Whether one answer may be kept; called with the connection that is about to bring it.

    :param peer_of: returns the address of the server that a connection leads to.
    """

    def __init__(self, link: Linked | None, op: Op[Any], peer_of: Callable[[Any], Any]) -> None:
        self._link = link
        self._op = op
        self._peer_of = peer_of
        self._sound = False

    def __call__(self, connection: Any) -> None:
        link = self._link
        self._sound = (
            link is not None
            and connection is not None
            and covers(link, self._op, time.monotonic())
            and self._peer_of(connection) == link.peer
        )

    @property
    def kept(self) -> bool:
        """Whether it may, now that it is there."""
        return self._sound and self._link is not None and covers(self._link, self._op, time.monotonic())

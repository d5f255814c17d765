"""What both worlds share about links: what is said on their connections, and what the answers mean."""

from __future__ import annotations

import re
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from redis.exceptions import AuthenticationError, AuthorizationError, ConnectionError, ResponseError

from pottery_like._core.coherence import Pulse, Tiers
from pottery_like._core.op import NodeOp, Op
from pottery_like._core.replies import INVALIDATE, Flush, Keys, Refusal, Replies
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


class LinkState:
    """What the links of both worlds have in common: what is known, and what the server's news do to it.

    :param owner: the tracker.
    :param connections: the one that listens and the tracked one.
    :param tiers: who hears of changes.
    :param hearing: how the server tells of them.
    :ivar prefixes: what the server tells us about; empty while it isn't certain.
    :ivar peer: the server's address.
    :ivar closed: whether the client's own pool has ended the link.
    :ivar news: how often the server has told of changes.
    """

    born: float
    peer: Any
    pulse: Pulse

    def __init__(
        self,
        owner: Any,
        client: Any,
        connections: tuple[Any, Any],
        tiers: Tiers,
        *,
        hearing: Hearing,
        max_stale: float,
        clustered: bool,
    ) -> None:
        self.owner: weakref.ref[Any] = weakref.ref(owner)
        self.prefixes: tuple[bytes, ...] = ()
        self.dead = False
        self.closed = False
        self.news = 0
        self._listening, self._tracked = connections
        self._tiers = tiers
        self._hearing = hearing
        self._patience = patience(client)
        self._max_stale = max_stale
        self._question = Question(clustered)
        self._replies = Replies()
        self._listener = 0
        self._asked = 0.0

    @property
    def address(self) -> Any:
        """Host and port of the server, as a Sentinel names them."""
        return self._tracked.host, self._tracked.port

    def _greeted(self, listener: int, born: float, prefixes: tuple[bytes, ...]) -> None:
        """Note what the greeting has brought."""
        self._listener, self.born = listener, born
        self.pulse = Pulse(self._max_stale, born)
        self.prefixes = prefixes

    def _heard(self, data: bytes) -> bool:
        """Take what has come on the listening connection; whether the server goes on telling.

        :raises ValueError: (or TypeError, IndexError) no server's words.
        """
        for reply in self._replies.feed(data):
            if isinstance(reply, Keys):
                self.news += 1
                self._tiers.invalidate(reply)
            elif isinstance(reply, Flush):
                self._tiers.drop()
            elif isinstance(reply, Refusal):
                return False
            elif reply[0] == b"pong":
                self.pulse.heard(self._asked)
                self._asked = 0.0
            else:
                self.news += 1
                self._tiers.invalidate(self._hearing.keys(reply))
        return True

    def _answered(self, replies: Replies, data: bytes) -> list[Any]:
        """Return the answers that have come before the link is there."""
        # What else comes was changed before anybody could have a copy.
        return [each for each in replies.feed(data) if not isinstance(each, Keys | Flush)]


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

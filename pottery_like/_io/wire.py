"""What both runners share: the differences between redis-py's versions, and what follows an error.

Nothing here does I/O.
"""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    DataError,
    MaxConnectionsError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from pottery_like._core.lua import Script
from pottery_like._core.op import Argument, Op, Packed, packed_word
from pottery_like.exceptions import DecodeError, OutcomeUnknownError, PotteryError, WrongTypeError

POOL_ARGUMENTS: tuple[str, ...] = (
    ("_",)
    if inspect.signature(redis.ConnectionPool.get_connection).parameters["command_name"].default
    is inspect.Parameter.empty
    else ()
)
"""redis-py before 5.3 asks for the name of a command."""

IDLE_ONLY: tuple[bool, ...] = (
    (False,) if "inuse_connections" in inspect.signature(redis.BlockingConnectionPool.disconnect).parameters else ()
)
"""Older BlockingConnectionPools can't spare the connections in use when they disconnect."""

REDIRECTS = 16
"""How many of a cluster's redirections one operation follows."""

PROMPT = 3
"""How many of them it follows without waiting."""

LONG = 6000
"""Bytes; redis-py sends longer words without copying them."""

PATIENCE = 5.0
"""Seconds for repeated attempts when the client has no timeout of its own."""

AWAY = (RedisError, OSError)
"""What is raised when the server can't be reached, or doesn't do what it is asked for."""

CLOSED = (ValueError, AttributeError)
"""What redis-py raises, among other things, when another thread closes a connection in use: as it does itself, whoever
uses them, with those to a node that its cluster has lost."""

Words = tuple["Argument | str", ...]

Note = Callable[[Any], None]
"""Is told the connection that a first attempt is about to take, and None when that attempt has failed."""

NoteOf = Callable[[int, Any], None]
"""The same for one of several operations, by its index."""


def _also(kind: type[PotteryError], redis_kind: type[Exception]) -> Any:
    """Return a class that both ``kind`` and redis-py's own handlers catch, and that shows itself as ``kind``."""
    body = {"__doc__": kind.__doc__, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind, redis_kind), body)


_NoReply = _also(OutcomeUnknownError, ConnectionError)
_LateReply = _also(OutcomeUnknownError, TimeoutError)
_WrongType = _also(WrongTypeError, ResponseError)


class Unsent(Exception):
    """No connection could be had, so nothing was sent."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


def closed_in_use(error: Exception) -> ConnectionError:
    """Return what users are told instead of one of CLOSED; one that says something else is raised itself."""
    if "closed file" not in str(error) and "'NoneType' object has no attribute" not in str(error):
        raise error
    return ConnectionError(f"closed while in use ({error})")


def _shown(op: Op[Any]) -> str:
    return f"{op.name} on {_key(op)!r}" if op.keys else op.name


def _key(op: Op[Any]) -> str | None:
    return op.keys[0].decode(errors="replace") if op.keys else None


def lost_reply(client: Any, op: Op[Any], error: Exception) -> OutcomeUnknownError:
    """Return the exception for an operation that was sent and not answered."""
    kind = _LateReply if isinstance(error, TimeoutError) else _NoReply
    message = f"{_shown(op)}: no reply, so it may or may not have run ({error})"
    lost: OutcomeUnknownError = kind(client, _key(op), message)
    return lost


def _refused(client: Any, op: Op[Any], error: ResponseError) -> Exception:
    text = str(error)
    if "WRONGTYPE" in text or "against a key holding the wrong kind of value" in text:
        wrong: WrongTypeError = _WrongType(client, _key(op), f"{_shown(op)}: the key holds another Redis type")
        return wrong
    # Redis before 7 reports what a script's command raised inside a message of its own.
    if type(error) is ResponseError and "OOM command not allowed" in text:
        return OutOfMemoryError(text)
    if type(error) is ResponseError and "READONLY You can't write" in text:
        return ReadOnlyError(text)
    return error


def refuse(client: Any, op: Op[Any], error: ResponseError) -> NoReturn:
    """Raise the exception for an error reply."""
    raised = _refused(client, op, error)
    if raised is error:
        raise error
    raise raised from error


def give_up(client: Any, op: Op[Any], error: Exception) -> NoReturn:
    """Raise the exception for operations sent together, which are never sent again: some may have run."""
    if isinstance(error, Unsent):
        raise error.cause
    if isinstance(error, AuthenticationError | BusyLoadingError | DataError):
        raise error
    raise lost_reply(client, op, error) from error


def decoded(client: Any, op: Op[Any], reply: Any) -> Any:
    """Decode a reply, saying in the library's own errors which container they concern."""
    try:
        return op.decode(reply)
    except PotteryError as error:
        error.redis, error.key = client, _key(op)
        if isinstance(error, DecodeError):
            error.locate(op.name, op.keys[0])
        raise


def packed(words: Words) -> list[bytes] | None:
    """Return a command as it goes over the wire, or None where that is better left to redis-py.

    That is so for what is long, and for words from a codec that are no bytes.  Its own packing takes several times as
    long where hiredis isn't installed.
    """
    if isinstance(words, Packed):
        return [words.data]
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, bytes):
            text = word
        elif isinstance(word, str):
            text = word.encode()
        elif isinstance(word, int):
            text = b"%d" % word
        else:
            return None
        if len(text) > LONG:
            return None
        parts.append(packed_word(text))
    return [b"".join(parts)]


def pack(ops: Sequence[Op[Any]]) -> list[Words]:
    """Return the words of operations sent together: a script's source the first time, its hash after that."""
    known: set[str] = set()
    argvs: list[Words] = []
    for op in ops:
        command = op.command
        if isinstance(command, Script) and command.sha1 not in known:
            known.add(command.sha1)
            argvs.append(op.eval_argv())
        else:
            argvs.append(op.argv())
    return argvs


def note_all(note: NoteOf, indexes: Sequence[int], connection: Any) -> None:
    """Tell of the connection that these operations are about to take together."""
    for index in indexes:
        note(index, connection)


def repeatable(error: ResponseError, cluster: bool) -> bool:
    """Whether an error reply among several means that its operation did not run and should be sent again."""
    return isinstance(error, NoScriptError) or (
        cluster and isinstance(error, MovedError | AskError | TryAgainError | ClusterDownError)
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client's configuration says about repeating and waiting.

    :param retries: how often the client repeats a failed exchange.
    :param patience: seconds that all attempts together may take.
    """

    retries: int
    patience: float
    cluster: bool

    @classmethod
    def of(cls, retry: Any, timeout: float | None, cluster: bool, attempts: int = 0) -> Settings:
        """Read the settings off a client's retry object and socket timeout.

        :param attempts: how often a cluster client repeats by its own count: older ones have no retry object.
        """
        count = getattr(retry, "_retries", attempts)
        return cls(count if count >= 0 else 100, PATIENCE if timeout is None else timeout, cluster)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How to try again.

    :param source: send a script's source instead of its hash.
    :param refresh: learn the cluster's layout anew first.
    :param node: host and port that the cluster named.
    :param asking: precede the command with ``ASKING``.
    :param pause: seconds to wait first.
    """

    source: bool = False
    refresh: bool = False
    node: tuple[str, int] | None = None
    asking: bool = False
    pause: float = 0.0


class Recovery:
    """Decides what follows a failed attempt at one operation: another one, or an exception.

    What the server refused without running it may always be tried again.  What was sent and not answered may
    have run: only an idempotent operation is sent again, within the client's own number of retries and timeout.
    """

    def __init__(self, client: Any, op: Op[Any], settings: Settings, started: float) -> None:
        self._client = client
        self._op = op
        self._settings = settings
        self._deadline = started + settings.patience
        self._retries = settings.retries
        self._redirects = REDIRECTS
        self._source = False
        self._tries = 0

    def after(self, error: Exception) -> Attempt:
        """Return the next attempt, or raise the operation's exception."""
        if isinstance(error, NoScriptError):
            if self._source:
                raise error
            self._source = True
            return Attempt(source=True)
        if isinstance(error, MovedError | AskError | TryAgainError | ClusterDownError) and self._settings.cluster:
            return self._redirected(error)
        if isinstance(error, ResponseError):
            refuse(self._client, self._op, error)
        if isinstance(error, Unsent):
            return self._unsent(error.cause)
        if isinstance(error, AuthenticationError | DataError):
            # Refused before anything was sent; the latter are words that are no bytes, from a codec.
            raise error
        if isinstance(error, BusyLoadingError) or isinstance(error.__context__, ReadOnlyError):
            # A Sentinel connection turns the reply READONLY into a ConnectionError that keeps it as its context.
            return self._once_more(error)
        if self._op.idempotent:
            return self._once_more(error, unknown=True)
        raise lost_reply(self._client, self._op, error) from error

    def _redirected(self, error: Exception) -> Attempt:
        self._redirects -= 1
        if self._redirects < 0 or time.monotonic() > self._deadline:
            raise error
        if isinstance(error, MovedError):
            # Soon after a move the servers may still disagree and send a client to and fro.
            pause = 0.0 if self._redirects > REDIRECTS - PROMPT else self._backoff()
            return Attempt(self._source, refresh=True, node=(error.host, error.port), pause=pause)
        if isinstance(error, AskError):
            return Attempt(self._source, node=(error.host, error.port), asking=True)
        return Attempt(self._source, refresh=isinstance(error, ClusterDownError), pause=self._backoff())

    def _unsent(self, cause: Exception) -> Attempt:
        # Outside a cluster the pool has tried as often as the client's policy says.
        if not self._settings.cluster or isinstance(cause, MaxConnectionsError | AuthenticationError):
            raise cause
        if not isinstance(cause, ConnectionError | TimeoutError | RedisClusterException | OSError):
            raise cause
        return self._once_more(cause)

    def _once_more(self, error: Exception, *, unknown: bool = False) -> Attempt:
        self._retries -= 1
        if self._retries < 0 or time.monotonic() >= self._deadline:
            if unknown:
                raise lost_reply(self._client, self._op, error) from error
            raise error
        return Attempt(self._source, refresh=self._settings.cluster, pause=self._backoff() if self._tries else 0.0)

    def _backoff(self) -> float:
        self._tries += 1
        return min(0.5, 0.01 * 2.0**self._tries) * (0.5 + random.random() / 2)

"""What both worlds know about the way to a master: what tells it from others, and whether it is silent."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from typing import Any, TypeVar

import redis
from redis.exceptions import ResponseError

from pottery_like._core.op import Op
from pottery_like._core.quorum import majority
from pottery_like._io.servers import connection_arguments
from pottery_like._io.wire import refuse

try:
    from redis.maint_notifications import MaintNotificationsConfig
except ImportError:
    _QUIET: dict[str, Any] = {}
else:
    _QUIET = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}

COOL_OFF = 1.0
"""Seconds for which a master that was silent is passed over, while enough others answer; twice as long each time."""
LONGEST_COOL_OFF = 30.0


class Route:
    """The way to one master.

    :param client: the user's client.
    :param timeout: seconds that the master may take to answer.
    :param plain: the connection classes that the library may open by itself; not Sentinel's.
    :param never: a retry policy of this world that tries once.
    """

    def __init__(self, client: Any, timeout: float, plain: tuple[type, ...], never: Any) -> None:
        # Routes are kept for as long as the client lives, so they must not keep it alive.
        self._client = weakref.ref(client)
        self.kwargs = connection_arguments(client)
        self.kind: Any = client.connection_pool.connection_class
        own = self.kwargs.get("socket_timeout")
        self.timeout = timeout if own is None else min(timeout, own)
        self.plain = self.kind in plain
        self._never = never
        self._down_until = 0.0
        self._silences = 0

    @property
    def client(self) -> Any:
        """The user's client."""
        return self._client()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a connection that gives up in time, at once."""
        changed = {"socket_timeout": self.timeout, "retry": self._never}
        if "path" not in self.kwargs:
            changed["socket_connect_timeout"] = self.timeout
        return {**self.kwargs, **changed}

    def listener(self) -> Any:
        """Return a connection of its own, not yet connected, for listening."""
        if not self.plain:
            return self.client.connection_pool.make_connection()
        return listening(self.kind, self.arguments())

    @property
    def identity(self) -> Any:
        """What tells this master from others; equal for two clients of one server."""
        named = ("host", "port", "path", "username", "password", "ssl_certfile")
        return (self.kind, *map(self.kwargs.get, named)) if self.plain else id(self._client)

    @property
    def up(self) -> bool:
        """Whether the master isn't known to be silent."""
        return time.monotonic() >= self._down_until

    def answered(self) -> None:
        """Note that the master speaks."""
        self._silences = 0

    def silent(self) -> None:
        """Note that the master did not speak in time."""
        self._down_until = time.monotonic() + min(LONGEST_COOL_OFF, COOL_OFF * 2.0**self._silences)
        self._silences += 1


R = TypeVar("R")


def listening(kind: Any, arguments: dict[str, Any]) -> Any:
    """Return a connection to listen on: messages come as plain replies, whatever protocol the client speaks."""
    return kind(**{**arguments, "protocol": 2, **_QUIET})


def planned(ways: Sequence[R], results: list[Any]) -> list[tuple[R, list[int]]]:
    """Group what goes the same way, and pass over masters that were silent just now if there are enough others.

    :param results: gets the exceptions of those passed over.
    """
    groups: dict[int, tuple[R, list[int]]] = {}
    for index, each in enumerate(ways):
        groups.setdefault(id(each), (each, []))[1].append(index)
    passable = [group for group in groups.values() if getattr(group[0], "up", True)]
    if len(passable) < majority(len(groups)):
        return list(groups.values())
    for each, indexes in groups.values():
        if not getattr(each, "up", True):
            for index in indexes:
                results[index] = redis.TimeoutError("this master was silent just now")
    return passable


def refusal(client: Any, op: Op[Any], error: ResponseError) -> Exception:
    """Return the library's exception for an error reply."""
    try:
        refuse(client, op, error)
    except Exception as raised:
        return raised

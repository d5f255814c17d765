"""What both worlds know about the way to a master: its connections' arguments, and what tells it from others."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pottery_like._core.keys import slot
from pottery_like._core.op import Op
from pottery_like._io.exchange import Health
from pottery_like._io.servers import connection_arguments

try:
    from redis.maint_notifications import MaintNotificationsConfig
except ImportError:
    _QUIET: dict[str, Any] = {}
else:
    _QUIET = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}

CONNECTING = 0.2
"""Seconds that a connection may always take to be made, however soon an answer is wanted."""

R = TypeVar("R")


class Route(Health):
    """The way to one master.

    :param client: the user's client.
    :param timeout: seconds that the master may take to answer.
    :param plain: the connection classes that the library may open by itself; not Sentinel's.
    :param never: a retry policy of this world that tries once.
    """

    direct = True

    def __init__(self, client: Any, timeout: float, plain: tuple[type, ...], never: Any) -> None:
        super().__init__()
        # Routes are kept for as long as the client lives, so they must not keep it alive.
        self._client = weakref.ref(client)
        self.kwargs = connection_arguments(client)
        self.kind: Any = client.connection_pool.connection_class
        own = self.kwargs.get("socket_timeout")
        self.timeout = timeout if own is None else min(timeout, own)
        self.plain = self.kind in plain
        self._never = never

    @property
    def client(self) -> Any:
        """The user's client."""
        return self._client()

    def arguments(self, timeout: float | None = None) -> dict[str, Any]:
        """Return the arguments of a connection that gives up in time, at once."""
        changed = {"socket_timeout": timeout or self.timeout, "retry": self._never}
        if "path" not in self.kwargs:
            changed["socket_connect_timeout"] = timeout or self.timeout
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


class Detour(Health):
    """The way to a master by the runner: with a cluster's redirections, or the client's own retries.

    :param client: the user's client.
    :param key: the key that all operations are about.
    :param timeout: seconds that a node may take to listen.
    :param run: runs an operation.
    """

    direct = False

    def __init__(self, client: Any, key: bytes, timeout: float, run: Callable[[Op[Any]], Any]) -> None:
        super().__init__()
        self.client = client
        self.timeout = timeout
        self.run = run
        self._slot = slot(key)

    @property
    def node(self) -> Any:
        """The cluster's node that speaks about the key: only there do the scripts see who listens."""
        return self.client.nodes_manager.get_node_from_slot(self._slot)

    @property
    def identity(self) -> Any:
        """What tells this node from others; None as long as the client hasn't learnt the cluster's layout."""
        try:
            return self.node.host, self.node.port
        except KeyError:
            return None


class Ways(Generic[R]):
    """The ways to masters, one for all who use a client and wait equally long.

    :param route: makes one from a client and a timeout.
    """

    def __init__(self, route: Callable[[Any, float], R]) -> None:
        self._route = route
        self._made: weakref.WeakKeyDictionary[Any, dict[float, R]] = weakref.WeakKeyDictionary()
        self.guard = threading.Lock()

    def __call__(self, client: Any, timeout: float) -> R:
        """Return the way."""
        with self.guard:
            made = self._made.setdefault(client, {})
            if timeout not in made:
                made[timeout] = self._route(client, timeout)
            return made[timeout]


def listening(kind: Any, arguments: dict[str, Any]) -> Any:
    """Return a connection to listen on: messages come as plain replies, whatever protocol the client speaks."""
    return kind(**{**arguments, "protocol": 2, **_QUIET})

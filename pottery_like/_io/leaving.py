"""Removing anonymous keys at the end of the process.

No event loop runs any more then, and nobody wants to wait for a server that is gone: so both worlds use a
synchronous client that neither retries nor waits long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
import redis.cluster

from pottery_like._core.op import Batch, Op
from pottery_like._io import aio, sync
from pottery_like._io.servers import connection_arguments

SECONDS = 1.0
"""How long to wait for a server."""

_BLOCKING: dict[Any, Any] = {
    redis.asyncio.Connection: redis.Connection,
    redis.asyncio.SSLConnection: redis.SSLConnection,
    redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
_BLOCKING |= {kind: kind for kind in _BLOCKING.values()}


def _blocking(client: Any) -> sync.Client:
    kwargs: dict[str, Any] = {**connection_arguments(client), "socket_timeout": SECONDS}
    # Retry objects differ between the worlds; without one, a connection doesn't retry.
    kwargs.pop("retry", None)
    kwargs.pop("socket_connect_timeout", None)
    if isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster):
        nodes = [redis.cluster.ClusterNode(node.host, node.port) for node in client.get_nodes()]
        given = {name: kwargs[name] for name in ("username", "password", "socket_timeout") if name in kwargs}
        return redis.RedisCluster(startup_nodes=nodes, **given)
    kind = _BLOCKING.get(client.connection_pool.connection_class)
    if kind is None:
        # A Sentinel's connections, say, can't be made without their pool.
        return client  # type: ignore[no-any-return]
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=kind, **kwargs))


def remove_keys(runner: sync.Runner | aio.Runner, ops: list[Op[None]]) -> None:
    """Run operations that remove keys."""
    run_at_end(runner, ops)


def run_at_end(runner: sync.Runner | aio.Runner, ops: Sequence[Op[Any]]) -> list[Any]:
    """Run operations of a runner of either world, on the server that it uses; return their results."""
    client = _blocking(runner.client)
    results = sync.Runner(client).batch(Batch(tuple(ops)))
    if client is not runner.client:
        client.close()
    return results

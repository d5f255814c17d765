"""Removing the asyncio containers' anonymous keys at the end of the process, when no event loop runs any more."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
import redis.cluster

from pottery_like._core.op import Batch, Op
from pottery_like._io import aio, sync
from pottery_like._io.servers import connection_arguments

_BLOCKING = {
    redis.asyncio.Connection: redis.Connection,
    redis.asyncio.SSLConnection: redis.SSLConnection,
    redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}


def _blocking(client: Any) -> sync.Client:
    kwargs = connection_arguments(client)
    # Retry objects differ between the worlds.
    kwargs.pop("retry", None)
    if isinstance(client, redis.asyncio.RedisCluster):
        nodes = [redis.cluster.ClusterNode(node.host, node.port) for node in client.get_nodes()]
        return redis.RedisCluster(
            startup_nodes=nodes, **{name: kwargs[name] for name in ("username", "password") & kwargs.keys()}
        )
    pool = redis.ConnectionPool(connection_class=_BLOCKING[client.connection_pool.connection_class], **kwargs)
    return redis.Redis(connection_pool=pool)


def remove_blocking(runner: aio.Runner, ops: list[Op[None]]) -> None:
    """Run the operations of an asyncio runner through a synchronous client on the same server."""
    sync.Runner(_blocking(runner.client)).batch(Batch(tuple(ops)))

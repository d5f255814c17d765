"""A key on each of a client's servers: commands about a whole server, such as SCAN, go where a key leads."""

from __future__ import annotations

from itertools import count
from typing import Any

import redis
import redis.asyncio

from pottery_like._core.keys import slot


def anchors(client: Any) -> tuple[bytes, ...]:
    """Return a key on each master that has slots; a cluster client must know its layout."""
    if not isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster):
        return (b"0",)
    manager: Any = client.nodes_manager
    owners = {nodes[0].name for nodes in list(manager.slots_cache.values()) if nodes}
    found: dict[str, bytes] = {}
    for number in count():
        if len(found) == len(owners):
            break
        key = b"%d" % number
        found.setdefault(manager.get_node_from_slot(slot(key)).name, key)
    return tuple(found.values())

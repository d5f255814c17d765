"""sync() says what it waited for: the server's disk, its replicas, or nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
import redis as redispy
import redis.asyncio

from pottery_like import AIORedisList, RedisList
from tests.support.servers import Node, programs, wait_until


def syncs(node: Node, world: str, timeout: float = 5.0) -> str:
    """Append to a list and return what its sync() says."""
    if world == "sync":
        with redispy.Redis(port=node.port) as client:
            container: RedisList[int] = RedisList(redis=client, key="durable")
            container.append(1)
            return container.sync(timeout)

    async def use() -> str:
        async with redis.asyncio.Redis(port=node.port) as client:
            container: AIORedisList[int] = AIORedisList(redis=client, key="durable")
            await container.append(1)
            return await container.sync(timeout=timeout)

    return asyncio.run(use())


def caught_up(replica: Node) -> Callable[[], bool]:
    def up() -> bool:
        with redispy.Redis(port=replica.port) as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    return up


def test_disk(place: tuple[str, str]) -> None:
    server, world = place
    node = Node(programs()[server], ("--appendonly", "yes")).start()
    with redispy.Redis(port=node.port) as client:
        # WAITAOF came with Redis 7.2; without it a server can't tell.
        tells = client.execute_command("COMMAND INFO", "WAITAOF") not in ([None], {})
    assert syncs(node, world) == ("disk" if tells else "memory")
    node.stop()


def test_replicas(place: tuple[str, str]) -> None:
    server, world = place
    node = Node(programs()[server], ("--repl-diskless-sync-delay", "0")).start()
    replica = Node(programs()[server], ("--replicaof", f"127.0.0.1 {node.port}")).start()
    wait_until(caught_up(replica), "the replica has caught up")
    assert syncs(node, world) == "replicas"
    with redispy.Redis(port=replica.port) as client:
        assert client.lrange("durable", 0, -1) == [b"1"]
    replica.signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        syncs(node, world, 0.5)
    replica.signal(signal.SIGCONT)
    replica.stop()
    node.stop()

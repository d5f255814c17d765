"""Waiting on a cluster's node while the slot moves to another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import redis as redispy
import redis.asyncio

from tests.faults.test_cluster import Move
from tests.faults.test_queues import CLASSES, both, wait_for_blocked
from tests.support.servers import Node, cluster


@pytest.fixture
def nodes(place: tuple[str, str]) -> tuple[Node, ...]:
    return cluster(place[0])


@both
def test_wait_follows_a_slot_that_moves(nodes: Sequence[Node], world: str, name: str) -> None:
    key = "{moving}:queue"
    move = Move(nodes)
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(_cluster_get(world, name, nodes[0].port, key)))
    thread.start()
    wait_for_blocked(move.source)
    move.begin()
    move.carry()
    move.end()
    wait_for_blocked(move.target)
    with redispy.RedisCluster(host="127.0.0.1", port=nodes[1].port) as client:
        CLASSES[name][0](redis=client, key=key).put("item")
        thread.join(10)
        assert got == ["item"]
        CLASSES[name][0](redis=client, key=key).clear()
    move.close()


def _cluster_get(world: str, name: str, port: int, key: str) -> Any:
    async def main() -> Any:
        async with redispy.asyncio.RedisCluster(host="127.0.0.1", port=port) as client:
            return await CLASSES[name][1](redis=client, key=key).get(timeout=15)

    if world == "aio":
        return asyncio.run(main())
    with redispy.RedisCluster(host="127.0.0.1", port=port) as client:
        return CLASSES[name][0](redis=client, key=key).get(timeout=15)

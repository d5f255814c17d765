"""Masters that are replaced, and slots that move."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redispy
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from pottery_like._io.aio_connections import acquire, release
from tests.faults.test_cluster import Move
from tests.faults.test_tracking import KEY, MAX_STALE, PREFIX, SLACK
from tests.support.servers import AT_ONCE, Node, free_port, program, programs, start_cluster, wait_until
from tests.support.tracking import cache


def test_sentinel_fails_over(tmp_path: Path) -> None:
    """It names the new master at once; the old one doesn't hear of it for many seconds."""
    master, replica = (Node(program(), AT_ONCE).start() for _ in range(2))
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nsentinel monitor master 127.0.0.1 {master.port} 1\n")
    with redispy.Redis(port=replica.port) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", master.port)
        wait_until(lambda: admin.info("replication")["master_link_status"] == "up", "the replica has synced")
    process = subprocess.Popen([program(), str(config), "--sentinel"], stdout=subprocess.DEVNULL)
    sentinels = redispy.Sentinel([("127.0.0.1", port)], socket_timeout=2)

    def asked(*words: str) -> Any:
        try:
            return sentinels.sentinels[0].execute_command("SENTINEL", *words)
        except redispy.RedisError:  # it isn't there yet, or doesn't know enough
            return None

    def made(package: Any, **options: Any) -> Any:
        return package.Sentinel([("127.0.0.1", port)], socket_timeout=2).master_for("master", **options)

    try:
        wait_until(lambda: asked("GET-MASTER-ADDR-BY-NAME", "master"), "the sentinel knows the master")
        with (
            cache("sync", lambda: made(redispy.sentinel, protocol=3), PREFIX, max_stale=MAX_STALE) as one,
            cache("aio", lambda: made(redis.asyncio.sentinel), PREFIX, max_stale=MAX_STALE) as two,
        ):
            with sentinels.master_for("master") as other:
                other.set(KEY, 1)
                one.fill(KEY)
                other.set(KEY, 2)
                one.gone(KEY)
                one.fill(KEY)
                two.fill(KEY)
            # A connection in use then isn't used any more either.
            busy = two.run(lambda: acquire(two.client.connection_pool))
            wait_until(lambda: asked("FAILOVER", "master"), "the failover begins")
            wait_until(
                lambda: asked("GET-MASTER-ADDR-BY-NAME", "master") == [b"127.0.0.1", b"%d" % replica.port], "it ends"
            )
            one.gone(KEY, MAX_STALE + SLACK)
            two.gone(KEY, MAX_STALE + SLACK)
            two.run(lambda: release(two.client.connection_pool, busy))
            with redispy.Redis(port=replica.port) as promoted:
                promoted.set(KEY, 4)
                assert two.read(KEY) == b"4"
                one.fill(KEY)
                two.fill(KEY)
                promoted.set(KEY, 3)
                one.gone(KEY)
                two.gone(KEY)
                assert one.read(KEY) == two.read(KEY) == b"3"
            for each in (one, two):
                for sentinel in each.client.connection_pool.sentinel_manager.sentinels:
                    each.run(sentinel.close if each is one else sentinel.aclose)
    finally:
        process.kill()
        process.wait()
        sentinels.sentinels[0].close()
        for each in (master, replica):
            each.stop()


@pytest.fixture(scope="module")
def nodes(world: str) -> Iterator[list[Node]]:
    nodes = start_cluster(program("redis" if world == "sync" else "valkey"))
    yield nodes
    for node in nodes:
        node.stop()


CLUSTERS = pytest.mark.parametrize("world", ["sync", "aio"] if len(programs()) > 1 else ["sync"], scope="module")
"""A cluster of each program, each in one world."""


def clustered(world: str, nodes: list[Node]) -> Any:
    package: Any = redispy if world == "sync" else redis.asyncio
    return lambda: package.RedisCluster(host="127.0.0.1", port=nodes[0].port)


@CLUSTERS
def test_a_slot_moves_under_load(nodes: list[Node], world: str) -> None:
    """Copies follow their keys, and keys that are missing are missed where they would now appear."""
    there, missing = b"faults:{moving}:there", b"faults:{moving}:missing"
    with (
        cache(world, clustered(world, nodes), PREFIX, max_stale=MAX_STALE) as mine,
        redispy.RedisCluster(host="127.0.0.1", port=nodes[0].port) as other,
    ):
        written, stop = [0], threading.Event()

        def load() -> None:
            while not stop.is_set():
                other.set(there, written[0] + 1)
                written[0] += 1

        def check() -> None:
            before = written[0]
            value = mine.read(there)
            if value is not None and int(value) < before:
                # News on its way, no longer than that.
                wait_until(lambda: int(mine.read(there) or 0) >= before, "the copy is renewed", MAX_STALE + SLACK)

        other.delete(there, missing)
        loading = threading.Thread(target=load)
        loading.start()
        move = Move(nodes)
        try:
            mine.fill(missing)
            for step in (move.begin, move.carry, move.end):
                check()
                step()
                check()
            stop.set()
            loading.join()
            mine.fill(missing)
            mine.fill(there)
            assert int(mine.read(there) or 0) == written[0]
            other.set(missing, 1)
            other.set(there, 0)
            mine.gone(missing)
            mine.gone(there)
        finally:
            stop.set()
            loading.join()
            move.close()
            other.delete(there, missing)


def knows(node: Node, replica: Node) -> bool:
    with redispy.Redis(port=node.port) as client:
        found = client.execute_command("CLUSTER NODES")
    return any(str(replica.port) in name and "slave" in each["flags"] for name, each in found.items())


@CLUSTERS
def test_a_cluster_fails_over(nodes: list[Node], world: str) -> None:
    """Its new master was unknown before."""
    replica = Node(nodes[0].program, ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")).start()
    key = KEY
    try:
        with (
            redispy.Redis(port=replica.port) as admin,
            redispy.RedisCluster(host="127.0.0.1", port=nodes[0].port) as other,
            cache(world, clustered(world, nodes), PREFIX, max_stale=MAX_STALE) as mine,
        ):
            owner = other.get_node_from_key(key)
            with redispy.Redis(port=owner.port) as master:
                number = master.execute_command("CLUSTER MYID").decode()
                master.config_set("repl-diskless-sync-delay", 0)
            admin.execute_command("CLUSTER MEET", "127.0.0.1", owner.port)

            def replicating() -> bool:
                with contextlib.suppress(redispy.ResponseError):
                    return bool(admin.execute_command("CLUSTER REPLICATE", number))
                return False

            wait_until(replicating, "it knows its master")
            wait_until(lambda: admin.info("replication")["master_link_status"] == "up", "the replica has synced")
            wait_until(lambda: all(knows(node, replica) for node in nodes), "all masters know the replica")
            other.set(key, 1)
            mine.fill(key)
            # An election might fail, and nobody would say so.
            admin.execute_command("CLUSTER FAILOVER TAKEOVER")
            wait_until(lambda: admin.role()[0] == b"master", "the replica is the master")
            mine.gone(key, MAX_STALE + SLACK)

            def linked() -> bool:
                return mine.usable(key) and any(str(replica.port) in name for name in mine.tracker._reach.links)

            wait_until(linked, "the new master has a link")
            mine.fill(key)
            admin.set(key, 2)
            mine.gone(key)
            other.delete(key)
    finally:
        replica.stop()

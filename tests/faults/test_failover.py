"""A holder whose lease is renewed while its master dies and a replica takes over: by Sentinel, and in a cluster.

While there is a replica the lock is kept, with its fencing tokens; once there is none the holder is told.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import RedisError

from pottery_like._core.keys import slot
from pottery_like.aio.redlock import AIORedlock
from pottery_like.redlock import Redlock
from tests.support.locks import InBackground
from tests.support.servers import Node, free_port, programs, start_cluster, wait_until

LEASE = 5.0
PROGRAM = next(iter(programs().values()))
QUICK = {"socket_timeout": 0.5}


def replica_of(master: Node, *options: str) -> Node:
    """Start a replica, and wait until it has everything."""
    replica = Node(PROGRAM, options).start()
    with redis.Redis(port=replica.port) as client, redis.Redis(port=master.port) as other:
        other.config_set("repl-diskless-sync-delay", 0)
        if options:
            client.execute_command("CLUSTER MEET", "127.0.0.1", master.port)
            name = other.execute_command("CLUSTER MYID").decode()
            wait_until(lambda: _follows(client, name), "the replica follows its master")
        else:
            client.execute_command("REPLICAOF", "127.0.0.1", master.port)
        wait_until(lambda: client.info("replication").get("master_link_status") == "up", "the replica is in sync")
    return replica


def _follows(client: redis.Redis, name: str) -> bool:
    try:
        return bool(client.execute_command("CLUSTER REPLICATE", name))
    except RedisError:
        return False


class Watched:
    """Masters that somebody watches."""

    def __init__(self, master: Node, replica: Node) -> None:
        self.master, self.replica = master, replica

    def client(self, package: Any) -> Any:
        """Return a client of the synchronous or the asyncio package."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close what the clients need besides their own connections."""


class BySentinel(Watched):
    def __init__(self, master: Node, replica: Node, port: int) -> None:
        super().__init__(master, replica)
        self.port = port
        self._watching: list[Any] = []

    def client(self, package: Any) -> Any:
        sentinel = package.sentinel.Sentinel([("127.0.0.1", self.port)], **QUICK)
        self._watching += sentinel.sentinels
        return sentinel.master_for("m", **QUICK)

    async def close(self) -> None:
        for client in self._watching:
            client.close() if isinstance(client, redis.Redis) else await client.aclose()


class InCluster(Watched):
    def __init__(self, nodes: list[Node], replica: Node) -> None:
        super().__init__(nodes[0], replica)
        self._nodes = nodes

    def client(self, package: Any) -> Any:
        return package.RedisCluster(host="127.0.0.1", port=self._nodes[1].port, **QUICK)


@contextmanager
def by_sentinel(directory: Path) -> Iterator[Watched]:
    master = Node(PROGRAM).start()
    replica = replica_of(master)
    port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(
        f"port {port}\ndir {directory}\nsentinel monitor m 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds m 300\nsentinel failover-timeout m 3000\n"
    )
    process = subprocess.Popen([PROGRAM, str(config), "--sentinel"], stdout=subprocess.DEVNULL)

    def ready() -> bool:
        try:
            with redis.Redis(port=port) as client:
                return bool(client.sentinel_master("m")["num-slaves"] == 1)
        except RedisError:
            return False

    try:
        wait_until(ready, "the sentinel knows the replica")
        yield BySentinel(master, replica, port)
    finally:
        process.kill()
        process.wait()
        master.stop()
        replica.stop()


@contextmanager
def in_cluster(directory: Path) -> Iterator[Watched]:
    nodes = start_cluster(PROGRAM)
    try:
        nodes.append(replica_of(nodes[0], "--cluster-enabled", "yes", "--cluster-node-timeout", "500"))
        for node in nodes:
            with redis.Redis(port=node.port) as client:
                client.config_set("cluster-node-timeout", 500)
        yield InCluster(nodes, nodes[-1])
    finally:
        for node in nodes:
            node.stop()


def name_on_the_first_master() -> str:
    """Return a lock's name whose key the first of a cluster's masters has."""
    names = (f"{{{uuid.uuid4().hex}}}" for _ in range(100))
    return next(name for name in names if slot(f"redlock:{name}".encode()) < 5461)


def renewal(node: Node, names: list[str]) -> Callable[[], bool]:
    """Return whether all of these locks have been renewed on a node since it may be written to."""
    least = dict.fromkeys(names, 1e9)

    def renewed() -> bool:
        with redis.Redis(port=node.port) as client:
            if client.info("replication")["role"] != "master":
                return False
            try:
                left = {name: client.pttl(f"redlock:{name}") for name in names}
            except redis.exceptions.ClusterDownError:
                return False
        least.update({name: min(least[name], left[name]) for name in names})
        return all(left[name] > least[name] for name in names)

    return renewed


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("setting", [by_sentinel, in_cluster])
def test_failover(setting: Any, tmp_path: Path) -> None:
    async def main(watched: Watched) -> None:
        client, awaited = watched.client(redis), watched.client(redis.asyncio)
        name = name_on_the_first_master()
        names = [f"{name}s", f"{name}a"]

        async def acquired(lease: float) -> tuple[Redlock, AIORedlock]:
            options: dict[str, Any] = {"auto_release_time": lease, "auto_extend": True}
            lock = Redlock(key=names[0], masters=[client], **options)
            other = AIORedlock(key=names[1], masters=[awaited], **options)
            assert lock.acquire(timeout=5)
            assert await other.acquire(timeout=5)
            return lock, other

        lock, other = await acquired(LEASE)
        before = [lock.fencing_token or 0, other.fencing_token or 0]
        with redis.Redis(port=watched.master.port) as master:
            assert master.wait(1, 5000) == 1
        watched.master.kill()
        await asyncio.to_thread(wait_until, renewal(watched.replica, names), "the locks are renewed")
        assert not lock.lost
        assert not other.lost
        assert lock.locked() > 0
        assert await other.locked() > 0
        lock.release()
        await other.release()

        lock, other = await acquired(0.7)
        after = [lock.fencing_token or 0, other.fencing_token or 0]
        assert after > before, "fencing tokens went back"
        assert after[1] > before[1], "fencing tokens went back"
        watched.replica.kill()
        assert await asyncio.to_thread(lock.lost_event.wait, 10)
        await asyncio.wait_for(other.lost_event.wait(), 10)
        assert lock.lost
        assert other.lost
        client.close()
        await awaited.aclose()
        await watched.close()

    with setting(tmp_path) as watched:
        asyncio.run(main(watched))
    # redis-py's cluster client doesn't close its connections to a master that has gone.
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_silent_master_of_a_client_that_waits_for_ever(tmp_path: Path) -> None:
    """A lock's own time counts, be it for a reply or for a new connection's greeting."""
    with by_sentinel(tmp_path) as watched, redis.Redis(port=watched.port) as sentinel:
        # Nobody takes over.
        sentinel.execute_command("SENTINEL SET", "m", "down-after-milliseconds", 60000)
        options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None}
        found = redis.sentinel.Sentinel([("127.0.0.1", watched.port)], **QUICK)
        client = found.master_for("m", **options)
        lock = Redlock(key=uuid.uuid4().hex, masters=[client], auto_release_time=2)
        lock.acquire()
        lock.release()
        watched.master.signal(signal.SIGSTOP)
        try:
            for _ in range(2):
                assert InBackground(lock.acquire, timeout=0.5).wait(10) is False
        finally:
            watched.master.signal(signal.SIGCONT)
        assert InBackground(lock.acquire, timeout=5).wait(10) is True
        lock.release()
        (way,) = lock._conductor.ways
        way._pool.disconnect()  # type: ignore[union-attr]
        client.close()
        for each in found.sentinels:
            each.close()

"""Tasks that are cancelled, and timeouts that expire, in asyncio: they end, whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from pottery_like import AIORedisSimpleQueue, AIORedlock, redis_cache
from pottery_like._io import aio, aio_tracking
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, cluster, programs, spares
from tests.support.tracking import Copies, cache

SERVER = sorted(programs())[0]

knows = pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks don't know how often they were cancelled")


@pytest.fixture
def node() -> Node:
    return spares(SERVER)[0]


@knows
def test_a_cluster_s_client_that_is_new() -> None:
    """It swallows cancellations while it learns its cluster's layout; afterwards get() would wait without end."""

    async def main() -> None:
        for turns in range(40):
            client = redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster(SERVER)[0].port)
            getting = asyncio.ensure_future(AIORedisSimpleQueue(redis=client, key="cancelled").get())
            for _ in range(turns):
                await asyncio.sleep(0)
            getting.cancel()
            await asyncio.wait([getting], timeout=10)
            assert getting.cancelled(), turns
            await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("call", [AIORedisSimpleQueue.get_nowait, AIORedisSimpleQueue.get], ids=["get_nowait", "get"])
def test_a_client_without_a_timeout(node: Node, call: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been taken is put back; where the server says nothing at all, nobody waits for it for ever."""

    async def main(proxy: Proxy) -> None:
        client = redis.asyncio.Redis(port=proxy.port, socket_timeout=None)
        await client.ping()
        proxy.frozen = True
        calling = asyncio.ensure_future(call(AIORedisSimpleQueue(redis=client, key="cancelled")))
        await asyncio.sleep(0.05)
        calling.cancel()
        await asyncio.wait([calling], timeout=10)
        proxy.frozen = False
        assert calling.cancelled()
        assert await client.ping(), "the connection isn't used again on which that answer comes"
        await client.aclose()

    monkeypatch.setattr("pottery_like._io.wire.PATIENCE", 0.3)
    with proxied(node.port) as proxy:
        asyncio.run(main(proxy))


def test_a_computation_whose_lease_can_t_be_given_back(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(proxy: Proxy) -> None:
        client, computes = redis.asyncio.Redis(port=proxy.port, socket_timeout=None), asyncio.Event()

        @redis_cache(redis=client, key="cancelled")
        async def slow(n: int) -> None:
            computes.set()
            await asyncio.sleep(60)

        calling = asyncio.ensure_future(slow(1))
        await asyncio.wait_for(computes.wait(), 10)
        proxy.frozen = True
        calling.cancel()
        await asyncio.wait([calling], timeout=10)
        proxy.frozen = False
        assert calling.cancelled()
        await client.aclose()

    monkeypatch.setattr("pottery_like._io.wire.PATIENCE", 0.3)
    with proxied(node.port) as proxy:
        asyncio.run(main(proxy))


def test_watching_begins_just_now(node: Node) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(port=node.port)
        tracker, copies = aio_tracking.tracker(aio.Runner(client)), Copies(b"cancelled:")
        watching = asyncio.ensure_future(tracker.watch(copies))
        await asyncio.sleep(0)
        tracker._settled.set()
        watching.cancel()
        await asyncio.wait([watching])
        assert watching.cancelled()
        tracker.rest()
        await client.aclose()

    asyncio.run(main())


def test_cancelled_twice_while_several_masters_are_silent(node: Node) -> None:
    """All their connections go back to where they came from."""

    async def main(proxies: list[Proxy]) -> None:
        clients = [redis.asyncio.Redis(port=proxy.port) for proxy in proxies]
        for client, proxy in zip(clients, proxies, strict=True):
            await client.ping()
            proxy.frozen = True
        acquiring = asyncio.ensure_future(AIORedlock(key="cancelled", masters=clients).acquire())
        for _ in range(2):
            await asyncio.sleep(0.05)
            acquiring.cancel()
        await asyncio.sleep(0.05)
        for proxy in proxies:
            proxy.frozen = False
        await asyncio.wait([acquiring], timeout=10)
        assert acquiring.cancelled()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([*others, asyncio.ensure_future(asyncio.sleep(0))], timeout=10)
        assert [client.connection_pool._in_use_connections for client in clients] == [set()] * 3
        for client in clients:
            await client.aclose()

    with proxied(node.port) as one, proxied(node.port) as two, proxied(node.port) as three:
        asyncio.run(main([one, two, three]))


@knows
def test_a_link_that_is_given_up_while_it_connects(node: Node) -> None:
    """The timeout is swallowed, and then the server falls silent: another link is made."""

    class Swallowing(redis.asyncio.Connection):
        times = 0

        async def connect(self) -> None:
            await super().connect()
            Swallowing.times += 1
            if Swallowing.times == 2:
                # As asyncio.wait_for does where what it waits for ends at the same time.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(10)
                proxy.silent, proxy.lose = True, 1

    def make() -> Any:
        pool = redis.asyncio.ConnectionPool(connection_class=Swallowing, port=proxy.port, socket_timeout=0.3)
        return redis.asyncio.Redis.from_pool(pool)

    with proxied(node.port) as proxy, cache("aio", make, b"cancelled:") as mine:
        mine.fill(b"cancelled:a", 5)

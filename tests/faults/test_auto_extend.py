"""Leases that are renewed in the background, and what their holder learns when that fails."""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis
import redis.asyncio

from pottery_like.aio.redlock import AIORedlock
from pottery_like.redlock import Redlock
from pottery_like.synchronize import synchronize
from tests.support.proxy import proxied
from tests.support.servers import Node, programs, wait_until

LEASE = 0.3


@pytest.fixture(scope="module")
def shared() -> Iterator[Node]:
    node = Node(next(iter(programs().values()))).start()
    yield node
    node.stop()


@pytest.fixture
def node(shared: Node) -> Iterator[Node]:
    yield shared
    shared.signal(signal.SIGCONT)


def test_renewed_until_released(node: Node) -> None:
    with redis.Redis(port=node.port) as client:
        locks = [Redlock(key=uuid.uuid4().hex, masters=[client], auto_release_time=LEASE, auto_extend=True)]
        locks += [Redlock(key=uuid.uuid4().hex, masters=[client], auto_release_time=LEASE, auto_extend=True)]
        for lock in locks:
            lock.acquire()
        time.sleep(3 * LEASE)
        for lock in locks:
            assert lock.locked() > 0
            assert not lock.lost
            lock.release()
            assert not client.exists(lock.key)
        token = client.config_resetstat()
        assert token
        time.sleep(LEASE)
        assert "cmdstat_pexpire" not in client.info("commandstats"), "renewed after the release"
        assert not any(lock.lost_event.is_set() for lock in locks)


def test_many_are_renewed_together(node: Node) -> None:
    with proxied(node.port) as proxy, redis.Redis(port=proxy.port) as client:
        names = [uuid.uuid4().hex for _ in range(20)]
        locks = [Redlock(key=name, masters=[client], auto_release_time=2, auto_extend=True) for name in names]
        for lock in locks:
            lock.acquire()
        before = proxy.round_trips
        time.sleep(1)
        assert proxy.round_trips - before < 10
        for lock in locks:
            lock.release()


def test_lost_is_told(node: Node) -> None:
    told: list[Redlock] = []
    with redis.Redis(port=node.port) as client:
        name = uuid.uuid4().hex
        lock = Redlock(key=name, masters=[client], auto_release_time=LEASE, auto_extend=True, on_lost=told.append)
        lock.acquire()
        client.set(lock.key, "somebody else's")
        assert lock.lost_event.wait(5)
        wait_until(lambda: told == [lock], "the callback is called")
        assert lock.lost
        assert lock.locked() == 0
        assert client.get(lock.key) == b"somebody else's"


def test_survives_a_short_silence_and_tells_a_long_one(node: Node) -> None:
    with redis.Redis(port=node.port) as client:
        lock = Redlock(key=uuid.uuid4().hex, masters=[client], auto_release_time=1.2, auto_extend=True)
        lock.acquire()
        time.sleep(0.3)
        node.signal(signal.SIGSTOP)
        time.sleep(0.4)
        node.signal(signal.SIGCONT)
        time.sleep(1)
        assert not lock.lost
        assert lock.locked() > 0
        node.signal(signal.SIGSTOP)
        assert lock.lost_event.wait(8)
        assert lock.lost
        node.signal(signal.SIGCONT)


def test_aio(node: Node) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(port=node.port)
        told: list[str] = []

        async def tell(lock: AIORedlock) -> None:
            told.append(lock.key)

        lock = AIORedlock(
            key=uuid.uuid4().hex,
            masters=[client],
            auto_release_time=LEASE,
            auto_extend=True,
            cancel_on_lost=True,
            on_lost=tell,
        )
        async with lock:
            await asyncio.sleep(2 * LEASE)
            assert await lock.locked() > 0

        async def body() -> None:
            async with lock:
                await client.delete(lock.key)
                await asyncio.sleep(10)

        task = asyncio.create_task(body())
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
        await asyncio.sleep(0)
        assert lock.lost_event.is_set()
        assert told == [lock.key]
        await client.aclose()

    asyncio.run(main())


def test_aio_reentrant(node: Node) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(port=node.port)
        lock = AIORedlock(key=uuid.uuid4().hex, masters=[client], reentrant=True)
        async with lock, lock:
            assert await lock.acquire()
            await lock.release()
            assert await lock.locked() > 0
            assert not await asyncio.create_task(lock.acquire(False))
        assert not await client.exists(lock.key)
        await client.aclose()

    asyncio.run(main())


def test_one_task_waits_while_another_holds_the_same_object(node: Node) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(port=node.port)
        lock, inside = AIORedlock(key=uuid.uuid4().hex, masters=[client]), 0

        async def use() -> None:
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(use() for _ in range(20)))
        assert not await client.exists(lock.key)
        await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("callback", [lambda lock: sys.exit("lost"), lambda lock: time.sleep(5 * LEASE)])
def test_a_callback_that_ends_its_thread_or_takes_long_costs_no_other_lock(
    node: Node, callback: Callable[[Redlock], object]
) -> None:
    client = redis.Redis(port=node.port)
    first, second, third = (
        Redlock(key=uuid.uuid4().hex, masters=client, auto_release_time=LEASE, auto_extend=True, on_lost=callback)
        for _ in range(3)
    )
    assert first.acquire()
    assert second.acquire()
    client.delete(first.key)
    assert first.lost_event.wait(5)
    assert third.acquire()
    time.sleep(2 * LEASE)
    assert second.locked() > 0
    assert third.locked() > 0
    second.release()
    third.release()
    client.close()


def test_synchronize_on_all_that_can_be_called(node: Node) -> None:
    client, name = redis.Redis(port=node.port), uuid.uuid4().hex
    decorate = synchronize(key=name, masters=f"redis://127.0.0.1:{node.port}")

    def held() -> bool:
        return bool(client.exists(f"redlock:{name}"))

    async def later() -> bool:
        return held()

    class Things:
        @decorate
        @staticmethod
        def one() -> bool:
            return held()

        @decorate
        @classmethod
        async def two(cls) -> bool:
            return held()

        async def __call__(self) -> bool:
            return held()

    async def main() -> list[bool]:
        calls = (
            Things.two,
            Things().two,
            decorate(Things()),
            decorate(functools.partial(later)),
        )
        return [Things.one(), Things().one(), *[await call() for call in calls]]

    assert all(asyncio.run(main()))

    def generator() -> Iterator[int]:
        yield 1

    async def generator_too() -> AsyncIterator[int]:
        yield 1

    for each in (generator, generator_too):
        with pytest.raises(TypeError, match="generator"):
            decorate(each)
    client.close()


def test_synchronize(node: Node) -> None:
    url = f"redis://127.0.0.1:{node.port}"
    name, inside = uuid.uuid4().hex, []

    @synchronize(key=name, masters=[url])
    def here(value: int) -> int:
        """Say it."""
        inside.append(value)
        assert len(inside) == 1
        return inside.pop()

    @synchronize(key=name, masters=[{"host": "127.0.0.1", "port": node.port}], auto_extend=True)
    async def there(value: int) -> int:
        inside.append(value)
        await asyncio.sleep(0.001)
        assert len(inside) == 1
        return inside.pop()

    async def both() -> list[int]:
        return await asyncio.gather(*map(there, range(5)), *(asyncio.to_thread(here, n) for n in range(5, 10)))

    assert here(3) == 3
    assert (here.__name__, here.__doc__) == ("here", "Say it.")
    assert asyncio.run(both()) == list(range(10))
    with pytest.raises(ValueError, match="timeout"):
        synchronize(key=name, blocking=False, timeout=1)
    with pytest.raises(ValueError, match="auto_release_time"):
        synchronize(key=name, auto_release_time=0)

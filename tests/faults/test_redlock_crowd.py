"""Locks that others wait for, and what is sent then: it is not what a free lock takes."""

from __future__ import annotations

import asyncio
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import redis
import redis.asyncio

from pottery_like._io import hub
from pottery_like._io.lanes import Lane
from pottery_like.aio.redlock import AIORedlock
from pottery_like.redlock import Redlock
from tests.support.locks import Actors, InBackground
from tests.support.proxy import proxied
from tests.support.servers import Node, wait_until


@pytest.fixture
def actors(world: str) -> Iterator[Actors]:
    made = Actors(world)
    yield made
    made.close()


def test_lost_replies_where_others_wait(actors: Actors, node: Node) -> None:
    """Who found a line the last time joins it by a plain command; who has waited releases behind a PING."""
    line = f"{{{actors.key}}}:waiters"
    with proxied(node.port) as proxy, redis.Redis(port=node.port) as client:
        lock, first, second = actors([proxy.port]), actors([node.port]), actors([node.port])
        # All listen to one channel, also by way of the proxy.
        proxy.spare = b"message"
        calls: dict[Any, InBackground] = {}

        def join(who: Any, place: int) -> None:
            calls[who] = InBackground(who.acquire)
            wait_until(lambda: client.llen(line) == place, "it waits")

        second.acquire()
        join(first, 1)
        join(lock, 2)
        # The first time the script has to say that there is a line.
        for lost in (0, 1, 1):
            second.release()
            assert calls[first].wait() is True
            join(second, 2)
            first.release()
            assert calls[lock].wait() is True
            join(first, 2)
            proxy.lose = lost
            lock.release()
            assert calls[second].wait() is True
            assert lock.locked() == 0  # over a new connection
            proxy.lose = lost
            before = client.info("commandstats")["cmdstat_rpushx"]["calls"]
            join(lock, 2)
            wait_until(lambda: proxy.lose == 0, "the reply was lost")
            assert client.info("commandstats")["cmdstat_rpushx"]["calls"] == before + 1
        second.release()
        assert calls[first].wait() is True
        first.release()
        assert calls[lock].wait() is True
        lock.release()
        assert not client.exists(actors.key, line)


def test_interrupted_while_releasing_to_a_waiter(node: Node) -> None:
    """What was sent is read to its end, so that the next reply on the connection is the next question's."""

    class Interrupted(BaseException):
        pass

    def interrupt(number: int, frame: Any) -> None:
        raise Interrupted

    name = uuid.uuid4().hex
    with proxied(node.port) as proxy:
        lock = Redlock(key=name, masters=redis.Redis(port=proxy.port))
        other = Redlock(key=name, masters=redis.Redis(port=node.port))
        other.acquire()
        calls = InBackground(lock.acquire), InBackground(other.release)
        assert calls[0].wait() is True
        assert calls[1].wait() is None
        waiting = InBackground(other.acquire)
        with redis.Redis(port=node.port) as client:
            wait_until(lambda: client.llen(f"{{{lock.key}}}:waiters") == 1, "the other one waits")
        before = signal.signal(signal.SIGALRM, interrupt)
        thawing = threading.Timer(0.5, setattr, (proxy, "frozen", False))
        proxy.frozen = True
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            thawing.start()
            with pytest.raises(Interrupted):
                lock.release()
        finally:
            signal.signal(signal.SIGALRM, before)
            thawing.join()
        assert waiting.wait() is True
        for _ in range(3):
            assert lock.acquire(False) is False
        other.release()
        for _ in range(3):
            assert lock.acquire(False) is True
            assert lock.locked() > 0
            lock.release()


def test_who_listens_to_one_server_learns_of_another(five: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    made = hub.Hub()
    monkeypatch.setattr(hub, "hub", made)
    monkeypatch.setattr(hub, "SLICE", 60)
    locks, calls = [], []
    for node in five[:3]:
        name, url = uuid.uuid4().hex, f"redis://127.0.0.1:{node.port}"
        holder, waiter = (Redlock(key=name, masters=url, auto_release_time=60) for _ in range(2))
        holder.acquire()
        locks.append((holder, waiter))
        calls.append(InBackground(waiter.acquire, timeout=30))
        with redis.Redis(port=node.port) as client:
            wait_until(partial(client.llen, f"{{{holder.key}}}:waiters"), "it waits")
    # The first waiter reads for the others, whose connections came later.
    for (holder, waiter), call in reversed(list(zip(locks, calls, strict=True))):
        holder.release()
        assert call.wait() is True
        waiter.release()
    _end(made)


def test_interrupted_while_sending(node: Node) -> None:
    """The interrupt comes out, at once, and the lock is released nevertheless."""

    class Interrupted(BaseException):
        pass

    class Socket:
        def __init__(self, real: Any) -> None:
            self._real = real

        def sendall(self, data: bytes) -> None:
            raise Interrupted

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    lock = Redlock(key=uuid.uuid4().hex, masters=f"redis://127.0.0.1:{node.port}")
    for _ in range(2):
        lock.acquire()
        (way,) = lock._conductor.ways
        connection, _ = way._idle[-1]
        connection._sock = Socket(connection._sock)
        with pytest.raises(Interrupted):
            lock.release()
        with redis.Redis(port=node.port) as client:
            assert not client.exists(lock.key)


def test_a_listening_connection_may_break_often(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at what wakes a leader who listens to several servers, where there is only one."""
    made = hub.Hub()
    monkeypatch.setattr(hub, "hub", made)
    name, url = uuid.uuid4().hex, f"redis://127.0.0.1:{node.port}"
    holder, waiter = (Redlock(key=name, masters=url, auto_release_time=60) for _ in range(2))
    holder.acquire()
    assert waiter.acquire(timeout=0.05) is False
    with suppress(BlockingIOError):
        while made._waker[1].send(b"." * 1000):
            pass
    with redis.Redis(port=node.port) as client:
        for _ in range(3):
            client.client_kill_filter(_type="pubsub")
            assert InBackground(waiter.acquire, timeout=0.05).wait() is False
    holder.release()
    assert waiter.acquire(timeout=5) is True
    waiter.release()
    _end(made)


def test_waiting_where_nobody_listens_yet(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that was silent a moment ago isn't listened to; who waits then looks for himself."""
    made = hub.Hub()
    monkeypatch.setattr(hub, "hub", made)
    name, url = uuid.uuid4().hex, f"redis://127.0.0.1:{node.port}"
    holder, waiter, late = (Redlock(key=name, masters=url, auto_release_time=60) for _ in range(3))
    holder.acquire()
    (way,) = waiter._conductor.ways
    way.failed(redis.TimeoutError(), 1)
    assert waiter.acquire(timeout=0.1) is False
    call = InBackground(waiter.acquire, timeout=20)
    wait_until(lambda: made._leader, "it waits")
    # Another one can listen by now, and has to be heard by the first.
    way.answered()
    second = InBackground(late.acquire, timeout=20)
    wait_until(lambda: made._lines, "somebody listens")
    holder.release()
    wait_until(lambda: not (call.running and second.running), "one of them has it")
    (late if call.running else waiter).release()
    assert [call.wait(), second.wait()] == [True, True]
    (waiter if waiter.locked() else late).release()
    _end(made)


def test_waiters_share_one_listening_connection(node: Node, world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, url = uuid.uuid4().hex, f"redis://127.0.0.1:{node.port}"
    line = f"{{redlock:{name}}}:waiters"
    with redis.Redis(port=node.port) as client:

        def listening() -> list[int]:
            return [count for _, count in client.pubsub_numsub(*client.pubsub_channels("pottery_like:wake:*"))]

        before = sum(listening())
        if world == "sync":
            made = hub.Hub()
            monkeypatch.setattr(hub, "hub", made)
            holder, *waiters = (Redlock(key=name, masters=url) for _ in range(4))
            holder.acquire()
            calls = [InBackground(each.acquire) for each in waiters]
            wait_until(lambda: client.llen(line) == 3, "all wait")
            assert sum(listening()) == before + 1
            holder.release()
            for _ in waiters:
                wait_until(lambda: any(not call.running for call in calls), "one has it")
                done = next(number for number, call in enumerate(calls) if not call.running)
                assert calls.pop(done).wait() is True
                waiters.pop(done).release()
            _end(made)
        else:

            async def main() -> None:
                holder, *waiters = (AIORedlock(key=name, masters=url) for _ in range(4))
                await holder.acquire()
                tasks = [asyncio.create_task(each.acquire()) for each in waiters]
                await asyncio.to_thread(wait_until, lambda: client.llen(line) == 3, "all wait")
                assert sum(listening()) == before + 1
                await holder.release()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            asyncio.run(main())


def test_a_client_with_few_connections_serves_many_tasks(node: Node) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(port=node.port, max_connections=2)
        name = uuid.uuid4().hex

        async def use() -> None:
            async with AIORedlock(key=name, masters=[client]):
                await asyncio.sleep(0.001)

        for _ in range(5):
            await asyncio.gather(*[use() for _ in range(40)])
        free = [AIORedlock(key=uuid.uuid4().hex, masters=[client]) for _ in range(40)]
        assert all(await asyncio.gather(*[lock.acquire(False) for lock in free]))
        await asyncio.gather(*[lock.release() for lock in free])
        await client.aclose()

    asyncio.run(main())


def test_more_threads_than_a_pool_has_connections(node: Node) -> None:
    client, barrier = redis.Redis(port=node.port), threading.Barrier(120)
    locks = [Redlock(key=uuid.uuid4().hex, masters=client) for _ in range(120)]
    lane = locks[0]._conductor.ways[0]
    assert isinstance(lane, Lane)

    def use(lock: Redlock) -> bool:
        connection = lane.open(5)
        barrier.wait(30)
        lane.give_back(connection)
        return lock.acquire(False)

    calls = [InBackground(use, lock) for lock in locks]
    assert [call.wait() for call in calls] == [True] * 120
    client.close()


def test_the_default_server(actors: Actors, node: Node, world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{node.port}/0")
    with redis.Redis(port=node.port) as client:
        if world == "sync":
            with Redlock(key=actors.name):
                assert client.exists(actors.key)
        else:

            async def main() -> None:
                async with AIORedlock(key=actors.name):
                    assert client.exists(actors.key)

            asyncio.run(main())
        assert not client.exists(actors.key)


def _end(made: hub.Hub) -> None:
    for line in list(made._lines.values()):
        made._drop(line)
    for end in made._waker:
        end.close()

"""Locks whose masters die, fall silent, come back empty, or lose replies."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from pottery_like._io import hub
from pottery_like.aio.redlock import AIORedlock
from pottery_like.exceptions import QuorumIsImpossible, ReleaseUnlockedLock
from pottery_like.redlock import Redlock
from tests.support.locks import Actors, InBackground
from tests.support.processes import Child, fork
from tests.support.proxy import proxied
from tests.support.servers import Node, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
WORLDS = ["sync", "aio"]


@pytest.fixture
def nodes(five: list[Node]) -> list[Node]:
    return five


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def actors(world: str) -> Iterator[Actors]:
    made = Actors(world)
    yield made
    made.close()


def ports(nodes: list[Node]) -> list[int]:
    return [node.port for node in nodes]


def test_several_masters(actors: Actors, nodes: list[Node]) -> None:
    for count in (2, 3, 5):
        holder, other = actors(ports(nodes[:count])), actors(ports(nodes[:count]))
        assert holder.acquire() is True
        assert len(set(actors.holders(nodes[:count]))) == 1
        assert other.acquire(False) is False
        call = InBackground(other.acquire)
        with redis.Redis(port=nodes[0].port) as client:
            wait_until(lambda client=client: client.llen(f"{{{actors.key}}}:waiters") == 1, "the other waits")
        assert 0 < holder.locked() < 10
        holder.extend()
        holder.release()
        assert call.wait() is True
        with pytest.raises(NotImplementedError, match="one master"):
            _ = other.fencing_token
        other.release()
        assert set(actors.holders(nodes)) == {None}


def test_many_wait_for_several_masters(actors: Actors, nodes: list[Node]) -> None:
    locks = [actors(ports(nodes[:3])) for _ in range(6)]
    inside: list[int] = []

    def use(lock: Any) -> None:
        for _ in range(5):
            lock.acquire()
            inside.append(1)
            assert sum(inside) == 1
            time.sleep(0.001)
            inside.append(-1)
            lock.release()

    for call in [InBackground(use, lock) for lock in locks]:
        assert call.wait() is None
    assert set(actors.holders(nodes)) == {None}


def test_minority_dead(actors: Actors, nodes: list[Node]) -> None:
    lock = actors(ports(nodes))
    for node in nodes[1:3]:
        node.kill()
    started = time.monotonic()
    for _ in range(5):
        assert lock.acquire() is True
        assert lock.locked() > 0
        lock.extend()
        lock.release()
    assert time.monotonic() - started < 10
    assert set(actors.holders(nodes)) == {None}


def test_minority_silent_costs_its_time_once(actors: Actors, nodes: list[Node]) -> None:
    lock, fresh = actors(ports(nodes)), actors(ports(nodes))
    assert lock.acquire()
    lock.release()
    for node in nodes[1:3]:
        node.signal(signal.SIGSTOP)
    for each in (lock, fresh):
        times = []
        for _ in range(3):
            started = time.monotonic()
            assert each.acquire(timeout=5) is True
            each.release()
            times.append(time.monotonic() - started)
        # Half a second is a twentieth of the lease; the second and the third time both are passed over.
        assert times[0] < 3
        assert max(times[1:]) < times[0] + 0.2
    for node in nodes[1:3]:
        node.signal(signal.SIGCONT)


def test_majority_dead_or_silent_fails_in_time(actors: Actors, nodes: list[Node]) -> None:
    for number in (signal.SIGSTOP, signal.SIGKILL):
        lock = actors(ports(nodes), auto_release_time=1)
        held = actors(ports(nodes), auto_release_time=1)
        for node in nodes[:3]:
            node.kill() if number == signal.SIGKILL else node.signal(number)
        started = time.monotonic()
        assert lock.acquire(timeout=0.3) is False
        assert lock.acquire(False) is False
        with pytest.raises(QuorumIsImpossible) as caught:
            held.acquire(raise_on_redis_errors=True)
        assert len(caught.value.redis_errors) == 3
        assert time.monotonic() - started < 5
        assert set(actors.holders(nodes[3:])) == {None}, "partial grants were not undone"
        for node in nodes[:3]:
            node.signal(signal.SIGCONT) if node.process else node.start()


@pytest.mark.parametrize("count", [1, 3])
def test_silence_costs_no_more_than_the_timeout_and_leaves_nothing(
    actors: Actors, nodes: list[Node], count: int
) -> None:
    lock, fresh = actors(ports(nodes[:count])), actors(ports(nodes[:count]))
    assert lock.acquire()
    lock.release()
    for node in nodes[:count]:
        node.signal(signal.SIGSTOP)
    for each in (lock, fresh):
        started = time.monotonic()
        assert each.acquire(timeout=0.2) is False
        assert time.monotonic() - started < 1.1
    for node in nodes[:count]:
        node.signal(signal.SIGCONT)
    for node in nodes[:count]:
        # What was sent is run when the server goes on: the attempt, and what undoes it.
        node.ready()
    wait_until(lambda: set(actors.holders(nodes[:count])) == {None}, "the lock is free before its lease ends", 5)
    assert lock.acquire(timeout=5)
    lock.release()


@pytest.mark.parametrize("count", [1, 3])
def test_a_release_that_failed_may_be_repeated(actors: Actors, nodes: list[Node], count: int) -> None:
    lock = actors(ports(nodes[:count]), auto_release_time=3, reentrant=True)
    assert lock.acquire()
    for error, raising in ((QuorumIsImpossible, True), (ReleaseUnlockedLock, False)):
        for node in nodes[:count]:
            node.signal(signal.SIGSTOP)
        with pytest.raises(error) as caught:
            lock.release(raise_on_redis_errors=raising)
        assert len(caught.value.redis_errors) == count
        for node in nodes[:count]:
            node.signal(signal.SIGCONT)
        assert lock.lost is False
        lock.release()
        assert set(actors.holders(nodes[:count])) == {None}
        with pytest.raises(ReleaseUnlockedLock):
            lock.release()
        assert lock.acquire()
    lock.release()


def test_restarted_empty(actors: Actors, nodes: list[Node]) -> None:
    holder, other = actors(ports(nodes)), actors(ports(nodes))
    holder.acquire()
    for node in nodes[:2]:
        node.kill()
        node.start()
    assert holder.locked() > 0
    assert other.acquire(False) is False
    assert actors.holders(nodes[:2]) == [None, None], "partial grants were not undone"
    holder.release()
    assert other.acquire(timeout=5) is True
    other.release()


def test_lost_replies(actors: Actors, nodes: list[Node]) -> None:
    with proxied(nodes[0].port) as proxy, redis.Redis(port=nodes[0].port) as client:
        lock = actors([proxy.port])
        lock.acquire()
        lock.release()
        for _ in range(2):
            proxy.lose = 1
            assert lock.acquire(False) is True
            fence = client.get(actors.key).decode().split()[1]
            assert fence == str(lock.fencing_token)
            proxy.lose = 1
            lock.extend()
            proxy.lose = 1
            lock.release()
            assert client.get(actors.key) is None
        with pytest.raises(ReleaseUnlockedLock):
            lock.release()
        client.set(actors.key, "somebody else's", px=200)
        proxy.lose = 1
        call = InBackground(lock.acquire)
        assert call.wait() is True
        assert client.llen(f"{{{actors.key}}}:waiters") == 0
        client.set(actors.key, "somebody else's")
        proxy.lose = 1
        # The first run finds the lock taken away.  Its reply is lost, but it is known by then that the lease was.
        lock._lock._holds.find(None).gone = True
        with pytest.raises(ReleaseUnlockedLock):
            lock.release()
        assert client.get(actors.key) == b"somebody else's"


def test_server_restarts_under_a_waiter(actors: Actors, nodes: list[Node]) -> None:
    holder, other = actors(ports(nodes[:1])), actors(ports(nodes[:1]))
    holder.acquire()
    call = InBackground(other.acquire)
    time.sleep(0.2)
    nodes[0].kill()
    nodes[0].start()
    assert call.wait(8) is True
    if actors.world == "sync":
        # The asyncio actor's event loop stood still and couldn't notice that its connection had ended.
        with pytest.raises(ReleaseUnlockedLock):
            holder.release()
    other.release()


def test_dead_waiter_is_passed_over(actors: Actors, nodes: list[Node]) -> None:
    holder, other = actors(ports(nodes[:1])), actors(ports(nodes[:1]))
    holder.acquire()
    child = Child(fork, Redlock(key=actors.name, masters=[{"host": "127.0.0.1", "port": nodes[0].port}]).acquire)
    with redis.Redis(port=nodes[0].port) as client:
        wait_until(lambda: client.llen(f"{{{actors.key}}}:waiters") == 1, "the child waits")
        call = InBackground(other.acquire)
        wait_until(lambda: client.llen(f"{{{actors.key}}}:waiters") == 2, "both wait")
    child.process.kill()
    child.process.join()
    time.sleep(0.05)
    holder.release()
    assert call.wait(5) is True
    other.release()


def test_waiters_of_a_process_take_turns_at_listening(nodes: list[Node]) -> None:
    name, url = uuid.uuid4().hex, f"redis://127.0.0.1:{nodes[0].port}"
    holder, *others = (Redlock(key=name, masters=url) for _ in range(4))
    holder.acquire()
    with redis.Redis(port=nodes[0].port) as client:
        calls = []
        for number, other in enumerate(others):
            calls.append(InBackground(other.acquire, timeout=0.5 if number == 0 else 20))
            wait_until(lambda: client.llen(f"{{{holder.key}}}:waiters") == len(calls), "one more waits")
    # The first one listens for all, until it leaves.
    assert calls[0].wait() is False
    for lock, call, waiter in ((holder, calls[1], others[1]), (others[1], calls[2], others[2])):
        started = time.monotonic()
        lock.release()
        assert call.wait() is True
        assert time.monotonic() - started < 2
        assert waiter.locked() > 0
    others[2].release()


def test_waiting_within_a_signal_handler(nodes: list[Node]) -> None:
    url, tried = f"redis://127.0.0.1:{nodes[0].port}", []
    holder, lock = (Redlock(key="outer", masters=url) for _ in range(2))
    inner, other = (Redlock(key="inner", masters=url) for _ in range(2))
    holder.acquire()
    inner.acquire()
    before = signal.signal(signal.SIGALRM, lambda number, frame: tried.append(other.acquire(timeout=0.2)))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    releasing = threading.Timer(0.8, holder.release)
    releasing.start()
    try:
        assert lock.acquire(timeout=10)
    finally:
        signal.signal(signal.SIGALRM, before)
        releasing.join()
    assert tried == [False]
    lock.release()
    inner.release()


def test_a_signal_while_a_listening_connection_is_made(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler needs one, too, to the same server."""
    made, url = hub.Hub(), f"redis://127.0.0.1:{nodes[0].port}"
    monkeypatch.setattr(hub, "hub", made)
    name = uuid.uuid4().hex
    holder, lock, other = (Redlock(key=name, masters=url) for _ in range(3))
    holder.acquire()
    (way,) = lock._conductor.ways
    tried, listener = [], way.listener

    def interrupted() -> Any:
        monkeypatch.setattr(way, "listener", listener)
        signal.raise_signal(signal.SIGALRM)
        return listener()

    monkeypatch.setattr(way, "listener", interrupted)
    before = signal.signal(signal.SIGALRM, lambda number, frame: tried.append(other.acquire(timeout=0.2)))
    try:
        assert lock.acquire(timeout=0.2) is False
    finally:
        signal.signal(signal.SIGALRM, before)
    assert tried == [False]
    with redis.Redis(port=nodes[0].port) as client:
        assert client.pubsub_numsub(made.channel) == [(made.channel.encode(), 1)]
    holder.release()
    for each in (*made._lines.values(), *made._waker):
        each.close()


def test_a_forks_child_holds_nothing(nodes: list[Node]) -> None:
    lock = Redlock(key=uuid.uuid4().hex, masters=[f"redis://127.0.0.1:{nodes[0].port}"])
    lock.acquire()

    def work() -> None:
        with pytest.raises(ReleaseUnlockedLock):
            lock.release()
        assert lock.acquire(False) is False
        assert lock.locked() == 0

    Child(fork, work).end()
    assert lock.locked() > 0
    lock.release()


@pytest.mark.parametrize("step", [0, 0.0002, 0.0005, 0.001, 0.005, 0.15])
def test_cancelled_anywhere_strands_nothing(nodes: list[Node], step: float) -> None:
    async def main() -> None:
        clients = [redis.asyncio.Redis(port=node.port) for node in nodes[:3]]
        for masters in (clients[:1], clients):
            name = uuid.uuid4().hex
            lock, other = (AIORedlock(key=name, masters=masters) for _ in range(2))

            async def use(lock: AIORedlock = lock) -> None:
                async with lock:
                    await asyncio.sleep(step / 2)

            for busy in (False, True):
                if busy:
                    await other.acquire()
                for delay in (step, step / 2):
                    task = asyncio.create_task(use())
                    await asyncio.sleep(delay)
                    asked = task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    assert task.cancelled() or not asked, "the cancellation was swallowed"
                if busy:
                    await other.release()
                for client in masters:
                    keys = await client.keys(f"*{name}*")
                    assert [key for key in keys if not key.endswith(b"fence")] == [], (busy, keys)
        for client in clients:
            await client.aclose()

    asyncio.run(main())


def test_waiters_listen_again_after_a_restart(actors: Actors, nodes: list[Node]) -> None:
    first, second = actors(ports(nodes[:1])), actors(ports(nodes[:1]))
    first.acquire()
    call = InBackground(second.acquire)
    time.sleep(0.3)
    nodes[0].kill()
    nodes[0].start()
    with redis.Redis(port=nodes[0].port) as client:
        assert client.set(actors.key, "f" * 32, nx=True, px=60000) or call.wait(5)
        if call.running:
            client.pexpire(actors.key, 300)
            assert call.wait(8) is True
        third = actors(ports(nodes[:1]))
        late = InBackground(third.acquire)
        wait_until(lambda: client.llen(f"{{{actors.key}}}:waiters") == 1, "the third waits in the line")
        second.release()
        assert late.wait(5) is True
        third.release()

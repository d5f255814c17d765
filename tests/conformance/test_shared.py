"""The bounded semaphore and the read-write lock, in both worlds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from pottery_like.aio.shared import AIORedisRWLock, AIORedisSemaphore
from pottery_like.exceptions import ExtendUnlockedLock, QuorumNotAchieved, ReleaseUnlockedLock
from pottery_like.shared import RedisRWLock, RedisSemaphore
from tests.conformance.test_redlock import Scene
from tests.support.locks import Actor, InBackground, clients_of
from tests.support.servers import PAIRS, wait_until


class Shared(Scene):
    def make(self, kind: Callable[..., Any]) -> Any:
        actor = Actor(kind, clients_of(self.setup), self.setup.world)
        self._actors.append(actor)
        return actor

    def semaphore(self, **options: Any) -> Any:
        self.key = f"semaphore:{self.name}"
        kind = AIORedisSemaphore if self.setup.world == "aio" else RedisSemaphore
        return self.make(lambda masters: kind(key=self.name, masters=masters, **options))

    def side(self, side: str, **options: Any) -> Any:
        self.key = f"rwlock:{self.name}"
        kind = AIORedisRWLock if self.setup.world == "aio" else RedisRWLock
        return self.make(lambda masters: getattr(kind(key=self.name, masters=masters, **options), side))


@pytest.fixture(params=PAIRS, ids=str)
def scene(request: pytest.FixtureRequest) -> Iterator[Shared]:
    scene = Shared(request.param)
    yield scene
    scene.close()


def test_semaphore(scene: Shared) -> None:
    slots = [scene.semaphore(value=2) for _ in range(4)]
    assert slots[0].acquire()
    assert slots[1].acquire()
    assert slots[2].acquire(False) is False
    assert slots[2].acquire(True, 0.05) is False
    assert 0 < slots[0].locked() < 10
    calls = []
    for number in (1, 2):
        calls.append(InBackground(slots[number + 1].acquire))
        wait_until(lambda number=number: scene.waiting() == number, "the waiter is in the line")
    slots[0].release()
    assert calls[0].wait() is True
    assert calls[1].running
    with pytest.raises(ReleaseUnlockedLock):
        slots[0].release()
    slots[1].extend()
    slots[1].release()
    assert calls[1].wait() is True
    with pytest.raises(NotImplementedError):
        _ = slots[2].fencing_token
    for each in slots[2:]:
        each.release()
        assert each.locked() == 0
    assert not scene.redis.exists(scene.key)
    assert scene.waiting() == 0


def test_slot_of_a_dead_holder_comes_free(scene: Shared) -> None:
    dead, other = scene.semaphore(value=1, auto_release_time=0.1), scene.semaphore(value=1)
    dead.acquire()
    started = time.monotonic()
    with other:
        assert time.monotonic() - started < 5
        assert dead.lost
        with pytest.raises(ExtendUnlockedLock):
            dead.extend()
        with pytest.raises(ReleaseUnlockedLock):
            dead.release()
        assert other.locked() > 0
    assert not scene.redis.exists(scene.key)


def test_one_semaphore_object_is_acquired_repeatedly(scene: Shared) -> None:
    slots = scene.semaphore(value=2)
    assert slots.acquire()
    assert slots.acquire()
    assert slots.acquire(False) is False
    slots.release()
    slots.release()
    with pytest.raises(ReleaseUnlockedLock):
        slots.release()


def test_readers_share_and_writers_dont(scene: Shared) -> None:
    readers = [scene.side("read") for _ in range(3)]
    writer, late, hasty = scene.side("write"), scene.side("read"), scene.side("write", context_manager_blocking=False)
    for reader in readers:
        assert reader.acquire(False) is True
    with pytest.raises(QuorumNotAchieved), hasty:
        pass
    writing = InBackground(writer.acquire)
    wait_until(lambda: scene.waiting() == 1, "the writer waits")
    assert late.acquire(False) is False, "it overtook the writer"
    reading = InBackground(late.acquire)
    wait_until(lambda: scene.waiting() == 2, "the late reader waits")
    for reader in readers:
        assert writing.running
        reader.release()
    assert writing.wait() is True
    assert reading.running
    others = [InBackground(reader.acquire) for reader in readers]
    wait_until(lambda: scene.waiting() == 4, "readers wait")
    writer.release()
    assert [call.wait() for call in (reading, *others)] == [True] * 4
    for reader in (late, *readers):
        reader.release()
    assert not scene.redis.exists(scene.key)


def test_writer_who_gives_up_lets_readers_pass(scene: Shared) -> None:
    reader, other, writer = scene.side("read"), scene.side("read"), scene.side("write")
    # Connecting to a cluster might take longer than the writer's timeout.
    for each in (writer, other):
        each.acquire(False)
        each.release()
    reader.acquire()
    writing = InBackground(writer.acquire, timeout=1)
    wait_until(lambda: scene.waiting() == 1, "the writer waits")
    reading = InBackground(other.acquire)
    assert writing.wait() is False
    assert reading.wait(5) is True
    reader.release()
    other.release()


@pytest.mark.parametrize("kind", [RedisRWLock, AIORedisRWLock])
def test_one_master_needs_no_list(kind: Callable[..., Any]) -> None:
    client = (redis.asyncio if kind is AIORedisRWLock else redis).Redis()
    for master in (client, {"host": "localhost", "port": 1}, "redis://localhost"):
        assert kind(key="x", masters=master).read.masters == (master,)


@pytest.mark.parametrize("kind", [RedisSemaphore, AIORedisSemaphore, RedisRWLock, AIORedisRWLock])
def test_wrong_arguments(kind: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="one master"):
        kind(key="x", masters=["redis://a", "redis://b"])
    with pytest.raises(ValueError, match="auto_release_time"):
        kind(key="x", auto_release_time=0)
    with pytest.raises(TypeError):
        kind(key="x", masters=[1])
    if "Semaphore" in kind.__name__:
        for error, value in [(ValueError, 0), (TypeError, 1.5), (TypeError, True)]:
            with pytest.raises(error):
                kind(key="x", value=value)


def test_aio_crowd(scene: Shared) -> None:
    if scene.setup.world != "aio":
        pytest.skip("asyncio only")

    async def main() -> None:
        client = scene.setup.client()
        slots = AIORedisSemaphore(key=scene.name, value=3, masters=[client])
        scene.key = slots.key
        inside = 0

        async def use() -> None:
            nonlocal inside
            async with slots:
                inside += 1
                try:
                    assert inside <= 3
                    await asyncio.sleep(0.001)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(use()) for _ in range(30)]
        for task in tasks[::5]:
            await asyncio.sleep(0.001)
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        assert not await client.exists(slots.key)
        await client.aclose()

    asyncio.run(main())

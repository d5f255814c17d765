"""What queues do when connections, servers and consumers fail while they wait."""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redispy
from redis.backoff import NoBackoff
from redis.retry import Retry

from pottery_like import AIORedisQueue, AIORedisSimpleQueue, RedisQueue, RedisSimpleQueue
from pottery_like._io import waiting
from pottery_like.exceptions import OutcomeUnknownError
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, spares, wait_until

CLASSES = {"RedisSimpleQueue": (RedisSimpleQueue, AIORedisSimpleQueue), "RedisQueue": (RedisQueue, AIORedisQueue)}
WORLDS = ["sync", "aio"]


@pytest.fixture
def node(place: tuple[str, str]) -> Node:
    """A server that may be mistreated, and that remembers."""
    return spares(place[0], options=("--appendonly", "yes", "--appendfsync", "always"))[0]


@pytest.fixture
def direct(node: Node) -> Iterator[Any]:
    with redispy.Redis(port=node.port) as client:
        client.flushall()
        wait_until(lambda: not blocked(client), "who waited in an earlier test has left")
        yield client


class Getter(threading.Thread):
    """Waits in get() in a thread of its own, in either world."""

    def __init__(
        self,
        world: str,
        name: str,
        port: int,
        *,
        get: dict[str, Any] | None = None,
        connected: Callable[[], None] | None = None,
        **client: Any,
    ) -> None:
        super().__init__(daemon=True)
        self.connected = connected
        self.world, self.name_, self.port, self.client = world, name, port, {"socket_timeout": 0.4, **client}
        self.get = get or {}
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._sync() if self.world == "sync" else asyncio.run(self._aio())
        except Exception as error:
            self.result = error

    def _sync(self) -> Any:
        with redispy.Redis(port=self.port, retry=Retry(NoBackoff(), 3), **self.client) as client:
            if self.connected:
                client.ping()
                self.connected()
            return CLASSES[self.name_][0](redis=client, key="q").get(**self.get)

    async def _aio(self) -> Any:
        retry = redispy.asyncio.retry.Retry(NoBackoff(), 3)
        async with redispy.asyncio.Redis(port=self.port, retry=retry, **self.client) as client:
            if self.connected:
                await client.ping()
                self.connected()
            return await CLASSES[self.name_][1](redis=client, key="q").get(**self.get)

    def finish(self) -> Any:
        self.join(10)
        assert not self.is_alive(), "get() still waits"
        return self.result


def blocked(client: Any) -> list[dict[str, Any]]:
    return [each for each in client.client_list() if "b" in each["flags"]]


def wait_for_blocked(client: Any, number: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def waiting_now() -> bool:
        found[:] = blocked(client)
        return len(found) == number

    wait_until(waiting_now, f"{number} clients wait")
    return found


both = pytest.mark.parametrize("name", sorted(CLASSES))


def put(direct: Any, name: str, item: Any) -> None:
    CLASSES[name][0](redis=direct, key="q").put(item)


@both
def test_wait_survives_lost_connections(node: Node, direct: Any, world: str, name: str) -> None:
    getter = Getter(world, name, node.port)
    for _ in range(3):
        wait_for_blocked(direct)
        # After a break it waits for a moment only, looks whether it has missed something, and then waits on.
        time.sleep(0.12)
        (waiting,) = wait_for_blocked(direct)
        direct.client_kill_filter(_id=waiting["id"])
        wait_until(lambda: wait_for_blocked(direct)[0]["id"] != waiting["id"], "it waits again")  # noqa: B023
    put(direct, name, "item")
    assert getter.finish() == "item"


@both
def test_wait_survives_a_restart(node: Node, direct: Any, world: str, name: str) -> None:
    getter = Getter(world, name, node.port)
    wait_for_blocked(direct)
    node.kill()
    time.sleep(0.5)
    node.start()
    wait_for_blocked(direct)
    put(direct, name, "item")
    assert getter.finish() == "item"


def test_wait_that_ends_while_the_server_is_away(node: Node, direct: Any, world: str) -> None:
    """It is no empty queue: nobody knows."""
    getter = Getter(world, "RedisSimpleQueue", node.port, get={"timeout": 0.6})
    wait_for_blocked(direct)
    node.kill()
    error = getter.finish()
    node.start()
    assert isinstance(error, redispy.ConnectionError)
    assert not isinstance(error, queue.Empty)


def test_wait_on_a_paused_server(node: Node, direct: Any, world: str) -> None:
    getter = Getter(world, "RedisSimpleQueue", node.port, get={"timeout": 0.3})
    wait_for_blocked(direct)
    node.signal(signal.SIGSTOP)
    started = time.monotonic()
    error = getter.finish()
    node.signal(signal.SIGCONT)
    assert isinstance(error, OutcomeUnknownError)
    assert isinstance(error, redispy.TimeoutError)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("silent", [False, True])
def test_a_lost_reply_loses_one_item_at_most(
    node: Node, direct: Any, world: str, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply of a wait is lost with its item; the next item arrives, once."""
    monkeypatch.setattr(waiting, "LONGEST", 0.5)
    with proxied(node.port) as proxy:
        getter = Getter(world, "RedisSimpleQueue", proxy.port)
        wait_for_blocked(direct)
        proxy.silent = silent
        proxy.lose = 1
        put(direct, "RedisSimpleQueue", "lost")
        wait_until(lambda: proxy.lose == 0, "the reply is lost")
        wait_for_blocked(direct)
        for item in ("first", "second"):
            put(direct, "RedisSimpleQueue", item)
        assert getter.finish() == "first"
        assert direct.lrange("q", 0, -1) == [b'"second"']


def test_a_dead_connection_s_wait_takes_no_item(node: Node, direct: Any, world: str, monkeypatch: Any) -> None:
    """The server doesn't hear that a connection is lost: the new one has the old wait ended first."""
    monkeypatch.setattr(waiting, "LONGEST", 0.5)
    with Deaf(node.port) as proxy:
        getter = Getter(world, "RedisSimpleQueue", proxy.port)
        (old,) = wait_for_blocked(direct)
        proxy.cut()
        # For a moment the server may list both.
        wait_until(
            lambda: not {old["id"]} & {each["id"] for each in wait_for_blocked(direct)}, "only the new one waits"
        )
        put(direct, "RedisSimpleQueue", "item")
        assert getter.finish() == "item"


class Deaf(Proxy):
    """A proxy that can cut its clients off while its own connections to the server stay."""

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for each in self.kept:
            os.close(each)

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.kept: list[int] = []

    def cut(self) -> None:
        for each in list(self._open):
            try:
                # The duplicate keeps the server's side open.
                if each.getpeername()[1] == self._target:
                    self.kept.append(os.dup(each.fileno()))
            except OSError:
                continue
        for each in list(self._open):
            try:
                if each.getpeername()[1] != self._target:
                    each.shutdown(2)
            except OSError:
                continue


@both
def test_an_immediate_get_whose_reply_is_lost_says_so(node: Node, direct: Any, world: str, name: str) -> None:
    for item in (1, 2):
        put(direct, name, item)
    _warm(direct)
    with proxied(node.port) as proxy:
        error = Getter(world, name, proxy.port, connected=lambda: setattr(proxy, "lose", 1)).finish()
        assert isinstance(error, OutcomeUnknownError)
        assert CLASSES[name][0](redis=direct, key="q").get(timeout=1) == 2


def _warm(direct: Any) -> None:
    with pytest.raises(queue.Empty):
        RedisQueue(redis=direct, key="warm").get_nowait()


def test_a_lost_reply_loses_nothing_under_a_lease(node: Node, direct: Any, world: str) -> None:
    put(direct, "RedisQueue", "item")
    _warm(direct)
    with proxied(node.port) as proxy:
        lose = lambda: setattr(proxy, "lose", 1)  # noqa: E731
        error = Getter(world, "RedisQueue", proxy.port, get={"lease": 0.3}, connected=lose).finish()
        assert isinstance(error, OutcomeUnknownError)
        delivery = RedisQueue(redis=direct, key="q").get(timeout=5, lease=5)
        assert (delivery.item, delivery.attempts) == ("item", 2)
        delivery.acknowledge()


def test_a_lost_reply_of_acknowledge_is_asked_for_again(node: Node, direct: Any) -> None:
    put(direct, "RedisQueue", "item")
    with proxied(node.port) as proxy, redispy.Redis(port=proxy.port) as client:
        warm = RedisQueue(redis=direct, key="warm")
        warm.put(1)
        warm.get(lease=1).acknowledge()
        delivery = RedisQueue(redis=client, key="q").get(lease=5)
        proxy.lose = 1
        delivery.acknowledge()
        assert proxy.lose == 0
    assert RedisQueue(redis=direct, key="q").counts() == (0, 0, 0, 0, 0)


@both
def test_waiting_consumers_are_served_in_order(node: Node, direct: Any, name: str) -> None:
    """Also after more than their socket timeout."""
    getters = []
    for index in range(6):
        getters.append(Getter(WORLDS[index % 2], name, node.port, socket_timeout=0.1))
        wait_for_blocked(direct, index + 1)
    time.sleep(0.4)
    for index, getter in enumerate(getters):
        put(direct, name, index)
        assert getter.finish() == index


@both
def test_cancelling_loses_nothing(node: Node, direct: Any, name: str) -> None:
    """An item that arrives together with the cancellation goes back to the head of the queue."""

    async def main() -> None:
        async with redispy.asyncio.Redis(port=node.port) as client:
            mine: Any = CLASSES[name][1](redis=client, key="q")
            for index in range(60):
                task = asyncio.ensure_future(mine.get())
                await asyncio.sleep(0.002 * (index % 4))
                # The event loop stands still meanwhile, so that the answer is there when the task is cancelled.
                put(direct, name, index)
                task.cancel()
                try:
                    got = await task
                except asyncio.CancelledError:
                    got = await mine.get_nowait()
                assert got == index
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(mine.get(), 0.05)
            assert not blocked(direct)

    asyncio.run(main())


def test_cancelled_lease_is_given_up(node: Node, direct: Any) -> None:
    async def main() -> None:
        async with redispy.asyncio.Redis(port=node.port) as client:
            tasks: AIORedisQueue[int] = AIORedisQueue(redis=client, key="q")
            for index in range(20):
                task = asyncio.ensure_future(tasks.get(lease=100))
                await asyncio.sleep(0.002 * (index % 4))
                put(direct, "RedisQueue", index)
                task.cancel()
                try:
                    delivery = await task
                except asyncio.CancelledError:
                    delivery = await tasks.get(timeout=1, lease=100)
                assert (delivery.item, delivery.attempts) == (index, 1)
                await delivery.acknowledge()

    asyncio.run(main())


@both
def test_interrupt_ends_the_wait(node: Node, direct: Any, name: str) -> None:
    """Ctrl-C in a waiting get(): nobody waits any more, and the next item is everybody's."""
    with redispy.Redis(port=node.port) as client:
        mine: Any = CLASSES[name][0](redis=client, key="q")
        # Whoever started the tests in the background may have had the signal ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            mine.get(timeout=5)
        signal.signal(signal.SIGINT, before)
        assert not blocked(direct)
        put(direct, name, "item")
        assert mine.get_nowait() == "item"


def test_users_who_may_not_ask_who_they_are_can_wait(node: Node, direct: Any, world: str) -> None:
    direct.execute_command("ACL SETUSER worker on >secret ~* +@all -client|info -client|unblock -client|kill")
    login = {"username": "worker", "password": "secret"}
    assert isinstance(Getter(world, "RedisSimpleQueue", node.port, get={"timeout": 0.2}, **login).finish(), queue.Empty)
    getter = Getter(world, "RedisSimpleQueue", node.port, **login)
    wait_for_blocked(direct)
    put(direct, "RedisSimpleQueue", 1)
    assert getter.finish() == 1
    direct.execute_command("ACL DELUSER worker")


@both
def test_no_server_is_an_error_at_once(world: str, name: str) -> None:
    assert isinstance(Getter(world, name, 1).finish(), redispy.ConnectionError)


def test_a_server_without_memory(node: Node, direct: Any, world: str) -> None:
    """put() is refused and leaves nothing half-done; taking, acknowledging and putting back go on."""
    tasks: RedisQueue[str] = RedisQueue(redis=direct, key="q")
    for item in ("a", "b"):
        tasks.put(item)
    before = tasks.counts()
    direct.config_set("maxmemory", 1)
    try:
        for options in ({}, {"delay": 5}):
            with pytest.raises(redispy.exceptions.OutOfMemoryError):
                tasks.put("c", **options)
        assert tasks.counts() == before
        delivery = Getter(world, "RedisQueue", node.port, get={"lease": 5}).finish()
        assert delivery.item == "a"
        assert tasks.counts() == (1, 0, 1, 0, 2)
        assert tasks.get() == "b"
    finally:
        direct.config_set("maxmemory", 0)


def test_handles_cross_to_other_processes(node: Node, direct: Any) -> None:
    tasks: RedisQueue[int] = RedisQueue(7, redis=direct, key="q", max_attempts=2)
    tasks.put(1)
    other = pickle.loads(pickle.dumps(tasks))
    assert (other.maxsize, other.max_attempts, other.get()) == (7, 2, 1)
    other.redis.close()

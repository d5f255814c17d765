"""NextID on every set-up, and on five masters, in both worlds."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from pottery_like.aio.nextid import AIONextID
from pottery_like.exceptions import QuorumNotAchieved
from pottery_like.nextid import NextID
from pottery_like.redlock import Redlock
from tests.support import servers
from tests.support.ids import Ids, World
from tests.support.servers import SETUPS, Node, Setup

# Pottery's own step: only ever upwards.
RAISE = """
local now = tonumber(redis.call('get', KEYS[1]))
if now == nil or now < tonumber(ARGV[1]) then redis.call('set', KEYS[1], ARGV[1]) return tonumber(ARGV[1]) end
return nil
"""


@pytest.fixture(params=["sync", "aio"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_one_master_of_each_kind(setup: Setup, key: str) -> None:
    world = World(setup.world)
    try:
        client = world.own(world.run(lambda: _awaitable(setup)) if setup.world == "aio" else setup.client())
        ids, other = world.ids(key=key, masters={client}), world.ids(key=key, masters=[client])
        assert [ids.next(), other.next(), ids.next()] == [1, 2, 3]
        blocks = world.ids(key=key, masters=client, block=10)
        assert blocks.take(12) == list(range(4, 16))
        assert ids.next() == 24
        assert int(world.run(lambda: client.get(f"nextid:{key}"))) == 24
        ids.reset()
        assert [ids.next(), other.next()] == [1, 2]
        ids.reset()
    finally:
        world.close()


async def _awaitable(setup: Setup) -> Any:
    return setup.client()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_masters(world: World, five: list[Node], key: str, count: int) -> None:
    nodes = five[:count]
    masters = [world.client(node.port) for node in nodes]
    ids, other = world.ids(key=key, masters=masters), world.ids(key=key, masters=set(masters))
    taken = ids.take(5) + other.take(5) + ids.take(5)
    assert taken[0] == 1
    assert taken == sorted(set(taken))
    ids.reset()
    assert ids.next() == 1
    assert other.next() > 1


def test_a_cluster_as_one_of_the_masters(world: World, key: str) -> None:
    name = min(servers.programs())
    setup = Setup(name, "cluster", 2, world.name)
    cluster = world.own(world.run(lambda: _awaitable(setup)) if world.loop else setup.client())
    masters = [cluster, *[world.client(servers.standalone(name).port, db=db) for db in range(2)]]
    ids = world.ids(key=key, masters=masters)
    assert ids.take(4) == [1, 2, 3, 4]
    ids.reset()


@pytest.mark.parametrize("count", [1, 5])
def test_exact_beyond_doubles(world: World, five: list[Node], key: str, count: int) -> None:
    start = 2**60 + 7
    for node in five[:count]:
        with redis.Redis(port=node.port) as client:
            client.set(f"nextid:{key}", start)
    ids = world.ids(key=key, masters=[world.client(node.port) for node in five[:count]])
    assert ids.take(3) == [start + 1, start + 2, start + 3]
    blocks = world.ids(key=key, masters=[world.client(node.port) for node in five[:count]], block=3)
    assert blocks.take(4) == [start + 4, start + 5, start + 6, start + 7]


@pytest.mark.parametrize(("first", "second"), [("9", "10"), ("10", "9"), ("9007199254740993", "9007199254740992")])
def test_masters_that_disagree(world: World, five: list[Node], key: str, first: str, second: str) -> None:
    for node, value in zip(five, [first, second], strict=False):
        with redis.Redis(port=node.port) as client:
            client.set(f"nextid:{key}", value)
    ids = world.ids(key=key, masters=[world.client(node.port) for node in five])
    highest = max(int(first), int(second))
    assert ids.take(2) == [highest + 1, highest + 2]


def test_takes_turns_with_pottery(world: World, five: list[Node], key: str) -> None:
    clients = [redis.Redis(port=node.port) for node in five[:3]]
    ids = world.ids(key=key, masters=[world.client(node.port) for node in five[:3]])
    name = f"nextid:{key}"
    for expected in range(1, 20, 2):
        value = max(int(client.get(name) or 0) for client in clients) + 1
        assert [client.eval(RAISE, 1, name, value) for client in clients] == [value] * 3
        assert value == expected
        assert ids.next() == expected + 1
    for client in clients:
        client.close()


def test_nothing_that_is_not_an_id_is_counted_on(world: World, five: list[Node], key: str) -> None:
    for value, hurt in (("1e+17", 3), ("abc", 3), ("-5", 3)):
        for node in five[:hurt]:
            with redis.Redis(port=node.port) as client:
                client.set(f"nextid:{key}", value)
        ids = world.ids(key=key, masters=[world.client(node.port) for node in five], num_tries=1)
        with pytest.raises(QuorumNotAchieved):
            ids.next()
    # A minority does no harm.
    with redis.Redis(port=five[2].port) as client:
        client.delete(f"nextid:{key}")
    assert ids.next() >= 1


def test_a_key_of_another_type(world: World, five: list[Node], key: str) -> None:
    with redis.Redis(port=five[0].port) as client:
        client.rpush(f"nextid:{key}", "x")
    ids = world.ids(key=key, masters=world.client(five[0].port))
    with pytest.raises(QuorumNotAchieved, match="another Redis type") as caught:
        ids.next()
    assert isinstance(caught.value.__cause__, TypeError)


def test_masters_as_urls_and_dicts(world: World, five: list[Node], key: str) -> None:
    def places() -> list[Any]:
        url, place = f"redis://127.0.0.1:{five[0].port}/1", {"host": "127.0.0.1", "port": five[1].port, "db": 1}
        again = {"host": "127.0.0.1", "port": five[0].port, "db": 1, "socket_timeout": 3}
        return [url, place, world.client(five[2].port, db=1), url, again]

    ids = world.ids(key=key, masters=places())
    assert ids.take(2) == [1, 2]
    assert len(world.run(lambda: _masters(ids) if world.loop else ids.ids.masters)) == 3
    single = world.ids(key=f"{key}-single", masters={"host": "127.0.0.1", "port": five[1].port})
    assert single.next() == 1
    if world.loop is not None:
        world.run(lambda: _close_own(ids, single))


async def _masters(ids: Ids) -> Any:
    return ids.ids.masters


async def _close_own(*all_ids: Ids) -> None:
    for ids in all_ids:
        for client in ids.ids.masters:
            await client.connection_pool.disconnect()


def test_the_default_server(world: World, five: list[Node], key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{five[3].port}/0")
    ids = world.ids(key=key)
    assert ids.take(2) == [1, 2]
    if world.loop is not None:
        world.run(lambda: _close_own(ids))


@pytest.mark.parametrize(
    ("masters", "error"),
    [
        (5, TypeError),
        ([5], TypeError),
        ([None], TypeError),
        ([b"redis://localhost"], TypeError),
        (["localhost:6379"], ValueError),
        (["http://localhost"], ValueError),
        ({"host": "h", "port": "6379"}, TypeError),
        ({"host": "h", "port": 0}, ValueError),
        ({"host": "h", "port": 70000}, ValueError),
        ({"host": b"h", "port": 1}, TypeError),
        ({"host": "h", "prot": 1}, TypeError),
        ({"host": "h", "db": -1}, ValueError),
        ({"host": "h", "password": 5}, TypeError),
    ],
    ids=str,
)
def test_bad_masters(world: World, masters: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        world.ids(masters=masters)


def test_two_clients_of_one_server_are_one_master(world: World, five: list[Node], key: str) -> None:
    port = five[0].port
    twice = [world.client(port), world.client(port), f"redis://localhost:{port}", {"host": "localhost", "port": port}]
    ids = world.ids(key=key, masters=twice)
    assert [ids.next(), ids.next()] == [1, 2]
    assert world.run(lambda: len(ids.ids.masters)) == 1
    with world.client(port) if world.name == "sync" else redis.Redis(port=port) as client:
        lock = Redlock(key=key, masters=[client, redis.Redis(port=port)])
        with lock:
            assert lock.masters == (client,)
    # One under two names can't be told: it fails, and doesn't try for ever.
    with pytest.raises(QuorumNotAchieved):
        world.ids(key=key, masters=[world.client(port), world.client(port, host="127.0.0.1")], num_tries=1).next()


def test_the_other_worlds_clients_are_refused() -> None:
    with redis.Redis() as client, pytest.raises(TypeError, match=r"redis\.asyncio"):
        AIONextID(masters=[client])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="synchronous"):
        NextID(masters=[redis.asyncio.Redis()])  # type: ignore[list-item]


def test_attributes_are_potterys(world: World, five: list[Node]) -> None:
    client = world.client(five[0].port)
    ids = world.ids(masters={client}).ids
    assert (ids.key, ids.num_tries, ids.raise_on_redis_errors, ids.block) == ("nextid:current", 3, False, 1)
    assert repr(ids) == f"<{type(ids).__name__} key=nextid:current>"
    assert (iter(ids) if world.loop is None else ids.__aiter__()) is ids


def test_both_worlds_offer_the_same() -> None:
    def offered(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert offered(NextID) == offered(AIONextID) == {
        "block", "key", "masters", "num_tries", "raise_on_redis_errors", "reset",
    }  # fmt: skip
    mine, other = (list(inspect.signature(cls).parameters.values()) for cls in (NextID, AIONextID))
    assert [(each.name, each.kind, each.default) for each in mine] == [
        (each.name, each.kind, each.default) for each in other
    ]


def test_iteration(five: list[Node], key: str) -> None:
    with redis.Redis(port=five[0].port) as client:
        ids = NextID(key=key, masters=[client], block=4)
        assert [value for value, _ in zip(ids, range(6), strict=False)] == [1, 2, 3, 4, 5, 6]

    async def main() -> list[int]:
        taken = []
        async with redis.asyncio.Redis(port=five[0].port) as client:
            async for value in AIONextID(key=key, masters=[client]):
                taken.append(value)
                if len(taken) == 3:
                    break
        return taken

    assert asyncio.run(main()) == [9, 10, 11]


def test_pickling_carries_no_reserved_ids(five: list[Node], key: str) -> None:
    clients = [redis.Redis(port=node.port) for node in five[:3]]
    ids = NextID(key=key, masters=clients, block=100)
    assert next(ids) == 1
    copy = pickle.loads(pickle.dumps(ids))
    assert (copy.key, copy.block) == (ids.key, 100)
    assert next(copy) == 101
    for client in clients:
        client.close()


@pytest.mark.parametrize("block", [1, 7])
@pytest.mark.parametrize("count", [1, 3])
def test_threads_share_an_object(five: list[Node], key: str, count: int, block: int) -> None:
    clients = [redis.Redis(port=node.port) for node in five[:count]]
    ids = NextID(key=key, masters=clients, block=block)
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(mine: list[int]) -> None:
        mine.extend(next(ids) for _ in range(60))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    together = [value for mine in taken for value in mine]
    assert len(set(together)) == len(together) == 240
    assert all(mine == sorted(mine) for mine in taken)
    if block > 1:
        # Threads that wait for a block don't reserve blocks of their own.
        assert sorted(together) == list(range(1, 241)) or count > 1
    for client in clients:
        client.close()


@pytest.mark.parametrize("block", [1, 7])
def test_tasks_share_an_object(five: list[Node], key: str, block: int) -> None:
    async def main() -> list[int]:
        async with redis.asyncio.Redis(port=five[0].port) as client:
            ids = AIONextID(key=key, masters=[client], block=block)
            cancelled = asyncio.ensure_future(anext(ids))
            await asyncio.sleep(0)
            cancelled.cancel()
            taken = await asyncio.gather(*[anext(ids) for _ in range(50)])
            assert cancelled.cancelled() or await asyncio.wait([cancelled])
            return taken

    taken = asyncio.run(main())
    assert len(set(taken)) == 50
    if block > 1:
        assert max(taken) <= 56


def test_a_forked_child_takes_none_of_its_parents_ids(five: list[Node], key: str) -> None:
    program = f"""
import os, redis
from pottery_like.nextid import NextID
ids = NextID(key={key!r}, masters=[redis.Redis(port=port) for port in {[node.port for node in five[:3]]}], block=50)
taken = [next(ids) for _ in range(3)]
out, into = os.pipe()
child = os.fork()
if child == 0:
    os.write(into, repr([next(ids) for _ in range(60)]).encode())
    os._exit(0)
taken += [next(ids) for _ in range(60)]
os.waitpid(child, 0)
print(repr((taken, eval(os.read(out, 65536)))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    mine, childs = eval(done.stdout)
    assert mine[:50] == list(range(1, 51))
    assert len(childs) == 60
    assert not set(mine) & set(childs)
    assert childs == sorted(childs)

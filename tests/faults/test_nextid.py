"""NextID while masters die, pause, come back empty, and replies get lost."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from pottery_like.exceptions import QuorumIsImpossible, QuorumNotAchieved
from pottery_like.nextid import NextID
from tests.support import servers
from tests.support.ids import Case, Takers, World
from tests.support.proxy import proxied
from tests.support.servers import Node


@pytest.fixture(params=["sync", "aio"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


def _increasing(taken: list[int]) -> bool:
    return all(one < other for one, other in itertools.pairwise(taken))


def test_a_dead_or_paused_minority(world: World, five: list[Node]) -> None:
    ids = world.ids(key="k", masters=[world.client(node.port) for node in five])
    taken = ids.take(3)
    # The first master is the one that draws.
    for lost, back in ((0, 3), (1, 4)):
        five[lost].kill()
        five[back].signal(signal.SIGSTOP)
        started = time.monotonic()
        taken += ids.take(10)
        # Waiting for a paused master takes a little while once, not a timeout in each call.
        assert time.monotonic() - started < 3
        five[back].signal(signal.SIGCONT)
        five[lost].start()
        taken += ids.take(3)
    assert _increasing(taken)


def test_a_minority_that_comes_back_empty(world: World, five: list[Node]) -> None:
    ids = world.ids(key="k", masters=[world.client(node.port) for node in five])
    taken = ids.take(5)
    for pair in ((0, 1), (2, 3), (4, 0)):
        for index in pair:
            five[index].kill()
            five[index].start()
        taken += ids.take(3)
    assert _increasing(taken)
    for node in five:
        with redis.Redis(port=node.port) as client:
            assert int(client.get("nextid:k") or 0) == taken[-1]


def test_a_dead_majority(world: World, five: list[Node]) -> None:
    masters = [world.client(node.port) for node in five]
    ids = world.ids(key="k", masters=masters, num_tries=2)
    strict = world.ids(key="k", masters=masters, raise_on_redis_errors=True)
    before = ids.next()
    for node in five[:3]:
        node.kill()
    with pytest.raises(QuorumNotAchieved) as caught:
        ids.next()
    assert len(list(caught.value.redis_errors)) == 3
    assert (caught.value.key, caught.value.masters) == ("nextid:k", frozenset(masters))
    with pytest.raises(QuorumIsImpossible):
        strict.next()
    for node in five[:3]:
        node.start()
    # A majority has lost its memory, which no algorithm survives; but what is left is still taken into account.
    assert ids.next() > before
    for node in five[2:]:
        node.kill()
    with pytest.raises(QuorumIsImpossible):
        strict.reset()


def test_a_paused_majority_fails_in_time(world: World, five: list[Node]) -> None:
    ids = world.ids(key="k", masters=[world.client(node.port, socket_timeout=0.2) for node in five])
    before = ids.next()
    for node in five[:3]:
        node.signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(QuorumNotAchieved):
        ids.next()
    assert time.monotonic() - started < 6
    for node in five[:3]:
        node.signal(signal.SIGCONT)
    assert ids.next() > before


def test_reset_needs_every_master(world: World, five: list[Node]) -> None:
    ids = world.ids(key="k", masters=[world.client(node.port) for node in five])
    before = ids.next()
    five[4].kill()
    with pytest.raises(QuorumNotAchieved):
        ids.reset()
    five[4].start()
    ids.reset()
    assert ids.next() == before == 1


def test_a_dead_single_master(world: World) -> None:
    client = world.client(servers.free_port(), retry=None)
    with pytest.raises(QuorumNotAchieved):
        world.ids(key="k", masters=client).next()
    with pytest.raises(QuorumIsImpossible):
        world.ids(key="k", masters=client, raise_on_redis_errors=True).next()


@pytest.mark.parametrize("block", [1, 10])
def test_a_lost_reply_skips_ids_and_repeats_none(world: World, five: list[Node], block: int) -> None:
    with proxied(five[0].port) as proxy:
        ids = world.ids(key="k", masters=world.client(proxy.port), block=block)
        other = world.ids(key="k", masters=world.client(five[0].port), block=block)
        taken = [ids.next(), other.next()]
        for _ in range(3):
            proxy.lose = 1
            taken += ids.take(block) + other.take(block)
    assert len(set(taken)) == len(taken)
    with redis.Redis(port=five[0].port) as client:
        assert int(client.get("nextid:k") or 0) >= max(taken)


def test_lost_replies_of_a_quorum(world: World, five: list[Node]) -> None:
    with proxied(five[0].port) as first, proxied(five[1].port) as second:
        ports = [first.port, second.port, *[node.port for node in five[2:]]]
        ids = world.ids(key="k", masters=[world.client(port) for port in ports])
        other = world.ids(key="k", masters=[world.client(node.port) for node in five])
        taken = [ids.next()]
        for turn in range(6):
            first.lose, second.lose = turn % 2, 1
            taken += [ids.next(), other.next()]
    assert _increasing(taken)


def test_processes_while_masters_fail() -> None:
    """One master at a time is paused, or killed and restarted with its memory; no id is given out twice."""
    five = servers.spares(next(iter(servers.programs())), 5, ("--appendonly", "yes", "--appendfsync", "no"))
    takers = Takers(4, [Case([node.port for node in five], 100)])
    takers.start()
    for index in (0, 3, 1):
        five[index].signal(signal.SIGSTOP)
        time.sleep(0.15)
        five[index].signal(signal.SIGCONT)
        five[index].kill()
        time.sleep(0.05)
        five[index].start()
    outcomes = takers.outcomes()
    takers.join()
    taken = [value for ids, _ in outcomes for value in ids]
    assert [errors for _, errors in outcomes if errors] == []
    assert len(set(taken)) == len(taken) == 400
    assert all(_increasing(ids) for ids, _ in outcomes)


def test_masters_without_memory_left(five: list[Node]) -> None:
    clients = [redis.Redis(port=node.port) for node in five[:3]]
    ids = NextID(key="k", masters=clients)
    assert next(ids) == 1
    clients[0].config_set("maxmemory", 1)
    assert next(ids) > 1
    clients[1].config_set("maxmemory", 1)
    with pytest.raises(QuorumNotAchieved, match="memory"):
        next(ids)
    for client in clients:
        client.close()

"""Slots that move, while they move, and masters that die."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis as redispy
import redis.asyncio

from pottery_like._core.keys import slot
from tests.conftest import Maker, maker
from tests.support.calls import CALLS, FILL
from tests.support.facade import Loop
from tests.support.servers import Node, Setup, cluster, programs, start_cluster, wait_until

KEY = "{moving}"

# What makes a second key, which a cluster refuses with TRYAGAIN while the slot moves: it waits, and then works.
SECOND_KEY = {
    "RedisDeque": {"copy", "__add__", "__mul__"},
    "RedisList": {"copy", "__add__", "__mul__"},
    "RedisSet": {"copy", "__iand__", "intersection_update"},
}


@pytest.fixture
def nodes(place: tuple[str, str]) -> tuple[Node, ...]:
    return cluster(place[0])


@pytest.fixture
def make(place: tuple[str, str]) -> Iterator[Maker]:
    shared = maker(Setup(place[0], "cluster", 2, place[1]))
    yield shared
    shared.clean()


CHOSEN = {
    "RedisCounter": ["increment", "update", "__eq__", "copy", "to_counter"],
    "RedisDeque": ["append", "rotate", "popleft", "__add__", "__len__"],
    "RedisDict": ["__setitem__", "pop", "popitem", "update", "copy", "__iter__"],
    "RedisList": ["append", "insert", "set slice", "__mul__", "reverse"],
    "RedisSet": ["add", "pop", "__ixor__", "__iand__", "contains_many"],
}


class Move:
    """A key's slot on its way from its master to another.

    :param nodes: the three masters.
    """

    def __init__(self, nodes: Sequence[Node], key: str = KEY) -> None:
        self.number = slot(key.encode())
        self.clients = [redispy.Redis(port=node.port) for node in nodes]
        ids = [client.execute_command("CLUSTER MYID").decode() for client in self.clients]
        owner = next(index for index, client in enumerate(self.clients) if self._owns(client))
        other = (owner + 1) % 3
        self.source, self.target = self.clients[owner], self.clients[other]
        self.port = nodes[other].port
        self.source_id, self.target_id = ids[owner], ids[other]

    def _owns(self, client: redispy.Redis, node_id: str = "myself") -> bool:
        nodes = client.execute_command("CLUSTER NODES").values()
        own = next(node for node in nodes if node_id in node["flags"] or node["node_id"] == node_id)
        return any(int(first) <= self.number <= int(last) for first, last in (each[:2] for each in spans(own["slots"])))

    def begin(self) -> None:
        self.target.execute_command("CLUSTER SETSLOT", self.number, "IMPORTING", self.source_id)
        self.source.execute_command("CLUSTER SETSLOT", self.number, "MIGRATING", self.target_id)

    def carry(self) -> None:
        keys = self.source.execute_command("CLUSTER GETKEYSINSLOT", self.number, 1000)
        if keys:
            self.source.execute_command("MIGRATE", "127.0.0.1", self.port, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        for client in (self.target, self.source):
            client.execute_command("CLUSTER SETSLOT", self.number, "NODE", self.target_id)
        wait_until(lambda: all(map(self._owns_target, self.clients)), "all masters know of the move")

    def _owns_target(self, client: redispy.Redis) -> bool:
        return self._owns(client, self.target_id)

    def close(self) -> None:
        for client in self.clients:
            client.close()


def spans(slots: list[list[str]]) -> list[list[str]]:
    return [span if len(span) > 1 else [span[0], span[0]] for span in slots]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_slot_moves(nodes: Sequence[Node], make: Maker, name: str) -> None:
    """Before, during and after a slot's move, methods do their work once: plain commands, scripts and transactions."""
    for method in CHOSEN[name]:
        call = CALLS[name][method]
        expected = reference(make, name, call)
        container = make(name, FILL[name](5), key=f"{KEY}:container")
        move = Move(nodes)
        move.begin()
        move.carry()
        during = method not in SECOND_KEY.get(name, {"copy"})
        if during:
            # The keys are at the target while the source still answers for the slot: ASK.
            call(container, 5)
        move.end()
        if not during:
            call(container, 5)
        assert same(make, container, expected, method), f"{name}.{method}"
        container.clear()
        move.close()


def reference(make: Maker, name: str, call: Any) -> Any:
    container = make(name, FILL[name](5))
    call(container, 5)
    return contents(container)


def same(make: Maker, container: Any, expected: Any, method: str) -> bool:
    got = contents(container)
    return len(got) == len(expected) if method in {"pop", "popitem"} else bool(got == expected)


def contents(container: Any) -> Any:
    for name in ("to_dict", "to_set", "to_list"):
        if hasattr(container, name):
            return getattr(container, name)()
    raise AssertionError(container)


def test_keys_in_several_slots_are_read_first(make: Maker) -> None:
    first, second = make("RedisSet", {1, 2, 3}, key="slot-a"), make("RedisSet", {2, 3, 4}, key="slot-b")
    assert first.intersection(second) == {2, 3}
    assert first.union(second) == {1, 2, 3, 4}
    first.update(second)
    assert first.to_set() == {1, 2, 3, 4}
    one, other = make("RedisList", [1], key="slot-a:list"), make("RedisList", [2], key="slot-b:list")
    one.extend(other)
    assert one.to_list() == [1, 2]
    for container in (first, second, one, other):
        container.clear()


@pytest.fixture
def doomed(place: tuple[str, str]) -> Iterator[tuple[list[Node], Maker]]:
    """A cluster of the test's own."""
    nodes = start_cluster(programs()[place[0]])
    loop = Loop() if place[1] == "aio" else None
    package: Any = redispy if loop is None else redis.asyncio
    connect = lambda: package.RedisCluster(host="127.0.0.1", port=nodes[0].port)  # noqa: E731
    own = Maker(Setup(place[0], "cluster", 2, place[1]), loop.call(connect) if loop else connect(), loop)
    yield nodes, own
    own.keys.clear()
    own.close()
    for node in nodes:
        node.stop()


def test_a_dead_master_is_reported(doomed: tuple[list[Node], Maker]) -> None:
    nodes, own = doomed
    container = own("RedisDict", {"a": 1}, key=f"{KEY}:dict")
    next(node for node in nodes if answers_for(node, f"{KEY}:dict")).kill()
    with pytest.raises((redispy.ConnectionError, redispy.TimeoutError, redispy.RedisError)):
        container["a"]


def answers_for(node: Node, key: str) -> bool:
    with redispy.Redis(port=node.port) as client:
        try:
            client.exists(key)
        except redispy.RedisError:
            return False
        return True

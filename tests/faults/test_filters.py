"""Filters on servers that lose replies, forget scripts, or are full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis as redispy

from pottery_like import BloomFilter, HyperLogLog, OutcomeUnknownError
from tests.support.facade import Loop, wrap
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node

MODES: list[dict[str, Any]] = [{}, {"scalable": True}, {"window": 3600}]


@pytest.fixture
def client(node: Node) -> Iterator[redispy.Redis]:
    client = redispy.Redis(port=node.port)
    yield client
    client.config_set("maxmemory", 0)
    client.flushall()
    client.close()


def bloom(client: Any, *args: Any, key: str = "fault", **options: Any) -> BloomFilter[Any]:
    options = {"num_elements": 1000, "false_positives": 0.01, **options}
    return BloomFilter(*args, redis=client, key=key, **options)


def bloom_calls(subject: Any, other: Any) -> dict[str, Any]:
    calls = {
        "add": lambda: subject.add("new"),
        "update": lambda: subject.update(["new"]),
        "update many": lambda: subject.update(range(500, 900)),
        "in": lambda: "a" in subject,
        "contains_many": lambda: list(subject.contains_many("a", "b")),
        "len": lambda: len(subject),
        "copy": subject.copy,
        "expire": lambda: subject.expire(100),
        "ttl": subject.ttl,
    }
    if other is not None:
        calls |= {
            "|=": lambda: subject.update(other, ["x"]),
            "&=": lambda: subject.intersection_update(other),
            "|": lambda: subject | other,
            "&": lambda: subject & other,
        }
    return calls


def hll_calls(subject: Any, other: Any) -> dict[str, Any]:
    return {
        "add": lambda: subject.add("new"),
        "update": lambda: subject.update(["new"]),
        "update with": lambda: subject.update(other, ["x"]),
        "|": lambda: subject | other,
        "in": lambda: "a" in subject,
        "len": lambda: len(subject),
    }


@pytest.mark.parametrize("world", ["sync", "aio"])
def test_lost_reply(node: Node, client: redispy.Redis, world: str) -> None:
    """add() is not sent twice, since a repetition would deny that the element was new; what may be repeated is."""
    loop = Loop() if world == "aio" else None
    with proxied(node.port) as proxy:
        subject, other = through(proxy, loop)
        for name, call in bloom_calls(subject, other).items():
            if name in {"add", "expire"}:
                continue
            call()
            proxy.lose = 1
            call()
            assert proxy.lose == 0, name
        proxy.lose = 1
        with pytest.raises(OutcomeUnknownError):
            subject.add("d")
        assert "d" in subject
        release(subject, loop)


def through(proxy: Proxy, loop: Loop | None) -> tuple[Any, Any]:
    """Return two filters behind a proxy, in either world."""
    from pottery_like import AIOBloomFilter

    sizes: dict[str, Any] = {"num_elements": 1000, "false_positives": 0.01}
    if loop is None:
        connection = redispy.Redis(port=proxy.port, socket_timeout=1)
        return tuple(BloomFilter(["a"], redis=connection, key=key, **sizes) for key in ("{fault}", "{fault}:2"))  # type: ignore[return-value]
    aio = loop.call(lambda: redispy.asyncio.Redis(port=proxy.port, socket_timeout=1))
    made = [wrap(loop, AIOBloomFilter(redis=aio, key=key, **sizes)) for key in ("{fault}", "{fault}:2")]
    for each in made:
        each.update(["a"])
    return made[0], made[1]


def release(subject: Any, loop: Loop | None) -> None:
    if loop is None:
        subject.redis.close()
        return
    loop.run(subject._container._made_runner.client.aclose())
    loop.close()


def test_flushed_scripts(node: Node, client: redispy.Redis) -> None:
    """Operands on another server, too, which are sent along."""
    with redispy.Redis(port=node.port, db=1) as elsewhere:
        for other in (bloom(client, range(5), key="{fault}:2"), bloom(elsewhere, range(5))):
            subject = bloom(client, ["a"])
            for call in bloom_calls(subject, other).values():
                client.script_flush()
                call()
            assert list(subject.contains_many(*range(5))) == [True] * 5
        counter = HyperLogLog(["b"], redis=elsewhere, key="counter")
        for call in hll_calls(HyperLogLog(redis=client, key="counter"), counter).values():
            client.script_flush()
            call()
        assert "b" in HyperLogLog(redis=client, key="counter")


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_out_of_memory(client: redispy.Redis, mode: dict[str, Any]) -> None:
    """What is refused has changed nothing, on no key; reading goes on."""
    for name in bloom_calls(bloom(client), None if mode else bloom(client)):
        client.flushall()
        subject = bloom(client, ["a", "b"], key="{fault}", **mode)
        other = None if mode else bloom(client, ["a", "c"], key="{fault}:2")
        if mode and name == "expire" and "window" in mode:
            continue
        before = state(client)
        client.config_set("maxmemory", 1)
        try:
            result = bloom_calls(subject, other)[name]()
        except redispy.exceptions.OutOfMemoryError:
            client.config_set("maxmemory", 0)
            assert state(client) == before, name
            assert name not in {"in", "contains_many", "ttl"}
        else:
            client.config_set("maxmemory", 0)
            assert name in {"in", "contains_many", "len", "ttl", "expire"}, (name, result)


def test_hyperloglog_out_of_memory(client: redispy.Redis) -> None:
    names = list(hll_calls(None, None))
    for name in names:
        client.flushall()
        subject, other = HyperLogLog(["a"], redis=client, key="{h}"), HyperLogLog(["c"], redis=client, key="{h}:2")
        before = state(client)
        client.config_set("maxmemory", 1)
        try:
            hll_calls(subject, other)[name]()
        except redispy.exceptions.OutOfMemoryError:
            client.config_set("maxmemory", 0)
            assert state(client) == before, name
        else:
            client.config_set("maxmemory", 0)
            assert name == "len"


def state(client: redispy.Redis) -> dict[bytes, Any]:
    """Return everything there is."""
    found: dict[bytes, Any] = {}
    for key in client.scan_iter():
        found[key] = client.hgetall(key) if client.type(key) == b"hash" else client.get(key)
    return found


def test_failure_while_merging_leaves_nothing(client: redispy.Redis) -> None:
    """An operand of another type is noticed before anything is written."""
    subject = bloom(client, ["a"], key="{fault}")
    counter = HyperLogLog(["a"], redis=client, key="{fault}:h")
    client.rpush("{fault}:2", "an element")
    client.rpush("{fault}:3", "an element")
    before = {key: client.dump(key) for key in client.scan_iter()}
    for call in (
        lambda: subject.update(bloom(client, key="{fault}:2")),
        lambda: subject.intersection_update(bloom(client, key="{fault}:2")),
        lambda: counter.update(HyperLogLog(redis=client, key="{fault}:3"), ["b"]),
    ):
        with pytest.raises(TypeError):
            call()
    assert {key: client.dump(key) for key in client.scan_iter()} == before

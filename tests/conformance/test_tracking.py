"""What others change leaves the local copies, and nothing is kept that might be missed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redispy
import redis.asyncio

from pottery_like._core.op import Op
from tests.conftest import RUN
from tests.support import servers
from tests.support.processes import alone
from tests.support.servers import Node, Setup, program, programs, wait_until
from tests.support.tracking import Copies, cache, get, listening, put

PREFIX = f"track:{RUN}:".encode()

FOUR = [
    Setup("redis", "standalone", 2, "sync"),
    Setup("valkey", "standalone", 3, "sync"),
    Setup("redis", "standalone", 3, "aio"),
    Setup("valkey", "standalone", 2, "aio"),
]
CLUSTERS = [Setup("redis", "cluster", 3, "sync"), Setup("valkey", "cluster", 2, "aio")]


@pytest.fixture(params=[*FOUR, *CLUSTERS], ids=str)
def setup(request: pytest.FixtureRequest) -> Setup:
    if request.param.server not in programs():
        pytest.skip(f"no {request.param.server}")
    chosen: Setup = request.param
    return chosen


@pytest.fixture
def other(setup: Setup) -> Iterator[Any]:
    """Somebody else, with connections of his own."""
    with Setup(setup.server, setup.topology, 2, "sync").client(decode_responses=False) as client:
        yield client


CHANGES: dict[str, Callable[[Any, bytes], object]] = {
    "SET": lambda other, key: other.set(key, b"new"),
    "DEL": lambda other, key: other.delete(key),
    "UNLINK": lambda other, key: other.unlink(key),
    "EXPIRE": lambda other, key: other.expire(key, 100),
    "expiry": lambda other, key: other.pexpire(key, 20),
    "RENAME": lambda other, key: other.rename(key, key + b":away"),
    "RENAME over it": lambda other, key: (other.set(key + b":new", 1), other.rename(key + b":new", key)),
    "script": lambda other, key: other.eval("return redis.call('APPEND', KEYS[1], 'x')", 1, key),
    "pipeline": lambda other, key: other.pipeline().incr(key).incr(key).execute(),
    "another type": lambda other, key: (other.delete(key), other.hset(key, "a", 1)),
}


def test_changes_by_others(setup: Setup, other: Any) -> None:
    with cache(setup.world, setup.client, PREFIX) as mine:
        for name, change in CHANGES.items():
            key = PREFIX + b"{%b}" % name.encode()
            other.set(key, 1)
            mine.fill(key)
            untouched = PREFIX + b"untouched"
            mine.fill(untouched)
            change(other, key)
            mine.gone(key)
            assert untouched in mine.copies.values
            other.delete(key, key + b":away")
        assert mine.tracker.stats.reconnects == mine.copies.drops == 0
        assert mine.tracker.stats.invalidations >= len(CHANGES)


def test_missing_keys_are_followed_too(setup: Setup, other: Any) -> None:
    key = PREFIX + b"missing"
    with cache(setup.world, setup.client, PREFIX) as mine:
        mine.fill(key)
        assert mine.copies.values == {key: None}
        other.set(key, b"there")
        mine.gone(key)
        assert mine.read(key) == b"there"
        other.delete(key)


def test_own_writes_stay_until_somebody_else_writes(setup: Setup, other: Any) -> None:
    key = PREFIX + b"own"
    with cache(setup.world, setup.client, PREFIX) as mine:
        wait_until(lambda: mine.write(key, b"1"), "a write is kept")
        time.sleep(0.05)
        assert (mine.copies.values, other.get(key)) == ({key: b"1"}, b"1")
        other.set(key, b"2")
        mine.gone(key)
        # A write past the tracked connection is news like anybody's.
        mine.fill(key)
        mine.run(lambda: mine.tracker.runner.run(put(key, b"3")))
        mine.gone(key)
        assert mine.read(key) == b"3"
        # An error reply leaves the connection as it was.
        other.delete(key)
        other.lpush(key, 1)
        with pytest.raises(redispy.ResponseError, match="another Redis type"):
            mine.write(key, b"4", b"GET")
        other.delete(key)
        wait_until(lambda: mine.write(key, b"5"), "a write is kept")
        other.delete(key)


def test_a_batch_says_for_each_answer_whether_it_may_be_kept(setup: Setup) -> None:
    keys = [PREFIX + b"%d" % number for number in range(8)]
    with cache(setup.world, setup.client, PREFIX) as mine:
        mine.fill(PREFIX)
        ops = [*map(get, keys), get(b"elsewhere:" + PREFIX)]
        results, kept = mine.run(lambda: mine.tracker.batch(ops))
        assert (results, kept) == ([None] * 9, [True] * 8 + [False])
        assert mine.usable(keys[0])
        assert not mine.usable(b"elsewhere")


def test_overlapping_prefixes(setup: Setup, other: Any) -> None:
    """The narrower cache first, then the one that covers it; and a third that adds to both."""
    inner, outer, third = PREFIX + b"a:b:", PREFIX + b"a:", PREFIX + b"c:"
    with cache(setup.world, setup.client, inner) as mine:
        mine.fill(inner + b"1")
        tiers = [Copies(outer), Copies(third)]
        for tier in tiers:
            mine.run(lambda tier=tier: mine.tracker.watch(tier))
        for key in (inner + b"1", outer + b"1", third + b"1"):
            for copies in (mine.copies, *tiers):
                copies.values[key] = b"old"
            other.set(key, b"new")
            mine.gone(key)
            wait_until(lambda key=key: all(key not in each.values for each in tiers), "all caches hear of it")
            assert mine.usable(key)
            other.delete(key)
        mine.run(lambda: mine.tracker.forget(mine.copies))
        assert mine.usable(outer + b"1")


def test_messages_instead_of_tracking(setup: Setup, other: Any) -> None:
    """Who writes publishes it, on the channels that PubSubRedisDict uses."""
    first, second = PREFIX + b"first:", PREFIX + b"second:"
    with (
        cache(setup.world, setup.client, first, messages=True) as mine,
        cache("sync", Setup(setup.server, setup.topology, 3, "sync").client, first, messages=True) as theirs,
    ):
        key = first + b"k"
        other.set(key, 1)
        mine.fill(key)
        theirs.fill(key)
        assert theirs.write(key, b"2") is False
        mine.gone(key)
        assert mine.read(key) == b"2"
        mine.fill(key)
        assert theirs.tracker.write(Op("DEL", (key,), (), int, False)) == (1, False)
        mine.gone(key)
        mine.fill(key)
        # Somebody else's library; in a cluster it may publish anywhere.
        (other if setup.topology == "standalone" else theirs.client).publish(first[:-1] + b"/delete", b"k")
        mine.gone(key)
        # A second cache makes a new link, which listens for both.
        more = Copies(second)
        mine.run(lambda: mine.tracker.watch(more))
        wait_until(lambda: mine.usable(second) and mine.tracker.fresh_until > time.monotonic(), "all links are new")
        mine.fill(key)
        more.values[second + b"k"] = b"old"
        theirs.run(lambda: theirs.tracker.watch(Copies(second)))
        theirs.client.publish(second[:-1] + b"/update", b"k")
        wait_until(lambda: not more.values, "it hears of a change")
        assert key in mine.copies.values
        other.delete(key)


@pytest.mark.parametrize("setup", FOUR[:1], ids=str)
def test_flushes_and_other_databases(setup: Setup) -> None:
    node = Node(program(setup.server)).start()
    try:
        for world in ("sync", "aio"):
            package: Any = redispy if world == "sync" else redis.asyncio
            make = lambda package=package: package.Redis(port=node.port, db=3)  # noqa: E731
            with cache(world, make, PREFIX) as mine, redispy.Redis(port=node.port, db=3) as third:
                for flush in (third.flushdb, third.flushall, lambda third=third: third.flushdb(asynchronous=True)):
                    third.set(PREFIX, 1)
                    mine.fill(PREFIX)
                    flush()
                    mine.gone(PREFIX)
                # A key of the same name in another database: the copy goes, which does no harm.
                third.set(PREFIX, 1)
                mine.fill(PREFIX)
                with redispy.Redis(port=node.port, db=0) as zeroth:
                    zeroth.set(PREFIX, 1)
                mine.gone(PREFIX)
                assert mine.read(PREFIX) == b"1"
                third.move(PREFIX, 5)
                mine.gone(PREFIX)
    finally:
        node.stop()


@pytest.mark.parametrize("setup", FOUR[:1], ids=str)
def test_eviction(setup: Setup) -> None:
    node = Node(program(setup.server), ("--maxmemory-policy", "allkeys-lru")).start()
    try:
        with (
            cache("sync", lambda: redispy.Redis(port=node.port), PREFIX) as mine,
            redispy.Redis(port=node.port) as other,
        ):
            other.set(PREFIX, 1)
            mine.fill(PREFIX)
            other.config_set("maxmemory", 1)
            mine.gone(PREFIX)
            assert other.exists(PREFIX) == 0
    finally:
        node.stop()


@pytest.mark.parametrize("world", ["sync", "aio"])
@pytest.mark.parametrize("rights", ["~* +@all -client", "~* +@all resetchannels", "~* +@all -client|tracking"])
def test_a_server_that_refuses(world: str, rights: str) -> None:
    """Nothing is kept, the reason is known, and the cache's own work goes on."""
    node = servers.standalone("redis")
    user = f"u{abs(hash((world, rights)))}"
    package: Any = redispy if world == "sync" else redis.asyncio
    with redispy.Redis(port=node.port) as admin:
        admin.execute_command("ACL", "SETUSER", user, "on", ">secret", "reset", "on", ">secret", *rights.split())
        with cache(world, lambda: package.Redis(port=node.port, username=user, password="secret"), PREFIX) as mine:
            assert "permission" in mine.tracker.reason
            assert not mine.usable(PREFIX)
            assert mine.write(PREFIX, b"1") is False
            assert (mine.read(PREFIX), mine.copies.values) == (b"1", {})
            assert mine.tracker.fresh_until < 0
        admin.execute_command("ACL", "DELUSER", user)
        admin.delete(PREFIX)


@pytest.mark.parametrize("world", ["sync", "aio"])
@pytest.mark.parametrize("more", ["+client|setname +client|list +role", ""])
def test_the_rights_it_takes(world: str, more: str) -> None:
    node = servers.standalone("redis")
    user = f"r{abs(hash((world, more)))}"
    rights = (
        f"~* resetchannels &__redis__:invalidate -@all +get +set +client|id +client|tracking +subscribe +ping {more}"
    )
    package: Any = redispy if world == "sync" else redis.asyncio
    with redispy.Redis(port=node.port) as admin:
        admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">secret", *rights.split())
        make = lambda: package.Redis(port=node.port, username=user, password="secret")  # noqa: E731
        with cache(world, make, PREFIX, max_stale=0.4) as mine:
            mine.fill(PREFIX)
            admin.set(PREFIX, 1)
            mine.gone(PREFIX)
            # Past the first heartbeats, too.
            time.sleep(0.3)
            mine.fill(PREFIX)
            assert (mine.tracker.reason, mine.tracker.stats.reconnects) == ("", 0)
        admin.execute_command("ACL", "DELUSER", user)
        admin.delete(PREFIX)


@pytest.mark.parametrize("world", ["sync", "aio"])
@alone
def test_a_server_that_does_not_know_how(world: str) -> None:
    # As a server before 6 would, or a proxy.
    node = Node(program(), ("--rename-command", "CLIENT", "")).start()
    package: Any = redispy if world == "sync" else redis.asyncio
    try:
        with cache(world, lambda: package.Redis(port=node.port), PREFIX) as mine:
            assert "unknown command" in mine.tracker.reason
            assert mine.write(PREFIX, b"1") is False
            assert (mine.read(PREFIX), mine.copies.values, mine.usable(PREFIX)) == (b"1", {}, False)
            wait_until(lambda: not listening(), "nothing goes on in vain")
    finally:
        node.stop()

"""Links that end, are cut, fall silent or lead to a server that is no master any more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redispy
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.retry
import redis.sentinel
from redis.backoff import NoBackoff

from pottery_like._core.op import Op
from pottery_like._io import aio, aio_tracking
from pottery_like.exceptions import OutcomeUnknownError
from tests.support.proxy import proxied
from tests.support.servers import Node, free_port, program, programs, speaks_tls, wait_until
from tests.support.tracking import Copies, cache

PREFIX = b"faults:"
KEY = b"faults:a"

MAX_STALE = 0.5
SLACK = 0.4
"""Seconds that a busy machine may take to run a thread."""

WORLDS = pytest.mark.parametrize("world", ["sync", "aio"])


@pytest.fixture(scope="module", params=sorted(programs()))
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    node = Node(programs()[request.param]).start()
    yield node
    node.stop()


@pytest.fixture
def other(node: Node) -> Iterator[redispy.Redis]:
    with redispy.Redis(port=node.port) as client:
        yield client
        with contextlib.suppress(redispy.RedisError):
            client.delete(KEY)


def connecting(world: str, **options: Any) -> Any:
    package: Any = redispy if world == "sync" else redis.asyncio
    return lambda: package.Redis(**options)


def listening(admin: redispy.Redis) -> list[str]:
    return [each["id"] for each in admin.client_list() if each["sub"] != "0"]


def tracked(admin: redispy.Redis) -> list[str]:
    return [each["id"] for each in admin.client_list() if "B" in each["flags"]]


@WORLDS
def test_connections_that_are_closed(node: Node, other: redispy.Redis, world: str) -> None:
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=MAX_STALE) as mine:
        for number, victims in enumerate((listening, tracked, lambda admin: listening(admin) + tracked(admin))):
            other.set(KEY, 1)
            mine.fill(KEY)
            for each in victims(other):
                other.client_kill_filter(_id=each)
            other.set(KEY, 2)
            mine.gone(KEY, MAX_STALE + SLACK)
            assert mine.read(KEY) == b"2"
            mine.fill(KEY)
            other.set(KEY, 3)
            mine.gone(KEY)
            # Where the listening thread is late, all this may come before it notices the end.
            wait_until(lambda: mine.tracker.stats.reconnects == number + 1, "there is one new link")  # noqa: B023
        wait_until(lambda: len(listening(other)) == len(tracked(other)) == 1, "the old connections are closed")


@WORLDS
@pytest.mark.skipif(not hasattr(select, "epoll"), reason="asyncio alone notices it there")
def test_the_end_of_a_silent_connection(node: Node, other: redispy.Redis, world: str) -> None:
    """The tracked one, on which nobody talks for a long time: it is noticed all the same."""
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=100) as mine:
        for turn in range(3):
            mine.fill(KEY)
            for number in tracked(other):
                other.client_kill_filter(_id=number)
            other.set(KEY, turn)
            mine.gone(KEY)
        assert mine.tracker.stats.reconnects >= 2
        # A reply that somebody is waiting for isn't taken away, nor is its coming an end.
        wait_until(lambda: mine.write(KEY, b"first"), "a write is kept")
        drops = mine.copies.drops
        for turn in range(100):
            mine.write(KEY, b"%d" % turn)
        assert (mine.copies.drops, other.get(KEY)) == (drops, b"99")


@WORLDS
def test_a_server_that_pauses(node: Node, other: redispy.Redis, world: str) -> None:
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=MAX_STALE) as mine:
        mine.fill(KEY)
        node.signal(signal.SIGSTOP)
        try:
            mine.gone(KEY, MAX_STALE + SLACK)
            assert not mine.usable(KEY)
        finally:
            node.signal(signal.SIGCONT)
        mine.fill(KEY)
        other.set(KEY, 1)
        mine.gone(KEY)


@WORLDS
def test_a_server_that_restarts(node: Node, world: str) -> None:
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=MAX_STALE) as mine:
        mine.fill(KEY)
        node.kill()
        mine.gone(KEY, MAX_STALE)
        node.start()
        mine.fill(KEY)
        with redispy.Redis(port=node.port) as other:
            other.set(KEY, 1)
            mine.gone(KEY)
            other.delete(KEY)


@WORLDS
def test_a_connection_that_dies_silently(node: Node, other: redispy.Redis, world: str) -> None:
    with (
        proxied(node.port) as proxy,
        cache(world, connecting(world, port=proxy.port, socket_timeout=1), PREFIX, max_stale=MAX_STALE) as mine,
    ):
        other.set(KEY, 1)
        mine.fill(KEY)
        proxy.frozen = True
        other.set(KEY, 2)
        mine.gone(KEY, MAX_STALE + SLACK)
        # What the proxy was about to pass on may have brought the news, before it froze.
        wait_until(lambda: not mine.usable(KEY), "the link is not relied on", MAX_STALE + SLACK)
        assert mine.tracker.fresh_until < time.monotonic()
        proxy.frozen = False
        mine.fill(KEY)
        assert mine.copies.values == {KEY: b"2"}


@WORLDS
def test_a_master_that_becomes_a_replica(node: Node, other: redispy.Redis, world: str) -> None:
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=MAX_STALE) as mine:
        mine.fill(KEY)
        # Its connections stay, and the server answers on them.
        other.execute_command("REPLICAOF", "127.0.0.1", 1)
        try:
            mine.gone(KEY, MAX_STALE + SLACK)
            time.sleep(0.1)
            assert not mine.usable(KEY)
        finally:
            other.execute_command("REPLICAOF", "NO", "ONE")
        mine.fill(KEY)


def twice(world: str) -> Any:
    package: Any = redis.retry if world == "sync" else redis.asyncio.retry
    return package.Retry(NoBackoff(), 2)


@WORLDS
def test_a_reply_lost_on_the_tracked_connection(node: Node, other: redispy.Redis, world: str) -> None:
    """What may have run isn't run again, unless that does no harm; and nothing of it is kept."""
    increment = Op("INCR", (KEY,), (), int, False)
    with (
        proxied(node.port) as proxy,
        # No heartbeat takes the loss upon itself.
        cache(world, connecting(world, port=proxy.port, retry=twice(world)), PREFIX, max_stale=100) as mine,
    ):
        assert mine.run(lambda: mine.tracker.write(increment)) == (1, True)
        proxy.lose = 1
        with pytest.raises(OutcomeUnknownError):
            mine.run(lambda: mine.tracker.write(increment))
        assert other.get(KEY) == b"2"
        mine.fill(KEY)
        proxy.lose = 1
        assert mine.write(KEY, b"7") is False
        assert other.get(KEY) == b"7"
        mine.fill(KEY)
        # A connection that the server has closed isn't written to.
        for number in tracked(other):
            other.client_kill_filter(_id=number)
        time.sleep(0.1)
        assert mine.run(lambda: mine.tracker.write(increment)) == (8, False)
        mine.fill(KEY)


STORM = """
for number = 1, 2000 do
    redis.call('INCR', KEYS[1] .. number)
end"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no figure for the memory")
@WORLDS
def test_a_storm_of_changes(node: Node, other: redispy.Redis, world: str) -> None:
    """The names of 100,000 keys go by; memory doesn't grow, and the copies are as good as before."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=5) as mine:
        mine.fill(KEY)
        before = resident()
        for _ in range(50):
            other.eval(STORM, 1, PREFIX)
        other.set(KEY, 1)
        mine.gone(KEY, 5)
        stats = mine.tracker.stats
        wait_until(lambda: stats.invalidations > 100_000 or stats.reconnects, "all of it has been heard")
        assert resident() - before < 20_000_000
        mine.fill(KEY)
        other.set(KEY, 2)
        mine.gone(KEY)


def test_a_busy_tracked_connection_is_passed_by(node: Node, other: redispy.Redis) -> None:
    with cache("sync", connecting("sync", port=node.port), PREFIX, max_stale=2) as mine:
        mine.fill(KEY)
        pushing = Op("BLPOP", (PREFIX + b"list",), (1,), lambda reply: reply, False)
        waiting = threading.Thread(target=mine.tracker.write, args=(pushing,))
        waiting.start()
        wait_until(lambda: any(each["cmd"] == "blpop" for each in other.client_list()), "somebody occupies it")
        started = time.monotonic()
        assert mine.write(KEY, b"1") is False
        assert time.monotonic() - started < 0.5
        waiting.join()
        wait_until(lambda: mine.write(KEY, b"2"), "it is free again")


def test_closing_while_the_server_does(node: Node) -> None:
    """No task is left behind whose failure the event loop reports when it is collected."""
    reports: list[Any] = []

    async def main(port: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))
        for turn in range(40):
            client = redis.asyncio.Redis(port=port)
            tracker = aio_tracking.tracker(aio.Runner(client))
            copies = Copies(PREFIX)
            watching = asyncio.ensure_future(tracker.watch(copies))
            await asyncio.sleep(turn * 0.0001)
            tracker.rest()
            await client.aclose()
            await watching

    with proxied(node.port) as proxy:
        proxy.lose = 1 << 30
        asyncio.run(main(proxy.port))
    gc.collect()
    assert reports == []


@WORLDS
def test_attempts_to_reconnect_become_rare(world: str) -> None:
    node = Node(program()).start()
    accepted = []
    with cache(world, connecting(world, port=node.port), PREFIX, max_stale=MAX_STALE) as mine:
        mine.fill(KEY)
        node.kill()
        with socket.create_server(("127.0.0.1", node.port)) as server:
            server.settimeout(0.05)
            deadline = time.monotonic() + 1.2
            while time.monotonic() < deadline:
                mine.usable(KEY)
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()
                    accepted.append(time.monotonic())
        assert 3 <= len(accepted) <= 8
        node.start()
        mine.fill(KEY)
    node.stop()


@WORLDS
def test_tls(world: str, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no certificate to be had")
    key, certificate, port = str(tmp_path / "key"), str(tmp_path / "certificate"), free_port()
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    given = {"port": port, "cert-file": certificate, "key-file": key, "ca-cert-file": certificate, "auth-clients": "no"}
    options = [word for name, value in given.items() for word in (f"--tls-{name}", str(value))]
    if not speaks_tls(program()):
        pytest.skip("this server can't speak TLS")
    node = Node(program(), tuple(options)).start()
    make = connecting(world, port=port, ssl=True, ssl_cert_reqs="none")
    with redispy.Redis(port=node.port) as other, cache(world, make, PREFIX, max_stale=5) as mine:
        mine.fill(KEY)
        # More than fits into one record.
        other.eval(STORM, 1, PREFIX)
        other.set(KEY, 1)
        mine.gone(KEY)
        wait_until(lambda: mine.write(KEY, b"2"), "a write is kept")
        wait_until(lambda: mine.tracker.stats.invalidations >= 2001, "all of it has been heard")
        assert mine.tracker.stats.reconnects == 0
    node.stop()

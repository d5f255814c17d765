"""What users see when something breaks: a documented exception in time, and never a second execution."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import redis as redispy
from redis.backoff import NoBackoff
from redis.retry import Retry

import pottery_like
from pottery_like import RedisDict
from pottery_like._io.wire import POOL_ARGUMENTS
from pottery_like.exceptions import DecodeError, OutcomeUnknownError, WrongTypeError
from tests.conftest import Maker
from tests.support.calls import CALLS, FILL, Call
from tests.support.facade import Loop
from tests.support.locks import InBackground
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, Setup, wait_until

CASES = [(name, method) for name, calls in CALLS.items() for method in calls]
TIMEOUT = 0.5


class Bench:
    """Containers on one server, directly and through a proxy, in one world."""

    def __init__(self, node: Node, world: str, proxy: Proxy | None, retries: int) -> None:
        self.loop = Loop() if world == "aio" else None
        package: Any = redispy if world == "sync" else redispy.asyncio
        retry: Any = (Retry if world == "sync" else redispy.asyncio.retry.Retry)(NoBackoff(), retries)
        port = proxy.port if proxy else node.port
        make = lambda: package.Redis(port=port, retry=retry, socket_timeout=TIMEOUT)  # noqa: E731
        self.client = make() if self.loop is None else self.loop.call(make)
        self.direct = redispy.Redis(port=node.port)
        setup = Setup("any", "standalone", 2, world)
        self._maker = Maker(setup, self.client, self.loop)

    def make(self, name: str, *args: Any, key: str = "fault") -> Any:
        return self._maker(name, *args, key=key)

    def state(self, key: str) -> Any:
        """Return what is stored, whatever its type."""
        kind = self.direct.type(key)
        if kind == b"hash":
            return self.direct.hgetall(key)
        if kind == b"set":
            return self.direct.smembers(key)
        return self.direct.lrange(key, 0, -1) if kind == b"list" else None

    def close(self) -> None:
        self.direct.flushall()
        self.abandon()

    def abandon(self) -> None:
        self.direct.close()
        self._maker.close()


def filled(bench: Bench, name: str, key: str) -> Any:
    bench.direct.delete(key)
    return bench.make(name, FILL[name](5), key=key)


def expected_state(bench: Bench, name: str, call: Call) -> Any:
    """Return the state after one call that went well."""
    call(filled(bench, name, "{fault}:twin"), 5)
    return bench.state("{fault}:twin")


@pytest.mark.parametrize("retries", [0, 10])
def test_lost_reply_means_once(node: Node, world: str, retries: int) -> None:
    with proxied(node.port) as proxy:
        bench = Bench(node, world, proxy, retries)
        for name, method in CASES:
            call = CALLS[name][method]
            expected = expected_state(bench, name, call)
            container = filled(bench, name, "fault")
            proxy.lose = 1
            try:
                call(container, 5)
                assert retries > 0, f"{name}.{method}: the lost reply went unnoticed"
            except redispy.ConnectionError as error:
                reported = error
                assert isinstance(reported, OutcomeUnknownError)
                assert "fault" in str(reported)
            proxy.lose = 0
            got = bench.state("fault")
            # Which element a pop takes is open; that it takes one isn't.
            same = len(got) == len(expected) if method in {"pop", "popitem"} else got == expected
            assert same, f"{name}.{method}: {got} instead of {expected}"
        bench.close()


NEVER_TWICE = {
    "RedisDict": ["pop", "popitem", "__delitem__"],
    "RedisSet": ["pop", "remove"],
    "RedisList": ["append", "extend", "insert", "pop", "__iadd__", "remove", "__delitem__"],
    "RedisDeque": ["append", "appendleft", "extend", "extendleft", "pop", "popleft", "rotate", "insert"],
    "RedisCounter": ["update", "subtract", "increment"],
}


@pytest.mark.parametrize("silent", [False, True])
def test_what_must_not_run_twice_is_not_sent_twice(node: Node, world: str, silent: bool) -> None:
    """Even by a client that retries ten times: the outcome is reported as unknown."""

    def lose(name: str) -> None:
        with proxied(node.port) as proxy:
            bench = Bench(node, world, proxy, 10)
            proxy.silent = silent
            for method in NEVER_TWICE[name] if not silent else NEVER_TWICE[name][:1]:
                call = CALLS[name][method]
                call(filled(bench, name, f"fault:{name}"), 5)
                container = filled(bench, name, f"fault:{name}")
                proxy.lose = 1
                started = time.monotonic()
                with pytest.raises(OutcomeUnknownError) as caught:
                    call(container, 5)
                assert isinstance(caught.value, redispy.TimeoutError if silent else redispy.ConnectionError)
                assert time.monotonic() - started < TIMEOUT + 1
                proxy.lose = 0
            bench.abandon()

    at_once(lose)


def at_once(call: Callable[[str], None]) -> None:
    """Call with the name of each container, each in a thread: they wait together."""
    for each in [InBackground(call, name) for name in CALLS]:
        error = each.wait()
        if error is not None:
            raise error


def test_refused_connection(node: Node, world: str) -> None:
    bench = Bench(Node(node.program), world, None, 0)
    for name in CALLS:
        with pytest.raises(redispy.ConnectionError) as caught:
            CALLS[name]["clear"](bench.make(name), 5)
        assert not isinstance(caught.value, OutcomeUnknownError), "nothing was sent"
    bench.abandon()


def test_paused_server(node: Node, world: str) -> None:
    """A server that doesn't answer costs the client's timeout, and no operation is repeated behind its back."""
    benches = {name: Bench(node, world, None, 10) for name in CALLS}
    containers = {name: filled(bench, name, f"{{fault}}:{name}") for name, bench in benches.items()}
    # This also tells the server the scripts: what it answers with NOSCRIPT doesn't run.
    expected = {name: expected_state(bench, name, CALLS[name][NEVER_TWICE[name][0]]) for name, bench in benches.items()}
    node.signal(signal.SIGSTOP)

    def ask(name: str) -> None:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknownError) as caught:
            CALLS[name][NEVER_TWICE[name][0]](containers[name], 5)
        assert isinstance(caught.value, redispy.TimeoutError)
        assert time.monotonic() - started < TIMEOUT + 1

    try:
        at_once(ask)
    finally:
        node.signal(signal.SIGCONT)
    for name, bench in benches.items():
        wait_until(lambda: len(bench.state(f"{{fault}}:{name}")) == len(expected[name]), name)  # noqa: B023
    for bench in benches.values():
        bench.close()


def test_connections_closed_while_in_use(node: Node) -> None:
    """By another thread, as redis-py does with those to a node that its cluster has lost: it counts as a lost reply."""
    client = redispy.Redis(port=node.port, retry=Retry(NoBackoff(), 2))
    numbers = RedisDict({"a": 1}, redis=client, key="fault:closed")
    pool: Any = client.connection_pool
    for connection in [pool.get_connection(*POOL_ARGUMENTS) for _ in range(3)]:
        pool.release(connection)
    node.signal(signal.SIGSTOP)
    with ThreadPoolExecutor(3) as threads:
        try:
            reading, writing = threads.submit(lambda: numbers["a"]), threads.submit(numbers.update, b=2)
            popping = threads.submit(numbers.popitem)
            wait_until(lambda: len(pool._in_use_connections) == 3, "all connections are in use")
            time.sleep(0.05)
            pool.disconnect()
        finally:
            node.signal(signal.SIGCONT)
        assert (reading.result(10), writing.result(10)) == (1, None)
        with pytest.raises(OutcomeUnknownError):
            popping.result(10)
    client.close()


def test_restarted_server(node: Node, world: str) -> None:
    """Connections that died while idle are replaced before anything is sent."""
    bench = Bench(node, world, None, 0)
    filled(bench, "RedisDict", "fault")
    node.kill()
    node.start()
    for name in CALLS:
        CALLS[name]["__len__"](bench.make(name), 5)
    bench.close()


def test_flushed_scripts(node: Node, world: str) -> None:
    bench = Bench(node, world, None, 0)
    for name, method in CASES:
        container = filled(bench, name, "fault")
        bench.direct.script_flush()
        CALLS[name][method](container, 5)
    bench.close()


def test_out_of_memory(node: Node, world: str) -> None:
    """Nothing is lost or half-changed, and the error says what it is."""
    bench = Bench(node, world, None, 0)
    for name, method in CASES:
        container = filled(bench, name, "fault")
        before = bench.state("fault")
        expected = expected_state(bench, name, CALLS[name][method])
        bench.direct.config_set("maxmemory", 1)
        try:
            CALLS[name][method](container, 5)
        except redispy.exceptions.OutOfMemoryError:
            assert bench.state("fault") == before, f"{name}.{method}"
        else:
            got = bench.state("fault")
            same = len(got or ()) == len(expected or ()) if method in {"pop", "popitem"} else got == expected
            assert same, f"{name}.{method}"
        finally:
            bench.direct.config_set("maxmemory", 0)
    bench.close()


def test_read_only_replica(node: Node, world: str) -> None:
    with redispy.Redis(port=node.port) as client:
        # By default a master waits five seconds for further replicas.
        client.config_set("repl-diskless-sync-delay", 0)
    replica = Node(node.program, ("--replicaof", f"127.0.0.1 {node.port}")).start()
    wait_until(lambda: b"master_link_status:up" in raw_info(replica), "the replica has caught up")
    bench, reading = Bench(node, world, None, 0), Bench(replica, world, None, 0)
    for name in CALLS:
        filled(bench, name, f"fault:{name}")
        container = reading.make(name, key=f"fault:{name}")
        wait_until(lambda: container.__len__() == 5, "the replica has the elements")  # noqa: B023
        with pytest.raises(redispy.ReadOnlyError):
            CALLS[name][NEVER_TWICE[name][0]](container, 5)
    reading.abandon()
    bench.close()
    replica.stop()


def raw_info(node: Node) -> bytes:
    with redispy.Redis(port=node.port) as client:
        client.set_response_callback("INFO", lambda reply, **_: reply)
        info: bytes = client.info("replication")
        return info


def test_wrong_type(node: Node, world: str) -> None:
    bench = Bench(node, world, None, 0)
    bench.direct.set("fault", "a string")
    untyped = {"clear", "copy", "expire", "persist", "ttl"}
    for name, method in CASES:
        if method in untyped:
            continue
        with pytest.raises(WrongTypeError) as caught:
            CALLS[name][method](bench.make(name), 5)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, redispy.ResponseError)
        assert bench.direct.get("fault") == b"a string", f"{name}.{method}"
    bench.close()


def test_wrong_password(node: Node, world: str) -> None:
    guarded = Node(node.program, ("--requirepass", "secret")).start()
    bench = Bench(guarded, world, None, 0)
    for name in CALLS:
        with pytest.raises(redispy.AuthenticationError):
            CALLS[name]["__len__"](bench.make(name), 5)
    bench.abandon()
    guarded.stop()


def test_foreign_bytes(node: Node, world: str) -> None:
    """Bytes that aren't the codec's raise an exception that carries them, and reading doesn't remove them."""
    bench = Bench(node, world, None, 0)
    bench.direct.hset("fault", mapping={'"good"': "1", '"bad"': b"\xff{"})
    container = bench.make("RedisDict")
    for read in (lambda: container["bad"], container.to_dict, lambda: list(container.values())):
        with pytest.raises(DecodeError) as caught:
            read()
        assert caught.value.raw == b"\xff{"
        assert "fault" in str(caught.value)
    assert container["good"] == 1
    with pytest.raises(DecodeError) as caught:
        container.pop("bad")
    assert caught.value.raw == b"\xff{", "what was removed is in the exception"
    assert pottery_like.RedisDict(redis=bench.direct, key="fault").to_dict() == {"good": 1}
    bench.direct.delete("fault")
    bench.close()


def test_a_cancellation_is_never_swallowed(node: Node) -> None:
    """A client's timeout makes redis-py send by asyncio.wait_for, which can do that before Python 3.12."""

    async def main() -> int:
        swallowed = 0
        async with redispy.asyncio.Redis(port=node.port, socket_timeout=5) as client:
            made = pottery_like.AIORedisDict(redis=client, key="cancelled")
            queue = pottery_like.AIORedisSimpleQueue(redis=client, key="cancelled:queue")
            calls = partial(made.set, "k", 1), partial(made.update, a=1, b=2), queue.qsize
            for number in range(400):
                if sys.version_info < (3, 11):
                    # Connecting is redis-py's own, and can't be mended there.
                    await client.ping()
                task = asyncio.create_task(calls[number % 3]())
                for _ in range(number // 3 % 12):
                    await asyncio.sleep(0)
                asked = task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                swallowed += asked and not task.cancelled()
            assert await queue.qsize() == 0, "the connection is in order"
        return swallowed

    assert asyncio.run(main()) == 0


def test_a_greeting_that_fails_leaves_no_connection(node: Node, world: str) -> None:
    """What its credential provider raises comes out; and nothing is sent later as somebody else, or elsewhere."""

    class Provider(redispy.CredentialProvider):
        failed = False

        def get_credentials(self) -> tuple[str, str]:
            if not self.failed:
                self.failed = True
                raise ValueError("the token endpoint sent HTML")
            return "bob", "secret"

        async def get_credentials_async(self) -> tuple[str, str]:
            return self.get_credentials()

    with redispy.Redis(port=node.port) as admin:
        admin.acl_setuser("bob", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
        options: dict[str, Any] = {"port": node.port, "db": 3, "credential_provider": Provider()}
        if world == "sync":
            with redispy.Redis(**options) as client:
                made = pottery_like.RedisDict(redis=client, key="greeting")
                with pytest.raises(ValueError, match="HTML"):
                    made["k"] = 1
                made["k"] = 1
        else:

            async def main() -> None:
                async with redispy.asyncio.Redis(**options) as client:
                    made = pottery_like.AIORedisDict(redis=client, key="greeting")
                    with pytest.raises(ValueError, match="HTML"):
                        await made.set("k", 1)
                    await made.set("k", 1)

            asyncio.run(main())
        assert not admin.exists("greeting")
        with redispy.Redis(port=node.port, db=3) as third:
            assert third.delete("greeting") == 1
        admin.acl_deluser("bob")

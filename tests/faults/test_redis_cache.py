"""redis_cache() when replies are lost, servers are away, and callers are cancelled or slow; its round trips."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis as redispy
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from pottery_like import redis_cache
from pottery_like.exceptions import OutcomeUnknownError
from tests.support.facade import Loop
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node, Setup, programs, standalone, wait_until
from tests.test_round_trips import load_scripts

SERVER = sorted(programs())[0]
WORLDS = ["sync", "aio"]


@pytest.fixture
def direct() -> Iterator[redispy.Redis]:
    load_scripts(Setup(SERVER, "standalone", 2, "sync"))
    with redispy.Redis(port=standalone(SERVER).port, db=9) as client:
        client.flushdb()
        yield client


def named(function: Any) -> Any:
    """Give a function the name that it would have in another process, too."""
    function.__module__, function.__qualname__ = "shop", "price"
    return function


def elsewhere(cached: Any) -> Any:
    """Make a function's cache what it would be in another process, where it is the only one of its name."""
    cached.cache_info.__self__._ops._namesake._number = 0
    return cached


class Subject:
    """A cached function in either world, on a server behind a proxy."""

    def __init__(self, world: str, port: int, function: Callable[..., Any], retries: int = 3, **options: Any) -> None:
        self.calls = 0
        self.loop = Loop() if world == "aio" else None
        settings: dict[str, Any] = {"port": port, "db": 9, "socket_timeout": 0.3}

        def counted(*args: Any) -> Any:
            self.calls += 1
            return function(*args)

        async def counted_later(*args: Any) -> Any:
            return counted(*args)

        package: Any = redispy if self.loop is None else redispy.asyncio
        retry: Any = (Retry if self.loop is None else redispy.asyncio.retry.Retry)(NoBackoff(), retries)
        self.client: Any = self.run(lambda: package.Redis(**settings, retry=retry))
        decorate: Any = redis_cache(redis=self.client, **{"key": "fault", **options})
        self.cached = decorate(named(counted if self.loop is None else counted_later))

    def run(self, function: Callable[[], Any]) -> Any:
        return function() if self.loop is None else self.loop.call(function)

    def __call__(self, *args: Any) -> Any:
        return self.run(lambda: self.cached(*args))

    def close(self) -> None:
        self.run(self.client.close if self.loop is None else self.client.aclose)
        if self.loop is not None:
            self.loop.close()


@pytest.fixture(params=WORLDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Callable[..., Subject]]:
    made = []

    def make(port: int, function: Callable[..., Any], **options: Any) -> Subject:
        made.append(Subject(request.param, port, function, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ttl": 60, "maxsize": 5, "tags": ["t"], "prefixes": 1, "stale": 5, "early": 1, "statistics": "server"},
        {"ttl": 60, "stale": 5, "stale_on_error": True, "timeout": None},
    ],
    ids=["plain", "all", "stale"],
)
def test_round_trips(direct: redispy.Redis, subject: Callable[..., Subject], options: dict[str, Any]) -> None:
    with proxied(standalone(SERVER).port) as proxy:
        each = subject(proxy.port, lambda n: n, **options)
        cached = each.cached
        each(0)
        steps: list[tuple[int, Callable[[], Any]]] = [
            (2, lambda: cached(1)),
            (1, lambda: cached(1)),
            (2, lambda: cached.__bypass__(1)),
            (1, lambda: cached.invalidate(1)),
            (2, lambda: cached(1)),
            (1, cached.cache_info),
            (1, cached.cache_clear),
        ]
        if "tags" in options:
            steps += [(1, lambda: cached.invalidate_tag("t", "u")), (1, lambda: cached.invalidate_prefix(1))]
        for trips, step in steps:
            before = proxy.round_trips
            each.run(step)
            assert proxy.round_trips - before == trips


def lost(proxy: Proxy, which: int) -> Callable[[], None]:
    """Return what makes the proxy lose a reply; it does so at once for the first exchange."""

    def lose() -> None:
        proxy.lose = 1

    if which == 1:
        lose()
    return lose


@pytest.mark.parametrize("which", [1, 2], ids=["look", "store"])
def test_lost_reply_is_asked_for_again(direct: redispy.Redis, subject: Callable[..., Subject], which: int) -> None:
    with proxied(standalone(SERVER).port) as proxy:
        each = subject(proxy.port, lambda n: (which == 2 and lose(), n)[1])
        each.run(each.client.ping)
        lose = lost(proxy, which)
        started = time.monotonic()
        assert each(5) == each(5) == 5
        assert time.monotonic() - started < 2, "its own lease is no obstacle"
        assert each.calls == 1
        assert not direct.exists("{fault}:flights")


@pytest.mark.parametrize("which", [1, 2], ids=["look", "store"])
@pytest.mark.parametrize("on_error", ["raise", "compute"])
def test_lost_reply_without_retries(
    direct: redispy.Redis, subject: Callable[..., Subject], which: int, on_error: str
) -> None:
    with proxied(standalone(SERVER).port) as proxy:
        each = subject(proxy.port, lambda n: (which == 2 and lose(), n)[1], retries=0, on_error=on_error, lease=0.2)
        # A reply to the greeting would be lost instead.
        each.run(each.client.ping)
        lose = lost(proxy, which)
        if on_error == "raise":
            with pytest.raises(OutcomeUnknownError):
                each(5)
        else:
            assert each(5) == 5
        assert each(5) == 5, "at the latest when the lost lease has ended"


def test_lost_invalidation(direct: redispy.Redis, subject: Callable[..., Subject]) -> None:
    with proxied(standalone(SERVER).port) as proxy:
        each = subject(proxy.port, lambda n: each.calls, tags=["t"])
        each(1)
        for forget in (
            lambda: each.cached.invalidate(1),
            lambda: each.cached.invalidate_tag("t"),
            each.cached.cache_clear,
        ):
            before = each.calls
            proxy.lose = 1
            each.run(forget)
            each(1)
            assert each.calls == before + 1


def test_away(subject: Callable[..., Subject]) -> None:
    node = Node(programs()[SERVER])
    raising = subject(node.port, lambda n: n)
    with pytest.raises(ConnectionError):
        raising(1)
    computing = subject(node.port, lambda n: 1 / n, on_error="compute")
    assert computing(1) == computing(1) == 1
    assert computing.run(lambda: computing.cached.__bypass__(1)) == 1
    with pytest.raises(ZeroDivisionError):
        computing(0)
    assert computing.calls == 4
    with pytest.raises(ConnectionError):
        computing.run(lambda: computing.cached.invalidate(1))


def test_going_away(subject: Callable[..., Subject]) -> None:
    node = Node(programs()[SERVER]).start()
    try:
        each = subject(node.port, lambda n: [n], ttl=0.2, stale=1.5, stale_on_error=True, retries=0)
        dying = subject(node.port, lambda n: (node.kill(), n)[1], retries=0, on_error="compute", key="dying")
        assert each(1) == [1]
        assert dying(1) == 1, "computed, and not stored"
        time.sleep(0.3)
        assert each(1) == [1], "what it has seen, though it has expired"
        with pytest.raises(RedisError):
            each(2)
        time.sleep(1.5)
        with pytest.raises(RedisError):
            each(1)
        assert each.calls == 1
    finally:
        node.stop()


def test_out_of_memory(subject: Callable[..., Subject]) -> None:
    node = Node(programs()[SERVER]).start()
    try:
        with redispy.Redis(port=node.port) as client:
            each = subject(node.port, lambda n: n, on_error="compute", maxsize=10)
            each(1)
            client.config_set("maxmemory", 1)
            assert each(1) == 1
            assert each.calls == 1, "what is there can be read"
            assert each(2) == 2
    finally:
        node.stop()


def test_a_full_server_invalidates(subject: Callable[..., Subject]) -> None:
    node = Node(programs()[SERVER]).start()
    try:
        with redispy.Redis(port=node.port) as client:
            each = subject(node.port, lambda n: each.calls, tags=["t"])
            assert each(1) == each(1) == 1
            client.config_set("maxmemory", 1)
            each.run(lambda: each.cached.invalidate_tag("t"))
            client.config_set("maxmemory", 0)
            assert each(1) == 2
    finally:
        node.stop()


def test_cancelled_while_it_waits(direct: redispy.Redis) -> None:
    """Whoever is cancelled hands over, wherever it was: looking, computing, waiting, storing."""

    async def main() -> None:
        async with redispy.asyncio.Redis(port=standalone(SERVER).port, db=9) as client:
            began: list[int] = []

            @redis_cache(redis=client, key="cancel")
            async def slow(n: int) -> int:
                began.append(n)
                await asyncio.sleep(0.03)
                return n

            for n in range(20):
                tasks = [asyncio.create_task(slow(n)) for _ in range(4)]
                # From before the first reply to after the last one.
                await asyncio.sleep(n * 0.003)
                tasks[0].cancel()
                tasks[2].cancel()
                started = time.monotonic()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert time.monotonic() - started < 2, f"{n}: nobody waits for a lease to end"
                assert results[1] == results[3] == n
                assert await slow(n) == n
                assert 1 <= began.count(n) <= 3

    asyncio.run(main())
    wait_until(lambda: not direct.exists("{cancel}:flights"), "no lease is left")


def test_interrupted(direct: redispy.Redis) -> None:
    @redis_cache(redis=direct, key="interrupt")
    def interrupted(n: int) -> int:
        if not calls:
            calls.append(n)
            raise KeyboardInterrupt
        return n

    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    started = time.monotonic()
    assert interrupted(1) == 1
    assert time.monotonic() - started < 1


def test_slow_computation_is_overtaken(direct: redispy.Redis, subject: Callable[..., Subject]) -> None:
    """Whose lease has ended may still store, until somebody who began later has done so."""
    slow = subject(standalone(SERVER).port, lambda n: (time.sleep(0.25), "slow")[1], lease=0.1)
    assert slow(0) == slow(0) == "slow"
    assert slow.calls == 1
    other = elsewhere(redis_cache(redis=direct, key="fault", lease=5)(named(lambda n: "new")))
    found: list[str] = []
    thread = threading.Timer(0.15, lambda: found.append(other(1)))
    thread.start()
    assert slow(1) == "slow"
    thread.join()
    assert found == ["new"]
    assert slow(1) == "new", "what was stored meanwhile stays"
    assert slow.calls == 2


def test_interrupted_while_it_looks(direct: redispy.Redis) -> None:
    """The lease that the reply brings, which nobody reads any more, is given back."""
    with proxied(standalone(SERVER).port) as proxy, redispy.Redis(port=proxy.port, db=9) as client:
        price: Any = redis_cache(redis=client, key="alarm", lease=30)(lambda n: n)

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        client.ping()
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            proxy.lose, proxy.silent = 1, True
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                price(1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        wait_until(lambda: not direct.exists("{alarm}:flights"), "the lease is given back")


def test_own_invalidation_overtakes_a_reply(direct: redispy.Redis) -> None:
    with proxied(standalone(SERVER).port) as proxy:
        client = redispy.Redis(port=proxy.port, db=9, retry=Retry(NoBackoff(), 0))
        price: Any = redis_cache(redis=client, key="late", ttl=60, stale=60, stale_on_error=True)(lambda n: n)
        price(1)
        calls = price.cache_info.__self__._calls
        entry = calls.entry((1,), {})
        found = price.cache_info.__self__._look(entry, b"token")
        price.invalidate(1)
        # The reply was under way.
        assert calls.usual(entry, found) == 1
        proxy.lose = 100
        with pytest.raises(ConnectionError):
            price(1)
        client.close()


@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_overtaken_and_done_first(direct: redispy.Redis, subject: Callable[..., Subject], ends: str) -> None:
    """What takes longer than its lease is cached all the same, and wakes whoever waits for another."""
    go = [threading.Event(), threading.Event()]
    began = [threading.Event(), threading.Event()]

    def wait(which: int) -> str:
        began[which].set()
        assert go[which].wait(10)
        if which and ends == "raises":
            raise ZeroDivisionError
        return f"result {which}"

    port = standalone(SERVER).port
    first = subject(port, lambda n: wait(0), lease=0.05)
    second = subject(port, lambda n: wait(1), lease=20)
    third = subject(port, lambda n: "not called", lease=20)
    with ThreadPoolExecutor(3) as pool:
        slow = pool.submit(first, 1)
        began[0].wait(10)
        slower = pool.submit(second, 1)
        began[1].wait(10)
        if ends == "raises":
            go[1].set()
            assert isinstance(slower.exception(10), ZeroDivisionError)
        else:
            waiting = pool.submit(third, 1)
            wait_until(lambda: direct.hvals("{fault}:flights")[0].split()[2] == b"1", "it waits")
        go[0].set()
        assert slow.result(10) == "result 0"
        if ends == "returns":
            assert waiting.result(10) == "result 0"
            go[1].set()
            assert slower.result(10) == "result 1"
        assert third(1) == ("result 1" if ends == "returns" else "result 0")
    assert third.calls == 0
    assert not direct.exists("{fault}:flights")


@pytest.mark.parametrize("how", ["entry", "tag", "all"])
def test_invalidated_meanwhile(direct: redispy.Redis, subject: Callable[..., Subject], how: str) -> None:
    source, found, changed = [1], threading.Event(), threading.Event()

    def read(n: int) -> int:
        value = source[0]
        if each.calls == 2:
            found.set()
            assert changed.wait(20)
        return value

    each = subject(standalone(SERVER).port, read, tags=["t"])
    each(0)
    helper = elsewhere(redis_cache(redis=direct, key="fault", tags=["t"])(named(lambda n: None)))
    forget = {
        "entry": lambda: helper.invalidate(1),
        "tag": lambda: helper.invalidate_tag("t"),
        "all": helper.cache_clear,
    }

    def change() -> None:
        assert found.wait(20)
        source[0] = 2
        forget[how]()
        changed.set()

    thread = threading.Thread(target=change)
    thread.start()
    assert each(1) == 1
    thread.join()
    assert each(1) == each(1) == 2, "what was read before the invalidation isn't stored"
    assert each.calls == 3

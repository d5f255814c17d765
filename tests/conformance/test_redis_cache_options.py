"""What redis_cache()'s arguments say: how long results are kept, which go, and when they are made anew."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from typing import Any

import pytest
from redis import Redis
from redis import asyncio as redis_asyncio

from pottery_like import DataclassCodec, MsgpackCodec, PickleCodec, redis_cache
from tests.conftest import Maker
from tests.support.cached import Counted, given_back
from tests.support.servers import SETUPS, Setup, programs, standalone, wait_until

SERVER = sorted(programs())[0]


def test_timeout_is_after_the_last_access(slow: Maker) -> None:
    subject = Counted(slow, given_back)
    subject(1)
    assert 59 < slow.run(slow.client.ttl(subject.key)) <= 60
    subject = Counted(slow, given_back, timeout=0.4)
    subject(1)
    for _ in range(3):
        time.sleep(0.2)
        subject(2)
        subject(1)
    assert subject.calls == 2
    time.sleep(0.5)
    subject(1)
    assert subject.calls == 3
    for forever in (None, 0):
        subject = Counted(slow, given_back, timeout=forever)
        subject(1)
        assert slow.run(slow.client.ttl(subject.key)) == -1


def test_ttl(slow: Maker) -> None:
    fixed = Counted(slow, lambda n: n, ttl=0.3, timeout=None)
    chosen = Counted(slow, lambda n: n, ttl=lambda n: {1: 0.3, 2: None, 3: 0, 4: 60}[n])
    for _ in range(2):
        assert [fixed(1), *map(chosen, (1, 2, 3, 4))] == [1, 1, 2, 3, 4]
    assert (fixed.calls, chosen.calls) == (1, 5)
    assert chosen.counts()[2] == 3
    time.sleep(0.35)
    # Nobody has asked for what has expired, and yet it is gone.
    wait_until(lambda: chosen.counts()[2] == 2, "the server has removed what has expired", 3)
    assert [fixed(1), *map(chosen, (1, 2, 4))] == [1, 1, 2, 4]
    assert (fixed.calls, chosen.calls) == (2, 6)


def test_ttl_and_maxsize(slow: Maker) -> None:
    subject = Counted(slow, lambda n: n, ttl=lambda n: 0.2 if n == 1 else 60, maxsize=2)
    subject(2)
    subject(1)
    time.sleep(0.25)
    subject(3)
    subject(2)
    assert subject.calls == 3, "what has expired goes before what was used longest ago"
    assert subject.counts()[2] == 2


def test_cache_if(few: Maker) -> None:
    subject = Counted(few, lambda n: n, cache_if=lambda n: n is not None)
    for calls, argument in enumerate((None, None, 1, 1), 1):
        subject(argument)
        assert subject.calls == min(calls, 3)


def test_tags_and_prefixes(few: Maker) -> None:
    subject = Counted(
        few, lambda user, page=0: [user, page], tags=lambda user, page=0: [f"user:{user}", "all"], prefixes=2
    )
    calls = [(1, 0), (1, 1), (2, 0), ("1", 0)]

    def missing() -> list[tuple[Any, int]]:
        found = []
        for call in calls:
            before = subject.calls
            subject(*call)
            if subject.calls > before:
                found.append(call)
        return found

    assert missing() == calls
    subject.cached.invalidate_tag("nobody")
    subject.cached.invalidate_prefix(3)
    assert missing() == []
    subject.cached.invalidate_tag("user:2")
    assert missing() == [(2, 0)]
    subject.cached.invalidate_prefix(1)
    assert missing() == [(1, 0), (1, 1)]
    subject.cached.invalidate_prefix(1, 1)
    assert missing() == [(1, 1)]
    subject.cached.invalidate_tag("nobody", "all")
    assert missing() == calls
    subject.cached.invalidate_prefix()
    assert missing() == calls
    # Evicted, the marks take all entries with them: better none than one that was invalidated.
    few.run(few.client.delete(marks(subject.key)))
    assert missing() == calls
    with pytest.raises(TypeError):
        subject.cached.invalidate_prefix(1, 2, 3)
    plain = Counted(few, given_back)
    for call in (lambda: plain.cached.invalidate_tag("x"), lambda: plain.cached.invalidate_prefix(1)):
        with pytest.raises(TypeError):
            call()


def marks(key: str) -> str:
    return f"{{{key}}}:marks"


def test_tags_do_not_pile_up(redis: Redis) -> None:
    @redis_cache(redis=redis, key="pile", tags=lambda n: [str(n)])
    def function(n: int) -> int:
        return n

    function(1)
    redis.hset(marks("pile"), mapping={f"t{n}": 1 for n in range(10_001)})
    function.invalidate_tag("1")
    assert redis.hlen(marks("pile")) == 2
    function(1)
    function(1)
    assert function.cache_info()[:2] == (1, 2)
    function.cache_clear()
    assert not list(redis.scan_iter("*pile*"))


def test_early(slow: Maker) -> None:
    # So early that each call comes before the end.
    subject = Counted(slow, lambda: time.sleep(0.02), ttl=60, early=1e9)
    for calls in (1, 2, 3):
        subject()
        assert subject.calls == calls
    never = Counted(slow, lambda: None, ttl=60, early=1)
    for _ in range(20):
        never()
    assert never.calls == 1


def test_early_failing_serves_what_is_there(slow: Maker) -> None:
    fail = []
    subject = Counted(slow, lambda: (time.sleep(0.01), fail and 1 / 0, 5)[2], ttl=60, early=1e9)
    subject()
    fail.append(1)
    assert subject() == 5
    assert subject.calls == 2


def test_stale_serves_the_others_meanwhile() -> None:
    """The old result comes at once while one caller computes the new one; then the new one."""
    began, go_on = threading.Event(), threading.Event()
    with Redis(port=standalone(SERVER).port) as client:
        values = iter("on")

        @redis_cache(redis=client, key=f"stale:{uuid.uuid4().hex}", ttl=0.1, stale=60)
        def value() -> str:
            found = next(values)
            if found == "n":
                began.set()
                assert go_on.wait(10)
            return found

        assert value() == "o"
        time.sleep(0.15)
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(value()))
        thread.start()
        assert began.wait(10)
        try:
            assert [value() for _ in range(3)] == ["o"] * 3
            assert not found
        finally:
            go_on.set()
            thread.join()
        assert (found, value()) == (["n"], "n")


def test_stale_serves_other_tasks_meanwhile() -> None:
    async def main() -> None:
        async with redis_asyncio.Redis(port=standalone(SERVER).port) as client:
            values, began, go_on = iter("on"), asyncio.Event(), asyncio.Event()

            @redis_cache(redis=client, key=f"stale:{uuid.uuid4().hex}", ttl=0.1, stale=60)
            async def value() -> str:
                found = next(values)
                if found == "n":
                    began.set()
                    await asyncio.wait_for(go_on.wait(), 10)
                return found

            assert await value() == "o"
            await asyncio.sleep(0.15)
            task = asyncio.create_task(value())
            await asyncio.wait_for(began.wait(), 10)
            assert [await value() for _ in range(3)] == ["o"] * 3
            assert not task.done()
            go_on.set()
            assert (await task, await value()) == ("n", "n")

    asyncio.run(main())


def test_stale_on_error(slow: Maker) -> None:
    fail = []
    options: dict[str, Any] = {"ttl": 0.1, "stale": 0.6, "stale_on_error": True}
    subject = Counted(slow, lambda: [1 / len(fail)], **options)
    with pytest.raises(ZeroDivisionError):
        subject()
    fail.append(1)
    assert subject() == [1]
    fail.clear()
    time.sleep(0.15)
    assert subject() == subject() == [1]
    assert subject.calls == 4
    time.sleep(0.7)
    with pytest.raises(ZeroDivisionError):
        subject()
    strict = Counted(slow, lambda: 1 / len(fail), ttl=0.1, stale=10)
    fail.append(1)
    strict()
    fail.clear()
    time.sleep(0.15)
    with pytest.raises(ZeroDivisionError):
        strict()


def test_statistics_of_all(few: Maker) -> None:
    subject = Counted(few, given_back, statistics="server")
    other = Counted(few, given_back, statistics="server", key=subject.key)
    for each in (subject, other, subject):
        each(1)
    assert subject.counts() == other.counts() == (2, 1, 1)
    assert subject.cached.__bypass__(1)
    assert other.counts() == (2, 1, 1)


def test_codecs(few: Maker) -> None:
    for codec, value in (
        (PickleCodec(b"0123456789abcdef"), {1, 2}),
        (MsgpackCodec(), {1: b"|"}),
        (DataclassCodec(Setup), SETUPS[0]),
    ):
        for options in ({}, {"ttl": 60}):
            subject = Counted(few, lambda value=value: value, codec=codec, **options)
            assert subject() == subject() == value
            assert subject.calls == 1


def test_what_can_not_be_read_is_computed_anew(few: Maker) -> None:
    key = few.new_key()
    Counted(few, given_back, key=key, codec=MsgpackCodec())(1)
    subject = Counted(few, given_back, key=key)
    assert subject(1) == subject(1) == [[1], []]
    assert subject.calls == 1
    assert subject.counts()[:2] == (1, 1)


def test_marks_are_for_what_was_stored_without_them(redis: Redis) -> None:
    def load(n: int) -> int:
        return value[0]

    value = [1]
    plain: Any = redis_cache(redis=redis, key="deployed")(load)
    marked: Any = redis_cache(redis=redis, key="deployed", tags=lambda n: ["t"] if n else [], prefixes=0)(load)
    assert plain(1) == 1
    value[0] = 2
    assert marked(1) == 2, "no mark says whether it is valid"
    assert marked(0) == 2
    value[0] = 3
    assert (marked(0), marked(1)) == (2, 2), "a call may have no tags"
    marked.invalidate_tag("t")
    assert (marked(0), marked(1)) == (2, 3)


def test_leases_of_the_dead_do_not_pile_up(redis: Redis) -> None:
    cached: Any = redis_cache(redis=redis, key="busy", lease=5)(lambda n: n)
    hour, now = 3_600_000, redis.time()[0] * 1000
    redis.hset("{busy}:flights", mapping={f"dead{n}": f"t{n} {now - hour - 5000} 0 0" for n in range(40)})
    redis.hset("{busy}:flights", "slow", f"t {now - 5000} 0 0")
    redis.pexpire("{busy}:flights", 3 * hour)
    for n in range(100):
        cached(n)
    assert redis.hlen("{busy}:flights") < 5
    assert redis.hexists("{busy}:flights", "slow")
    assert redis.pttl("{busy}:flights") > 2 * hour


def test_stack_overflow_leaves_no_lease(redis: Redis) -> None:
    @redis_cache(redis=redis, key="deep", lease=30)
    def deep(n: int) -> int:
        return n and deep(n - 1) + 1

    with pytest.raises(RecursionError):
        deep(300)
    assert deep(3) == 3
    wait_until(lambda: not redis.exists("{deep}:flights"), "nothing waits for itself")


def test_errors_are_whose_they_are(redis: Redis) -> None:
    def fail(result: Any) -> Any:
        raise FileNotFoundError(result)

    odd: Any = redis_cache(redis=redis, key="odd", cache_if=fail, on_error="compute")(lambda n: n)
    with pytest.raises(FileNotFoundError):
        odd(1)
    divisor = [1]

    @redis_cache(redis=redis, key="bad", ttl=0.05, stale=10, stale_on_error=True)
    def stale(n: int) -> float:
        return n / divisor[0]

    assert stale(1) == 1
    (field,) = redis.hkeys("bad")
    entry: Any = redis.hget("bad", field)
    time.sleep(0.06)
    divisor[0] = 0
    redis.hset("bad", field, entry.partition("|")[0] + "|no JSON")
    with pytest.raises(ZeroDivisionError):
        stale(1)

"""redis_cache() does what functools does, for all processes; and what its arguments say."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from pottery_like import DataclassCodec, MsgpackCodec, PickleCodec, redis_cache
from tests.conftest import Maker
from tests.support.cached import Counted
from tests.support.facade import Loop
from tests.support.servers import FEW, SETUPS, Setup, wait_until


def maker(setup: Setup) -> Iterator[Maker]:
    loop = Loop() if setup.world == "aio" else None
    client = loop.call(setup.client) if loop else setup.client()
    made = Maker(setup, client, loop)
    yield made
    made.close()


@pytest.fixture(params=[FEW[0], FEW[-1]], ids=str)
def slow(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make caches on two set-ups, one with and one without expiry of a hash's fields: for tests that take time."""
    yield from maker(request.param)


@pytest.fixture(params=FEW, ids=str)
def few(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make caches on some set-ups of the matrix."""
    yield from maker(request.param)


def given_back(*args: Any, **kwargs: Any) -> Any:
    return [list(args), [list(item) for item in kwargs.items()]]


def plain(a: Any, b: Any = 2) -> Any:
    return [a, b]


def test_hits_and_misses(make: Maker) -> None:
    subject = Counted(make, given_back)
    assert subject(1, x="ä") == subject(1, x="ä")
    assert subject.counts() == (1, 1, 1) == (1, subject.calls, 1)
    assert subject(1.0, x="ä")[0] == [1]
    assert subject("1", x="ä")[0] == ["1"]
    assert subject.counts() == (2, 2, 2)
    assert subject.cached.__bypass__(1, x="ä")[0] == [1]
    assert subject.counts() == (2, 2, 2)
    assert subject.calls == 3
    assert subject.cached.invalidate(1, x="ä") is True
    assert subject.cached.invalidate(1, x="ä") is False
    subject(1, x="ä")
    assert subject.calls == 4
    subject.cached.cache_clear()
    assert subject.counts() == (0, 0, 0)
    assert not make.run(make.client.exists(subject.key))


small: Any = st.sampled_from([0, 1, -1, -2, 1.0, True, "1", None, "", 2**70])


def shaped(a: Any, b: Any = 2, /, c: Any = "c", *rest: Any, d: Any = None, **more: Any) -> Any:
    return [a, b, c, list(rest), d, [list(item) for item in more.items()]]


def outcome(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        return str(error)


def numbered(value: Any) -> Any:
    """Give equal numbers one text."""
    if isinstance(value, list):
        return list(map(numbered, value))
    return int(value) if isinstance(value, float | bool) else value


@given(
    st.lists(
        st.tuples(st.lists(small, max_size=4), st.dictionaries(st.sampled_from("abcdxy"), small, max_size=3)),
        max_size=12,
    )
)
def test_results_are_those_of_functools(calls: list[tuple[list[Any], dict[str, Any]]]) -> None:
    with SETUPS[0].client() as client:
        ours: Any = redis_cache(redis=client, key="functools")(shaped)
        ours.cache_clear()
        theirs = functools.cache(shaped)
        distinct = set()
        for args, kwargs in calls:
            expected, found = outcome(theirs, args, kwargs), outcome(ours, args, kwargs)
            # Equal, but not alike: 1 and 1.0 have one entry, as they have there.
            assert found == expected
            if isinstance(expected, list):
                distinct.add(str(numbered(expected)))
        info = ours.cache_info()
        assert info.misses == info.currsize == len(distinct)
        assert type(info) is type(theirs.cache_info())
        ours.cache_clear()


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["call", "call", "call", "clear"])), max_size=40))
def test_lru_is_that_of_functools(calls: list[tuple[int, str]]) -> None:
    with SETUPS[0].client() as client:
        ours: Any = redis_cache(redis=client, key="lru", maxsize=3)(abs)
        ours.cache_clear()
        theirs = functools.lru_cache(maxsize=3)(abs)
        for number, what in calls:
            if what == "clear":
                ours.cache_clear()
                theirs.cache_clear()
            else:
                assert ours(number) == theirs(number)
            assert ours.cache_info() == theirs.cache_info()
        ours.cache_clear()


def test_lfu_keeps_what_is_used_often(few: Maker) -> None:
    subject = Counted(few, lambda n: n, maxsize=2, policy="lfu")
    for number in (1, 1, 1, 2, 3, 4, 1):
        subject(number)
    assert subject.calls == 4
    assert subject.counts()[2] == 2


def test_maxsize_zero_keeps_nothing(few: Maker) -> None:
    for size in (0, -1):
        subject = Counted(few, lambda: 1, maxsize=size)
        assert subject() + subject() == subject.calls == 2
        assert subject.cached.cache_info() == (0, 2, 0, 0)


def test_none_is_a_result_and_exceptions_are_not(few: Maker) -> None:
    def fails(error: Any) -> Any:
        if error is not None:
            raise error
        return None

    subject = Counted(few, fails)
    assert subject(None) is subject(None) is None
    assert subject.calls == 1
    error = KeyError("no")
    for kind in (KeyError, StopIteration, ValueError):
        subject = Counted(few, lambda kind=kind: fails(kind("no")))
        for calls in (1, 2):
            with pytest.raises(RuntimeError if kind is StopIteration and few.loop else kind) as raised:
                subject()
            assert raised.value.__context__ is None or few.loop
            assert subject.calls == calls
    assert error.__traceback__ is None


def test_recursion(redis: Redis) -> None:
    @redis_cache(redis=redis, key="fib")
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(80) == 23416728348467685
    assert fib.cache_info()[:2] == (78, 81)
    depth = 0

    @redis_cache(redis=redis, key="self")
    def returns_to_itself(n: int) -> int:
        nonlocal depth
        depth += 1
        return returns_to_itself(n) + 1 if depth < 5 else 0

    started = time.monotonic()
    assert returns_to_itself(1) == 4
    assert time.monotonic() - started < 5, "it doesn't wait for its own lease"
    assert returns_to_itself(1) == 4
    fib.cache_clear()
    returns_to_itself.cache_clear()


def test_functions_on_one_key_do_not_mix(few: Maker) -> None:
    key = few.new_key()
    assert Counted(few, given_back, key=key)(1) != Counted(few, shaped, key=key)(1)
    Counted(few, lambda: 1, key=key)
    with pytest.raises(ValueError, match="another key"):
        Counted(few, lambda: 2, key=key)


class Account:
    def __init__(self, owner: str) -> None:
        self.owner = owner

    def __redis_cache_key__(self) -> str:
        return self.owner


def test_methods(redis: Redis) -> None:
    calls = []

    class Plain:
        @redis_cache(redis=redis, key="methods")
        def method(self, x: int) -> int:
            calls.append(self)
            return x

        @classmethod
        @redis_cache(redis=redis, key="methods", ignore="cls")
        def of_class(cls, x: int) -> int:
            return -x

        @staticmethod
        @redis_cache(redis=redis, key="methods")
        def static(x: int) -> int:
            return x + 1

    one, other = Plain(), Plain()
    assert [one.method(1), one.method(x=1), other.method(1)] == [1, 1, 1]
    assert calls == [one, other], "each its own, like functools"
    assert one.of_class(1) == Plain.of_class(1) == -1
    assert one.static(1) == 2
    assert Plain.method.invalidate(one, 1)
    one.method(1)
    assert calls == [one, other, one]

    @redis_cache(redis=redis, key="methods")
    def balance(self: Account, x: int) -> int:
        calls.append(self)
        return x

    first, second = Account("ada"), Account("ada")
    assert balance(first, 1) == balance(second, 1)
    assert calls[3:] == [first], "known by what identifies it"
    redis.delete("methods")


def test_what_can_not_be_decorated(redis: Redis) -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> Any:
        yield 1

    decorate: Any = redis_cache(key="k")
    for function in (generator, asynchronous, classmethod(abs), staticmethod(abs), 5):
        with pytest.raises(TypeError):
            decorate(function)
    for options in (
        {"redis": 5}, {"timeout": -1}, {"ttl": 0}, {"maxsize": "3"}, {"policy": "fifo"}, {"cache_if": 3}, {"early": -1},
        {"early": 1}, {"stale": 5}, {"stale_on_error": True}, {"tags": "abc"}, {"prefixes": 1.5}, {"lease": 0},
        {"on_error": "ignore"}, {"statistics": True}, {"local": -1}, {"local": 10}, {"ignore": "nobody"}, {"key": ""},
        {"key_builder": 5}, {"key_builder": str, "typed": True}, {"local": 1, "timeout": None, "statistics": "server"},
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            redis_cache(**{"key": "k", **options})(plain)
    with pytest.raises(TypeError, match=r"redis\.asyncio"):
        redis_cache(redis=redis)(asynchronous_function)


async def asynchronous_function() -> None: ...


def test_unhashable_and_unknown_arguments(few: Maker) -> None:
    subject = Counted(few, given_back)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        subject([])
    with pytest.raises(TypeError, match="key_builder="):
        subject(object())
    assert subject.calls == 0
    with pytest.raises(TypeError, match="stored as JSON"):
        Counted(few, lambda: {1, 2})()


def test_arguments_of_the_key(few: Maker) -> None:
    typed = Counted(few, given_back, typed=True)
    assert [typed(1), typed(1.0), typed(True)] == [[[1], []], [[1.0], []], [[True], []]]
    assert typed.calls == 3
    ignored = Counted(few, lambda connection, n: n, ignore=["connection"])
    assert ignored(object(), 1) == ignored([], n=1) == ignored.calls == 1
    built = Counted(few, lambda request: request["page"], key_builder=lambda request: ("page", request["page"]))
    assert built({"page": 1, "at": 1}) == built({"page": 1, "at": 2}) == built.calls == 1
    assert built.cached.invalidate({"page": 1})
    assert built({"page": 2}) == built.calls == 2


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


def test_attributes(redis: Redis) -> None:
    @redis_cache(redis=redis, key="attributes", maxsize=-5)
    def documented(a: int, b: int = 2) -> int:
        """Says what it does."""
        return a + b

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Says what it does."
    assert list(inspect.signature(documented).parameters) == ["a", "b"]
    assert documented.__wrapped__(1) == 3
    assert documented.cache_parameters()["maxsize"] == 0
    assert documented.cache_parameters()["typed"] is False


def test_without_a_key(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    def named() -> int:
        return 1

    named.__module__, named.__qualname__ = "shop.prices", "Item.price"
    cached: Any = redis_cache(redis=redis)(named)
    cached()
    assert redis.hkeys("redis_cache:shop.prices.Item.price") == [b"()"] or redis.hkeys(
        "redis_cache:shop.prices.Item.price"
    ) == ["()"]
    cached.cache_clear()
    # A name that doesn't say which function it is names no cache.
    one: Any = redis_cache(redis=redis)(lambda: 1)
    other: Any = redis_cache(redis=redis)(lambda: 2)
    assert (one(), other(), one()) == (1, 2, 1)
    one.cache_clear()
    other.cache_clear()

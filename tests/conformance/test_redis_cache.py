"""redis_cache() does what functools does, for all processes; and what its arguments say."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from pottery_like import redis_cache
from tests.conftest import Maker
from tests.support.cached import Counted, given_back, plain
from tests.support.servers import SETUPS


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


def at_once(few: Maker, cached: list[Any], *args: Any) -> list[Any]:
    """Call functions from many threads or tasks; return results and exceptions."""
    if few.loop is not None:
        return few.loop.call(
            lambda: asyncio.gather(*(each.cached._cached(*args) for each in cached), return_exceptions=True)
        )
    with ThreadPoolExecutor(len(cached)) as pool:
        calls = [pool.submit(each.cached, *args) for each in cached]
        return [call.exception() or call.result() for call in calls]


class Crowd:
    """Counts who is in it."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    async def enter_later(self) -> None:
        self._add(1)
        await asyncio.sleep(0.3)
        self._add(-1)

    def enter(self) -> None:
        self._add(1)
        time.sleep(0.3)
        self._add(-1)

    def _add(self, change: int) -> None:
        with self._lock:
            self.now += change
            self.most = max(self.most, self.now)


def test_one_computes_for_all(few: Maker) -> None:
    """Two caches of one key don't know of each other, as in two processes."""
    key, crowd = few.new_key(), Crowd()
    pair = [Counted(few, lambda n: n, key=key, pause=crowd) for _ in range(2)]
    assert at_once(few, pair * 5, 7) == [7] * 10
    assert sum(each.calls for each in pair) == crowd.most == 1


@pytest.mark.parametrize("how", ["fails", "is not kept"])
def test_who_waited_for_nothing_waits_no_more(few: Maker, how: str) -> None:
    key, crowd = few.new_key(), Crowd()
    options: dict[str, Any] = {"key": key, "pause": crowd, "cache_if": lambda value: False}
    pair = [Counted(few, lambda n: 1 / 0 if how == "fails" else n, **options) for _ in range(2)]
    found = at_once(few, pair * 4, 7)
    assert all(isinstance(each, ZeroDivisionError) if how == "fails" else each == 7 for each in found)
    assert sum(each.calls for each in pair) == 8
    assert crowd.most >= 4, "they compute side by side"


class Adder:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, n: int) -> int:
        return n + self.number

    def method(self, n: int) -> int:
        return n - self.number


class AwaitedAdder(Adder):
    async def __call__(self, n: int) -> int:  # type: ignore[override]
        return n + self.number


def test_other_callables(redis: Redis) -> None:
    """Objects, bound methods and partial functions don't mix, either."""
    decorate: Any = redis_cache(redis=redis, key="callables")
    made = [
        Adder(1),
        Adder(2),
        Adder(1).method,
        Adder(2).method,
        functools.partial(plain, 5),
        functools.partial(plain, 6),
    ]
    assert [decorate(each)(7) for each in made] == [8, 9, 6, 5, [5, 7], [6, 7]]
    assert redis.hlen("callables") == 6
    assert decorate(functools.partial(plain, 5))(7) == [5, 7]
    assert redis.hlen("callables") == 6
    redis.delete("callables")
    assert inspect.iscoroutinefunction(redis_cache(key="callables")(AwaitedAdder(1)))
    one: Any = redis_cache(redis=redis)(Adder(1).method)
    other: Any = redis_cache(redis=redis)(Adder(2).method)
    assert (one(5), other(5)) == (4, 3)
    one.cache_clear()
    other.cache_clear()

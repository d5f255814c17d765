"""CachedOrderedDict beyond what OrderedDict does: its arguments, its round trips, its expiry, and lost replies."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis as redispy
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

import pottery_like
from pottery_like import AIOCachedOrderedDict, CachedOrderedDict, MsgpackCodec
from pottery_like._core.lua import script
from pottery_like._ops.cachedordereddict import MISS
from pottery_like.exceptions import DecodeError, OutcomeUnknownError, WrongTypeError
from tests.conftest import Maker
from tests.support.facade import Loop, unwrap, wrap
from tests.support.outcome import outcome
from tests.support.proxy import Proxy, proxied
from tests.support.servers import FEW, standalone
from tests.support.strategies import uncarried

few = pytest.mark.parametrize("make", FEW, indirect=True, ids=str)
RETRIES = 3


@pytest.fixture(params=["sync", "aio"])
def world(request: pytest.FixtureRequest) -> Any:
    return request.param


class Bench:
    """A client in one world behind a proxy, and one without."""

    def __init__(self, world: str, proxy: Proxy, retries: int) -> None:
        port = standalone(FEW[0].server).port
        self.direct = redispy.Redis(port=port)
        self.direct.delete("cod")
        for name in ("cached_open", "cached_write", "cached_setdefault", "dict_setdefault"):
            self.direct.script_load(script(name).source)
        self.loop = Loop() if world == "aio" else None
        package: Any = redispy if world == "sync" else redis.asyncio
        retry: Any = (Retry if world == "sync" else redis.asyncio.retry.Retry)(NoBackoff(), retries)
        make = lambda: package.Redis(port=proxy.port, retry=retry)  # noqa: E731
        self.client = make() if self.loop is None else self.loop.call(make)

    def opened(self, keys: Any, **options: Any) -> Any:
        """Return a dict, opened."""
        cls = CachedOrderedDict if self.loop is None else AIOCachedOrderedDict
        subject = cls(redis=self.client, key="cod", dict_keys=keys, **options)
        return subject if self.loop is None else wrap(self.loop, self.loop.run(subject._filled()))

    def stored(self) -> dict[Any, Any]:
        return {json.loads(key): json.loads(value) for key, value in self.direct.hgetall("cod").items()}

    def close(self) -> None:
        self.direct.delete("cod")
        self.direct.close()
        if self.loop is None:
            self.client.close()
        else:
            self.loop.run(self.client.aclose())
            self.loop.close()


@pytest.fixture
def benches(world: str) -> Iterator[Any]:
    made: list[Bench] = []
    with proxied(standalone(FEW[0].server).port) as proxy:

        def make(retries: int = 0) -> tuple[Bench, Proxy]:
            made.append(Bench(world, proxy, retries))
            return made[-1], proxy

        yield make
        for bench in made:
            bench.close()


NUMBERS = {f"k{number}": number for number in range(1000)}


@pytest.mark.parametrize("timeout", [None, 100])
def test_round_trips(benches: Any, timeout: float | None) -> None:
    bench, proxy = benches()
    bench.direct.hset("cod", mapping={f'"{key}"': value for key, value in list(NUMBERS.items())[::2]})
    bench.opened(["connected"], timeout=timeout)

    def trips(action: Any) -> int:
        before = proxy.round_trips
        action()
        return int(proxy.round_trips - before)

    writes = bench.direct.info("commandstats")["cmdstat_hset"]["calls"]
    for count in (1, 100, 1000):
        assert trips(lambda: bench.opened(list(NUMBERS)[:count], timeout=timeout)) == 1  # noqa: B023
    assert bench.direct.info("commandstats")["cmdstat_hset"]["calls"] == writes, "hits aren't written back"
    subject = bench.opened(NUMBERS, timeout=timeout)
    assert trips(subject.misses) == 0
    assert trips(lambda: subject.setdefault("k0", 7)) == 0, "known here"
    assert trips(lambda: subject.setdefault("k1", 7)) == 1
    assert trips(lambda: subject.__setitem__("k3", 3)) == 1
    assert trips(lambda: subject.update(NUMBERS, k5=5)) == 1
    assert trips(lambda: subject.update([])) == 0

    def local() -> None:
        assert (subject["k0"], len(subject), "k1" in subject, subject.get("none")) == (0, 1000, True, None)
        assert list(subject.items()) == list(NUMBERS.items())
        assert subject == OrderedDict(NUMBERS)
        del subject["k1"]
        assert (subject.pop("k2"), subject.popitem()) == (2, ("k999", 999))
        subject.move_to_end("k3")
        assert subject.copy() == unwrap(subject)
        subject.clear()

    assert trips(local) == 0
    assert bench.direct.hlen("cod") == 1000


@few
def test_beyond_a_chunk(make: Maker) -> None:
    items = {f"k{number}": [number] for number in range(2500)}
    subject = make("CachedOrderedDict")
    subject.update(items)
    keys = ["new", *reversed(items), "newer"]
    again = make("CachedOrderedDict", key=subject.key, dict_keys=iter(keys))
    assert unwrap(again)._made_runner.round_trips == 1
    assert list(again) == keys
    assert again.misses() == {"new", "newer"}
    assert all(again[key] == value for key, value in items.items())
    assert 30 < again.ttl() <= 60


def test_lost_replies(benches: Any) -> None:
    """The dict changes only when the write is known to have succeeded."""
    writes: dict[str, Any] = {
        "set": lambda subject: subject.__setitem__("a", 1),
        "setdefault": lambda subject: subject.setdefault("a", 1),
        "update": lambda subject: subject.update({"a": 1}, b=2),
    }
    for retries in (0, RETRIES):
        for timeout in (None, 100):
            bench, proxy = benches(retries)
            for name, write in writes.items():
                bench.direct.delete("cod")
                subject = bench.opened(["x", "a"], timeout=timeout)
                proxy.lose = 1
                if retries:
                    write(subject)
                    assert subject["a"] == 1, name
                else:
                    with pytest.raises(OutcomeUnknownError):
                        write(subject)
                    assert list(subject.items()) == [("x", MISS), ("a", MISS)], name
                assert bench.stored()["a"] == 1
            bench.opened(["connected"], timeout=timeout)
            proxy.lose = 1
            if retries:
                assert bench.opened(["a"], timeout=timeout)["a"] == 1
            else:
                with pytest.raises(OutcomeUnknownError):
                    bench.opened(["a"], timeout=timeout)


@few
def test_a_refused_write_changes_nothing_here(make: Maker) -> None:
    subject = make("CachedOrderedDict", dict_keys=["a"])
    make.run(make.client.set(subject.key, "another type"))
    for write in (
        lambda: subject.__setitem__("a", 1),
        lambda: subject.setdefault("a", 1),
        lambda: subject.update(a=1, b=2),
        lambda: subject.update({"a": 1, "b": float("nan")}),
        *(lambda value=value: subject.__setitem__("a", value) for value in uncarried),
        lambda: subject.setdefault("a", {1}),
        lambda: subject.__setitem__(b"bytes", 1),
    ):
        got, kind = outcome(write)
        assert got == "raises"
        assert issubclass(kind, WrongTypeError | TypeError | ValueError)
        assert list(subject.items()) == [("a", MISS)]
    with pytest.raises(WrongTypeError):
        make("CachedOrderedDict", key=subject.key, dict_keys=["a"])
    assert make.run(make.client.ttl(subject.key)) == -1
    for bad in ([b"bytes"], [[]], ["a", float("nan")]):
        with pytest.raises((TypeError, ValueError)):
            make("CachedOrderedDict", dict_keys=bad)


@few
def test_the_marker_is_never_stored(make: Maker) -> None:
    subject = make("CachedOrderedDict", dict_keys=["a"], timeout=None)
    subject["b"] = MISS
    subject.update({"c": MISS, "d": 1})
    assert subject.setdefault("e", MISS) is MISS
    assert subject.misses() == {"a", "b", "c", "e"}
    assert make("RedisDict", key=subject.key).to_dict() == {"d": 1}
    subject["d"] = MISS
    assert subject.setdefault("d", 2) == 1, "the cache's value"


@few
def test_timeout(make: Maker) -> None:
    subject = make("CachedOrderedDict", dict_keys=["a"], timeout=timedelta(seconds=90))
    assert subject.ttl() is None, "nothing is stored"
    for access in (
        lambda: subject.__setitem__("a", 1),
        lambda: subject.update(b=1),
        lambda: subject.setdefault("c", 1),
        lambda: make("CachedOrderedDict", key=subject.key, dict_keys=["a"], timeout=90),
    ):
        access()
        assert 60 < subject.ttl() <= 90
        subject.expire(5)
    assert subject["a"] == 1, "reading here is no access"
    assert subject.ttl() <= 5
    for none in (None, 0):
        make("CachedOrderedDict", key=subject.key, dict_keys=["a"], timeout=none).setdefault("d", 1)
        assert subject.ttl() <= 5
    assert 59 < expiring(make("CachedOrderedDict")) <= 60, "Pottery's default"
    brief = make("CachedOrderedDict", timeout=0.05)
    brief["a"] = 1
    time.sleep(0.1)
    assert make("CachedOrderedDict", key=brief.key, dict_keys=["a"]).misses() == {"a"}
    for wrong in (-1, float("inf"), "60"):
        with pytest.raises((TypeError, ValueError)):
            make("CachedOrderedDict", timeout=wrong)


def expiring(subject: Any) -> float:
    subject["a"] = 1
    return float(subject.ttl())


@few
def test_codec(make: Maker) -> None:
    subject = make("CachedOrderedDict", dict_keys=["a"], codec=MsgpackCodec())
    subject["a"] = b"\xff"
    assert make("CachedOrderedDict", key=subject.key, dict_keys=["a"], codec=MsgpackCodec())["a"] == b"\xff"
    with pytest.raises(DecodeError):
        make("CachedOrderedDict", key=subject.key, dict_keys=["b", "a"])


@few
def test_arguments(make: Maker) -> None:
    cls: Any = CachedOrderedDict if make.loop is None else AIOCachedOrderedDict
    client, key = make.client, make.new_key()
    assert cls(redis_client=client, redis_key=key, num_tries=5).key == key
    for clash in ({"redis_client": client, "redis": client}, {"redis": client, "redis_key": key, "key": key}):
        with pytest.raises(TypeError, match="not both"):
            cls(**clash)
    with pytest.raises(TypeError):
        cls(client)
    with pytest.raises(TypeError):
        cls(redis=client, dict_keys=3)


@few
def test_fromkeys_and_copies(make: Maker) -> None:
    cls: Any = CachedOrderedDict if make.loop is None else AIOCachedOrderedDict
    key = make.new_key()
    made = cls.fromkeys("ba", 0, redis=make.client, key=key, timeout=50)
    subject = made if make.loop is None else wrap(make.loop, make.run(made._filled()))
    assert list(subject.items()) == [("b", 0), ("a", 0)]
    copied = subject.copy()
    copied["c"] = 1
    assert list(subject) == ["b", "a"]
    assert 30 < subject.ttl() <= 50, "the copy's timeout, too"
    assert make("CachedOrderedDict", key=key, dict_keys="c")["c"] == 1
    for other in (copied, pickle.loads(pickle.dumps(unwrap(copied)))):
        assert unwrap(other) == OrderedDict(b=0, a=0, c=1)
        assert unwrap(other).key == key


def test_anonymous(redis: Any) -> None:
    with CachedOrderedDict(redis=redis, dict_keys=["a"]) as subject:
        subject["a"] = 1
        assert redis.exists(subject.key)
        subject.clear()
        assert redis.exists(subject.key), "clear() leaves the cache alone"
    assert not redis.exists(subject.key)
    with CachedOrderedDict(redis=redis, key="named", dict_keys=["a"]) as subject:
        subject["a"] = 1
    assert redis.delete("named")


def test_is_json(redis: Any) -> None:
    subject = CachedOrderedDict.fromkeys("ab", 1, redis=redis)
    assert json.dumps(subject) == '{"a": 1, "b": 1}'
    assert isinstance(subject, OrderedDict)
    subject["a"] = MISS
    with pytest.raises(TypeError):
        json.dumps(subject)
    CachedOrderedDict(redis=redis, key=subject.key).__exit__(None, None, None)


@few
def test_stored_bytes(make: Maker) -> None:
    """What Pottery 3.0.1 stores for the same items, and reads."""
    items = {1: "one", "a": {"b": [1, None]}, 2.5: True, None: "n", "é": "\u2028"}
    stored = {
        b"1": b'"one"',
        b'"a"': b'{"b": [1, null]}',
        b"2.5": b"true",
        b"null": b'"n"',
        b'"\\u00e9"': b'"\\u2028"',
    }
    subject = make("CachedOrderedDict")
    subject.update(items)
    reply = make.run(make.client.hgetall(subject.key))
    assert {as_bytes(field): as_bytes(value) for field, value in reply.items()} == stored
    assert make("CachedOrderedDict", key=subject.key, dict_keys=items) == items


def as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def test_not_awaited() -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(port=standalone(FEW[0].server).port) as client:
            subject: Any = AIOCachedOrderedDict(redis=client, key="late", dict_keys=["a"])
            for use in (lambda: subject["a"], subject.misses, lambda: pickle.dumps(subject), subject.copy):
                with pytest.raises(RuntimeError, match="await"):
                    use()
            for write in (subject.set("a", 1), subject.setdefault("a", 1), subject.update(a=1)):
                with pytest.raises(RuntimeError, match="await"):
                    await write
            async with subject:
                assert subject.misses() == {"a"}
            with pytest.raises(KeyError):
                subject["b"]
            with pytest.raises(TypeError, match="set"):
                subject["a"] = 1
            with pytest.raises(TypeError, match="update"):
                subject |= {"a": 1}
            await subject.update(await pottery_like.AIORedisDict({"a": 2}, redis=client))
            await subject.update(pottery_like.AIORedisDict(redis=client, key="late"))
            assert subject == {"a": 2}
            await client.delete("late")

    loop = Loop()
    loop.run(main())
    loop.close()


def test_awaited_by_several_tasks() -> None:
    """One of them fills the container; all of them get it filled, or an exception."""

    async def read(subject: Any) -> Any:
        return dict(await subject)

    async def main() -> None:
        async with redis.asyncio.Redis(port=standalone(FEW[0].server).port) as client:
            await client.hset("several", '"a"', "1")
            subject: Any = AIOCachedOrderedDict(redis=client, key="several", dict_keys=["a"])
            assert await asyncio.gather(*(read(subject) for _ in range(3))) == [{"a": 1}] * 3
            await client.set("several", "no hash")
            subject = AIOCachedOrderedDict(redis=client, key="several", dict_keys=["a"])
            failures = await asyncio.gather(*(read(subject) for _ in range(3)), return_exceptions=True)
            assert isinstance(failures[0], WrongTypeError)
            assert [type(each) for each in failures[1:]] == [RuntimeError] * 2
            await client.delete("several")

    asyncio.run(main())

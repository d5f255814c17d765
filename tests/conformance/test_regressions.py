"""Defects that were found by attacking the library, each with what it must do instead."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.connection
from redis.cache import CacheConfig
from redis.exceptions import DataError

import pottery_like
from pottery_like import AIORedisDict, DecodeError, JSONCodec, RedisCounter, RedisDict, RedisList, RedisSet
from tests.conftest import Maker
from tests.support.calls import FILL
from tests.support.processes import Child, fork
from tests.support.servers import SETUPS, standalone

NAMES = sorted(FILL)
OBJECT = b'{"a": 1}'


class Defaulting(RedisDict[str, Any]):
    """A subclass with an attribute, as a ``defaultdict`` has."""

    def __init__(self, factory: Callable[[], Any], *args: Any, **options: Any) -> None:
        self.factory = factory
        super().__init__(*args, **options)

    def __missing__(self, key: str) -> Any:
        value = self[key] = self.factory()
        return value


def test_copies_and_pickles_keep_a_subclasss_attributes(redis: Any) -> None:
    original = Defaulting(list, {"a": 1}, redis=redis, key="defaulting")
    for other in (original.copy(), copy.copy(original), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert other["missing"] == []
        assert other["a"] == 1
        other.clear()


@pytest.mark.parametrize("name", ["RedisDict", "RedisSet", "RedisCounter"])
def test_an_object_in_key_position_cannot_be_decoded(make: Maker, name: str) -> None:
    """Another program's JSON object is no key: it would be unhashable."""
    container = make(name)
    if name == "RedisSet":
        make.run(make.client.sadd(container.key, OBJECT))
        reads = [container.to_set, lambda: list(container), lambda: container.union({1}), container.pop]
    else:
        make.run(make.client.hset(container.key, OBJECT, "1"))
        reads = [container.to_dict, lambda: list(container), lambda: list(container.items()), container.popitem]
    for read in reads:
        with pytest.raises(DecodeError) as caught:
            read()
        assert caught.value.raw == OBJECT
        assert caught.value.key == container.key


def test_what_popitem_removed_comes_with_its_error(make: Maker) -> None:
    for field, raw in ((b"foreign", b"1"), (b'"a"', b"foreign")):
        container = make("RedisDict")
        make.run(make.client.hset(container.key, field, raw))
        with pytest.raises(DecodeError) as caught:
            container.popitem()
        assert pickle.loads(pickle.dumps(caught.value)).item == (field, raw)


def test_editing_names_the_key_of_what_it_cannot_decode(make: Maker) -> None:
    container = make("RedisDict")
    make.run(make.client.hset(container.key, '"a"', "foreign"))
    with pytest.raises(DecodeError, match=container.key):
        container.transform("a", lambda value: value)
    container = make("RedisList")
    make.run(make.client.rpush(container.key, "foreign"))
    with pytest.raises(DecodeError, match=container.key):
        container.transform(0, lambda value: value)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_url_is_no_default(name: str) -> None:
    for cls in (getattr(pottery_like, name), getattr(pottery_like, f"AIO{name}")):
        for argument in ("redis", "redis_url"):
            with pytest.raises(ValueError, match="empty"):
                cls(**{argument: ""})


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_needs_its_methods(redis: Any, name: str) -> None:
    for codec in (1, "json", pickle):
        with pytest.raises(TypeError, match="codec"):
            getattr(pottery_like, name)(redis=redis, codec=codec)


def test_too_long_an_integer_is_named() -> None:
    for value in (10**5000, [10**5000]):
        with pytest.raises(ValueError, match=f"{type(value).__name__} can't be stored"):
            JSONCodec().encode(value)


def test_a_client_side_cache_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    if SETUPS[0].server != "redis":
        # The two that redis-py accepts for a cache differ in nothing that matters here.
        monkeypatch.setattr(redis.connection.CacheProxyConnection, "DEFAULT_SERVER_NAME", SETUPS[0].server)
    monkeypatch.setattr(redis.connection.CacheProxyConnection, "MIN_ALLOWED_VERSION", "6.2.0")
    client = redis.Redis(port=standalone(SETUPS[0].server).port, protocol=3, cache_config=CacheConfig())
    for value in (1, 2):
        d = RedisDict({"a": value}, redis=client, key="cached")
        assert d["a"] == d.get("a") == value
        assert d.to_dict() == {"a": value}
        assert RedisList([value], redis=client)[:] == [value]
        assert RedisSet([value], redis=client).to_set() == {value}
        assert RedisCounter([value], redis=client).to_counter() == {value: 1}
        d.clear()
    client.close()


def test_a_container_that_was_not_filled_says_so_again(redis: Any) -> None:
    RedisDict({"a": 1}, redis=redis, key="there").expire(60)

    async def main() -> None:
        async with SETUPS[0].client() if SETUPS[0].world == "aio" else _aio_client() as client:
            d = AIORedisDict({"b": 2}, redis=client, key="there")
            with pytest.raises(pottery_like.KeyExistsError):
                await d
            for _ in range(2):
                with pytest.raises(RuntimeError, match="failed before"):
                    await d

    asyncio.run(main())
    redis.delete("there")


def _aio_client() -> Any:
    return redis.asyncio.Redis(port=standalone(SETUPS[0].server).port)


class Interrupt(Exception):
    """What a signal handler raises, as KeyboardInterrupt."""


def test_interrupted_greetings_answer_no_command(redis: Any) -> None:
    """A connection interrupted in its greeting isn't kept: the reply would be taken for a command's."""
    d = RedisDict({"a": 1}, redis=redis, key="interrupted")
    connection_class = redis.connection_pool.connection_class
    hello = connection_class.send_command

    class Interrupted(connection_class):  # type: ignore[misc,valid-type]
        times = 0

        def send_command(self, *args: Any, **options: Any) -> None:
            hello(self, *args, **options)
            if Interrupted.times == 0:
                Interrupted.times += 1
                raise Interrupt

    client = type(redis)(port=standalone(SETUPS[0].server).port, protocol=3)
    client.connection_pool.connection_class = Interrupted
    again = RedisDict(redis=client, key="interrupted")
    with pytest.raises(Interrupt):
        again["a"]
    assert again["a"] == 1
    client.close()
    d.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_child_closes_only_its_own_files() -> None:
    """The parent's embedded server is let go of once: its descriptor's number is soon another file's."""
    with pottery_like.embedded() as server:

        def work() -> None:
            mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
            server._process.stdin.close()  # type: ignore[union-attr]  # as the garbage collector does
            for number in mine:
                os.fstat(number)

        Child(fork, work).end()
        assert server.client().ping()


def test_why_an_embedded_server_does_not_start(tmp_path: Path) -> None:
    with pottery_like.embedded(tmp_path) as server:
        server.client().set("a", 1)
    for file in tmp_path.rglob("*.aof"):
        file.write_bytes(b"garbage" * 100)
    with pytest.raises(pottery_like.ServerNotFoundError, match=r"(?s)did not start.*(AOF|append only)"):
        pottery_like.embedded(tmp_path)


class NoCodec:
    """Encodes into what can't be sent."""

    def encode(self, value: Any, /) -> Any:
        return None

    def decode(self, raw: bytes, /) -> Any:
        return raw


def test_a_codec_that_returns_no_bytes_is_no_lost_reply(make: Maker) -> None:
    container = make("RedisList", codec=NoCodec())
    for n in (1, 3000):
        with pytest.raises(DataError):
            container.extend(range(n))
    assert len(container) == 0

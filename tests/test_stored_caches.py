"""What redis_cache() stores stays readable: its format is frozen here."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from redis import Redis

from pottery_like import redis_cache
from tests.support.servers import SETUPS, standalone


def rate(*args: Any, **kwargs: Any) -> list[Any]:
    return [len(args), "ä|"]


rate.__module__, rate.__qualname__ = "shop.bank", "Bank.rate"

CALLS: list[tuple[tuple[Any, ...], dict[str, Any], bytes]] = [
    ((), {}, b"()"),
    (("NOK", None, -1, 1.0, 0.5), {}, b'("NOK",None,-1,1,0.5)'),
    ((("a", (True,)), frozenset([2, 10])), {"z": b"\xff", "a": 1}, b'(("a",(1)),{10,2};;"z"=bff,"a"=1)'),
    ((date(2024, 2, 29), b"\x01", "\U0001f600", 10**30), {}, b'(d2024-02-29,b01,"\\ud83d\\ude00",1%030d)' % 0),
]


@pytest.fixture
def client() -> Any:
    with Redis(port=standalone(SETUPS[0].server).port, db=8) as client:
        client.flushdb()
        yield client


@pytest.mark.parametrize(("args", "kwargs", "text"), CALLS)
def test_fields_and_values(client: Redis, args: tuple[Any, ...], kwargs: dict[str, Any], text: bytes) -> None:
    decorate: Any = redis_cache(redis=client, key="rates")
    decorate(rate)(*args, **kwargs)
    assert client.hgetall("rates") == {b"shop.bank.Bank.rate" + text: b'|[%d, "\\u00e4|"]' % len(args)}
    client.hset("rates", b"shop.bank.Bank.rate" + text, b"|5")
    assert decorate(rate)(*args, **kwargs) == 5
    client.flushdb()
    redis_cache(redis=client)(rate)(*args, **kwargs)
    assert client.hkeys("redis_cache:shop.bank.Bank.rate") == [text], "a key of its own needs no name inside"


def test_long_arguments(client: Redis) -> None:
    redis_cache(redis=client, key="rates")(rate)("x" * 200)
    digest = b"shop.bank.Bank.rate#1e9e2dd1ee45fe2b"
    assert client.hkeys("rates")[0].startswith(digest)
    assert len(client.hkeys("rates")[0]) == len(b"shop.bank.Bank.rate#") + 64


def test_heads(client: Redis) -> None:
    """When it ends, how long it took, the clock, and a row for each prefix and tag."""
    redis_cache(redis=client, key="rates", ttl=60, tags=["t"], prefixes=1)(rate)("NOK")
    (value,) = client.hvals("rates")
    found = re.fullmatch(rb'(\d{13}) (\d+) (\d{16}) (p\w{20}) (p\w{20}) (t\w{20})\|\[1, "\\u00e4\|"\]', value)
    assert found
    assert client.hgetall("{rates}:marks") == {b"": found[3], b"*": found[3]}
    assert not client.exists("{rates}:flights", "{rates}:order", "{rates}:statistics")

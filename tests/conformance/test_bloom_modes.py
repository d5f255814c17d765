"""Filters that grow, filters that forget, and how often all of them say yes by mistake."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis.asyncio
from redis import Redis

from pottery_like import AIOBloomFilter, BloomFilter, FilterFullError
from tests.support.facade import Loop, wrap
from tests.support.servers import SERVER_WORLDS, programs, standalone

ABSENT = 100_000
WINDOW = 0.4
SERVERS = sorted(programs())


@pytest.fixture(params=SERVERS)
def client(request: pytest.FixtureRequest) -> Iterator[Redis]:
    client = Redis(port=standalone(request.param).port, db=7)
    yield client
    client.flushdb()
    client.close()


# How often a filter is wrong is the hashes' doing, not the server's.
alone = pytest.mark.parametrize("client", SERVERS[-1:], indirect=True)
each_world = pytest.mark.parametrize(("client", "world"), SERVER_WORLDS, indirect=["client"])


def rate(subject: BloomFilter[Any]) -> float:
    """Return the share of absent elements that are found."""
    return sum(subject.contains_many(*(f"absent {n}" for n in range(ABSENT)))) / ABSENT


@alone
@pytest.mark.parametrize("promise", [0.05, 0.01, 0.001])
def test_rate(client: Redis, promise: float) -> None:
    elements = [f"present {n}" for n in range(20_000)]
    subject = BloomFilter(elements, num_elements=20_000, false_positives=promise, redis=client, key="rate")
    assert all(subject.contains_many(*elements))
    assert abs(len(subject) - 20_000) < 200
    # Pottery rounds the number of hash functions up, which costs up to 2.3 % here; then three standard deviations.
    assert rate(subject) < promise * 1.023 + 3 * (promise / ABSENT) ** 0.5


@alone
@pytest.mark.parametrize(("first", "promise", "final"), [(1, 0.01, 7000), (1000, 0.01, 15_000), (100, 0.001, 3000)])
def test_scalable_keeps_its_rate(client: Redis, first: int, promise: float, final: int) -> None:
    elements = [f"present {n}" for n in range(final)]
    subject = BloomFilter(
        elements, num_elements=first, false_positives=promise, scalable=True, redis=client, key="scalable"
    )
    assert all(subject.contains_many(*elements))
    assert final * (1 - promise) - 1 <= len(subject) <= final
    assert rate(subject) < promise + 3 * (promise / ABSENT) ** 0.5


def test_scalable_counts_what_was_new(client: Redis) -> None:
    subject = BloomFilter(num_elements=1000, false_positives=0.001, scalable=True, redis=client, key="scalable")
    new = [subject.add(n // 2) for n in range(2400)]
    assert new[1::2] == [False] * 1200
    assert sum(new) == len(subject)
    assert subject.update([1, 2, 3, "x", "x"]) is None
    assert len(subject) == sum(new) + 1
    assert client.hgetall("{scalable}:parameters")[b"stage"] == b"2"


def test_scalable_is_full_at_the_end(client: Redis) -> None:
    """Nothing is written then: the state is set up by hand, as really filling it takes 512 MB."""
    subject = BloomFilter(
        ["a"], num_elements=100_000_000, false_positives=0.01, scalable=True, redis=client, key="full"
    )
    state = {"stage": 2, "count": 200_000_000 - 1}
    client.hset("{full}:parameters", mapping=state)
    with pytest.raises(FilterFullError) as caught:
        subject.update(["b", "c"])
    assert isinstance(caught.value, OverflowError)
    assert list(subject.contains_many("a", "b", "c")) == [True, False, False]
    assert len(subject) == 300_000_000 - 1
    client.unlink("full")


@each_world
def test_window(client: Redis, world: str) -> None:
    loop = Loop() if world == "aio" else None
    options: dict[str, Any] = {"num_elements": 1000, "false_positives": 0.01, "window": WINDOW, "key": "window"}
    subject: Any
    if loop is None:
        subject = BloomFilter(["a"], redis=client, **options)
    else:
        aioclient: Any = loop.call(lambda: redis.asyncio.Redis.from_url(url_of(client)))
        subject = wrap(loop, AIOBloomFilter(redis=aioclient, **options))
        subject.update(["a"])
    started = time.monotonic()
    subject.add("a")
    added = time.monotonic()
    assert "a" in subject
    assert len(subject) == 1
    seen = True
    while seen:
        before = time.monotonic()
        subject.add("b")
        time.sleep(0.02)
        found = "b" in subject
        assert found or time.monotonic() - before > WINDOW, "what is added again stays"
        asked = time.monotonic()
        seen = "a" in subject
        assert not seen or asked - added < 2 * WINDOW, "forgotten after two windows at most"
    assert time.monotonic() - started >= WINDOW, "kept for one window at least"
    assert subject.add("a") is True
    assert subject.ttl() <= 2 * WINDOW
    for call in (subject.persist, lambda: subject.expire(5)):
        with pytest.raises(TypeError, match="expires by itself"):
            call()
    time.sleep(2 * WINDOW + 0.05)
    assert not client.exists("window", "{window}:parameters", "{window}:odd"), "an idle filter leaves nothing behind"
    assert subject.ttl() is None
    if loop is not None:
        loop.run(aioclient.aclose())
        loop.close()


@alone
def test_window_keeps_its_rate(client: Redis) -> None:
    """With both halves as full as they may be: the first is moved by hand to where the next period leaves it."""
    keys = ["window", "{window}:odd"]
    subject = BloomFilter[str](num_elements=5000, false_positives=0.01, window=10**7, redis=client, key="window")
    subject.update([f"first {n}" for n in range(5000)])
    [current] = [key for key in keys if client.exists(key)]
    [other] = set(keys) - {current}
    client.rename(current, other)
    names = {"window": "even", "{window}:odd": "odd"}
    period = int(client.hget("{window}:parameters", names[current]))  # type: ignore[arg-type]
    client.hset("{window}:parameters", names[other], str(period - 1))
    client.hdel("{window}:parameters", names[current])
    subject.update([f"second {n}" for n in range(5000)])
    assert client.exists(*keys) == 2
    assert all(subject.contains_many("first 0", "second 0", "first 4999", "second 4999"))
    assert subject.add("first 1") is False
    assert abs(len(subject) - 10_000) < 300
    assert rate(subject) < 0.01 + 3 * (0.01 / ABSENT) ** 0.5


def test_pottery_filter_is_not_taken_for_another_kind(client: Redis) -> None:
    options: dict[str, Any] = {"num_elements": 100, "false_positives": 0.01, "redis": client, "key": "kinds"}
    client.setbit("kinds", 5, 1)
    for mode in ({"scalable": True}, {"window": 5}):
        subject = BloomFilter(**options, **mode)  # type: ignore[arg-type]
        for call in (lambda: subject.add(1), lambda: 1 in subject):  # noqa: B023
            with pytest.raises(ValueError, match=r"holds no (scalable|window) filter"):
                call()


@pytest.mark.parametrize("n", [3 * 2**29, 2**32 // 7])
def test_several_strings(client: Redis, n: int) -> None:
    """A filter of more than 2**32 bits; only a few of them are touched, near the strings' beginnings."""
    subject = BloomFilter(num_elements=n, false_positives=0.01, redis=client, key="strings")
    ops = subject._ops
    assert ops.strings == -(-subject.size() // 2**32) > 1
    assert len(ops.keys) == ops.strings + 1
    small: dict[bytes, list[int]] = {}

    def positions(text: bytes) -> list[int]:
        # Real positions would make the strings gigabytes long.
        spread = [position % 2**32 % 1000 + position // 2**32 * 2**32 for position in real(text)]
        small[text] = spread
        return spread

    real, ops.positions = ops.positions, positions  # type: ignore[method-assign]
    assert subject.add("a") is True
    assert subject.add("a") is False
    subject.update(range(20))
    assert all(subject.contains_many("a", *range(20)))
    assert "b" not in subject
    for string in range(ops.strings):
        key = ops.keys[string + 1] if string else ops.keys[0]
        mine = {position % 2**32 for spread in small.values() for position in spread if position // 2**32 == string}
        theirs = {position for position in range(1000) if client.getbit(key, position)}
        assert theirs <= mine
        assert theirs
    assert subject.expire(100)
    assert all(99_000 < client.pttl(key) <= 100_000 for key in ops.keys)
    subject.update(range(20, 40))
    assert all(98_000 < client.pttl(key) <= 100_000 for key in ops.keys)
    other = BloomFilter(num_elements=n, false_positives=0.01, redis=client, key="other")
    other._ops.positions = positions  # type: ignore[method-assign]
    other.update(["z", 1])
    union, common = subject | other, subject & other
    union._ops.positions = common._ops.positions = positions  # type: ignore[method-assign]
    assert all(union.contains_many("a", "z", *range(40)))
    assert list(common.contains_many("a", 1)) == [False, True]
    far = BloomFilter(num_elements=n, false_positives=0.01, redis=Redis.from_url(url_of(client)), key="far")
    far._ops.positions = positions  # type: ignore[method-assign]
    far.update(subject, ["y"])
    assert all(far.contains_many("a", "y", *range(40)))
    assert len(subject.copy()) == len(subject) > 0
    subject.clear()
    assert client.exists(*ops.keys) == 0
    far.redis.close()


def url_of(client: Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/7"


def test_large_filter_elsewhere(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a page, a filter elsewhere is read and written page by page."""
    monkeypatch.setattr("pottery_like._ops.bloom.PAGE", 1000)
    options: dict[str, Any] = {"num_elements": 5000, "false_positives": 0.01}
    elsewhere = Redis.from_url(url_of(client))
    first = BloomFilter(range(2000), redis=client, key="first", **options)
    second = BloomFilter(range(1000, 3000), redis=elsewhere, key="second", **options)
    assert all((first | second).contains_many(*range(3000)))
    first &= second
    assert all(first.contains_many(*range(1000, 2000)))
    assert sum(first.contains_many(*range(1000))) < 20
    assert not list(client.scan_iter("*far*"))
    elsewhere.close()

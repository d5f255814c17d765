"""FlipCache's local tier and what it is told: in both worlds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import cachetools
import pytest

from pottery_like import DecodeError
from pottery_like._core.local import LocalTier
from tests.support.flip import Flips, flips
from tests.support.servers import SETUPS


@pytest.fixture(params=[SETUPS[0], SETUPS[-1]], ids=str)
def flip(request: pytest.FixtureRequest) -> Iterator[Flips]:
    with flips(request.param) as made:
        yield made


@pytest.mark.parametrize("eviction", ["fifo", "lru", "lfu", "mapping"])
def test_eviction(flip: Flips, eviction: str) -> None:
    def filled() -> Any:
        cache = flip(local_max=3, eviction={} if eviction == "mapping" else eviction)
        for key in "abc":
            cache[key] = key
        kept.append(dict(cache.local))
        assert (cache["a"], cache["a"], cache["b"]) == ("a", "a", "b")
        cache["d"] = "d"
        kept.append(set(cache.local))
        return cache

    left = {"fifo": set("bcd"), "lru": set("abd"), "lfu": set("abd"), "mapping": set("abcd")}[eviction]
    for _ in range(3):
        kept: list[Any] = []
        cache = filled()
        # A young cluster still changes its shape, and then everything is dropped.
        if kept == [{"a": "a", "b": "b", "c": "c"}, left]:
            break
    assert kept == [{"a": "a", "b": "b", "c": "c"}, left]
    assert {cache[key] for key in "abcd"} == set("abcd")
    flip.raw.set(f"{cache.name}:b", "B")
    flip.until(lambda: cache["b"] == "B", "a change is followed")
    assert cache.stats().evictions >= (0 if eviction == "mapping" else 1)


class Failing(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        raise RuntimeError("no room")


def test_mappings_of_the_users(flip: Flips, monkeypatch: pytest.MonkeyPatch) -> None:
    sized = cachetools.LRUCache[str, str](10, getsizeof=len)
    cache = flip(eviction=sized)
    for key in ("aaaa", "bbbb", "cccc"):
        cache[key] = key
    assert dict(sized) == {"bbbb": "bbbb", "cccc": "cccc"}
    cache["large"] = "l" * 11
    assert (cache["missing"], cache["large"], cache["aaaa"]) == (None, "l" * 11, "aaaa")
    assert dict(cache.local) == dict(sized) == {"cccc": "cccc", "aaaa": "aaaa"}
    flip.raw.set(f"{cache.name}:aaaa", "A")
    flip.until(lambda: cache["aaaa"] == "A", "a change is followed")

    timed = flip(eviction=cachetools.TLRUCache(10, ttu=lambda key, value, now: now + (0 if key == "x" else 60)))
    timed["x"], timed["y"] = "1", "2"
    assert (timed["x"], timed["y"], "x" in timed.local, timed.local["y"]) == ("1", "2", False, "2")

    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: seen.append(told.exc_value))
    failing = flip(eviction=Failing())
    failing["a"] = "x"
    assert (failing["a"], failing["b"], failing.get("a"), dict(failing.local)) == ("x", None, "x", {})
    assert len(seen) == 1
    with pytest.raises(TypeError, match=r"LRUCache\(\.\.\.\)"):
        flip(eviction=cachetools.LRUCache)


def test_without_coherence(flip: Flips) -> None:
    cache = flip(coherence=None, expire_time=0.3)
    assert cache["k"] is None
    cache["k"] = "v"
    flip.raw.set(f"{cache.name}:k", "w", px=300)
    assert cache["k"] == "v", "nobody listens"
    time.sleep(0.31)
    assert cache["k"] is None, "but its time is kept"
    flip.raw.set(f"{cache.name}:k", "x")
    assert cache["k"] == "x", "and missing keys are not remembered"


@pytest.mark.parametrize("eviction", ["fifo", "lru"])
def test_no_hit_past_the_deadline_when_the_sweep_is_late(
    flip: Flips, eviction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalTier, "sweep", lambda *_: math.inf)
    cache = flip(eviction=eviction)
    cache.set("k", "v", ttl=0.2)
    reads = cache.stats().remote_hits
    assert (cache["k"], cache["k"], cache.get("k")) == ("v", "v", "v")
    assert cache.stats().remote_hits == reads, "it is in memory"
    time.sleep(0.21)
    assert (cache["k"], cache.get("k")) == (None, None)


def test_lifetimes_that_no_key_can_have(flip: Flips) -> None:
    longest = 2**62 / 1000
    cache = flip(expire_time=longest, value_type="int", refresh_expire_time_on_get=True)
    cache["a"] = 1
    cache.set_many({"b": 1}, ttl=longest)
    assert (cache.increment("c"), cache.setdefault("d", 2), cache.get_or_set("e", lambda: 3)) == (1, 2, 3)
    cache.set("f", 4, tags=["t"])
    assert cache.touch("a", longest)
    assert cache.get_many("abcdef") == {"a": 1, "b": 1, "c": 1, "d": 2, "e": 3, "f": 4}
    for wrong in (2e19 / 1000, 1e300):
        with pytest.raises(ValueError, match="at most"):
            flip(expire_time=wrong)
        with pytest.raises(ValueError, match="at most"):
            cache.set("a", 2, ttl=wrong)
    flip.until(lambda: cache["a"] == 1 and "a" in cache.local, "it is kept")
    assert ("x" in cache.local, cache.local.get("a"), cache.local == []) == (False, 1, False)


def test_publishing(flip: Flips) -> None:
    """Caches that publish follow each other; the messages are PubSubRedisDict's."""
    told: list[tuple[str, Any]] = []
    cache = flip(
        coherence="pubsub", on_update=lambda key: told.append(("+", key)), on_delete=lambda key: told.append(("-", key))
    )
    cache.listen()
    listener = flip.raw.pubsub()
    listener.subscribe(f"{cache.name}/update", f"{cache.name}/delete")
    for _ in range(2):
        assert listener.get_message(timeout=5)["type"] == "subscribe"
    other = flip(cache.name, coherence="pubsub")
    assert cache["k"] is None
    other["k"] = "v"
    # What was read before the message came is dropped by it.
    flip.until(lambda: cache["k"] == "v" and cache.local == {"k": "v"}, "an update is heard, and the value kept")
    other.set_many({"k": "w", "l": "x"})
    flip.until(lambda: cache["k"] == "w", "so is one of many")
    other.get_or_set("made", lambda: "it")
    # Each key's latest change is told: what is deleted at once was never there.
    flip.until(lambda: {("+", "k"), ("+", "l"), ("+", "made")} == set(told), "callbacks are told of updates")
    del other["k"]
    flip.until(lambda: cache["k"] is None, "a deletion is heard")
    other.pop("l")
    flip.until(lambda: {("-", "k"), ("-", "l")} < set(told), "callbacks are told")
    assert {("+", "k"), ("+", "l"), ("+", "made"), ("-", "k"), ("-", "l")} == set(told)
    heard = [listener.get_message(timeout=5) for _ in range(6)]
    # In a cluster they come from several servers.
    assert sorted((each["channel"].rpartition(b"/")[2], each["data"]) for each in heard) == [
        (b"delete", b"k"), (b"delete", b"l"),
        (b"update", b"k"), (b"update", b"k"), (b"update", b"l"), (b"update", b"made"),
    ]  # fmt: skip
    listener.close()


def test_callbacks(flip: Flips) -> None:
    told: list[tuple[str, Any]] = []
    cache = flip(
        local_max=0,
        key_type="int",
        on_update=lambda key: told.append(("+", key)),
        on_delete=lambda key: told.append(("-", key)),
    )
    cache.listen()
    flip.raw.set(f"{cache.name}:1", "x")
    flip.until(lambda: ("+", 1) in told, "an update is told")
    flip.raw.delete(f"{cache.name}:1")
    flip.until(lambda: ("-", 1) in told, "a deletion is told")
    cache[2] = "own"
    flip.until(lambda: ("+", 2) in told, "one's own change is told")
    flip.raw.set(f"{cache.name}:3", "x", px=1)
    flip.until(lambda: ("-", 3) in told, "an expiry is told")


def test_bad_values_change_nothing(flip: Flips) -> None:
    cache = flip(value_type="json")
    cache["k"] = "good"
    loop: list[Any] = []
    loop.append(loop)
    for wrong in (float("nan"), {1, 2}, object(), loop):
        with pytest.raises((TypeError, ValueError)):
            cache["k"] = wrong
        with pytest.raises((TypeError, ValueError)):
            cache.set_many({"a": 1, "k": wrong})
    assert cache == {"k": "good"}
    for wrong in (["a"], {}, {1}):
        with pytest.raises(TypeError):
            cache[wrong]
        with pytest.raises(TypeError):
            cache[wrong] = 1
    for ttl in (0, -1, math.nan, "5", True):
        with pytest.raises((TypeError, ValueError)):
            cache.set("k", 1, ttl=ttl)
    numbers = flip(value_type="int")
    for wrong in ("x", 1.5, None, [1], math.inf):
        with pytest.raises((TypeError, ValueError)):
            numbers["k"] = wrong
    flip.raw.set(f"{numbers.name}:k", "not a number")
    with pytest.raises(DecodeError, match="not a number"):
        numbers["k"]
    assert flip.raw.get(f"{cache.name}:k") == b'"good"'


def test_stats(flip: Flips) -> None:
    cache = flip(count_hits=True, local_max=2)
    cache["k"] = "v"
    assert [cache[key] for key in ("k", "k", "none")] == ["v", "v", None]
    stats = cache.stats()
    assert (stats.local_hits, stats.remote_hits, stats.misses, stats.size) == (2, 0, 1, 1)
    flip.raw.set(f"{cache.name}:k", "w")
    flip.until(lambda: cache["k"] == "w", "a change is followed")
    cache["l"], cache["m"] = "1", "2"
    flip.until(lambda: [cache[key] for key in "klm"] and cache.stats().evictions >= 1, "there is no room for three")
    stats = cache.stats()
    assert stats.remote_hits >= 1
    assert stats.invalidations >= 1
    assert stats.evictions >= 1
    assert (stats.reconnects, stats.conflicts, stats.dirty) == (0, 0, 0)
    remote = flip(local_max=0, loader=lambda key: key * 2)
    assert [remote[key] for key in ("a", "a", "b")] == ["aa", "aa", "bb"]
    with pytest.raises(ZeroDivisionError):
        remote.get_or_set("c", lambda: 1 // 0)
    assert remote.stats()[1:3] == (1, 3)

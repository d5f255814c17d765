"""FlipCache's write-back policy, in both worlds."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pottery_like import FlipConflictWarning, WrongTypeError
from tests.support.flip import Flips, flips
from tests.support.servers import SETUPS


@pytest.fixture(params=[SETUPS[0], SETUPS[-1]], ids=str)
def flip(request: pytest.FixtureRequest) -> Iterator[Flips]:
    with flips(request.param) as made:
        yield made


def stored(flip: Flips, cache: Any, *keys: str) -> list[bytes | None]:
    return [flip.raw.get(f"{cache.name}:{key}") for key in keys]


def test_values_are_written_later(flip: Flips) -> None:
    cache = flip(write="back", flush_interval=None)
    cache["a"] = "1"
    cache["a"] = "2"
    cache[1] = "one"
    assert (cache["a"], cache.get("a"), cache["1"], cache.get_many(["a", "b"])) == ("2", "2", "one", {"a": "2"})
    assert stored(flip, cache, "a", "1") == [None, None]
    assert cache.stats().dirty == 2
    cache.flush()
    assert stored(flip, cache, "a", "1") == [b"2", b"one"]
    assert cache.stats().dirty == 0
    del cache["a"]
    assert cache["a"] is None
    assert "a" not in cache
    assert stored(flip, cache, "a") == [b"2"]
    cache.flush()
    assert stored(flip, cache, "a") == [None]
    cache.set_many({str(number): "v" for number in range(30)}, x="y")
    assert cache.stats().dirty == 31
    assert len(cache) == 31, "what the server is asked about is written first"
    assert cache.stats().dirty == 0
    cache["x"] = "z"
    assert cache.pop("x") == "z"
    cache["x"] = "z"
    cache.clear()
    assert cache == {}
    assert cache.stats().dirty == 0


def test_too_many_are_written_at_once(flip: Flips) -> None:
    cache = flip(write="back", dirty_max=3, flush_interval=None, local_max=2)
    for key in "abc":
        cache[key] = key
    assert stored(flip, cache, *"abc") == [b"a", b"b", b"c"]
    cache["d"] = "d"
    assert (cache.stats().dirty, cache["d"], cache["a"]) == (1, "d", "a")


def test_and_after_a_while(flip: Flips) -> None:
    cache = flip(write="back", flush_interval=0.03)
    for value in ("1", "2"):
        cache["a"] = value
        flip.until(lambda value=value: stored(flip, cache, "a") == [value.encode()], "it is written")
        flip.until(lambda: cache.stats().dirty == 0, "it is settled")


def test_what_replaces_something_unread_is_read_once(flip: Flips) -> None:
    cache = flip(write="back", flush_interval=None)
    flip.raw.set(f"{cache.name}:a", "old")
    cache["a"] = "new"
    cache.flush()
    assert stored(flip, cache, "a") == [b"new"]


def test_conflicts(flip: Flips) -> None:
    """Somebody else's value stays, and the own one is reported."""
    found: list[Any] = []
    cache = flip(write="back", flush_interval=None, on_conflict=found.append, value_type="json")
    for key in "abcdef":
        cache[key] = "known"
    cache.flush()
    for key in "abcde":
        cache[key] = {"mine": "x" * 50}
    del cache["f"]
    raw, name = flip.raw, cache.name
    raw.set(f"{name}:a", '"theirs"')
    raw.delete(f"{name}:b")
    raw.set(f"{name}:c", "no JSON")
    raw.set(f"{name}:e", '{"mine": "' + "x" * 50 + '"}')
    raw.set(f"{name}:f", '"theirs"')
    cache["g"] = "mine"
    raw.set(f"{name}:g", '"theirs"')
    cache.flush()
    mine = {"mine": "x" * 50}
    assert sorted(found) == [
        ("a", mine, "theirs"), ("b", mine, None), ("c", mine, b"no JSON"),
        ("f", None, "theirs"), ("g", "mine", "theirs"),
    ]  # fmt: skip
    assert (cache["a"], cache["b"], cache["d"], cache["e"], cache["f"]) == ("theirs", None, mine, mine, "theirs")
    assert cache.stats().conflicts == 5
    assert cache.stats().dirty == 0
    cache["a"] = "again"
    cache.flush()
    assert cache["a"] == "again"
    assert len(found) == 5


def test_a_key_of_another_type_holds_up_no_other(flip: Flips) -> None:
    found: list[Any] = []
    cache = flip(write="back", flush_interval=None, on_conflict=found.append)
    cache["gone"] = "v"
    cache.flush()
    cache.set_many(dict.fromkeys("abc", "mine"))
    del cache["gone"]
    for key in ("b", "gone"):
        flip.raw.delete(f"{cache.name}:{key}")
        flip.raw.rpush(f"{cache.name}:{key}", "theirs")
    cache.flush()
    assert sorted(found) == [("b", "mine", None), ("gone", None, None)]
    assert (cache["a"], cache["c"], cache.stats().dirty) == ("mine", "mine", 0)
    assert flip.raw.lrange(f"{cache.name}:gone", 0, -1) == [b"theirs"]
    with pytest.raises(WrongTypeError):
        cache["b"]


def test_conflicts_warn(flip: Flips) -> None:
    cache = flip(write="back", flush_interval=None)
    cache["a"] = "mine"
    flip.raw.set(f"{cache.name}:a", "theirs")
    with pytest.warns(FlipConflictWarning, match="'mine' was not written"):
        cache.flush()


def test_lifetimes(flip: Flips) -> None:
    found: list[Any] = []
    cache = flip(write="back", flush_interval=None, expire_time=0.3, on_conflict=found.append)
    cache["a"] = "1"
    time.sleep(0.05)
    cache.flush()
    assert 0 < flip.raw.pttl(f"{cache.name}:a") <= 260, "the time counts from when it was set"
    cache.set("b", "2", ttl=0.1)
    flip.pause(0.12)
    time.sleep(0.12)
    flip.pause(0.05)
    assert cache["b"] is None
    cache.flush()
    assert stored(flip, cache, "b") == [None]
    # What it replaces has expired by itself: nobody else has changed it.
    cache.set("c", "old", ttl=0.15)
    cache.flush()
    assert cache["c"] == "old"
    cache.set("c", "new", ttl=100)
    time.sleep(0.2)
    cache.flush()
    assert stored(flip, cache, "c") == [b"new"]
    assert found == []


def test_a_key_to_be_removed_has_no_value(flip: Flips) -> None:
    cache = flip(write="back", flush_interval=None, value_type="int", value_default=0)
    cache["a"] = 5
    del cache["a"]
    assert (cache.get("a", "mine"), cache["a"], "a" in cache) == ("mine", 0, False)
    cache.flush()
    assert (cache.get("a", "mine"), "a" in cache) == ("mine", False)


def test_every_conflict_is_told_even_if_telling_fails(flip: Flips) -> None:
    told: list[Any] = []

    def fail(conflict: Any) -> None:
        told.append(conflict.key)
        raise ZeroDivisionError(conflict.key)

    cache = flip(write="back", flush_interval=None, on_conflict=fail)
    for key in "ab":
        cache[key] = "mine"
        flip.raw.set(f"{cache.name}:{key}", "theirs")
    with pytest.raises(ZeroDivisionError):
        cache.flush()
    assert sorted(told) == ["a", "b"]
    later = flip(write="back", flush_interval=0.02, on_conflict=fail)

    def overtaken() -> bool:
        later["c"] = "mine"
        flip.raw.set(f"{later.name}:c", "theirs")
        flip.pause(0.02)
        return any(issubclass(each.category, RuntimeWarning) for each in heard)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        flip.until(overtaken, "the background flush says what has failed")
    assert "on_conflict, has failed: ZeroDivisionError" in str(heard[-1].message)
    with suppress(ZeroDivisionError):
        later.flush()


def test_own_writes_are_no_conflicts() -> None:
    """A value is flushed by one thread while another one changes it."""
    with flips(SETUPS[0]) as flip:
        found: list[Any] = []
        cache = flip(write="back", flush_interval=None, on_conflict=found.append)
        done = threading.Event()

        def flush() -> None:
            while not done.is_set():
                cache.flush()

        thread = threading.Thread(target=flush)
        thread.start()
        for number in range(1500):
            cache["a"] = str(number)
        done.set()
        thread.join()
        cache.flush()
        assert (found, stored(flip, cache, "a")) == ([], [b"1499"])


def test_a_flush_between_looking_and_changing() -> None:
    with flips(SETUPS[0]) as flip:
        found: list[Any] = []
        cache = flip(write="back", flush_interval=None, on_conflict=found.append)
        change = cache._back.set("a", "second", None)
        reply = cache._step(next(change))
        cache["a"] = "first"
        cache.flush()
        cache._tier.drop()
        again = change.send(reply)
        with pytest.raises(StopIteration):
            change.send(cache._step(again))
        cache.flush()
        assert (found, stored(flip, cache, "a")) == ([], [b"second"])


def test_a_lost_reply_and_a_newer_value() -> None:
    """Whether the older one was written isn't known: the newer one must find its way all the same."""
    with flips(SETUPS[0]) as flip:
        found: list[Any] = []
        cache = flip(write="back", flush_interval=None, on_conflict=found.append)
        for written in (True, False):
            cache["a"] = f"first {written}"
            flush = cache._back.flush()
            step = next(flush)
            if written:
                cache._step(step)
            with pytest.raises(ConnectionError):
                flush.throw(ConnectionError())
            cache["a"] = f"second {written}"
            cache.flush()
            assert (found, stored(flip, cache, "a")) == ([], [f"second {written}".encode()])
            assert cache.stats().dirty == 0


@pytest.mark.parametrize(
    "options", [{"local_max": 0}, {"eviction": {}}, {"dirty_max": 0}, {"write": "sideways"}, {"flush_interval": 0}]
)
def test_no_such_settings(flip: Flips, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"write|dirty_max|flush_interval"):
        flip(**{"write": "back", **options})

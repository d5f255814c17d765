"""FlipCache's methods, in both worlds and on all kinds of servers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pottery_like import DecodeError, FlipCache, JSONCodec, PickleCodec, et
from tests.support.flip import Flips, flips
from tests.support.servers import SETUPS


@pytest.fixture(params=SETUPS, ids=str)
def everywhere(request: pytest.FixtureRequest) -> Iterator[Flips]:
    with flips(request.param) as made:
        yield made


@pytest.fixture(params=[SETUPS[0], SETUPS[-1]], ids=str)
def flip(request: pytest.FixtureRequest) -> Iterator[Flips]:
    with flips(request.param) as made:
        yield made


def test_basics(everywhere: Flips) -> None:
    """What the page on FlipCache begins with, on the whole matrix; and that others' changes are followed."""
    flip = everywhere
    cache, raw = flip(), flip.raw
    cache["a"] = "x"
    assert raw.get(f"{cache.name}:a") == b"x"
    assert cache["a"] == "x"
    assert cache["b"] is None
    # A young cluster still changes its shape, and then everything is dropped.
    flip.until(lambda: (cache["a"], cache["b"]) == ("x", None) and cache.local == {"a": "x"}, "the value is kept")
    raw.set(f"{cache.name}:a", "changed")
    raw.set(f"{cache.name}:b", "appeared")
    flip.until(lambda: (cache["a"], cache["b"]) == ("changed", "appeared"), "changes are followed")
    flip.until(lambda: (cache["a"], cache["b"]) and cache.local == {"a": "changed", "b": "appeared"}, "they are kept")
    raw.delete(f"{cache.name}:a")
    flip.until(lambda: "a" not in cache.local, "deletion is followed")
    assert cache["a"] is None
    assert ("a" in cache, "b" in cache, cache.get("a", 5), cache.get("b")) == (False, True, 5, "appeared")
    cache.set_many({"c": "1", "d": "2"}, e="3")
    assert cache.get_many(["e", "c", "nobody", 5, "d"]) == {"e": "3", "c": "1", "d": "2"}
    assert sorted(cache) == ["b", "c", "d", "e"]
    assert len(cache) == 4
    assert cache.delete_many(["c", "d", "nobody"]) == 2
    assert dict(cache.items()) == cache.to_dict() == cache.copy() == {"b": "appeared", "e": "3"}
    assert cache == {"b": "appeared", "e": "3"}
    assert (cache | {"f": "4"}) == {"b": "appeared", "e": "3", "f": "4"}
    del cache["b"]
    del cache["b"]
    assert cache.get_or_set("made", lambda: "it") == "it"
    assert cache.pop("made") == "it"
    assert cache.setdefault("g", "5") == cache.setdefault("g", "6") == "5"
    cache.set("t", "v", ttl=100, tags=["x"])
    assert cache.invalidate_tag("x") == 1
    cache.clear()
    assert len(cache) == 0


def test_spellings(flip: Flips) -> None:
    cache = flip()
    cache[1] = "one"
    assert [cache[key] for key in ("1", 1, True, 1.0)] == ["one"] * 4
    cache["complex", 1] = "tuple"
    assert cache["('complex', 1)"] == cache["complex", 1.0] == "tuple"
    flip.raw.set(f"{cache.name}:1", "uno")
    flip.until(lambda: cache["1"] == "uno", "one spelling is dropped")
    assert cache[1] == "uno", "all spellings are dropped"
    numbers = flip(key_type="int")
    numbers["5"] = "five"
    assert numbers[5] == numbers["5"] == "five"
    assert list(numbers) == [5]


def test_values(flip: Flips) -> None:
    words = flip()
    for value in ("", "0", "None", "é\n", "x" * 5000):
        words["k"] = value
        words.local.clear()
        assert words["k"] == value
        assert words["k"] == value
    words["k"] = 5
    assert words["k"] == "5", "a value comes back as it is stored"
    numbers = flip(value_type="int")
    for number in (0, -5, 10**30, True, "7"):
        numbers["k"] = number
        assert (numbers["k"], type(numbers["k"])) == (int(number), int)
    objects = flip(value_type="json", key_type="int")
    for each in (None, 0, False, "", [], {"b": 1, "a": [1, None]}, 1.5):
        objects[1] = each
        assert objects[1] == each
        assert 1 in objects
        objects.local.clear()
        assert objects[1] == each
        assert 1 in objects
    objects[1] = (1, 2)
    assert objects[1] == [1, 2], "the local copy is what is stored"
    pickled = flip(codec=PickleCodec(b"a secret of 16 bytes"))
    pickled["k"] = {1, 2}
    assert pickled["k"] == {1, 2}
    typed = flip(codec=JSONCodec())
    typed["k"] = {"b": 1, "a": 2}
    assert flip.raw.get(f"{typed.name}:k") == b'{"a": 2, "b": 1}'


def test_custom_values(flip: Flips) -> None:
    options = {"value_type": "custom", "value_encoder": "-".join}
    decoded: list[Any] = []
    cache = flip(
        value_decoder=lambda raw: decoded.append(raw) or raw.split("-" if isinstance(raw, str) else b"-"), **options
    )
    cache["k"] = ["a", "b"]
    cache.local.clear()
    expected: Any = ["a", "b"] if flip.setup.protocol == 2 else [b"a", b"b"]
    assert cache["k"] == expected, "a client without decode_responses gives its decoder bytes"


def test_defaults_are_stored_and_come_back_decoded(flip: Flips) -> None:
    cache = flip(value_type="json", value_default=(1, 2), expire_time=50)
    assert cache["k"] == [1, 2]
    assert flip.raw.get(f"{cache.name}:k") == b"[1, 2]"
    assert 0 < flip.raw.pttl(f"{cache.name}:k") <= 50_000
    assert cache.get("other") is None
    assert "other" not in cache
    numbers = flip(value_type="int", value_default=7)
    flip.raw.set(f"{numbers.name}:k", 8)
    assert (numbers["k"], numbers["new"]) == (8, 7)
    assert numbers.increment("fresh", 3) == 10
    words = flip(value_default="")
    assert words["k"] == ""
    assert "k" in words


def last_read(flip: Flips, cache: Any, key: Any) -> float:
    """Read a value until it is gone; return when the last read began that found it."""
    last = 0.0
    while True:
        begun = time.monotonic()
        if cache[key] is None:
            return last
        last = begun
        flip.pause()


def test_expiry(flip: Flips) -> None:
    cache, raw = flip(expire_time=0.2), flip.raw
    cache.set("longer", "v", ttl=timedelta(seconds=100))
    cache.set("ever", "v", ttl=math.inf)
    assert (cache.ttl("longer") > 90, cache.ttl("ever")) == (True, None)
    cache["k"] = "v"
    stored = time.monotonic()
    assert 0 < raw.pttl(f"{cache.name}:k") <= 200
    # The server rounds to milliseconds.
    assert last_read(flip, cache, "k") < stored + 0.202
    with pytest.raises(KeyError):
        cache.ttl("k")
    # What somebody else stores with a lifetime is dropped in time too.
    raw.set(f"{cache.name}:theirs", "v", px=150)
    stored = time.monotonic()
    assert stored + 0.05 < last_read(flip, cache, "theirs") < stored + 0.152
    assert (cache.touch("ever", 5), cache.touch("nobody")) == (True, False)
    assert 0 < cache.ttl("ever") <= 5
    assert cache["ever"] == "v"
    assert cache.touch("ever", math.inf)
    assert cache.ttl("ever") is None
    cache.refresh("ever")
    assert 0 < cache.ttl("ever") <= 0.2


def test_expiry_in_further_caches(flip: Flips) -> None:
    """Who begins to listen later is swept in time from the first moment on."""
    for _ in range(4):
        cache = flip(expire_time=et.THREE_DAYS)
        cache["long"] = "v"
        cache.set("k", "v", ttl=0.1)
        stored = time.monotonic()
        assert last_read(flip, cache, "k") < stored + 0.102


def test_refresh_on_get(flip: Flips) -> None:
    cache = flip(expire_time=0.4, refresh_expire_time_on_get=True)
    cache["k"] = "v"
    begun = time.monotonic()
    while time.monotonic() - begun < 1:
        assert cache["k"] == "v", "what goes on being read stays alive"
        flip.pause()
        time.sleep(0.005)
    time.sleep(0.45)
    assert cache["k"] is None
    remote = flip(local_max=0, expire_time=30, refresh_expire_time_on_get=True)
    flip.raw.set(f"{remote.name}:k", "v", px=5000)
    assert remote["k"] == "v"
    assert flip.raw.pttl(f"{remote.name}:k") > 25_000
    flip.raw.set(f"{remote.name}:k", "v", px=5000)
    assert remote.get_many(["k"]) == {"k": "v"}
    assert flip.raw.pttl(f"{remote.name}:k") > 25_000
    loading = flip(remote.name, loader=str, local_max=0, expire_time=30, refresh_expire_time_on_get=True)
    for read in (loading.__getitem__, lambda key: loading.get_or_set(key, str), lambda key: remote.setdefault(key, "")):
        flip.raw.set(f"{remote.name}:k", "v", px=5000)
        assert read("k") == "v"
        assert flip.raw.pttl(f"{remote.name}:k") > 25_000


def test_without_local_tier(flip: Flips) -> None:
    cache = flip(local_max=0)
    cache["k"] = "v"
    flip.raw.set(f"{cache.name}:k", "w")
    assert cache["k"] == "w"
    assert cache.local == {}
    assert (cache["none"], "k" in cache, cache.pop("k"), cache.pop("k", "gone")) == (None, True, "w", "gone")
    with pytest.raises(KeyError):
        cache.pop("k")
    cache.update({"a": "1"}, b="2")
    key, value = cache.popitem()
    assert dict([(key, value), cache.popitem()]) == {"a": "1", "b": "2"}
    with pytest.raises(KeyError):
        cache.popitem()


def test_missing_keys_are_remembered(flip: Flips) -> None:
    cache = flip(count_hits=True)
    cache["warm"] = "up"
    assert (cache["a"], cache["a"], "a" in cache, cache.get("a", 1)) == (None, None, False, 1)
    assert cache.stats().misses == 1
    assert "c" not in cache
    assert cache["c"] is None
    assert cache.stats().misses == 1
    flip.raw.set(f"{cache.name}:a", "x")
    flip.until(lambda: cache["a"] == "x", "it has appeared")


def test_names(flip: Flips) -> None:
    """A name that is another's prefix, or a pattern, finds its own keys only."""
    name = flip.name()
    short, long, inner = flip(name), flip(name + "s"), flip(f"{name}:in")
    star = flip(name[:-1] + "*")
    for cache in (short, long, inner, star):
        cache["k"] = cache.name
    flip.raw.hset(f"{name}:hash", "a", "b")
    for cache in (short, long, inner, star):
        assert cache == {"k": cache.name}
        assert len(cache) == 1
    short.clear()
    assert (len(short), len(long), len(inner), len(star)) == (0, 1, 1, 1)
    assert flip.raw.exists(f"{name}:hash")
    tagged = flip("{" + name + "}")
    tagged.set("k", "v", tags=["t"])
    assert tagged.get_or_set("l", lambda: "w") == "w"
    assert tagged == {"k": "v", "l": "w"}
    assert tagged.invalidate_tag("t") == 1
    default = flip(f"{name}:default", value_type="int", value_default=0)
    assert default["k"] == 0
    assert short == {}, "to store a default is to write"
    short.clear()
    assert default == {"k": 0}


def test_many_keys(flip: Flips) -> None:
    cache = flip(local_max=5000, value_type="int", key_type="int")
    items = {number: number * 2 for number in range(1500)}
    cache.set_many(items)
    assert cache.get_many(items) == items
    cache.local.clear()
    assert cache.get_many(items) == items
    assert cache.get_many(items) == items
    assert cache.to_dict() == items
    assert len(cache) == 1500
    assert sorted(cache.values()) == sorted(items.values())
    assert cache.delete_many(range(1000)) == 1000
    assert len(cache) == 500
    cache.clear()
    assert len(cache) == 0
    assert cache.local == {}


def test_tags(flip: Flips) -> None:
    cache = flip()
    for number in range(30):
        cache.set(number, "v", tags=["all", f"mod{number % 3}"])
    cache["plain"] = "v"
    assert cache.invalidate_tag("mod0") == 10
    assert cache.invalidate_tag("mod0") == 0
    assert (cache[0], cache[1]) == (None, "v")
    cache.set(0, "again", tags=["all"])
    assert cache.invalidate_tag("all") == 21
    assert cache == {"plain": "v"}
    assert cache.invalidate_tag("nobody") == 0
    for wrong in ("all", [1], [""], [None]):
        with pytest.raises((TypeError, ValueError)):
            cache.set("k", "v", tags=wrong)
    assert cache["k"] is None


def test_more_tagged_keys_than_a_page(flip: Flips) -> None:
    if flip.setup.topology == "cluster":
        pytest.skip("takes long, and is the same")
    cache = flip()
    for number in range(1100):
        cache.set(number, "v", tags=["t"])
    assert cache.invalidate_tag("t") == 1100
    assert cache.invalidate_tag("t") == 0


def test_increment(flip: Flips) -> None:
    cache = flip(value_type="int", expire_time=100)
    assert [cache.increment("n"), cache.increment("n", 5), cache.increment("n", -10)] == [1, 6, -4]
    assert cache["n"] == -4
    assert 90 < cache.ttl("n") <= 100
    cache.set("n", 2**62, ttl=5)
    with pytest.raises(OverflowError, match="64 bits"):
        cache.increment("n", 2**62)
    assert cache["n"] == 2**62
    assert cache.ttl("n") <= 5
    for wrong, error in ((2**63, OverflowError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error):
            cache.increment("n", wrong)
    cache["large"] = 2**70
    with pytest.raises(OverflowError, match="64 bits"):
        cache.increment("large")
    with pytest.raises(OverflowError, match="64 bits"):
        flip(cache.name, value_type="int", value_default=2**70).increment("new")
    assert (cache["large"], "new" in cache) == (2**70, False)
    flip.raw.set(f"{cache.name}:word", "word")
    with pytest.raises(DecodeError, match="word"):
        cache.increment("word")
    with pytest.raises(TypeError, match="value_type"):
        flip().increment("n")


def test_what_is_removed_while_it_is_computed_stays_so(flip: Flips) -> None:
    cache = flip(value_type="json")
    elsewhere = FlipCache(cache.name, redis=flip.raw, local_max=0)
    for remove in (elsewhere.clear, lambda: elsewhere.delete_many(["k"])):
        assert cache.get_or_set("k", lambda remove=remove: [remove(), 1][1]) == 1
        assert flip.raw.get(f"{cache.name}:k") is None


def test_clear_forgets_tags_and_nothing_else(flip: Flips) -> None:
    cache, nested = flip(), flip(flip.name() + "/tag/x")
    other = flip(cache.name + ":nested")
    for each in (cache, nested, other):
        each.set("k", "v", tags=["t"])
    flip.raw.rpush(f"{cache.name}:list", "kept")
    flip.raw.set(f"{cache.name}/tag/text", "kept")
    cache.clear()
    assert (nested["k"], other["k"], flip.raw.exists(f"{cache.name}:list")) == ("v", "v", 1)
    assert flip.raw.get(f"{cache.name}/tag/text") == b"kept"
    assert other.invalidate_tag("t") == 1
    if flip.setup.topology == "standalone":
        cache["k"] = "untagged"
        assert cache.invalidate_tag("t") == 0
        assert cache["k"] == "untagged"


def test_braces_in_keys(flip: Flips) -> None:
    for cache in (flip(), flip(local_max=0), flip(flip.name() + "a}b")):
        cache["a}b"] = "v"
        assert (cache["a}b"], cache.pop("a}b"), cache["a}b"]) == ("v", "v", None)
        for key in ("a}b", "{}"):
            assert cache.get_or_set(key, lambda: "1") == "1"
            assert cache[key] == "1"
        cache.clear()
        elsewhere = FlipCache(cache.name, redis=flip.raw, local_max=0)
        assert cache.get_or_set("{}", lambda clear=elsewhere.clear: [clear(), "1"][1]) == "1"
        assert flip.raw.get(f"{cache.name}:{{}}") is None


def test_get_or_set(flip: Flips) -> None:
    cache = flip(expire_time=et.ONE_HOUR, value_type="json")
    calls: list[int] = []

    def make() -> Any:
        calls.append(1)
        return (1, {"a": None})

    assert cache.get_or_set("k", make) == [1, {"a": None}]
    assert cache.get_or_set("k", make, ttl=5) == [1, {"a": None}]
    assert len(calls) == 1
    assert cache.ttl("k") > 3000
    assert cache.get_or_set("short", make, ttl=5)
    assert cache.ttl("short") <= 5
    assert cache.get_or_set("null", lambda: None) is None
    assert "null" in cache
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("bad", lambda: 1 / 0)
    with pytest.raises(TypeError, match="JSON"):
        cache.get_or_set("bad", lambda: {1, 2})
    assert "bad" not in cache
    assert cache.get_or_set("bad", lambda: "good") == "good"

    def refuse(value: Any) -> str:
        raise AttributeError(value)

    choosy = flip(value_type="custom", value_encoder=refuse, value_decoder=str)
    with pytest.raises(AttributeError):
        choosy.get_or_set("k", lambda: "refused")
    words = flip(value_default="d", local_max=0)
    assert words.get_or_set("k", lambda: None) == "d"
    assert "k" not in words


def test_loader(flip: Flips) -> None:
    asked: list[Any] = []

    def load(key: Any) -> Any:
        asked.append(key)
        if key == "bad":
            raise LookupError(key)
        return None if key == "nothing" else f"<{key}>"

    cache = flip(loader=load, value_default="default")
    assert (cache["a"], cache["a"], cache["a"]) == ("<a>",) * 3
    assert flip.raw.get(f"{cache.name}:a") == b"<a>"
    assert asked == ["a"]
    with pytest.raises(LookupError):
        cache["bad"]
    assert cache["nothing"] == "default"
    assert "nothing" not in cache
    assert cache.get("b") is None

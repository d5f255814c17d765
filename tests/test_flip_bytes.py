"""FlipCache's stored bytes, its round trips, and the examples of FlipCache's README."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from pottery_like import FlipCache, et
from tests.support.servers import SETUPS, standalone


@pytest.fixture
def raw() -> Iterator[Any]:
    with redis.Redis(port=standalone(SETUPS[0].server).port, decode_responses=True) as client:
        client.flushdb()
        yield client
        client.flushdb()


GOLDEN: list[tuple[dict[str, Any], Any, Any, str, bytes]] = [
    ({}, "k", "é", "c:k", "é".encode()),
    ({}, "k", 5, "c:k", b"5"),
    ({}, "k", None, "c:k", b"None"),
    ({}, "k", 1.0, "c:k", b"1.0"),
    ({}, 1, "v", "c:1", b"v"),
    ({}, "a:b", "v", "c:a:b", b"v"),
    ({}, ("complex", 1), "v", "c:('complex', 1)", b"v"),
    ({"key_type": "int"}, "7", "v", "c:7", b"v"),
    ({"value_type": "int"}, "k", 12, "c:k", b"12"),
    ({"value_type": "json"}, "k", {"b": [1, None], "a": "é"}, "c:k", b'{"b": [1, null], "a": "\\u00e9"}'),
    ({"value_type": "json"}, "k", "text", "c:k", b'"text"'),
    (
        {"value_type": "custom", "value_encoder": lambda each: f"<{each}>", "value_decoder": lambda text: text[1:-1]},
        "k", "v", "c:k", b"<v>",
    ),
]  # fmt: skip


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"{golden[4]!r}")
def test_stored_bytes(raw: Any, golden: tuple[dict[str, Any], Any, Any, str, bytes]) -> None:
    options, key, value, name, expected = golden
    cache = FlipCache("c", redis=raw, **options)
    cache[key] = value
    many = FlipCache("d", redis=raw, **options)
    many.set_many([(key, value)])
    default = FlipCache("e", redis=raw, value_default=value, **options)
    assert default[key] == (None if value is None else cache[key])
    made = FlipCache("f", redis=raw, **options)
    made.get_or_set(key, lambda: value)
    with redis.Redis(port=raw.connection_pool.connection_kwargs["port"]) as client:
        assert client.get(name) == expected
        assert client.get("d" + name[1:]) == expected
        for other in "ef":
            assert client.get(other + name[1:]) == (None if value is None else expected)
        assert client.dbsize() == (2 if value is None else 4)


def test_stored_beside_the_values(raw: Any) -> None:
    """The names of the further keys are a promise too."""
    cache = FlipCache("a:b", redis=raw)
    cache.set("k", "v", tags=["t"])
    assert sorted(raw.keys()) == ["a/names", "a:b/tag/t", "a:b:k"]
    assert raw.smembers("a/names") == {"a:b"}
    assert raw.zrange("a:b/tag/t", 0, -1) == ["a:b:k"]


MANY = {f"k{number}": "v" for number in range(1000)}

# What is called, and how many round trips it takes: with a local tier that knows nothing, and again at once.
TRIPS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "cache[k]": (lambda c: c["k"], 1, 0),
    "missing": (lambda c: c["nobody"], 1, 0),
    "other spelling": (lambda c: (c[1], c["1"]), 1, 0),
    "get": (lambda c: c.get("k"), 1, 0),
    "in": (lambda c: "nobody" in c, 1, 0),
    "set": (lambda c: c.set("k", "v"), 1, 1),
    "set, then read": (lambda c: (c.set("k", "v"), c["k"]), 1, 1),
    "set with tags": (lambda c: c.set("k", "v", tags=["t", "u"]), 1, 1),
    "del": (lambda c: c.__delitem__("k"), 1, 1),
    "get_many": (lambda c: c.get_many(MANY), 1, 0),
    "set_many": (lambda c: c.set_many(MANY), 1, 1),
    "set_many, then read": (lambda c: (c.set_many(MANY), c.get_many(MANY)), 2, 2),
    "delete_many": (lambda c: c.delete_many(MANY), 1, 1),
    "setdefault": (lambda c: c.setdefault("fresh", "v"), 1, 1),
    "pop": (lambda c: c.pop("k", None), 1, 1),
    "touch": (lambda c: c.touch("k", 50), 1, 1),
    "refresh": (lambda c: c.refresh("k"), 1, 1),
    "ttl": (lambda c: c.ttl("k"), 1, 1),
    "get_or_set, hit": (lambda c: c.get_or_set("k", lambda: "v"), 1, 0),
    "get_or_set, miss": (lambda c: c.get_or_set("made", lambda: "v"), 3, 1),
    "invalidate_tag": (lambda c: c.invalidate_tag("other"), 3, 3),
    "len": (len, 2, 2),
    "items": (lambda c: dict(iter(c.items())), 3, 3),
    "clear": (lambda c: c.clear(), 5, 3),
    "stats": (lambda c: (c.stats(), c.local, c.name, repr(c)), 0, 0),
}


@pytest.mark.parametrize("name", TRIPS)
def test_round_trips(raw: Any, name: str) -> None:
    call, first, again = TRIPS[name]
    plain = FlipCache("trips", redis=raw, local_max=2000, expire_time=100)
    plain.set("k", "v")
    plain.set(1, "one")
    plain.set("tagged", "v", tags=["other"])
    # The scripts are known to the server, and the links are made.
    call(FlipCache("trips", redis=raw, local_max=2000, expire_time=100))
    plain.clear()
    plain.set("k", "v")
    plain.set(1, "one")
    plain.set("tagged", "v", tags=["other"])
    cache = FlipCache("trips", redis=raw, local_max=2000, expire_time=100)
    cache.listen()
    # The news of what was written before has come.
    time.sleep(0.02)
    counted = []
    for _ in range(2):
        before = trips(cache)
        call(cache)
        counted.append(trips(cache) - before)
    assert counted == [first, again]


def trips(cache: Any) -> int:
    """Return how many exchanges have begun."""
    # The listener of a client has the runner of the first cache on it.
    runners = {id(each): each for each in (cache._runner, cache._made_follower.runner)}
    return sum(each.round_trips for each in runners.values())


@dataclass
class Shape:
    name: str = "default"
    dimensions: list[float] = field(default_factory=list)
    edges: int = 0
    area: float = 0


def test_readme(raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://localhost:{raw.connection_pool.connection_kwargs['port']}")
    cache = FlipCache("my_cache")
    cache["my_key"] = "my_value"
    assert (cache["my_key"], cache["unknown"], "my_key" in cache) == ("my_value", None, True)

    expiring = FlipCache("expiring", local_max=0, expire_time=1)
    expiring["data"] = "This will expire"
    expiring.touch("data", 0.05)
    time.sleep(0.06)
    assert expiring["data"] is None

    users = FlipCache("user_data", local_max=100, expire_time=et.THREE_DAYS, value_type="json")
    data: dict[str, Any] = {"state": 1, "orders": [1, 2, 3, 4], "items": {"foo": 1, "bar": True, "baz": []}}
    users["some-uuid"] = data
    assert users["some-uuid"] == data
    data["state"] = 2
    assert users["some-uuid"]["state"] == 1, "what the user holds isn't what is cached"
    users["some-uuid"] = data
    assert users["some-uuid"] == data
    del users["some-uuid"]
    assert users["some-uuid"] is None

    custom = FlipCache(
        "custom",
        local_max=0,
        key_type="int",
        value_type="custom",
        value_default=Shape(),
        value_encoder=lambda shape: json.dumps(vars(shape)),
        value_decoder=lambda text: Shape(**json.loads(text)),
    )
    custom[123] = Shape("womp", [4.1, 3.4], 6, 16.38)
    custom[456] = Shape("wat", [11, 22], area=242)
    assert custom[123] == Shape("womp", [4.1, 3.4], 6, 16.38)
    assert custom[321] == Shape()
    assert custom[456].dimensions == [11, 22]

    benchmark = FlipCache(name="my_cache", redis_protocol=raw, local_max=1000)
    for number in range(100):
        benchmark[number] = number * 2
    assert [benchmark[number] for number in range(100)] == [str(number * 2) for number in range(100)]
    assert raw.get("my_cache:7") == "14"
    for each in (cache, expiring, users, custom):
        each.close()
    cache.redis.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": ""}, ValueError), ({"name": None}, TypeError), ({"local_max": -1}, ValueError),
        ({"local_max": None}, TypeError), ({"local_max": "5"}, TypeError), ({"expire_time": 0}, ValueError),
        ({"expire_time": "1"}, TypeError), ({"key_type": "float"}, ValueError), ({"value_type": "bytes"}, ValueError),
        ({"value_type": "custom"}, TypeError), ({"value_encoder": str}, TypeError),
        ({"value_type": "int", "value_default": "x"}, ValueError),
        ({"eviction": "mru"}, ValueError), ({"eviction": 5}, TypeError), ({"coherence": "hope"}, ValueError),
        ({"max_stale": 0}, ValueError), ({"loader": 5}, TypeError),
        ({"on_update": print, "coherence": None}, ValueError),
        ({"codec": 5}, TypeError), ({"codec": json, "value_type": "json"}, TypeError), ({"redis": 5}, TypeError),
        ({"redis": "redis://localhost", "redis_protocol": "redis://localhost"}, TypeError), ({"unknown": 1}, TypeError),
        ({"lease": -1}, ValueError),
    ],
)  # fmt: skip
def test_arguments(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        FlipCache(**{"name": "n", **options})

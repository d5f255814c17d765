"""The stored format is a promise: these bytes never change."""

from __future__ import annotations

from typing import Any

import pytest

from pottery_like import RedisDict

VALUES: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (0, b"0"),
    (-7, b"-7"),
    (2**70, b"1180591620717411303424"),
    (1.0, b"1.0"),
    (1e16, b"1e+16"),
    (0.1, b"0.1"),
    ("", b'""'),
    ("plain", b'"plain"'),
    ('é\u2028"\\\n\x00/', b'"\\u00e9\\u2028\\"\\\\\\n\\u0000/"'),
    ("\N{GRINNING FACE}", b'"\\ud83d\\ude00"'),
    ([1, "a", None], b'[1, "a", null]'),
    ((1, 2), b"[1, 2]"),
    ({"b": 1, "a": {"d": [], "c": {}}}, b'{"a": {"c": {}, "d": []}, "b": 1}'),
]

KEYS: list[tuple[Any, bytes]] = [
    ("plain", b'"plain"'),
    (1, b"1"),
    (1.0, b"1"),
    (-0.0, b"0"),
    (1.5, b"1.5"),
    (True, b"true"),
    (None, b"null"),
    (("a", (1.0, 2)), b'["a", [1, 2]]'),
]


@pytest.mark.parametrize(("value", "stored"), VALUES, ids=repr)
def test_values(redis: Any, value: Any, stored: bytes) -> None:
    raw = type(redis)(connection_pool=redis.connection_pool)
    RedisDict(redis=redis, key="bytes")["k"] = value
    assert as_bytes(raw.hget("bytes", '"k"')) == stored
    redis.delete("bytes")


@pytest.mark.parametrize(("key", "stored"), KEYS, ids=repr)
def test_keys(redis: Any, key: Any, stored: bytes) -> None:
    subject: RedisDict[Any, int] = RedisDict({key: 1}, redis=redis, key="bytes")
    assert [as_bytes(field) for field in redis.hkeys("bytes")] == [stored]
    assert subject[key] == 1
    assert next(iter(subject)) == key
    redis.delete("bytes")


def as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text

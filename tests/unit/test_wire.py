"""Commands as they go over the wire."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from pottery_like._io.wire import LONG, packed

COMMANDS: list[tuple[Any, ...]] = [
    ("GET", b"key"),
    ("EVALSHA", "a" * 40, 2, b"k\xc3\xa9y", b"", -5, b"\r\n$3"),
    ("SET", b"key", b"x" * LONG),
    ("PING",),
    ("SET", "schl\u00fcssel", 2**70),
]


@pytest.mark.parametrize("words", COMMANDS)
def test_packed_as_redis_py_does(words: tuple[Any, ...]) -> None:
    theirs = b"".join(redis.Connection().pack_command(*words))
    assert packed(words) == [theirs]


@pytest.mark.parametrize("word", [b"x" * (LONG + 1), "x" * (LONG + 1), bytearray(b"x"), 1.5, None])
def test_left_to_redis_py(word: Any) -> None:
    assert packed(("SET", b"key", word)) is None

"""Commands as they go over the wire."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from pottery_like._io.wire import LONG, packed
from pottery_like._ops.memo import MemoOps
from pottery_like._ops.memo_options import Options

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


@pytest.mark.parametrize("options", [{}, {"timeout": None, "ttl": 5, "stale": 1, "tags": ["t"], "maxsize": 5}])
def test_packed_in_advance(options: dict[str, Any]) -> None:
    ops = MemoOps(b"key", abs, Options(**options), None, shared=True)
    field, token = ops.field(ops.spelled((5,), {})), b"token"
    quick, full = ops.ask(field, token), ops.look(field, token, None, forced=False)
    assert packed(quick.argv()) == packed(full.argv())
    assert quick.eval_argv() == full.eval_argv()

"""Iterations yield once what stays, also while the table shrinks."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
import redis as redispy

from pottery_like import RedisDict
from pottery_like._core.scan import ALWAYS, WINDOW, Seen
from tests.support.servers import programs, standalone


def test_seen_finds_repetitions() -> None:
    seen = Seen()
    assert seen.fresh([b"a", b"b", b"a"]) == [0, 1]
    assert seen.fresh([b"b", b"c"]) == [1]
    seen.remember([b"d"])
    assert seen.fresh([b"d", b"e"]) == [1]
    assert seen.fresh([b"f", b"g"]) is None
    seen.remember([b"%d" % index for index in range(ALWAYS)])
    assert not seen.small()
    assert seen.fresh([b"f", b"7", b"h"]) == [2]


def test_short_cursors_are_doubtful() -> None:
    seen = Seen()
    assert not seen.doubtful(0b100000)
    assert not seen.doubtful(0b110000)
    # Valkey's tables may shrink to their half.
    assert seen.doubtful(0b010000)
    assert seen.doubtful(0)


def test_memory_is_bounded() -> None:
    seen = Seen()
    for cursor in range(16):
        seen.remember([b"%d:%d" % (cursor, index) for index in range(WINDOW // 4)])
        seen.forget(cursor, cursor + 1)
    assert len(seen._digests) <= WINDOW + WINDOW // 4


@pytest.mark.parametrize("server", sorted(programs()))
@pytest.mark.parametrize("kept", [10, 500, 5000])
def test_exactly_once_while_the_table_shrinks(server: str, kept: int) -> None:
    with redispy.Redis(port=standalone(server).port) as client:
        size = 60_000
        subject = RedisDict(dict.fromkeys(range(size), 0), redis=client, key=f"shrinking:{kept}")
        staying = set(random.Random(1).sample(range(size), kept))
        seen: list[int] = []
        for index, key in enumerate(iter(subject)):
            seen.append(key)
            if index == size // 3:
                going = [str(key) for key in range(size) if key not in staying]
                for start in range(0, len(going), 10_000):
                    client.hdel(subject.key, *going[start : start + 10_000])
        assert len(seen) == len(set(seen)), "something was yielded twice"
        assert staying <= set(seen), "something that stayed was missed"
        subject.clear()


def test_exactly_once_while_others_write(redis: Any) -> None:
    subject = RedisDict(dict.fromkeys(range(5000), 0), redis=redis, key="busy")
    stop = threading.Event()

    def churn() -> None:
        with redispy.Redis(port=standalone(sorted(programs())[0]).port) as client:
            other = RedisDict(redis=client, key="busy")
            while not stop.is_set():
                other.update({f"extra{index}": 1 for index in range(1000)})
                for index in range(0, 1000, 100):
                    client.hdel("busy", *(f'"extra{number}"' for number in range(index, index + 100)))

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(5):
            keys = [key for key in iter(subject) if isinstance(key, int)]
            assert sorted(keys) == list(range(5000))
    finally:
        stop.set()
        thread.join()
        redis.delete("busy")

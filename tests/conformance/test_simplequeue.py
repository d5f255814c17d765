"""RedisSimpleQueue against queue.SimpleQueue, and its waiting."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pottery_like.exceptions import DecodeError, QueueEmptyError
from tests.conftest import Maker, every, few
from tests.support.outcome import assert_same, jsonable, outcome
from tests.support.strategies import uncarried, values

calls = st.one_of(
    st.tuples(st.just("put"), st.tuples(values)),
    st.tuples(st.just("put"), st.tuples(values, st.booleans(), st.sampled_from([None, 0, -1]))),
    st.tuples(st.just("put_nowait"), st.tuples(values)),
    st.tuples(st.just("get"), st.tuples(st.just(False))),
    st.tuples(st.just("get"), st.tuples(st.just(False), st.sampled_from([-1, "x", None]))),
    st.tuples(st.just("get"), st.tuples(st.just(True), st.sampled_from([0, 0.0001, -1, float("nan"), "x", 1e300]))),
    st.tuples(st.just("get_nowait"), st.just(())),
    st.tuples(st.just("qsize"), st.just(())),
    st.tuples(st.just("empty"), st.just(())),
)


@every
@settings(max_examples=12)
@given(steps=st.lists(calls, max_size=15))
def test_simple_queue(make: Maker, steps: list[Any]) -> None:
    oracle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    subject = make("RedisSimpleQueue")
    for name, arguments in steps:
        # CPython's own get() can miss a timeout this short, and then waits for ever.
        asked = (False,) if arguments in ((True, 0), (True, 0.0001)) else arguments
        expected = outcome(lambda: jsonable(getattr(oracle, name)(*asked)))  # noqa: B023
        assert_same((name, arguments), expected, outcome(lambda: getattr(subject, name)(*arguments)))  # noqa: B023
    assert subject.qsize() == oracle.qsize()
    subject.clear()


@few
@pytest.mark.parametrize("name", ["RedisSimpleQueue", "RedisQueue"])
class TestBoth:
    def test_refuses_what_the_codec_cannot_carry(self, make: Maker, name: str) -> None:
        subject = make(name)
        for item in uncarried:
            with pytest.raises((TypeError, ValueError)):
                subject.put(item)
        assert subject.empty()

    def test_returns_on_time(self, make: Maker, name: str) -> None:
        subject = make(name)
        for timeout in (0.03, 0.25):
            started = time.monotonic()
            with pytest.raises(QueueEmptyError, match="empty"):
                subject.get(timeout=timeout)
            assert timeout <= time.monotonic() - started < timeout + 4.5

    def test_an_item_that_is_no_json_is_in_the_exception(self, make: Maker, name: str) -> None:
        subject = make("RedisSimpleQueue")
        make.run(make.client.rpush(subject.key, b"\xff broken"))
        subject.put("next")
        with pytest.raises(DecodeError) as caught:
            subject.get()
        assert caught.value.raw == b"\xff broken"
        assert subject.get() == "next"

    def test_wait_ends_with_an_item(self, make: Maker, name: str) -> None:
        subject = make(name)
        producer = threading.Timer(0.2, _put, (make, name, subject.key))
        producer.start()
        started = time.monotonic()
        assert subject.get() == "late"
        assert time.monotonic() - started >= 0.15
        producer.join()

    def test_one_connection_afterwards(self, make: Maker, name: str) -> None:
        """The connection that waited serves other calls, with its own timeout."""
        subject = make(name)
        for _ in range(3):
            with pytest.raises(queue.Empty):
                subject.get(timeout=0.05)
        subject.put({"a": (1,)})
        assert subject.get(timeout=3) == {"a": [1]}


def _put(make: Maker, name: str, key: str) -> None:
    """Put an item from a client of the synchronous world."""
    import dataclasses

    import pottery_like

    with dataclasses.replace(make.setup, world="sync").client() as client:
        getattr(pottery_like, name)(redis=client, key=key).put("late")


@few
def test_waits_beyond_the_socket_timeout(make: Maker) -> None:
    client = make.setup.client(socket_timeout=0.2) if make.loop is None else make.loop.call(_short(make))
    subject = make("RedisSimpleQueue", client=client)
    producer = threading.Timer(0.45, _put, (make, "RedisSimpleQueue", subject.key))
    producer.start()
    assert subject.get() == "late"
    started = time.monotonic()
    with pytest.raises(queue.Empty):
        subject.get(timeout=0.3)
    assert time.monotonic() - started >= 0.3
    producer.join()
    make.run(client.close() if make.loop is None else client.aclose())


def _short(make: Maker) -> Any:
    return lambda: make.setup.client(socket_timeout=0.2)

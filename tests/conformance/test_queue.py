"""RedisQueue against queue.Queue; leases, attempts, delays, priorities."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pottery_like
from pottery_like.exceptions import DecodeError, LeaseLostError, WrongTypeError
from tests.conftest import Maker, every, few
from tests.support.outcome import assert_same, jsonable, outcome
from tests.support.servers import wait_until
from tests.support.strategies import values

calls = st.one_of(
    st.tuples(st.just("put"), st.tuples(values, st.just(False))),
    st.tuples(st.just("put"), st.tuples(values, st.just(True), st.sampled_from([0, -1, 0.0005]))),
    st.tuples(st.just("put_nowait"), st.tuples(values)),
    st.tuples(st.just("get"), st.tuples(st.just(False))),
    st.tuples(st.just("get"), st.tuples(st.just(True), st.sampled_from([0, -1]))),
    st.tuples(st.just("get_nowait"), st.just(())),
    st.tuples(st.just("task_done"), st.just(())),
    st.tuples(st.sampled_from(["qsize", "empty", "full"]), st.just(())),
)


@every
@settings(max_examples=12)
@given(maxsize=st.sampled_from([-1, 0, 1, 3]), steps=st.lists(calls, max_size=15))
def test_queue(make: Maker, maxsize: int, steps: list[Any]) -> None:
    oracle: queue.Queue[Any] = queue.Queue(maxsize)
    subject = make("RedisQueue", maxsize)
    for name, arguments in steps:
        expected = outcome(lambda: jsonable(getattr(oracle, name)(*arguments)))  # noqa: B023
        assert_same((name, arguments), expected, outcome(lambda: getattr(subject, name)(*arguments)))  # noqa: B023
    assert subject.counts().unfinished == oracle.unfinished_tasks
    assert [subject.get() for _ in range(subject.qsize())] == jsonable(list(oracle.queue))
    subject.clear()


@settings(max_examples=12)
@given(items=st.lists(st.tuples(st.integers(-3, 3) | st.floats(-2, 2), st.integers()), max_size=12))
@few
def test_priorities(make: Maker, items: list[Any]) -> None:
    subject = make("RedisQueue")
    for priority, item in items:
        subject.put([priority, item], priority=priority)
    got = [tuple(subject.get()) for _ in items]
    assert got == sorted(items, key=lambda pair: pair[0])
    subject.clear()


def other(make: Maker, key: str, *args: Any, **options: Any) -> Any:
    """Return a queue on the same key in the synchronous world, with a client of its own."""
    client = dataclasses.replace(make.setup, world="sync").client()
    return pottery_like.RedisQueue(*args, redis=client, key=key, **options)


def later(seconds: float, call: Any, *args: Any, **options: Any) -> threading.Timer:
    timer = threading.Timer(seconds, call, args, options)
    timer.start()
    return timer


@few
def test_put_waits_for_room(make: Maker) -> None:
    subject = make("RedisQueue", 1)
    peer = other(make, subject.key)
    subject.put(1)
    started = time.monotonic()
    with pytest.raises(queue.Full):
        subject.put(2, timeout=0.1)
    assert 0.1 <= time.monotonic() - started < 2
    timer = later(0.15, peer.get)
    subject.put(2)
    assert 0.1 <= time.monotonic() - started < 5
    assert peer.get() == 2
    timer.join()
    peer.redis.close()


@few
def test_join_waits_for_the_last_task(make: Maker) -> None:
    subject = make("RedisQueue")
    peer = other(make, subject.key)
    subject.join()
    for item in (1, 2):
        subject.put(item)
        subject.get()
    subject.task_done()
    timer = later(0.15, peer.task_done)
    started = time.monotonic()
    subject.join()
    assert 0.1 <= time.monotonic() - started < 5
    with pytest.raises(ValueError, match="too many"):
        subject.task_done()
    timer.join()
    peer.redis.close()


@few
def test_everyone_who_joins_is_woken(make: Maker) -> None:
    peers = [other(make, make.new_key())]
    peers += [other(make, peers[0].key) for _ in range(2)]
    peers[0].put(1)
    threads = [threading.Thread(target=peer.join) for peer in peers]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    with peers[0].processing(lease=10) as item:
        assert item == 1
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    for peer in peers:
        peer.redis.close()


def fail(item: Any, expected: Any) -> None:
    assert item == expected
    raise ZeroDivisionError


def test_acknowledged_is_gone_and_failed_comes_back(make: Maker) -> None:
    subject = make("RedisQueue")
    for item in ("a", "b"):
        subject.put(item)
    with subject.processing(lease=10) as item:
        assert item == "a"
        assert subject.counts() == (1, 0, 1, 0, 2)
    subject.put("c")
    with pytest.raises(ZeroDivisionError), subject.processing(lease=10) as item:
        fail(item, "b")
    delivery = subject.get(lease=10)
    assert (delivery.item, delivery.attempts) == ("b", 2)
    delivery.acknowledge()
    delivery.acknowledge()
    assert subject.get() == "c"
    assert subject.counts() == (0, 0, 0, 0, 1)


@few
def test_lease_ends(make: Maker) -> None:
    """The item comes back at its old place, and wakes who waits; its first consumer is told."""
    subject = make("RedisQueue")
    for item in ("a", "b"):
        subject.put(item)
    first = subject.get(lease=0.15)
    assert subject.get() == "b"
    started = time.monotonic()
    second = subject.get(lease=10)
    assert 0.05 <= time.monotonic() - started < 2
    assert (second.item, second.attempts) == ("a", 2)
    for call in (first.acknowledge, first.put_back):
        with pytest.raises(LeaseLostError):
            call()
    with pytest.raises(LeaseLostError):
        first.extend(1)
    second.acknowledge()
    assert subject.counts().ready == 0


@few
def test_a_late_acknowledgement_counts_while_nobody_has_claimed_the_item(make: Maker) -> None:
    subject = make("RedisQueue")
    subject.put("a")
    delivery = subject.get(lease=0.01)
    time.sleep(0.03)
    assert subject.qsize() == 1
    delivery.acknowledge()
    assert subject.empty()


@few
def test_extend(make: Maker) -> None:
    subject = make("RedisQueue")
    subject.put("a")
    delivery = subject.get(lease=0.2)
    delivery.extend(10)
    time.sleep(0.25)
    with pytest.raises(queue.Empty):
        subject.get_nowait()
    delivery.acknowledge()


@few
def test_the_body_s_exception_is_not_masked(make: Maker) -> None:
    subject = make("RedisQueue")
    subject.put("a")
    with pytest.raises(ZeroDivisionError), subject.processing(lease=0.01):
        fail(subject.get(timeout=5), "a")
    subject.put("b")
    with pytest.raises(LeaseLostError), subject.processing(lease=0.01):
        subject.get(timeout=5, lease=10)


def test_dead_letters(make: Maker) -> None:
    subject = make("RedisQueue", max_attempts=2)
    for item in ("put back", "let go"):
        subject.put(item)
    assert subject.get(lease=10).put_back() is True
    assert subject.get(lease=10).put_back() is False
    subject.get(lease=0.01)
    time.sleep(0.02)
    subject.get(lease=0.01)
    time.sleep(0.02)
    with pytest.raises(queue.Empty):
        subject.get_nowait()
    assert subject.counts() == (0, 0, 0, 2, 0)
    subject.join()
    assert subject.dead_letters.qsize() == 2
    assert subject.revive(1) == 1
    delivery = subject.get(lease=10)
    assert (delivery.item, delivery.attempts) == ("put back", 1)
    assert subject.dead_letters.get() == "let go"
    assert subject.revive() == 0


@few
def test_an_item_that_is_no_json_ends_as_a_dead_letter(make: Maker) -> None:
    subject = make("RedisQueue", max_attempts=1)
    subject.put("x")
    peer = make("RedisQueue", key=subject.key, codec=Broken(), max_attempts=1)
    with pytest.raises(DecodeError) as caught:
        peer.get(lease=0.01)
    assert caught.value.raw == b'"x"'
    time.sleep(0.02)
    with pytest.raises(queue.Empty):
        subject.get_nowait()
    assert subject.dead_letters.get() == "x"


class Broken:
    """A codec that can't read."""

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def decode(self, raw: bytes) -> Any:
        raise ValueError("unreadable")


def test_delay(make: Maker) -> None:
    subject = make("RedisQueue")
    started = time.monotonic()
    subject.put("later", delay=0.5, priority=-1)
    subject.put("now")
    assert subject.get() == "now"
    with pytest.raises(queue.Empty):
        subject.get_nowait()
    assert subject.qsize() == 1
    assert subject.get() == "later"
    assert 0.5 <= time.monotonic() - started < 3
    subject.put("retried")
    subject.get(lease=10).put_back(0.1)
    assert subject.counts().delayed == 1
    assert subject.get(timeout=5) == "retried"


@few
def test_a_delayed_item_reaches_who_waits_already(make: Maker) -> None:
    subject = make("RedisQueue")
    peer = other(make, subject.key)
    timer = later(0.1, peer.put, "soon", delay=0.1)
    started = time.monotonic()
    assert subject.get(timeout=8) == "soon"
    assert time.monotonic() - started < 5
    timer.join()
    peer.redis.close()


@few
def test_a_lease_that_ends_reaches_who_waits_already(make: Maker) -> None:
    subject = make("RedisQueue")
    peer = other(make, subject.key)
    timer = later(0.1, lambda: (peer.put("x"), peer.get(lease=0.2)))
    delivery = subject.get(lease=10)
    # Either of the two may have been first.
    if delivery.attempts == 1:
        delivery.put_back()
    else:
        delivery.acknowledge()
    timer.join()
    peer.redis.close()


@few
def test_expiry_and_copy_are_the_whole_queue_s(make: Maker) -> None:
    subject = make("RedisQueue", 5)
    assert subject.expire(100) is False
    subject.put(1)
    assert subject.expire(100) is True
    subject.put(2, delay=50)
    subject.get(lease=50)
    ttls = [make.run(make.client.pttl(key)) for key in keys(subject.key, "", ":delayed", ":leased")]
    assert all(90_000 < ttl <= 100_000 for ttl in ttls)
    assert 90 < subject.ttl() <= 100
    assert subject.persist() is True
    assert [make.run(make.client.pttl(key)) for key in keys(subject.key, "", ":delayed", ":leased")] == [-1] * 3
    copy = subject.copy()
    assert copy.counts() == subject.counts() == (0, 1, 1, 0, 2)
    assert copy.maxsize == 5
    copy.clear()
    subject.clear()
    assert subject.counts() == (0, 0, 0, 0, 0)
    left = [":ready", ":delayed", ":leased", ":dead", ":wake", ":room", ":idle"]
    wait_until(lambda: not any(make.run(make.client.exists(key)) for key in keys(subject.key, "", *left)), "all gone")


def keys(key: str, *suffixes: str) -> list[str]:
    return [f"{{{key}}}{suffix}" if suffix else key for suffix in suffixes]


@few
def test_clear_lets_go_who_waits(make: Maker) -> None:
    subject = make("RedisQueue", 1)
    peer = other(make, subject.key)
    subject.put(1)
    timer = later(0.1, peer.clear)
    started = time.monotonic()
    subject.put(2)
    timer.join()
    timer = later(0.1, peer.clear)
    subject.join()
    assert time.monotonic() - started < 5
    timer.join()
    peer.redis.close()


@few
def test_other_types_are_refused(make: Maker) -> None:
    subject = make("RedisQueue")
    make.run(make.client.set(subject.key, "text"))
    for call in (lambda: subject.put(1), subject.get_nowait, subject.qsize, subject.counts, subject.task_done):
        with pytest.raises(WrongTypeError):
            call()
    assert make.run(make.client.get(subject.key)) in ("text", b"text")


@pytest.mark.parametrize(
    "options", [{"maxsize": 1.5}, {"max_attempts": 0}, {"max_attempts": True}, {"max_attempts": "3"}]
)
def test_bad_options(options: dict[str, Any]) -> None:
    for cls in (pottery_like.RedisQueue, pottery_like.AIORedisQueue):
        with pytest.raises((TypeError, ValueError)):
            cls(key="x", **options)


@pytest.mark.parametrize(
    "options", [{"delay": -1}, {"delay": "1"}, {"priority": float("nan")}, {"priority": "1"}, {"priority": True}]
)
def test_bad_arguments(make: Maker, options: dict[str, Any]) -> None:
    subject = make("RedisQueue")
    with pytest.raises((TypeError, ValueError)):
        subject.put(1, **options)
    for lease in (0, -1, "1", float("inf")):
        with pytest.raises((TypeError, ValueError)):
            subject.get(False, lease=lease)
    assert subject.counts().unfinished == 0

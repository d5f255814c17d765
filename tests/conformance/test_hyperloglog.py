"""HyperLogLog and AIOHyperLogLog on every set-up."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pottery_like import WrongTypeError
from tests.conftest import Maker, every
from tests.support.facade import unwrap


def hll(make: Maker, *args: Any, **options: Any) -> Any:
    return make("HyperLogLog", *args, **options)


def round_trips(container: Any, call: Any) -> int:
    runner = unwrap(container)._made_runner
    before: int = runner.round_trips
    call()
    after: int = runner.round_trips
    return after - before


@every
def test_elements(make: Maker) -> None:
    subject = hll(make)
    assert len(subject) == 0
    assert "a" not in subject
    assert subject.add("a") is None
    assert subject.add("a") is None
    assert len(subject) == 1
    assert "a" in subject
    assert subject.update(["b", "c"], ("d",), "ef", []) is None
    assert subject.update() is None
    assert len(subject) == 6
    assert list(subject.contains_many("a", "b", "x", "f", [object()], "y", "d")) == [
        True, True, False, True, False, False, True,
    ]  # fmt: skip
    assert list(subject.contains_many()) == []
    assert len(subject) == 6, "asking adds nothing"
    subject.clear()
    assert len(subject) == 0
    assert list(subject.contains_many("a", "b")) == [False, False]


def test_many(make: Maker) -> None:
    subject = hll(make, range(1500))
    subject.update(range(1500, 4000))
    assert abs(len(subject) - 4000) < 4000 * 0.03
    assert all(subject.contains_many(*range(4000)))
    assert hll(make, key=subject.key).add("x") is None


def test_one_round_trip(make: Maker) -> None:
    tag = make.new_key()
    subject, other = hll(make, ["a"], key=f"{{{tag}}}:1"), hll(make, ["b"], key=f"{{{tag}}}:2")
    calls = [
        lambda: subject.add("x"),
        lambda: subject.update(range(1000)),
        lambda: subject.update(other),
        lambda: subject.update(other, range(500)),
        lambda: subject.union(other, ["z"]),
        lambda: subject | other,
        lambda: "x" in subject,
        lambda: list(subject.contains_many(*range(1000))),
        lambda: len(subject),
        subject.ttl,
        subject.copy,
        subject.clear,
    ]
    for call in calls:
        call()
    assert [round_trips(subject, call) for call in calls] == [1] * len(calls)
    assert round_trips(subject, lambda: ({1} in subject, subject.update([]))) == 0


def test_elements_are_json(make: Maker) -> None:
    subject = hll(make)
    elements = [None, True, False, 7, -1, 2**70, 1.5, "é€😀", "", (1, (2, "x")), [], {"b": 1, "a": [1.5, {}]}]
    subject.update(elements)
    assert len(subject) == len(elements)
    assert all(subject.contains_many(*elements, [1, [2, "x"]], 7.0, -1.0))
    subject.update([7.0, [1, [2, "x"]]])
    assert len(subject) == len(elements)
    for bad in (object(), {1}, b"bytes", float("nan"), "\ud800", {1: 2}):
        for call in (subject.add, lambda bad: subject.update(["good", bad]), lambda bad: subject.update("good", [bad])):
            with pytest.raises((TypeError, ValueError)):
                call(bad)
        assert bad not in subject
    assert "good" not in subject
    with pytest.raises(TypeError):
        subject.update(5)


@pytest.mark.parametrize("where", ["one slot", "two slots", "two clients"])
def test_merging(make: Maker, where: str) -> None:
    tag = make.new_key()
    client = make.client
    first = hll(make, range(400), key=f"{{{tag}}}:1")
    key = f"{{{tag}}}:2" if where == "one slot" else None
    if where == "two clients":
        client = make.setup.client() if make.loop is None else make.loop.call(make.setup.client)
    second, empty = hll(make, range(300, 700), key=key, client=client), hll(make, client=client)
    first.expire(100)

    union = first | second
    assert abs(len(union) - 700) < 20
    assert union.ttl() is None
    more = first.union(second, empty, ["x"], range(700, 2000))
    assert abs(len(more) - 2001) < 60
    assert "x" in more
    named = first.union(second, key=make.new_key())
    assert abs(len(named) - 700) < 20
    elsewhere = first.union(second, key=named.key, redis=client)
    assert len(elsewhere) == len(named)
    assert abs(len(first) - 400) < 12

    first |= second
    assert len(first) == len(union)
    assert all(first.contains_many(*range(700)))
    first.update(second, empty, ["x"])
    assert "x" in first
    assert 99 < first.ttl() <= 100
    empty.update(first)
    assert len(empty) == len(first)
    if client is not make.client:
        make.run(client.close() if make.loop is None else client.aclose())


def test_nothing_temporary_stays(make: Maker) -> None:
    setup = make.setup
    tag = make.new_key()
    subject, other = hll(make, range(100), key=f"{tag}:1"), hll(make, range(100), key=f"{tag}:2")
    list(subject.contains_many(*range(50, 150)))
    subject.update(other, ["x"])
    with type(setup)(setup.server, setup.topology, 2, "sync").client() as client:
        assert sorted(client.scan_iter(f"*{tag}*", count=1000)) == [f"{tag}:1", f"{tag}:2"]


def test_wrong_type(make: Maker) -> None:
    """Another type, or a string that is no HyperLogLog: refused, and left as it is."""
    good = hll(make, ["a"])
    for command, value in (("rpush", "an element"), ("set", "a string")):
        key = make.new_key()
        make.run(getattr(make.client, command)(key, value))
        subject = hll(make, key=key)
        calls = [
            lambda: subject.add("a"),  # noqa: B023
            lambda: subject.update(range(5)),  # noqa: B023
            lambda: subject.update(good, range(5)),  # noqa: B023
            lambda: good.update(subject, range(5)),  # noqa: B023
            lambda: "a" in subject,  # noqa: B023
            lambda: len(subject),  # noqa: B023
        ]
        for call in calls:
            with pytest.raises(WrongTypeError):
                call()
        read = make.client.get(key) if command == "set" else make.client.lrange(key, 0, -1)
        assert make.run(read) in (value, value.encode(), [value], [value.encode()])
        assert len(good) == 1


def test_shown_and_referred_to(make: Maker) -> None:
    subject = hll(make, ["a"])
    shown = f"<HyperLogLog key={subject.key} len=1>"
    if make.loop is not None:
        shown = f"<AIOHyperLogLog key={subject.key!r}>"
    assert repr(subject) == shown
    assert pickle.loads(pickle.dumps(unwrap(subject))).key == subject.key
    copied = subject.copy()
    copied.add("b")
    assert (len(copied), len(subject)) == (2, 1)


@pytest.mark.parametrize(("size", "low", "high"), [(100, 0.0, 0.02), (1000, 0.02, 0.06), (10_000, 0.28, 0.36)])
def test_membership_is_as_bad_as_the_docstring_says(redis: Any, size: int, low: float, high: float) -> None:
    from pottery_like import HyperLogLog

    subject = HyperLogLog(range(size), redis=redis)
    with subject:
        found = sum(subject.contains_many(*(f"absent {n}" for n in range(3000)))) / 3000
    assert low <= found <= high

"""BloomFilter and AIOBloomFilter on every set-up."""

from __future__ import annotations

import datetime
import pickle
from typing import Any

import pytest

from pottery_like import FilterParametersError, WrongTypeError
from tests.conftest import Maker, every
from tests.support.facade import unwrap

SIZES: dict[str, Any] = {"num_elements": 1000, "false_positives": 0.01}

MODES: list[dict[str, Any]] = [{}, {"scalable": True}, {"window": 3600}]


def bloom(make: Maker, *args: Any, **options: Any) -> Any:
    return make("BloomFilter", *args, **{**SIZES, **options})


def round_trips(container: Any, call: Any) -> int:
    runner = unwrap(container)._made_runner
    before: int = runner.round_trips
    call()
    after: int = runner.round_trips
    return after - before


def direct(make: Maker) -> Any:
    setup = make.setup
    return type(setup)(setup.server, setup.topology, 3, "sync").client(decode_responses=False)


@every
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_elements(make: Maker, mode: dict[str, Any]) -> None:
    subject = bloom(make, **mode)
    assert len(subject) == 0
    assert subject.add("a") is True
    assert subject.add("a") is False
    assert "a" in subject
    assert "b" not in subject
    assert len(subject) == 1
    assert subject.update(["b", "c"], ("d",), "ef", []) is None
    assert subject.update() is None
    assert list(subject.contains_many("a", "b", "x", "f", [object()], "d")) == [True, True, False, True, False, True]
    assert list(subject.contains_many()) == []
    assert len(subject) in (5, 6), "an estimate, rounded down"
    subject.clear()
    assert "a" not in subject
    assert len(subject) == 0


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_never_a_false_no(make: Maker, mode: dict[str, Any]) -> None:
    """Whatever the way in and the way of asking: one, many, as a bitmap, in chunks."""
    subject = bloom(make, range(3), num_elements=40_000, **mode)
    subject.add(3)
    subject.update(range(4, 100))
    subject.update(range(100, 2500))
    assert subject.update(iter(range(2500, 2510))) is None
    assert all(subject.contains_many(*range(2510)))
    assert all(n in subject for n in range(0, 2510, 251))
    assert abs(len(subject) - 2510) < 30
    assert sum(subject.contains_many(*range(10**6, 10**6 + 2000))) < 60


def test_given_elements_are_added(make: Maker) -> None:
    subject = bloom(make, ["a"])
    again = bloom(make, ["b"], key=subject.key)
    assert list(again.contains_many("a", "b", "c")) == [True, True, False]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_one_round_trip(make: Maker, mode: dict[str, Any]) -> None:
    subject = bloom(make, range(10), num_elements=100_000, **mode)
    calls = [
        lambda: subject.add("x"),
        lambda: subject.update(range(1000)),
        lambda: subject.update(range(20)),
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
    assert round_trips(subject, lambda: ({1} in subject, subject.size(), subject.num_hashes())) == 0


def test_combining_is_one_round_trip(make: Maker) -> None:
    first, second = pair(make, range(10), range(5, 15))
    others: list[Any] = []
    calls = [
        lambda: others.append(first | second),
        lambda: others.append(first & second),
        lambda: others.append(first.union(second, range(1000))),
        lambda: first.update(second, ["x"]),
        lambda: first.intersection_update(second),
    ]
    for call in calls:
        call()
    assert [round_trips(first, call) for call in calls] == [1] * len(calls)


def test_elements_are_json(make: Maker) -> None:
    subject = bloom(make)
    elements = [None, True, False, 7, -1, 2**70, 1.5, "é€😀", "", (1, (2, "x")), [], {"b": 1, "a": [1.5, {}]}]
    for element in elements:
        assert subject.add(element) is True
        assert element in subject
    for equal in ([1, [2, "x"]], 7.0, -1.0, {"a": [1.5, {}], "b": 1.0}):
        assert equal in subject
        assert subject.add(equal) is False
    for other in (1, 0, "7", "null", [1], {}):
        assert other not in subject


def test_what_json_cant_carry(make: Maker) -> None:
    subject = bloom(make)
    for bad in (object(), {1}, b"bytes", float("nan"), float("inf"), "\ud800", {1: 2}):
        for call in (subject.add, lambda bad: subject.update(["good", bad]), lambda bad: subject.update("good", [bad])):
            with pytest.raises((TypeError, ValueError)):
                call(bad)
        assert bad not in subject
        assert list(subject.contains_many(bad, "good")) == [False, False]
    with pytest.raises(TypeError):
        subject.update(5)


def using(container: Any) -> list[Any]:
    return [
        lambda: container.add("b"),
        lambda: container.update(["b"]),
        lambda: container.update(range(1000)),
        lambda: "a" in container,
        lambda: list(container.contains_many("a")),
        lambda: len(container),
    ]


def crossing(subject: Any, other: Any, near: Any) -> list[Any]:
    return [
        lambda: other.union(near),
        lambda: other.intersection_update(near),
        lambda: near.update(other),
        lambda: subject.update(near),
        lambda: near.intersection(subject),
    ]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_other_parameters(make: Maker, mode: dict[str, Any]) -> None:
    subject = bloom(make, ["a"], **mode)
    changes = [{"num_elements": 1001}, {"false_positives": 0.011}]
    changes += [{"scalable": "scalable" not in mode, "window": None}]
    changes += [{"window": 10, "scalable": False}]
    for change in changes:
        other = bloom(make, key=subject.key, **{**mode, **change})
        near = bloom(make, key=f"{{{subject.key}}}:near", **{**mode, **change})
        calls = using(other)
        if not mode and not change.keys() & {"scalable", "window"}:
            calls += crossing(subject, other, near)
        for call in calls:
            with pytest.raises(FilterParametersError, match=r"1001|0\.011|scalable|window|num_elements"):
                call()
        with pytest.raises(ValueError, match=r"num_elements|window|scalable"):
            bloom(make, ["a"], key=subject.key, **{**mode, **change})
        near.clear()
    assert list(subject.contains_many("a", "b")) == [True, False]


def test_parameters_go_with_the_bits(make: Maker) -> None:
    subject = bloom(make, ["a"])
    subject.clear()
    other = bloom(make, ["b"], key=subject.key, num_elements=50)
    assert "b" in other


@pytest.mark.parametrize("mode", MODES[:2], ids=str)
def test_expiry_covers_all_keys(make: Maker, mode: dict[str, Any]) -> None:
    subject = bloom(make, **mode)
    assert subject.expire(100) is False
    subject.add("a")
    keys = [key.decode() for key in unwrap(subject)._ops.keys]
    assert subject.ttl() is None
    assert subject.persist() is False
    assert subject.expire(datetime.timedelta(seconds=100)) is True
    assert 99 < subject.ttl() <= 100
    with direct(make) as client:
        # In a script, so that nothing comes between the two.
        first, second = client.eval("return {redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2])}", 2, *keys)
        assert 99_000 < first <= 100_000
        assert abs(first - second) <= 5
        for elements in (["b"], range(1000), ["c", "d"]):
            subject.update(elements)
            assert 98_000 < client.pttl(keys[0]) <= 100_000
        assert subject.persist() is True
        assert [client.pttl(key) for key in keys] == [-1, -1]
        subject.expire(50)
        client.delete(keys[0] if not mode else "nothing")
        subject.add("e")
        assert [client.pttl(key) > 0 for key in keys] == [True, True]
    subject.expire(0.001)
    while subject.ttl() is not None:
        pass
    assert len(subject) == 0
    assert bloom(make, ["b"], key=subject.key, num_elements=50).add("c") is True


def test_adopted_filter_keeps_its_expiry(make: Maker) -> None:
    subject = bloom(make, ["a"])
    parameters = unwrap(subject)._ops.keys[1].decode()
    with direct(make) as client:
        for elements in (["b"], range(1000)):
            client.delete(parameters)
            client.pexpire(subject.key, 50_000)
            assert "a" in subject
            assert not client.exists(parameters), "reading changes nothing"
            subject.update(elements)
            assert 49_000 < client.pttl(parameters) <= 50_000
            assert 49_000 < client.pttl(subject.key) <= 50_000
            assert client.hget(parameters, "parameters") == b'{"false_positives": 0.01, "num_elements": 1000}'


def test_wrong_type(make: Maker) -> None:
    for mode in MODES:
        subject = bloom(make, **mode)
        for key in unwrap(subject)._ops.keys[: 1 if mode.get("scalable") else 2]:
            make.run(make.client.rpush(key, "an element"))
            calls = using(subject)[:5] if mode else [*using(subject), subject.union]
            for call in calls:
                with pytest.raises(WrongTypeError):
                    call()
            assert make.run(make.client.lrange(key, 0, -1)) in (["an element"], [b"an element"])
            subject.clear()


def pair(make: Maker, first: Any, second: Any, **options: Any) -> tuple[Any, Any]:
    key = make.new_key()
    return (
        bloom(make, first, key=f"{{{key}}}:first", **options),
        bloom(make, second, key=f"{{{key}}}:second", **options),
    )


@pytest.mark.parametrize("where", ["one slot", "two slots", "two clients"])
def test_combining(make: Maker, where: str) -> None:
    first, second = pair(make, range(400), range(300, 700))
    client = make.client
    if where == "two slots":
        second = bloom(make, range(300, 700))
    elif where == "two clients":
        made = make.setup.client if make.loop is None else lambda: make.loop.call(make.setup.client)  # type: ignore[union-attr]
        client = made()
        second = bloom(make, range(300, 700), client=client)
    third = bloom(make, client=client)

    union, common = first | second, first & second
    assert all(union.contains_many(*range(700)))
    assert abs(len(union) - 700) < 20
    assert all(common.contains_many(*range(300, 400)))
    assert sum(common.contains_many(*range(300), *range(400, 700))) < 30
    assert type(unwrap(union)) is type(unwrap(first))
    assert union.ttl() is None
    more = first.union(second, third, ["x"], [f"y{n}" for n in range(1100)])
    assert all(more.contains_many(*range(700), "x", *(f"y{n}" for n in range(1100))))
    assert len(first & third) == 0
    for made_here in (union, common, more):
        made_here.clear()

    first.expire(100)
    first |= second
    assert all(first.contains_many(*range(700)))
    assert 99 < first.ttl() <= 100
    first &= second
    assert all(first.contains_many(*range(300, 700)))
    assert len(first) < 430
    assert 99 < first.ttl() <= 100
    first.update(second, third, ["x"], range(5000, 6500))
    assert all(first.contains_many("x", *range(5000, 6500)))
    first.intersection_update(third)
    assert len(first) == 0
    left = [key for key in every_key(make) if b"far" in key]
    assert not left, "nothing temporary stays"
    if client is not make.client:
        make.run(client.close() if make.loop is None else client.aclose())


def every_key(make: Maker) -> list[bytes]:
    with direct(make) as client:
        return list(client.scan_iter(count=1000))


def test_what_cant_be_combined(make: Maker) -> None:
    first, _ = pair(make, [1], [2])
    for call in (lambda: first & {1}, lambda: first.intersection([1]), lambda: first.intersection_update({1})):
        with pytest.raises(TypeError):
            call()
    if make.loop is None:
        with pytest.raises(TypeError):
            first | [1]
    for mode in MODES[1:]:
        one, other = pair(make, [1], [2], **mode)
        for call in (lambda: one | other, lambda: one & other, lambda: one.update(other), one.union):  # noqa: B023
            with pytest.raises(TypeError, match=r"can't be combined"):
                call()
        one.clear()
        other.clear()


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_copy_and_pickle(make: Maker, mode: dict[str, Any]) -> None:
    subject = bloom(make, ["a"], **mode)
    copied = subject.copy()
    assert "a" in copied
    assert copied.add("b") is True
    assert "b" not in subject
    copied.clear()
    reference = pickle.loads(pickle.dumps(unwrap(subject)))
    assert reference.key == subject.key
    assert reference._ops.parameters == unwrap(subject)._ops.parameters


def test_names(make: Maker) -> None:
    subject = bloom(make)
    assert (subject.num_elements, subject.false_positives) == (1000, 0.01)
    assert (subject.size(), subject.num_hashes()) == (9586, 7)
    assert repr(subject) == f"<{type(unwrap(subject)).__name__} key={subject.key}>"

"""FIFODict, LRUDict, LFUDict and TTLDict against plain models; and with threads."""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pottery_like import FIFODict, LFUDict, LRUDict, TTLDict, et
from tests.support.outcome import assert_same, outcome
from tests.support.processes import Child, fork

KEYS = st.sampled_from(["a", "b", "c", "d", 1, True, 2.0, None, (1, "x")])
VALUES = st.integers(0, 9)
LIMIT = 3
KINDS: list[Any] = [FIFODict, LRUDict, LFUDict, TTLDict]


class Machine(RuleBasedStateMachine):
    """Every method, on a dict with a limit and on a model of it."""

    kind: Any
    used_by_reading = False

    def __init__(self) -> None:
        super().__init__()
        self.real: Any = self.kind(LIMIT)
        self.items: OrderedDict[Any, Any] = OrderedDict()

    def make_room(self, key: Any) -> None:
        if key not in self.items and len(self.items) >= LIMIT:
            self.items.popitem(last=False)

    def store(self, key: Any, value: Any) -> None:
        self.make_room(key)
        self.items[key] = value
        self.items.move_to_end(key)

    def use(self, key: Any) -> None:
        if self.used_by_reading and key in self.items:
            self.items.move_to_end(key)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: Any, value: int) -> None:
        self.real[key] = value
        self.store(key, value)

    @rule(key=KEYS)
    def look(self, key: Any) -> None:
        assert_same("d[key]", outcome(lambda: self.items[key]), outcome(lambda: self.real[key]))
        self.use(key)

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        assert self.real.get(key, "no") == self.items.get(key, "no")
        self.use(key)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: Any, value: int) -> None:
        if key in self.items:
            assert self.real.setdefault(key, value) == self.items[key]
            self.use(key)
        else:
            assert self.real.setdefault(key, value) == value
            self.store(key, value)

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        def both(subject: Any) -> None:
            del subject[key]

        assert_same("del d[key]", outcome(lambda: both(self.items)), outcome(lambda: both(self.real)))

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        assert_same("pop", outcome(lambda: self.items.pop(key)), outcome(lambda: self.real.pop(key)))
        assert self.real.pop(key, "no") == "no"

    @rule(items=st.dictionaries(KEYS, VALUES, max_size=5))
    def update(self, items: dict[Any, int]) -> None:
        self.real.update(items)
        for key, value in items.items():
            self.store(key, value)

    @rule()
    def clear(self) -> None:
        self.real.clear()
        self.items.clear()

    @rule()
    def copies(self) -> None:
        for other in (self.real.copy(), copy.copy(self.real)):
            assert type(other) is self.kind
            assert other == self.real
            assert list(other.items()) == list(self.items.items())
            assert other.max_items == LIMIT

    @invariant()
    def same(self) -> None:
        assert list(self.real) == list(self.items)
        assert list(self.real.items()) == list(self.items.items())
        assert list(self.real.values()) == list(self.items.values())
        assert list(reversed(self.real)) == list(reversed(self.items))
        assert len(self.real) == len(self.items)
        assert self.real == dict(self.items)
        keys = self.real.keys()
        assert all(key in self.real and key in keys for key in self.items)


class FIFOMachine(Machine):
    kind = FIFODict


class LRUMachine(Machine):
    kind = LRUDict
    used_by_reading = True


class TTLMachine(Machine):
    kind = TTLDict


class LFUMachine(Machine):
    """The order in which keys go: by uses, then by the last use."""

    kind = LFUDict
    used_by_reading = True

    def __init__(self) -> None:
        super().__init__()
        self.uses: dict[Any, tuple[int, int]] = {}
        self.clock = 0

    def use(self, key: Any) -> None:
        if key in self.items:
            self.clock += 1
            self.uses[key] = self.uses[key][0] + 1, self.clock

    def store(self, key: Any, value: Any) -> None:
        if key in self.items:
            self.items[key] = value
            self.use(key)
            return
        if len(self.items) >= LIMIT:
            del self.items[min(self.items, key=lambda each: self.uses[each])]
        self.items[key] = value
        self.clock += 1
        self.uses[key] = 1, self.clock


MACHINES = (FIFOMachine, LRUMachine, TTLMachine, LFUMachine)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda each: each.kind.__name__)
def test_model(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=30))


@pytest.mark.parametrize("kind", KINDS)
def test_limit(kind: Any) -> None:
    assert kind().max_items == 1000
    assert kind(max_items=5).max_items == 5
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_items"):
            kind(wrong)
    for wrong in ("3", 1.5, True, None):
        with pytest.raises(TypeError, match="max_items"):
            kind(wrong)


@pytest.mark.parametrize("kind", [FIFODict, LRUDict])
def test_as_dict(kind: Any) -> None:
    made = kind(2, [("a", 1)], b=2)
    assert isinstance(made, dict)
    assert json.dumps(made) == '{"a": 1, "b": 2}'
    assert pickle.loads(pickle.dumps(made)) == made
    assert (made | {"c": 3}) == {"b": 2, "c": 3}
    assert ({"c": 3} | made) == {"a": 1, "b": 2}
    made |= {"c": 3}
    assert dict(made) == {"b": 2, "c": 3} == {**made}
    assert made != {"b": 2}
    made.move_to_end("b")
    assert made.popitem() == ("b", 2)
    assert kind.fromkeys("xy", 1) == {"x": 1, "y": 1}
    assert repr(kind(2, a=1)) == f"{kind.__name__}(2, {{'a': 1}})"


@pytest.mark.parametrize("kind", KINDS)
def test_like_the_builtins(kind: Any) -> None:
    made = kind(3)
    made.update(a=1, b=2)
    with pytest.raises(TypeError):
        made.pop("a", 1, 2)
    assert (made.pop("none", default=5), made) == (5, {"a": 1, "b": 2})
    for number in range(5):
        made[number] = number
    assert made == {2: 2, 3: 3, 4: 4}, "what was not popped is evicted as ever"
    made["self"] = made
    assert "..." in repr(made)

    def broken() -> Any:
        yield "x", 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        made.update(broken())
    assert made["x"] == 1
    for wrong in (None, 5, [5]):
        with pytest.raises(TypeError):
            made.update(wrong)


class Named(LRUDict[str, int]):
    """With an attribute, and an answer to what is missing."""

    def __missing__(self, key: str) -> int:
        return 42


def test_subclasses() -> None:
    made = Named(3, a=1)
    made.name = "name"  # type: ignore[attr-defined]
    assert (made["b"], made.get("b"), made.get("b", 5)) == (42, None, 5)
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (other, other.name, other.max_items) == (made, "name", 3)


def test_lru_marks() -> None:
    made = LRUDict[str, int](2, a=1, b=2)
    made.mark_as_used("a")
    made.mark_as_used("gone")
    made["c"] = 3
    assert list(made) == ["a", "c"]


def test_lfu_pickles_and_pops_what_goes_next() -> None:
    made = LFUDict[str, int](3, a=1, b=2)
    assert made["a"] == 1
    assert made.popitem() == ("b", 2)
    assert pickle.loads(pickle.dumps(made)) == {"a": 1}


def test_ttl() -> None:
    made = TTLDict[str, int](10, 0.03, a=1)
    made.set("b", 2, ttl=timedelta(seconds=60))
    made.set("c", 3, ttl=et.ONE_HOUR)
    assert 0 < made.ttl("a") <= 0.03
    assert set(made.copy()) == set(made) == {"a", "b", "c"}
    time.sleep(0.04)
    assert "a" not in made
    assert made.get("a") is None
    assert made == {"b": 2, "c": 3}
    assert len(made) == 2
    for call in (lambda: made["a"], lambda: made.ttl("a"), lambda: made.pop("a")):
        with pytest.raises(KeyError):
            call()
    assert made.popitem() == ("b", 2)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(made)
    for wrong in (0, -1, float("inf")):
        with pytest.raises(ValueError, match="ttl"):
            TTLDict(10, wrong)


def test_ttl_memory_is_bounded() -> None:
    made = TTLDict[str, int](10, 3600)
    for turn in range(10_000):
        made["hot"] = turn
        made[str(turn)] = turn
    assert len(made._deadlines._heap) < 200


@pytest.mark.parametrize("kind", KINDS)
def test_threads(kind: Any) -> None:
    """Nothing is raised, the limit holds, and a key that is set again and again is always there."""
    made = kind(50)
    made["always"] = 0
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(400):
                made[number, turn % 40] = turn
                made["always"] = turn
                assert made["always"] is not None
                made.get((number, turn % 7))
                made.pop((number, turn % 11), None)
                if turn % 40 == 0:
                    assert all(isinstance(value, int) for _, value in made.items())
                    list(made)
                    made.copy()
                assert len(made) <= 50
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    # Of FIFO and TTL the oldest goes, of the others what is unused: "always" is neither.
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_forking_while_another_thread_uses_it(kind: Any) -> None:
    made = kind(3)
    made["a"] = 1

    def work() -> None:
        made["b"] = 2
        assert dict(made.items()) == {"a": 1, "b": 2}

    with ThreadPoolExecutor(1) as other:
        other.submit(made._lock.acquire).result()
        Child(fork, work).end(10)
        other.submit(made._lock.release).result()


@pytest.mark.parametrize("kind", KINDS)
def test_updates_are_atomic(kind: Any) -> None:
    made = kind(50)
    keys = range(20)
    made.update(dict.fromkeys(keys, 0))
    interval, seen = sys.getswitchinterval(), set()
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            made.update(dict.fromkeys(keys, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    sys.setswitchinterval(1e-6)
    try:
        for each in threads:
            each.start()
        for _ in range(500):
            seen.add(len({value for _, value in made.items()}))
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for each in threads:
            each.join()
    assert seen == {1}


def test_constants() -> None:
    assert (et.THREE_DAYS, et.HALF_AN_HOUR, et.ONE_MONTH, et.ONE_YEAR) == (259200, 1800, 2592000, 31536000)
    assert (et.QUARTER_HOUR, et.SEVEN_DAYS, et.TEN_HOURS) == (900, et.ONE_WEEK, 36000)

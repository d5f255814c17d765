"""Eight processes on one container: nothing lost, nothing twice, no exception that one process alone wouldn't see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import redis as redispy

import pottery_like
from tests.races import workers
from tests.races.workers import TURNS
from tests.support.processes import Child, fork
from tests.support.servers import programs, standalone

PROCESSES = 8
SERVER = sorted(programs())[-1]


@pytest.fixture
def client() -> Iterator[redispy.Redis]:
    client = redispy.Redis(port=standalone(SERVER).port)
    yield client
    client.flushall()
    client.close()


def race(name: str, container: Any) -> list[list[Any]]:
    """Run a worker of tests/races/workers.py in all processes at once; return what each of them took."""
    # A forked process would share the parent's connections only in name, but spawning eight takes seconds.
    barrier, results = fork.Barrier(PROCESSES), fork.Queue()
    children = [Child(fork, workers.main, name, container, number, barrier, results) for number in range(PROCESSES)]
    reports = dict(results.get(timeout=60) for _ in children)
    assert not [report for report in reports.values() if isinstance(report, str)]
    for child in children:
        child.end()
    return [reports[number] for number in range(PROCESSES)]


def every(per_worker: int = TURNS) -> list[tuple[int, int]]:
    return [(worker, turn) for worker in range(PROCESSES) for turn in range(per_worker)]


def test_dict_writes(client: redispy.Redis) -> None:
    subject = pottery_like.RedisDict({}, redis=client, key="race")
    race("add_to_dict", subject)
    expected = {f"{worker}:{turn}{more}" for worker, turn in every() for more in ("", ":more")} | {"common"}
    assert set(subject.to_dict()) == expected


def test_cached_setdefault_has_one_winner(client: redispy.Redis) -> None:
    subject: Any = pottery_like.CachedOrderedDict(redis=client, key="race", dict_keys=range(TURNS))
    results = race("setdefault", subject)
    stored = pottery_like.CachedOrderedDict(redis=client, key="race", dict_keys=range(TURNS))
    assert results == [list(stored.values())] * PROCESSES


def test_cached_writes(client: redispy.Redis) -> None:
    race("add_to_dict", pottery_like.CachedOrderedDict(redis=client, key="race", timeout=None))
    keys = [f"{worker}:{turn}{more}" for worker, turn in every() for more in ("", ":more")]
    found: Any = pottery_like.CachedOrderedDict(redis=client, key="race", dict_keys=keys)
    assert found.misses() == set()
    assert all(value == int(key.split(":")[1]) for key, value in found.items())


def test_setdefault_has_one_winner(client: redispy.Redis) -> None:
    subject: Any = pottery_like.RedisDict(redis=client, key="race")
    answers = race("setdefault", subject)
    assert all(answer == answers[0] for answer in answers)
    assert subject.to_dict() == dict(enumerate(answers[0]))


@pytest.mark.parametrize("worker", ["pop_items", "pop_keys", "delete_keys"])
def test_dict_removals_go_to_one(client: redispy.Redis, worker: str) -> None:
    items = {number: number for number in range(TURNS * PROCESSES)}
    subject = pottery_like.RedisDict(items, redis=client, key="race")
    taken = list(chain.from_iterable(race(worker, subject)))
    assert sorted(taken) == (sorted(items.items()) if worker == "pop_items" else sorted(items))
    assert len(subject) == 0


def test_transform_loses_nothing(client: redispy.Redis) -> None:
    subject = pottery_like.RedisDict({"nested": {"n": 0}}, redis=client, key="race")
    race("transform", subject)
    assert subject["nested"] == {"n": PROCESSES * (TURNS // 4)}
    numbers = pottery_like.RedisList([0], redis=client, key="race:list")
    race("transform_first", numbers)
    assert numbers.to_list() == [PROCESSES * (TURNS // 4)]


def test_set_writes(client: redispy.Redis) -> None:
    subject: Any = pottery_like.RedisSet(redis=client, key="race")
    race("add_to_set", subject)
    made = [((w, t), (w, t, "more"), (w, t, "in place")) for w, t in every()]
    assert subject.to_set() == {"common", *chain.from_iterable(made)}


@pytest.mark.parametrize("worker", ["pop_all", "remove_from_set"])
def test_set_removals_go_to_one(client: redispy.Redis, worker: str) -> None:
    subject = pottery_like.RedisSet(range(TURNS * PROCESSES), redis=client, key="race")
    assert sorted(chain.from_iterable(race(worker, subject))) == list(range(TURNS * PROCESSES))
    assert len(subject) == 0


def test_set_toggles_are_atomic(client: redispy.Redis) -> None:
    subject: Any = pottery_like.RedisSet(redis=client, key="race")
    race("toggle", subject)
    # Each toggles an odd number of times; together that is an even number for what they share.
    assert subject.to_set() == set(range(PROCESSES))


@pytest.mark.parametrize("name", ["RedisList", "RedisDeque"])
def test_sequence_appends(client: redispy.Redis, name: str) -> None:
    subject = getattr(pottery_like, name)(redis=client, key="race")
    race("append", subject)
    kinds: tuple[list[str], ...] = ([], ["a"], ["b"], ["inserted"])
    expected = sorted([worker, turn, *kind] for worker, turn in every() for kind in kinds)
    got = subject.to_list()
    assert sorted(got) == expected
    for worker in range(PROCESSES):
        own = [item for item in got if item[0] == worker and len(item) == 2]
        assert own == sorted(own), "each process's appends are in order"


def test_deque_ends(client: redispy.Redis) -> None:
    subject = pottery_like.RedisDeque(redis=client, key="race")
    race("append_both_ends", subject)
    assert sorted(subject.to_list()) == sorted([w, t, *kind] for w, t in every() for kind in ([], ["left"]))


def test_bounded_deque_never_exceeds(client: redispy.Redis) -> None:
    subject = pottery_like.RedisDeque(maxlen=10, redis=client, key="race")
    race("append_both_ends", subject)
    assert len(subject) == 10


@pytest.mark.parametrize(
    ("name", "worker"),
    [("RedisList", "pop_all"), ("RedisDeque", "pop_all"), ("RedisDeque", "pop_left"), ("RedisList", "pop_middle")],
)
def test_sequence_removals_go_to_one(client: redispy.Redis, name: str, worker: str) -> None:
    items = list(range(TURNS * PROCESSES))
    subject = getattr(pottery_like, name)(items, redis=client, key="race")
    taken = list(chain.from_iterable(race(worker, subject)))
    assert sorted([*taken, *subject.to_list()]) == items
    assert len(subject) == (worker == "pop_middle")


def test_slices_and_sorting_lose_nothing(client: redispy.Redis) -> None:
    subject = pottery_like.RedisList(range(10**6, 10**6 + 50), redis=client, key="race")
    race("rearrange", subject)
    # Each turn appends one element and replaces two by two.
    got = subject.to_list()
    assert len(got) == 50 + PROCESSES * (TURNS // 4)
    assert all(isinstance(value, int) for value in got), "no marker is ever left"
    cutting = pottery_like.RedisList(range(5000), redis=client, key="race:cut")
    race("cut", cutting)
    assert cutting.to_list() == [0, 1, *range(2 + PROCESSES * TURNS * 2, 5000)]


def test_counter_counts(client: redispy.Redis) -> None:
    subject: Any = pottery_like.RedisCounter(redis=client, key="race")
    race("count", subject)
    turns = PROCESSES * TURNS
    own = {f"own {worker}": TURNS - 1 for worker in range(PROCESSES)}
    assert subject.to_dict() == {
        "plus": turns, "minus": -2 * turns, "one": turns, "two": 2 * turns, "three": 3 * turns, "down": -turns,
        "big": turns * 2**60, **own,
    }  # fmt: skip


def test_counter_sums(client: redispy.Redis) -> None:
    subject: Any = pottery_like.RedisCounter(redis=client, key="race")
    race("add_counters", subject)
    assert subject.to_counter()["a"] == 2 * PROCESSES * TURNS
    assert subject["b"] == 0

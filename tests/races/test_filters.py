"""Eight processes on one filter: no element is lost, and each is new to exactly one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redispy

from pottery_like import BloomFilter, FilterParametersError, HyperLogLog
from tests.support.processes import Child, fork
from tests.support.servers import programs, standalone

PROCESSES = 8
TURNS = 60
SERVER = sorted(programs())[-1]
MODES: list[dict[str, Any]] = [{}, {"scalable": True}, {"window": 3600}]


@pytest.fixture
def client() -> Iterator[redispy.Redis]:
    client = redispy.Redis(port=standalone(SERVER).port, db=8)
    yield client
    client.flushdb()
    client.close()


def race(work: Any, *args: Any) -> list[Any]:
    """Run ``work`` in all processes at once; return what each of them returns."""
    barrier, results = fork.Barrier(PROCESSES), fork.Queue()

    def main(number: int) -> None:
        barrier.wait()
        try:
            results.put(work(number, *args))
        except BaseException as error:
            results.put(repr(error))

    children = [Child(fork, main, number) for number in range(PROCESSES)]
    found = [results.get(timeout=60) for _ in children]
    assert not [each for each in found if isinstance(each, str)], found
    for child in children:
        child.end()
    return found


def add_all(number: int, subject: Any) -> list[int]:
    """Add what the others add, too, and elements of one's own by update(); return what was new."""
    new = [turn for turn in range(TURNS) if subject.add(turn)]
    for turn in range(TURNS // 4):
        subject.update([f"{number}:{turn}:{each}" for each in range(3)])
        subject.update([f"{number}:{turn}:many:{each}" for each in range(40)])
    return new


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("size", [2000, 100_000])
def test_bloom(client: redispy.Redis, mode: dict[str, Any], size: int) -> None:
    subject = BloomFilter[Any](num_elements=size, false_positives=0.0001, redis=client, key="race", **mode)
    found = race(add_all, subject)
    winners = Counter(turn for new in found for turn in new)
    assert winners == Counter(range(TURNS)), "each element is new to exactly one process"
    every = [f"{number}:{turn}" for number in range(PROCESSES) for turn in range(TURNS // 4)]
    assert all(subject.contains_many(*range(TURNS)))
    assert all(subject.contains_many(*(f"{each}:{third}" for each in every for third in range(3))))
    assert all(subject.contains_many(*(f"{each}:many:{part}" for each in every for part in range(40))))


def merge_all(number: int, client: redispy.Redis) -> None:
    options: dict[str, Any] = {"num_elements": 1000, "false_positives": 0.001, "redis": client}
    common: BloomFilter[Any] = BloomFilter(key="{race}", **options)
    mine: BloomFilter[Any] = BloomFilter(key=f"{{race}}:{number}", **options)
    for turn in range(20):
        mine.add(f"{number}:{turn}")
        common |= mine
        common.add(f"{number}:{turn}:direct")


def test_merging(client: redispy.Redis) -> None:
    race(merge_all, client)
    common: BloomFilter[Any] = BloomFilter(num_elements=1000, false_positives=0.001, redis=client, key="{race}")
    every = [f"{number}:{turn}" for number in range(PROCESSES) for turn in range(20)]
    assert all(common.contains_many(*every, *(f"{each}:direct" for each in every)))


def open_first(number: int, client: redispy.Redis) -> int | None:
    subject: BloomFilter[Any] = BloomFilter(num_elements=100 + number, false_positives=0.01, redis=client, key="race")
    try:
        subject.add(number)
    except FilterParametersError:
        return None
    return number


def test_one_of_many_parameters_wins(client: redispy.Redis) -> None:
    [winner] = [number for number in race(open_first, client) if number is not None]
    subject: BloomFilter[Any] = BloomFilter(num_elements=100 + winner, false_positives=0.01, redis=client, key="race")
    assert list(subject.contains_many(*range(PROCESSES))) == [number == winner for number in range(PROCESSES)]


def count_all(number: int, subject: HyperLogLog[Any]) -> None:
    for turn in range(TURNS):
        subject.add(turn)
        subject.update([f"{number}:{turn}"], [turn])
        assert turn in subject


def test_hyperloglog(client: redispy.Redis) -> None:
    subject: HyperLogLog[Any] = HyperLogLog(redis=client, key="race")
    race(count_all, subject)
    assert all(subject.contains_many(*range(TURNS)))
    alone = HyperLogLog([*range(TURNS), *(f"{n}:{t}" for n in range(PROCESSES) for t in range(TURNS))], redis=client)
    with alone:
        assert len(alone) == len(subject)
    assert client.keys() == [b"race"]


def toggle_expiry(number: int, subject: BloomFilter[Any]) -> int:
    ends = time.monotonic() + 1
    seen = 0
    while time.monotonic() < ends:
        if number % 2:
            subject.expire(0.005)
        else:
            subject.update([number])
            seen += number in subject
    return seen


def test_expiry_leaves_no_half(client: redispy.Redis) -> None:
    """However an expiry and an addition meet: there are no bits without parameters."""
    subject: BloomFilter[Any] = BloomFilter(num_elements=100, false_positives=0.01, redis=client, key="race")
    race(toggle_expiry, subject)
    subject.persist()
    subject.add("last")
    assert client.exists("race", "{race}:parameters") == 2
    assert client.ttl("race") == client.ttl("{race}:parameters")

"""Each method of the queues is one round trip, waiting aside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Maker, few
from tests.support.outcome import outcome
from tests.test_round_trips import load_scripts

CALLS: list[tuple[str, Any]] = [
    ("put", lambda q: q.put(3)),
    ("put delayed", lambda q: q.put(3, delay=5, priority=2)),
    ("put_nowait", lambda q: q.put_nowait(4)),
    ("get", lambda q: q.get()),
    ("get under a lease", lambda q: q.get(lease=5)),
    ("get_nowait", lambda q: q.get_nowait()),
    ("task_done", lambda q: q.task_done()),
    ("join", lambda q: outcome(q.join)),
    ("qsize", lambda q: q.qsize()),
    ("empty", lambda q: q.empty()),
    ("full", lambda q: q.full()),
    ("counts", lambda q: q.counts()),
    ("revive", lambda q: q.revive()),
    ("expire", lambda q: q.expire(50)),
    ("ttl", lambda q: q.ttl()),
    ("persist", lambda q: q.persist()),
    ("copy", lambda q: q.copy()),
    ("clear", lambda q: q.clear()),
]


@few
@pytest.mark.parametrize("name", ["RedisQueue", "RedisSimpleQueue"])
def test_one_round_trip(make: Maker, name: str) -> None:
    load_scripts(make.setup)
    maxsize = (4,) if name == "RedisQueue" else ()
    trips = {}
    for what, call in CALLS:
        subject = make(name, *maxsize)
        if not hasattr(subject, what.split()[0]) or (" " in what and not maxsize):
            continue
        for item in (1, 2):
            subject.put(item)
        if what == "join":
            subject.clear()
        runner = getattr(subject, "_container", subject)._made_runner
        before = runner.round_trips
        call(subject)
        trips[what] = runner.round_trips - before
        subject.clear()
    assert set(trips.values()) == {1}, trips


@few
def test_a_delivery_s_methods_are_one_round_trip(make: Maker) -> None:
    load_scripts(make.setup)
    subject = make("RedisQueue")
    trips = []
    for method, *arguments in (["acknowledge"], ["extend", 5], ["put_back"]):
        subject.put(1)
        delivery = subject.get(lease=5)
        runner = getattr(subject, "_container", subject)._made_runner
        before = runner.round_trips
        getattr(delivery, method)(*arguments)
        trips.append(runner.round_trips - before)
        subject.clear()
    assert trips == [1, 1, 1]

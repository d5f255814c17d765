"""Asking several masters at once, in both worlds."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from pottery_like._core.lua import script
from pottery_like._core.op import Op, Pause, ok
from pottery_like._core.quorum import Answers, Ask, Consultation
from pottery_like._io import aio_masters, masters
from pottery_like.exceptions import OutcomeUnknownError, WrongTypeError
from tests.support.ids import World
from tests.support.proxy import proxied
from tests.support.servers import Node

INCREMENT: Op[int] = Op("INCR", (b"n",), (), int, False)
APPEND: Op[Any] = Op("RPUSH", (b"l",), (b"x",), int, False)
POP = Op(script("dict_pop"), (b"h",), (b"f",), lambda reply: reply, False)


@pytest.fixture
def three(five: list[Node]) -> list[Node]:
    """Three independent masters."""
    return five[:3]


@pytest.fixture(params=["sync", "aio"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


class Group:
    """Masters of either world."""

    def __init__(self, world: World, ports: list[int], timeout: float = 0.4) -> None:
        package: Any = masters if world.loop is None else aio_masters
        self._world = world
        self._masters = package.Masters([world.client(port) for port in ports], timeout)

    def ask(self, *args: Any, **options: Any) -> Answers[Any]:
        answers: Answers[Any] = self._world.run(lambda: self._masters.ask(Ask(*args, **options)))
        return answers

    def drive(self, consultation: Consultation[Any]) -> Any:
        return self._world.run(lambda: self._masters.drive(consultation))


def test_results_by_index(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three])
    assert group.ask(INCREMENT).results == {0: 1, 1: 1, 2: 1}
    assert group.ask(INCREMENT, among=frozenset({1})).results == {1: 2}
    answers = group.ask(INCREMENT, instead={2: Op("GET", (b"n",), (), int, True)})
    assert answers.results == {0: 2, 1: 3, 2: 1}
    assert answers.errors == {}


def test_a_script_that_some_have_not_seen(world: World, three: list[Node]) -> None:
    with redis.Redis(port=three[1].port) as client:
        client.hset("h", "f", "v")
        client.script_load(script("dict_pop").source)
    group = Group(world, [node.port for node in three])
    for _ in range(2):
        answers = group.ask(POP)
        assert answers.errors == {}
    assert answers.results == {0: None, 1: None, 2: None}
    with redis.Redis(port=three[1].port) as client:
        assert not client.exists("h")


def test_errors_are_each_masters_own(world: World, three: list[Node]) -> None:
    with redis.Redis(port=three[1].port) as client:
        client.set("l", "text")
    group = Group(world, [node.port for node in three])
    answers = group.ask(APPEND)
    assert answers.results == {0: 1, 2: 1}
    assert isinstance(answers.errors[1], WrongTypeError)
    # The connection is in order all the same.
    assert group.ask(INCREMENT).results == {0: 1, 1: 1, 2: 1}


def test_all_are_waited_for_until_the_timeout(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three])
    group.ask(INCREMENT)
    three[0].signal(signal.SIGSTOP)
    started = time.monotonic()
    answers = group.ask(INCREMENT)
    assert 0.39 < time.monotonic() - started < 2
    assert answers.results == {1: 2, 2: 2}
    assert isinstance(answers.errors[0], OutcomeUnknownError)
    three[0].signal(signal.SIGCONT)
    # What was sent while it was paused has run by now; its late reply is nobody's.
    assert group.ask(INCREMENT).results == {0: 3, 1: 3, 2: 3}


def test_a_settled_matter_waits_for_nobody(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three], timeout=5)
    group.ask(INCREMENT)
    three[0].signal(signal.SIGSTOP)
    started = time.monotonic()
    for _ in range(3):
        answers = group.ask(INCREMENT, lambda results: len(results) >= 2)
        assert sorted(answers.results) == [1, 2]
        assert sorted(answers.errors) == [0]
    assert time.monotonic() - started < 3
    three[0].signal(signal.SIGCONT)
    # Where it is needed, it is asked.
    assert sorted(group.ask(INCREMENT, lambda results: len(results) >= 3).results) == [0, 1, 2]
    assert sorted(group.ask(INCREMENT, lambda results: len(results) >= 2).results) == [0, 1, 2]


def test_refused_connections_cost_nothing_much(world: World, three: list[Node]) -> None:
    three[2].kill()
    group = Group(world, [node.port for node in three])
    started = time.monotonic()
    for _ in range(5):
        answers = group.ask(INCREMENT, lambda results: len(results) >= 2)
        assert sorted(answers.results) == [0, 1]
    assert time.monotonic() - started < 2


def test_one_round_trip_for_each(world: World, three: list[Node]) -> None:
    with proxied(three[0].port) as first, proxied(three[1].port) as second:
        group = Group(world, [first.port, second.port])
        group.ask(INCREMENT)
        before = first.round_trips, second.round_trips
        group.ask(INCREMENT)
        assert (first.round_trips, second.round_trips) == (before[0] + 1, before[1] + 1)
        ids = world.ids(key="k", masters=world.client(first.port))
        ids.next()
        before = first.round_trips, second.round_trips
        ids.next()
        assert first.round_trips == before[0] + 1
        ids = world.ids(key="k", masters=[world.client(first.port), world.client(second.port)])
        ids.take(2)
        before = first.round_trips, second.round_trips
        ids.next()
        # The first draws, the second is asked and then raised.
        assert (first.round_trips, second.round_trips) == (before[0] + 1, before[1] + 2)


def test_consultations(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three])

    def twice() -> Consultation[list[int]]:
        first: Answers[int] = yield Ask(INCREMENT)
        yield Pause(0.01)
        second: Answers[int] = yield Ask(INCREMENT)
        return [*first.results.values(), *second.results.values()]

    assert group.drive(twice()) == [1, 1, 1, 2, 2, 2]


def test_interrupting_leaves_the_connections_usable(three: list[Node]) -> None:
    group = masters.Masters([redis.Redis(port=node.port) for node in three], 2.0)
    group.ask(Ask(INCREMENT))

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    three[1].signal(signal.SIGSTOP)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            group.ask(Ask(INCREMENT))
    finally:
        signal.signal(signal.SIGALRM, before)
    three[1].signal(signal.SIGCONT)
    assert group.ask(Ask(Op("GET", (b"n",), (), int, True))).results == {0: 2, 1: 2, 2: 2}
    assert group.ask(Ask(Op("DEL", (b"n",), (), ok, True))).errors == {}
    for client in group.clients:
        client.close()

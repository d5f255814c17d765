"""Asking several masters at once, in both worlds."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterator
from typing import Any

import pytest
import redis

from pottery_like._core.dialogue import UNASKED, Ask, Dialogue, Repeated
from pottery_like._core.lua import script
from pottery_like._core.op import Op, Pause, ok
from pottery_like._io import aio_dialogues, dialogues
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

    def __init__(self, world: World, ports: list[int], timeout: float = 2.0) -> None:
        package: Any = dialogues if world.loop is None else aio_dialogues
        self._world = world
        self._count = len(ports)
        self._timeout = timeout
        self._conductor = package.Conductor(tuple(world.client(port) for port in ports), b"k", timeout)

    def ask(self, op: Op[Any] | None, *more: Op[Any] | None, **options: Any) -> list[Any]:
        """Return the masters' replies to one operation, or to one for each."""

        def dialogue() -> Dialogue[list[Any]]:
            replies: list[Any] = yield Ask((op, *more) if more else (op,) * self._count, self._timeout, **options)
            return replies

        replies: list[Any] = self.conduct(dialogue())
        return replies

    def conduct(self, dialogue: Dialogue[Any]) -> Any:
        return self._world.run(lambda: self._conductor.conduct(dialogue))


def two(results: Collection[Any]) -> bool:
    return len(results) >= 2


def test_replies_in_order(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three])
    assert group.ask(INCREMENT) == [1, 1, 1]
    assert group.ask(None, INCREMENT, None) == [UNASKED, 2, UNASKED]
    assert group.ask(INCREMENT, INCREMENT, Op("GET", (b"n",), (), int, True)) == [2, 3, 1]
    # Nil is a reply.
    assert group.ask(Op("GET", (b"nothing",), (), lambda reply: reply, True)) == [None] * 3


def test_a_script_that_some_have_not_seen(world: World, three: list[Node]) -> None:
    with redis.Redis(port=three[1].port) as client:
        client.hset("h", "f", "v")
        client.script_load(script("dict_pop").source)
    group = Group(world, [node.port for node in three])
    for _ in range(2):
        replies = group.ask(POP)
    assert replies == [None, None, None]
    with redis.Redis(port=three[1].port) as client:
        assert not client.exists("h")


def test_errors_are_each_masters_own(world: World, three: list[Node]) -> None:
    with redis.Redis(port=three[1].port) as client:
        client.set("l", "text")
    group = Group(world, [node.port for node in three])
    replies = group.ask(APPEND)
    assert [replies[0], replies[2]] == [1, 1]
    assert isinstance(replies[1], WrongTypeError)
    # The connection is in order all the same.
    assert group.ask(INCREMENT) == [1, 1, 1]


def test_all_are_waited_for_until_the_timeout(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three], timeout=0.4)
    group.ask(INCREMENT)
    three[0].signal(signal.SIGSTOP)
    started = time.monotonic()
    replies = group.ask(INCREMENT)
    assert 0.39 < time.monotonic() - started < 2
    assert replies[1:] == [2, 2]
    assert isinstance(replies[0], OutcomeUnknownError)
    three[0].signal(signal.SIGCONT)
    # What was sent while it was paused has run by now; its late reply is nobody's.
    assert group.ask(INCREMENT) == [3, 3, 3]


def test_who_was_silent_is_passed_over_while_there_is_enough(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three], timeout=0.4)
    group.ask(INCREMENT, enough=two)
    three[0].signal(signal.SIGSTOP)
    group.ask(INCREMENT, enough=two)
    started = time.monotonic()
    assert group.ask(INCREMENT, enough=two)[1:] == [3, 3]
    assert time.monotonic() - started < 0.3
    three[0].signal(signal.SIGCONT)
    three[1].kill()
    # It is needed again.
    replies = group.ask(INCREMENT, enough=two)
    assert [replies[0], replies[2]] == [3, 4]


def test_a_settled_matter_waits_for_nobody(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three], timeout=5)
    group.ask(INCREMENT)
    three[0].signal(signal.SIGSTOP)
    started = time.monotonic()
    for _ in range(3):
        replies = group.ask(INCREMENT, enough=two, hasty=True)
        assert [isinstance(reply, Exception) for reply in replies] == [True, False, False]
    assert time.monotonic() - started < 3
    three[0].signal(signal.SIGCONT)
    # Where it is needed, it is asked.
    for enough in (lambda results: len(results) >= 3, two):
        assert all(isinstance(reply, int) for reply in group.ask(INCREMENT, enough=enough, hasty=True)) or enough is two


def test_a_broken_connection_is_replaced_once_where_that_is_wanted(world: World, three: list[Node]) -> None:
    with proxied(three[0].port) as proxy:
        group = Group(world, [proxy.port, three[1].port])
        group.ask(INCREMENT)
        proxy.lose = 1
        replies = group.ask(INCREMENT)
        assert isinstance(replies[0], OutcomeUnknownError)
        assert group.ask(INCREMENT) == [3, 3]
        proxy.lose = 1
        assert group.ask(INCREMENT, again=lambda: (INCREMENT, None)) == [Repeated(5), 4]


def test_refused_connections_cost_nothing_much(world: World, three: list[Node]) -> None:
    three[2].kill()
    group = Group(world, [node.port for node in three])
    started = time.monotonic()
    for number in range(1, 6):
        assert group.ask(INCREMENT, enough=two, hasty=True)[:2] == [number, number]
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


def test_dialogues(world: World, three: list[Node]) -> None:
    group = Group(world, [node.port for node in three])

    def twice() -> Dialogue[list[int]]:
        first: list[int] = yield Ask((INCREMENT,) * 3, 1.0)
        yield Pause(0.01)
        second: list[int] = yield Ask((INCREMENT,) * 3, 1.0)
        return [*first, *second]

    assert group.conduct(twice()) == [1, 1, 1, 2, 2, 2]


def test_interrupting_leaves_the_connections_usable(three: list[Node]) -> None:
    world = World("sync")
    group = Group(world, [node.port for node in three], 2.0)
    group.ask(INCREMENT)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    three[1].signal(signal.SIGSTOP)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            group.ask(INCREMENT)
    finally:
        signal.signal(signal.SIGALRM, before)
    three[1].signal(signal.SIGCONT)
    assert group.ask(Op("GET", (b"n",), (), int, True)) == [2, 2, 2]
    assert group.ask(Op("DEL", (b"n",), (), ok, True)) == [None] * 3
    world.close()

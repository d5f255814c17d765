"""The algorithm on masters in memory: what is sent, and what may go wrong at any step."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pottery_like._core.dialogue import UNASKED, Ask, Dialogue, majority
from pottery_like._core.lua import Script
from pottery_like._core.op import Op, Pause
from pottery_like._ops.nextid import LAST, NextIDOps
from pottery_like.exceptions import QuorumIsImpossible, QuorumNotAchieved


class Master:
    """What a master does with the operations of NextID."""

    def __init__(self) -> None:
        self.value: int | None = None
        self.down = False
        self.seen: list[str] = []

    def answer(self, op: Op[Any]) -> Any:
        """Run an operation, and decode its reply."""
        self.seen.append(op.name)
        if self.down:
            raise ConnectionError("down")
        return op.decode(self._reply(op))

    def _reply(self, op: Op[Any]) -> Any:
        assert op.keys == (b"nextid:test",)
        current = self.value or 0
        args = [int(arg) for arg in op.args]
        if op.name == "GET":
            return None if self.value is None else str(self.value).encode()
        if op.name == "nextid_claim":
            if current > args[0]:
                return str(current).encode()
            self.value = args[1]
            return None
        if op.name == "nextid_draw":
            self.value = max(current, args[0])
            return str(self._add(args[1])).encode()
        assert op.name in {"INCR", "INCRBY"}
        return self._add(args[0] if args else 1)

    def _add(self, count: int) -> int:
        value = (self.value or 0) + count
        if value > LAST:
            raise RuntimeError("increment or decrement would overflow")
        self.value = value
        return value


class Run:
    """One call, taken step by step, so that several of them can be mixed."""

    def __init__(self, masters: list[Master], program: Dialogue[range]) -> None:
        self.masters, self.program = masters, program
        self.result: range | None = None
        self._send: Any = None

    def step(self, lost: Callable[[], bool] = lambda: False) -> bool:
        """Take one step; ``lost`` says of each reply whether it gets lost.  Return whether there is more to do."""
        try:
            step = self.program.send(self._send)
        except StopIteration as stop:
            self.result = stop.value
            return False
        self._send = None if isinstance(step, Pause) else self._ask(step, lost)
        return True

    def _ask(self, ask: Ask, lost: Callable[[], bool]) -> list[Any]:
        def reply(master: Master, op: Op[Any]) -> Any:
            try:
                result = master.answer(op)
                return ConnectionError("lost") if lost() else result
            except (ConnectionError, RuntimeError) as error:
                return error

        pairs = zip(self.masters, ask.ops, strict=True)
        return [UNASKED if op is None else reply(master, op) for master, op in pairs]

    def finish(self) -> range:
        """Take all steps."""
        while self.step():
            pass
        assert self.result is not None
        return self.result


def ops(block: int = 1, raise_on_redis_errors: bool = False, num_tries: int = 3) -> NextIDOps:
    return NextIDOps("test", raise_on_redis_errors, num_tries, block)


def call(masters: list[Master], block: int = 1, **options: Any) -> range:
    return Run(masters, ops(block, **options).reserve(tuple(masters))).finish()


def test_what_is_sent_to_one_master() -> None:
    master = Master()
    assert call([master]) == range(1, 2)
    assert call([master], 10) == range(2, 12)
    assert master.seen == ["INCR", "INCRBY"]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7])
def test_what_is_sent_to_several(count: int) -> None:
    masters = [Master() for _ in range(count)]
    assert [call(masters).start for _ in range(3)] == [1, 2, 3]
    assert masters[0].seen == ["INCR"] * 3
    assert all(master.seen == ["GET", "nextid_claim"] * 3 for master in masters[1:])
    assert all(master.value == 3 for master in masters)


def test_goes_on_from_what_a_quorum_has() -> None:
    masters = [Master() for _ in range(3)]
    masters[2].value = 40  # the first, which draws, was restarted empty
    assert call(masters) == range(41, 42)
    assert [master.value for master in masters] == [41] * 3


@pytest.mark.parametrize("down", [0, 1, 4])
def test_a_dead_minority_is_asked_once_in_a_call(down: int) -> None:
    masters = [Master() for _ in range(5)]
    masters[down].down = True
    assert call(masters) == range(1, 2)
    assert len(masters[down].seen) == 1


def test_a_dead_majority() -> None:
    masters = [Master() for _ in range(5)]
    for master in masters[:3]:
        master.down = True
    with pytest.raises(QuorumNotAchieved) as caught:
        call(masters, num_tries=2)
    assert masters[0].seen == ["INCR"] * 2
    assert caught.value.key == "nextid:test"
    assert caught.value.masters == frozenset(masters)
    assert [str(error) for error in caught.value.redis_errors] == ["down"] * 3
    with pytest.raises(QuorumIsImpossible):
        call(masters, raise_on_redis_errors=True)
    assert masters[0].seen == ["INCR"] * 3


def test_the_end_of_ids() -> None:
    for count in (1, 3):
        masters = [Master() for _ in range(count)]
        for master in masters:
            master.value = LAST - 1
        assert call(masters) == range(LAST, LAST + 1)
        with pytest.raises(OverflowError):
            call(masters)


def test_a_reset_that_not_every_master_confirms_fails() -> None:
    masters = [Master() for _ in range(3)]
    masters[1].down = True
    program = ops().reset(tuple(masters))
    step = next(program)
    assert isinstance(step, Ask)
    assert [op and op.name for op in step.ops] == ["DEL"] * 3
    with pytest.raises(QuorumNotAchieved):
        program.send([None, ConnectionError(), None])


@pytest.mark.parametrize("seed", range(30))
def test_mixed_calls_with_lost_replies_share_no_id(seed: int) -> None:
    chance = random.Random(seed)
    masters = [Master() for _ in range(chance.choice([3, 4, 5]))]
    owned: set[int] = set()
    finished = 0
    clients = [ops(block, num_tries=5) for block in (1, 1, 3, 10)]
    runs: list[Run] = []
    for _ in range(400):
        if len(runs) < 4:
            runs.append(Run(masters, chance.choice(clients).reserve(tuple(masters))))
        # A minority may be away at any time.
        for master in masters:
            master.down = False
        for master in chance.sample(masters, chance.randint(0, len(masters) - majority(len(masters)))):
            master.down = chance.random() < 0.2
        run = chance.choice(runs)
        try:
            more = run.step(lambda: chance.random() < 0.05)
        except QuorumNotAchieved:
            runs.remove(run)
            continue
        if not more:
            runs.remove(run)
            finished += 1
            assert run.result is not None
            assert owned.isdisjoint(run.result)
            owned |= set(run.result)
    assert finished > 20


def test_calls_of_one_object_may_draw_from_different_masters() -> None:
    masters = [Master() for _ in range(3)]
    masters[1].value, masters[2].value = 5, 4
    shared = ops()
    first = Run(masters, shared.reserve(tuple(masters)))
    first.step()  # has drawn from the first master
    masters[0].down = True
    second = Run(masters, shared.reserve(tuple(masters))).finish()  # draws from the second one
    masters[0].down = False
    assert second.start > 5
    assert first.finish().start > second.start


def test_a_later_call_gets_a_higher_id() -> None:
    chance = random.Random(7)
    masters = [Master() for _ in range(5)]
    before = 0
    for _ in range(300):
        for master in masters:
            master.down = False
        for master in chance.sample(masters, 2):
            master.down = True
        taken = call(masters, chance.choice([1, 5]))
        assert taken.start > before
        before = taken.stop - 1


def test_scripts_are_sent_as_text() -> None:
    claim = ops(5)._raise(2**60, 2**60 + 5)
    assert isinstance(claim.command, Script)
    assert claim.args == (b"1152921504606846976", b"1152921504606846981")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": 5}, TypeError),
        ({"key": b"x"}, TypeError),
        ({"key": ""}, ValueError),
        ({"key": "\ud800"}, ValueError),
        ({"num_tries": 0}, ValueError),
        ({"num_tries": True}, TypeError),
        ({"num_tries": 2.0}, TypeError),
        ({"block": 0}, ValueError),
        ({"block": -5}, ValueError),
        ({"block": "10"}, TypeError),
        ({"block": 2**63}, ValueError),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception]) -> None:
    given: dict[str, Any] = {"key": "k", "raise_on_redis_errors": False, "num_tries": 3, "block": 1, **options}
    with pytest.raises(error):
        NextIDOps(**given)

"""Eight processes on one sequence: no id twice, no call fails, and each process sees its ids increase."""

from __future__ import annotations

from tests.support.ids import Case, Takers
from tests.support.servers import Node

PROCESSES = 8


def test_no_id_twice_and_no_call_fails(five: list[Node]) -> None:
    one, all_five = [five[0].port], [node.port for node in five]
    cases = [Case(one, 200), Case(all_five, 50), Case(one, 1000, block=50), Case(all_five, 500, block=50)]
    takers = Takers(PROCESSES, cases)
    for case in cases:
        takers.start()
        outcomes = takers.outcomes()
        assert [errors for _, errors in outcomes if errors] == []
        taken = [value for ids, _ in outcomes for value in ids]
        assert len(taken) == len(set(taken)) == PROCESSES * case.count
        assert all(ids == sorted(ids) for ids, _ in outcomes)
        if case.ports == one and case.block == 1:
            assert sorted(taken) == list(range(1, PROCESSES * case.count + 1))
    takers.join()

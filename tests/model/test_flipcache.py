"""FlipCache against a plain dict, with somebody else who writes too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.flip import Flips
from tests.support.servers import SETUPS

KEYS = st.sampled_from(["a", "b", "1", 1, True, ("t", 1), ("t", 1.0)])
VALUES = st.sampled_from([0, 1, None, "", "x", [1], {"k": [None]}])


def same(key: Any) -> str:
    return str(key) if not isinstance(key, bool | tuple) else "1" if key is True else "('t', 1)"


class Machine(RuleBasedStateMachine):
    """Every method on a cache and on a dict of texts."""

    flips: Flips
    options: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.cache = self.flips(value_type="json", **self.options)
        self.model: dict[str, Any] = {}

    @rule(key=KEYS, value=VALUES)
    def set(self, key: Any, value: Any) -> None:
        self.cache[key] = value
        self.model[same(key)] = value

    @rule(key=KEYS)
    def look(self, key: Any) -> None:
        assert self.cache[key] == self.model.get(same(key))

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        assert self.cache.get(key, "no") == self.model.get(same(key), "no")
        assert (key in self.cache) == (same(key) in self.model)

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        del self.cache[key]
        self.model.pop(same(key), None)

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        assert self.cache.pop(key, "no") == self.model.pop(same(key), "no")

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: Any, value: Any) -> None:
        assert self.cache.setdefault(key, value) == self.model.setdefault(same(key), value)

    @rule(key=KEYS, value=VALUES)
    def get_or_set(self, key: Any, value: Any) -> None:
        assert self.cache.get_or_set(key, lambda: value) == self.model.setdefault(same(key), value)

    @rule(items=st.lists(st.tuples(KEYS, VALUES), max_size=4))
    def set_many(self, items: list[tuple[Any, Any]]) -> None:
        self.cache.set_many(items)
        self.model.update({same(key): value for key, value in items})

    @rule(keys=st.lists(KEYS, max_size=4))
    def get_many(self, keys: list[Any]) -> None:
        expected = {key: self.model[same(key)] for key in keys if same(key) in self.model}
        assert self.cache.get_many(keys) == expected

    @rule(keys=st.lists(KEYS, max_size=4))
    def delete_many(self, keys: list[Any]) -> None:
        gone = {same(key) for key in keys} & self.model.keys()
        assert self.cache.delete_many(keys) == len(gone)
        for key in gone:
            del self.model[key]

    @rule(key=KEYS)
    def touch(self, key: Any) -> None:
        assert self.cache.touch(key, 100) == (same(key) in self.model)

    @rule(key=KEYS, value=st.sampled_from(["their", "s"]))
    def somebody_else(self, key: Any, value: str) -> None:
        self.cache.flush()
        self.flips.raw.set(f"{self.cache.name}:{same(key)}", f'"{value}"')
        self.model[same(key)] = value
        self.flips.until(lambda: self.cache.get(key) == value, "a change is followed")

    @rule()
    def whole(self) -> None:
        assert self.cache.to_dict() == self.model
        assert sorted(self.cache) == sorted(self.model)
        assert len(self.cache) == len(self.model)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @invariant()
    def local_copies_are_right(self) -> None:
        for key, value in dict(self.cache.local).items():
            assert self.model[same(key)] == value

    def teardown(self) -> None:
        self.cache.flush()
        self.cache.clear()


OPTIONS: dict[str, dict[str, Any]] = {
    "fifo": {},
    "lru": {"eviction": "lru", "local_max": 2},
    "remote": {"local_max": 0},
    "back": {"write": "back", "flush_interval": None, "dirty_max": 3},
    "pubsub": {"coherence": "pubsub"},
    "alone": {"coherence": None},
}


# Against servers a failure takes minutes to be made smaller.
QUICK = settings(max_examples=5, stateful_step_count=20, phases=[Phase.generate])


@pytest.mark.parametrize("setup", [SETUPS[0], SETUPS[-1]], ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_model(name: str, setup: Any) -> None:
    flips = Flips(setup)
    body: dict[str, Any] = {"flips": flips, "options": OPTIONS[name]}
    if name in ("pubsub", "alone"):
        # Nobody tells them of what somebody else writes.
        body["somebody_else"] = None
    machine: Any = type("Chosen", (Machine,), body)
    try:
        run_state_machine_as_test(machine, settings=QUICK)
    finally:
        flips.close()

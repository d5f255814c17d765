"""One method, one round trip: for every method of every collection, at sizes 1, 100 and 1,000, in both worlds."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import pottery_like
from pottery_like._core.lua import script
from pottery_like._io import aio, sync
from tests.conftest import Maker, few
from tests.support.calls import CALLS, FILL, numbers
from tests.support.names import SAME, VERBS
from tests.support.proxy import proxied
from tests.support.servers import Setup, cluster, programs, standalone

# Decision 2's exceptions, and what does no exchange at all.
EXCEPT = {"edit", "transform", "sort", "sync", "fromkeys", "key", "redis", "codec", "maxlen"}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_method_is_measured(name: str) -> None:
    assert set(SAME[name]) | set(VERBS[name]) <= set(CALLS[name]) | EXCEPT


class Counted:
    """Counts the exchanges of all runners while it is entered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trips = 0
        for module in (sync, aio):
            for name in ("_exchange", "_together"):
                monkeypatch.setattr(module.Runner, name, self._counting(getattr(module.Runner, name)))

    def _counting(self, exchange: Any) -> Any:
        if inspect.iscoroutinefunction(exchange):

            async def counted(*args: Any, **kwargs: Any) -> Any:
                self.trips += 1
                return await exchange(*args, **kwargs)
        else:

            def counted(*args: Any, **kwargs: Any) -> Any:
                self.trips += 1
                return exchange(*args, **kwargs)

        return counted


def load_scripts(setup: Setup) -> None:
    """Spare the counts the second exchange after a server's first NOSCRIPT."""
    nodes = cluster(setup.server) if setup.topology == "cluster" else [standalone(setup.server)]
    for node in nodes:
        with Redis(port=node.port) as client:
            for path in Path(pottery_like.__file__).parent.glob("_lua/*.lua"):
                client.script_load(script(path.stem).source)


PAGED = {"__iter__", "__reversed__", "elements", "items", "keys", "values"}


@few
@pytest.mark.parametrize("name", sorted(CALLS))
def test_one_round_trip(make: Maker, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_scripts(make.setup)
    counted = Counted(monkeypatch)
    wrong = {}
    for n in (1, 100, 1000):
        for method, call in CALLS[name].items():
            container = make(name)
            counted.trips = 0
            container = make(name, FILL[name](n), key=container.key)
            filling, counted.trips = counted.trips, 0
            call(container, n)
            # A page is a thousand elements, and only the server knows whether one more would come.
            allowed = {1, 2} if method in PAGED and n == 1000 else {1}
            if counted.trips not in allowed or filling != 1:
                wrong[method, n] = counted.trips, filling
            container.clear()
    assert not wrong


@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("server", sorted(programs()))
def test_one_round_trip_on_the_wire(server: str, name: str) -> None:
    """The same for one size, counted by a proxy between client and server."""
    setup = Setup(server, "standalone", 2, "sync")
    with proxied(standalone(server).port) as proxy, setup.client() as direct:
        client = type(direct)(port=proxy.port)
        cls = getattr(pottery_like, name)
        key = f"wire:{name}"
        for method, call in CALLS[name].items():
            direct.delete(key)
            call(cls(FILL[name](100), redis=client, key=key), 100)
            direct.delete(key)
            container = cls(FILL[name](100), redis=client, key=key)
            before = proxy.round_trips
            call(container, 100)
            assert proxy.round_trips - before == 1, method
        direct.delete(key)
        client.close()


@few
def test_bulk_goes_in_chunks(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    container = make("RedisDict", numbers(100_000))
    # Two batches of fifty chunks, and one step that puts the result in place.
    assert counted.trips <= 4
    counted.trips = 0
    container.update(numbers(100_000))
    assert counted.trips <= 3
    assert len(container) == 100_000

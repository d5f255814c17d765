"""Servers, the matrix of set-ups, and containers with keys of their own.

The matrix is {each server program} x {standalone, cluster} x {RESP2, RESP3} x {sync, asyncio}.  What goes wrong in one
cell alone goes wrong for a reason that has to do with one or two of its properties: a server's version with commands
and scripts, a cluster with slots, a protocol with the shape of replies, asyncio with its own runner.  So a test that
takes the ``make`` fixture runs on five cells (``servers.PAIRS``) in which any two properties meet.  ``@every`` is for
the one thorough test of a container against its builtin, which runs in all cells, and ``@few`` for what takes its time.

What goes wrong between a client and its server is tested on servers that may be mistreated, ``node`` or ``five``, once
with each server and in each ``world``.

``MATRIX=all`` (``make test-all``) runs every test in every cell.  HYPOTHESIS_PROFILE=explore and HISTORY_SECONDS=60 try
for longer, and may want a higher ``-o faulthandler_timeout``.

A worker's cells share the servers, and each cell has one client and one event loop for all its tests.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import pottery_like
from tests.support import servers
from tests.support.facade import Loop, unwrap, wrap
from tests.support.servers import FEW, PAIRS, SERVER_WORLDS, SETUPS, Node, Setup

settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=20,
)
settings.register_profile("explore", settings.get_profile("default"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

RUN = uuid.uuid4().hex[:8]
_numbers = itertools.count()


def pytest_report_header() -> str:
    return "servers under test: " + ", ".join(f"{name} ({path})" for name, path in servers.programs().items())


def pytest_sessionstart(session: pytest.Session) -> None:
    # A cluster takes two seconds, during which the tests are collected: by xdist's workers, not by who starts them.
    if session.config.getoption("dist", "no") == "no" and not session.config.option.collectonly:
        servers.launch_all()


def pytest_sessionfinish() -> None:
    try:
        for each in _makers.values():
            each.close()
    finally:
        servers.stop_all()


class Maker:
    """Makes containers on one set-up; in the asyncio world behind the synchronous surface."""

    def __init__(self, setup: Setup, client: Any, loop: Loop | None) -> None:
        self.setup, self.client, self.loop = setup, client, loop
        self.keys: list[str] = []

    def new_key(self) -> str:
        """Return a key that nothing else uses."""
        key = f"test:{RUN}:{os.getpid()}:{next(_numbers)}"
        self.keys.append(key)
        return key

    def __call__(self, name: str, *args: Any, key: str | None = None, client: Any = None, **options: Any) -> Any:
        """Return a new container of the class ``name`` (the synchronous one's)."""
        key = self.new_key() if key is None else key
        options = {"redis": client or self.client, "key": key, **options}
        if self.loop is None:
            return getattr(pottery_like, name)(*args, **options)
        container = getattr(pottery_like, f"AIO{name}")(*map(unwrap, args), **options)
        return wrap(self.loop, self.loop.run(_filled(container)))

    def run(self, result: Any) -> Any:
        """Return the result of a client's call in either world."""
        return result if self.loop is None else self.loop.run(result)

    def clean(self) -> None:
        """Remove the keys."""
        if self.keys:
            self.run(self.client.delete(*self.keys))
            self.keys.clear()

    def close(self) -> None:
        """Remove the keys, and close the client and the loop."""
        self.clean()
        self.run(self.client.close() if self.loop is None else self.client.aclose())
        if self.loop is not None:
            self.loop.close()


_makers: dict[Setup, Maker] = {}


def maker(setup: Setup) -> Maker:
    """Return the one that all tests in a cell share: making a cluster's client takes tens of milliseconds."""
    if setup not in _makers:
        loop = Loop() if setup.world == "aio" else None
        _makers[setup] = Maker(setup, loop.call(setup.client) if loop else setup.client(), loop)
    return _makers[setup]


every = pytest.mark.parametrize("make", SETUPS, ids=str, indirect=True)
few = pytest.mark.parametrize("make", FEW, ids=str, indirect=True)


@pytest.fixture(params=PAIRS, ids=str)
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make containers on set-ups of the matrix."""
    shared = maker(request.param)
    yield shared
    shared.clean()


async def _filled(container: Any) -> Any:
    return await container


@pytest.fixture(params=SERVER_WORLDS, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A server program and a world, for the tests of faults, which have servers of their own."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def world(place: tuple[str, str]) -> Any:
    """The world of the place."""
    return place[1]


@pytest.fixture
def node(place: tuple[str, str]) -> Node:
    """A server that may be mistreated."""
    return servers.spares(place[0])[0]


@pytest.fixture
def five() -> list[Node]:
    """Five independent masters that may be mistreated."""
    return servers.spares(next(iter(servers.programs())), 5)


@pytest.fixture
def redis() -> Iterator[Any]:
    """A synchronous client of the first server under test."""
    client = SETUPS[0].client()
    yield client
    client.close()


ContainerMaker = Callable[..., Any]

"""Servers, the matrix of set-ups, and containers with keys of their own."""

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
from tests.support.servers import SETUPS, Setup

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


@pytest.fixture(scope="session", autouse=True)
def _servers() -> Iterator[None]:
    yield
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

    def close(self) -> None:
        for key in self.keys:
            self.run(self.client.delete(key))
        self.run(self.client.close() if self.loop is None else self.client.aclose())
        if self.loop is not None:
            self.loop.close()


@pytest.fixture(params=SETUPS, ids=str)
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make containers on each set-up of the matrix."""
    loop = Loop() if request.param.world == "aio" else None
    client = loop.run(_made(request.param)) if loop else request.param.client()
    maker = Maker(request.param, client, loop)
    yield maker
    maker.close()


async def _filled(container: Any) -> Any:
    return await container


async def _made(setup: Setup) -> Any:
    return setup.client()


@pytest.fixture
def redis() -> Iterator[Any]:
    """A synchronous client of the first server under test."""
    client = SETUPS[0].client()
    yield client
    client.close()


ContainerMaker = Callable[..., Any]

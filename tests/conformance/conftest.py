"""Set-ups for tests of decorated functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Maker
from tests.support.cached import maker
from tests.support.servers import FEW


@pytest.fixture(params=[FEW[0], FEW[-1]], ids=str)
def slow(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make caches on two set-ups, one with and one without expiry of a hash's fields: for tests that take time."""
    yield from maker(request.param)


@pytest.fixture(params=FEW, ids=str)
def few(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Make caches on some set-ups of the matrix."""
    yield from maker(request.param)

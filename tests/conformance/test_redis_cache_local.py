"""redis_cache(local=N): results kept in the process, until they change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from pottery_like import redis_cache
from tests.support.cached import Counted, maker, plain
from tests.support.proxy import proxied
from tests.support.servers import FEW, SETUPS, standalone, wait_until


@pytest.fixture(params=FEW, ids=str)
def near(request: pytest.FixtureRequest) -> Iterator[Callable[..., Counted]]:
    """Make functions with a local tier; two of one key have a client each."""
    makers = [maker(request.param), maker(request.param)]
    pair = [next(each) for each in makers]
    key = pair[0].new_key()

    def make(number: int, function: Callable[..., Any] = plain, **options: Any) -> Counted:
        return Counted(pair[number], function, key=key, timeout=None, **{"local": 3, **options})

    yield make
    for each in makers:
        next(each, None)


def settled(subject: Counted, *args: Any) -> bool:
    """Whether a call takes no exchange."""
    return subject.trips(*args) == 0


def test_hits_are_local_until_somebody_changes_something(near: Callable[..., Counted]) -> None:
    mine, other = near(0, tags=["t"]), near(1, tags=["t"])
    wait_until(lambda: settled(mine, 1), "the first results are kept")
    wait_until(lambda: settled(other, 1), "and those that others have computed")
    assert mine.calls + other.calls == 1
    for change in (
        lambda: other.cached.__bypass__(1),
        lambda: other.cached.invalidate(1),
        lambda: other.cached.invalidate_tag("t"),
        other.cached.cache_clear,
        lambda: other.make.run(other.make.client.delete(other.key)),
    ):
        wait_until(lambda: settled(mine, 1), "kept again")
        change()
        wait_until(lambda: not settled(mine, 1), "the change is heard of")


def test_own_changes_need_not_be_heard_of(near: Callable[..., Counted]) -> None:
    mine = near(0, lambda n: mine.calls, tags=["t"])
    for number, change in enumerate(
        (
            lambda: mine.cached.invalidate(1),
            lambda: mine.cached.invalidate_tag("t"),
            mine.cached.cache_clear,
            lambda: mine.cached.__bypass__(1),
        ),
        2,
    ):
        wait_until(lambda: settled(mine, 1), "kept")
        assert mine(1) == number - 1
        change()
        assert mine(1) == number


def test_no_more_than_so_many(near: Callable[..., Counted]) -> None:
    mine = near(0)
    for n in (1, 2, 3, 4):
        mine(n)
    wait_until(lambda: all(settled(mine, n) for n in (1, 2, 3)), "kept")
    assert settled(mine, 1)
    assert not settled(mine, 4)
    assert [settled(mine, n) for n in (4, 1, 3)] == [True, True, True]
    assert not settled(mine, 2), "what was used least recently has gone"
    assert mine.calls == 4


def test_expiry_is_exact(near: Callable[..., Counted]) -> None:
    mine = near(0, lambda n: mine.calls, ttl=0.5)
    wait_until(lambda: settled(mine, 1), "kept")
    assert mine(1) == 1
    time.sleep(0.55)
    assert mine(1) == 2


def test_results_are_not_shared_objects(near: Callable[..., Counted]) -> None:
    mine = near(0)
    wait_until(lambda: settled(mine, 1), "kept")
    mine(1).append("spoiled")
    assert mine(1) == [1, 2]


def test_nothing_is_served_when_the_connection_is_lost() -> None:
    port = standalone(SETUPS[0].server).port
    with proxied(port) as proxy, Redis(port=proxy.port) as client, Redis(port=port) as direct:
        cached: Any = redis_cache(redis=client, key="lost", timeout=None, local=10)(plain)
        cached(1)
        time.sleep(0.05)
        # From now on nobody hears anything, and nobody is told.
        proxy.silent, proxy.lose = True, 10**9
        direct.hset("lost", direct.hkeys("lost")[0], "|[5]")
        time.sleep(1.05)
        proxy.lose = 0
        assert cached(1) == [5]
        cached.cache_clear()


def test_options_that_do_not_go_together(redis: Redis) -> None:
    assert redis_cache(redis=redis, key="k", local=1, timeout=None)(plain)
    with pytest.raises(ValueError, match="timeout=None"):
        redis_cache(redis=redis, key="k", local=1)(plain)

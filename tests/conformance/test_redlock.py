"""Redlock and AIORedlock: threading.Lock's behaviour, leases, waiting, Pottery's keys."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pottery_like.aio.redlock import AIORedlock
from pottery_like.exceptions import (
    ExtendUnlockedLock,
    QuorumNotAchieved,
    ReleaseUnlockedLock,
    TooManyExtensions,
    WrongTypeError,
)
from pottery_like.redlock import Redlock
from tests.support.locks import Actor, InBackground, clients_of
from tests.support.servers import PAIRS, Setup, wait_until

RUN = uuid.uuid4().hex[:8]
_numbers = itertools.count()

# What Pottery 3 runs on the same keys.
POTTERY_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class Scene:
    """Lock objects on one key."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.name = f"lock-{RUN}-{os.getpid()}-{next(_numbers)}"
        self.key = f"redlock:{self.name}"
        plain = Setup(setup.server, setup.topology, setup.protocol, "sync")
        self.redis = plain.client(decode_responses=False) if setup.protocol == 2 else plain.client()
        self._actors: list[Actor] = []

    def __call__(self, **options: Any) -> Any:
        kind = AIORedlock if self.setup.world == "aio" else Redlock
        arguments = {"key": self.name, **options}
        actor = Actor(lambda masters: kind(masters=masters, **arguments), clients_of(self.setup), self.setup.world)
        self._actors.append(actor)
        return actor

    def waiting(self) -> int:
        """Return how many wait in the line."""
        return int(self.redis.llen(f"{{{self.key}}}:waiters"))

    def close(self) -> None:
        for actor in self._actors:
            actor.close()
        self.redis.delete(self.key, f"{{{self.key}}}:fence", f"{{{self.key}}}:waiters")
        self.redis.close()


@pytest.fixture(params=PAIRS, ids=str)
def lock(request: pytest.FixtureRequest) -> Iterator[Scene]:
    scene = Scene(request.param)
    yield scene
    scene.close()


def test_acquire_and_release(lock: Scene) -> None:
    printer = lock()
    assert printer.locked() == 0
    assert printer.lost is False
    assert printer.fencing_token is None
    assert printer.acquire() is True
    assert 0 < printer.locked() < 10
    assert 0 < lock.redis.pttl(lock.key) <= 10000
    assert repr(printer) == f"<{type(printer._lock).__name__} key={lock.key}>"
    assert printer.release() is None
    assert printer.locked() == 0
    assert not lock.redis.exists(lock.key)
    with pytest.raises(ReleaseUnlockedLock):
        printer.release()


def test_as_threading_lock_takes_its_arguments(lock: Scene) -> None:
    holder, other = lock(), lock()
    assert holder.acquire(True, 1)
    assert other.acquire(False) is False
    assert other.acquire(blocking=False) is False
    assert other.acquire(True, 0) is False
    assert other.acquire(True, 0.02) is False
    assert holder.acquire(False) is False
    for wrong in [(False, 1), (True, -2), (True, float("nan"))]:
        with pytest.raises(ValueError, match="timeout"):
            other.acquire(*wrong)
    with pytest.raises(OverflowError):
        other.acquire(True, 1e20)
    with pytest.raises(TypeError):
        other.acquire(True, "1")
    assert lock.waiting() == 0
    # None of the failed attempts, its own included, cost the holder its token.
    assert holder.locked() > 0
    holder.release()
    assert other.acquire(False) is True
    other.release()


def test_waiters_come_first_come_first_served(lock: Scene) -> None:
    holder, waiters = lock(), [lock() for _ in range(3)]
    holder.acquire()
    calls = []
    for number, waiter in enumerate(waiters, start=1):
        calls.append(InBackground(waiter.acquire))
        wait_until(lambda number=number: lock.waiting() == number, "the waiter is in the line")
    fences = [holder.fencing_token]
    for number, call in enumerate(calls):
        [holder, *waiters][number].release()
        assert call.wait() is True
        assert [other.running for other in calls].count(False) == number + 1
        fences.append(waiters[number].fencing_token)
    waiters[-1].release()
    assert fences == sorted(set(fences))
    assert not lock.redis.exists(lock.key)


def test_who_gives_up_leaves_the_line(lock: Scene) -> None:
    holder, other = lock(), lock()
    holder.acquire()
    assert other.acquire(timeout=0.2) is False
    assert lock.waiting() == 0
    holder.release()
    assert not lock.redis.exists(lock.key)


def test_lease_ends(lock: Scene) -> None:
    first, second = lock(auto_release_time=0.1), lock()
    first.acquire()
    started = time.monotonic()
    assert second.acquire() is True
    assert time.monotonic() - started < 5
    assert first.lost is True
    assert first.locked() == 0
    with pytest.raises(ExtendUnlockedLock):
        first.extend()
    with pytest.raises(ReleaseUnlockedLock):
        first.release()
    assert second.locked() > 0
    assert second.fencing_token > 0
    second.release()


def test_context_manager(lock: Scene) -> None:
    printer, impatient = lock(), lock(context_manager_timeout=0.05)
    with printer as entered:
        assert entered.locked() > 0
        for other in (impatient, lock(context_manager_blocking=False)):
            with pytest.raises(QuorumNotAchieved), other:
                pass
    assert printer.locked() == 0
    with pytest.raises(KeyError), printer:
        raise KeyError
    assert not lock.redis.exists(lock.key)


def test_context_manager_heeds_attributes_set_later(lock: Scene) -> None:
    printer, other = lock(), lock()
    other._lock.context_manager_timeout = 0.05
    with printer, pytest.raises(QuorumNotAchieved):
        other.__enter__()


def test_fencing_tokens_increase_where_lua_counts_no_further(lock: Scene) -> None:
    lock.redis.set(f"{{{lock.key}}}:fence", 2**53 + 1)
    tokens = []
    first = lock()
    first.acquire()
    for _ in range(3):
        tokens.append(first.fencing_token)
        second = lock()
        waiting = InBackground(second.acquire)
        wait_until(lock.waiting, "somebody waits")
        first.release()
        assert waiting.wait()
        first = second
    first.release()
    assert tokens == sorted(set(tokens)), "equal, or less"


def test_late_exit_hides_no_exception_and_hits_nobody(lock: Scene) -> None:
    late, other = lock(auto_release_time=0.1), lock()

    def overtaken(error: bool) -> None:
        with late:
            other.acquire()
            if error:
                raise KeyError

    with pytest.raises(KeyError):
        overtaken(True)
    other.release()
    with pytest.raises(ReleaseUnlockedLock):
        overtaken(False)
    assert other.locked() > 0
    other.release()


def test_extend(lock: Scene) -> None:
    printer = lock(auto_release_time=0.5, num_extensions=2)
    with pytest.raises(ExtendUnlockedLock):
        printer.extend()
    printer.acquire()
    lock.redis.pexpire(lock.key, 200)
    printer.extend()
    assert lock.redis.pttl(lock.key) > 300
    printer.extend()
    with pytest.raises(TooManyExtensions):
        printer.extend()
    printer.release()
    printer.acquire()
    printer.extend()
    printer.release()


def test_fencing_token_outlives_the_lease(lock: Scene) -> None:
    seen = [0]
    for lease in (0.05, 10.0):
        printer = lock(auto_release_time=lease)
        for _ in range(2):
            printer.acquire()
            assert printer.fencing_token > seen[-1]
            seen.append(printer.fencing_token)
            if lease == 10:
                printer.release()
            else:
                wait_until(lambda: not lock.redis.exists(lock.key), "the lease ends")


def test_reentrant(lock: Scene) -> None:
    printer = lock(reentrant=True)
    if lock.setup.world == "aio":
        pytest.skip("each call of the facade is a task of its own")
    with printer, printer:
        assert printer.acquire() is True
        printer.release()
        assert printer.locked() > 0
        assert InBackground(printer.acquire, False).wait() is False
    assert not lock.redis.exists(lock.key)
    with pytest.raises(ReleaseUnlockedLock):
        printer.release()


def test_with_pottery_on_the_same_key(lock: Scene) -> None:
    theirs, printer = str(uuid.uuid4()), lock()
    assert lock.redis.set(lock.key, theirs, nx=True, px=10000)
    assert printer.acquire(False) is False
    call = InBackground(printer.acquire)
    time.sleep(0.25)
    assert lock.redis.eval(POTTERY_RELEASE, 1, lock.key, theirs) == 1
    started = time.monotonic()
    assert call.wait() is True
    assert time.monotonic() - started < 5, "it slept until the end of the lease"
    assert lock.redis.set(lock.key, theirs, nx=True, px=10000) is None
    assert lock.redis.eval(POTTERY_RELEASE, 1, lock.key, theirs) == 0
    printer.release()


def test_key_of_another_type(lock: Scene) -> None:
    lock.redis.rpush(lock.key, "x")
    printer = lock()
    assert printer.acquire(False) is False
    with pytest.raises(WrongTypeError):
        printer.acquire()
    assert lock.redis.lrange(lock.key, 0, -1) == [b"x"]


WRONG: list[tuple[type[Exception], dict[str, Any]]] = [
    (ValueError, {"auto_release_time": 0}),
    (ValueError, {"auto_release_time": -1}),
    (ValueError, {"auto_release_time": float("nan")}),
    (ValueError, {"auto_release_time": float("inf")}),
    (ValueError, {"auto_release_time": 1e16}),
    (ValueError, {"auto_release_time": 10**400}),
    (TypeError, {"auto_release_time": "1"}),
    (TypeError, {"auto_release_time": True}),
    (ValueError, {"num_extensions": -1}),
    (TypeError, {"num_extensions": 1.5}),
    (ValueError, {"context_manager_blocking": False, "context_manager_timeout": 1}),
    (ValueError, {"context_manager_timeout": -3}),
    (TypeError, {"on_lost": 3}),
    (TypeError, {"masters": [3]}),
    (ValueError, {"masters": ["localhost:6379"]}),
    (TypeError, {"masters": {"host": "h", "prot": 1}}),
    (ValueError, {"masters": [{"host": "h", "port": 0}]}),
    (TypeError, {"key": 3}),
    (ValueError, {"key": ""}),
]


@pytest.mark.parametrize(("error", "options"), WRONG, ids=str)
@pytest.mark.parametrize("kind", [Redlock, AIORedlock])
def test_wrong_arguments(kind: Callable[..., Any], error: type[Exception], options: dict[str, Any]) -> None:
    with pytest.raises(error):
        kind(**{"key": "x", **options})

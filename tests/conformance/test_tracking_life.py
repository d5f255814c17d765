"""How long a tracker listens: no longer than it is wanted, and in its own process and event loop."""

from __future__ import annotations

import gc
import multiprocessing
import time
import weakref
from typing import Any

import pytest
import redis as redispy

from tests.conformance.test_tracking import FOUR, PREFIX
from tests.support import servers
from tests.support.processes import Child, alone, fork
from tests.support.servers import Setup, wait_until
from tests.support.tracking import Cache, Copies, cache, get, listening, put


@alone
def test_the_thread_lives_while_it_is_wanted() -> None:
    from pottery_like._io.sync import Runner
    from pottery_like._io.tracking import tracker

    def make() -> redispy.Redis:
        return redispy.Redis(port=servers.standalone("redis").port)

    # Forgotten, collected, and closed with the client; and begun anew.
    client = make()
    following, copies = tracker(Runner(client)), Copies(PREFIX)
    reference = weakref.ref(following)

    def usable() -> bool:
        found = reference()
        return found is not None and found.usable(get(PREFIX))

    assert tracker(Runner(client)) is following
    assert not following.usable(get(PREFIX))
    assert not listening()
    following.watch(copies)
    assert usable()
    wait_until(lambda: len(listening()) == 1, "the thread that connected ends")
    following.forget(copies)
    wait_until(lambda: not listening(), "the thread ends when nobody watches")
    following.watch(copies)
    wait_until(usable, "it begins anew")
    del copies
    gc.collect()
    wait_until(lambda: not listening(), "the thread ends when the tiers are collected")
    copies = Copies(PREFIX)
    following.watch(copies)
    assert usable()
    client.close()
    wait_until(lambda: not listening(), "the thread ends when the client is closed")
    assert copies.drops
    wait_until(usable, "it begins anew when it is asked")
    with make() as admin:
        assert count(admin) == 2
        del following, copies
        gc.collect()
        assert reference() is None
        wait_until(lambda: not listening() and count(admin) == 0, "thread and connections end with the tracker")
    client.close()


def count(admin: Any) -> int:
    return sum("cmd=client|tracking" in line or "cmd=ping" in line or "flags=tB" in line for line in clients(admin))


def clients(admin: Any) -> list[str]:
    return [
        f"flags={each['flags']} cmd={each['cmd']} sub={each['sub']}"
        for each in admin.client_list()
        if each["sub"] != "0" or "B" in each["flags"]
    ]


@pytest.mark.parametrize("kind", ["ConnectionPool", "BlockingConnectionPool"])
@alone
def test_closing_the_pool_closes_the_links(kind: str) -> None:
    pool = getattr(redispy, kind)(port=servers.standalone("redis").port)
    with cache("sync", lambda: redispy.Redis(connection_pool=pool), PREFIX) as mine:
        mine.fill(PREFIX)
        pool.disconnect()
        mine.gone(PREFIX)
        wait_until(lambda: not listening(), "the thread ends")
        mine.fill(PREFIX)
        pool.disconnect()
        wait_until(lambda: not listening(), "the thread ends again")


def in_the_child(connection: Any, mine: Cache) -> None:
    empty, following = not mine.copies.values, not mine.tracker._reach.links
    wait_until(lambda: mine.usable(PREFIX), "the child has a tracker of its own")
    mine.fill(PREFIX)
    wait_until(lambda: len(listening()) == 1, "the thread that connected ends")
    connection.send((empty, following))
    connection.recv()
    mine.gone(PREFIX)
    connection.send(mine.read(PREFIX))


@alone
def test_a_forked_child_has_a_tracker_of_its_own() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork")
    setup = FOUR[0]
    with setup.client() as other, cache("sync", setup.client, PREFIX) as mine:
        mine.fill(PREFIX)
        other.set(PREFIX, 1)
        mine.gone(PREFIX)
        mine.fill(PREFIX)
        # At the fork another thread holds the tier's lock.
        mine.copies.lock.acquire()
        child = Child(fork, in_the_child, mine, talks=True)
        mine.copies.lock.release()
        assert child.hear() == (True, True)
        assert (mine.usable(PREFIX), mine.copies.values) == (True, {PREFIX: b"1"}), "the parent's goes on"
        other.set(PREFIX, 2)
        child.tell("go on")
        assert child.hear() == b"2"
        mine.gone(PREFIX)
        child.end()
        mine.fill(PREFIX)
        other.delete(PREFIX)
        mine.gone(PREFIX)


@alone
def test_one_event_loop_after_the_other() -> None:
    """The same client and tracker, where redis-py allows it: it is closed at each loop's end."""
    import asyncio

    from pottery_like._io.aio import Runner
    from pottery_like._io.aio_tracking import tracker

    setup = FOUR[2]
    client, copies = setup.client(), Copies(PREFIX)
    following = tracker(Runner(client))

    async def use(close: bool) -> int:
        await following.watch(copies)
        assert following.usable(get(PREFIX))
        copies.values[PREFIX] = b"old"
        await following.runner.run(put(PREFIX, b"new"))
        await asyncio.to_thread(wait_until, lambda: not copies.values, "it hears of the change")
        if close:
            await client.aclose()
            await asyncio.sleep(0.05)
        else:
            await client.connection_pool.disconnect(inuse_connections=False)
        return len(asyncio.all_tasks())

    assert asyncio.run(use(close=True)) == 1, "its tasks have ended"
    asyncio.run(use(close=False))
    assert asyncio.run(use(close=True)) == 1
    with redispy.Redis(unix_socket_path=servers.standalone("redis").path) as admin:
        wait_until(lambda: not clients(admin), "no connection is left")
        admin.delete(PREFIX)


@pytest.mark.parametrize("world", ["sync", "aio"])
def test_sweeps(world: str) -> None:
    setup = Setup("redis", "standalone", 2, world)
    with cache(world, setup.client, PREFIX) as mine:
        copies = mine.copies
        wait_until(lambda: copies.sweeps, "the first sweep comes at once")
        for _ in range(20):
            due, before = time.monotonic() + 0.2, len(copies.sweeps)
            mine.run(lambda due=due: mine.tracker.wake(due))
            while len(copies.sweeps) == before:
                assert time.monotonic() < due + 20, "the sweep that was wished for"
                time.sleep(0.001)
            came = time.monotonic()
            assert copies.sweeps[-1] >= due - 0.001, "it clears what is due until then"
            # A busy machine may keep the thread waiting.
            if came < due:
                break
        assert came < due, "a sweep comes a little early"

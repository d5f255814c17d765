"""NextID beside a bare INCR, a hand-written quorum, and Pottery (where it is installed).

The candidates of one table take turns in short rounds on the same servers; each figure is the median of the rounds.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import statistics
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import redis
import redis.asyncio

from pottery_like.aio.nextid import AIONextID
from pottery_like.nextid import NextID
from tests.benchmarks.support import circumstances, table
from tests.support.servers import Node, programs

ROUNDS = 9
CALLS = 1500
SECONDS = 2.0
TAKEN = 500_000
RAISE = """
local curr = tonumber(redis.call('get', KEYS[1]))
if curr == nil or curr < tonumber(ARGV[1]) then redis.call('set', KEYS[1], ARGV[1]) return ARGV[1] end
return nil
"""


def by_hand(clients: list[Any]) -> Callable[[], int]:
    """Return the quorum as one would write it for these clients: no errors considered, no contention."""
    sha = [client.script_load(RAISE) for client in clients].pop()

    def together(*words: Any) -> list[Any]:
        connections = [client.connection_pool.get_connection() for client in clients]
        for connection in connections:
            connection.send_command(*words)
        replies = [connection.read_response() for connection in connections]
        for client, connection in zip(clients, connections, strict=True):
            client.connection_pool.release(connection)
        return replies

    def next_id() -> int:
        value = max(int(reply or 0) for reply in together("GET", "by-hand")) + 1
        assert len([reply for reply in together("EVALSHA", sha, 1, "by-hand", value) if reply]) > len(clients) // 2
        return value

    return next_id


def interleaved(candidates: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the microseconds for one call of each."""
    rounds: dict[str, list[float]] = {name: [] for name in candidates}
    each = max(1, CALLS // ROUNDS)
    for call in candidates.values():
        call()
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            started = time.perf_counter()
            for _ in range(each):
                call()
            rounds[name].append((time.perf_counter() - started) / each * 1e6)
    return {name: statistics.median(times) for name, times in rounds.items()}


def row(title: str, times: dict[str, float]) -> list[str]:
    """Return a table's row: the time by hand, and what the others take in proportion."""
    base, *others = times.values()
    return [title, f"{base:.0f}", *(f"{each / base:.2f}" for each in others)]


def pottery_ids(clients: list[Any]) -> dict[str, Callable[[], Any]]:
    """Return Pottery as a candidate, if there is one."""
    try:
        import pottery
    except ImportError:
        return {}
    logging.getLogger("pottery").disabled = True
    ids = pottery.NextID(key=f"peer-{len(clients)}", masters=set(clients))
    return {"pottery.NextID": lambda: next(ids)}


def uncontended(nodes: list[Node]) -> list[list[str]]:
    """One client: the rows for one master and more."""
    rows = []
    for count in (1, 3, 5):
        clients = [redis.Redis(port=node.port) for node in nodes[:count]]
        ids = NextID(key=f"bench-{count}", masters=clients)
        client = clients[0]
        base: dict[str, Callable[[], Any]] = (
            {"bare INCR (redis-py)": lambda client=client: client.incr("bare")}
            if count == 1
            else {"hand-written quorum": by_hand(clients)}
        )
        candidates = {**base, "NextID": lambda ids=ids: next(ids), **pottery_ids(clients)}
        rows.append(row(f"{next(iter(base))}, {count} master(s)", interleaved(candidates)))
    return rows


def blocks(nodes: list[Node]) -> list[list[str]]:
    """Ids that are reserved in blocks: the rows."""
    rows = []
    clients = [redis.Redis(port=node.port) for node in nodes]
    for count, block in ((1, 10_000), (1, 100_000), (5, 10_000)):
        ids = NextID(key="blocks", masters=clients[:count], block=block)
        rates = []
        for taking in (
            lambda ids=ids: deque(islice(ids, 500_000), 0),
            lambda ids=ids: [next(ids) for _ in range(500_000)],
        ):
            started = time.perf_counter()
            taking()
            rates.append(f"{500_000 / (time.perf_counter() - started):,.0f}")
        rows.append([f"block={block:,}, {count} master(s)", *rates])
    return rows


def by_hand_awaited(clients: list[Any]) -> Callable[[], Any]:
    """Return :func:`by_hand` for asyncio clients."""

    async def next_id() -> int:
        replies = await asyncio.gather(*[client.get("by-hand-aio") for client in clients])
        value = max(int(reply or 0) for reply in replies) + 1
        raised = await asyncio.gather(*[client.eval(RAISE, 1, "by-hand-aio", value) for client in clients])
        assert len([reply for reply in raised if reply]) > len(clients) // 2
        return value

    return next_id


async def asynchronous(nodes: list[Node]) -> list[list[str]]:
    """One asyncio client: the rows."""
    rows = []
    for count in (1, 3, 5):
        clients = [redis.asyncio.Redis(port=node.port) for node in nodes[:count]]
        ids = AIONextID(key=f"bench-aio-{count}", masters=clients)
        candidates: dict[str, Callable[[], Any]] = {
            **(
                {"bare INCR (redis.asyncio)": lambda client=clients[0]: client.incr("bare")}
                if count == 1
                else {"hand-written quorum": by_hand_awaited(clients)}
            ),
            "AIONextID": lambda ids=ids: anext(ids),
        }
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(ROUNDS):
            for name, call in candidates.items():
                started = time.perf_counter()
                for _ in range(CALLS // ROUNDS):
                    await call()
                times[name].append((time.perf_counter() - started) / (CALLS // ROUNDS) * 1e6)
        title = f"{next(iter(candidates))}, {count} master(s)"
        rows.append(row(title, {name: statistics.median(each) for name, each in times.items()}))
        for client in clients:
            await client.aclose()
    return rows


def worker(kind: str, ports: list[int], barrier: Any, seconds: float, results: Any) -> None:
    """Take ids as fast as possible; report them, how many calls failed, and the slowest call."""
    clients = [redis.Redis(port=port) for port in ports]
    if kind == "pottery.NextID":
        ids: Any = pottery_ids(clients)[kind]
    else:
        source = NextID(key=f"race-{len(ports)}", masters=clients)
        ids = lambda: next(source)  # noqa: E731
    taken, failed, slowest = [], 0, 0.0
    barrier.wait()
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        try:
            taken.append(ids())
        except Exception:
            failed += 1
        slowest = max(slowest, time.perf_counter() - started)
    results.put((taken, failed, slowest))


def contended(nodes: list[Node]) -> list[list[str]]:
    """Eight processes on one sequence: the rows."""
    context = multiprocessing.get_context("fork")
    kinds = ["NextID", *pottery_ids([redis.Redis(port=nodes[0].port)])]
    rows = []
    for count in (1, 3, 5):
        for kind in kinds:
            barrier, results = context.Barrier(8), context.Queue()
            args = (kind, [node.port for node in nodes[:count]], barrier, SECONDS, results)
            workers = [context.Process(target=worker, args=args) for _ in range(8)]
            for each in workers:
                each.start()
            outcomes = [results.get() for _ in workers]
            for each in workers:
                each.join()
            taken = [value for values, _, _ in outcomes for value in values]
            failed, slowest = sum(each[1] for each in outcomes), max(each[2] for each in outcomes)
            rows.append(
                [
                    f"{kind}, {count} master(s)",
                    f"{len(taken) / SECONDS:,.0f}",
                    f"{len(taken) - len(set(taken))}",
                    f"{failed / max(1, len(taken) + failed):.1%}",
                    f"{slowest * 1e3:.0f}",
                ]
            )
    return rows


def main() -> str:
    """Measure, and return the figures as Markdown."""
    program = programs()
    nodes = [Node(program.get("redis") or next(iter(program.values()))).start() for _ in range(5)]
    try:
        return "\n\n".join(
            [
                circumstances(nodes[0]),
                table(
                    ["one client, against", "by hand, us", "NextID / by hand", "Pottery / by hand"], uncontended(nodes)
                ),
                table(["asyncio, against", "by hand, us", "AIONextID / by hand"], asyncio.run(asynchronous(nodes))),
                table(["in blocks", "ids/s by iteration", "ids/s by next()"], blocks(nodes)),
                table(
                    ["eight processes, one sequence", "ids/s", "duplicates", "failed calls", "slowest call, ms"],
                    contended(nodes),
                ),
            ]
        )
    finally:
        for node in nodes:
            node.stop()


if __name__ == "__main__":
    print(main())

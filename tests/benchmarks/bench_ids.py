"""NextID beside a bare INCR, a hand-written quorum, and Pottery (where it is installed).

Usage: python -m tests.benchmarks.bench_ids [--calls 1500] [--seconds 2]

The candidates of one table take turns in short rounds on the same servers; each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from pottery_like.aio.nextid import AIONextID
from pottery_like.nextid import NextID
from tests.support.servers import Node, programs

ROUNDS = 9
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


def interleaved(candidates: dict[str, Callable[[], Any]], calls: int) -> dict[str, float]:
    """Return the microseconds for one call of each."""
    rounds: dict[str, list[float]] = {name: [] for name in candidates}
    each = max(1, calls // ROUNDS)
    for call in candidates.values():
        call()
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            started = time.perf_counter()
            for _ in range(each):
                call()
            rounds[name].append((time.perf_counter() - started) / each * 1e6)
    return {name: statistics.median(times) for name, times in rounds.items()}


def show(title: str, times: dict[str, float]) -> None:
    """Print a table, with ratios to the first line."""
    base = next(iter(times.values()))
    print(f"\n{title}")
    for name, each in times.items():
        print(f"  {name:34} {each:9.2f} us {each / base:7.2f} x {1e6 / each:12,.0f}/s")


def pottery_ids(clients: list[Any]) -> dict[str, Callable[[], Any]]:
    """Return Pottery as a candidate, if there is one."""
    try:
        import pottery
    except ImportError:
        return {}
    logging.getLogger("pottery").disabled = True
    ids = pottery.NextID(key=f"peer-{len(clients)}", masters=set(clients))
    return {"pottery.NextID": lambda: next(ids)}


def uncontended(nodes: list[Node], calls: int) -> None:
    """One client."""
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
        show(f"{count} master(s), one client", interleaved(candidates, calls))
    clients = [redis.Redis(port=node.port) for node in nodes]
    for count, block in ((1, 10_000), (1, 100_000), (5, 10_000)):
        ids = NextID(key="blocks", masters=clients[:count], block=block)
        started, taken = time.perf_counter(), 0
        for _ in ids:
            taken += 1
            if taken == 500_000:
                break
        rate = taken / (time.perf_counter() - started)
        print(f"\nblock={block:,}, {count} master(s): {rate:,.0f} ids/s through iteration")
        started = time.perf_counter()
        for _ in range(500_000):
            next(ids)
        print(f"block={block:,}, {count} master(s): {500_000 / (time.perf_counter() - started):,.0f} ids/s by next()")


def by_hand_awaited(clients: list[Any]) -> Callable[[], Any]:
    """Return :func:`by_hand` for asyncio clients."""

    async def next_id() -> int:
        replies = await asyncio.gather(*[client.get("by-hand-aio") for client in clients])
        value = max(int(reply or 0) for reply in replies) + 1
        raised = await asyncio.gather(*[client.eval(RAISE, 1, "by-hand-aio", value) for client in clients])
        assert len([reply for reply in raised if reply]) > len(clients) // 2
        return value

    return next_id


async def asynchronous(nodes: list[Node], calls: int) -> None:
    """One asyncio client."""
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
                for _ in range(calls // ROUNDS):
                    await call()
                times[name].append((time.perf_counter() - started) / (calls // ROUNDS) * 1e6)
        show(f"asyncio, {count} master(s)", {name: statistics.median(each) for name, each in times.items()})
        for client in clients:
            await client.aclose()


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


def contended(nodes: list[Node], seconds: float) -> None:
    """Eight processes on one sequence."""
    context = multiprocessing.get_context("fork")
    kinds = ["NextID", *pottery_ids([redis.Redis(port=nodes[0].port)])]
    print("\n8 processes on one sequence")
    for count in (1, 3, 5):
        for kind in kinds:
            barrier, results = context.Barrier(8), context.Queue()
            args = (kind, [node.port for node in nodes[:count]], barrier, seconds, results)
            workers = [context.Process(target=worker, args=args) for _ in range(8)]
            for each in workers:
                each.start()
            outcomes = [results.get() for _ in workers]
            for each in workers:
                each.join()
            taken = [value for values, _, _ in outcomes for value in values]
            failed, slowest = sum(each[1] for each in outcomes), max(each[2] for each in outcomes)
            duplicates = len(taken) - len(set(taken))
            calls = len(taken) + failed
            fewest, most = min(len(each[0]) for each in outcomes), max(len(each[0]) for each in outcomes)
            print(
                f"  {count} master(s) {kind:16} {len(taken) / seconds:8,.0f} ids/s  duplicates {duplicates}  "
                f"failed {failed / max(1, calls):6.1%}  slowest {slowest * 1e3:6.1f} ms  "
                f"per process {fewest}-{most}  highest id / ids {max(taken) / len(taken):.2f}"
            )


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--peers", help="a directory that has Pottery, beside what is installed")
    options = parser.parse_args()
    if options.peers:
        sys.path.append(options.peers)
    program = next(iter(programs().values()))
    nodes = [Node(program).start() for _ in range(5)]
    try:
        uncontended(nodes, options.calls)
        asyncio.run(asynchronous(nodes, options.calls))
        contended(nodes, options.seconds)
    finally:
        for node in nodes:
            node.stop()


if __name__ == "__main__":
    main()

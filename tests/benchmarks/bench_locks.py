"""Locks against the raw commands and against other locks, in one run, interleaved.

    python tests/benchmarks/bench_locks.py [--rounds 1000] [--sections 500]

Starts its own servers.  Peers that aren't installed are left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from pottery_like.redlock import Redlock
from tests.support.servers import Node, programs

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
LEASE = 10.0

Make = Callable[[str, list[int]], Any]


def _clients(ports: list[int]) -> list[redis.Redis]:
    return [redis.Redis(port=port) for port in ports]


def _ours(key: str, ports: list[int]) -> Any:
    return Redlock(key=key, masters=_clients(ports), auto_release_time=LEASE)


def _redis_py(key: str, ports: list[int]) -> Any:
    return redis.Redis(port=ports[0]).lock(key, timeout=LEASE)


def _python_redis_lock(key: str, ports: list[int]) -> Any:
    import redis_lock

    return redis_lock.Lock(redis.Redis(port=ports[0]), key, expire=int(LEASE))


def _pottery(key: str, ports: list[int]) -> Any:
    import pottery

    return pottery.Redlock(key=key, masters=set(_clients(ports)), auto_release_time=LEASE)


def peers() -> dict[str, Make]:
    """Return the locks that are installed here, by name."""
    found: dict[str, Make] = {"pottery_like": _ours, "redis-py": _redis_py}
    for name, module, make in (
        ("python-redis-lock", "redis_lock", _python_redis_lock),
        ("pottery", "pottery", _pottery),
    ):
        try:
            __import__(module)
        except ImportError:
            print(f"({name} is not installed)")
        else:
            found[name] = make
    return found


def by_hand(ports: list[int]) -> Callable[[], None]:
    """Return an acquisition and a release written by hand: two commands to each master, written before read."""
    clients = _clients(ports)
    for client in clients:
        client.script_load(RELEASE)
    if len(clients) == 1:
        client, script = clients[0], clients[0].register_script(RELEASE)
        return lambda: (
            client.set("by hand", "token", nx=True, px=10000),
            client.evalsha(script.sha, 1, "by hand", "token"),
        )[0]
    sha = clients[0].script_load(RELEASE)
    pools = [client.connection_pool for client in clients]

    def spread(*words: Any) -> None:
        connections = [pool.get_connection() for pool in pools]
        for connection in connections:
            connection.send_command(*words)
        for connection in connections:
            connection.read_response()
        for pool, connection in zip(pools, connections, strict=True):
            pool.release(connection)

    def both() -> None:
        spread("SET", "by hand", "token", "NX", "PX", 10000)
        spread("EVALSHA", sha, 1, "by hand", "token")

    return both


def uncontended(ports: list[int], rounds: int) -> None:
    """Acquire and release, nobody waiting."""
    print(f"\nacquire + release, {len(ports)} master(s): microseconds (median), ratio to the raw commands")
    calls: dict[str, Callable[[], None]] = {"raw commands": by_hand(ports)}
    for name, make in peers().items():
        if len(ports) == 1 or name in ("pottery_like", "pottery"):
            calls[name] = _pair(make(f"uncontended {name}", ports))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if name != "pottery" or _ % 10 == 0:
                started = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - started)
    raw = statistics.median(times["raw commands"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:20} {median * 1e6:8.0f} {median / raw:7.2f}")


def _pair(lock: Any) -> Callable[[], None]:
    def pair() -> None:
        lock.acquire()
        lock.release()

    return pair


def _taker(make: Make, ports: list[int], key: str, pipe: Any) -> None:
    lock = make(key, ports)
    while pipe.recv():
        lock.acquire()
        pipe.send(time.perf_counter())
        lock.release()


def hand_over(make: Make, ports: list[int], rounds: int) -> float:
    """Return the milliseconds from one process's release to the other's having acquired."""
    key = uuid.uuid4().hex
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_taker, args=(make, ports, key, there), daemon=True)
    process.start()
    lock, times = make(key, ports), []
    for _ in range(rounds):
        lock.acquire()
        here.send(True)
        time.sleep(0.02)
        started = time.perf_counter()
        lock.release()
        times.append(here.recv() - started)
        time.sleep(0.002)
    here.send(False)
    process.join()
    return statistics.median(times) * 1000


def _worker(make: Make, ports: list[int], key: str, shared: tuple[Any, Any, int, Any]) -> None:
    lock, (barrier, counter, total, results) = make(key, ports), shared
    own, longest = 0, 0.0
    barrier.wait()
    while True:
        started = time.perf_counter()
        lock.acquire()
        longest = max(longest, time.perf_counter() - started)
        done = counter.value >= total
        if not done:
            counter.value += 1
            own += 1
            time.sleep(0.001)
        lock.release()
        if done:
            break
    results.put((own, longest))


def crowd(make: Make, ports: list[int], sections: int, processes: int = 8) -> None:
    """Several processes share critical sections of one millisecond."""
    key = uuid.uuid4().hex
    counter, results = multiprocessing.Value("i", 0, lock=False), multiprocessing.Queue()
    barrier = multiprocessing.Barrier(processes + 1)
    shared = barrier, counter, sections, results
    workers = [
        multiprocessing.Process(target=_worker, args=(make, ports, key, shared), daemon=True) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    with redis.Redis(port=ports[0]) as client:
        barrier.wait()
        started, before = time.perf_counter(), client.info("commandstats")
        while counter.value < sections:
            time.sleep(0.002)
        took, after = time.perf_counter() - started, client.info("commandstats")
    shares = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    calls = {name: stat["calls"] - before.get(name, {"calls": 0})["calls"] for name, stat in after.items()}
    sent = sum(count for name, count in calls.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))
    counts = sorted(own for own, _ in shares)
    longest = max(wait for _, wait in shares) * 1000
    print(f"{took:6.2f} s, longest wait {longest:5.0f} ms, {counts[0]:3}-{counts[-1]:3} sections each, ", end="")
    print(f"{sum(calls.values()) / sections:4.1f} commands per section, {sent / sections:.1f} of them scripts")


def _holder(make: Make, ports: list[int], key: str, pipe: Any) -> None:
    make(key, ports).acquire()
    pipe.send(True)
    time.sleep(60)


def crashed(make: Make, ports: list[int]) -> float:
    """Return the milliseconds from the end of a killed holder's lease to the next acquisition."""
    key = uuid.uuid4().hex
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_holder, args=(make, ports, key, there), daemon=True)
    process.start()
    here.recv()
    name = next(name for name in (f"redlock:{key}", key, f"lock:{key}") if redis.Redis(port=ports[0]).exists(name))
    end = time.perf_counter() + redis.Redis(port=ports[0]).pttl(name) / 1000
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    make(key, ports).acquire()
    return (time.perf_counter() - end) * 1000


def main() -> None:
    global LEASE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--sections", type=int, default=500)
    arguments = parser.parse_args()
    nodes = [Node(programs()["redis"]).start() for _ in range(5)]
    ports = [node.port for node in nodes]
    try:
        for masters in (1, 3, 5):
            uncontended(ports[:masters], arguments.rounds)
        print("\nhand-over between two processes: milliseconds (median)")
        for name, make in peers().items():
            print(f"  {name:20} {hand_over(make, ports[:1], 50):8.2f}")
        print(f"\neight processes, {arguments.sections} critical sections of 1 ms")
        for name, make in peers().items():
            print(f"  {name:20}", end="", flush=True)
            crowd(make, ports[:1], arguments.sections)
        LEASE = 1.0
        print("\nkilled holder: milliseconds from the lease's end to the next acquisition")
        for name, make in peers().items():
            print(f"  {name:20} {crashed(make, ports[:1]):8.1f}")
    finally:
        for node in nodes:
            node.stop()


if __name__ == "__main__":
    main()

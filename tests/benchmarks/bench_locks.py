"""Locks against the raw commands and against other locks, in one run, interleaved.

Starts its own servers.  Peers that aren't installed are left out.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from pottery_like.redlock import Redlock
from tests.benchmarks.support import circumstances, table
from tests.support.servers import Node, programs

ROUNDS = 1000
SECTIONS = 500
PROCESSES = 8
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
            continue
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


def uncontended(ports: list[int]) -> dict[str, float]:
    """Return the microseconds for acquire and release, nobody waiting."""
    calls: dict[str, Callable[[], None]] = {"raw commands": by_hand(ports)}
    for name, make in peers().items():
        if len(ports) == 1 or name in ("pottery_like", "pottery"):
            calls[name] = _pair(make(f"uncontended {name}", ports))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS):
        for name, call in calls.items():
            if name != "pottery" or number % 10 == 0:
                started = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) * 1e6 for name, values in times.items()}


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


@dataclass
class Crowd:
    """What came of a crowd: seconds in all, the longest wait, sections of each process, commands in all."""

    seconds: float
    longest: float
    counts: list[int]
    commands: int


def _section() -> None:
    """Take one millisecond; asked for that, ``time.sleep`` takes a tenth more."""
    end = time.perf_counter() + 0.001
    time.sleep(0.0008)
    while time.perf_counter() < end:
        pass


def _worker(make: Make, ports: list[int], key: str, shared: tuple[Any, Any, Any]) -> None:
    lock, (barrier, counter, results) = make(key, ports), shared
    own, longest = 0, 0.0
    lock.acquire()
    lock.release()
    barrier.wait()
    while True:
        started = time.perf_counter()
        lock.acquire()
        longest = max(longest, time.perf_counter() - started)
        done = counter.value >= SECTIONS
        if not done:
            counter.value += 1
            own += 1
            _section()
        lock.release()
        if done:
            break
    results.put((own, longest))


def crowd(make: Make, port: int) -> Crowd:
    """Several processes share critical sections of one millisecond."""
    counter, results = multiprocessing.Value("i", 0, lock=False), multiprocessing.Queue()
    barrier = multiprocessing.Barrier(PROCESSES + 1)
    arguments = make, [port], uuid.uuid4().hex, (barrier, counter, results)
    workers = [multiprocessing.Process(target=_worker, args=arguments, daemon=True) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    with redis.Redis(port=port) as client:
        client.ping()
        while barrier.n_waiting < PROCESSES:
            time.sleep(0.01)
        before = client.info("commandstats")
        barrier.wait()
        started = time.perf_counter()
        while counter.value < SECTIONS:
            time.sleep(0.002)
        took, after = time.perf_counter() - started, client.info("commandstats")
    shares = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    calls = sum(stat["calls"] - before.get(name, {"calls": 0})["calls"] for name, stat in after.items())
    return Crowd(took, max(wait for _, wait in shares), sorted(own for own, _ in shares), calls)


def sections_alone() -> float:
    """Return the seconds that the sections take, one after the other."""
    started = time.perf_counter()
    for _ in range(SECTIONS):
        _section()
    return time.perf_counter() - started


def _passer(index: int, port: int, barrier: Any, counter: Any) -> None:
    hears, tells = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
    hears.sendall(b"SUBSCRIBE %d\r\n" % index)
    hears.recv(1000)
    barrier.wait()
    while counter.value < SECTIONS:
        hears.recv(1000)
        counter.value += 1
        _section()
        tells.sendall(b"PUBLISH %d x\r\n" % ((index + 1) % PROCESSES))
        tells.recv(1000)


def messages_alone(port: int) -> float:
    """Return the seconds for the same sections when processes on bare sockets pass one message round: no lock."""
    counter, barrier = multiprocessing.Value("i", 0, lock=False), multiprocessing.Barrier(PROCESSES + 1)
    workers = [
        multiprocessing.Process(target=_passer, args=(index, port, barrier, counter), daemon=True)
        for index in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    with redis.Redis(port=port) as client:
        started = time.perf_counter()
        client.publish("0", "x")
        while counter.value < SECTIONS:
            time.sleep(0.002)
        took = time.perf_counter() - started
    for worker in workers:
        worker.kill()
        worker.join()
    return took


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


def main() -> str:
    """Measure, and return the figures as Markdown."""
    global LEASE
    program = programs()
    nodes = [Node(program.get("redis") or next(iter(program.values()))).start() for _ in range(5)]
    ports = [node.port for node in nodes]
    try:
        free = {masters: uncontended(ports[:masters]) for masters in (1, 3, 5)}
        handed = {name: hand_over(make, ports[:1], 50) for name, make in peers().items()}
        crowds: dict[str, list[Crowd]] = {name: [] for name in peers()}
        bounds = []
        for _ in range(6):
            bounds.append((sections_alone(), messages_alone(ports[0])))
            for name, make in peers().items():
                if name != "pottery" or not crowds[name]:
                    crowds[name].append(crowd(make, ports[0]))
        LEASE = 1.0
        waited = {name: crashed(make, ports[:1]) for name, make in peers().items()}
        where = circumstances(nodes[0])
    finally:
        for node in nodes:
            node.stop()
    best = {name: min(each, key=lambda one: one.seconds) for name, each in crowds.items()}
    names = ["raw commands", *peers()]
    return "\n\n".join(
        [
            where,
            table(
                [
                    "acquire and release, nobody waiting",
                    *(f"{count} master(s), us" for count in free),
                    "/ raw commands",
                ],
                [
                    [
                        name,
                        *(f"{times[name]:.0f}" if name in times else "" for times in free.values()),
                        ", ".join(
                            f"{times[name] / times['raw commands']:.2f}" for times in free.values() if name in times
                        ),
                    ]
                    for name in names
                ],
            ),
            f"{PROCESSES} processes, {SECTIONS} sections of 1 ms; the best of six runs.  The sections alone take "
            f"{min(one for one, _ in bounds):.2f} s here; {min(two for _, two in bounds):.2f} s when processes on bare "
            "sockets pass a message round instead of a lock.",
            table(
                ["", "in all, s", "longest wait, ms", "sections of a process", "commands per section"],
                [
                    [
                        name,
                        f"{each.seconds:.2f}",
                        f"{each.longest * 1000:.0f}",
                        f"{each.counts[0]}-{each.counts[-1]}",
                        f"{each.commands / SECTIONS:.1f}",
                    ]
                    for name, each in best.items()
                ],
            ),
            table(
                ["", "from a release to the waiter's having the lock, ms", "from a dead holder's lease's end, ms"],
                [[name, f"{handed[name]:.2f}", f"{waited[name]:.0f}"] for name in peers()],
            ),
        ]
    )


if __name__ == "__main__":
    print(main())

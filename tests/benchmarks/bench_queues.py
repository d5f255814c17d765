"""The queues against hand-written commands, and RedisSimpleQueue against Pottery's.

Pottery 3 needs an older redis-py, so it runs in an interpreter of its own, named by POTTERY_PYTHON; each of its rounds
takes its turn among the others, on the same server.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from pottery_like import RedisQueue, RedisSimpleQueue
from pottery_like._core.lua import script
from tests.benchmarks.support import circumstances, private_server, table

ITEMS = 20
ROUNDS = 150
ITEM = {"id": 12345, "name": "some task", "args": [1, 2, 3]}

POTTERY = """
import json, sys, time
import redis
from pottery import RedisSimpleQueue
port, number = int(sys.argv[1]), int(sys.argv[2])
q = RedisSimpleQueue(redis=redis.Redis(port=port), key='bench:pottery')
item = json.loads(sys.argv[3])
for line in sys.stdin:
    started = time.perf_counter()
    for _ in range(number):
        q.put(item) if line == 'put\\n' else q.get()
    print(time.perf_counter() - started, flush=True)
"""

Timed = Callable[[], float]


def repeated(call: Callable[[], Any]) -> Timed:
    """Return a function that makes a call many times and returns the seconds that took."""

    def timed() -> float:
        started = time.perf_counter()
        for _ in range(ITEMS):
            call()
        return time.perf_counter() - started

    return timed


def by_hand(client: Any) -> dict[str, Timed]:
    """What one writes with redis-py alone."""
    return {
        "put": repeated(lambda: client.rpush("bench:hand", json.dumps(ITEM))),
        "get": repeated(lambda: json.loads(client.lpop("bench:hand"))),
    }


def simple(client: Any) -> dict[str, Timed]:
    """RedisSimpleQueue."""
    mine: RedisSimpleQueue[Any] = RedisSimpleQueue(redis=client, key="bench:simple")
    return {"put": repeated(lambda: mine.put(ITEM)), "get": repeated(mine.get)}


def scripts_by_hand(client: Any) -> dict[str, Timed]:
    """RedisQueue's scripts, called with redis-py alone."""
    names = ["ready", "delayed", "leased", "dead", "wake", "room", "idle"]
    keys = ["bench:script", *(f"{{bench:script}}:{name}" for name in names)]
    sha = {name: client.script_load(script(f"queue_{name}").source) for name in ("put", "take", "ack")}

    def leased() -> Any:
        name, content, attempts = client.evalsha(sha["take"], 8, *keys, 60000, 0, 0, 10000)
        item = json.loads(content)
        client.evalsha(sha["ack"], 8, *keys, name[:14], attempts)
        return item

    put = repeated(lambda: client.evalsha(sha["put"], 8, *keys, json.dumps(ITEM), "0", 0, 0, 1, 0, 10000))
    return {
        "put": put,
        "get": repeated(lambda: json.loads(client.evalsha(sha["take"], 8, *keys, 0, 0, 0, 10000)[1])),
        "put again": put,
        "get(lease=60), acknowledge": repeated(leased),
    }


def with_leases(client: Any) -> dict[str, Timed]:
    """RedisQueue."""
    mine: RedisQueue[Any] = RedisQueue(redis=client, key="bench:queue")

    def leased() -> None:
        with mine.processing(lease=60):
            pass

    put = repeated(lambda: mine.put(ITEM))
    return {
        "put": put,
        "get": repeated(mine.get),
        "put again": put,
        "get(lease=60), acknowledge": repeated(leased),
    }


def pottery(python: str, port: int) -> tuple[dict[str, Timed], subprocess.Popen[str]]:
    """Pottery's RedisSimpleQueue, in a process that measures when asked to."""
    arguments = [python, "-W", "ignore", "-c", POTTERY, str(port), str(ITEMS), json.dumps(ITEM)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    asks, answers = process.stdin, process.stdout
    assert asks is not None
    assert answers is not None

    def ask(what: str) -> float:
        print(what, file=asks, flush=True)
        return float(answers.readline())

    return {"put": lambda: ask("put"), "get": lambda: ask("get")}, process


def hand_over(port: int, make: Callable[[Any], Any]) -> list[float]:
    """Return the seconds from put() in one thread to the return of a get() that waits in another."""
    times = []
    with redis.Redis(port=port) as producer, redis.Redis(port=port) as consumer:
        puts, gets = make(producer), make(consumer)
        for _ in range(ROUNDS // 5):
            arrived: list[float] = []
            thread = threading.Thread(target=lambda: arrived.append((gets.get(), time.perf_counter())[1]))  # noqa: B023
            thread.start()
            time.sleep(0.02)
            started = time.perf_counter()
            puts.put(ITEM)
            thread.join()
            times.append(arrived[0] - started)
    return times


def median(values: list[float]) -> float:
    """Return the middle one."""
    return sorted(values)[len(values) // 2]


def main() -> str:
    """Measure, and return the figures as Markdown."""
    with private_server() as node, redis.Redis(port=node.port) as client:
        ways = {
            "by hand": by_hand(client),
            "RedisSimpleQueue": simple(client),
            "scripts by hand": scripts_by_hand(client),
            "RedisQueue": with_leases(client),
        }
        process = None
        python = os.environ.get("POTTERY_PYTHON")
        if python:
            ways["Pottery"], process = pottery(python, node.port)
        times: dict[tuple[str, str], list[float]] = {}
        for index in range(-2, ROUNDS):
            order = list(ways)
            start = index % len(order)
            for way in order[start:] + order[:start]:
                for what, timed in ways[way].items():
                    seconds = timed()
                    if index >= 0:
                        times.setdefault((way, what), []).append(seconds / ITEMS)
        if process is not None:
            process.communicate()
        simple_wake = median(hand_over(node.port, lambda each: RedisSimpleQueue(redis=each, key="bench:wake")))
        queue_wake = median(hand_over(node.port, lambda each: RedisQueue(redis=each, key="bench:wakes")))
        where = circumstances(node)
    rows = []
    for (way, what), values in times.items():
        if what == "put again":
            continue
        base = "scripts by hand" if way == "RedisQueue" else "by hand"
        ratio = median(values) / median(times.get((base, what), values))
        rows.append(
            [f"{way}: {what}", f"{median(values) * 1e6:.0f}", "" if "hand" in way else f"{ratio:.2f} of {base}"]
        )
    rows.append(["RedisSimpleQueue: from put to the return of a waiting get", f"{simple_wake * 1e6:.0f}", ""])
    rows.append(["RedisQueue: from put to the return of a waiting get", f"{queue_wake * 1e6:.0f}", ""])
    return f"{where}\n\n" + table(["Call", "µs", "ratio"], rows)


if __name__ == "__main__":
    print(main())

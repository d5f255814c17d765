"""How soon others' writes are seen, what a storm of them costs, and what reading the news costs.

    python tests/benchmarks/bench_tracking.py [--writes 200] [--seconds 3]

Starts its own server.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

sys.path.insert(0, str(Path(__file__).parents[2]))

from pottery_like._core.replies import Keys, Replies
from tests.benchmarks.support import printed, private_server
from tests.support.tracking import Cache, cache

PREFIX = b"bench:"

WRITER = """
import redis, sys, time
client = redis.Redis(port=int(sys.argv[1]))
for number in range(int(sys.argv[2])):
    time.sleep(0.01)
    print(time.monotonic(), flush=True)
    client.set(f"bench:{number}", 1, ex=60)
"""

STORM = """
import redis, sys, time
client = redis.Redis(port=int(sys.argv[1]))
script = client.register_script('''
for number = ARGV[1] % 100000, ARGV[1] % 100000 + 999 do
    redis.call('INCR', 'bench:storm:' .. number)
end''')
deadline, written = time.monotonic() + float(sys.argv[2]), 0
started = time.monotonic()
while time.monotonic() < deadline:
    script(args=[written])
    written += 1000
    # No more than was asked for, on a machine that could do more.
    time.sleep(max(0, started + written / float(sys.argv[3]) - time.monotonic()))
print(written / (time.monotonic() - started))
"""


class Seen:
    """A tier that notes when it heard of which key."""

    prefixes = (PREFIX,)

    def __init__(self) -> None:
        self.times: dict[bytes, float] = {}

    def invalidate(self, keys: Sequence[bytes]) -> None:
        now = time.monotonic()
        for key in keys:
            self.times[key] = now

    def drop(self) -> None:
        pass

    def sweep(self, now: float) -> float:
        return float("inf")


@contextmanager
def burning(threads: int) -> Iterator[None]:
    """Keep threads of this process busy for the block."""
    over = False

    def burn() -> None:
        count = 0
        while not over:
            count += 1

    burners = [threading.Thread(target=burn) for _ in range(threads)]
    for each in burners:
        each.start()
    try:
        yield
    finally:
        over = True
        for each in burners:
            each.join()


def latencies(mine: Cache, port: int, writes: int) -> list[float]:
    """Return the seconds from each write by another process until this one has heard of it."""
    seen = Seen()
    mine.run(lambda: mine.tracker.watch(seen))
    arguments = [sys.executable, "-c", WRITER, str(port), str(writes)]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
    time.sleep(0.3)
    mine.run(lambda: mine.tracker.forget(seen))
    return sorted(seen.times[b"bench:%d" % number] - float(moment) for number, moment in enumerate(told))


def show_latencies(port: int, writes: int) -> None:
    """Print how long news take."""
    print(f"{'news take, in ms':<44}{'median':>10}{'99 %':>10}")
    for world, package in (("sync", redis), ("aio", redis.asyncio)):
        make: Callable[[], Any] = lambda package=package: package.Redis(port=port)  # noqa: E731
        with cache(world, make, PREFIX) as mine:
            for threads in (0, 1, 2):
                with burning(threads):
                    found = latencies(mine, port, writes)
                label = f"{world}, {threads} CPU-bound threads in the process"
                print(f"{label:<44}{statistics.median(found) * 1e3:>10.2f}{found[int(len(found) * 0.99)] * 1e3:>10.2f}")


def resident() -> int:
    """Return this process's resident memory, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def loops(seconds: float) -> float:
    """Return how many turns of a small loop this thread makes in a second."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(1000):
            count += 1
    return count / seconds


def show_storm(port: int, seconds: float) -> None:
    """Print what a storm of changes by others does to this process.

    The storm itself takes its share of the machine.  So it goes on all the time, and this process listens half of it.
    """
    print(f"\n{'a storm of changes by others':<28}{'written/s':>12}{'heard/s':>12}{'main thread':>13}{'RSS, MiB':>18}")
    for asked in (20_000, 100_000, 1_000_000):
        before, rounds = resident(), 4
        arguments = [sys.executable, "-c", STORM, str(port), str(2 * rounds * seconds / 4 + 1), str(asked)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as storm:
            time.sleep(0.5)
            ratios, heard, reconnects, usable, spent = [], 0, 0, 0, 0.0
            for _ in range(rounds):
                deaf = loops(seconds / 4)
                with cache("sync", lambda: redis.Redis(port=port), PREFIX) as mine:
                    began = time.process_time() - time.thread_time()
                    ratios.append(loops(seconds / 4) / deaf)
                    spent += time.process_time() - time.thread_time() - began
                    heard += mine.tracker.stats.invalidations
                    reconnects += mine.tracker.stats.reconnects
                    usable += mine.usable(PREFIX)
            written = float(storm.communicate()[0])
        print(
            f"{f'{asked:,} asked for':<28}{written:>12,.0f}{heard / (seconds * rounds / 4):>12,.0f}"
            f"{statistics.median(ratios):>12.0%} {before / 1024:>8.1f} -> {resident() / 1024:.1f}"
            f"   listening takes {spent / max(1, heard) * 1e6:.2f} us a key, reconnects {reconnects}, "
            f"usable at the end: {usable} of {rounds}"
        )


class _Fed:
    """A socket for redis-py's parsers that has everything already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def recv(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def recv_into(self, buffer: Any) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def settimeout(self, timeout: Any) -> None:
        pass


def show_parsing(keys: int = 200_000, portion: int = 1000) -> None:
    """Print what reading the names of changed keys costs."""
    print(f"\n{'reading the name of a changed key':<44}{'ns':>10}")
    for each in (1, portion):
        names = [b"bench:storm:%d" % number for number in range(each)]
        body = b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)
        message = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*%d\r\n%b" % (each, body)
        stream = message * (keys // each)

        def ours(stream: bytes = stream) -> int:
            replies = Replies()
            return sum(
                len(reply)
                for start in range(0, len(stream), 1 << 18)
                for reply in replies.feed(stream[start : start + (1 << 18)])
                if isinstance(reply, Keys)
            )

        ways: dict[str, Callable[[], int]] = {"ours": ours, **parsers(stream, keys // each)}
        for name, way in ways.items():
            started = time.perf_counter()
            assert way() == keys
            print(f"{f'{name}, {each} in a message':<44}{(time.perf_counter() - started) / keys * 1e9:>10.0f}")


def parsers(stream: bytes, messages: int) -> dict[str, Callable[[], int]]:
    """Return redis-py's own parsers."""
    from redis._parsers import _RESP2Parser

    class _Connection:
        def __init__(self) -> None:
            self._sock = _Fed(stream)
            self.socket_timeout = None
            self.encoder = redis.connection.Encoder("utf-8", "strict", False)

    def python() -> int:
        parser = _RESP2Parser(65536)
        parser.on_connect(_Connection())
        return sum(len(parser.read_response(disable_decoding=True)[2]) for _ in range(messages))

    found = {"redis-py": python}
    try:
        import hiredis
    except ImportError:
        return found

    def c() -> int:
        reader, count = hiredis.Reader(), 0
        for start in range(0, len(stream), 1 << 18):
            reader.feed(stream[start : start + (1 << 18)])
            while (reply := reader.gets()) is not False:
                count += len(reply[2])
        return count

    return {**found, "hiredis": c}


def run(given: list[str] | None = None) -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args(given)
    show_parsing()
    with private_server() as node:
        show_storm(node.port, options.seconds)
        print()
        show_latencies(node.port, options.writes)


def main() -> str:
    """Measure, and return the figures as Markdown."""
    return printed(lambda: run([]))


if __name__ == "__main__":
    run()

"""Measuring two or more ways of doing the same, interleaved, and writing the figures into the documentation."""

from __future__ import annotations

import gc
import io
import math
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import redis

from tests.support.servers import Node, programs

DOCS = Path(__file__).parents[2] / "docs"

Thunk = Callable[[], Any]


@contextmanager
def private_server() -> Iterator[Node]:
    """Run a server for the block."""
    found = programs()
    node = Node(found.get("redis") or next(iter(found.values()))).start()
    try:
        yield node
    finally:
        node.stop()


@dataclass
class Way:
    """One way of doing it.

    :param call: what is timed; its result goes to ``after``.
    :param before: what is done, untimed, before each call.
    :param after: what is done with the result, untimed.
    """

    call: Thunk
    before: Thunk = lambda: None
    after: Callable[[Any], Any] = lambda result: None

    def once(self) -> float:
        """Return the seconds that one call takes."""
        self.before()
        started = time.perf_counter()
        result = self.call()
        elapsed = time.perf_counter() - started
        self.after(result)
        return elapsed


def quartile(times: Sequence[float]) -> float:
    """Return the time that a quarter of the calls stayed below: other programs disturb it less than the median."""
    return statistics.quantiles(times, n=4)[0]


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector from running in the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def turns(ways: Sequence[Any], rounds: int) -> Iterator[tuple[int, Any]]:
    """Yield each way with its index, once in each round; the first of a round changes."""
    for index in range(rounds):
        for offset in range(len(ways)):
            which = (index + offset) % len(ways)
            yield which, ways[which]


def compared(
    ways: Sequence[Way], rounds: int, warm_up: int = 2, choose: Callable[[Sequence[float]], float] = quartile
) -> list[float]:
    """Return the seconds of each way: of several rounds, those that ``choose`` picks."""
    times: list[list[float]] = [[] for _ in ways]
    with no_collections():
        for index, way in turns(ways, warm_up + rounds):
            times[index].append(way.once())
    return [choose(each[warm_up:]) for each in times]


async def compared_async(ways: Sequence[tuple[Callable[[], Any], Callable[[], Any]]], rounds: int) -> list[float]:
    """Do the same for coroutine functions: what is timed, and what goes before it."""
    times: list[list[float]] = [[] for _ in ways]
    with no_collections():
        for index, (call, before) in turns(ways, 2 + rounds):
            await before()
            started = time.perf_counter()
            await call()
            times[index].append(time.perf_counter() - started)
    return [quartile(each[2:]) for each in times]


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the geometric mean, NaN of nothing."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def circumstances(node: Node) -> str:
    """Return one sentence: the machine, the versions, the date."""
    with redis.Redis(port=node.port) as client:
        info: Any = client.info("server")
    version = info.get("valkey_version") or info["redis_version"]
    name = info.get("server_name", "redis").capitalize()
    return (
        f"{date.today()}, {_processor()}, {os.cpu_count()} cores, {platform.system()}; "
        f"{name} {version} and the client on the same machine; "
        f"CPython {platform.python_version()}, redis-py {redis.__version__}"
        f"{' with hiredis' if 'hiredis' in sys.modules else ''}."
    )


def printed(run: Callable[[], object]) -> str:
    """Return what a function prints, as a block of text; with the machine that it ran on."""
    with private_server() as node, redirect_stdout(io.StringIO()) as out:
        run()
        where = circumstances(node)
    return f"```text\n{out.getvalue().strip()}\n```\n\n{where}"


def publish(name: str, text: str) -> None:
    """Put figures between their two markers in the documentation's page."""
    page = DOCS / "benchmarks.md"
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def bars(path: Path, title: str, rows: Sequence[tuple[str, float]], unit: str) -> None:
    """Write a bar chart as SVG."""
    width, left, height = 640, 230, 34
    longest = max(value for _, value in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height * len(rows) + 40}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="22" font-weight="bold">{title}</text>',
    ]
    for index, (label, value) in enumerate(rows):
        top = 36 + height * index
        length = max(2.0, (width - left - 70) * value / longest)
        parts += [
            f'<text x="{left - 8}" y="{top + 17}" text-anchor="end">{label}</text>',
            f'<rect x="{left}" y="{top}" width="{length:.1f}" height="24" fill="{"#999" if index else "#c62828"}"/>',
            f'<text x="{left + length + 6:.1f}" y="{top + 17}">{value:.2f}{unit}</text>',
        ]
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")

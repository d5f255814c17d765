"""BloomFilter and HyperLogLog against hand-written redis-py, and against Pottery.

By hand there is one command or one pipeline without the library's checks: BITFIELD with all of the elements' bits for a
filter, and a pipeline of COPY, PFADD and UNLINK for an element of a HyperLogLog.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mmh3
import redis

import pottery_like
from tests.benchmarks.support import Way, circumstances, compared, geometric_mean, private_server, table

SIZES: list[dict[str, Any]] = [
    {"num_elements": 1000, "false_positives": 0.01},
    {"num_elements": 1_000_000, "false_positives": 0.01},
]
KEY = "{bench}"
THOUSAND = [f"element {n}" for n in range(1000)]
ABSENT = [f"absent {n}" for n in range(1000)]

Row = tuple[str, Callable[[Any], Any], Callable[[], Any]]


class ByHand:
    """A filter of hand-written commands."""

    def __init__(self, client: redis.Redis, num_elements: int, false_positives: float) -> None:
        self.client = client
        self.bits = math.ceil(-num_elements * math.log(false_positives) / math.log(2) ** 2)
        self.hashes = math.ceil(self.bits / num_elements * math.log(2))

    def offsets(self, elements: Sequence[Any]) -> list[int]:
        texts = [json.dumps(element, sort_keys=True) for element in elements]
        return [mmh3.hash(text, seed) % self.bits for text in texts for seed in range(self.hashes)]

    def update(self, elements: Sequence[Any]) -> bool:
        words = [word for offset in self.offsets(elements) for word in ("SET", "u1", offset, 1)]
        return not all(self.client.execute_command("BITFIELD", KEY, *words))

    def contains_many(self, elements: Sequence[Any]) -> list[bool]:
        words = [word for offset in self.offsets(elements) for word in ("GET", "u1", offset)]
        bits = self.client.execute_command("BITFIELD", KEY, *words)
        return [all(bits[at : at + self.hashes]) for at in range(0, len(bits), self.hashes)]

    def count(self) -> int:
        found: Any = self.client.bitcount(KEY)
        return math.floor(-self.bits / self.hashes * math.log(1 - found / self.bits))


def counted_by_hand(client: redis.Redis, elements: Sequence[Any]) -> list[bool]:
    with client.pipeline() as pipe:
        for element in elements:
            pipe.copy(KEY, f"{KEY}:copy", replace=True)
            pipe.pfadd(f"{KEY}:copy", json.dumps(element))
            pipe.unlink(f"{KEY}:copy")
        return [not changed for changed in pipe.execute()[1::3]]


def bloom_rows(hand: ByHand) -> list[Row]:
    return [
        ("add", lambda f: f.add("new"), lambda: hand.update(["new"])),
        ("in", lambda f: "element 1" in f, lambda: hand.contains_many(["element 1"])),
        ("update(1,000)", lambda f: f.update(THOUSAND), lambda: hand.update(THOUSAND)),
        ("all of 1,000 in", lambda f: list(f.contains_many(*THOUSAND)), lambda: hand.contains_many(THOUSAND)),
        ("none of 1,000 in", lambda f: list(f.contains_many(*ABSENT)), lambda: hand.contains_many(ABSENT)),
        ("len", len, hand.count),
    ]  # fmt: skip


def hll_rows(client: redis.Redis) -> list[Row]:
    def texts(elements: Sequence[Any]) -> list[str]:
        return [json.dumps(element) for element in elements]

    return [
        ("add", lambda h: h.add("new"), lambda: client.pfadd(KEY, json.dumps("new"))),
        ("update(1,000)", lambda h: h.update(THOUSAND), lambda: client.pfadd(KEY, *texts(THOUSAND))),
        ("len", len, lambda: client.pfcount(KEY)),
        ("in", lambda h: "element 1" in h, lambda: counted_by_hand(client, ["element 1"])),
        ("all of 1,000 in", lambda h: list(h.contains_many(*THOUSAND)), lambda: counted_by_hand(client, THOUSAND)),
        ("none of 1,000 in", lambda h: list(h.contains_many(*ABSENT)), lambda: counted_by_hand(client, ABSENT)),
    ]  # fmt: skip


def measured(title: str, rows: list[Row], mine: Any, theirs: Any, rounds: int) -> tuple[list[list[str]], list[float]]:
    """Return the table's rows, and the ratios to hand-written commands."""
    lines, ratios = [], []
    for name, call, by_hand in rows:
        ways = [Way(lambda call=call: call(mine)), Way(by_hand)]  # type: ignore[misc]
        if theirs is not None:
            ways.append(Way(lambda call=call: call(theirs)))  # type: ignore[misc]
        seconds = compared(ways, rounds if "1,000" not in name else max(5, rounds // 6))
        ratios.append(seconds[0] / seconds[1])
        peer = f"{seconds[2] / seconds[1]:.2f}" if theirs is not None else ""
        lines.append([f"{title} {name}", f"{seconds[1] * 1e6:.0f}", f"{ratios[-1]:.2f}", peer])
    return lines, ratios


def main(rounds: int = 60) -> str:
    """Measure, and return the figures as Markdown."""
    try:
        import pottery
    except ImportError:
        pottery = None
    warnings.simplefilter("ignore")
    lines: list[list[str]] = []
    ratios: list[float] = []
    with private_server() as node, redis.Redis(port=node.port) as client:
        for size in SIZES:
            client.flushall()
            mine: Any = pottery_like.BloomFilter(THOUSAND, redis=client, key=KEY, **size)
            theirs = pottery and pottery.BloomFilter(redis=client, key=KEY, **size)
            title = f"BloomFilter of {size['num_elements']:,}:"
            more = measured(title, bloom_rows(ByHand(client, **size)), mine, theirs, rounds)
            lines, ratios = lines + more[0], ratios + more[1]
        client.flushall()
        mine = pottery_like.HyperLogLog(THOUSAND, redis=client, key=KEY)
        theirs = pottery and pottery.HyperLogLog(redis=client, key=KEY)
        more = measured("HyperLogLog:", hll_rows(client), mine, theirs, rounds)
        lines, ratios = lines + more[0], ratios + more[1]
        where = circumstances(node)
    mean = f"Geometric mean of the ratios to hand-written commands: {geometric_mean(ratios):.2f}."
    head = ["Operation", "By hand, µs", "pottery_like / by hand", "Pottery / by hand"]
    return "\n\n".join([table(head, lines), mean, where])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    print(main(parser.parse_args().rounds))

"""CachedOrderedDict against hand-written redis-py and OrderedDict, and against Pottery; and the typed codecs.

By hand there is one HMGET for all keys and one HSET for all values, with ``json``, and a pipeline with EXPIRE where the
cache has a timeout.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import redis

import pottery_like
from tests.benchmarks.support import Way, circumstances, compared, geometric_mean, private_server, table

KEY = "bench"
SIZES = (1, 100, 1000)


@dataclasses.dataclass
class Document:
    """A value such as people cache."""

    id: int
    title: str
    tags: list[str]
    score: float


def document(number: int) -> dict[str, Any]:
    return dataclasses.asdict(Document(number, f"document {number}", ["a", "b"], number / 7))


class ByHand:
    """What people write."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def open(self, keys: list[str], timeout: int | None) -> OrderedDict[str, Any]:
        names = [json.dumps(key) for key in keys]
        if timeout is None:
            found: Any = self.client.hmget(KEY, names)
        else:
            with self.client.pipeline(transaction=False) as pipe:
                pipe.hmget(KEY, names)
                pipe.expire(KEY, timeout)
                found = pipe.execute()[0]
        return OrderedDict((key, raw and json.loads(raw)) for key, raw in zip(keys, found, strict=True))

    def update(self, items: dict[str, Any], timeout: int | None) -> None:
        texts: Any = {json.dumps(key): json.dumps(value, sort_keys=True) for key, value in items.items()}
        if timeout is None:
            self.client.hset(KEY, mapping=texts)
            return
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hset(KEY, mapping=texts)
            pipe.expire(KEY, timeout)
            pipe.execute()


def rows(client: redis.Redis, size: int, timeout: int | None, peer: Any) -> list[tuple[str, list[Callable[[], Any]]]]:
    """Return what is measured: its name, and how this library, hand-written code and Pottery do it."""
    items = {f"key {number}": document(number) for number in range(size)}
    keys, hand = list(items), ByHand(client)
    hand.update(items, timeout)

    def opened(cls: Any) -> Any:
        return cls(redis_client=client, redis_key=KEY, dict_keys=keys, timeout=timeout)

    classes = [pottery_like.CachedOrderedDict, *([peer.CachedOrderedDict] if peer else [])]
    dicts = [opened(cls) for cls in classes]
    opens: list[Callable[[], Any]] = [lambda cls=cls: opened(cls) for cls in classes]
    updates: list[Callable[[], Any]] = [lambda found=found: found.update(items) for found in dicts]
    opens.insert(1, lambda: hand.open(keys, timeout))
    updates.insert(1, lambda: hand.update(items, timeout))
    name = f"{size:,} {'key' if size == 1 else 'keys'}, timeout={timeout}"
    return [(f"open {name}", opens), (f"update {name}", updates)]


def codec_lines(rounds: int) -> list[list[str]]:
    """Measure encoding and decoding one document, in microseconds."""
    codecs: list[tuple[str, Any, Any]] = [
        ("JSONCodec, of its fields", pottery_like.JSONCodec(), document(1)),
        ("TypedCodec, dataclass", pottery_like.TypedCodec(Document), Document(**document(1))),
        ("MsgpackCodec, of its fields", pottery_like.MsgpackCodec(), document(1)),
        ("PickleCodec, dataclass", pottery_like.PickleCodec(b"sixteen bytes or more"), Document(**document(1))),
    ]
    lines = []
    for name, codec, value in codecs:
        raw = codec.encode(value)
        calls = [lambda: [codec.encode(value) for _ in range(100)], lambda: [codec.decode(raw) for _ in range(100)]]  # noqa: B023
        seconds = compared([Way(call) for call in calls], rounds)
        lines.append([name, *(f"{each * 1e4:.1f}" for each in seconds), str(len(raw))])
    return lines


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
        for timeout in (None, 60):
            for size in SIZES:
                client.flushall()
                for name, calls in rows(client, size, timeout, pottery):
                    seconds = compared([Way(call) for call in calls], rounds if size < 1000 else max(5, rounds // 4))
                    ratios.append(seconds[0] / seconds[1])
                    peer = f"{seconds[2] / seconds[1]:.2f}" if pottery else ""
                    lines.append([name, f"{seconds[1] * 1e6:.0f}", f"{ratios[-1]:.2f}", peer])
        where = circumstances(node)
    mean = f"Geometric mean of the ratios to hand-written commands: {geometric_mean(ratios):.2f}."
    head = ["CachedOrderedDict", "By hand, µs", "pottery_like / by hand", "Pottery / by hand"]
    codecs = table(["Codec", "Encode, µs", "Decode, µs", "Bytes"], codec_lines(rounds))
    return "\n\n".join([table(head, lines), mean, codecs, where])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    print(main(parser.parse_args().rounds))

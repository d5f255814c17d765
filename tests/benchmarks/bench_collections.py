"""The five collections against hand-written redis-py, and against Pottery and redis-collections."""

from __future__ import annotations

import asyncio
import collections
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

import pottery_like
from pottery_like._core.lua import script
from tests.benchmarks.bulk import MANY, bulk, made_here, million
from tests.benchmarks.operations import COLLECTIONS, OTHER, K, Kind, Operation, many, spread
from tests.benchmarks.support import (
    DOCS,
    Way,
    bars,
    circumstances,
    compared,
    compared_async,
    geometric_mean,
    private_server,
    table,
)
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Node

ROUNDS = 40
PEER_ROUNDS = 10
SEEDS = {K: "seed:{bench}", OTHER: "seed:{bench}:other"}

Client = redis.Redis
Maker = Callable[[str, Any, Client, str], Any]


def load_scripts(client: Client) -> None:
    """Spare the measurements a server's first NOSCRIPT."""
    for path in Path(pottery_like.__file__).parent.glob("_lua/*.lua"):
        client.script_load(script(path.stem).source)


def made_by_pottery(name: str, fill: Any, client: Client, key: str) -> Any:
    """Make one of Pottery's."""
    import pottery

    return getattr(pottery, f"Redis{name}")(fill, redis=client, key=key)


def made_by_redis_collections(name: str, fill: Any, client: Client, key: str) -> Any:
    """Make one of redis-collections'."""
    import redis_collections

    return getattr(redis_collections, name)(fill, redis=client, key=key)


def peers() -> dict[str, Maker]:
    """Return the peers that are installed."""
    found: dict[str, Maker] = {}
    for module, name, maker in (
        ("redis_collections", "redis-collections 0.13", made_by_redis_collections),
        ("pottery", "Pottery 3.0.1", made_by_pottery),
    ):
        try:
            __import__(module)
        except ImportError:
            continue
        found[name] = maker
    return found


class Bench:
    """One kind of collection, filled, with a second operand, and the means to put it back."""

    def __init__(self, kind: Kind, client: Client, make: Maker = made_here) -> None:
        self.client = client
        client.flushdb()
        self.one = make(kind.name, kind.fill, client, K)
        self.two = make(kind.name, kind.other, client, OTHER)
        for key, seed in SEEDS.items():
            client.copy(key, seed)

    def restore(self) -> None:
        """Put the collections back."""
        for key, seed in SEEDS.items():
            self.client.copy(seed, key, replace=True)

    def put_back(self) -> None:
        """Put the first collection back."""
        self.client.copy(SEEDS[K], K, replace=True)

    def way(self, operation: Operation) -> Way:
        """Return the operation on the collection."""
        call, one, two = operation.call, self.one, self.two
        return Way(lambda: call(one, two), self.put_back if operation.writes else lambda: None, dropped)

    def by_hand(self, operation: Operation) -> Way:
        """Return the operation by hand."""
        hand, client = operation.hand, self.client
        return Way(lambda: hand(client), self.put_back if operation.writes else lambda: None)


def dropped(result: Any) -> None:
    """Remove the anonymous collection that an operation made."""
    if isinstance(result, pottery_like.base.Container) and result.key not in {K, OTHER}:
        with result:
            pass


def against_hand(client: Client) -> list[tuple[str, str, float, float]]:
    """Return kind, operation, and the median seconds of the library and by hand."""
    rows = []
    for kind in COLLECTIONS:
        bench = Bench(kind, client)
        for operation in kind.operations:
            bench.restore()
            ours, hand = compared([bench.way(operation), bench.by_hand(operation)], ROUNDS)
            rows.append((kind.name, operation.name, ours, hand))
    return rows


class Cost:
    """What one call costs on the wire: commands that the server ran, and bytes in both directions."""

    def __init__(self, node: Node, proxy: Proxy) -> None:
        self._control = redis.Redis(port=node.port)
        self._connection: Any = redis.Connection(port=node.port)
        self._connection.connect()
        self._proxy = proxy
        self._empty = self._bytes(lambda: None)

    def _bytes(self, call: Callable[[], Any]) -> int:
        def total() -> tuple[int, int]:
            self._connection.send_command("INFO", "stats")
            info = self._connection.read_response(disable_decoding=True)
            numbers = dict(line.split(b":") for line in info.split(b"\r\n") if b":" in line)
            size = len(info) + len(str(len(info))) + 5
            return int(numbers[b"total_net_input_bytes"]) + int(numbers[b"total_net_output_bytes"]), size

        before, reply = total()
        call()
        return total()[0] - before - reply

    def of(self, way: Way) -> tuple[int, int, int]:
        """Return commands, bytes and round trips of a call."""
        way.before()
        self._control.config_resetstat()
        trips = self._proxy.round_trips
        results: list[Any] = []
        size = self._bytes(lambda: results.append(way.call())) - self._empty
        stats: Any = self._control.info("commandstats")
        trips = self._proxy.round_trips - trips
        way.after(results[0])
        ours = {"cmdstat_info", "cmdstat_config|resetstat"}
        return sum(stat["calls"] for name, stat in stats.items() if name not in ours), size, trips


def wire(node: Node) -> tuple[list[str], int, int]:
    """Return what costs more commands or bytes than by hand, how many operations cost fewer bytes, and of how many."""
    more, fewer, count = [], 0, 0
    with proxied(node.port) as proxy, redis.Redis(port=proxy.port) as client:
        client.ping()
        cost = Cost(node, proxy)
        for kind in COLLECTIONS:
            bench = Bench(kind, client)
            for operation in kind.operations:
                bench.restore()
                ours = cost.of(bench.way(operation))
                bench.restore()
                hand = cost.of(bench.by_hand(operation))
                count += 1
                fewer += ours[1] < hand[1]
                if ours[0] > hand[0] or ours[1] > hand[1] or ours[2] > hand[2]:
                    more.append(f"{kind.name} {operation.name}: {ours} against {hand}")
    return more, fewer, count


def against_peers(node: Node) -> list[list[Any]]:
    """Return for each peer: operations it has, time against by hand and against the library, round trips, the worst."""
    rows = []
    with (
        proxied(node.port) as proxy,
        redis.Redis(port=node.port) as client,
        redis.Redis(port=node.port, db=1) as elsewhere,
        redis.Redis(port=proxy.port, db=1) as counted,
    ):
        for name, make in peers().items():
            slower, behind, trips, worst = [], [], [], (0, "")
            for kind in COLLECTIONS:
                bench = Bench(kind, client)
                theirs, through = Bench(kind, elsewhere, make), Bench(kind, counted, make)
                for operation in kind.operations:
                    for each in (bench, theirs):
                        each.restore()
                    try:
                        before = proxy.round_trips
                        operation.call(through.one, through.two)
                        number = proxy.round_trips - before
                        theirs.put_back()
                        ways = [theirs.way(operation), bench.way(operation), bench.by_hand(operation)]
                        time_theirs, time_ours, time_hand = compared(ways, PEER_ROUNDS, warm_up=1)
                    except Exception:  # it has no such operation, or fails at it
                        continue
                    slower.append(time_theirs / time_hand)
                    behind.append(time_theirs / time_ours)
                    # What is answered without an exchange would make a mean of ratios zero.
                    trips.append(max(1.0, number))
                    worst = max(worst, (number, f"{kind.name.lower()}: {operation.name}"))
            rows.append([name, len(trips), *map(geometric_mean, (slower, behind, trips)), *worst])
    return rows


def _async_operations() -> list[tuple[str, str, Any, Any]]:
    dumps, loads = json.dumps, json.loads

    async def hand_get(r: Any) -> Any:
        return loads(await r.hget(K, dumps("k3")))

    async def hand_items(r: Any) -> Any:
        reply = await r.hgetall(K)
        return dict(zip(many(reply), many(reply.values()), strict=True))

    async def hand_pop(r: Any) -> Any:
        return loads(await r.evalsha(script("dict_pop").sha1, 1, K, dumps("k3")))

    async def hand_index(r: Any) -> Any:
        return loads(await r.lindex(K, 3))

    async def hand_list(r: Any) -> Any:
        return many(await r.lrange(K, 0, -1))

    async def hand_members(r: Any) -> Any:
        return set(many(await r.smembers(K)))

    async def hand_update(r: Any) -> Any:
        words = spread(collections.Counter(["k1", "x", "x"]))
        return await r.evalsha(script("counter_add").sha1, 1, K, 1, 2, *words)

    return [
        ("Dict", "await d[k]", lambda c: c["k3"], hand_get),
        ("Dict", "set(k, v)", lambda c: c.set("k3", 3), lambda r: r.hset(K, dumps("k3"), dumps(3))),
        ("Dict", "contains(k)", lambda c: c.contains("k3"), lambda r: r.hexists(K, dumps("k3"))),
        ("Dict", "size()", lambda c: c.size(), lambda r: r.hlen(K)),
        ("Dict", "pop(k)", lambda c: c.pop("k3"), hand_pop),
        ("Dict", "to_dict()", lambda c: c.to_dict(), hand_items),
        ("Set", "add(x)", lambda c: c.add("x"), lambda r: r.sadd(K, dumps("x"))),
        ("Set", "contains(x)", lambda c: c.contains("c"), lambda r: r.sismember(K, dumps("c"))),
        ("Set", "to_set()", lambda c: c.to_set(), hand_members),
        ("List", "await l[i]", lambda c: c[3], hand_index),
        ("List", "append(x)", lambda c: c.append("x"), lambda r: r.rpush(K, dumps("x"))),
        ("List", "to_list()", lambda c: c.to_list(), hand_list),
        ("Counter", "increment(k)", lambda c: c.increment("k3"), lambda r: r.hincrby(K, dumps("k3"), 1)),
        ("Counter", "update(words)", lambda c: c.update(["k1", "x", "x"]), hand_update),
    ]


async def _against_hand_async(client: Any, direct: Client) -> list[tuple[str, str, float, float]]:
    rows = []
    kinds = {kind.name: kind for kind in COLLECTIONS}
    for kind, name, call, hand in _async_operations():
        bench = Bench(kinds[kind], direct)
        cls = getattr(pottery_like, f"AIORedis{kind}")
        container = cls(redis=client, key=K)

        async def put_back(bench: Bench = bench) -> None:
            bench.put_back()

        ways = [
            (lambda call=call, container=container: call(container), put_back),
            (lambda hand=hand: hand(client), put_back),
        ]
        ours, theirs = await compared_async(ways, ROUNDS)
        rows.append((kind, name, ours, theirs))
    await client.aclose()
    return rows


def _ratios(rows: list[tuple[str, str, float, float]]) -> list[float]:
    return [ours / hand for _, _, ours, hand in rows]


def _worst(rows: list[tuple[str, str, float, float]], count: int) -> list[tuple[str, str, float, float]]:
    return sorted(rows, key=lambda row: row[2] / row[3], reverse=True)[:count]


def _rows(rows: list[tuple[str, str, float, float]]) -> list[list[str]]:
    return [
        [f"{kind}: `{name}`", f"{ours * 1e6:.0f}", f"{hand * 1e6:.0f}", f"{ours / hand:.2f}"]
        for kind, name, ours, hand in rows
    ]


TIMED = ["operation", "here, us", "by hand, us", "ratio"]


def main() -> str:
    """Measure, and return the figures."""
    warnings.simplefilter("ignore")
    with private_server() as node, redis.Redis(unix_socket_path=node.path) as unix, redis.Redis(port=node.port) as tcp:
        load_scripts(tcp)
        sync = {"unix socket": against_hand(unix), "TCP": against_hand(tcp)}
        aio = {
            "unix socket": asyncio.run(_against_hand_async(redis.asyncio.Redis(unix_socket_path=node.path), unix)),
            "TCP": asyncio.run(_against_hand_async(redis.asyncio.Redis(port=node.port), tcp)),
        }
        more, fewer, count = wire(node)
        compared_peers = against_peers(node)
        rates = bulk(tcp)
        first, traced, resident, items = million(unix, node.path)
        said = circumstances(node)

    mean = geometric_mean(_ratios(sync["TCP"]))
    parts = [
        said,
        "",
        "### Against redis-py by hand",
        "",
        table(
            ["time here / by hand", "operations", "geometric mean", "best", "worst"],
            [
                [f"{world}, {how}", len(rows), f"{geometric_mean(_ratios(rows)):.2f}"]
                + [f"{choose(_ratios(rows)):.2f}" for choose in (min, max)]
                for world, result in (("sync", sync), ("asyncio", aio))
                for how, rows in result.items()
            ],
        ),
        "",
        "The ten operations with the largest ratios over TCP:",
        "",
        table(TIMED, _rows(_worst(sync["TCP"], 10))),
        "",
        "Commands that the server ran, bytes in both directions, round trips: of "
        f"{count} operations, {len(more)} cost more than by hand, and {fewer} fewer bytes.",
        *[f"\n- {line}" for line in more],
        "",
        "### In bulk",
        "",
        table(
            [f"{MANY:,} items over TCP", "here, items/s", "by hand, items/s", "ratio"],
            [[what, f"{ours:,.0f}", f"{hand:,.0f}", f"{ours / hand:.2f}"] for what, ours, hand in rates],
        ),
        "",
        f"Iterating over the items of a dict of {items:,}: the first after {first:.1f} ms; memory grows by at most "
        f"{traced:.1f} MB as Python counts it (`tracemalloc`), {resident:.1f} MB as the system does.",
    ]
    if compared_peers:
        parts += [
            "",
            "### Against its peers",
            "",
            table(
                ["over TCP", "operations it has", "time / by hand", "time / here", "round trips", "most", "by"],
                [
                    [name, number, f"{slower:.1f}", f"{behind:.1f}", f"{trips:.1f}", most, f"`{what}`"]
                    for name, number, slower, behind, trips, most, what in compared_peers
                ],
            ),
            "",
            "Geometric means over the operations that each has; here every one of them is one round trip.",
            "",
            "![Time against redis-py by hand](benchmarks.svg)",
        ]
        bars(
            DOCS / "benchmarks.svg",
            "Time per operation, by hand with redis-py = 1",
            [("pottery_like", mean), *[(str(row[0]), row[2]) for row in compared_peers]],
            "",
        )
    parts += [
        "",
        "### Every operation",
        "",
        table(TIMED, _rows(sync["TCP"])),
        "",
        "asyncio:",
        "",
        table(TIMED, _rows(aio["TCP"])),
    ]
    return "\n".join(parts)

"""Eight producers and eight consumers in processes of their own, some of which are killed; so is the server."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pottery_like import RedisQueue, RedisSimpleQueue
from tests.races.queue_workers import KEY, client, consume, produce, work
from tests.support.processes import Child, context
from tests.support.servers import ALL, Node, programs, spares, wait_until

PRODUCERS = CONSUMERS = 8
ITEMS = 60


@pytest.fixture(params=sorted(programs())[0 if ALL else -1 :])
def node(request: pytest.FixtureRequest) -> Node:
    """A server that forgets nothing it has confirmed."""
    return spares(request.param, options=("--appendonly", "yes", "--appendfsync", "always"))[0]


def start(target: Any, *args: Any) -> Any:
    return Child(context, target, *args).process


def producers(cls: type[Any], node: Node, path: Path) -> list[Any]:
    return [start(produce, cls, node.port, name, ITEMS, str(path / f"put-{name}")) for name in range(PRODUCERS)]


def finish(processes: list[Any]) -> None:
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def lines(path: Path, pattern: str) -> dict[str, list[str]]:
    return {file.name: file.read_text().splitlines() for file in path.glob(pattern)}


def flat(found: dict[str, list[str]]) -> list[str]:
    return [line for part in found.values() for line in part]


def written(path: Path) -> int:
    return len(flat(lines(path, "got-*")))


def test_each_item_goes_to_one_consumer(node: Node, tmp_path: Path) -> None:
    consumers = [start(consume, node.port, str(tmp_path / f"got-{name}"), 1) for name in range(CONSUMERS)]
    finish(producers(RedisSimpleQueue, node, tmp_path))
    finish(consumers)
    got = lines(tmp_path, "got-*")
    assert Counter(flat(got)) == {f"{name}-{index}": 1 for name in range(PRODUCERS) for index in range(ITEMS)}
    for part in got.values():
        for name in range(PRODUCERS):
            mine = [int(item.split("-")[1]) for item in part if item.startswith(f"{name}-")]
            assert mine == sorted(mine), "one producer's items are taken in its order"


def test_nothing_twice_in_simple_mode(node: Node, tmp_path: Path) -> None:
    """The server and three consumers are killed: what is lost was on its way to somebody."""
    consumers = [start(consume, node.port, str(tmp_path / f"got-{name}"), 1) for name in range(CONSUMERS)]
    makers = producers(RedisSimpleQueue, node, tmp_path)
    total = PRODUCERS * ITEMS
    wait_until(lambda: written(tmp_path) > total // 4, "a quarter is done")
    killed = [consumers.pop() for _ in range(3)]
    for process in killed:
        process.kill()
    wait_until(lambda: written(tmp_path) > total // 2, "half is done")
    node.kill()
    time.sleep(0.3)
    node.start()
    finish(makers)
    finish(consumers)
    got = Counter(flat(lines(tmp_path, "got-*")))
    unknown = got.pop("unknown", 0)
    assert set(got.values()) == {1}
    put = {line.split()[0] for line in flat(lines(tmp_path, "put-*")) if line.endswith(" put")}
    # One reply for each consumer killed, and one for each connection that the server's death broke.
    assert len(put - set(got)) <= len(killed) + len(consumers) + unknown


def test_nothing_lost_in_lease_mode(node: Node, tmp_path: Path) -> None:
    """The server is killed, and consumers are killed and replaced: every item is processed, and then finished."""
    makers = producers(RedisQueue, node, tmp_path)
    names = iter(range(100))
    hire = lambda: start(work, node.port, str(tmp_path / f"got-{next(names)}"), 2)  # noqa: E731
    workers = [hire() for _ in range(CONSUMERS)]
    total = PRODUCERS * ITEMS
    for share in (5, 4, 3):
        wait_until(lambda: written(tmp_path) > total // share, "a part is done")  # noqa: B023
        for _ in range(2):
            workers.pop(0).kill()
            workers.append(hire())
    wait_until(lambda: written(tmp_path) > total // 2, "half is done")
    node.kill()
    time.sleep(0.3)
    node.start()
    finish(makers)
    finish(workers)
    processed = {line.split()[0] for line in flat(lines(tmp_path, "got-*"))}
    puts = dict(line.split() for line in flat(lines(tmp_path, "put-*")))
    assert {item for item, sure in puts.items() if sure == "put"} <= processed <= set(puts)
    with client(node.port) as direct:
        tasks: RedisQueue[str] = RedisQueue(redis=direct, key=KEY)
        assert tasks.counts() == (0, 0, 0, 0, 0)
        tasks.join()

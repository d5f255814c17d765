"""What the racing processes do; in a module of its own, so that spawned processes can import it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TURNS = 60


def add_to_dict(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS):
        container[f"{worker}:{turn}"] = turn
        container.update({f"{worker}:{turn}:more": turn}, common=turn)
    return []


def setdefault(container: Any, worker: int) -> list[Any]:
    return [container.setdefault(turn, worker) for turn in range(TURNS)]


def pop_items(container: Any, worker: int) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(container.popitem())
        except KeyError:
            return taken


def pop_keys(container: Any, worker: int) -> list[Any]:
    return [value for key in range(TURNS * 8) if (value := container.pop(key, None)) is not None]


def delete_keys(container: Any, worker: int) -> list[Any]:
    deleted = []
    for key in range(TURNS * 8):
        try:
            del container[key]
        except KeyError:
            continue
        deleted.append(key)
    return deleted


def transform(container: Any, worker: int) -> list[Any]:
    for _ in range(TURNS // 4):
        container.transform("nested", lambda value: {"n": value["n"] + 1})
    return []


def transform_first(container: Any, worker: int) -> list[Any]:
    for _ in range(TURNS // 4):
        container.transform(0, lambda value: value + 1)
    return []


def add_to_set(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS):
        container.add((worker, turn))
        container.update([(worker, turn, "more"), "common"])
        container |= {(worker, turn, "in place")}
    return []


def remove_from_set(container: Any, worker: int) -> list[Any]:
    removed = []
    for value in range(TURNS * 8):
        try:
            container.remove(value)
        except KeyError:
            continue
        removed.append(value)
    return removed


def pop_all(container: Any, worker: int) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(container.pop())
        except (KeyError, IndexError):
            return taken


def toggle(container: Any, worker: int) -> list[Any]:
    for _ in range(TURNS + 1):
        container.symmetric_difference_update({worker, "common"})
    return []


def append(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS):
        container.append([worker, turn])
        container.extend([[worker, turn, "a"], [worker, turn, "b"]])
        container.insert(len("middle"), [worker, turn, "inserted"])
    return []


def append_both_ends(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS):
        container.append([worker, turn])
        container.appendleft([worker, turn, "left"])
        container.rotate(3)
    return []


def pop_left(container: Any, worker: int) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(container.popleft())
        except IndexError:
            return taken


def pop_middle(container: Any, worker: int) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(container.pop(1))
        except IndexError:
            return taken


def rearrange(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS // 4):
        container.append(worker * 1000 + turn)
        if worker % 2:
            container.sort()
        else:
            container.reverse()
        container[1:3] = [-worker, -turn]
    return []


def cut(container: Any, worker: int) -> list[Any]:
    for _ in range(TURNS):
        del container[2:4]
    return []


def count(container: Any, worker: int) -> list[Any]:
    for turn in range(TURNS):
        container["plus"] += 1
        container["minus"] -= 2
        container.update(["one", "two", "two"], three=3)
        container.subtract({"down": 1})
        container.increment("big", 2**60)
        container[f"own {worker}"] = turn
    return []


def add_counters(container: Any, worker: int) -> list[Any]:
    from collections import Counter

    for _ in range(TURNS):
        container += Counter(a=2, b=1)
        container -= Counter(b=1)
    return []


WORKERS: dict[str, Callable[[Any, int], list[Any]]] = {
    name: value for name, value in globals().items() if callable(value) and getattr(value, "__module__", "") == __name__
}


def main(name: str, container: Any, worker: int, barrier: Any, results: Any) -> None:
    """Run one worker when all are ready, and report what it took, or its exception."""
    barrier.wait()
    try:
        results.put((worker, WORKERS[name](container, worker)))
    except BaseException as error:
        results.put((worker, repr(error)))
        raise

"""Several processes count the words of many files through shared containers; then the result is checked."""

from __future__ import annotations

import collections
import multiprocessing
import re
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pottery_like.counter import RedisCounter
from pottery_like.deque import RedisDeque
from pottery_like.dict import RedisDict
from pottery_like.list import RedisList
from pottery_like.set import RedisSet

_WORD = re.compile(r"[^\W\d_]{2,}")
POLL_SECONDS = 0.1


@dataclass
class Board:
    """The containers that all processes share.  Pickled, each is a reference to its key."""

    files: RedisDeque[str]
    words: RedisCounter[str]
    distinct: RedisSet[str]
    statistics: RedisDict[str, dict[str, int]]
    log: RedisList[dict[str, Any]]

    @classmethod
    def new(cls, redis_url: str | None) -> Board:
        """Return containers under keys of their own."""
        name = f"{{pottery_like:demo:{uuid.uuid4()}}}"
        return cls(
            RedisDeque(key=f"{name}:files", redis_url=redis_url),
            RedisCounter(key=f"{name}:words", redis_url=redis_url),
            RedisSet(key=f"{name}:distinct", redis_url=redis_url),
            RedisDict(key=f"{name}:statistics", redis_url=redis_url),
            RedisList(key=f"{name}:log", redis_url=redis_url),
        )

    def containers(self) -> tuple[Any, ...]:
        """Return all of them."""
        return self.files, self.words, self.distinct, self.statistics, self.log


def words_of(path: str) -> list[str]:
    """Return the words in a file, in lower case."""
    return _WORD.findall(Path(path).read_text(encoding="utf-8", errors="replace").lower())


def work(board: Board) -> None:
    """Take files off the deque until it is empty."""
    while True:
        try:
            path = board.files.popleft()
        except IndexError:
            trips = sum(container._runner.round_trips for container in board.containers())
            board.log.append({"round_trips": trips + 1})
            return
        started = time.perf_counter()
        found = collections.Counter(words_of(path))
        board.words.update(found)
        board.distinct.update(found)
        board.statistics[path] = {"words": found.total(), "distinct": len(found)}
        board.log.append({"file": path, "seconds": time.perf_counter() - started})


def standard_library() -> list[str]:
    """Return the Python sources of this interpreter's standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(str(path) for path in root.rglob("*.py") if "site-packages" not in path.parts)


def run(files: Sequence[str], *, workers: int = 4, redis_url: str | None = None) -> int:
    """Run the demo and return the exit status: 0, 1 when the result is wrong, 2 when a file can't be read."""
    paths = list(dict.fromkeys(files)) or standard_library()
    unreadable = [path for path in paths if not Path(path).is_file()]
    if unreadable:
        print(f"no such file: {', '.join(unreadable)}", file=sys.stderr)
        return 2
    board = Board.new(redis_url)
    try:
        started = time.perf_counter()
        board.files.extend(paths)
        finished = _run_workers(board, workers, len(paths))
        seconds = time.perf_counter() - started
        return _report(board, paths, workers, seconds) if finished else 1
    finally:
        for container in board.containers():
            container.clear()


def _run_workers(board: Board, workers: int, total: int) -> bool:
    # Spawned processes share nothing with this one but the server.
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(board,)) for _ in range(workers)]
    for process in processes:
        process.start()
    with _progress(total) as show:
        while any(process.is_alive() for process in processes):
            time.sleep(POLL_SECONDS)
            show(min(len(board.statistics), total))
    failed = [process for process in processes if process.exitcode]
    for process in failed:
        print(f"worker {process.pid} failed with exit code {process.exitcode}", file=sys.stderr)
    return not failed


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda done: print(f"\r{done}/{total} files", end="\n" if done == total else "", flush=True)
        return
    columns = TextColumn("counting words"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeElapsedColumn()
    with Progress(*columns) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.update(task, completed=done)


def _report(board: Board, paths: list[str], workers: int, seconds: float) -> int:
    log = board.log.to_list()
    trips = sum(entry.get("round_trips", 0) for entry in log)
    words = board.words.to_counter()
    print(f"\n{'word':<16}{'count':>10}")
    for word, count in board.words.most_common(10):
        print(f"{word:<16}{count:>10,}")
    print(
        f"\n{len(paths):,} files, {words.total():,} words ({len(board.distinct):,} distinct) "
        f"by {workers} processes in {seconds:.1f} s:\n"
        f"{words.total() / seconds:,.0f} words/s, {trips:,} round trips, {trips / seconds:,.0f} round trips/s"
    )
    expected: collections.Counter[str] = collections.Counter()
    for path in paths:
        expected.update(words_of(path))
    checks = {
        "counts": words == expected,
        "distinct words": board.distinct.to_set() == set(expected),
        "statistics": board.statistics.keys() == set(paths)
        and sum(each["words"] for each in board.statistics.to_dict().values()) == expected.total(),
        "log": sorted(entry["file"] for entry in log if "file" in entry) == sorted(paths),
    }
    wrong = [name for name, right in checks.items() if not right]
    if wrong:
        print(f"WRONG: {', '.join(wrong)} differ from collections.Counter on the same files", file=sys.stderr)
        return 1
    print("correct: counts, distinct words, statistics and log equal collections.Counter on the same files")
    return 0

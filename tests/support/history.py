"""Judging a history of reads and writes: was anything read that had been overwritten before the read began?"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import accumulate
from math import inf
from typing import Any

Entry = tuple[str, Any, int, float, float]
"""Kind, key, value, and when it began and ended.  Of deletions, and of reads that found nothing, the value is 0."""

WRITES = ("write", "delete")


def stale(history: Iterable[Entry], lasting: Collection[str] = WRITES) -> list[tuple[float, Entry]]:
    """Return the reads of values that had been overwritten before, and for how many seconds.

    A value is certainly gone at the time when a write has ended that began after the value's own write had ended.
    Values other than 0 are written once, so each read can be traced to its write; one that found nothing, to the
    deletion that explains it best, or to the beginning.

    :param lasting: the kinds of the entries that certainly overwrite: where writes may be lost again, the history has
        further entries for those that can't be.
    """
    history = list(history)
    keys: dict[Any, list[Entry]] = defaultdict(list)
    for entry in history:
        if entry[0] != "read":
            keys[entry[1]].append(entry)
    gone: dict[tuple[Any, int], float] = {}
    missing: dict[Any, tuple[list[float], list[float]]] = {}
    for key, entries in keys.items():
        over = _Over(each for each in entries if each[0] in lasting)
        for kind, _, value, _, ended in entries:
            if kind in WRITES and value:
                gone[key, value] = over(ended)
        over = _Over(each for each in entries if each[0] in lasting and each[2])
        deletions = sorted((each[3], over(each[4])) for each in entries if each[0] in WRITES and not each[2])
        latest = list(accumulate([over(-inf), *(until for _, until in deletions)], max))
        missing[key] = [begun for begun, _ in deletions], latest
    found = []
    for entry in history:
        kind, key, value, begun, ended = entry
        if kind == "read":
            starts, latest = missing.get(key, ([], [inf]))
            until = gone.get((key, value), inf) if value else latest[bisect_right(starts, ended)]
            if begun > until:
                found.append((begun - until, entry))
    return found


class _Over:
    """When what had been written at a time was certainly overwritten."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        spans = sorted((each[3], each[4]) for each in entries)
        self._starts = [start for start, _ in spans]
        # From the last to the first: the earliest end among those that began after.
        self._ends = [*accumulate((end for _, end in reversed(spans)), min, initial=inf)][::-1]

    def __call__(self, written: float) -> float:
        return self._ends[bisect_right(self._starts, written)]


def never_written(history: Iterable[Entry]) -> list[Entry]:
    """Return the reads of values that nobody had begun to write by the time the read ended."""
    history = list(history)
    begun = {(key, value): start for kind, key, value, start, _ in history if kind != "read"}
    return [
        entry
        for entry in history
        if entry[0] == "read" and entry[2] and begun.get((entry[1], entry[2]), inf) > entry[4]
    ]

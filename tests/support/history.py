"""Judging a history of reads and writes: was anything read that had been overwritten before the read began?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Entry = tuple[str, Any, int, float, float]
"""Kind, key, value, and when it began and ended.  Of deletions, and of reads that found nothing, the value is 0."""


def stale(history: Iterable[Entry]) -> list[tuple[float, Entry]]:
    """Return the reads of values that had been overwritten before, and for how many seconds.

    A value is certainly gone at the time when a write has ended that began after the value's own write had ended.
    Values other than 0 are written once, so each read can be traced to its write.
    """
    writes: dict[Any, list[Entry]] = defaultdict(list)
    reads = []
    for entry in history:
        (reads if entry[0] == "read" else writes[entry[1]]).append(entry)
    gone: dict[tuple[Any, int], float] = {}
    for key, entries in writes.items():
        # From the last to the first: the earliest end among the writes that began after a given time.
        entries.sort(key=lambda each: each[3])
        ends = [float("inf")] * (len(entries) + 1)
        for index in range(len(entries) - 1, -1, -1):
            ends[index] = min(ends[index + 1], entries[index][4])
        starts = [each[3] for each in entries]
        for _, _, value, _, ended in entries:
            if value:
                gone[key, value] = ends[_after(starts, ended)]
    found = []
    for entry in reads:
        _, key, value, begun, _ = entry
        since = begun - gone.get((key, value), float("inf"))
        if value and since > 0:
            found.append((since, entry))
    return found


def _after(starts: list[float], moment: float) -> int:
    from bisect import bisect_right

    return bisect_right(starts, moment)


def never_written(history: Iterable[Entry]) -> list[Entry]:
    """Return the reads of values that nobody had begun to write by the time the read ended."""
    history = list(history)
    begun = {(key, value): start for kind, key, value, start, _ in history if kind != "read"}
    return [
        entry
        for entry in history
        if entry[0] == "read" and entry[2] and begun.get((entry[1], entry[2]), float("inf")) > entry[4]
    ]

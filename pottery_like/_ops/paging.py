"""Iterations that hold one page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Op, Page, Paging
from pottery_like._core.scan import DOUBTS, Seen
from pottery_like.exceptions import DecodeError

Builder = Callable[[Any, "list[int] | None"], Iterable[Any]]


def scan(key: bytes, command: str, split: Callable[[Any], Sequence[bytes]], build: Builder) -> Paging:
    """Iterate over a hash or a set with HSCAN or SSCAN.

    What stays in it from beginning to end is yielded exactly once.

    :param split: takes the elements by which repetitions are recognized out of a page.
    :param build: decodes a page; of the elements at the given indexes, or of all.
    """
    return scan_with(lambda cursor: Op(command, (key,), (cursor, b"COUNT", CHUNK), scanned, True), split, build)


def scan_with(
    op: Callable[[int], Op[tuple[int, Any]]], split: Callable[[Any], Sequence[bytes]], build: Builder
) -> Paging:
    """Iterate with a command of the SCAN family.

    :param op: returns the command for a cursor.
    """
    seen = Seen()
    cursor, done = 0, False
    held: list[tuple[Any, Sequence[bytes]]] = []
    before = 0
    while not done:
        if not held:
            before = cursor
        step = op(cursor)
        cursor, page = yield step
        done = cursor == 0
        held.append((page, split(page)))
        doubtful = done or seen.small() or seen.doubtful(cursor)
        if doubtful and not (done or seen.small()) and len(held) < DOUBTS:
            continue
        for page, raws in held:
            fresh = None
            if doubtful:
                fresh = seen.fresh(raws)
            else:
                seen.remember(raws)
            try:
                items = build(page, fresh)
            except DecodeError as error:
                error.locate(step.name, step.keys[0])
                raise
            yield Page(items)
        held.clear()
        seen.forget(before, cursor)


def scanned(reply: Any) -> tuple[int, Any]:
    """Decode a cursor and what came with it."""
    cursor, page = reply
    return int(cursor), page

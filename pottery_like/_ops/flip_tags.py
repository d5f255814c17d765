"""FlipCache's tags: for each an index of the Redis keys that were stored with it.

An index is wherever its own key leads, so in a cluster it isn't changed together with the values it names.  So the
index comes first: whoever dies in between leaves an entry too many, never one too few.  And an entry stays for some
time after its key was invalidated: the value may have been on its way then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Batch, Op, ok
from pottery_like._ops.common import truth
from pottery_like._ops.flip_core import FlipCore, FlipProgram
from pottery_like._ops.flipcache import lifetime


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, each once.

    :raises TypeError: a tag isn't a str, or ``tags`` is one.
    :raises ValueError: a tag is empty.
    """
    if isinstance(tags, str):
        raise TypeError("tags must be several strs, not one")
    found = tuple(dict.fromkeys(tags))
    for each in found:
        if not isinstance(each, str):
            raise TypeError(f"a tag must be a str, not {type(each).__name__}")
        if not each:
            raise ValueError("a tag must not be empty")
    return found


class FlipTags:
    """Programs that store with tags and invalidate by them.

    :param core: the programs on single keys.
    """

    def __init__(self, core: FlipCore) -> None:
        self.core = core

    def index(self, tag: str) -> bytes:
        """Return the key of a tag's index: outside the cache's keys."""
        return f"{self.core.ops.names.name}/tag/{tag}".encode()

    def set(self, key: Any, value: Any, ttl: float | timedelta | None, tags: tuple[str, ...]) -> FlipProgram[None]:
        """Store a value with tags: one script; in a cluster two exchanges, sometimes three."""
        core, ops = self.core, self.core.ops
        name, raw = ops.names.encode(key), ops.texts.encode(value)
        ms, indexes = lifetime(ttl, ops.ms), tuple(self.index(tag) for tag in tags)
        known = core.stored({name: raw}, ms)
        if not core.clustered:
            yield from core.write(
                {name: key}, Op(script("flip_tag_set"), (name, *indexes), (*ops.says, ms, raw), ok, True), known
            )
            return
        added = yield Batch(tuple(Op(script("flip_tag_add"), (index,), (name,), list, True) for index in indexes))
        yield from core.write({name: key}, ops.set(name, raw, ms), known)
        yield from self._look_after(indexes, added)

    def _look_after(self, indexes: tuple[bytes, ...], added: list[list[bytes]]) -> FlipProgram[None]:
        """Remove entries whose keys are gone from the indexes."""
        old = [(index, time, name) for index, (time, *names) in zip(indexes, added, strict=True) for name in names]
        if not old:
            return
        there = yield Batch(tuple(Op("EXISTS", (name,), (), truth, True) for _, _, name in old))
        gone = [each for each, found in zip(old, there, strict=True) if not found]
        if gone:
            yield Batch(
                tuple(Op(script("flip_tag_drop"), (index,), (0, name, time), ok, True) for index, time, name in gone)
            )

    def invalidate(self, tag: str) -> FlipProgram[int]:
        """Remove the keys that were stored with a tag; how many there were: three exchanges per thousand."""
        (tag,) = checked_tags((tag,))
        index = self.index(tag)
        start, limit, removed = b"-inf", b"", 0
        seen: set[bytes] = set()
        while True:
            limit, *page = yield Op(script("flip_tag_page"), (index,), (start, limit, CHUNK), list, True)
            times = dict(zip(page[::2], page[1::2], strict=True))
            fresh = [name for name in times if name not in seen]
            if not fresh:
                return removed
            removed += yield from self.core.remove(dict.fromkeys(fresh))
            words = [word for name in fresh for word in (name, times[name])]
            yield Op(script("flip_tag_drop"), (index,), (1, *words), ok, True)
            if len(times) < CHUNK:
                return removed
            # Entries of one time may be on two pages.
            start, seen = page[-1], set(times)

"""Telling what an iteration has yielded already, in little memory.

HSCAN and SSCAN yield an element a second time only after the server's table shrank: the cursor then stands for a
wider bucket, part of which has been visited.  Cursors count with their bits reversed, so that part shares the
cursor's low bits, and a shrink shows itself by cursors that lack high bits.  See the comment above ``dictScan()`` in
Redis's ``dict.c``.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

ALWAYS = 1 << 14
"""Up to so many digests each page is compared with all before."""

WINDOW = 1 << 17
"""Beyond so many digests, those whose cursors differ in the low bits are forgotten."""

LOW_BITS = 3
SHRINK_BITS = 1
"""A table that shrinks loses at least so many bits: most often two in Valkey, now and then one; three in Redis."""

DOUBTS = 8
"""So many short cursors in a row are taken for a shrink; by chance that happens once in 256 pages."""


class Seen:
    """The digests of what was yielded, and the judgement whether the table may have shrunk."""

    def __init__(self) -> None:
        self._digests = array("q")
        self._first: set[int] = set()
        """The same digests while they are few: looking them up in the array takes a pass over it."""
        self._bits = 0

    def fresh(self, raws: Sequence[bytes]) -> list[int] | None:
        """Remember elements; return the indexes of those that are new, or None when all are."""
        hashes = list(map(hash, raws))
        page = set(hashes)
        known = self._first if self.small() else self._digests
        if len(page) == len(hashes) and page.isdisjoint(known):
            self._keep(hashes)
            return None
        # One pass in C over all digests: intersection_update would copy an array into a set.
        found = set(filter(page.__contains__, known))
        new = []
        for index, digest in enumerate(hashes):
            if digest not in found:
                found.add(digest)
                new.append(index)
        self._keep([hashes[index] for index in new])
        return new

    def remember(self, raws: Sequence[bytes]) -> None:
        """Remember elements that need no comparison."""
        self._keep(list(map(hash, raws)))

    def _keep(self, hashes: list[int]) -> None:
        # Faster than array.extend(), which takes them one by one.
        self._digests.frombytes(struct.pack(f"{len(hashes)}q", *hashes))
        if self.small():
            self._first.update(hashes)
        else:
            self._first.clear()

    def doubtful(self, cursor: int) -> bool:
        """Whether the page that led to ``cursor`` may come from a table that has shrunk."""
        bits = cursor.bit_length()
        self._bits = max(self._bits, bits)
        return bits <= self._bits - SHRINK_BITS

    def small(self) -> bool:
        """Whether comparing costs next to nothing."""
        return len(self._digests) <= ALWAYS

    def forget(self, before: int, after: int) -> None:
        """Forget what the step from one cursor to the next has put out of reach, when memory asks for it."""
        mask = (1 << LOW_BITS) - 1
        if len(self._digests) > WINDOW and before & mask != after & mask:
            self._digests = array("q")

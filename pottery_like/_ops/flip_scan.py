"""FlipCache's namespace as a whole: its keys are found by SCAN, page by page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Batch, NodeOp, Op, Page, Paging, ok
from pottery_like._ops.common import chunks
from pottery_like._ops.flip_core import FlipCore, FlipProgram
from pottery_like._ops.flip_texts import is_beside
from pottery_like._ops.paging import scan_with, scanned

Anchors = Sequence[bytes]
"""A key on each server."""


class FlipScan:
    """Programs on all keys of a cache.

    :param core: the programs on single keys.
    """

    def __init__(self, core: FlipCore) -> None:
        self.core = core
        self.names = core.ops.names
        outer = self.names.name.split(":")
        self._outer = [":".join(outer[:count]) for count in range(1, len(outer))]
        self.introduced = not self._outer

    def introduce(self) -> FlipProgram[None]:
        """Before the first write: tell the caches whose names this one's begins with that its keys aren't theirs.

        The cache ``a`` has a key ``b:k`` with the same Redis key as the key ``k`` of the cache ``a:b``.
        """
        name = self.names.name.encode()
        yield Batch(tuple(Op("SADD", (_nested(each),), (name,), ok, True) for each in self._outer if each))
        self.introduced = True

    def fetch(self, key: Any) -> FlipProgram[Any]:
        """``cache[key]``; a default that is stored is a write, before which this cache is introduced."""
        fill = self.core.ops.default_raw is not None
        if fill and not self.introduced:
            try:
                yield from self.introduce()
            except Exception:
                # A read is answered all the same when the server is full or read-only.
                fill = False
        return (yield from self.core.fetch(key, fill))

    def _strangers(self) -> FlipProgram[tuple[bytes, ...]]:
        """The prefixes of the caches whose names begin with this one's."""
        found = yield Op("SMEMBERS", (_nested(self.names.name),), (), list, True)
        return tuple(each + b":" for each in found)

    def found(self, anchors: Anchors) -> Paging:
        """Pages of Redis keys.

        :param anchors: a key on each server.
        """
        pattern = self.names.pattern()
        decode = self.names.decode
        strangers = yield from self._strangers()
        for anchor in anchors:

            def op(cursor: int, anchor: bytes = anchor) -> Op[tuple[int, Any]]:
                words = (cursor, b"MATCH", pattern, b"COUNT", CHUNK, b"TYPE", b"string")
                return NodeOp("SCAN", (anchor,), words, scanned, True)

            def build(page: list[bytes], fresh: list[int] | None) -> list[bytes]:
                names = page if fresh is None else [page[index] for index in fresh]
                return [name for name in names if not name.startswith(strangers) and decode(name) is not None]

            yield from scan_with(op, lambda page: page, build)

    def keys(self, anchors: Anchors) -> Paging:
        """``iter(cache)``."""
        decode = self.names.decode
        return mapped(self.found(anchors), lambda names: [decode(name) for name in names])

    def items(self, anchors: Anchors) -> Paging:
        """``iter(cache.items())``: the keys by pages, and then their values."""
        decode = self.names.decode
        for names in paged(self.found(anchors)):
            if not isinstance(names, Page):
                names.result = yield names.step
                continue
            page = list(names.items)
            if not page:
                continue
            groups = self.core.groups(page)
            ops = tuple(Op("MGET", tuple(group), (), list, True) for group in groups)
            replies = yield Batch(ops)
            texts = self.core.ops.texts
            yield Page(
                [
                    (decode(name), texts.decode(raw))
                    for group, raws in zip(groups, replies, strict=True)
                    for name, raw in zip(group, raws, strict=True)
                    if raw is not None
                ]
            )

    def values(self, anchors: Anchors) -> Paging:
        """``iter(cache.values())``."""
        return mapped(self.items(anchors), lambda items: [value for _, value in items])

    def size(self, anchors: Anchors) -> FlipProgram[int]:
        """``len(cache)``."""
        count = 0
        for names in paged(self.found(anchors)):
            if isinstance(names, Page):
                count += len(list(names.items))
            else:
                names.result = yield names.step
        return count

    def to_dict(self, anchors: Anchors) -> FlipProgram[dict[Any, Any]]:
        """A plain dict of all items."""
        made: dict[Any, Any] = {}
        for items in paged(self.items(anchors)):
            if isinstance(items, Page):
                made.update(items.items)
            else:
                items.result = yield items.step
        return made

    def clear(self, anchors: Anchors) -> FlipProgram[None]:
        """Remove all keys, page by page: first what would bring values back, or remove later ones."""
        for entries in paged(self._beside(anchors)):
            if not isinstance(entries, Page):
                entries.result = yield entries.step
                continue
            for part in chunks(entries.items):
                yield Batch(tuple(Op(script("flip_clear"), (name,), tuple(words), ok, True) for name, *words in part))
        for names in paged(self.found(anchors)):
            if not isinstance(names, Page):
                names.result = yield names.step
                continue
            for part in chunks(names.items):
                yield from self.core.remove(dict.fromkeys(part))
        if self.core.tier is not None:
            self.core.tier.drop()

    def _beside(self, anchors: Anchors) -> Paging:
        """Pages of the indexes of tags and the flights of values, each with flip_clear's words."""
        prefix, tags = self.names.prefix, f"{self.names.name}/tag/".encode()
        pattern = b"*" + self.names.pattern()[:-2] + b"[:/]*"
        # In a cluster an index is written before the value, which may be on its way.
        keep = int(self.core.clustered)
        for anchor in anchors:

            def op(cursor: int, anchor: bytes = anchor) -> Op[tuple[int, Any]]:
                return NodeOp("SCAN", (anchor,), (cursor, b"MATCH", pattern, b"COUNT", CHUNK), scanned, True)

            def build(page: list[bytes], fresh: list[int] | None) -> list[tuple[Any, ...]]:
                names = page if fresh is None else [page[index] for index in fresh]
                indexes: list[tuple[Any, ...]] = [(each, b"zset", keep) for each in names if each.startswith(tags)]
                return indexes + [(each, b"hash", 0) for each in names if is_beside(each, b"flights", prefix)]

            yield from scan_with(op, lambda page: page, build)

    def popitem(self, anchors: Anchors) -> FlipProgram[tuple[Any, Any]]:
        """Remove and return some item."""
        for names in paged(self.found(anchors)):
            if not isinstance(names, Page):
                names.result = yield names.step
                continue
            for name in names.items:
                key = self.names.decode(name)
                value = yield from self.core.pop(key, MISSING_ITEM)
                if value is not MISSING_ITEM:
                    return key, value
        raise KeyError("popitem(): the cache is empty")


MISSING_ITEM: Any = object()


def _nested(name: str) -> bytes:
    return f"{name}/names".encode()


class Ask:
    """A step of a paging that somebody else is to take.

    :ivar step: the step.
    :ivar result: what it gave.
    """

    def __init__(self, step: Any) -> None:
        self.step = step
        self.result: Any = None


def paged(paging: Paging) -> Generator[Page | Ask, None, None]:
    """Yield a paging's pages, and its other steps, whose results are to be put into them."""
    result = None
    while True:
        try:
            step = paging.send(result)
        except StopIteration:
            return
        result = None
        if isinstance(step, Page):
            yield step
        else:
            ask = Ask(step)
            yield ask
            result = ask.result


def mapped(paging: Paging, function: Callable[[Any], Iterable[Any]]) -> Paging:
    """Change the pages of a paging."""
    for step in paged(paging):
        if isinstance(step, Page):
            yield Page(function(step.items))
        else:
            step.result = yield step.step

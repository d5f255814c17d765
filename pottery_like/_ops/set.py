"""RedisSet's operations: a set, its members in key position.

Operands are :class:`SetOps` (a set on the same client) or iterables.  Sets near this one are combined on the
server; others are read first.  What is equal is decided by the stored bytes, on the server and here alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, Literal, TypeVar

from pottery_like._core.elements import Members
from pottery_like._core.keys import random_sibling
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Batch, Done, Op, Paging, Program, Task, ok
from pottery_like._ops.common import (
    COMMANDS_AT_ONCE,
    STAGING_SECONDS,
    KeyOps,
    chunks,
    count,
    in_batches,
    truth,
)
from pottery_like._ops.paging import scan
from pottery_like.codecs import Codec, JSONCodec

T = TypeVar("T")

Relation = Literal["<=", "<", "==", ">", ">="]

Keys = tuple[bytes, ...]


class SetOps(KeyOps, Generic[T]):
    """What can be done with a set in Redis."""

    def __init__(self, key: bytes, codec: Codec[T] | None = None) -> None:
        super().__init__(key)
        self.members: Members[T] = Members(codec)

    def fill(self, iterable: Iterable[T]) -> Program[None]:
        """Fill a new set; see :meth:`KeyOps.create`."""
        return self.create("SADD", self._encoded(set(iterable)), 1)

    def _encoded(self, elements: Iterable[T]) -> list[bytes]:
        return list(dict.fromkeys(map(self.members.encode, elements)))

    def _known(self, elements: Iterable[object]) -> dict[bytes, Any]:
        """Return the elements that can be in a set, by their bytes."""
        found = ((self.members.find(element), element) for element in elements)
        return {raw: element for raw, element in found if raw is not None}

    def _find(self, value: object) -> bytes | None:
        # The builtin looks up a set as the frozenset equal to it, which no codec carries.
        return None if isinstance(value, set) else self.members.find(value)

    def add(self, value: T) -> Op[None]:
        """``s.add(value)``: SADD."""
        return self._op("SADD", self.members.encode(value), decode=ok)

    def discard(self, value: object) -> Task[None]:
        """``s.discard(value)``: SREM."""
        raw = self._find(value)
        return Done(None) if raw is None else self._op("SREM", raw, decode=ok)

    def remove(self, value: object) -> Op[None]:
        """``s.remove(value)``: SREM."""

        def decode(reply: int) -> None:
            if not reply:
                raise KeyError(value)

        raw = self._find(value)
        if raw is None:
            raise KeyError(value)
        return self._op("SREM", raw, decode=decode, idempotent=False)

    def pop(self) -> Op[T]:
        """``s.pop()``: SPOP."""

        def decode(reply: bytes | None) -> T:
            if reply is None:
                raise KeyError("pop from an empty set")
            return self.members.decode(reply)

        return self._op("SPOP", decode=decode, idempotent=False)

    def contains(self, value: object) -> Task[bool]:
        """``value in s``: SISMEMBER."""
        raw = self._find(value)
        return Done(False) if raw is None else self._op("SISMEMBER", raw, decode=truth)

    def contains_many(self, values: Iterable[object]) -> Program[list[bool]]:
        """Which of ``values`` are there: SMISMEMBER."""
        raws = [self._find(value) for value in values]
        found = iter((yield from self._has([raw for raw in raws if raw is not None])))
        return [raw is not None and next(found) for raw in raws]

    def size(self) -> Op[int]:
        """``len(s)``: SCARD."""
        return self._op("SCARD", decode=count)

    def to_set(self) -> Op[set[T]]:
        """``set(s)``: SMEMBERS."""
        return self._op("SMEMBERS", decode=self._set_of)

    def scan(self) -> Paging:
        """``iter(s)``: SSCAN."""

        def build(page: Sequence[bytes], fresh: list[int] | None) -> list[T]:
            return self.members.decode_many(page if fresh is None else [page[index] for index in fresh])

        return scan(self.key, "SSCAN", lambda page: page, build)

    def union(self, others: Iterable[Any]) -> Program[set[Any]]:
        """``s.union(*others)``: SUNION."""
        keys, plain, far = self._split(others)
        mine, *theirs = yield from _replies([self._combine("SUNION", keys, self._set_of), *_reading(far)])
        result: set[Any] = mine
        result.update(*plain, *theirs)
        return result

    def intersection(self, others: Iterable[Any]) -> Program[set[Any]]:
        """``s.intersection(*others)``: SINTER, or SMISMEMBER of the candidates."""
        keys, plain = yield from self._operands(others)
        if plain:
            return (yield from self._present(set.intersection(*plain), keys))
        result: set[Any] = yield self._combine("SINTER", keys, self._set_of)
        return result

    def difference(self, others: Iterable[Any]) -> Program[set[Any]]:
        """``s.difference(*others)``: SDIFF."""
        keys, plain, far = self._split(others)
        gone = self._known(set().union(*plain))
        mine, *theirs = yield from _replies([self._combine("SDIFF", keys, self._by_bytes), *_reading(far)])
        gone |= self._known(set().union(*theirs))
        return {value for raw, value in mine.items() if raw not in gone}

    def difference_from(self, other: Iterable[Any]) -> Program[set[Any]]:
        """``other - s``: SMISMEMBER."""
        candidates = set(other)
        return candidates - (yield from self._present(candidates, ()))

    def symmetric_difference(self, other: Any) -> Program[set[Any]]:
        """``s.symmetric_difference(other)``: SMEMBERS, or one script."""
        keys, plain, far = self._split((other,))
        if keys:
            op = self._script("set_symmetric_difference", keys=keys, decode=self._two_sets_of, idempotent=True)
            result: set[Any] = yield op
            return result
        mine, *read = yield from _replies([self._combine("SMEMBERS", (), self._by_bytes), *_reading(far)])
        operand = (plain or read)[0]
        theirs = self._known(operand)
        result = operand.difference(value for raw, value in theirs.items() if raw in mine)
        result.update(value for raw, value in mine.items() if raw not in theirs)
        return result

    def update(self, others: Iterable[Any]) -> Program[None]:
        """``s.update(*others)``: SADD, or one script; in pipelined chunks beyond a thousand elements."""
        keys, plain = yield from self._operands(others)
        yield from self._merge("SADD", keys, self._encoded(set().union(*plain)))

    def difference_update(self, others: Iterable[Any]) -> Program[None]:
        """``s.difference_update(*others)``: SREM, or one script; in pipelined chunks beyond a thousand elements."""
        keys, plain = yield from self._operands(others)
        yield from self._merge("SREM", keys, list(self._known(set().union(*plain))))

    def intersection_update(self, others: Iterable[Any]) -> Program[None]:
        """``s.intersection_update(*others)``: one script; beyond a thousand elements they are sent ahead of it."""
        keys, plain = yield from self._operands(others)
        if not plain:
            if keys:
                yield self._script("set_keep", b"0", keys=keys, decode=ok, idempotent=True)
            return
        raws = list(self._known(set.intersection(*plain)))
        if len(raws) <= CHUNK:
            aside = random_sibling(self.key, "operand")
            yield self._script("set_keep", b"1", *raws, keys=(aside, *keys), decode=ok, idempotent=True)
            return
        aside = yield from self._staged(raws)
        yield self._script("set_keep", b"1", keys=(aside, *keys), decode=ok)

    def symmetric_difference_update(self, other: Any) -> Program[None]:
        """``s.symmetric_difference_update(other)``: one script; beyond a thousand elements they are sent ahead."""
        keys, plain = yield from self._operands((other,))
        if keys == (self.key,):
            yield from self._merge("SREM", keys, [])
        elif keys:
            yield self._script("set_toggle_set", b"0", keys=keys, decode=ok)
        else:
            raws = self._encoded(plain[0])
            if len(raws) > CHUNK:
                aside = yield from self._staged(raws)
                yield self._script("set_toggle_set", b"1", keys=(aside,), decode=ok)
            elif raws:
                yield self._script("set_toggle", *raws, decode=ok)

    def isdisjoint(self, other: Any) -> Program[bool]:
        """``s.isdisjoint(other)``: SMISMEMBER, or one script."""
        keys, plain = yield from self._operands((other,))
        if keys:
            op = self._script("set_disjoint", keys=keys, decode=truth, idempotent=True)
            disjoint: bool = yield op
            return disjoint
        return not any((yield from self._has(list(self._known(plain[0])))))

    def compare(self, other: Any, relation: Relation) -> Program[bool]:
        """``s <= other`` and so on: one script, or SMISMEMBER."""
        keys, plain = yield from self._operands((other,))
        if not keys:
            return (yield from self._compare_plain(plain[0], relation))
        first, second = (*keys, self.key) if relation in {">=", ">"} else (self.key, *keys)
        sign = {">=": b"<=", ">": b"<"}.get(relation, relation.encode())
        related: bool = yield Op(script("set_relate"), (first, second), (sign,), truth, True)
        return related

    def _compare_plain(self, other: set[Any], relation: Relation) -> Program[bool]:
        raws = list(self._known(other))
        total = len(other)
        if relation in {"==", ">=", ">"} and len(raws) < total:
            return False
        if relation == ">=":
            return all((yield from self._has(raws)))
        if len(raws) <= CHUNK:
            size, hits = yield self._script("set_compare", *raws, decode=tuple, idempotent=True)
            answers: dict[Relation, bool] = {
                "<=": hits == size,
                "<": hits == size < total,
                "==": hits == size == total,
                ">": hits == total < size,
            }
            return answers[relation]
        if relation == ">":
            return all((yield from self._has(raws))) and bool((yield self.size()) > total)
        least, most = total if relation == "==" else 0, total - 1 if relation == "<" else total
        mine = yield self._script("set_members_within", least, most, decode=_optional, idempotent=True)
        return mine is not None and set(raws).issuperset(mine)

    def _set_of(self, reply: Any) -> set[T]:
        return set(self.members.decode_many(list(reply)))

    def _two_sets_of(self, reply: Any) -> set[T]:
        return self._set_of([*reply[0], *reply[1]])

    def _by_bytes(self, reply: Any) -> dict[bytes, T]:
        raws = list(reply)
        return dict(zip(raws, self.members.decode_many(raws), strict=True))

    def _combine(self, command: str, keys: Keys, decode: Any) -> Op[Any]:
        return Op(command if keys else "SMEMBERS", (self.key, *keys), (), decode, True)

    def _split(self, others: Iterable[Any]) -> tuple[Keys, list[set[Any]], list[SetOps[Any]]]:
        """Sort operands: the keys of those the server can combine with this set, iterables, sets to be read."""
        keys: list[bytes] = []
        plain: list[set[Any]] = []
        far: list[SetOps[Any]] = []
        for other in others:
            if not isinstance(other, SetOps):
                plain.append(set(other))
            elif self.near(other) and _same(self.members.codec, other.members.codec):
                keys.append(other.key)
            else:
                far.append(other)
        return tuple(keys), plain, far

    def _operands(self, others: Iterable[Any]) -> Program[tuple[Keys, list[set[Any]]]]:
        """Sort operands, and read those that must be read."""
        keys, plain, far = self._split(others)
        if far:
            plain += yield from _replies(_reading(far))
        return keys, plain

    def _has(self, raws: list[bytes], keys: Keys = ()) -> Program[list[bool]]:
        """Which are in this set, and in all sets at ``keys``."""

        def check(part: list[bytes]) -> Op[list[bool]]:
            if keys:
                return self._script("set_has", *part, keys=keys, decode=_truths, idempotent=True)
            return self._op("SMISMEMBER", *part, decode=_truths)

        if not raws:
            return []
        if len(raws) <= CHUNK:
            found: list[bool] = yield check(raws)
            return found
        parts = yield from in_batches(map(check, chunks(raws)))
        return [there for part in parts for there in part]

    def _present(self, candidates: Iterable[Any], keys: Keys) -> Program[set[Any]]:
        known = self._known(candidates)
        found = yield from self._has(list(known), keys)
        return {value for value, there in zip(known.values(), found, strict=True) if there}

    def _merge(self, command: Literal["SADD", "SREM"], keys: Keys, raws: list[bytes]) -> Program[None]:
        parts = chunks(raws)
        if keys:
            first = next(parts, [])
            yield self._script("set_merge", command.encode(), *first, keys=keys, decode=ok, idempotent=True)
        if 0 < len(raws) <= CHUNK and not keys:
            yield self._op(command, *raws, decode=ok)
        else:
            yield from in_batches(self._op(command, *part, decode=ok) for part in parts)

    def _staged(self, raws: list[bytes]) -> Program[bytes]:
        """Store elements beside the set, pipelined, for a script; return the key."""
        aside = random_sibling(self.key, "operand")
        fill = (Op("SADD", (aside,), tuple(part), ok, True) for part in chunks(raws))
        expire = Op("EXPIRE", (aside,), (STAGING_SECONDS,), ok, True)
        for index, group in enumerate(chunks(fill, COMMANDS_AT_ONCE)):
            yield Batch((*group, expire) if index == 0 else tuple(group))
        return aside


def _same(mine: Any, theirs: Any) -> bool:
    """Whether two codecs surely write the same bytes."""
    return mine is theirs or type(mine) is type(theirs) is JSONCodec


def _reading(sets: Iterable[SetOps[Any]]) -> list[Op[Any]]:
    return [other.to_set() for other in sets]


def _replies(ops: list[Op[Any]]) -> Program[list[Any]]:
    """Run operations in one round trip.  One alone may be repeated after a lost reply, unlike a batch."""
    if len(ops) == 1:
        return [(yield ops[0])]
    results: list[Any] = yield Batch(tuple(ops))
    return results


def _truths(reply: Any) -> list[bool]:
    return list(map(bool, reply))


def _optional(reply: Any) -> list[bytes] | None:
    return None if reply is None else list(reply)

"""The collections' operations, each beside what one writes by hand with redis-py and json.

By hand there is one command, one pipeline, or, where the library needs a Lua script, ``evalsha`` of the same script.
A collection has ten elements, its operands three; the second collection of a kind, where there is one, has ten too.
"""

from __future__ import annotations

import collections
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pottery_like._core.lua import script

dumps, loads = json.dumps, json.loads

K, OTHER = "{bench}", "{bench}:other"
"""The keys of the collection and of its second operand."""


def evalsha(r: Any, name: str, keys: tuple[str, ...], *args: Any) -> Any:
    """Run one of the library's scripts, which must be loaded."""
    return r.evalsha(script(name).sha1, len(keys), *keys, *args)


def many(raws: Any) -> list[Any]:
    """Decode a page as one JSON array."""
    values: list[Any] = loads(b"[" + b",".join(raws) + b"]")
    return values


def spread(mapping: dict[str, Any]) -> list[str]:
    """Encode a mapping as HSET's words."""
    return [word for name, value in mapping.items() for word in (dumps(name), dumps(value))]


def hash_of(reply: Any) -> dict[Any, Any]:
    """Decode a hash."""
    return dict(zip(many(reply), many(reply.values()), strict=True))


def both(r: Any, first: Callable[[Any], Any], second: Callable[[Any], Any]) -> list[Any]:
    """Run two commands as one transaction."""
    with r.pipeline() as pipe:
        first(pipe)
        second(pipe)
        replies: list[Any] = pipe.execute()
    return replies


def aside(purpose: str) -> str:
    """Return a key beside the collection's."""
    return f"{K}:{purpose}:{uuid.uuid4()}"


@dataclass(frozen=True)
class Operation:
    """One operation.

    :param call: on the collection (the library's, or a peer's), and its second operand.
    :param hand: the same with a redis-py client.
    :param writes: whether the collection must be put back before the next call.
    """

    name: str
    call: Callable[[Any, Any], Any]
    hand: Callable[[Any], Any]
    writes: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of collection.

    :param fill: its elements; the second operand has ``other``.
    """

    name: str
    fill: Any
    other: Any
    operations: list[Operation]


def _set(name: str, value: Any) -> Callable[[Any, Any], None]:
    def call(c: Any, o: Any) -> None:
        c[name] = value

    return call


def _del(index: Any) -> Callable[[Any, Any], None]:
    def call(c: Any, o: Any) -> None:
        del c[index]

    return call


def _assign(index: Any, values: Any) -> Callable[[Any, Any], None]:
    def call(c: Any, o: Any) -> None:
        c[index] = values

    return call


def _plus_one(name: str) -> Callable[[Any, Any], None]:
    def call(c: Any, o: Any) -> None:
        c[name] += 1

    return call


def _plus_one_by_hand(r: Any) -> None:
    # The library reads before it adds, as the language makes it; so must this.
    loads(r.hget(K, dumps("k3")))
    r.hincrby(K, dumps("k3"), 1)


def _pages(r: Any) -> list[Any]:
    cursor, keys = 0, []
    while True:
        cursor, page = r.hscan(K, cursor, count=1000)
        keys += many(page)
        if not cursor:
            return keys


def _item_pages(r: Any) -> list[Any]:
    cursor, items = 0, []
    while True:
        cursor, page = r.hscan(K, cursor, count=1000)
        items += zip(many(page), many(page.values()), strict=True)
        if not cursor:
            return items


def _value_pages(r: Any) -> list[Any]:
    cursor, values = 0, []
    while True:
        cursor, page = r.hscan(K, cursor, count=1000)
        values += many(page.values())
        if not cursor:
            return values


def _set_pages(r: Any) -> list[Any]:
    cursor, members = 0, []
    while True:
        cursor, page = r.sscan(K, cursor, count=1000)
        members += many(page)
        if not cursor:
            return members


def each(items: Any) -> list[Any]:
    """Iterate; list() would ask for the length first."""
    return [item for item in items]  # noqa: C416


O = Operation  # noqa: E741

KEY = [
    O("clear()", lambda c, o: c.clear(), lambda r: r.unlink(K), True),
    O("expire(100)", lambda c, o: c.expire(100), lambda r: r.pexpire(K, 100_000), True),
    O("persist()", lambda c, o: c.persist(), lambda r: r.persist(K)),
    O("ttl()", lambda c, o: c.ttl(), lambda r: r.pttl(K)),
    O("copy()", lambda c, o: c.copy(), lambda r: r.copy(K, aside("copy"), replace=True)),
]

NUMBERS = {f"k{index}": index for index in range(10)}
THREE = {"k1": 10, "x": 11, "y": 12}

DICT = [
    O("d[k]", lambda c, o: c["k3"], lambda r: loads(r.hget(K, dumps("k3")))),
    O("d[k] = v", _set("k3", 5), lambda r: r.hset(K, dumps("k3"), dumps(5))),
    O("del d[k]", _del("k3"), lambda r: r.hdel(K, dumps("k3")), True),
    O("k in d", lambda c, o: "k3" in c, lambda r: bool(r.hexists(K, dumps("k3")))),
    O("len(d)", lambda c, o: len(c), lambda r: r.hlen(K)),
    O("get(k)", lambda c, o: c.get("k3"), lambda r: loads(r.hget(K, dumps("k3")))),
    O("get(absent)", lambda c, o: c.get("no"), lambda r: r.hget(K, dumps("no"))),
    O(
        "contains_many(3)",
        lambda c, o: list(c.contains_many("k1", "k2", "no")),
        lambda r: list(map(bool, evalsha(r, "dict_has", (K,), dumps("k1"), dumps("k2"), dumps("no")))),
    ),
    O(
        "setdefault(k, v)",
        lambda c, o: c.setdefault("k3", 5),
        lambda r: loads(evalsha(r, "dict_setdefault", (K,), dumps("k3"), dumps(5))),
    ),
    O("pop(k)", lambda c, o: c.pop("k3"), lambda r: loads(evalsha(r, "dict_pop", (K,), dumps("k3"))), True),
    O("pop(absent, None)", lambda c, o: c.pop("no", None), lambda r: evalsha(r, "dict_pop", (K,), dumps("no"))),
    O("popitem()", lambda c, o: c.popitem(), lambda r: tuple(map(loads, evalsha(r, "dict_popitem", (K,)))), True),
    O(
        "update(3)",
        lambda c, o: c.update(THREE),
        lambda r: r.hset(K, mapping={dumps(name): dumps(value) for name, value in THREE.items()}),
        True,
    ),
    O("iterate keys", lambda c, o: each(c), _pages),
    O("iterate items()", lambda c, o: each(c.items()), _item_pages),
    O("iterate values()", lambda c, o: each(c.values()), _value_pages),
    O("reversed(d)", lambda c, o: each(reversed(c)), lambda r: _pages(r)[::-1]),
    O("to_dict()", lambda c, o: c.to_dict(), lambda r: hash_of(r.hgetall(K))),
    O("d == dict", lambda c, o: c == NUMBERS, lambda r: hash_of(r.hgetall(K)) == NUMBERS),
    O(
        "d == other d",
        lambda c, o: c == o,
        lambda r: hash_of((pair := both(r, lambda p: p.hgetall(K), lambda p: p.hgetall(OTHER)))[0]) == hash_of(pair[1]),
    ),
    O("d | dict", lambda c, o: c | THREE, lambda r: hash_of(r.hgetall(K)) | THREE),
    O("k in d.keys()", lambda c, o: "k3" in c.keys(), lambda r: bool(r.hexists(K, dumps("k3")))),  # noqa: SIM118
    O("(k, v) in d.items()", lambda c, o: ("k3", 3) in c.items(), lambda r: loads(r.hget(K, dumps("k3"))) == 3),
    O(
        "v in d.values()",
        lambda c, o: "none" in c.values(),
        lambda r: bool(evalsha(r, "dict_has_value", (K,), dumps("none"))),
    ),
    O("repr(d)", lambda c, o: repr(c), lambda r: f"RedisDict{hash_of(r.hgetall(K))}"),
    *KEY,
]

LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
LAST = ["h", "x", "y"]


def _members(r: Any, command: str, words: Any) -> set[Any]:
    return set(many(getattr(r, command)(*words)))


def _has(r: Any, elements: Any) -> list[bool]:
    return list(map(bool, r.smismember(K, list(map(dumps, elements)))))


def _set_compare(r: Any, elements: Any) -> bool:
    size, hits = evalsha(r, "set_compare", (K,), *map(dumps, elements))
    return bool(hits == size == len(elements))


SET = [
    O("add(x)", lambda c, o: c.add("x"), lambda r: r.sadd(K, dumps("x"))),
    O("discard(x)", lambda c, o: c.discard("no"), lambda r: r.srem(K, dumps("no"))),
    O("remove(x)", lambda c, o: c.remove("c"), lambda r: r.srem(K, dumps("c")), True),
    O("pop()", lambda c, o: c.pop(), lambda r: loads(r.spop(K)), True),
    O("x in s", lambda c, o: "c" in c, lambda r: bool(r.sismember(K, dumps("c")))),
    O("contains_many(3)", lambda c, o: list(c.contains_many(*LAST)), lambda r: _has(r, LAST)),
    O("len(s)", lambda c, o: len(c), lambda r: r.scard(K)),
    O("iterate", lambda c, o: each(c), _set_pages),
    O("to_set()", lambda c, o: c.to_set(), lambda r: _members(r, "smembers", [K])),
    O("s | other s", lambda c, o: c | o, lambda r: _members(r, "sunion", [K, OTHER])),
    O("s & other s", lambda c, o: c & o, lambda r: _members(r, "sinter", [K, OTHER])),
    O("s - other s", lambda c, o: c - o, lambda r: _members(r, "sdiff", [K, OTHER])),
    O(
        "s ^ other s",
        lambda c, o: c ^ o,
        lambda r: set(many([raw for part in evalsha(r, "set_symmetric_difference", (K, OTHER)) for raw in part])),
    ),
    O("union(list)", lambda c, o: c.union(LAST), lambda r: _members(r, "smembers", [K]) | set(LAST)),
    O(
        "intersection(list)",
        lambda c, o: c.intersection(LAST),
        lambda r: {letter for letter, there in zip(LAST, _has(r, LAST), strict=True) if there},
    ),
    O("difference(list)", lambda c, o: c.difference(LAST), lambda r: _members(r, "smembers", [K]) - set(LAST)),
    O("update(list)", lambda c, o: c.update(LAST), lambda r: r.sadd(K, *map(dumps, LAST)), True),
    O("difference_update(list)", lambda c, o: c.difference_update(LAST), lambda r: r.srem(K, *map(dumps, LAST)), True),
    O(
        "intersection_update(list)",
        lambda c, o: c.intersection_update(LAST),
        lambda r: evalsha(r, "set_keep", (K, aside("operand")), "1", *map(dumps, LAST)),
        True,
    ),
    O(
        "symmetric_difference_update(list)",
        lambda c, o: c.symmetric_difference_update(LAST),
        lambda r: evalsha(r, "set_toggle", (K,), *map(dumps, LAST)),
        True,
    ),
    O("update(other s)", lambda c, o: c.update(o), lambda r: evalsha(r, "set_merge", (K, OTHER), "SADD"), True),
    O("isdisjoint(list)", lambda c, o: c.isdisjoint(LAST), lambda r: not any(_has(r, LAST))),
    O("isdisjoint(other s)", lambda c, o: c.isdisjoint(o), lambda r: bool(evalsha(r, "set_disjoint", (K, OTHER)))),
    O("s <= other s", lambda c, o: c <= o, lambda r: bool(evalsha(r, "set_relate", (K, OTHER), "<="))),
    O("s == set", lambda c, o: c == set(LETTERS), lambda r: _set_compare(r, set(LETTERS))),
    O("issuperset(list)", lambda c, o: c.issuperset(LAST), lambda r: all(_has(r, LAST))),
    *KEY,
]


def _range(r: Any, *bounds: int) -> list[Any]:
    return many(r.lrange(K, *bounds))


def _lists(r: Any) -> list[list[Any]]:
    return list(map(many, both(r, lambda p: p.lrange(K, 0, -1), lambda p: p.lrange(OTHER, 0, -1))))


def _splice(name: str, *args: Any) -> Callable[[Any], Any]:
    return lambda r: evalsha(r, name, (K,), *args)


SEQUENCE = [
    O("l[i]", lambda c, o: c[3], lambda r: loads(r.lindex(K, 3))),
    O("l[i] = x", _assign(3, "z"), lambda r: r.lset(K, 3, dumps("z"))),
    O("del l[i]", _del(3), lambda r: evalsha(r, "list_pop", (K,), 3, uuid.uuid4().bytes, 0), True),
    O("len(l)", lambda c, o: len(c), lambda r: r.llen(K)),
    O("x in l", lambda c, o: "c" in c, lambda r: r.lpos(K, dumps("c")) is not None),
    O("append(x)", lambda c, o: c.append("x"), lambda r: r.rpush(K, dumps("x")), True),
    O("extend(3)", lambda c, o: c.extend(LAST), lambda r: r.rpush(K, *map(dumps, LAST)), True),
    O(
        "insert(3, x)",
        lambda c, o: c.insert(3, "x"),
        lambda r: evalsha(r, "list_insert", (K,), 3, dumps("x"), uuid.uuid4().bytes, ""),
        True,
    ),
    O("pop()", lambda c, o: c.pop(), lambda r: loads(r.rpop(K)), True),
    O("remove(x)", lambda c, o: c.remove("c"), lambda r: r.lrem(K, 1, dumps("c")), True),
    O("index(x)", lambda c, o: c.index("c"), lambda r: r.lpos(K, dumps("c"))),
    O("count(x)", lambda c, o: c.count("c"), lambda r: evalsha(r, "list_count", (K,), dumps("c"))),
    O("reverse()", lambda c, o: c.reverse(), _splice("list_reverse"), True),
    O("iterate", lambda c, o: each(c), lambda r: _range(r, 0, 1000)),
    O(
        "reversed(l)",
        lambda c, o: each(reversed(c)),
        lambda r: many(both(r, lambda p: p.llen(K), lambda p: p.lrange(K, -1000, -1))[1][::-1]),
    ),
    O("to_list()", lambda c, o: c.to_list(), lambda r: _range(r, 0, -1)),
    O("l == other l", lambda c, o: c == o, lambda r: (pair := _lists(r))[0] == pair[1]),
    O("l < other l", lambda c, o: c < o, lambda r: (pair := _lists(r))[0] < pair[1]),
    O(
        "l + other l",
        lambda c, o: c + o,
        lambda r: evalsha(r, "list_concat", (K, aside("sum"), OTHER), "RPUSH", ""),
    ),
    O("l *= 2", lambda c, o: c.__imul__(2), _splice("list_repeat", 2, ""), True),
]

LIST = [
    *SEQUENCE,
    O("l[2:5]", lambda c, o: c[2:5], lambda r: _range(r, 2, 4)),
    O("l[::-1]", lambda c, o: c[::-1], lambda r: _range(r, 0, -1)[::-1]),
    O("l[1:8:2]", lambda c, o: c[1:8:2], lambda r: many(evalsha(r, "list_slice", (K,), 1, 8, 2))),
    O("l[2:5] = 3", _assign(slice(2, 5), LAST), _splice("list_assign", 2, 5, 1, *map(dumps, LAST)), True),
    O("del l[2:5]", _del(slice(2, 5)), _splice("list_cut", 2, 5, 1), True),
    O("pop(3)", lambda c, o: c.pop(3), lambda r: loads(evalsha(r, "list_pop", (K,), 3, uuid.uuid4().bytes, 1)), True),
    O("insert(0, x)", lambda c, o: c.insert(0, "x"), lambda r: r.lpush(K, dumps("x")), True),
    O("l == list", lambda c, o: c == LETTERS, lambda r: _range(r, 0, -1) == LETTERS),
    *KEY,
]

DEQUE = [
    *SEQUENCE,
    O("appendleft(x)", lambda c, o: c.appendleft("x"), lambda r: r.lpush(K, dumps("x")), True),
    O("extendleft(3)", lambda c, o: c.extendleft(LAST), lambda r: r.lpush(K, *map(dumps, LAST)), True),
    O("popleft()", lambda c, o: c.popleft(), lambda r: loads(r.lpop(K)), True),
    O("rotate(1)", lambda c, o: c.rotate(1), lambda r: r.lmove(K, K, "RIGHT", "LEFT"), True),
    O("rotate(3)", lambda c, o: c.rotate(3), _splice("deque_rotate", "3"), True),
    *KEY,
]

WORDS = ["k1", "x", "x"]
COUNTS = collections.Counter(WORDS)


def _counters(r: Any) -> list[collections.Counter[Any]]:
    pair = both(r, lambda p: p.hgetall(K), lambda p: p.hgetall(OTHER))
    return [collections.Counter(hash_of(reply)) for reply in pair]


def _counter(r: Any) -> collections.Counter[Any]:
    return collections.Counter(hash_of(r.hgetall(K)))


COUNTER = [
    O("c[k]", lambda c, o: c["k3"], lambda r: loads(r.hget(K, dumps("k3")))),
    O("c[k] = n", _set("k3", 5), lambda r: r.hset(K, dumps("k3"), dumps(5))),
    O("c[k] += 1", _plus_one("k3"), _plus_one_by_hand),
    O("increment(k)", lambda c, o: c.increment("k3"), lambda r: r.hincrby(K, dumps("k3"), 1)),
    O("del c[k]", _del("k3"), lambda r: r.hdel(K, dumps("k3")), True),
    O("k in c", lambda c, o: "k3" in c, lambda r: bool(r.hexists(K, dumps("k3")))),
    O("len(c)", lambda c, o: len(c), lambda r: r.hlen(K)),
    O(
        "update(words)",
        lambda c, o: c.update(WORDS),
        lambda r: evalsha(r, "counter_add", (K,), 1, 2, *spread(collections.Counter(WORDS))),
        True,
    ),
    O(
        "subtract(words)",
        lambda c, o: c.subtract(WORDS),
        lambda r: evalsha(r, "counter_add", (K,), -1, 2, *spread(collections.Counter(WORDS))),
        True,
    ),
    O("update(other c)", lambda c, o: c.update(o), lambda r: evalsha(r, "counter_add", (K, OTHER), 1, 0), True),
    O("most_common(3)", lambda c, o: c.most_common(3), lambda r: _counter(r).most_common(3)),
    O("total()", lambda c, o: c.total(), lambda r: loads(evalsha(r, "counter_total", (K,)))),
    O("to_counter()", lambda c, o: c.to_counter(), _counter),
    O(
        "iterate elements()",
        lambda c, o: each(c.elements()),
        lambda r: [name for name, number in _item_pages(r) for _ in range(number)],
    ),
    O("c + Counter", lambda c, o: c + COUNTS, lambda r: _counter(r) + COUNTS),
    O("c - other c", lambda c, o: c - o, lambda r: (pair := _counters(r))[0] - pair[1]),
    O("c | other c", lambda c, o: c | o, lambda r: (pair := _counters(r))[0] | pair[1]),
    O("c & other c", lambda c, o: c & o, lambda r: (pair := _counters(r))[0] & pair[1]),
    O(
        "c += Counter",
        lambda c, o: c.__iadd__(COUNTS),
        lambda r: evalsha(r, "counter_combine", (K,), "add", *spread(COUNTS)),
        True,
    ),
    O("c == Counter", lambda c, o: c == COUNTS, lambda r: _counter(r) == COUNTS),
    O("+c", lambda c, o: +c, lambda r: +_counter(r)),
    O("pop(k)", lambda c, o: c.pop("k3"), lambda r: loads(evalsha(r, "dict_pop", (K,), dumps("k3"))), True),
    *KEY,
]

COLLECTIONS = [
    Kind("Dict", NUMBERS, NUMBERS, DICT),
    Kind("Set", LETTERS, LAST, SET),
    Kind("List", LETTERS, LAST, LIST),
    Kind("Deque", LETTERS, LAST, DEQUE),
    Kind("Counter", NUMBERS, THREE, COUNTER),
]

"""RedisCounter's operations: a hash of JSON numbers, its fields in key position.

The arithmetic happens on the server, in scripts that give exactly what Python's would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pottery_like._core.elements import Members, Values
from pottery_like._core.keys import random_sibling
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Batch, Done, Op, Program, Task, ok
from pottery_like._ops.common import STAGING_SECONDS, chunks, count, flat, in_batches
from pottery_like._ops.dict import DictOps
from pottery_like.codecs import Codec, loads
from pottery_like.exceptions import PotteryError

K = TypeVar("K")
T = TypeVar("T")

Pairs = list[tuple[bytes, bytes]]

LARGEST = 2**63 - 1

# What HINCRBY answers, having changed nothing, about a float, and about what 64 bits can't hold.
_BEYOND_HINCRBY = ("hash value is not an integer", "increment or decrement would overflow")


class Counts(Values[int]):
    """Counts: any JSON numbers."""

    def encode(self, value: Any) -> bytes:
        """Return the bytes to store.

        :raises TypeError: not an int or a float.
        :raises ValueError: an infinity or NaN.
        """
        if not isinstance(value, int | float):
            raise TypeError(f"counts are int or float, not {type(value).__name__}")
        return super().encode(value)  # type: ignore[arg-type]


class CounterOps(DictOps[K, int]):
    """What can be done with a counter in Redis."""

    def __init__(self, key: bytes, codec: Codec[K] | None = None) -> None:
        super().__init__(key)
        self._codec = codec
        self.members: Members[K] = Members(codec)
        self.values = Counts()

    def fill(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        """Fill a new counter; see :meth:`KeyOps.create`."""
        # Counter() would read a mapping that is no dict key by key.
        given = dict(arg.items()) if isinstance(arg, Mapping) else arg
        return self.create("HSET", flat(self._pairs(Counter(given, **kwargs))), 2)

    def discard(self, key: object) -> Task[None]:
        """``del c[key]``, which doesn't mind when it's absent: HDEL."""
        field = self.members.find(key)
        return Done(None) if field is None else self._op("HDEL", field, decode=ok)

    def increment(self, key: K, amount: Any, read: Any = None, new: Any = None) -> Program[Any]:
        """Add to a count and return the new one: HINCRBY, or a script for floats and for large integers.

        :param read: what the count was when it was read.
        :param new: what the count shall be if it still is what was read.
        """
        field, text = self.members.encode(key), self.values.encode(amount)
        seen = () if read is None else (self.values.encode(read), self.values.encode(new))
        if all(map(_small, (amount, read or 0, new or 0))):
            try:
                return (yield self._op("HINCRBY", field, int(amount), decode=count, idempotent=False))
            except Exception as error:
                if isinstance(error, PotteryError) or not any(text in str(error) for text in _BEYOND_HINCRBY):
                    raise
        return (yield self._script("counter_increment", field, text, *seen, decode=self._checked(loads)))

    def update(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        """``c.update(arg, **kwargs)``: one script; in pipelined chunks beyond a thousand elements."""
        return self._add(1, arg, kwargs)

    def subtract(self, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        """``c.subtract(arg, **kwargs)``: as update()."""
        return self._add(-1, arg, kwargs)

    def _add(self, sign: int, arg: Any, kwargs: Mapping[str, Any]) -> Program[None]:
        others: tuple[bytes, ...] = ()
        first: Pairs = []
        if isinstance(arg, CounterOps):
            others = (arg.key,)
        else:
            first = self._pairs(arg if isinstance(arg, Mapping) else Counter(arg))
        second = self._pairs(kwargs)
        if max(len(first), len(second)) > CHUNK:
            parts = list(chunks(first + second))
        else:
            parts = [first + second] if others or first or second else []

        def op(part: Pairs) -> Op[None]:
            verbatim = len(first or second) if len(parts) == 1 else 0
            return self._script("counter_add", sign, verbatim, *flat(part), decode=self._checked(ok), keys=others)

        if len(parts) == 1:
            yield op(parts[0])
        else:
            yield from in_batches(map(op, parts))

    def combine(self, verb: str, arg: Any) -> Program[None]:
        """``c += other`` and the like: one script.

        More than a thousand elements are first sent aside, pipelined, for the script to find them there.

        :param verb: ``add``, ``subtract``, ``union`` or ``intersect``.
        :param arg: a mapping, or the operations of a counter near this one.
        """
        if isinstance(arg, CounterOps):
            yield self._combine(verb, keys=(arg.key,))
            return
        pairs = self._pairs(arg)
        if len(pairs) <= CHUNK:
            yield self._combine(verb, *flat(pairs))
            return
        staging = random_sibling(self.key, "other")
        expire = Op("EXPIRE", (staging,), (STAGING_SECONDS,), ok, True)
        fill = (Op("HSET", (staging,), flat(part), ok, False) for part in chunks(pairs))
        yield from in_batches(op for part in fill for op in (part, expire))
        yield Batch((self._combine(verb, keys=(staging,)), Op("UNLINK", (staging,), (), ok, True)))

    def _combine(self, verb: str, *args: bytes, keys: tuple[bytes, ...] = ()) -> Op[None]:
        return Op(script("counter_combine"), (self.key, *keys), (verb.encode(), *args), self._checked(ok), False)

    def to_counter(self) -> Op[Counter[K]]:
        """``Counter(c)``: HGETALL."""
        return self._op("HGETALL", decode=lambda reply: Counter(self._items_of(reply)))

    def both(self, other: CounterOps[Any]) -> Program[list[Counter[Any]]]:
        """Read this counter and another on the same client: one round trip; atomic if they are near."""
        counters: list[Counter[Any]] = yield Batch((self.to_counter(), other.to_counter()), atomic=self.near(other))
        return counters

    def combines_with(self, other: CounterOps[Any]) -> bool:
        """Whether a script can use both: the keys are within its reach, and the elements spelled alike."""
        return self.near(other) and self._codec is other._codec

    def total(self) -> Op[Any]:
        """``c.total()``: one script."""

        def decode(reply: Any) -> Any:
            return sum(self.values.decode_many(reply)) if isinstance(reply, list) else loads(reply)

        return self._script("counter_total", decode=decode, idempotent=True)

    def _pairs(self, counts: Mapping[Any, Any]) -> Pairs:
        encode_key, encode = self.members.encode, self.values.encode
        return [(encode_key(key), encode(number)) for key, number in counts.items()]

    def _checked(self, decode: Callable[[Any], T]) -> Callable[[Any], T]:
        """Return a decoder of a script's reply, which is a list when the script refused to do anything."""

        def checked(reply: Any) -> T:
            if isinstance(reply, list):
                reason, field, text = reply
                key, shown = self.members.decode(field), text.decode(errors="replace")
                if reason == b"number":
                    raise TypeError(f"the count of {key!r} is not a number: {shown}")
                if reason == b"large":
                    raise OverflowError(f"the count of {key!r}: int too large to convert to float")
                raise ValueError(f"the count of {key!r} would become infinite")
            return decode(reply)

        return checked


def _small(number: Any) -> bool:
    return isinstance(number, int) and -LARGEST <= number <= LARGEST

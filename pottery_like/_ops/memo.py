"""redis_cache()'s operations: a hash of results, a field for each call."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cached_property, partial
from hashlib import sha256
from typing import Any, TypeVar

from pottery_like._core.arguments import Signature, Spelled, class_name, digested, spell, spell_self, text_of
from pottery_like._core.elements import Values
from pottery_like._core.keys import sibling
from pottery_like._core.lua import script
from pottery_like._core.op import Argument, Op, PackedOp, ok, packed_word
from pottery_like._ops.common import KeyOps, milliseconds, truth
from pottery_like._ops.flight import Busy, Found, Hit, Lease
from pottery_like._ops.memo_options import Options
from pottery_like._ops.namesakes import Namesake
from pottery_like.codecs import Codec

T = TypeVar("T")

_KEYS = ("marks", "order", "expiries", "statistics")
_SENT_FIRST = 2


def own_key(function: Callable[..., Any]) -> str | None:
    """Return the key that a function has by its name, or None where the name doesn't say which one it is.

    That is so for what was made inside a function, and in the program that was started.
    """
    if not inspect.isroutine(function) or inspect.ismethod(function):
        return None
    module, name = function.__module__, function.__qualname__
    if not module or "<" in name or module in {"__main__", "__mp_main__"}:
        return None
    return f"redis_cache:{module}.{name}"


def _identity(function: Any) -> str:
    if isinstance(function, partial):
        bound = (
            tuple(map(spell, function.args)),
            "".join(f";{name}={spell(it)}" for name, it in function.keywords.items()),
        )
        return f"{_identity(function.func)}{text_of(bound)}"
    if inspect.ismethod(function):
        return f"{_identity(function.__func__)}@{spell_self(function.__self__)}"
    if not hasattr(function, "__qualname__"):
        return f"{class_name(type(function))}@{spell_self(function)}"
    module = "__main__" if function.__module__ == "__mp_main__" else function.__module__
    return f"{module}.{function.__qualname__}"


def refused(function: Any) -> str | None:
    """Return why there can be no cache of this, if so."""
    if isinstance(function, staticmethod | classmethod):
        return f"put @redis_cache() below @{type(function).__name__}"
    if not callable(function):
        return f"redis_cache() decorates functions, not {type(function).__name__}"
    # An object may be called by a generator function, too.
    for made in (function, type(function).__call__):
        if inspect.isgeneratorfunction(made) or inspect.isasyncgenfunction(made):
            name = getattr(function, "__qualname__", repr(function))
            return f"{name} is a generator function: what it yields can't be cached; return a list"
    return None


class MemoOps(KeyOps):
    """What can be done with a function's results.

    :param key: where they are.
    :param function: whose they are.
    :param shared: whether other functions may use the key.
    """

    def __init__(
        self, key: bytes, function: Callable[..., Any], options: Options, codec: Codec[Any] | None, shared: bool
    ) -> None:
        super().__init__(key)
        self.options = options
        self.values: Values[Any] = Values(codec)
        self._name = _identity(function) if shared else ""
        self._namesake = Namesake(key, self._name, function)
        ignore = (options.ignore,) if isinstance(options.ignore, str) else tuple(options.ignore)
        self.signature = None if options.key_builder else Signature(function, ignore, options.typed)
        self.flights = sibling(key, "flights")
        self.every = (key, self.flights, *(sibling(key, name) for name in _KEYS))
        self.marks, self.order, self.expiries, self.statistics = self.every[_SENT_FIRST:]
        ttl, most = options.ttl is not None, options.most is not None
        used = {
            "m": (options.marked, self.marks),
            "o": (most, self.order),
            "e": (ttl, self.expiries),
            "s": (options.statistics == "server", self.statistics),
        }
        self._keys = (key, self.flights, *(each for wanted, each in used.values() if wanted))
        self._flags = "".join(letter for letter, (wanted, _) in used.items() if wanted)
        self._flags += "u" if most and options.policy == "lfu" else ""
        self._server_expires = not most
        self._look = script("memo_look")
        self._times = tuple(options.milliseconds(name) for name in ("lease", "timeout"))
        self._stale = options.milliseconds("stale")
        self._looking = self._flags.encode() + (b"l" if options.stale_on_error or options.local else b"")
        self._looking += b"r" if options.early else b""
        self._timeout = b"%d" % self._times[1]
        self._settings = b" %d %d 0" % (self._times[0], self._stale)
        words = (b"EVALSHA", self._look.sha1.encode(), b"%d" % len(self._keys), *self._keys, self._looking)
        self._head = b"*%d\r\n" % (len(words) + 3) + b"".join(map(packed_word, words))
        self._middle = packed_word(self._timeout)

    @cached_property
    def name(self) -> str:
        """What the entries of this function begin with."""
        return self._name + self._namesake.suffix()

    def spelled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Spelled:
        """Spell a call.

        :raises UnfitError: it doesn't fit the parameters.
        :raises TypeError: an argument isn't hashable or has no spelling.
        """
        if self.signature is not None:
            return self.signature.spelled(args, kwargs)
        assert self.options.key_builder is not None
        built = self.options.key_builder(*args, **kwargs)
        return tuple(map(spell, built if isinstance(built, tuple) else (built,))), ""

    def entry(self, args: tuple[Any, ...], kwargs: dict[str, Any], forced: bool = False) -> MemoEntry:
        """Return the entry of a call.

        :param forced: look for the lease only.
        :raises UnfitError: it doesn't fit the parameters.
        :raises TypeError: an argument isn't hashable or has no spelling.
        """
        return MemoEntry(self, self.spelled(args, kwargs), args, kwargs, forced)

    def field(self, call: Spelled) -> bytes:
        """Return the name of a call's entry."""
        return (self.name + digested(text_of(call))).encode()

    def look(self, field_: bytes, token: bytes, woken: tuple[bytes, bytes] | None, forced: bool) -> Op[Found]:
        """Look an entry up, and take the lease where it is missing: one script."""

        keys, flags, settings = self._keys, self._looking, self._settings
        if self.options.early:
            settings = self._chance()
        if woken is not None:
            keys, flags, settings = (*keys, self.wake(woken[0])), flags + b"w", b"%b %b" % (settings, woken[1])
        if forced:
            flags += b"fq"
        return Op(
            self._look,
            keys,
            (flags, field_, self._timeout, token + settings),
            lambda reply: self.found(reply, token),
            True,
        )

    def found(self, reply: Any, token: bytes) -> Found:
        """Decode the reply to a look."""
        if type(reply) is bytes:
            return Hit(reply)
        if isinstance(reply, int):
            return Lease(token)
        first, left, *other = reply
        if not other:
            return Lease(token, first if left or self.options.stale_on_error else None)
        if len(other) == 1:
            return Busy(first, left / 1000)
        return Hit(first, left / 1000 if left >= 0 else math.inf)

    def ask(self, field_: bytes, token: bytes) -> Op[Any]:
        """Look an entry up, as :meth:`look` does; the reply isn't decoded."""
        settings = self._settings
        if self.options.early:
            settings = self._chance()
        last = token + settings
        data = self._head + b"$%d\r\n%b\r\n%b$%d\r\n%b\r\n" % (len(field_), field_, self._middle, len(last), last)
        # A second run finds the lease its own; statistics on the server may count it twice.
        args = (self._looking, field_, self._timeout, last)
        return PackedOp(self._look, self._keys, args, _as_it_is, True, data)

    def _chance(self) -> bytes:
        return b"%b %.6f" % (self._settings[:-2], -self.options.early * math.log(1.0 - random.random()))

    def store(
        self, field_: bytes, token: bytes, value: Any, took: float, rows: Iterable[bytes]
    ) -> Op[bytes | None] | None:
        """Store a result and give the lease back: one script."""
        options = self.options
        if options.cache_if is not None and not options.cache_if(value):
            return None
        life = options.milliseconds("ttl")
        if callable(options.ttl):
            given = options.ttl(value)
            if given is not None and _ended(given):
                return None
            life = 0 if given is None else milliseconds(given)
        raw = self.values.encode(value)

        def decode(reply: int) -> bytes | None:
            self._server_expires &= reply != 2
            return b"|" + raw if reply else None

        flags = self._flags + ("wh" if self._server_expires else "w")
        times = (life, round(took * 1000), self._stale, self._times[1])
        args = (flags.encode(), field_, token, raw, *times, options.most or 0, b"".join(b" " + row for row in rows))
        # A second run finds the lease given back, and stores nothing.
        return Op(script("memo_store"), (*self._keys, self.wake(token)), args, decode, True)

    def release(self, field_: bytes, token: bytes, notice: bytes) -> Op[None]:
        """Give a lease back without a result: one script."""
        keys = (self.flights, self.wake(token))
        return Op(script("flight_release"), keys, (field_, token, notice), ok, True)

    def wake(self, token: bytes) -> bytes:
        """Return the key of the list on which the waiters for this token's flight wait."""
        return sibling(self.key, "wake:" + token.decode())

    def decode(self, raw: bytes) -> Any:
        """Return the result in an entry.

        :raises DecodeError: it isn't the codec's.
        """
        return self.values.decode(raw.partition(b"|")[2])

    def drop(self, call: Spelled) -> Op[bool]:
        """Remove a call's entry; whether there was one: one script."""
        flags = self._flags.encode()
        return Op(script("memo_drop"), self._keys, (flags, self.field(call)), truth, True)

    def drop_prefix(self, args: tuple[Any, ...]) -> Op[None]:
        """Make invalid all calls with these leading arguments: one script.

        :raises TypeError: ``prefixes=`` provides for fewer.
        """
        leading = self.signature.prefix(args) if self.signature is not None else tuple(map(spell, args))
        # Without arguments it is about the whole function.
        if len(leading) > self.options.prefixes or not self.options.prefixes:
            raise TypeError(f"{len(leading)} leading arguments given, but prefixes={self.options.prefixes}")
        return self._mark([self._prefix_row(leading)])

    def drop_tags(self, tags: tuple[str, ...]) -> Op[None]:
        """Make invalid all entries with one of these tags: one script.

        :raises TypeError: there is no ``tags=``.
        """
        if not self.options.tags:
            raise TypeError("there are no tags: redis_cache(tags=...) says which an entry has")
        return self._mark([_tag_row(tag) for tag in tags])

    def _mark(self, rows: list[bytes]) -> Op[None]:
        args: tuple[Argument, ...] = (self._flags.encode(), self._times[1], *rows)
        return Op(script("memo_mark"), self._keys, args, ok, True)

    def rows(self, call: Spelled, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bytes]:
        """Return the names of the rows that can make an entry invalid."""
        options = self.options
        leading = call[0]
        most = min(len(leading), options.prefixes)
        rows = [self._prefix_row(leading[:length]) for length in range(most + 1)] if options.prefixes else []
        tags = options.tags(*args, **kwargs) if callable(options.tags) else options.tags
        if isinstance(tags, str):
            raise TypeError("tags must be a list of strs, not a str")
        return rows + [_tag_row(tag) for tag in tags]

    def _prefix_row(self, leading: Sequence[str]) -> bytes:
        return b"p" + _short(f"{self.name}({','.join(leading)}")

    def clear(self) -> Op[None]:
        """Remove everything: UNLINK."""
        return Op("UNLINK", self.every, (), ok, True)

    def info(self, decode: Callable[[int, int, int], T]) -> Op[T]:
        """Return what ``decode`` makes of the hits, the misses (0 unless the server counts them) and the entries."""
        if self._flags.strip("umo"):
            return Op(script("memo_info"), self._keys, (self._flags.encode(),), lambda reply: decode(*reply), True)
        return Op("HLEN", (self.key,), (), lambda reply: decode(0, 0, reply), True)


class MemoEntry:
    """The entry of a call, as :class:`~pottery_like._ops.flight.Entry` says."""

    __slots__ = ("args", "call", "field", "forced", "generation", "kwargs", "ops")

    def __init__(
        self, ops: MemoOps, call: Spelled, args: tuple[Any, ...], kwargs: dict[str, Any], forced: bool = False
    ) -> None:
        self.ops = ops
        self.call = call
        self.args = args
        self.kwargs = kwargs
        self.forced = forced
        self.generation = 0
        self.field = ops.field(call)

    @property
    def lease(self) -> int:
        """Return for how many milliseconds a lease on it is taken."""
        return self.ops.options.milliseconds("lease")

    def look(self, token: bytes, woken: tuple[bytes, bytes] | None = None) -> Op[Found]:
        """Look it up, and take the lease where it is missing."""
        return self.ops.look(self.field, token, woken, self.forced)

    def store(self, token: bytes, value: Any, took: float) -> Op[bytes | None] | None:
        """Store what was computed, unless it has been overtaken."""
        ops = self.ops
        rows = ops.rows(self.call, self.args, self.kwargs) if ops.options.marked else ()
        return ops.store(self.field, token, value, took, rows)

    def release(self, token: bytes, notice: bytes) -> Op[None]:
        """Give the lease back without a value."""
        return self.ops.release(self.field, token, notice)

    def wake(self, token: bytes) -> bytes:
        """Return the key of the list on which the waiters for this token's flight wait."""
        return self.ops.wake(token)


def _as_it_is(reply: Any) -> Any:
    return reply


def _ended(ttl: Any) -> bool:
    return bool(ttl <= (timedelta() if isinstance(ttl, timedelta) else 0))


def _short(text: str) -> bytes:
    return sha256(text.encode()).hexdigest()[:20].encode()


def _tag_row(tag: str) -> bytes:
    if not isinstance(tag, str):
        raise TypeError(f"tags are strs, not {type(tag).__name__}")
    return b"t" + _short(tag)

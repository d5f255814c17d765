"""Arguments as text: what is equal in Python has one spelling, in every process and every Python version."""

from __future__ import annotations

import dataclasses
import inspect
import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import Enum, Flag
from fractions import Fraction
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from math import inf, isnan
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

LONGEST = 200
"""Characters; what is longer is spelled as its SHA-256 digest."""

HUGE = 5000
"""Decimal exponents; a number beyond is spelled by it instead of by all its digits."""

_INFINITIES = (inf, -inf)

OMITTED = "~"
"""How a default value is spelled that has no spelling of its own."""

_names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""The random names of instances.  A forked child's may change apart from its parent's, and get others."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_names.clear)


def _number(value: int | float | Decimal | Fraction | complex) -> str:
    if isinstance(value, complex):
        if value.imag:
            return f"c({_number(value.real)},{_number(value.imag)})"
        value = value.real
    # A signaling NaN isn't hashable, nor is it a number to be compared.
    hash(value)
    if isinstance(value, float | Decimal):
        if isnan(value):
            return "nan"
        # As a float, a finite Decimal may be infinite.
        if value in _INFINITIES:
            return "inf" if value > 0 else "-inf"
    if isinstance(value, Decimal) and value and abs(value.adjusted()) > HUGE:
        return f"E{value.normalize(Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX))}"
    ratio = value.as_integer_ratio()
    if ratio[1] == 1:
        whole = ratio[0]
        if whole.bit_length() > 3 * HUGE and abs(Decimal(whole).adjusted()) > HUGE:
            return _number(Decimal(whole))
        # In decimal, Python refuses very long ones.
        return str(whole) if whole.bit_length() < 1000 else hex(whole)
    try:
        near = float(value)
    except OverflowError:
        near = 0.0
    # A ratio is as exact as a float's shortest text, which only floats and what equals one have.
    return repr(near) if near == value else f"{ratio[0]:x}/{ratio[1]:x}"


def _text(value: str) -> str:
    text = encode_basestring_ascii(str.__str__(value))
    if "\\ud" in text:
        try:
            str.encode(value)
        except UnicodeEncodeError:
            # Two lone surrogates have the escapes of the one character that they would make together.
            return "u" + str.encode(value, "utf-16-be", "surrogatepass").hex()
    return text


def _moment(value: datetime) -> str:
    offset = value.replace(fold=0).utcoffset()
    naive = value.replace(tzinfo=None, fold=0)
    if offset is None:
        return f"d{naive.isoformat()}"
    if offset != value.replace(fold=1).utcoffset():
        # Where clocks are changed, Python finds no time of another zone equal.
        return f"d{naive.isoformat()}@{_text(str(value.tzinfo))}"
    # Beyond the calendar's ends there is no datetime for the difference.
    return f"z{(naive - datetime.min - offset) // timedelta(microseconds=1)}"


def _clock(value: time) -> str:
    offset = value.utcoffset()
    naive = value.replace(tzinfo=None, fold=0)
    if offset is None:
        return f"t{naive.isoformat()}"
    return f"tz{(datetime.combine(date.min, naive) - datetime.min - offset) // timedelta(microseconds=1)}"


def class_name(cls: type) -> str:
    """Return by which name other processes know a class.

    :raises TypeError: it was made inside a function, where it has no name of its own.
    """
    if "<locals>" in cls.__qualname__:
        raise TypeError(f"{cls.__qualname__} is local to a function; other processes can't know it by name")
    return f"{_module(cls)}.{cls.__qualname__}"


def _module(cls: type) -> str:
    # What multiprocessing calls the started program in its children.
    return "__main__" if cls.__module__ == "__mp_main__" else cls.__module__


def _member(value: Enum) -> str:
    of = class_name(type(value))
    return f"e{of}:{spell(value.value)}" if isinstance(value, Flag) else f"e{of}.{value.name}"


def _keyed(value: Any) -> str:
    key = type(value).__redis_cache_key__
    return f"o{class_name(type(value))}:{spell(key(value) if callable(key) else value.__redis_cache_key__)}"


_SPELLINGS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, _text),
    (int, _number),
    (float, _number),
    (tuple, lambda value: f"({','.join(map(spell, value))})"),
    (bytes, lambda value: "b" + bytes.hex(value)),
    (frozenset, lambda value: "{" + ",".join(sorted(map(spell, value))) + "}"),
    (datetime, _moment),
    (date, lambda value: f"d{value.isoformat()}"),
    (Decimal, _number),
    (PurePosixPath, lambda value: f"P{_text(str(value))}"),
    (UUID, lambda value: f"U{value.hex}"),
    (timedelta, lambda value: f"D{value // timedelta(microseconds=1)}"),
    (time, _clock),
    (Fraction, _number),
    (complex, _number),
    (timezone, lambda value: f"Z{value.utcoffset(None) // timedelta(microseconds=1)}"),
)


def _compares_fields(kind: Any) -> bool:
    """Whether this is a dataclass whose comparison is the one that ``dataclass`` writes."""
    code = getattr(kind.__eq__, "__code__", None)
    return dataclasses.is_dataclass(kind) and code is not None and code.co_filename == "<string>"


def _fields(value: Any) -> list[Any]:
    return [getattr(value, each.name) for each in dataclasses.fields(value) if each.compare]


def _equality(kind: Any) -> Any:
    return kind.__eq__


_PLAIN = object.__eq__


def spell(value: Any) -> str:
    """Return the text of an argument.

    >>> spell((1, "a", None))
    '(1,"a",None)'
    >>> spell(True) == spell(1.0)
    True

    :raises TypeError: it isn't hashable, or has no spelling.
    """
    kind = type(value)
    if kind is str:
        text = encode_basestring_ascii(value)
        return text if "\\ud" not in text else _text(value)
    if kind is int:
        return str(value) if -(1 << 64) < value < 1 << 64 else _number(value)
    if value is None:
        return "None"
    if kind is not bool and hasattr(kind, "__redis_cache_key__"):
        return _keyed(value)
    for base, spelling in _SPELLINGS:
        # A subclass whose objects are equal by rules of its own is none of these.
        if kind is base or (isinstance(value, base) and _equality(kind) is _equality(base)):
            return spelling(value)
    if isinstance(value, Enum) and _equality(kind) is _PLAIN:
        return _member(value)
    if isinstance(value, type):
        return f"T{class_name(value)}"
    hash(value)
    if _compares_fields(kind):
        return f"x{class_name(kind)}({','.join(map(spell, _fields(value)))})"
    raise TypeError(
        f"{kind.__name__} can't be part of a cache's key: give the class a __redis_cache_key__ method that returns "
        "what identifies an object, or use ignore= or key_builder="
    )


def spell_self(value: Any) -> str:
    """Spell a method's instance: one that is equal to itself only is known by a random name, in this process.

    :raises TypeError: it isn't hashable, or has no spelling.
    """
    kind = type(value)
    if _equality(kind) is not _PLAIN or hasattr(kind, "__redis_cache_key__") or isinstance(value, type | Enum):
        return spell(value)
    try:
        return _names.setdefault(value, f"i{uuid4().hex}")
    except TypeError:
        raise TypeError(
            f"{kind.__name__} has no __weakref__ slot: give it a __redis_cache_key__ method, or use ignore=('self',)"
        ) from None


def digested(text: str) -> str:
    """Return a text, or its digest where that is shorter."""
    return text if len(text) <= LONGEST else "#" + sha256(text.encode()).hexdigest()


class UnfitError(TypeError):
    """A call doesn't fit the function's parameters."""


Spelled = tuple[tuple[str, ...], str]
"""A call as text: its positional arguments in the parameters' order, and the others."""


def text_of(call: Spelled) -> str:
    """Return a call's text."""
    return f"({','.join(call[0])}{call[1]})"


class Signature:
    """A function's parameters: which calls are the same call.

    :param function: the function.
    :param ignore: the parameters that make no difference.
    :param typed: whether equal arguments of different types are different.
    :param follow: whether a wrapper has the parameters of the function in it.
    :raises ValueError: no parameter has one of the names in ``ignore``, or Python doesn't know the parameters.
    """

    def __init__(
        self, function: Callable[..., Any], ignore: Sequence[str] = (), typed: bool = False, follow: bool = True
    ) -> None:
        try:
            signature = inspect.signature(function, follow_wrapped=follow)
        except ValueError as error:
            raise ValueError(f"{error}: say with key_builder= what identifies a call") from None
        self._outer: Signature | None = None
        if follow and hasattr(function, "__wrapped__"):
            with suppress(ValueError):
                self._outer = Signature(function, ignore, typed, follow=False)
        parameters = signature.parameters.values()
        self._typed = typed
        self._ignored = frozenset(ignore)
        self._args = next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), None)
        self._kwargs = next((each.name for each in parameters if each.kind is each.VAR_KEYWORD), None)
        unknown = self._ignored - signature.parameters.keys()
        if unknown and self._kwargs is None:
            raise ValueError(f"ignore= names {min(unknown)!r}, which is no parameter of the function")
        placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._placed = tuple(each.name for each in parameters if each.kind in placed)
        self._named = tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
        self._by_name = frozenset(
            each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}
        )
        self._required = frozenset(self._placed + self._named) - {
            each.name for each in parameters if each.default is not each.empty
        }
        self._defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        self._omitted = {name: self._spell_default(value) for name, value in self._defaults.items()}
        self._self = self._placed[:1] == ("self",) and "self" not in self._ignored
        # Most functions have parameters only that can be given either way: inspect's own binding takes longer.
        self._plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters) and not self._ignored

    def spelled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Spelled:
        """Spell a call.

        :raises UnfitError: it doesn't fit the parameters.
        :raises TypeError: an argument isn't hashable or has no spelling.
        """
        if self._plain and not self._typed:
            with suppress(TypeError):
                leading = self._spell_plain(args, kwargs)
                if leading is not None:
                    return leading, ""
        try:
            given, rest, more = self._bound(args, kwargs)
        except UnfitError:
            if self._outer is None:
                raise
            # A wrapper that supplies or takes arguments has parameters of its own.
            leading, others = self._outer.spelled(args, kwargs)
            return leading, f"*{others}"
        texts = [self._argument(name, given) for name in self._placed if name not in self._ignored]
        if self._args not in self._ignored:
            texts += map(self._spell, rest)
        named = ",".join(f"{name}={self._argument(name, given)}" for name in self._named if name not in self._ignored)
        if self._kwargs in self._ignored:
            more = {}
        # Their order is something the function can see.
        others = ",".join(f"{_text(key)}={self._spell(it)}" for key, it in more.items() if key not in self._ignored)
        return tuple(texts), f";{named};{others}" if others else f";{named}" if named else ""

    def _bound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]:
        given = dict(zip(self._placed, args, strict=False))
        rest = args[len(self._placed) :]
        more = {}
        for name, value in kwargs.items():
            if name in self._by_name and name not in given:
                given[name] = value
            elif self._kwargs and name not in self._by_name:
                more[name] = value
            else:
                raise UnfitError(f"the function can't be called so: {name!r} is given twice, or is no parameter")
        missing = [name for name in (*self._placed, *self._named) if name in self._required - given.keys()]
        if missing:
            raise UnfitError(f"the function can't be called so: {missing[0]!r} is missing")
        if rest and not self._args:
            raise UnfitError(f"the function takes {len(self._placed)} positional arguments, not {len(args)}")
        return given, rest, more

    def _spell_plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...] | None:
        names = self._placed
        if len(args) > len(names):
            return None
        if self._self and args:
            texts = [spell_self(args[0]), *map(spell, args[1:])]
        else:
            texts = [spell(value) for value in args]
        if len(args) == len(names) and not kwargs:
            return tuple(texts)
        used = 0
        for name in names[len(args) :]:
            if name in kwargs:
                used += 1
                texts.append(self._argument(name, kwargs))
            elif name in self._omitted:
                texts.append(self._omitted[name])
            else:
                return None
        return tuple(texts) if used == len(kwargs) else None

    def prefix(self, args: tuple[Any, ...]) -> tuple[str, ...]:
        """Spell the leading arguments of calls, without those that make no difference.

        :raises TypeError: there are more than parameters, or one isn't hashable or has no spelling.
        """
        rest = args[len(self._placed) :]
        if rest and not self._args and self._outer is None:
            raise TypeError(f"{len(args)} arguments given, but calls have {len(self._placed)} leading ones")
        given = dict(zip(self._placed, args, strict=False))
        texts = [self._argument(name, given) for name in given if name not in self._ignored]
        return (*texts, *(() if self._args in self._ignored else map(self._spell, rest)))

    def _argument(self, name: str, given: dict[str, Any]) -> str:
        if name not in given:
            return self._omitted[name]
        value = given[name]
        if self._self and name == "self":
            return self._tagged(value, spell_self)
        if value is self._defaults.get(name, Signature):
            return self._omitted[name]
        return self._spell(value)

    def _spell(self, value: Any) -> str:
        return self._tagged(value, spell) if self._typed else spell(value)

    def _tagged(self, value: Any, spelling: Callable[[Any], str]) -> str:
        text = spelling(value)
        return f"{_module(type(value))}.{type(value).__qualname__}:{text}" if self._typed else text

    def _spell_default(self, value: Any) -> str:
        try:
            return self._spell(value)
        except TypeError:
            return OMITTED

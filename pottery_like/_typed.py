"""How values of a Python type are written as JSON, by its hints, and read back as that type.

A type becomes a :class:`Form` once, when its codec is made; what couldn't be told apart when it is read back is refused
then.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import json
import re
import types
import typing
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from typing_extensions import NotRequired, Required, is_typeddict

from pottery_like._alike import alike
from pottery_like._hints import hints_of, shown

JSON_SHAPES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
EVERY = frozenset(JSON_SHAPES.values())

_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?")


@dataclass(slots=True)
class Form:
    """How one type is written.

    :ivar name: the type, for messages.
    :ivar shapes: the kinds of JSON value that it may be written as.
    :ivar encode: from the value to JSON's own types; raises TypeError or ValueError for another type's.
    :ivar decode: back.
    """

    name: str
    shapes: frozenset[str]
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _expected(name: str, value: Any) -> TypeError:
    return TypeError(f"expected {name}, not {type(value).__name__}")


def _located(place: str, error: Exception) -> Exception:
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{place}: {error}")


def _plain(kind: type) -> Form:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise _expected(shown(kind), value)
        return value

    return Form(shown(kind), frozenset({JSON_SHAPES[kind]}), check, check)


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise _expected("float", value)
    try:
        near = float(value)
    except OverflowError:
        near = 0.0
    if near != value:
        raise ValueError("expected float; this int has more digits than one holds")
    return near


def _text(kind: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> Form:
    """Describe a type that is written as a string."""

    def encode(value: Any) -> str:
        # A datetime is a date, too, but would come back as one.
        if type(value) is not kind:
            raise _expected(shown(kind), value)
        return write(value)

    def decode(data: Any) -> Any:
        if not isinstance(data, str):
            raise _expected("a string", data)
        return read(data)

    return Form(shown(kind), frozenset({"string"}), encode, decode)


def _write_duration(value: datetime.timedelta) -> str:
    sign, size = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    fraction = f".{size.microseconds:06}" if size.microseconds else ""
    return f"{sign}P{size.days}DT{size.seconds}{fraction}S"


def _read_duration(text: str) -> datetime.timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"not a duration: {text!r}")
    sign, days, hours, minutes, seconds, fraction = found.groups(default="0")
    size = datetime.timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(6, "0")),
    )
    return -size if sign == "-" else size


def _read_time(kind: Any) -> Callable[[str], Any]:
    # Before Python 3.11, fromisoformat() doesn't know the Z that other programs write for UTC.
    return lambda text: kind.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


SIMPLE: dict[Any, Form] = {
    **{kind: _plain(kind) for kind in (type(None), bool, int, str)},
    float: Form("float", frozenset({"number"}), _float, _float),
    Any: Form("Any", EVERY, lambda value: value, lambda data: data),
    object: Form("object", EVERY, lambda value: value, lambda data: data),
    bytes: _text(bytes, lambda value: b64encode(value).decode(), lambda text: b64decode(text, validate=True)),
    datetime.datetime: _text(datetime.datetime, datetime.datetime.isoformat, _read_time(datetime.datetime)),
    datetime.date: _text(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: _text(datetime.time, datetime.time.isoformat, _read_time(datetime.time)),
    datetime.timedelta: _text(datetime.timedelta, _write_duration, _read_duration),
    decimal.Decimal: _text(decimal.Decimal, str, decimal.Decimal),
    uuid.UUID: _text(uuid.UUID, str, uuid.UUID),
}

WRAPPERS = (typing.Annotated, typing.Final, Required, NotRequired)
_TUPLES: tuple[Any, ...] = (tuple, typing.Tuple)  # noqa: UP006
_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Collection)
_SETS = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class Forms:
    """The forms of a type and of all types in it."""

    def __init__(self) -> None:
        self._made: dict[Any, Form] = {}

    def of(self, kind: Any) -> Form:
        """Return the form of ``kind``.

        :raises TypeError: there is none.
        """
        while typing.get_origin(kind) in WRAPPERS:
            kind = typing.get_args(kind)[0]
        kind = type(None) if kind is None else kind
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind not in self._made:
            # A type may hold itself, so what refers to it gets the form before the form is complete.
            row = hasattr(typing.get_origin(kind) or kind, "_fields")
            shape = "array" if row else "object"
            self._made[kind] = form = Form(shown(kind), frozenset({shape}), _unfinished, _unfinished)
            made = self._make(kind)
            form.name, form.shapes, form.encode, form.decode = made.name, made.shapes, made.encode, made.decode
        return self._made[kind]

    def _make(self, kind: Any) -> Form:
        origin: Any = typing.get_origin(kind) or kind
        args = typing.get_args(kind)
        if origin is typing.Union or origin is types.UnionType:
            return self._union(kind, [self.of(each) for each in args])
        if origin is typing.Literal:
            return self._literal(kind, args)
        if hasattr(kind, "__supertype__"):
            return self.of(kind.__supertype__)
        return self._of_class(kind, origin, args)

    def _of_class(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Form:
        if isinstance(origin, type):
            if origin is tuple and args[1:] != (...,) and kind not in _TUPLES:
                return self._row(shown(kind), [] if args == ((),) else [self.of(each) for each in args], tuple)
            if origin in _LISTS or origin is tuple:
                return self._many(kind, tuple if origin is tuple else list, self.of(args[0] if args else Any))
            if origin in _SETS:
                return self._set(kind, frozenset if origin is frozenset else set, self.of(args[0] if args else Any))
            if origin in _DICTS:
                return self._dict(kind, *(map(self.of, args) if args else (SIMPLE[str], SIMPLE[Any])))
            if issubclass(origin, enum.Enum):
                return self._enum(origin)
            if is_typeddict(origin):
                return self._typeddict(kind, origin)
            if issubclass(origin, tuple) and hasattr(origin, "_fields"):
                return self._namedtuple(kind, origin)
            if dataclasses.is_dataclass(origin):
                return self._dataclass(kind, origin)
        raise TypeError(f"{shown(kind)} can't be stored as a typed value; use another codec for it")

    def _union(self, kind: Any, members: list[Form]) -> Form:
        by_shape: dict[str, Form] = {}
        for member in members:
            for shape in member.shapes:
                if shape in by_shape:
                    clash = f"{by_shape[shape].name} and {member.name} are both written as a JSON {shape}"
                    raise TypeError(f"{kind} can't be told apart when it is read back: {clash}")
                by_shape[shape] = member
        # A float takes an int as well, so it is asked last.
        members = sorted(members, key=lambda member: "number" in member.shapes)

        def encode(value: Any) -> Any:
            errors = []
            for member in members:
                try:
                    return member.encode(value)
                except (TypeError, ValueError) as error:
                    errors.append(str(error))
            raise TypeError(f"expected {kind}, not {type(value).__name__} ({'; '.join(errors)})")

        def decode(data: Any) -> Any:
            shape = JSON_SHAPES[type(data)]
            member = by_shape.get(shape) or (by_shape.get("number") if shape == "integer" else None)
            if member is None:
                raise _expected(str(kind), data)
            return member.decode(data)

        return Form(str(kind), frozenset(by_shape), encode, decode)

    def _literal(self, kind: Any, choices: tuple[Any, ...]) -> Form:
        if not all(type(choice) in {str, int, bool, type(None)} for choice in choices):
            raise TypeError(f"{kind} can't be stored as a typed value")

        def check(value: Any) -> Any:
            if not any(type(value) is type(choice) and value == choice for choice in choices):
                raise ValueError(f"expected {kind}, not {value!r}")
            return value

        return Form(str(kind), frozenset(JSON_SHAPES[type(choice)] for choice in choices), check, check)

    def _enum(self, kind: type[enum.Enum]) -> Form:
        shapes = {JSON_SHAPES.get(type(member.value), "") for member in kind}
        if not shapes <= {"null", "boolean", "integer", "number", "string"}:
            raise TypeError(f"{shown(kind)} has values other than strings and numbers")

        def encode(value: Any) -> Any:
            if not isinstance(value, kind):
                raise _expected(shown(kind), value)
            return value.value

        return Form(shown(kind), frozenset(shapes), encode, kind)

    def _many(self, kind: Any, make: type, item: Form) -> Form:
        return self._array(kind, make, lambda value: [item.encode(each) for each in value], item)

    def _set(self, kind: Any, make: type, item: Form) -> Form:
        # Equal sets are to be equal bytes.
        return self._array(kind, make, lambda value: sorted(map(item.encode, value), key=_json), item)

    def _array(self, kind: Any, make: type, write: Callable[[Any], list[Any]], item: Form) -> Form:
        def encode(value: Any) -> list[Any]:
            if type(value) is not make:
                raise _expected(shown(kind), value)
            return write(value)

        def decode(data: Any) -> Any:
            if type(data) is not list:
                raise _expected("an array", data)
            return make([item.decode(each) for each in data])

        return Form(shown(kind), frozenset({"array"}), encode, decode)

    def _row(self, name: str, items: list[Form], make: Any) -> Form:
        def checked(value: Any, kind: Any) -> Iterable[tuple[Form, Any]]:
            if type(value) is not kind or len(value) != len(items):
                raise TypeError(f"expected {name}, not {type(value).__name__} {value!r}")
            return zip(items, value, strict=True)

        def decode(data: Any) -> Any:
            values = [item.decode(each) for item, each in checked(data, list)]
            return tuple(values) if make is tuple else make(*values)

        return Form(
            name, frozenset({"array"}), lambda value: [item.encode(each) for item, each in checked(value, make)], decode
        )

    def _dict(self, kind: Any, key: Form, item: Form) -> Form:
        text = key.shapes == {"string"}
        if not text and not key.shapes <= {"integer", "number", "boolean", "null"}:
            raise TypeError(f"{shown(kind)}: the names in a JSON object can't be {key.name}")

        def encode(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _expected(shown(kind), value)
            return {
                key.encode(name) if text else _json(key.encode(name)): item.encode(each) for name, each in value.items()
            }

        def decode(data: Any) -> dict[Any, Any]:
            if type(data) is not dict:
                raise _expected("an object", data)
            return {key.decode(name if text else json.loads(name)): item.decode(each) for name, each in data.items()}

        return Form(shown(kind), frozenset({"object"}), encode, decode)

    def _namedtuple(self, kind: Any, origin: Any) -> Form:
        hints = hints_of(kind)
        return self._row(shown(kind), [self.of(hints.get(name, Any)) for name in origin._fields], origin)

    def _typeddict(self, kind: Any, origin: Any) -> Form:
        hints = {name: typing.get_origin(hint) for name, hint in hints_of(kind).items()}
        needed = [name for name, hint in hints.items() if name in origin.__required_keys__ or hint is Required]
        # Where annotations are strings, the class itself couldn't tell.
        return self._record(kind, origin, None, [name for name in needed if hints[name] is not NotRequired])

    def _dataclass(self, kind: Any, origin: Any) -> Form:
        fields = [field for field in dataclasses.fields(origin) if field.init]
        given = {field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING}
        for name, hint in hints_of(kind).items():
            if isinstance(hint, dataclasses.InitVar):
                raise TypeError(f"{shown(origin)}.{name}: what only __init__ takes can't be stored")
        form = self._record(kind, origin, [field.name for field in fields], given)
        if len(fields) < len(dataclasses.fields(origin)) or hasattr(origin, "__post_init__"):
            form.encode = _checked(form, form.encode)
        return form

    def _record(self, kind: Any, origin: Any, names: list[str] | None, needed: Iterable[str]) -> Form:
        """Describe a class with named fields: of instances, or (without ``names``) of a dict."""
        hints = hints_of(kind)
        wanted, needed = list(hints) if names is None else names, frozenset(needed)
        forms = {name: self.of(hints[name]) for name in wanted}
        python_type = dict if names is None else origin

        def encode(value: Any) -> dict[str, Any]:
            if type(value) is not python_type:
                raise _expected(shown(kind), value)
            held = value if names is None else {name: getattr(value, name) for name in wanted}
            for name in held.keys() - forms.keys() or needed - held.keys():
                raise ValueError(f"{shown(kind)}: {name!r} is {'unknown' if name in held else 'missing'}")
            return {name: _at(shown(kind), name, forms[name].encode, each) for name, each in held.items()}

        def decode(data: Any) -> Any:
            if type(data) is not dict:
                raise _expected(f"an object for {shown(kind)}", data)
            for name in sorted(needed - data.keys()):
                raise ValueError(f"{shown(kind)}: {name!r} is missing")
            found = {
                name: _at(shown(kind), name, form.decode, data[name]) for name, form in forms.items() if name in data
            }
            return python_type(**found)

        return Form(shown(kind), frozenset({"object"}), encode, decode)


def _checked(form: Form, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuse what the class itself would make anew, and differently."""

    def encode(value: Any) -> Any:
        data = write(value)
        if not alike(value, form.decode(data)):
            raise ValueError(f"{form.name}: what __init__ makes of the fields isn't equal to this instance")
        return data

    return encode


def _at(owner: str, name: str, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise _located(f"{owner}.{name}", error) from None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _unfinished(value: Any) -> Any:
    raise AssertionError("a form was used before it was complete")

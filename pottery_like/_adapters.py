"""Who writes values of a type as JSON: pydantic and msgspec their own models, this library the rest, by its hints."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from typing import Any, Literal

from pottery_like._alike import alike
from pottery_like._hints import has_fields, hints_of, shown
from pottery_like._typed import Forms

Encode = Callable[[Any], Any]
Decode = Callable[[bytes], Any]


def adapter(kind: Any) -> tuple[Encode, Decode]:
    """Return how to turn a value of a type into what JSON has, and how to read its JSON text.

    :raises TypeError: there is no way to do so.
    """
    library = _library(kind, [])
    if library == "pydantic":
        return _pydantic(kind)
    if library == "msgspec":
        return _msgspec(kind)
    form = Forms().of(kind)
    return form.encode, lambda raw: form.decode(json.loads(raw))


def _library(kind: Any, seen: list[Any]) -> Literal["pydantic", "msgspec"] | None:
    """Return whose models are in a type, looking into dataclasses, too."""
    if kind in seen:
        return None
    seen.append(kind)
    if isinstance(kind, type):
        if hasattr(kind, "__pydantic_core_schema__"):
            return "pydantic"
        if hasattr(kind, "__struct_fields__"):
            return "msgspec"
    inner = [*typing.get_args(kind), *(hints_of(kind).values() if has_fields(kind) else ())]
    return next((library for each in inner if (library := _library(each, seen))), None)


def _same_class(kind: Any, value: Any) -> None:
    # What is written of a subclass's instance would come back as one of the class.
    if isinstance(kind, type) and not typing.get_args(kind) and type(value) is not kind:
        raise TypeError(f"expected {shown(kind)}, not {type(value).__name__}")


def _checked(kind: Any, value: Any, back: Any, data: Any) -> Any:
    """Return what was written of a value, unless the models' library would read something else."""
    if not alike(value, back):
        raise TypeError(f"expected {shown(kind)}, not this {type(value).__name__}: it would come back as another value")
    return data


def _pydantic(kind: Any) -> tuple[Encode, Decode]:
    import pydantic

    model: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)

    def encode(value: Any) -> Any:
        _same_class(kind, value)
        try:
            data = model.dump_python(value, mode="json", by_alias=False, round_trip=True, warnings="error")
            back = decode(json.dumps(data))
        except ValueError as error:
            raise TypeError(f"expected {shown(kind)}: {error}") from None
        return _checked(kind, value, back, data)

    def decode(raw: bytes | str) -> Any:
        return model.validate_json(raw, by_alias=False, by_name=True)

    return encode, decode


def _msgspec(kind: Any) -> tuple[Encode, Decode]:
    import msgspec

    reader: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def encode(value: Any) -> Any:
        _same_class(kind, value)
        data = msgspec.to_builtins(value, str_keys=True, order="deterministic")
        try:
            # msgspec writes fields of any type, and would refuse them only when they are read.
            back = msgspec.convert(data, kind, str_keys=True, builtin_types=())
        except msgspec.ValidationError as error:
            raise TypeError(f"expected {shown(kind)}: {error}") from None
        return _checked(kind, value, back, data)

    return encode, reader.decode

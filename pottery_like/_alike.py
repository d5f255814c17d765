"""Whether a value has come back as it was written."""

from __future__ import annotations

import dataclasses
from typing import Any


def alike(value: Any, back: Any) -> bool:
    """Whether two values are equal and of the same types, all through.

    Objects that don't say what they are equal to count as equal.  An int may have become a float.
    """
    kind = type(value)
    if kind is not type(back):
        return kind is int and type(back) is float and value == back
    if kind is list or kind is tuple:
        return len(value) == len(back) and all(map(alike, value, back))
    if kind is dict:
        return value.keys() == back.keys() and all(alike(each, back[name]) for name, each in value.items())
    held = _held(value)
    if held is not None:
        return alike(held, _held(back))
    unequal_to_itself = value != value  # noqa: PLR0124
    return bool(value == back) or bool(unequal_to_itself) or getattr(kind, "__eq__", None) is object.__eq__


def _held(value: Any) -> dict[str, Any] | None:
    """Return what the fields of a model hold; None for other values."""
    kind = type(value)
    if hasattr(kind, "__pydantic_private__"):
        names = kind.__pydantic_fields__
        besides = {"private attributes": value.__pydantic_private__, "extra fields": value.__pydantic_extra__}
        return {**besides, **{name: getattr(value, name) for name in names}}
    if hasattr(kind, "__struct_fields__"):
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind)}
    return None

"""What the annotations of a class say."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from typing_extensions import get_type_hints, is_typeddict


def shown(kind: Any) -> str:
    """Name a type."""
    return kind.__qualname__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a class, resolved.

    :raises TypeError: one of them can't be.
    """
    origin = typing.get_origin(kind) or kind
    try:
        hints = get_type_hints(origin, localns={origin.__name__: origin}, include_extras=True)
    except NameError as error:
        raise TypeError(f"the annotations of {shown(origin)} can't be resolved: {error}") from None
    given = dict(zip(getattr(origin, "__parameters__", ()), typing.get_args(kind), strict=False))
    return {name: _substituted(hint, given) for name, hint in hints.items()}


def _substituted(hint: Any, given: dict[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return given.get(hint, hint)
    if typing.get_origin(hint) is None or not getattr(hint, "__parameters__", ()):
        return hint
    return hint[tuple(given.get(each, each) for each in hint.__parameters__)]


def has_fields(kind: Any) -> bool:
    """Whether a type is a class whose annotations say what its instances hold."""
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and (
        dataclasses.is_dataclass(origin) or is_typeddict(origin) or hasattr(origin, "_fields")
    )

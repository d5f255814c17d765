"""The two worlds offer the same, as the table in tests/support/names.py says."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import pottery_like
from tests.support.names import REFUSED, SAME, SYNTAX, VERBS

# Python's protocols that need no counterpart: context management, pickling, and what has no round trip.
PROTOCOL = {
    "__class_getitem__", "__copy__", "__deepcopy__", "__enter__", "__exit__", "__hash__", "__init__", "__reduce__",
    "__repr__", "__abstractmethods__", "__ror__", "__rand__", "__rsub__", "__rxor__", "__radd__", "__rmul__", "__ne__",
    "__bool__", "__missing__",
    "__aenter__", "__aexit__", "__await__", "__aiter__",
}  # fmt: skip


# What the synchronous class has from the builtin itself.
INHERITED = {"FlipCache": {"__getitem__"}, "CachedOrderedDict": {"__iter__", "__contains__"}}


def surface(cls: type) -> set[str]:
    """Return what a class of this package and its bases offer."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("pottery_like"):
            own = {name for name, value in vars(base).items() if value is not None}
            names |= {name for name in own if not name.startswith("_") or name.startswith("__")}
    machinery = {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__parameters__", "__orig_bases__",
                 "__annotations__", "__slots__", "__firstlineno__", "__static_attributes__", "__annotate_func__",
                 "__annotations_cache__", "__abstractmethods__"}  # fmt: skip
    return names - machinery - PROTOCOL


@pytest.mark.parametrize("name", sorted(SAME))
def test_table_names_everything(name: str) -> None:
    sync, aio = getattr(pottery_like, name), getattr(pottery_like, f"AIO{name}")
    same, verbs = set(SAME[name]), VERBS[name]
    assert surface(sync) - same - set(verbs) == set(), "in the synchronous class, not in the table"
    plain = INHERITED.get(name, set()) | set(REFUSED.get(name, ()))
    assert surface(aio) - same - set(verbs.values()) - plain == set(), "in the asyncio class, not in the table"
    assert (same | set(verbs)) - PROTOCOL <= surface(sync) | {"__eq__"}
    assert (same | set(verbs.values())) - PROTOCOL <= surface(aio)


@pytest.mark.parametrize("name", sorted(SAME))
def test_same_arguments(name: str) -> None:
    sync, aio = getattr(pottery_like, name), getattr(pottery_like, f"AIO{name}")
    for method in SAME[name]:
        mine, other = getattr(sync, method), getattr(aio, method)
        if callable(mine):
            assert parameters(mine) == parameters(other), method


@pytest.mark.parametrize("name", sorted(SAME))
def test_same_constructor(name: str) -> None:
    sync, aio = getattr(pottery_like, name), getattr(pottery_like, f"AIO{name}")
    mine, other = parameters(sync.__init__), parameters(aio.__init__)
    assert mine == [each for each in other if each[0] != "cancel_on_lost"]


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def test_page_shows_the_table() -> None:
    page = (Path(__file__).parents[1] / "docs" / "asyncio.md").read_text()
    for name, verbs in VERBS.items():
        assert f"### {name}" in page
        for dunder, verb in verbs.items():
            assert f"| `{SYNTAX[dunder]}` | `{spelled(verb)}` |" in page, f"{name}: {dunder}"


def spelled(verb: str) -> str:
    return {"__aiter__": "async for x in c", "__anext__": "await anext(c)"}.get(verb, f"await c.{verb}(...)")


ASKED_BY_KEY = [
    cls
    for cls in (getattr(pottery_like, name) for name in pottery_like.__all__ if name.startswith("AIO"))
    if hasattr(cls, "__getitem__") and not issubclass(cls, dict)
]


@pytest.mark.parametrize("cls", ASKED_BY_KEY)
def test_what_cannot_be_awaited_is_refused(cls: type) -> None:
    """``in`` and ``for`` would otherwise ask ``__getitem__`` for one number after the other, without end."""
    instance: Any = object.__new__(cls)
    with pytest.raises(TypeError):
        "a" in instance  # noqa: B015
    with pytest.raises(TypeError):
        iter(instance)

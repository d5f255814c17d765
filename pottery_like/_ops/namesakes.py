"""Different functions of one module, name and key, which must not share results."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Hashable
from functools import partial
from types import CodeType
from typing import Any

_PLAIN = (str, int, float, complex, bytes, type(None))


def _shape(code: CodeType) -> Hashable:
    """Return what a function does, wherever in its file it stands."""
    constants = tuple(
        _shape(each) if isinstance(each, CodeType) else (type(each), repr(each)) for each in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def _told(cell: Any) -> Hashable:
    try:
        value = cell.cell_contents
    except ValueError:
        return None
    return (type(value), value) if type(value) in _PLAIN else None


def _nature(function: Any) -> tuple[Hashable, ...]:
    """Return what tells a function from another: its code and its wrappers', with what these were told."""
    layers: list[Hashable] = []
    while function is not None and len(layers) < 100:
        code = getattr(function, "__code__", None)
        inner = getattr(function, "__wrapped__", None)
        if isinstance(function, partial) or inspect.ismethod(function):
            inner = function.func if isinstance(function, partial) else function.__func__
        if isinstance(code, CodeType):
            cells = getattr(function, "__closure__", None) or ()
            layers.append((_shape(code), tuple(map(_told, cells)) if inner is not None else ()))
        function = inner
    return tuple(layers)


class Namesake:
    """A function among those of its name and key.

    :param key: the key.
    :param name: the name.
    :raises ValueError: the name doesn't say where the function is, and another one has it.
    """

    def __init__(self, key: bytes, name: str, function: Callable[..., Any]) -> None:
        place = (key, name, inspect.iscoroutinefunction(function))
        self._nature = _nature(function)
        self._number: int | None = None
        if "<" in name and _unnamed.setdefault(place, self._nature) != self._nature:
            raise ValueError(
                f"another function is named {name!r}, too, and has the key {key.decode()!r}: use another key"
            )
        self._all = _named.setdefault(place, [])

        def gone(ref: weakref.ref[Namesake], mates: list[weakref.ref[Namesake]] = self._all) -> None:
            mates.remove(ref)
            if not mates and _named.get(place) is mates:
                del _named[place]

        self._all.append(weakref.ref(self, gone))

    def suffix(self) -> str:
        """Return what is to follow the name: nothing for the first, ``~2`` for the second ...

        It is for the time of the first call: a module that is loaded again has replaced its functions by then.
        """
        if self._number is None:
            others = [each for each in (ref() for ref in list(self._all)) if each is not None]
            taken = {each._nature: each._number for each in others if each._number is not None}
            natures = list(dict.fromkeys(each._nature for each in others))
            number = taken.get(self._nature)
            if number is None:
                number = natures.index(self._nature)
                while number in taken.values():
                    number += 1
            self._number = number
        return f"~{self._number + 1}" if self._number else ""


_named: dict[tuple[bytes, str, bool], list[weakref.ref[Namesake]]] = {}
_unnamed: dict[tuple[bytes, str, bool], tuple[Hashable, ...]] = {}

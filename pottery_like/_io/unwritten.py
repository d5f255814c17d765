"""What a cache with write-back has not written yet, when the process ends."""

from __future__ import annotations

import os
import warnings
from typing import Any, Protocol

from pottery_like._core.op import Op
from pottery_like._io.leaving import run_at_end
from pottery_like._io.owned import at_end
from pottery_like.exceptions import UnwrittenWarning


class Holder(Protocol):
    """A cache that may hold changes that were not written yet."""

    def _unwritten(self) -> tuple[Any, list[tuple[list[Any], Op[Any]]]] | None:
        """Return the runner, and the changes in groups with the operation that writes each; None for none."""

    def _settle(self, changes: list[Any], reply: Any) -> None:
        """Note what became of a group."""


# Strongly: what is to be written keeps its cache alive.
_holders: dict[int, Any] = {}
_watching = False


def keep(holder: Holder) -> None:
    """Keep a cache alive, and write at the process's end what it has not written by then."""
    global _watching
    _holders[id(holder)] = holder
    if not _watching:
        _watching = True
        at_end(_write)


def release(holder: Holder) -> None:
    """Note that a cache has written everything."""
    _holders.pop(id(holder), None)


def _write() -> None:
    for holder in list(_holders.values()):
        try:
            # Twice, as what was sent before without an answer is sent again before what replaces it.
            for _ in range(2):
                found = holder._unwritten()
                if found is None:
                    break
                runner, groups = found
                for (changes, _), reply in zip(groups, run_at_end(runner, [op for _, op in groups]), strict=True):
                    holder._settle(changes, reply)
        except Exception as error:
            warnings.warn(f"changes were lost when the process ended: {error}", UnwrittenWarning, stacklevel=1)


def _forget() -> None:
    # The parent writes its own.
    global _watching
    _holders.clear()
    _watching = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

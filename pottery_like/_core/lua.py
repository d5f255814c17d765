"""The Lua scripts, loaded from their files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

CHUNK = 1000
"""How many elements go into one command or one script call."""

_INCLUDE = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the SHA-1 by which the server knows it."""

    name: str
    source: str
    sha1: str


def _read(name: str) -> str:
    return files("pottery_like").joinpath("_lua", f"{name}.lua").read_text(encoding="utf-8")


@cache
def script(name: str) -> Script:
    """Return the script in ``_lua/<name>.lua``, with the files that its ``-- include:`` lines name put in."""
    source = _INCLUDE.sub(lambda match: _read(match[1]).rstrip(), _read(name))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

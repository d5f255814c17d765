"""Imports go down only: shells -> _io -> _ops -> _core, codecs, exceptions; and the two worlds never meet."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pottery_like

ROOT = Path(pottery_like.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))

# Which layers a layer may use, beside itself.
BELOW = {
    "foundation": set(),
    "_core": {"foundation"},
    "_ops": {"foundation", "_core"},
    "_io": {"foundation", "_core", "_ops"},
    "aio": {"foundation", "_core", "_ops", "_io"},
    "sync": {"foundation", "_core", "_ops", "_io"},
    "top": {"foundation", "_core", "_ops", "_io", "sync", "aio"},
}
FOUNDATION = {"codecs", "exceptions", "embedded", "_adapters", "_alike", "_hints", "_typed"}
TOP = {"__init__", "__main__", "demo", "redis_cache", "synchronize"}
IMPURE = ("redis", "asyncio", "threading", "socket")


def layer(parts: tuple[str, ...]) -> str:
    first = parts[0] if parts else "__init__"
    if first in {"_core", "_ops", "_io", "aio"}:
        return first
    return "foundation" if first in FOUNDATION else "top" if first in TOP else "sync"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = layer(path.relative_to(ROOT).with_suffix("").parts)
    for name in imports(path):
        package, *rest = name.split(".")
        if package == "pottery_like":
            used = layer(tuple(rest))
            assert used == own or used in BELOW[own], f"{own} must not import {name}"
        elif own in {"_core", "_ops"}:
            assert package not in IMPURE, f"{own} must not import {name}"
        elif own in {"aio", "sync"}:
            assert package != "redis", f"only _io talks to redis-py, not {path.name}"


def test_importing_opens_nothing_and_patches_nothing() -> None:
    import json
    import subprocess
    import sys

    program = (
        "import json, socket, threading; dumps = json.dumps\n"
        "def refuse(*args, **kwargs): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "import pottery_like\n"
        "assert json.dumps is dumps and threading.active_count() == 1; print(json.dumps('fine'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == "fine"


def test_no_file_is_too_long() -> None:
    for path in [*MODULES, *Path(__file__).parent.rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 430, path

"""The documentation is true and complete: examples run, everything public is described, every page is in the menu."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis as redispy
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

import pottery_like
from tests.support.names import SAME
from tests.support.servers import SETUPS, standalone

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [path for path in [ROOT / "README.md", *PAGES] if ">>>" in path.read_text()]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(pottery_like.__path__, "pottery_like.")
    if not module.name.endswith("__main__")
)
DATABASE = 5
PAGE_OF = {
    "BloomFilter": "bloom",
    "CachedOrderedDict": "cachedordereddict",
    "FlipCache": "flipcache",
    "HyperLogLog": "hyperloglog",
    "RedisCounter": "counter",
    "RedisDeque": "deque",
    "RedisDict": "dict",
    "RedisList": "list",
    "RedisQueue": "queues",
    "RedisSet": "set",
    "RedisSimpleQueue": "queues",
}


class NothingKept(redis.asyncio.ConnectionPool):
    """Closes each connection after use, so that one client serves every ``asyncio.run()``, each with its own loop."""

    async def release(self, connection: Any) -> None:
        await super().release(connection)
        await connection.disconnect()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples find: clients on an empty database, which is the default server too."""
    port = standalone(SETUPS[0].server).port
    url = f"redis://127.0.0.1:{port}/{DATABASE}"
    monkeypatch.setenv("REDIS_URL", url)
    # Without retries, what an example leaves to the process's end costs no waiting for a server that is gone by then.
    with redispy.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        client.flushdb()
        pool = NothingKept.from_url(url)
        yield {"redis": client, "aioredis": redis.asyncio.Redis(connection_pool=pool), "asyncio": asyncio, "json": json}


def run(name: str, path: str, text: str, names: dict[str, Any]) -> int:
    """Run the examples in a text and return how many there are."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__", **names}, name, path, 0)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert results.failed == 0, "".join(report)
    return results.attempted


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_page(path: Path, names: dict[str, Any]) -> None:
    # A code block's closing fence would be taken for the last example's output.
    text = re.sub(r"^```.*$", "", path.read_text(), flags=re.MULTILINE)
    assert run(path.name, str(path), text, names) > 0


def described(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the functions, classes, methods and properties that a module defines."""
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__ or not hasattr(value, "__name__"):
            continue
        yield name, value
        if inspect.isclass(value):
            for member, attribute in vars(value).items():
                function = getattr(attribute, "__func__", attribute)
                if inspect.isroutine(function) or isinstance(attribute, property):
                    yield f"{name}.{member}", function


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, names: dict[str, Any]) -> None:
    module = importlib.import_module(name)
    public = {each: getattr(pottery_like, each) for each in pottery_like.__all__}
    texts = {"": module.__doc__, **{each: inspect.getdoc(value) for each, value in described(module)}}
    for where, text in texts.items():
        if text and ">>>" in text:
            run(f"{name}.{where}", str(module.__file__), text, {**vars(module), **public, **names})


def test_docstrings_are_found() -> None:
    """The examples of decorated methods too, which doctest's own finder overlooks."""
    found = dict(described(importlib.import_module("pottery_like.dict")))
    assert ">>>" in (found["RedisDict.edit"].__doc__ or "")


@pytest.mark.parametrize("name", pottery_like.__all__)
def test_everything_public_has_a_docstring(name: str) -> None:
    subject = getattr(pottery_like, name)
    assert subject.__doc__, name
    if inspect.isclass(subject) and subject.__module__.startswith("pottery_like"):
        for base in subject.__mro__:
            if base.__module__.startswith("pottery_like"):
                missing = [
                    member
                    for member, value in vars(base).items()
                    if not member.startswith("_")
                    and (callable(value) or isinstance(value, property | classmethod | staticmethod))
                    and not value.__doc__
                ]
                assert not missing, base


@pytest.mark.parametrize(("name", "page"), PAGE_OF.items())
def test_page_names_every_method(name: str, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    dunders = {each for each in SAME[name] if each.startswith("__")}
    absent = [each for each in SAME[name] if each not in dunders and not re.search(rf"`[^`]*\b{each}\b", text)]
    assert not absent


def test_errors_page_names_every_exception() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    raised = [
        name
        for name in pottery_like.__all__
        if inspect.isclass(getattr(pottery_like, name)) and issubclass(getattr(pottery_like, name), BaseException)
    ]
    assert [name for name in raised if f"`{name}`" not in text] == []


def test_menu_has_every_page() -> None:
    menu = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())
    assert sorted(menu) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES)


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"

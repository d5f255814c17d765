"""A user's program with cached functions, for the type checkers."""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

from typing_extensions import assert_type

from pottery_like import redis_cache

T = TypeVar("T")


@redis_cache(key="id")
def ident(x: T) -> T:
    return x


(ident(1) + 1).bit_length()


@redis_cache(key="b")
def load(x: str) -> Any:
    return json.loads(x)


load("1")["a"]
load.cache_info()


@redis_cache(key="b")
def un(x, y=1):  # type: ignore[no-untyped-def]
    return x + y


un(1)
un.cache_info()


@redis_cache(key="b")
def never(x: int) -> NoReturn:
    raise ValueError


@redis_cache(key="b")
async def co(x: int) -> str:
    return ""


@redis_cache(key="b")
async def coany(x: int) -> Any:
    return ""


@redis_cache(key="b")
def plain(x: int) -> str:
    return ""


async def main() -> None:
    assert_type(await co(1), str)
    await coany(1)
    assert_type((await coany.cache_info()).hits, int)


assert_type(plain(1), str)
assert_type(plain.__name__, str)
assert_type(plain.__qualname__, str)
assert_type(co.__name__, str)


class C:
    @redis_cache(key="m")
    def m(self, a: int) -> str:
        return ""

    @classmethod
    @redis_cache(key="m")
    def k(cls, a: int) -> str:
        return ""

    @staticmethod
    @redis_cache(key="m")
    def s(a: int) -> str:
        return ""

    @redis_cache(key="m")
    async def am(self, a: int) -> str:
        return ""

    @classmethod
    @redis_cache(key="m")
    async def ak(cls, a: int) -> str:
        return ""

    @redis_cache(key="m")
    def anym(self, a: int) -> Any:
        return ""

    @staticmethod
    @redis_cache(key="m")
    def s0() -> str:
        return ""


class D(C):
    pass


c = C()
assert_type(D().m(1), str)
assert_type(D.k(1), str)
assert_type(D().k(1), str)
c.anym(1)
C.anym(c, 1)
c.anym.cache_info()
assert_type(c.s0(), str)
assert_type(C.s0(), str)
C.k.cache_info()
assert_type(c.m(1), str)
assert_type(C.m(c, 1), str)
C.m.invalidate(c, 1)
assert_type(C.k(1), str)
assert_type(c.k(1), str)
assert_type(c.s(1), str)
assert_type(C.s(1), str)
c.m.cache_info()


async def main2() -> None:
    assert_type(await C.ak(1), str)
    assert_type(await c.ak(1), str)
    assert_type(await c.am(1), str)
    assert_type(await C.am(c, 1), str)


c.m("x")  # type: ignore[arg-type]
c.k("x")  # type: ignore[arg-type]
c.s("x")  # type: ignore[arg-type]
plain("x")  # type: ignore[arg-type]

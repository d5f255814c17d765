"""What all asyncio containers have: :mod:`pottery_like.base`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from pottery_like._core.keys import random_sibling
from pottery_like._core.op import Paging, Program, Task
from pottery_like._io import servers
from pottery_like._io.aio import Client, Runner
from pottery_like._io.leaving import remove_keys
from pottery_like._io.owned import Owned
from pottery_like._ops.common import Durability, KeyOps
from pottery_like._ops.handle import Handle
from pottery_like.codecs import Codec

T = TypeVar("T")
OpsT = TypeVar("OpsT", bound=KeyOps)


_owned: Owned[Runner] = Owned(remove_keys)


class AIOContainer(Handle[OpsT], Generic[OpsT]):
    """Base of the asyncio containers.

    A container that is given elements is filled when it is awaited, or entered with ``async with``:
    ``d = await AIORedisDict({...}, key=...)``.

    :param redis: a ``redis.asyncio.Redis``, ``redis.asyncio.RedisCluster`` or Sentinel client, or a URL.  Omitted,
        the server is looked for at first use: ``REDIS_URL``, localhost:6379, the embedded server.
    :param key: the Redis key.  Omitted, the container is anonymous: its key is random, and is deleted when the
        ``async with`` block or the process that made it ends.  Named containers are never deleted by the library.
    :param codec: how elements become bytes; JSON by default, see :mod:`pottery_like.codecs`.
    :param redis_url: the same as a URL in ``redis``.
    :raises TypeError: an argument of the wrong type, before anything is sent.
    """

    # Else Python would use __getitem__ for "in" and "for", which brings a coroutine for every number, without end.
    __iter__ = None
    __contains__ = None

    _filling: Program[None] | None = None
    _filled_by: asyncio.Future[None] | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[Any] | None = None,
        redis_url: str | None = None,
    ) -> None:
        self._attach(servers.checked(redis, redis_url, Client), key, codec)

    @property
    def redis(self) -> Client:
        """The client."""
        return self._runner.client

    @property
    def _runner(self) -> Runner:
        runner: Runner | None = self._made_runner
        loop = asyncio.get_running_loop()
        if runner is None or (self._loop is not loop and not isinstance(self._source, Client)):
            # The library's own clients belong to the event loop that they were first used in.
            runner = self._made_runner = Runner(servers.aio_client(self._source))
            self._ops.clustered = runner.clustered
            self._loop = loop
            if self._anonymous:
                self._owned_through(runner)
        return runner

    async def _run(self, op: Task[T]) -> T:
        return await self._runner.run(op)

    async def _drive(self, program: Program[T]) -> T:
        return await self._runner.drive(program)

    def _iterate(self, paging: Paging) -> AsyncIterator[Any]:
        return self._runner.iterate(paging)

    async def _filled(self) -> Self:
        while self._filling is not None:
            if self._filled_by is not None:
                # Another task fills the container, once for all that wait.
                await asyncio.wait([self._filled_by])
                continue
            done = self._filled_by = asyncio.get_running_loop().create_future()
            try:
                await self._drive(self._filling)
                self._filling = None
            except BaseException:
                self._filling = _failed(self._key)
                raise
            finally:
                self._filled_by = None
                done.set_result(None)
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._filled().__await__()

    async def clear(self) -> None:
        """Remove all elements.  O(n) on the server's background thread; 1 round trip."""
        await self._run(self._ops.clear())

    async def expire(self, ttl: float | timedelta) -> bool:
        """Let the whole container disappear after ``ttl`` seconds.  O(1), 1 round trip, atomic.

        :param ttl: seconds, or a timedelta.
        :returns: False when the container is empty, which leaves nothing to expire.
        :raises ValueError: ``ttl`` isn't positive and finite.
        """
        return await self._run(self._ops.expire(ttl))

    async def ttl(self) -> float | None:
        """Return the seconds until the container expires, or None when it doesn't.  O(1), 1 round trip."""
        return await self._run(self._ops.ttl())

    async def persist(self) -> bool:
        """Cancel the expiry.  O(1), 1 round trip, atomic.

        :returns: whether there was one.
        """
        return await self._run(self._ops.persist())

    async def sync(self, timeout: float = 5.0) -> Durability:
        """Wait until the server has all earlier writes on its disk or on its replicas.

        Exchanges: one for each 0.4 seconds of waiting, and up to two to learn what the server has.

        :param timeout: seconds.
        :returns: ``"disk"`` when the append-only file is synced (Redis 7.2 or later, Valkey), else ``"replicas"``
            when all of them have confirmed, else ``"memory"``: the server has neither.
        :raises TimeoutError: not confirmed in time.
        """
        return await self._drive(self._ops.sync(timeout))

    async def copy(self) -> Self:
        """Return an anonymous container with the same elements, made on the server.  O(n), 1 round trip, atomic."""
        target = self._sibling("copy")
        await self._run(self._ops.copy_to(target._ops.key))
        return target

    def _sibling(self, purpose: str, **extra: Any) -> Self:
        other = type(self).__new__(type(self))
        key = random_sibling(self._ops.key, purpose).decode()
        other._attach(self._source, key, self._codec, **{**self._extra, **extra})
        other._anonymous = True
        vars(other).update(self._attributes())
        return other._owned_through(self._runner)

    def _owned_through(self, runner: Runner) -> Self:
        self._made_runner = runner
        self._ops.clustered = runner.clustered
        _owned.add(runner, self._ops.clear())
        return self

    def __copy__(self) -> Self:
        raise TypeError("copying takes a round trip: use await container.copy()")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    async def __aenter__(self) -> Self:
        return await self._filled()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _owned.discard(self._ops.key):
            await self._run(self._ops.clear())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: the key, the codec, and the client's arguments (its password included)."""
        arguments = type(self), servers.portable(self._source), self._key, self._codec, self._extra
        return _revived, arguments, self._attributes()


def _failed(key: str) -> Program[None]:
    raise RuntimeError(f"filling {key!r} failed before; make the container anew")
    yield


def _revived(
    cls: type[AIOContainer[Any]], source: str | bytes, key: str, codec: Any, extra: dict[str, Any]
) -> AIOContainer[Any]:
    container = cls.__new__(cls)
    container._attach(servers.revived(source), key, codec, **extra)
    return container

""":mod:`pottery_like._io.events`, for asyncio: in a task of their own."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from pottery_like._core.op import Batch
from pottery_like._io.aio import Runner
from pottery_like._ops.flip_events import UPDATE, Changes
from pottery_like._ops.flip_texts import Names


class Teller:
    """Tells a cache's callbacks of changes.

    :param runner: the client's.
    :param names: the cache's keys.
    :param on_update: called with a key that has a new value.
    :param on_delete: called with a key that is gone.
    """

    def __init__(
        self,
        runner: Runner,
        names: Names,
        on_update: Callable[[Any], object] | None,
        on_delete: Callable[[Any], object] | None,
    ) -> None:
        self._runner = runner
        self._on_update, self._on_delete = on_update, on_delete
        self.changes = Changes(names, self._hurry)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def _hurry(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._tell())

    async def _tell(self) -> None:
        while taken := self.changes.take():
            try:
                there = await self._runner.batch(Batch(self.changes.questions(taken)))
            except Exception:  # the server can't be asked just now: what was taken is not told
                continue
            for event, key in self.changes.events(taken, there):
                function = self._on_update if event == UPDATE else self._on_delete
                if function is not None:
                    try:
                        result = function(key)
                        if inspect.isawaitable(result):
                            await result
                    except Exception as error:
                        warnings.warn(f"a callback failed for {key!r}: {error!r}", RuntimeWarning, stacklevel=2)

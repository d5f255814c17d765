""":mod:`pottery_like._io.events`, for asyncio: in a task of their own."""

from __future__ import annotations

import asyncio
import inspect
import warnings

from pottery_like._core.op import Batch
from pottery_like._io.aio import Runner
from pottery_like._ops.flip_events import Callback, Changes
from pottery_like._ops.flip_texts import Names


class Teller:
    """Tells a cache's callbacks of changes.

    :param runner: the client's; the others are :class:`~pottery_like._ops.flip_events.Changes`' parameters.
    """

    def __init__(self, runner: Runner, names: Names, on_update: Callback | None, on_delete: Callback | None) -> None:
        self._runner = runner
        self.changes = Changes(names, self._hurry, on_update, on_delete)
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
            for function, key in self.changes.calls(taken, there):
                try:
                    result = function(key)
                    if inspect.isawaitable(result):
                        await result
                except Exception as error:
                    warnings.warn(f"a callback failed for {key!r}: {error!r}", RuntimeWarning, stacklevel=2)

"""Reading and writing for a cache whose local tier nobody keeps up to date: the tracker's interface without one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from pottery_like._core.coherence import Stats
from pottery_like._core.op import Batch, Op
from pottery_like._io import aio, sync

T = TypeVar("T")


class Trusting:
    """Everything may be kept.

    :param runner: runs the operations.
    """

    reason = ""
    fresh_until = math.inf

    def __init__(self, runner: sync.Runner) -> None:
        self.runner = runner
        self.stats = Stats()

    def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation."""
        return self.runner.run(op), True

    def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together."""
        return self.runner.batch(Batch(tuple(ops))), [True] * len(ops)

    def write(self, op: Op[T], own: object = None) -> tuple[T, bool]:
        """Run an operation that changes keys."""
        return self.runner.run(op), True


class AioTrusting:
    """Everything may be kept, in asyncio.

    :param runner: runs the operations.
    """

    reason = ""
    fresh_until = math.inf

    def __init__(self, runner: aio.Runner) -> None:
        self.runner = runner
        self.stats = Stats()

    async def read(self, op: Op[T]) -> tuple[T, bool]:
        """Run an operation."""
        return await self.runner.run(op), True

    async def batch(self, ops: Sequence[Op[Any]]) -> tuple[list[Any], list[bool]]:
        """Run operations together."""
        return await self.runner.batch(Batch(tuple(ops))), [True] * len(ops)

    async def write(self, op: Op[T], own: object = None) -> tuple[T, bool]:
        """Run an operation that changes keys."""
        return await self.runner.run(op), True

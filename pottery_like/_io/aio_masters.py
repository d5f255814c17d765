"""Several independent masters, asked together: :mod:`pottery_like._io.masters`, awaited."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from redis.exceptions import TimeoutError

from pottery_like._core.op import Op, Pause
from pottery_like._core.quorum import Answers, Ask, Consultation
from pottery_like._io import servers
from pottery_like._io.aio import Client, Runner
from pottery_like._io.health import GRACE, TIMEOUT, Health, failure

T = TypeVar("T")


class _Line:
    """The way to one master.  Cancelling what takes too long makes a pool of its own needless here."""

    def __init__(self, client: Client, timeout: float) -> None:
        self.client = client
        self.health = Health(timeout, servers.connection_arguments(client).get("socket_timeout"))
        self.runner = Runner(client)

    async def run(self, op: Op[Any]) -> Any:
        """Run the operation; return its result or its exception."""
        started = time.monotonic()
        try:
            result = await self.runner.run(op)
        except asyncio.CancelledError:
            self.health.failed(self.late(op), time.monotonic() - started)
            raise
        except Exception as error:
            self.health.failed(error, time.monotonic() - started)
            return error
        self.health.answered()
        return result

    def late(self, op: Op[Any]) -> Exception:
        """Return the error of an operation whose reply did not come in time."""
        return failure(self.client, op, TimeoutError("no reply in time"))


_lines: weakref.WeakValueDictionary[tuple[int, float], _Line] = weakref.WeakValueDictionary()


def _line(client: Client, timeout: float) -> _Line:
    # A line holds its client, so no other client has this id meanwhile.
    return _lines.get((id(client), timeout)) or _lines.setdefault((id(client), timeout), _Line(client, timeout))


class Masters:
    """Runs questions on one master or several.

    One master alone is asked as any container's server is: with its client's own retries and timeouts.

    :param clients: one client for each.
    :param timeout: how long to wait for a master, in seconds; a client's own ``socket_timeout`` may shorten it.
    """

    def __init__(self, clients: Sequence[Client], timeout: float = TIMEOUT) -> None:
        self.clients = tuple(clients)
        self._lines = [_line(client, timeout) for client in self.clients]

    def __len__(self) -> int:
        return len(self.clients)

    async def ask(self, ask: Ask[T]) -> Answers[T]:
        """Put one question to the masters.  Takes as long as the slowest of them, at most its timeout."""
        answers: Answers[T] = Answers({}, {})
        if len(self._lines) == 1:
            try:
                answers.results[0] = await self._lines[0].runner.run(ask.to(0))
            except Exception as error:
                answers.errors[0] = error
            return answers
        indexes = range(len(self)) if ask.among is None else sorted(ask.among)
        if ask.settled is None:
            await self._exchange(ask, indexes, answers)
            return answers
        trusted = [index for index in indexes if self._lines[index].health.trusted]
        await self._exchange(ask, trusted, answers)
        others = [index for index in indexes if index not in trusted]
        if ask.settled(answers.results.values()):
            answers.errors.update((index, self._lines[index].health.skipped()) for index in others)
        else:
            await self._exchange(ask, others, answers)
        return answers

    async def drive(self, consultation: Consultation[T]) -> T:
        """Run a consultation to its end and return its result."""
        try:
            step = next(consultation)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(consultation)
                else:
                    step = consultation.send(await self.ask(step))
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def _exchange(self, ask: Ask[T], indexes: Collection[int], answers: Answers[T]) -> None:
        started = time.monotonic()
        tasks = {asyncio.create_task(self._lines[index].run(ask.to(index))): index for index in indexes}
        try:
            await self._receive(ask, tasks, answers, started)
        finally:
            for task in tasks:
                task.cancel()
            # A cancelled exchange closes its connection: that must be over before anybody uses it again.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(
        self, ask: Ask[T], tasks: dict[asyncio.Task[Any], int], answers: Answers[T], started: float
    ) -> None:
        settled, until = ask.settled, float("inf")
        while tasks:
            if settled is not None and settled(answers.results.values()):
                until, settled = time.monotonic() + GRACE, None
            ends = {task: min(until, started + self._lines[index].health.timeout) for task, index in tasks.items()}
            left = max(0.0, min(ends.values()) - time.monotonic())
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index, result = tasks.pop(task), task.result()
                if isinstance(result, Exception):
                    answers.errors[index] = result
                else:
                    answers.results[index] = result
            if not done:
                now = time.monotonic()
                late = [task for task, end in ends.items() if end <= now]
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
                for task in late:
                    index = tasks.pop(task)
                    answers.errors[index] = self._lines[index].late(ask.to(index))

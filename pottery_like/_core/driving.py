"""Running a program: somebody else takes its steps, and it goes on with their results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

StepT = TypeVar("StepT")
T = TypeVar("T")


def drive(program: Generator[StepT, Any, T], take: Callable[[StepT], Any], first: StepT | None = None) -> T:
    """Run a program to its end and return its result.

    :param take: takes a step and returns its result; the exception that it raises instead is raised in the program.
    :param first: the step that it has yielded already.
    """
    try:
        step = next(program) if first is None else first
        while True:
            try:
                result = take(step)
            except BaseException as error:
                step = program.throw(error)
            else:
                step = program.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def drive_later(program: Generator[StepT, Any, T], take: Callable[[StepT], Awaitable[Any]]) -> T:
    """:func:`drive`, awaiting each step."""
    try:
        step = next(program)
        while True:
            try:
                result = await take(step)
            except BaseException as error:
                step = program.throw(error)
            else:
                step = program.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value

"""An operation on a container, as a value.

An :class:`Op` says what to send and how to read the reply.  It holds no client and does no I/O, so one
description serves the synchronous and the asyncio world, a pipeline and a test that has no server at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pottery_like._core.keys import slot
from pottery_like._core.lua import Script

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

Argument = bytes | int


@dataclass(frozen=True, slots=True)
class Op(Generic[T_co]):
    """One exchange with the server: one Redis command, or one Lua script.

    :param command: the command's name (further words, such as a subcommand, follow after a space), or a script.
    :param keys: the keys it touches; in a cluster they must share a hash slot, see :attr:`slot`.
    :param args: what follows the keys.
    :param decode: turns the reply into the result, or raises what the builtin would raise.
    :param idempotent: whether a second execution leaves the same state and gives the same answer, so that the
        runner may send it again when the first reply is lost.
    """

    command: str | Script
    keys: tuple[bytes, ...]
    args: tuple[Argument, ...]
    decode: Callable[[Any], T_co]
    idempotent: bool

    @property
    def slot(self) -> int:
        """The hash slot of its keys.

        :raises ValueError: they are in different ones.  In a cluster this comes before anything is sent.
        """
        first, *others = self.keys
        for key in others:
            if slot(key) != slot(first):
                raise ValueError(f"{self.name}: keys {first!r} and {key!r} are not in one hash slot")
        return slot(first)

    @property
    def name(self) -> str:
        """What an error message calls this operation."""
        command = self.command
        return command if isinstance(command, str) else command.name

    def argv(self) -> tuple[Argument | str, ...]:
        """The words to send.  A script goes as ``EVALSHA``."""
        command = self.command
        if isinstance(command, Script):
            return ("EVALSHA", command.sha1, len(self.keys), *self.keys, *self.args)
        if " " in command:
            return (*command.split(), *self.keys, *self.args)
        return (command, *self.keys, *self.args)

    def eval_argv(self) -> tuple[Argument | str, ...]:
        """The words to send where the server may not have the script yet."""
        command = self.command
        if isinstance(command, Script):
            return ("EVAL", command.source, len(self.keys), *self.keys, *self.args)
        return self.argv()


class Packed(tuple["Argument | str", ...]):
    """Words that are in the protocol's form already.

    :ivar data: that form.
    """

    data: bytes

    def __new__(cls, data: bytes) -> Packed:
        """Wrap what is to be sent."""
        words = super().__new__(cls)
        words.data = data
        return words


def packed_word(word: bytes) -> bytes:
    """Return a word in the protocol's form."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


@dataclass(frozen=True, slots=True)
class PackedOp(Op[T_co]):
    """An operation whose words are packed by whoever makes it: most of them are the same each time.

    It is for a runner's ``run()``, and no part of a batch or a program.

    :param data: the words in the protocol's form, for a script that the server has.
    """

    data: bytes

    def argv(self) -> tuple[Argument | str, ...]:
        """The words to send.  A script goes as ``EVALSHA``."""
        return Packed(self.data)


@dataclass(frozen=True, slots=True)
class NodeOp(Op[T_co]):
    """A command about the server that holds the keys: they say where it goes, and are not sent."""

    def argv(self) -> tuple[Argument | str, ...]:
        """The words to send."""
        return (*str(self.command).split(), *self.args)


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """An answer that needs no exchange: nothing is sent."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Batch:
    """Operations sent together and answered together: one round trip for each server they go to.

    :param ops: the operations, each decoded by its own ``decode``; the step's result is the list of results.
    :param atomic: run them as one ``MULTI``/``EXEC`` transaction; all keys must then share a slot.
    """

    ops: tuple[Op[Any], ...]
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, without occupying a connection.

    :param seconds: how long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Take(Generic[T_co]):
    """Run an operation that takes something away, and put it back if the caller has gone meanwhile (cancelled).

    :param op: the operation.
    :param undo: the operation that puts back what a reply brought; None where it brought nothing.
    """

    op: Op[T_co]
    undo: Callable[[Any], Op[Any] | None]


@dataclass(frozen=True, slots=True)
class Wait(Generic[T_co]):
    """Wait on the server, which holds its reply back until there is something to say.

    The step's result is the operation's; its ``decode`` is given None when nothing came in time.

    :param op: the operation that waits for so many seconds at most.
    :param seconds: how long in all; ``math.inf`` for no end.
    :param undo: the operation that puts back what a reply brought, when its caller has gone (cancelled or interrupted).
    :param notice: the reply is only a notice to look again, and so is a connection that broke and is repaired.
    """

    op: Callable[[float], Op[T_co]]
    seconds: float
    undo: Callable[[Any], Op[Any] | None]
    notice: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Elements that an iteration hands to its consumer, to be read once."""

    items: Iterable[Any]


Task = Op[T] | Done[T]
"""What a container's method comes down to."""

Program = Generator[Op[Any] | Batch | Pause | Take[Any] | Wait[Any], Any, T]
"""Work of several exchanges: yields steps, is sent their results, returns its own."""

Paging = Generator[Op[Any] | Batch | Page, Any, None]
"""An iteration: yields steps, and pages of elements for the consumer."""


def ok(reply: Any) -> None:
    """Decode a reply that says nothing beyond "done"."""

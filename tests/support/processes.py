"""Processes of their own for the tests of races.

Those of ``context`` are forked from a process that has imported what takes half a second to import and that has no
connections and no threads, so that they start at once and share nothing with the tests.

None lives for longer than ``LIMIT``, and nobody waits for a dead one's words, so that what hangs fails.
"""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from tests.support.servers import stop_all

LIMIT = 90 + float(os.environ.get("HISTORY_SECONDS", "3"))
"""Seconds that a process may live."""

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["redis.asyncio", "pottery_like"])
fork = multiprocessing.get_context("fork")
spawn = multiprocessing.get_context("spawn")


class Child:
    """A process, which is started at once.

    :param context: how it is made.
    :param target: what it runs.
    :param arguments: what that is given; with ``talks`` a connection to this process comes first.
    """

    def __init__(self, context: Any, target: Callable[..., Any], *arguments: Any, talks: bool = False) -> None:
        self._connection, theirs = context.Pipe() if talks else (None, None)
        if talks:
            arguments = theirs, *arguments
        self.process: Any = context.Process(target=_limited, args=(target, arguments))
        self.process.start()
        if theirs is not None:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return int(self.process.pid)

    def hear(self, seconds: float = LIMIT) -> Any:
        """Return what it says; fail if it has ended or is silent."""
        assert self._connection.poll(seconds), f"the process has said nothing for {seconds} s"
        try:
            return self._connection.recv()
        except EOFError:
            self.process.join(1)
            raise AssertionError(f"the process has ended with {self.process.exitcode}") from None

    def tell(self, what: Any) -> None:
        """Say something to it."""
        self._connection.send(what)

    def end(self, seconds: float = LIMIT + 5) -> None:
        """Wait until it ends by itself; fail if it doesn't, or not well."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
        assert code == 0, f"the process has ended with {code}"


def _limited(target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Not faulthandler's own timer, which waits for itself in a child that was forked while pytest's ran.
    timer = threading.Timer(LIMIT, _give_up)
    timer.daemon = True
    timer.start()
    target(*arguments)


def _give_up() -> None:
    faulthandler.dump_traceback(sys.__stderr__ or 2)
    os._exit(86)


def alone(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a process of its own and with servers of its own: for what counts threads or connections."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        child = Child(context, _call, test.__module__, test.__name__, arguments, named, talks=True)
        failure = child.hear()
        assert failure is None, failure
        child.end()

    return run


def _call(connection: Any, module: str, name: str, arguments: Any, named: Any) -> None:
    try:
        getattr(importlib.import_module(module), name).__wrapped__(*arguments, **named)
    except BaseException:
        connection.send(traceback.format_exc())
    else:
        connection.send(None)
    finally:
        stop_all()

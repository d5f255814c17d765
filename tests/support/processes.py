"""Processes of their own for the tests of races.

They are forked from a process that has imported what takes half a second to import and that has no connections and
no threads, so that they start at once and share nothing with the tests.
"""

from __future__ import annotations

import importlib
import multiprocessing
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from tests.support.servers import stop_all

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["redis.asyncio", "pottery_like"])


def alone(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a process of its own and with servers of its own: for what counts threads or connections."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_call, args=(theirs, test.__module__, test.__name__, arguments, named))
        child.start()
        theirs.close()
        try:
            failure = ours.recv()
        except EOFError:
            failure = "the process has ended"
        child.join()
        assert failure is None, failure

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

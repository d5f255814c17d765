"""Processes of their own for the tests of races.

They are forked from a process that has imported what takes half a second to import and that has no connections and
no threads, so that they start at once and share nothing with the tests.
"""

from __future__ import annotations

import multiprocessing

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["redis.asyncio", "pottery_like"])

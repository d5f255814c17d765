"""Producers and consumers for test_queues.py, run in processes of their own."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable
from typing import Any

import redis as redispy
from redis.backoff import NoBackoff
from redis.retry import Retry

from pottery_like import RedisQueue, RedisSimpleQueue
from pottery_like.exceptions import LeaseLostError, OutcomeUnknownError

KEY = "race"


def client(port: int) -> Any:
    return redispy.Redis(port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def write(path: str, line: str) -> None:
    """Append a line in one write, which a kill can't tear."""
    with open(path, "ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def persistently(call: Callable[[], None]) -> bool:
    """Make a call, again while the server can't be reached; False when it may or may not have run."""
    while True:
        try:
            call()
        except OutcomeUnknownError:
            return False
        except redispy.ConnectionError:
            time.sleep(0.02)
        else:
            return True


def produce(cls: type[Any], port: int, name: int, number: int, path: str) -> None:
    """Put items, and write down which of them are certainly in the queue, and which perhaps."""
    items = cls(redis=client(port), key=KEY)
    for index in range(number):
        item = f"{name}-{index}"
        sure = persistently(lambda: items.put(item))  # noqa: B023
        write(path, f"{item} {'put' if sure else 'perhaps'}")


def consume(port: int, path: str, patience: float) -> None:
    """Take items until there have been none for a while."""
    items: RedisSimpleQueue[str] = RedisSimpleQueue(redis=client(port), key=KEY)
    while True:
        try:
            item = items.get(timeout=patience)
        except queue.Empty:
            return
        except OutcomeUnknownError:
            write(path, "unknown")
        except redispy.ConnectionError:
            time.sleep(0.02)
        else:
            write(path, item)


def work(port: int, path: str, patience: float) -> None:
    """Process items under a lease until all are finished."""
    items: RedisQueue[str] = RedisQueue(redis=client(port), key=KEY)
    while True:
        try:
            with items.processing(timeout=patience, lease=1) as item:
                write(path, f"{item} {os.getpid()}")
                time.sleep(0.001)
        except queue.Empty:
            return
        except (LeaseLostError, redispy.ConnectionError):
            time.sleep(0.02)

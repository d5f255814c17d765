"""Asking a probabilistic container for many elements at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from pottery_like._core.lua import CHUNK
from pottery_like._core.op import Op, Program
from pottery_like._ops.common import chunks, in_batches


def answers(reply: bytes) -> list[bool]:
    """Decode a string of ones and zeros.

    >>> answers(b"101")
    [True, False, True]
    """
    return [digit == 49 for digit in reply]


def tested(
    spellings: Iterable[tuple[bytes, ...]],
    test: Callable[[Sequence[bytes], Callable[[list[bool]], list[bool]]], Op[list[bool]]],
) -> Program[list[bool]]:
    """Return for each element whether one of its texts is there: one exchange; pipelined chunks beyond a thousand.

    :param test: makes the operation that answers for a list of texts.
    """
    wanted = list(spellings)
    texts = [text for each in wanted for text in each]
    found: list[Any] = []
    if len(texts) > CHUNK:
        for part in (yield from in_batches(test(part, list) for part in chunks(texts))):
            found += part
    elif texts:
        found = yield test(texts, list)
    answers_left = iter(found)
    return [any(list(islice(answers_left, len(each)))) for each in wanted]

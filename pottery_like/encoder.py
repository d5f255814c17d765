"""Containers inside ``json.dumps``."""

from __future__ import annotations

import json
from typing import Any

from pottery_like.dict import RedisDict
from pottery_like.sequence import RedisSequence
from pottery_like.set import RedisSet


class PotteryEncoder(json.JSONEncoder):
    """Writes containers as the JSON of what they hold: ``json.dumps(x, cls=PotteryEncoder)``.

    >>> tel = RedisDict({'jack': 4098}, redis=redis, key='encoded')
    >>> json.dumps({'tel': tel}, cls=PotteryEncoder)
    '{"tel": {"jack": 4098}}'

    Nothing is patched: without ``cls=PotteryEncoder``, json.dumps refuses a container, as it refuses any object that
    it doesn't know.  Sets become arrays.  One round trip for each container.
    """

    def default(self, o: Any) -> Any:
        """Return what to write for a container."""
        if isinstance(o, RedisDict):
            return o.to_dict()
        if isinstance(o, RedisSet):
            return list(o.to_set())
        if isinstance(o, RedisSequence):
            return o.to_list()
        return super().default(o)

"""Redis-backed containers that work like Python's own."""

from pottery_like.aio.dict import AIORedisDict
from pottery_like.aio.simplequeue import AIORedisSimpleQueue
from pottery_like.dict import RedisDict
from pottery_like.embedded import embedded
from pottery_like.simplequeue import RedisSimpleQueue

__all__ = ["AIORedisDict", "AIORedisSimpleQueue", "RedisDict", "RedisSimpleQueue", "embedded"]

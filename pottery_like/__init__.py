"""Redis-backed containers that work like Python's own."""

from pottery_like.aio.dict import AIORedisDict
from pottery_like.dict import RedisDict
from pottery_like.embedded import embedded

__all__ = ["AIORedisDict", "RedisDict", "embedded"]

"""Redis-backed containers that work like Python's own."""

from pottery_like import et
from pottery_like._ops.flip_back import FlipConflict
from pottery_like._ops.flip_core import FlipStats
from pottery_like._ops.queue import QueueCounts
from pottery_like.aio.bloom import AIOBloomFilter
from pottery_like.aio.cachedordereddict import AIOCachedOrderedDict
from pottery_like.aio.counter import AIORedisCounter
from pottery_like.aio.deque import AIORedisDeque
from pottery_like.aio.dict import AIORedisDict
from pottery_like.aio.flipcache import AIOFlipCache
from pottery_like.aio.hyperloglog import AIOHyperLogLog
from pottery_like.aio.list import AIORedisList
from pottery_like.aio.nextid import AIONextID
from pottery_like.aio.queue import AIODelivery, AIORedisQueue
from pottery_like.aio.redlock import AIORedlock
from pottery_like.aio.set import AIORedisSet
from pottery_like.aio.shared import AIORedisRWLock, AIORedisSemaphore
from pottery_like.aio.simplequeue import AIORedisSimpleQueue
from pottery_like.bloom import BloomFilter
from pottery_like.cachedordereddict import CachedOrderedDict
from pottery_like.codecs import Codec, DataclassCodec, JSONCodec, MsgpackCodec, PickleCodec, TypedCodec
from pottery_like.counter import RedisCounter
from pottery_like.deque import RedisDeque
from pottery_like.dict import RedisDict
from pottery_like.embedded import EmbeddedServer, embedded
from pottery_like.encoder import PotteryEncoder
from pottery_like.exceptions import (
    BypassedWarning,
    ConcurrentEditError,
    DecodeError,
    EmbeddedServerWarning,
    ExtendUnlockedLock,
    FilterFullError,
    FilterParametersError,
    FlipConflictWarning,
    InefficientAccessWarning,
    KeyExistsError,
    LeaseLostError,
    OutcomeUnknownError,
    PotteryError,
    PotteryWarning,
    PrimitiveError,
    QueueEmptyError,
    QueueFullError,
    QuorumIsImpossible,
    QuorumNotAchieved,
    RandomKeyError,
    ReleaseUnlockedLock,
    ServerNotFoundError,
    TooManyExtensions,
    UnwrittenWarning,
    WrongTypeError,
)
from pottery_like.flipcache import FlipCache
from pottery_like.hyperloglog import HyperLogLog
from pottery_like.list import RedisList
from pottery_like.localdicts import FIFODict, LRUDict
from pottery_like.nextid import NextID
from pottery_like.queue import Delivery, RedisQueue
from pottery_like.redis_cache import redis_cache
from pottery_like.redlock import Redlock
from pottery_like.set import RedisSet
from pottery_like.shared import RedisRWLock, RedisSemaphore
from pottery_like.simplequeue import RedisSimpleQueue
from pottery_like.synchronize import synchronize
from pottery_like.timer import ContextTimer
from pottery_like.ttldict import LFUDict, TTLDict

__all__ = [
    "AIOBloomFilter",
    "AIOCachedOrderedDict",
    "AIODelivery",
    "AIOFlipCache",
    "AIOHyperLogLog",
    "AIONextID",
    "AIORedisCounter",
    "AIORedisDeque",
    "AIORedisDict",
    "AIORedisList",
    "AIORedisQueue",
    "AIORedisRWLock",
    "AIORedisSemaphore",
    "AIORedisSet",
    "AIORedisSimpleQueue",
    "AIORedlock",
    "BloomFilter",
    "BypassedWarning",
    "CachedOrderedDict",
    "Codec",
    "ConcurrentEditError",
    "ContextTimer",
    "DataclassCodec",
    "DecodeError",
    "Delivery",
    "EmbeddedServer",
    "EmbeddedServerWarning",
    "ExtendUnlockedLock",
    "FIFODict",
    "FilterFullError",
    "FilterParametersError",
    "FlipCache",
    "FlipConflict",
    "FlipConflictWarning",
    "FlipStats",
    "HyperLogLog",
    "InefficientAccessWarning",
    "JSONCodec",
    "KeyExistsError",
    "LFUDict",
    "LRUDict",
    "LeaseLostError",
    "MsgpackCodec",
    "NextID",
    "OutcomeUnknownError",
    "PickleCodec",
    "PotteryEncoder",
    "PotteryError",
    "PotteryWarning",
    "PrimitiveError",
    "QueueCounts",
    "QueueEmptyError",
    "QueueFullError",
    "QuorumIsImpossible",
    "QuorumNotAchieved",
    "RandomKeyError",
    "RedisCounter",
    "RedisDeque",
    "RedisDict",
    "RedisList",
    "RedisQueue",
    "RedisRWLock",
    "RedisSemaphore",
    "RedisSet",
    "RedisSimpleQueue",
    "Redlock",
    "ReleaseUnlockedLock",
    "ServerNotFoundError",
    "TTLDict",
    "TooManyExtensions",
    "TypedCodec",
    "UnwrittenWarning",
    "WrongTypeError",
    "embedded",
    "et",
    "redis_cache",
    "synchronize",
]

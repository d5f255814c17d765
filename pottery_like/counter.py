"""RedisCounter: ``collections.Counter`` in Redis."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat, starmap
from typing import Any, ClassVar, NoReturn, TypeVar

from typing_extensions import Self

from pottery_like import _counts
from pottery_like._core.op import Task
from pottery_like._io.sync import Client
from pottery_like._ops.counter import CounterOps
from pottery_like._ops.dict import MISSING
from pottery_like.codecs import Codec
from pottery_like.dict import RedisDict

K = TypeVar("K")
T = TypeVar("T")


class RedisCounter(RedisDict[K, int]):
    """A counter in Redis that works like ``collections.Counter``.

    >>> words = RedisCounter(['red', 'blue', 'red'], redis=redis, key='words')
    >>> words['red'] += 1
    >>> words.update(['green', 'blue'])
    >>> words
    RedisCounter{'red': 3, 'blue': 2, 'green': 1}

    Every method is one round trip and atomic, and no increment of any process or thread is lost: ``c[key] += n``,
    ``-=``, :meth:`increment`, :meth:`update` and :meth:`subtract` add on the server.  What differs from ``Counter``:

    - Counts are int (of any size), float or bool; storing anything else raises TypeError, and an infinity or NaN
      ValueError.  A count that another program stored and that is no number raises TypeError in arithmetic.
    - Elements are as RedisDict's keys; so are their order and iteration.
    - ``c[key]`` is an ``int`` or ``float`` of a private subclass, which makes ``c[key] += n`` an increment.  An
      increment never goes out twice.  Writes of this thread between the two halves of ``x = c[key]`` and
      ``c[key] = x + 1`` are respected, as with Counter, when they were made through a RedisCounter.
    - Many occurrences of an element are added at once, which may round a float count otherwise than one by one.
    - ``+``, ``-``, ``|`` and ``&`` take a Counter or RedisCounter and return a plain ``Counter``.
    - For a plain copy use :meth:`to_counter`: Python makes ``Counter(c)`` and ``dict(c)`` read key by key.

    :param arg: an iterable of elements, or a mapping of elements to counts, to start with.
    :param kwargs: further counts of ``str`` elements (other than the parameters' names).
    :param codec: how elements become bytes; counts are JSON numbers always.
    :param redis: see :class:`~pottery_like.base.Container`, as ``key`` and ``redis_url``.
    :raises KeyExistsError: there are elements to start with, but the key exists.  Nothing is changed then.
    """

    _OPS: ClassVar[Any] = CounterOps
    _ops: CounterOps[K]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        arg: Any = (),
        /,
        *,
        redis: Client | str | None = None,
        key: str = "",
        codec: Codec[Any] | None = None,
        redis_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arg, redis=redis, key=key, codec=codec, redis_url=redis_url, **kwargs)
        _counts.replaced(self._ops.key)

    def _run(self, op: Task[T]) -> T:
        _counts.about_to(op)
        return super()._run(op)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, **options: Any) -> NoReturn:
        """Not defined, as for Counter: ``RedisCounter(iterable)`` counts.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError(f"{cls.__name__}.fromkeys() is undefined.  Use {cls.__name__}(iterable) instead.")

    def __missing__(self, key: K) -> int:
        """Return the count of what isn't there: 0."""
        return 0

    def __getitem__(self, key: K) -> int:
        """``c[key]``: 0 when it isn't there.  O(1), 1 round trip."""
        field = self._ops.members.find(key)
        if field is None:
            return self.__missing__(key)
        reading = _counts.Reading(self.redis, self._ops.key, field)
        value: Any = self._run(self._ops.lookup(key, MISSING))
        if value is not MISSING:
            return reading.result(value, value)  # type: ignore[no-any-return]
        return reading.result(0, self.__missing__(key))  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: int) -> None:
        """``c[key] = value``, and ``c[key] += n``, which adds on the server.  O(1), 1 round trip, atomic.

        Incrementing a float, or an integer beyond 64 bits, that another process made such meanwhile takes 2.

        :raises TypeError: ``value`` is no number.
        :raises ValueError: ``value`` is infinite or NaN.
        """
        field = self._ops.members.encode(key)
        sum_ = _counts.increment(value, self.redis, self._ops.key, field)
        if sum_ is None:
            super().__setitem__(key, value)
        else:
            _counts.added(self._ops.key, field)
            self._drive(self._ops.increment(key, sum_.amount, sum_.read, value))

    def __delitem__(self, key: K) -> None:
        """``del c[key]``, which may be absent.  O(1), 1 round trip."""
        self._run(self._ops.discard(key))

    def increment(self, key: K, n: int = 1) -> int:
        """Add ``n`` to the count of ``key``, and return the new count.  O(1), 1 round trip, atomic.

        2 round trips when ``n`` is an integer, but the count a float or beyond 64 bits.

        :raises TypeError: ``n``, or the count, is no number.
        :raises ValueError: the sum would be infinite.
        :raises OverflowError: one is a float, and the other too large an integer to become one.
        """
        _counts.added(self._ops.key, self._ops.members.encode(key))
        return self._drive(self._ops.increment(key, n))  # type: ignore[no-any-return]

    def transform(self, key: K, function: Callable[[int], int]) -> int:
        """Replace the count of ``key`` by a function of it; see :meth:`RedisDict.transform`."""
        _counts.replaced(self._ops.key)
        return super().transform(key, function)

    def update(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Add counts: of an iterable's elements, or those of a mapping, and ``kwargs``.

        O(n), 1 round trip, atomic; beyond a thousand elements, pipelined in chunks that are each atomic.  A
        RedisCounter on the same client (and in one slot of a cluster) is added on the server; another is read first.

        :raises TypeError: a count is no number.  Nothing is changed then.
        :raises ValueError: a count would become infinite.  Nothing is changed then.
        :raises OverflowError: a float meets too large an integer.  Nothing is changed then.
        """
        self._add(self._ops.update, arg, kwargs)

    def subtract(self, arg: Any = (), /, **kwargs: Any) -> None:
        """Subtract counts, otherwise as :meth:`update`; counts may become zero and negative."""
        self._add(self._ops.subtract, arg, kwargs)

    def _add(self, method: Callable[[Any, Mapping[str, Any]], Any], arg: Any, kwargs: Mapping[str, Any]) -> None:
        given = self._given(arg)
        _counts.added(self._ops.key)
        self._drive(method(given, kwargs))

    def elements(self) -> Iterator[K]:
        """Iterate over the elements, each as often as its count says.  O(n), 1 round trip per thousand."""
        return chain.from_iterable(starmap(repeat, self._iterate(self._ops.scan_items())))

    def most_common(self, n: int | None = None) -> list[tuple[K, int]]:
        """Return the ``n`` commonest elements and their counts, or all; ties in the hash's order.

        O(N log n), 1 round trip.
        """
        limit = None if n is None else operator.index(n)
        return self.to_counter().most_common(limit)

    def total(self) -> int:
        """Return the sum of the counts, made on the server while they are integers.  O(n), 1 round trip, atomic."""
        return self._run(self._ops.total())  # type: ignore[no-any-return]

    def to_counter(self) -> Counter[K]:
        """Return a plain Counter.  O(n), 1 round trip, atomic."""
        return self._run(self._ops.to_counter())

    def _given(self, arg: Any) -> Any:
        """Return the operations of a counter that the server can combine with this one, else what ``arg`` holds."""
        if isinstance(arg, RedisCounter) and self.redis is arg.redis and self._ops.combines_with(arg._ops):
            return arg._ops
        if isinstance(arg, RedisDict):
            return arg.to_dict()
        return () if arg is None else arg

    def _with(self, other: Any, function: Callable[[Counter[Any], Counter[Any]], Any]) -> Any:
        """Apply ``function`` to the two counters, read in one round trip."""
        if isinstance(other, RedisCounter):
            if self.redis is other.redis:
                return function(*self._drive(self._ops.both(other._ops)))
            return function(self.to_counter(), other.to_counter())
        return function(self.to_counter(), other) if isinstance(other, Counter) else NotImplemented

    def __add__(self, other: Counter[K] | RedisCounter[K]) -> Counter[K]:
        """``c + other``: a Counter of the positive sums.  O(n), 1 round trip."""
        return self._with(other, operator.add)  # type: ignore[no-any-return]

    def __radd__(self, other: Counter[K]) -> Counter[K]:
        """``other + c``."""
        return self._with(other, lambda mine, theirs: theirs + mine)  # type: ignore[no-any-return]

    def __sub__(self, other: Counter[K] | RedisCounter[K]) -> Counter[K]:
        """``c - other``: a Counter of the positive differences.  O(n), 1 round trip."""
        return self._with(other, operator.sub)  # type: ignore[no-any-return]

    def __rsub__(self, other: Counter[K]) -> Counter[K]:
        """``other - c``."""
        return self._with(other, lambda mine, theirs: theirs - mine)  # type: ignore[no-any-return]

    def __or__(self, other: Counter[K] | RedisCounter[K]) -> Counter[K]:  # type: ignore[override]
        """``c | other``: a Counter of the larger counts, if positive.  O(n), 1 round trip."""
        return self._with(other, operator.or_)  # type: ignore[no-any-return]

    def __ror__(self, other: Counter[K]) -> Counter[K]:  # type: ignore[override]
        """``other | c``."""
        return self._with(other, lambda mine, theirs: theirs | mine)  # type: ignore[no-any-return]

    def __and__(self, other: Counter[K] | RedisCounter[K]) -> Counter[K]:
        """``c & other``: a Counter of the smaller counts, if positive.  O(n), 1 round trip."""
        return self._with(other, operator.and_)  # type: ignore[no-any-return]

    def __rand__(self, other: Counter[K]) -> Counter[K]:
        """``other & c``."""
        return self._with(other, lambda mine, theirs: theirs & mine)  # type: ignore[no-any-return]

    def __pos__(self) -> Counter[K]:
        """``+c``: a Counter of the positive counts.  O(n), 1 round trip."""
        return +self.to_counter()

    def __neg__(self) -> Counter[K]:
        """``-c``: a Counter of the negative counts, negated.  O(n), 1 round trip."""
        return -self.to_counter()

    def __iadd__(self, other: Mapping[K, int]) -> Self:
        """``c += other``: add, and keep only positive counts.  O(n), 1 round trip, atomic.

        More than a thousand elements are sent in further round trips first, and then added at once.  Errors are
        those of :meth:`update`.
        """
        return self._combine("add", other, _counts.added)

    def __isub__(self, other: Mapping[K, int]) -> Self:
        """``c -= other``: subtract, and keep only positive counts; costs and errors as ``+=``."""
        return self._combine("subtract", other, _counts.added)

    def __ior__(self, other: Mapping[K, int]) -> Self:  # type: ignore[override]
        """``c |= other``: the larger counts, if positive; costs and errors as ``+=``."""
        return self._combine("union", other, _counts.replaced)

    def __iand__(self, other: Mapping[K, int]) -> Self:
        """``c &= other``: the smaller counts, if positive; costs and errors as ``+=``."""
        return self._combine("intersect", other, _counts.replaced)

    def _combine(self, verb: str, other: Any, note: Callable[[bytes], None]) -> Self:
        given = self._given(other)
        note(self._ops.key)
        self._drive(self._ops.combine(verb, given))
        return self

    def __eq__(self, other: object) -> bool:
        """``c == other``: for a counter, what is absent counts 0; else as a dict.  O(n), 1 round trip."""
        if isinstance(other, RedisCounter) and self.redis is other.redis and self.key == other.key:
            return True
        result: Any = self._with(other, operator.eq)
        return super().__eq__(other) if result is NotImplemented else bool(result)

    __hash__ = None

    def __le__(self, other: Counter[K] | RedisCounter[K]) -> bool:
        """``c <= other``: whether no count is larger than the other's.  O(n), 1 round trip."""
        return self._with(other, operator.le)  # type: ignore[no-any-return]

    def __lt__(self, other: Counter[K] | RedisCounter[K]) -> bool:
        """``c < other``: ``<=`` and not equal.  O(n), 1 round trip."""
        return self._with(other, operator.lt)  # type: ignore[no-any-return]

    def __ge__(self, other: Counter[K] | RedisCounter[K]) -> bool:
        """``c >= other``: whether no count is smaller than the other's.  O(n), 1 round trip."""
        return self._with(other, operator.ge)  # type: ignore[no-any-return]

    def __gt__(self, other: Counter[K] | RedisCounter[K]) -> bool:
        """``c > other``: ``>=`` and not equal.  O(n), 1 round trip."""
        return self._with(other, operator.gt)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        """Show all counts, the largest first.  O(n log n), 1 round trip."""
        counts = self.to_counter()
        try:
            shown = dict(counts.most_common())
        except TypeError:  # what another program stored can't be ordered
            shown = dict(counts)
        return f"{type(self).__qualname__}{shown}"

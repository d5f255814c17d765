"""When copies may be trusted, and what a listening connection brings: no server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like._core.coherence import BEATS, EARLY, Backoff, Pulse, Tiers, additions, minimal
from pottery_like._core.replies import Flush, Keys, Refusal, Replies
from tests.support.tracking import Copies

PREFIXES = st.lists(st.text("ab", max_size=4).map(str.encode), max_size=6)


def message(keys: list[bytes] | None) -> bytes:
    head = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
    if keys is None:
        return head + b"*-1\r\n"
    return head + b"*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)


ODD = st.sampled_from([b"\r\n", b"*3\r\n$7\r\nmessage\r\n", b"a\r\n$1\r\nb", b"x" * 2000])
KEYS = st.one_of(
    st.lists(st.binary(max_size=12) | ODD, max_size=5),
    # So many that they are taken apart at once, with or without odd ones.
    st.tuples(st.integers(60, 80), st.lists(ODD, max_size=2)).map(lambda it: [b"key"] * it[0] + it[1] + [b"end"]),
)
PIECES = st.one_of(
    KEYS.map(lambda keys: (message(keys), keys)),
    st.just((message(None), [Flush])),
    st.just((b"*2\r\n$4\r\npong\r\n$1\r\n0\r\n", [[b"pong", b"0"]])),
    st.just((b"-ERR no\r\n", ["ERR no"])),
    st.just((b"*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n", [[b"master", 7, []]])),
    st.just((b"+OK\r\n:5\r\n$-1\r\n", [b"OK", 5, None])),
)


@given(st.lists(PIECES, max_size=8), st.data())
def test_replies_however_they_are_cut(pieces: list[tuple[bytes, list[Any]]], data: st.DataObject) -> None:
    stream = b"".join(each for each, _ in pieces)
    expected = [item for _, items in pieces for item in items]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    replies, got = Replies(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        for reply in replies.feed(stream[start:end]):
            if isinstance(reply, Keys):
                got += reply
            else:
                got.append(Flush if isinstance(reply, Flush) else reply)
        assert len(replies._buffer) <= 2100, "no more than one word waits for its end"
    assert got == expected


def test_a_flush_as_older_servers_tell_it() -> None:
    (reply,) = Replies().feed(b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n")
    assert isinstance(reply, Flush)
    (refused,) = Replies().feed(b"-NOPERM no\r\n")
    assert isinstance(refused, Refusal)


def test_what_is_no_reply_is_refused() -> None:
    with pytest.raises(ValueError, match="not a reply"):
        list(Replies().feed(b"HTTP/1.1 1\r\n"))


@given(PREFIXES)
def test_minimal_prefixes_cover_the_same_without_overlap(prefixes: list[bytes]) -> None:
    found = minimal(prefixes)
    assert all(each.startswith(found) for each in prefixes)
    assert set(found) <= set(prefixes)
    assert not any(one != other and one.startswith(other) for one in found for other in found)


@given(PREFIXES, PREFIXES)
def test_additions_do_not_overlap_either(first: list[bytes], more: list[bytes]) -> None:
    registered = minimal(first)
    wanted = minimal([*registered, *more])
    added = additions(registered, wanted)
    if added is None:
        assert any(one != other and one.startswith(other) for one in registered for other in wanted)
    else:
        assert sorted([*registered, *added]) == sorted(wanted)


def test_a_pulse_counts_from_before_the_question() -> None:
    pulse = Pulse(1.0, 100.0)
    assert pulse.good_until == pytest.approx(100.9)
    assert pulse.listening_due == pulse.tracked_due == 100.0 + 1 / BEATS
    pulse.heard(100.5)
    assert pulse.good_until == pytest.approx(100.9), "the other connection has proved nothing yet"
    pulse.tracked(100.3)
    assert pulse.good_until == pytest.approx(101.2)
    pulse.tracked(50.0)
    assert pulse.good_until == pytest.approx(101.2), "an old answer proves nothing"


def test_backoff_grows_and_begins_anew() -> None:
    backoff = Backoff()
    pauses = [backoff.pause() for _ in range(12)]
    assert 0.02 < pauses[0] <= 0.05
    assert 2.5 <= pauses[-1] <= 5
    backoff.reset()
    assert backoff.pause() <= 0.05


def test_sweeps_come_early_and_at_the_earliest_wish() -> None:
    tiers, one, other = Tiers(), Copies(b"a:"), Copies(b"b:")
    one.next, other.next = 50.0, math.inf
    tiers.add(one, list)
    tiers.add(other, list)
    assert tiers.sweep(10.0) == 50.0 - EARLY
    assert one.sweeps == other.sweeps == [10.0 + EARLY]
    assert not tiers.wake(60.0), "somebody else's sweep comes before"
    assert tiers.wake(20.0)
    assert tiers.sweep(20.0 - EARLY) == 50.0 - EARLY
    assert one.sweeps[1:] == other.sweeps[1:] == [20.0]


def test_tiers_are_kept_weakly() -> None:
    tiers, gone = Tiers(), []
    tier = Copies(b"a:")
    tiers.add(tier, lambda: gone.append(1))
    assert (len(tiers), tiers.prefixes) == (1, (b"a:",))
    del tier
    assert (len(tiers), gone, tiers.sweep(1.0)) == (0, [1], math.inf)


class Failing(Copies):
    def invalidate(self, keys: Sequence[bytes]) -> None:
        raise RuntimeError("no")

    def sweep(self, now: float) -> float:
        raise RuntimeError("no")


def test_a_tier_that_fails_keeps_nothing_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    tiers, one, other = Tiers(), Failing(b"a:"), Copies(b"a:")
    for tier in (one, other):
        tier.values[b"a:1"] = b"old"
        tiers.add(tier, list)
    tiers.invalidate([b"a:1"])
    assert one.values == other.values == {}
    assert tiers.sweep(1.0) == math.inf
    assert (one.drops, len(told), len(other.sweeps)) == (2, 2, 1)

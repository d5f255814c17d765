"""What a wait does after each thing that can happen to it; no server."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    MaxConnectionsError,
    MovedError,
    ResponseError,
    TimeoutError,
)

from pottery_like._core.op import Op, Wait, ok
from pottery_like._io.waiting import LONGEST, SHORTEST, Waiting, keep_alive
from pottery_like._io.wire import Settings, Unsent
from pottery_like.exceptions import OutcomeUnknownError, WrongTypeError

INFO = b"id=7 addr=10.0.0.1:5000 laddr=10.0.0.2:6379 fd=8"
ONE = Settings(0, 2.0, False)
CLUSTER = Settings(0, 2.0, True)


def begun(seconds: float = math.inf, *, notice: bool = False, settings: Settings = ONE) -> Waiting:
    pop = lambda left: Op("BLPOP", (b"q",), (b"%.3f" % left,), ok, False)  # noqa: E731
    waiting = Waiting(
        None, Wait(pop, seconds, lambda reply: Op("LPUSH", (b"q",), (reply,), ok, False), notice), settings
    )
    waiting.next()
    return waiting


def test_slices() -> None:
    assert begun().next().args == (b"%.3f" % LONGEST,)
    assert begun(0.0).next().args == (b"%.3f" % SHORTEST,)
    assert float(begun(5).next().args[0]) == pytest.approx(5, abs=0.1)
    assert LONGEST < begun().due < LONGEST + 1


def test_an_empty_reply_ends_it_only_when_the_time_is_up() -> None:
    assert not begun().over(None)
    assert begun().over([b"q", b"x"])
    assert begun(0.0).over(None)


def test_a_broken_connection_is_closed_from_the_next() -> None:
    waiting = begun()
    assert waiting.words() == [("CLIENT", "INFO"), ("BLPOP", b"q", b"300.000")]
    waiting.told([INFO])
    assert waiting.after(ConnectionError()).pause == 0
    waiting.next()
    assert waiting.words()[0] == ("CLIENT", "KILL", "ID", b"7", "ADDR", b"10.0.0.1:5000")
    # No connection was had; the old one is still to be closed.
    assert waiting.after(Unsent(ConnectionError())).pause > 0
    waiting.next()
    assert len(waiting.words()) == 3
    waiting.told([0, INFO])
    assert len(waiting.words()) == 2
    assert waiting.unblock() == ("CLIENT", "UNBLOCK", b"7")


def test_servers_that_do_not_say_who_we_are() -> None:
    waiting = begun()
    waiting.told([ResponseError("NOPERM")])
    waiting.after(TimeoutError())
    assert len(waiting.words()) == 2
    assert waiting.unblock() is None


def test_a_notice_ends_when_the_connection_is_repaired() -> None:
    waiting = begun(notice=True)
    assert not waiting.over(None)
    waiting.after(ConnectionError())
    assert waiting.next().args == (b"%.3f" % SHORTEST,)
    assert waiting.over(None)


def test_attempts_after_the_first_take_their_time() -> None:
    waiting = begun()
    assert [waiting.after(error).pause > 0 for error in (BusyLoadingError(), BusyLoadingError())] == [False, True]
    waiting.over(None)
    assert waiting.after(ConnectionError()).pause == 0


def test_the_server_s_own_ends() -> None:
    assert begun().after(ResponseError("UNBLOCKED force unblock from blocking operation")).pause > 0
    attempt = begun(settings=CLUSTER).after(MovedError("5000 10.0.0.3:6379"))
    assert attempt.node == ("10.0.0.3", 6379)


@pytest.mark.parametrize("error", [AuthenticationError(), MaxConnectionsError()])
def test_what_waiting_does_not_mend(error: Any) -> None:
    with pytest.raises(type(error)):
        begun().after(Unsent(error))


def test_the_time_is_up() -> None:
    with pytest.raises(OutcomeUnknownError):
        begun(0.0).after(ConnectionError())
    with pytest.raises(ConnectionError) as caught:
        begun(0.0).after(Unsent(ConnectionError("refused")))
    assert not isinstance(caught.value, OutcomeUnknownError)
    with pytest.raises(WrongTypeError):
        begun().after(ResponseError("WRONGTYPE Operation against a key"))


def test_undo() -> None:
    undo = begun().undo(b"x")
    assert undo is not None
    assert undo.argv() == ("LPUSH", b"q", b"x")
    assert begun().undo(None) is None


def test_keep_alive() -> None:
    with socket.socket() as tcp:
        keep_alive(tcp)
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    keep_alive(None)

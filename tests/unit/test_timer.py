"""ContextTimer."""

from __future__ import annotations

import time

import pytest

from pottery_like.timer import ContextTimer


def test_measures_until_it_is_stopped() -> None:
    timer = ContextTimer()
    timer.start()
    time.sleep(0.02)
    running = timer.elapsed()
    assert isinstance(running, int)
    assert running >= 20
    time.sleep(0.01)
    timer.stop()
    stopped = timer.elapsed()
    assert stopped >= running + 9
    time.sleep(0.01)
    assert timer.elapsed() == stopped


def test_context_manager() -> None:
    with ContextTimer() as timer:
        time.sleep(0.02)
        assert timer.elapsed() >= 20
    stopped = timer.elapsed()
    assert stopped >= 20
    time.sleep(0.005)
    assert timer.elapsed() == stopped


def test_stops_when_the_block_raises() -> None:
    timer = ContextTimer()
    with pytest.raises(KeyError), timer:
        raise KeyError("the block's own")
    assert timer.elapsed() >= 0
    with pytest.raises(RuntimeError):
        timer.stop()


def test_wrong_order() -> None:
    timer = ContextTimer()
    with pytest.raises(RuntimeError, match="not been started"):
        timer.elapsed()
    with pytest.raises(RuntimeError, match="not been started"):
        timer.stop()
    timer.start()
    with pytest.raises(RuntimeError, match="is running"):
        timer.start()
    timer.stop()
    with pytest.raises(RuntimeError, match="has been stopped"):
        timer.start()
    with pytest.raises(RuntimeError, match="has been stopped"):
        timer.stop()
    with pytest.raises(RuntimeError), timer:
        pass

"""How threads wait behind the one that listens for all."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from pottery_like._io.hub import Hub, _Box


def led() -> Hub:
    """Return a hub where some other thread listens, which hears nothing."""
    hub = Hub()
    hub._leader[""] = _Box()
    return hub


def test_the_shortest_waits_end() -> None:
    hub, done = led(), threading.Event()

    def wait() -> None:
        for number in range(30_000):
            token = str(number)
            hub._boxes[token] = _Box()
            assert hub.wait(token, number % 60 * 2e-7, last=True) is None
            hub.forget(token)
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    assert done.wait(20)


def test_a_forked_child_is_told_of_no_leak() -> None:
    program = "from pottery_like._io import hub; assert hub.hub._waker; hub._renew()"
    command = [sys.executable, "-X", "dev", "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_comes_is_taken_in_order_by_who_waits() -> None:
    hub, found = led(), []
    box = hub._boxes["t"] = _Box()

    def wait() -> None:
        while (message := hub.wait("t", 10, last=False)) != "end":
            found.append(message)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    for number in range(2_000):
        box.put(str(number))
        if number % 7 == 0:
            time.sleep(0)
    box.put("end")
    waiting.join(20)
    assert found == [str(number) for number in range(2_000)]
    started = time.monotonic()
    assert hub.wait("t", 0.05, last=False) is None
    assert 0.05 <= time.monotonic() - started < 2

"""The end of a request's time: what computes is interrupted where it stands, without a thread that watches it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DeadlinePassed(BaseException):
    """Not an Exception, so that no model takes it for one of its own."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return ``call()``; DeadlinePassed where it takes longer. In the main thread it is interrupted at the next step of
    Python, so that a model that waits or loops is left; code in C is left when it returns. Elsewhere it is only told
    afterwards."""
    end = time.monotonic() + seconds
    if seconds <= 0:
        raise DeadlinePassed
    if threading.current_thread() is not threading.main_thread():
        result = call()
        if time.monotonic() > end:
            raise DeadlinePassed
        return result
    armed = True

    def ring(*_: object) -> None:
        if armed:
            raise DeadlinePassed

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        result = call()
        armed = False
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if time.monotonic() > end:
        raise DeadlinePassed
    return result

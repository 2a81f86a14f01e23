"""How often a task is tried again, and when: what ``databricks.yml`` says of it, as Databricks means it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from fstk.jobs.record import RunRecord

_STEP_SECONDS = 0.5  # how often a wait tells that it goes on
_FINAL = frozenset({"succeeded", "refused", "interrupted"})  # a gate that said no says it again


class Clock(Protocol):
    """What a wait asks for the time, and sleeps by."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Retries:
    """The names are those of a task in a bundle. ``max_retries`` -1 is without end; the interval lies between the start
    of the attempt that failed and that of the next."""

    max_retries: int = 0
    min_retry_interval_millis: int = 0
    retry_on_timeout: bool = False

    def allow(self, record: RunRecord) -> bool:
        """Whether the task that ended as ``record`` tells is tried again."""
        if record.status in _FINAL or (record.status == "timed out" and not self.retry_on_timeout):
            return False
        return self.max_retries < 0 or len(record.attempts) < self.max_retries

    def earliest(self, failed: RunRecord) -> datetime:
        """When the attempt after ``failed`` may begin."""
        return failed.started + timedelta(milliseconds=self.min_retry_interval_millis)

    def attempt(self, number: int) -> str:
        """Return attempt ``number`` (from 1) as a person reads it."""
        return f"attempt {number}" if self.max_retries < 0 else f"attempt {number} of {self.max_retries + 1}"


class TimeLimit:
    """The ``timeout_seconds`` of a job, which begin now; 0 is without limit."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock.now() + timedelta(seconds=seconds) if seconds else datetime.max.replace(tzinfo=UTC)

    def over(self) -> bool:
        return self._clock.now() >= self._end

    def within(self, seconds: float | None) -> float | None:
        """Return how long what begins now may take, where it may take ``seconds`` itself, None for no limit."""
        if not self.seconds:
            return seconds
        left = (self._end - self._clock.now()).total_seconds()
        return left if seconds is None else min(left, seconds)

    def earliest(self, instant: datetime) -> datetime:
        """Return ``instant``, or the end where that comes first."""
        return min(instant, self._end)


def repeat(attempt: Callable[[RunRecord | None], RunRecord], retries: Retries, limit: TimeLimit) -> RunRecord:
    """Return how the last attempt ended; each is given the record of the one before it, None the first. None is made
    when ``limit`` is over."""
    record = attempt(None)
    while retries.allow(record) and not limit.over():
        record = attempt(record)
    return record


def wait(until: datetime, tell: Callable[[float], None], clock: Clock) -> None:
    """Return at ``until``; ``tell`` is given the seconds left, once at least and then twice a second."""
    while True:
        left = max((until - clock.now()).total_seconds(), 0.0)
        tell(left)
        if not left:
            return
        clock.sleep(min(left, _STEP_SECONDS))

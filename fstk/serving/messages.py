"""What supervisor and worker tell each other, a JSON line each, and what a worker hands to the process of its log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from fstk.errors import FstkError

LOG_EVERY = 10.0
"""Seconds between two batches of a log."""
LENGTH = 4
"""Bytes of the length, little-endian, that stands before each entry of a log."""
EXPLAIN = "X-Fstk-Explain"
"""The header of a request for a prediction whose answer is to tell the features that were used, and their origin."""
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names where workers keep their counts; prometheus_client reads it when it is imported."""


class Subject(msgspec.Struct, frozen=True):
    """What is served, and what messages call it: a model by its address, or a feature set as its own text."""

    called: str
    model: str = ""
    features: str = ""


class Order(msgspec.Struct, frozen=True):
    """What a worker is to serve, on the listening socket ``fd``."""

    subject: Subject
    store: str | None
    fd: int
    deadline: float
    most_waiting: int
    log_table: str | None
    log_every: float


class Ready(msgspec.Struct, frozen=True):
    """What is served, ``example`` being a row that could be asked for, its ``columns`` by Spark type, or in ``error``
    why nothing is; ``address`` is told once all workers are ready."""

    name: str = ""
    version: int | str | None = None
    tables: int = 0
    features: int = 0
    example: dict[str, Any] = {}
    columns: dict[str, str] = {}
    address: str = ""
    error: str = ""
    exit_code: int = 0

    def failure(self) -> FstkError:
        """Return the error of what is not served, with its exit code."""
        failure = FstkError(self.error)
        failure.exit_code = self.exit_code
        return failure


class Entry(msgspec.Struct, frozen=True):
    """A request that was answered: by columns what it gave, but in the rows that ``absent`` names, and the features
    that were used; by joins, and their ``tables``, the status, event time and source version of what was found for each
    row."""

    at: datetime
    endpoint: str
    version: str
    latency: float
    given: dict[str, list[msgspec.Raw]]
    absent: dict[str, list[int]]
    features: dict[str, list[msgspec.Raw]]
    tables: list[str]
    found: list[list[tuple[str, datetime | None, int | None] | None]]
    predictions: list[msgspec.Raw]


class Logged(msgspec.Struct, frozen=True):
    """So many rows of the log are written, or lost."""

    rows: int
    written: bool


class News(msgspec.Struct, frozen=True):
    """What /health is to tell beside its own findings."""

    problems: tuple[str, ...]


def kept(model: str) -> str:
    """Return what /health tells of a ``model`` that was to be taken up."""
    return f"{model} cannot be served; what was served before goes on. The reason is in the log."

"""What supervisor and worker tell each other: one JSON line each."""

from __future__ import annotations

from typing import Any

import msgspec

from fstk.errors import FstkError

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


class Ready(msgspec.Struct, frozen=True):
    """What is served, ``example`` being a row that could be asked for, or in ``error`` why nothing is; ``address`` is
    told once all workers are ready."""

    name: str = ""
    version: int | str | None = None
    tables: int = 0
    features: int = 0
    example: dict[str, Any] = {}
    address: str = ""
    error: str = ""
    exit_code: int = 0

    def failure(self) -> FstkError:
        """Return the error of what is not served, with its exit code."""
        failure = FstkError(self.error)
        failure.exit_code = self.exit_code
        return failure


class News(msgspec.Struct, frozen=True):
    """What /health is to tell beside its own findings."""

    problems: tuple[str, ...]


def kept(model: str) -> str:
    """Return what /health tells of a ``model`` that was to be taken up."""
    return f"{model} cannot be served; what was served before goes on. The reason is in the log."

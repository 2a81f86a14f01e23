"""What supervisor and worker tell each other: one JSON line each."""

from __future__ import annotations

from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True):
    """What a worker is to serve, on the listening socket ``fd``."""

    model: str
    store: str | None
    fd: int
    deadline: float
    most_waiting: int


class Ready(msgspec.Struct, frozen=True):
    """What is served, ``example`` being a row that could be asked for, or in ``error`` why nothing is; ``address`` is
    told once all workers are ready."""

    name: str = ""
    version: int | None = None
    tables: int = 0
    features: int = 0
    example: dict[str, Any] = {}
    address: str = ""
    error: str = ""
    exit_code: int = 0


class News(msgspec.Struct, frozen=True):
    """What /health is to tell beside its own findings."""

    problems: tuple[str, ...]

"""Why a request is not answered, as HTTP says it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class Refusal(Exception):
    """An answer other than 200: one line of ``reason``, which repeats nothing of what was sent."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


def bad(reason: str) -> Refusal:
    """Return the refusal of a body that is not as it must be."""
    return Refusal(HTTPStatus.BAD_REQUEST, reason)

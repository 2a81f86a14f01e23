"""Ranges in seconds over columns of times, which older guides write."""

from __future__ import annotations

import warnings

from fstk.engines.ranges import whole_days_in_seconds
from fstk.lint.dated import RANGE_IN_SECONDS


def in_seconds() -> None:
    """Let ``rangeBetween`` take them, with a warning at each."""
    whole_days_in_seconds(lambda: warnings.warn(str(RANGE_IN_SECONDS), stacklevel=3))

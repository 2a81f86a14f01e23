"""How numbers are spread, as a line of bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LUMP = 0.6
"""More than this share of some numbers in one bin is no picture."""
_MARKS = "▁▂▃▄▅▆▇█"


def edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Return the edges of bins of one width, without the outermost values of some finite numbers."""
    low, high = np.quantile(values, [0.01, 0.99])
    return np.linspace(low, high, bins + 1) if low < high else np.linspace(values.min(), values.max(), bins + 1)


def shares(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return the share of finite numbers that is in each bin; what lies outside counts in the next one."""
    return np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0] / len(values)


def sparklines(sides: Sequence[np.ndarray]) -> list[str]:
    """Return a line per array of shares, all on one scale.

    >>> sparklines([np.array([0.0, 0.5, 1.0])])
    ['▁▅█']
    """
    top = max(float(side.max()) for side in sides) or 1.0
    return ["".join(_MARKS[round(share / top * (len(_MARKS) - 1))] for share in side) for side in sides]

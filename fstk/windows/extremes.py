"""Minimum and maximum over windows: tables of the extreme of every run of 2^k rows, two of which cover a window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fstk.windows.exact import Spans


def extremes(values: np.ndarray, spans: Spans, better: np.ufunc) -> np.ndarray:
    """Return the least (``better`` is np.minimum) or greatest (np.maximum) of ``values`` in each window, shaped as
    ``spans.low``; 0 where the window is empty."""
    low, length = spans.low.ravel(), spans.length.ravel()
    level = (np.frexp(length.astype(np.float64))[1] - 1).astype(np.int8)  # −1 for an empty window
    order = np.argsort(level, kind="stable")
    ends = np.searchsorted(level[order], np.arange(-1, spans.longest.bit_length()), side="right")
    out, table = np.zeros(len(length), values.dtype), values
    # Only one table is kept at a time: each window is answered at the level of its own length.
    for step, (start, end) in enumerate(pairwise(ends)):
        if step:
            half = 1 << (step - 1)
            table = better(table[:-half], table[half:])
        at = order[start:end]
        out[at] = better(table[low[at]], table[low[at] + length[at] - (1 << step)])
    return out.reshape(spans.low.shape)

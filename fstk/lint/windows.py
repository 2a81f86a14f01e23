"""Windows that hold the event which is to be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fstk.lint.report import Finding, percent
from fstk.windows.bounds import number_entities


def lint_windows(
    table: str,
    columns: Sequence[str],
    closed: str,
    labels: pa.Table,
    label_keys: Sequence[str],
    label_time: str,
    events: pa.Table,
    event_keys: Sequence[str],
    event_time: str,
) -> list[Finding]:
    """Name windows that contain the labelled event: closed at their end, and joined at the instant of an event.

    Args:
        table: where the windowed features are, for the message.
        columns: their names.
        closed: ``left``, ``right`` or ``both``, as the features were computed.
        labels: the labels or a sample of them, with their key columns and ``label_time``.
        events: the events that the windows were computed of; all events of the labels' entities.

    Key columns agree by position and type; times are TIMESTAMP, TIMESTAMP_NTZ (as UTC) or DATE (its midnight UTC).
    """
    if closed == "left" or not columns or not labels.num_rows:
        return []
    at_label, at_event = number_entities([(labels, label_keys, label_time), (events, event_keys, event_time)])
    known = at_label.entity >= 0
    moments = np.unique(at_event.time)
    rank = np.searchsorted(moments, at_label.time)
    rank[rank == len(moments)] = 0
    meets = known & (len(moments) > 0)
    if len(moments):
        meets &= moments[rank] == at_label.time
        pairs = at_event.entity * len(moments) + np.searchsorted(moments, at_event.time)
        meets &= np.isin(at_label.entity * len(moments) + rank, pairs)
    share = float(meets.mean())
    if share == 0:
        return []
    more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
    return [
        Finding(
            "holds-the-label",
            f"{table}.{columns[0]}{more}",
            f'closes at the label\'s own instant (closed="{closed}"): the event being predicted is counted.\n'
            f"{labels.num_rows:,} labels, {percent(share)} have an event at exactly {label_time}.",
            'closed="left" (the default), or shift the label.',
        )
    ]

"""Windows that hold the event which is to be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fstk.display import plural
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
    called: str = "label",
) -> list[Finding]:
    """Name windows that contain the labelled event: closed at their end, and joined at the instant of an event.

    ``columns`` of ``table`` are the windowed features, ``events`` what they were computed of: all events of the labels'
    entities; ``labels`` may be a sample, and rows of another kind, as they are ``called`` in the finding. Key columns
    agree by position and type; times are TIMESTAMP, TIMESTAMP_NTZ (as UTC) or DATE (its midnight UTC).
    """
    if closed == "left" or not columns or not labels.num_rows or not events.num_rows:
        return []
    at_label, at_event = number_entities([(labels, label_keys, label_time), (events, event_keys, event_time)])
    moments = np.unique(at_event.time)
    rank = np.searchsorted(moments, at_label.time)
    rank[rank == len(moments)] = 0
    pairs = at_event.entity * len(moments) + np.searchsorted(moments, at_event.time)
    meets = (at_label.entity >= 0) & (moments[rank] == at_label.time)
    meets &= np.isin(at_label.entity * len(moments) + rank, pairs)
    share = float(meets.mean())
    if share == 0:
        return []
    more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
    wrong = (
        f'closes at the {called}\'s own instant (closed="{closed}"): the event being predicted is counted.\n'
        f"{plural(labels.num_rows, called)}, {percent(share)} have an event at exactly {label_time}."
    )
    cure = f'closed="left" (the default), or shift the {called}.'
    return [Finding("holds-the-label", f"{table}.{columns[0]}{more}", wrong, cure)]

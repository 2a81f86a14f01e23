"""Pipelines of one process on trial: a function makes feature rows of events, as a notebook's cells would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from fstk.engines.types import schema_of
from fstk.proof.report import Proof
from fstk.proof.source import names_of_rows
from fstk.proof.trial import Asked, Trial, joins_of
from fstk.tables.spec import FeatureTable

Pipeline = Callable[[pa.Table], pa.Table]


def proof_of(
    make: Pipeline,
    events: pa.Table,
    keys: Sequence[str],
    time: str | None,
    labels: pa.Table | None = None,
    at: str | None = None,
) -> Proof:
    """Return the proof of the features that ``make`` makes of ``events``, which is called anew for each rewriting."""
    made = {"made": make(events)}
    table = FeatureTable("made", tuple(keys), time, schema_of(made["made"].schema))
    rows, when = (made["made"], str(time)) if labels is None else (labels, str(at))
    asked = Asked(rows, when, None, joins_of(rows, when, {"made": table}))
    entity = {key: key for key in keys if key in events.column_names}
    fixed = [*entity, *names_of_rows(events)]
    trial = Trial([asked], {"events": events}, {"events": entity}, {"events": fixed}, 500)
    return trial.proof("made", made, lambda rows: {"made": make(rows["events"])}, [])

"""Pictures of single labels, drawn of what an explanation says of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.keys import pair_ids
from fstk.engines.base import CHANGE_TYPE, COMMIT_TIMESTAMP, WRITTEN
from fstk.previews.loaded import LoadedJoin, LoadedRows
from fstk.previews.timeline import Timeline
from fstk.training.resolve import Join


def most_telling(answers: pa.Table) -> int | None:
    """Return the label row with most to tell: one that missed a row by little, else one that refused a later row; None
    when the explanation has none with a time."""
    timed = answers.filter(pc.field("status") != "null_timestamp")
    missed = timed.filter(pc.field("status") == "only_later_rows").sort_by("next_time")
    refused = timed.filter((pc.field("status") == "matched") & (pc.field("later_rows") > 0))
    for some in (missed, refused, timed):
        if some.num_rows:
            return some.column("label_row")[0].as_py()
    return None


def draw(joined: LoadedJoin, row: int) -> tuple[Timeline, ...]:
    """Return one picture per lookup with a time column, of the label in ``row``."""
    plan, label = joined.plan, joined.labels.slice(row, 1)
    answers = joined.answers.filter(pc.field("label_row") == row)
    pictures = []
    for place, number in enumerate(plan.joined):
        join = plan.joins[number]
        at = None if join.label_time is None else _moment(label.column(join.label_time)[0].as_py())
        if at is None or join.table_time is None:
            continue
        (answer,) = answers.filter(pc.field("lookup") == place).to_pylist()
        rows = moments(_of_entity(label, join, joined.engine.rows[join.source]), join.table_time)
        written = _written(label, join, joined.engine) if joined.as_known else None
        occurred: list[datetime] = []
        if join.table in joined.events:
            own = _of_entity(label, join, joined.events[join.table])
            occurred = moments(own, joined.sources[join.table].time)
        pictures.append(
            Timeline.of(
                entity=", ".join(f"{key} {label.column(key)[0].as_py()}" for key in join.label_keys),
                at=at,
                lookup=join.table,
                status=answer["status"],
                times=[*rows, *(written or ())],
                used=_moment(answer["feature_time"]),
                events=occurred,
                lookback=None if join.lookback is None else timedelta(microseconds=join.lookback),
                written=written,
            )
        )
    return tuple(pictures)


def _of_entity(label: pa.Table, join: Join, rows: pa.Table) -> pa.Table:
    _, entity, _ = pair_ids(label, join.label_keys, rows, join.table_keys)
    return rows.filter(pa.array(entity >= 0))


def _written(label: pa.Table, join: Join, rows: LoadedRows) -> dict[datetime, datetime]:
    """Return for each feature row's instant the commit that first wrote it."""
    changes = _of_entity(label, join, rows.changes(join.source))
    changes = changes.filter(pc.field(CHANGE_TYPE).isin(WRITTEN))
    first: dict[datetime, datetime] = {}
    times, commits = (changes.column(name).to_pylist() for name in (str(join.table_time), COMMIT_TIMESTAMP))
    for at, committed in zip(times, commits, strict=True):
        moment, commit = _moment(at), _moment(committed)
        if moment is not None and commit is not None:
            first[moment] = min(first.get(moment, commit), commit)
    return first


def moments(rows: pa.Table, column: str) -> list[datetime]:
    """Return the instants of a time column, without its nulls."""
    return [moment for value in rows.column(column).to_pylist() if (moment := _moment(value)) is not None]


def _moment(value: Any) -> datetime | None:
    """Return a TIMESTAMP, TIMESTAMP_NTZ (as UTC) or DATE (its midnight UTC) as an instant."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None

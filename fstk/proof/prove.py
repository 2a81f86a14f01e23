"""A notebook's features proven: of a source whose future is another, what labels see of them must not change."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fstk.columns.instants import instant as moment
from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.display import Displayed, Sheet, Stacked, instant, plural
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.engines.types import schema_of
from fstk.errors import InvalidInput
from fstk.previews.timeline import Timeline
from fstk.proof.compare import Difference, differences
from fstk.proof.scratch import Scratch
from fstk.proof.source import Rewritten, span, time_columns, with_past, without_future
from fstk.tables import local
from fstk.tables.spec import FeatureTable
from fstk.training.kernel import times
from fstk.training.plan import plan_training_set
from fstk.training.resolve import Join
from fstk.training.spec import FeatureLookup
from fstk.warehouse import folder

_QUANTILES = (0.5, 0.85)  # of the labels' instants: where the source is cut in two
_AT_ONCE = 2  # runs, each with a JVM


@dataclass(frozen=True)
class Labels:
    """Who is asked about, and when: ``rows`` with the keys of the features and the column ``time``; ``label`` is the
    column to be predicted, which may know the future; ``table`` is their name in the warehouse."""

    rows: pa.Table
    time: str
    label: str | None
    table: str | None = None


@dataclass(frozen=True)
class Leak:
    """A feature that changed with the future: for which label, from what to what, and the nearest source row that was
    rewritten, with what was done to it and its time."""

    feature: str
    entity: str
    at: datetime
    before: Any
    after: Any
    source: str
    act: str
    source_at: datetime
    labels: int
    picture: Timeline

    def __str__(self) -> str:
        changed = f"changed from {_shown(self.before)} to {_shown(self.after)}"
        cause = f"when the row of {self.source} of {instant(self.source_at)} was {self.act}"
        where = f"{self.feature} of {self.entity} at {instant(self.at)}"
        return f"LEAK  {where} {changed} {cause}; {plural(self.labels, 'label')} in all."


@dataclass(frozen=True, repr=False)
class Proof(Stacked):
    """What came of it; ``moved`` of ``labels`` changed when a row of their past was altered."""

    title: str
    leaks: tuple[Leak, ...]
    labels: int
    features: int
    moved: int
    instants: tuple[datetime, ...]
    notes: tuple[str, ...]

    def parts(self) -> Sequence[Displayed]:
        """Return the verdict, and the picture of each leak's label."""
        cut = ", ".join(map(instant, self.instants))
        looked_at = f"{plural(self.labels, 'label')} · {plural(self.features, 'feature')}"
        first = f"{looked_at} · the future after {cut} deleted, altered, negated"
        lines = [*map(str, self.leaks)] or ["PROVED  nothing changed", first]
        lines += [first] if self.leaks else []
        lines += [f"{plural(self.moved, 'label')} changed when a row before them was altered: the proof is not blind"]
        return [Sheet(self.title, (), (), [*lines, *self.notes]), *(leak.picture for leak in self.leaks)]


def prove_notebook(
    notebook: str,
    real: Path,
    parameters: list[str],
    labels: Labels | None,
    sample: int,
    tell: Callable[[str], None],
) -> Proof:
    """Prove the features that ``notebook`` writes of the tables in the warehouse ``real``, which is only read.

    The notebook runs in scratch warehouses: once as it is, once for each of two instants with another future after it,
    once with another past. Without ``labels`` each row of its time-series tables is asked about at its own time.

    Raises InvalidInput: nothing to rewrite, nothing written, or a past that changes nothing; JobFailed: the notebook
    fails in a scratch warehouse.
    """
    names = local.names_in(real)
    every = {name: _read(real, name) for name in names}
    with tempfile.TemporaryDirectory(prefix="fstk-proof-") as place:
        tell(f"running {Path(notebook).name} as it is, in a scratch warehouse …")
        made, sources, first = _baseline(notebook, parameters, every, real, Path(place), labels and labels.table)
        asked = _asked(labels, made, sample)
        kept = {key for table in made.values() for key in table.primary_keys}
        cuts = _cuts(asked, sources)
        work: list[tuple[int, dict[str, Rewritten]]] = [
            (
                cut,
                {
                    name: without_future(rows, cut, _kept(kept, every[name], real, name), turn)
                    for name, rows in sources.items()
                },
            )
            for turn, cut in enumerate(cuts)
        ]
        past = {name: with_past(rows, cuts[-1], _kept(kept, every[name], real, name)) for name, rows in sources.items()}
        tell(
            f"and of {', '.join(sources)} with another future after {', '.join(instant(moment(cut)) for cut in cuts)} …"
        )

        def run(number: int, rewritten: Mapping[str, Rewritten]) -> dict[str, pa.Table]:
            scratch = Scratch(Path(place) / f"run{number}")
            scratch.fill({name: one.rows for name, one in rewritten.items()}, real)
            scratch.run(notebook, parameters)
            return {name: _read(scratch.warehouse, name) for name in made}

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            results = list(pool.map(run, range(1, len(work) + 2), [*(one for _, one in work), past]))
    leaks: dict[str, Leak] = {}
    seen = moved = 0
    for one in asked:
        for (cut, rewritten), after in zip(work, results, strict=False):
            rows = _nearest(one, cut, sample)
            seen += rows.num_rows
            for found in differences(rows, one.joins, first, after, one.label):
                leak = _leak(found, rows, one, sources, rewritten, cut)
                leaks.setdefault(leak.feature, leak)
        rows = _nearest(one, cuts[-1], sample)
        changed = differences(rows, one.joins, first, results[-1], one.label)
        moved += max((found.labels for found in changed), default=0)
    features = sum(len(join.outputs) for one in asked for join in one.joins)
    if not moved:
        raise InvalidInput(
            f"no feature of {Path(notebook).name} changed when rows of {', '.join(sources)} before the labels were "
            "altered: the proof would be blind. Ask about other labels, with --labels."
        )
    title = f"proof of {Path(notebook).name} · {', '.join(made)}"
    notes = [
        f"not looked at: {name}, which has no time (--labels asks for it)" for name in made if not _joined(asked, name)
    ]
    return Proof(title, tuple(leaks.values()), seen, features, moved, tuple(map(moment, cuts)), tuple(notes))


@dataclass(frozen=True)
class _Asked:
    rows: pa.Table
    time: str
    label: str | None
    joins: tuple[Join, ...]


def _baseline(
    notebook: str, parameters: list[str], every: dict[str, pa.Table], real: Path, place: Path, labels: str | None
) -> tuple[dict[str, FeatureTable], dict[str, pa.Table], dict[str, pa.Table]]:
    """Return the tables that the notebook makes, its sources, and the rows of the former; what it makes is not there
    when it begins, so that no row of an earlier run stays."""
    own: set[str] = set()
    for attempt in ("as-it-is", "anew"):
        scratch = Scratch(place / attempt)
        sources = {name: rows for name, rows in every.items() if name not in own}
        scratch.fill(sources, real)
        record = scratch.run(notebook, parameters)
        written = {_full(entry.table) for entry in record.accesses if entry.action == "written"}
        if not written & set(sources):
            break
        own = written
    made = {name: table for name in sorted(written) if (table := local.read(name, folder(scratch.warehouse, name)))}
    if not made:
        raise InvalidInput(f"{Path(notebook).name} writes no feature table, so there is nothing to prove.")
    read = {_full(entry.table) for entry in record.accesses if entry.action == "read"}
    asking = {_full(labels)} - read if labels else set()
    timed = {name: rows for name, rows in sources.items() if time_columns(rows) and name not in asking}
    return made, timed, {name: _read(scratch.warehouse, name) for name in made}


def _asked(labels: Labels | None, made: Mapping[str, FeatureTable], sample: int) -> list[_Asked]:
    if labels is None:
        timed = {name: table for name, table in made.items() if table.timeseries_column is not None}
        rows = {name: DirectEngine().read(table.at(table.version)) for name, table in timed.items()}
        asked = [
            _Asked(
                rows[name],
                str(table.timeseries_column),
                None,
                _joins(rows[name], str(table.timeseries_column), {name: table}),
            )
            for name, table in timed.items()
        ]
    else:
        fitting = {name: one for name, one in made.items() if set(one.primary_keys) <= set(labels.rows.column_names)}
        joins = _joins(labels.rows, labels.time, fitting)
        asked = [_Asked(labels.rows, labels.time, labels.label, joins)] if joins else []
    if not asked:
        hint = (
            "its tables have no time: ask with --labels"
            if labels is None
            else "no key of its tables is among the labels' columns"
        )
        raise InvalidInput(f"nothing of what {', '.join(made)} hold can be asked about: {hint}.")
    return asked


def _joins(rows: pa.Table, time: str, tables: Mapping[str, FeatureTable]) -> tuple[Join, ...]:
    """Return the join of each table with the labels, whose keys and time alone are asked with."""
    joins = []
    for name, table in tables.items():
        columns = list(dict.fromkeys([*table.primary_keys, time]))
        lookup = FeatureLookup(
            name, table.primary_keys, timestamp_lookup_key=time if table.timeseries_column is not None else None
        )
        plan = plan_training_set(schema_of(rows.select(columns).schema), [lookup], tables, None)
        joins += [join for join in plan.joins if join.outputs]
    return tuple(joins)


def _joined(asked: list[_Asked], name: str) -> bool:
    return any(join.table == name for one in asked for join in one.joins)


def _cuts(asked: list[_Asked], sources: Mapping[str, pa.Table]) -> list[int]:
    """Return the instants at which the sources are cut: of labels that have something before and after them."""
    if not sources:
        raise InvalidInput("no table of the warehouse has a time, so there is no future to rewrite.")
    last = max(int(span(rows)[1].max(initial=np.iinfo(np.int64).min)) for rows in sources.values())
    first = min(int(span(rows)[1].min(initial=np.iinfo(np.int64).max)) for rows in sources.values())
    found = np.concatenate([at[~unknown] for one in asked for at, unknown in [times(one.rows, one.time)]])
    found = np.unique(found[(found > first) & (found < last)])
    if not len(found):
        raise InvalidInput(
            "no source row is later than any label: there is no future to rewrite. Ask about earlier labels."
        )
    return sorted({int(found[int((len(found) - 1) * share)]) for share in _QUANTILES})


def _nearest(one: _Asked, cut: int, sample: int) -> pa.Table:
    """Return the labels nearest to an instant and not after it."""
    at, unknown = times(one.rows, one.time)
    rows = np.flatnonzero(~unknown & (at <= cut))
    return one.rows.take(pa.array(rows[np.argsort(-at[rows], kind="stable")][:sample]))


def _kept(keys: set[str], rows: pa.Table, real: Path, name: str) -> list[str]:
    table = local.read(name, folder(real, name))
    own = set() if table is None else set(table.primary_keys)
    return [column for column in rows.column_names if column in keys | own]


def _leak(
    found: Difference,
    rows: pa.Table,
    asked: _Asked,
    sources: Mapping[str, pa.Table],
    rewritten: Mapping[str, Rewritten],
    cut: int,
) -> Leak:
    join = next(join for join in asked.joins if join.table == found.table)
    label = rows.slice(found.row, 1)
    at = moment(int(instants(label.column(asked.time))[0][0]))
    entity = ", ".join(f"{key} {label.column(key)[0].as_py()}" for key in join.label_keys)
    source, place = _nearest_row(label, join, sources, rewritten)
    first, last = span(sources[source])
    events = first[_of_entity(label, join, sources[source])] if len(first) else first
    picture = Timeline.of(
        entity=entity,
        at=at,
        lookup=f"{found.table}.{found.feature}",
        status="changed with the future",
        times=[at],
        used=at,
        events=[moment(int(one)) for one in np.unique(events)],
    )
    act, seen = str(rewritten[source].acts[place]), int(first[place] if first[place] > cut else last[place])
    return Leak(
        f"{found.table}.{found.feature}",
        entity,
        at,
        found.before,
        found.after,
        source,
        act,
        moment(seen),
        found.labels,
        picture,
    )


def _nearest_row(
    label: pa.Table, join: Join, sources: Mapping[str, pa.Table], rewritten: Mapping[str, Rewritten]
) -> tuple[str, int]:
    """Return the rewritten source row next after the label, of its own entity where there is one."""
    best: tuple[bool, int, str, int] | None = None
    for name, rows in sources.items():
        _, last = span(rows)
        touched = rewritten[name].acts != ""
        own = touched & _of_entity(label, join, rows)
        for mine, some in ((True, own), (False, touched)):
            places = np.flatnonzero(some)
            if len(places):
                place = int(places[np.argmin(last[places])])
                candidate = (not mine, int(last[place]), name, place)
                best = candidate if best is None else min(best, candidate)
                break
    assert best is not None  # something was rewritten, or nothing could have changed
    return best[2], best[3]


def _of_entity(label: pa.Table, join: Join, rows: pa.Table) -> np.ndarray:
    """Return which source rows carry the label's keys, as far as they have columns of the keys' names and types."""
    keys = [key for key in join.table_keys if {key} <= {*rows.column_names} & {*label.column_names}]
    keys = [key for key in keys if rows.column(key).type == label.column(key).type]
    return pair_ids(label, keys, rows, keys)[1] >= 0 if keys else np.ones(rows.num_rows, bool)


def _full(name: str) -> str:
    """Return a table's name as its folder gives it."""
    return name if "." in name else f"default.{name}"


def _read(warehouse: Path, name: str) -> pa.Table:
    table = TableVersion(name, str(folder(warehouse, name)))
    engine = engine_for(tables={table: None})
    return engine.arrow(engine.read(table))


def _shown(value: Any) -> str:
    return "null" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)

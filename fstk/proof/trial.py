"""Features on trial: of sources whose future is another, what labels see of them must not change; what of it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from fstk.columns.instants import instant as moment
from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.display import instant
from fstk.engines.types import schema_of
from fstk.errors import InvalidInput
from fstk.previews.timeline import Timeline
from fstk.proof.compare import Difference, differences
from fstk.proof.report import Leak, Proof
from fstk.proof.source import KNOWN, Rewritten, span, with_past, without_future
from fstk.tables.spec import FeatureTable
from fstk.training.kernel import times
from fstk.training.plan import plan_training_set
from fstk.training.resolve import Join
from fstk.training.spec import FeatureLookup

_BEFORE, _AFTER = 8, 4  # events that are drawn on each side of a label
_QUANTILES = (0.5, 0.85)  # of the labels' instants: where the source is cut in two

Made = Mapping[str, pa.Table]
"""The rows of tables, by name."""
Make = Callable[[Made], Made]
"""Makes feature tables of sources."""


@dataclass(frozen=True)
class Asked:
    """Labels, and what they see of feature tables by ``joins``; ``label`` is left out of it."""

    rows: pa.Table
    time: str
    label: str | None
    joins: tuple[Join, ...]


@dataclass(frozen=True)
class Trial:
    """What is asked about, the ``sources`` that are rewritten, of each the columns of its ``entities`` by the keys that
    they are, the columns that stay as they are (``fixed``), and how many labels are asked about at each instant."""

    asked: Sequence[Asked]
    sources: Mapping[str, pa.Table]
    entities: Mapping[str, Mapping[str, str]]
    fixed: Mapping[str, Sequence[str]]
    sample: int

    @cached_property
    def cuts(self) -> list[int]:
        return _cuts(self.asked, self.sources)

    @property
    def instants(self) -> str:
        """The cuts, as they are told."""
        return ", ".join(instant(moment(cut)) for cut in self.cuts)

    def proof(self, title: str, first: Made, make: Make, notes: Sequence[str]) -> Proof:
        """Return what the tables that ``make`` makes of each rewriting say beside the ``first``, of the sources as they
        are. Labels after a rewritten future have it in their past: where none of them changes, the past of the others
        is rewritten, too.

        Raises InvalidInput: another past changes nothing."""
        leaks: dict[str, Leak] = {}
        seen = moved = 0
        for turn, cut in enumerate(self.cuts):
            rewritten = {name: without_future(rows, cut, self.fixed[name], turn) for name, rows in self.sources.items()}
            after = make(_rows(rewritten))
            for one in self.asked:
                rows = nearest_labels(one, cut, self.sample)
                seen += rows.num_rows
                for found in differences(rows, one.joins, first, after, one.label):
                    leak = _leak(found, rows, one, self, rewritten, cut)
                    leaks.setdefault(leak.feature, leak)
            moved = max(moved, self._changed(first, after, latest_labels, cut))
        if not moved:
            cut = self.cuts[-1]
            past = {
                name: with_past(rows, cut, list(self.entities[name].values()), self.fixed[name])
                for name, rows in self.sources.items()
            }
            moved = self._changed(first, make(_rows(past)), nearest_labels, cut)
        if not moved:
            raise InvalidInput(
                f"no feature of {', '.join(first)} changed when rows of {', '.join(self.sources)} before the labels "
                "were altered and deleted: the proof would be blind. Ask about other labels, with --labels."
            )
        features = sum(len(join.outputs) for one in self.asked for join in one.joins)
        return Proof(title, tuple(leaks.values()), seen, features, moved, tuple(map(moment, self.cuts)), tuple(notes))

    def _changed(self, first: Made, after: Made, labels: Callable[[Asked, int, int], pa.Table], cut: int) -> int:
        """Return how many labels see another value of the feature that changed for most."""
        changed = 0
        for one in self.asked:
            found = differences(labels(one, cut, self.sample), one.joins, first, after, one.label)
            changed += max((difference.labels for difference in found), default=0)
        return changed


def joins_of(rows: pa.Table, time: str, tables: Mapping[str, FeatureTable]) -> tuple[Join, ...]:
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


def _cuts(asked: Sequence[Asked], sources: Mapping[str, pa.Table]) -> list[int]:
    """Return the instants at which the sources are cut: of labels that have something before and after them."""
    if not sources:
        raise InvalidInput("no source has a time, so there is no future to rewrite.")
    last = max(int(span(rows)[1].max(initial=np.iinfo(np.int64).min)) for rows in sources.values())
    first = min(int(span(rows)[1].min(initial=np.iinfo(np.int64).max)) for rows in sources.values())
    found = np.concatenate([at[~unknown] for one in asked for at, unknown in [times(one.rows, one.time)]])
    found = np.unique(found[(found > first) & (found < last)])
    if not len(found) and KNOWN in next(iter(sources.values())).column_names:
        raise InvalidInput(
            f"no label lies between the first commit of {', '.join(sources)}, {instant(moment(first))}, and the last, "
            f"{instant(moment(last))}: what is known did not change while there were labels. Ask about others."
        )
    if not len(found):
        raise InvalidInput(
            "no source row is later than any label: there is no future to rewrite. Ask about earlier labels."
        )
    return sorted({int(found[round((len(found) - 1) * share)]) for share in _QUANTILES})


def nearest_labels(one: Asked, cut: int, sample: int) -> pa.Table:
    """Return the labels nearest to an instant and not after it."""
    at, unknown = times(one.rows, one.time)
    return _latest(one.rows, at, ~unknown & (at <= cut), sample)


def latest_labels(one: Asked, cut: int, sample: int) -> pa.Table:
    """Return the latest labels after an instant."""
    at, unknown = times(one.rows, one.time)
    return _latest(one.rows, at, ~unknown & (at > cut), sample)


def _rows(rewritten: Mapping[str, Rewritten]) -> Made:
    return {name: one.rows for name, one in rewritten.items()}


def _latest(rows: pa.Table, at: np.ndarray, chosen: np.ndarray, number: int) -> pa.Table:
    places = np.flatnonzero(chosen)
    return rows.take(pa.array(places[np.argsort(-at[places], kind="stable")][:number]))


def _leak(
    found: Difference, rows: pa.Table, asked: Asked, trial: Trial, rewritten: Mapping[str, Rewritten], cut: int
) -> Leak:
    join = next(join for join in asked.joins if join.table == found.table)
    label = rows.slice(found.row, 1)
    at = int(instants(label.column(asked.time))[0][0])
    entity = ", ".join(f"{key} {label.column(key)[0].as_py()}" for key in join.label_keys)
    source, place = _guilty_row(label, at, join, trial, rewritten)
    first, last = span(trial.sources[source])
    events = first[_of_entity(label, join, trial.entities[source], trial.sources[source])] if len(first) else first
    act, seen = str(rewritten[source].acts[place]), int(first[place] if first[place] > cut else last[place])
    picture = Timeline.of(
        entity=entity,
        at=moment(at),
        lookup=f"{found.table}.{found.feature}",
        status="changed",
        times=[moment(at)],
        used=moment(at),
    )
    picture = replace(picture, events=tuple(moment(int(one)) for one in _about(events, at, seen)))
    return Leak(
        f"{found.table}.{found.feature}",
        entity,
        moment(at),
        found.before,
        found.after,
        source,
        act,
        moment(seen),
        found.labels,
        picture,
    )


def _about(events: np.ndarray, at: int, seen: int) -> np.ndarray:
    """Return the instants of events that are drawn about a label: the nearest before and after it, and the one seen."""
    events = np.unique(events[events > np.iinfo(np.int64).min])  # the others have no time
    place = int(np.searchsorted(events, at, side="right"))
    return np.union1d(events[max(place - _BEFORE, 0) : place + _AFTER], [seen])


def _guilty_row(
    label: pa.Table, at: int, join: Join, trial: Trial, rewritten: Mapping[str, Rewritten]
) -> tuple[str, int]:
    """Return the rewritten source row that a label most likely saw: of its own entity, where there is one; one that had
    begun before the label, else the next one after it."""
    best: tuple[bool, bool, int, str, int] | None = None
    for name, rows in trial.sources.items():
        first, last = span(rows)
        touched = rewritten[name].acts != ""
        own = touched & _of_entity(label, join, trial.entities[name], rows)
        places = np.flatnonzero(own if own.any() else touched)
        if len(places):
            place = int(places[np.lexsort((last[places], first[places] > at))[0]])
            candidate = (not own[place], bool(first[place] > at), int(last[place]), name, place)
            best = candidate if best is None else min(best, candidate)
    assert best is not None  # something was rewritten, or nothing could have changed
    return best[3], best[4]


def _of_entity(label: pa.Table, join: Join, entity: Mapping[str, str], rows: pa.Table) -> np.ndarray:
    """Return which source rows carry the label's keys, as far as they have columns of them, of the same type."""
    own = {key: column for key, column in entity.items() if key in join.table_keys and key in label.column_names}
    own = {key: column for key, column in own.items() if rows.column(column).type == label.column(key).type}
    return pair_ids(label, list(own), rows, list(own.values()))[1] >= 0 if own else np.ones(rows.num_rows, bool)

"""A table's windowed features proven: computed again by their recorded definitions, of the sampled entities' rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from fstk.columns.keys import pair_ids
from fstk.display import plural
from fstk.engines.choice import engine_for
from fstk.errors import InvalidInput
from fstk.previews.loaded import rows_among
from fstk.proof.changes import known_among
from fstk.proof.compare import Difference, differences
from fstk.proof.report import Labels, Proof, shown
from fstk.proof.trial import Asked, Made, Trial, joins_of
from fstk.tables.configured import open_catalog
from fstk.tables.definition import Definitions
from fstk.tables.spec import FeatureTable
from fstk.windows.trace import computed


def prove_table(
    table: FeatureTable,
    labels: Labels | None,
    sample: int,
    as_known: bool,
    tell: Callable[[str], None],
    progress: Callable[[int, int | None], None] | None = None,
) -> Proof:
    """Prove the features of ``table`` whose definitions are recorded, of tables; nothing is written anywhere.

    They are computed in memory for ``sample`` entities: of their sources as they are, and with another future after
    each of two instants; with another past, too, where no label saw any of it. Without ``labels`` the table's own rows
    are asked about at their own times. ``as_known`` takes what was committed after an instant for its future, too.
    ``progress`` is told how often features have been computed, of how often.

    Raises InvalidInput: no such feature, no time, nothing to rewrite, or a past that changes nothing.
    """
    definitions = {name: one for name, one in table.definitions.items() if one.source is not None}
    if not definitions or table.timeseries_column is None:
        missing = "of none of its features it is recorded how it was computed of a table" if not definitions else ""
        raise InvalidInput(
            f"{table.name}: {missing or 'it has no time column'}, so there is nothing to make again.   Prove the "
            "notebook that writes it: fstk prove NOTEBOOK"
        )
    known = {name: kind for name, kind in table.schema.items() if name in table.keys or name in definitions}
    windowed = _Windowed.read(replace(table, schema=known), definitions, labels, sample, as_known)
    sources, asked = windowed.sources, windowed.asked
    fixed = {name: list(columns.values()) for name, columns in windowed.entities.items()}
    trial = Trial([asked], sources, windowed.entities, fixed, sample)
    again = f"computing {plural(len(definitions), 'feature')} again, of {', '.join(sources)}"
    tell(f"{again} with another future after {trial.instants} …")
    runs = itertools.count()

    def make(rows: Made) -> Made:
        if progress is not None:
            progress(next(runs), 1 + len(trial.cuts))
        return windowed.made(rows)

    first = make(sources)
    others = [name for name in table.features if name not in definitions]
    notes = [f"not looked at: {', '.join(others)}, of which no definition is recorded"] if others else []
    proof = trial.proof(f"proof of {table.name} v{table.version}", first, make, notes)
    stored = differences(asked.rows, asked.joins, {table.name: windowed.stored}, first, asked.label)
    return replace(proof, unproven=tuple(windowed.unlike(one) for one in stored))


@dataclass(frozen=True)
class _Windowed:
    """Features of ``table`` with the rows of some entities: what is ``asked`` about them, how they are ``stored``, and
    the ``sources`` of which they are defined, by name."""

    table: FeatureTable
    definitions: Definitions
    asked: Asked
    stored: pa.Table
    sources: Mapping[str, pa.Table]

    @classmethod
    def read(
        cls, table: FeatureTable, definitions: Definitions, labels: Labels | None, sample: int, as_known: bool
    ) -> _Windowed:
        """Read what ``sample`` entities of the labels, None of the table's own rows, have in the table and its
        sources."""
        keys, time = list(table.primary_keys), str(table.timeseries_column)
        rows, at = (labels.rows, labels.time) if labels else (_keys(table), time)
        missing = [key for key in keys if key not in rows.column_names]
        if missing:
            raise InvalidInput(f"the labels have no column {missing[0]}, a key of {table.name}; rename theirs.")
        rows = _of_some(rows, keys, sample)
        among = {key: rows.column(key) for key in keys}
        stored = rows_among(table.at(table.version), among, list(table.schema))
        sources: dict[str, pa.Table] = {}
        for one in definitions.values():
            if one.source is not None and one.source not in sources:
                source = open_catalog().find(one.source, one.source_version)
                wanted = {own: among[key] for key, own in one.entity_of(keys).items()}
                sources[one.source] = known_among(source, wanted) if as_known else rows_among(source, wanted)
        asked = Asked(rows, at, labels and labels.label, joins_of(rows, at, {table.name: table}))
        return cls(table, definitions, asked, stored, sources)

    @property
    def entities(self) -> dict[str, dict[str, str]]:
        """The columns of the entity in each source, by the keys that they are."""
        found: dict[str, dict[str, str]] = {name: {} for name in self.sources}
        for one in self.definitions.values():
            found[str(one.source)] |= one.entity_of(self.table.primary_keys)
        return found

    def made(self, sources: Made) -> Made:
        """Return the table's rows, with features made of ``sources``."""
        rows = self.stored
        for name, one in self.definitions.items():
            entity = one.entity_of(self.table.primary_keys)
            points = rows.select([*entity, str(self.table.timeseries_column)])
            points = points.rename_columns([*entity.values(), one.timestamp])
            column = computed(one, sources[str(one.source)], points)
            rows = rows.set_column(rows.column_names.index(name), name, column)
        return {self.table.name: rows}

    def unlike(self, found: Difference) -> str:
        """Return what is said of a feature that is stored otherwise than as it is made."""
        one = self.definitions[found.feature]
        label = self.asked.rows.slice(found.row, 1)
        entity = ", ".join(f"{key} {label.column(key)[0].as_py()}" for key in self.table.primary_keys)
        return (
            f"NOT PROVED  {self.table.name}.{found.feature} of {entity} is {shown(found.before)}, and "
            f"{shown(found.after)} when computed {one.origin}; {plural(found.labels, 'label')} in all. It was written "
            "of other rows: prove the notebook that writes it."
        )


def _keys(table: FeatureTable) -> pa.Table:
    source = table.at(table.version)
    engine = engine_for(tables={source: len(table.keys)})
    return engine.arrow(engine.read(source, table.keys))


def _of_some(rows: pa.Table, keys: list[str], sample: int) -> pa.Table:
    """Return the rows of ``sample`` entities, the same each time."""
    entity = pair_ids(rows, keys, rows, keys)[0]
    known = np.unique(entity[entity >= 0])
    some = known if len(known) <= sample else np.random.default_rng(0).choice(known, sample, replace=False)
    return rows.filter(pa.array(np.isin(entity, some)))

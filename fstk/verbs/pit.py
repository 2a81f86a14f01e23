"""What ``fstk pit`` asks for, as one request that can be shown, made, or told in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.zones import Unclear
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.clocks import Clock
from fstk.engines.frames import is_spark
from fstk.engines.types import arrow_type, quoted_name
from fstk.errors import InvalidInput, UnknownColumn, UnknownName, nearest
from fstk.lint.acceptance import EVERYWHERE, Acceptance, in_code
from fstk.previews.join import TrainingSetPreview, preview
from fstk.previews.loaded import LoadedJoin
from fstk.tables.configured import local_table, open_catalog
from fstk.tables.spec import FeatureTable
from fstk.training.functions import FeatureFunction
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.spec import FeatureLookup
from fstk.training.training_set import TrainingSet, create_training_set, read_clock
from fstk.verbs.code import Code, call, clock_arguments, datetime_import, listed, literal
from fstk.verbs.lines import LookupLine, function, lookup, required_statements
from fstk.verbs.names import frame_or_name
from fstk.verbs.windows import read_calendar
from fstk.windows.spine import Spine, labels_of

_EXAMPLE = "feature_store.customer_features on customer_id"
_SAMPLE = 2_000  # labels that a preview looks at


class _Given(NamedTuple):
    """How Python gives the labels: by which ``argument``, as which ``code``, in which ``moments`` stand; and what their
    times without a zone mean."""

    argument: str
    code: str
    moments: tuple[date | datetime, ...] = ()
    clock: Clock | None = None


@dataclass(frozen=True)
class PitRequest:
    """A training set as it was asked for; ``given`` is how Python gives the labels."""

    labels: Any
    given: _Given
    features: tuple[FeatureLookup | FeatureFunction, ...]
    label: str | None
    as_known: bool
    tables: tuple[FeatureTable, ...]
    exclude: tuple[str, ...] = ()
    accepted: tuple[Acceptance, ...] = ()

    def training_set(self) -> TrainingSet:
        return create_training_set(
            self.labels, self.features, self.label, self.exclude, catalog=open_catalog(), as_known=self.as_known
        )

    def preview(self, *, every: bool, one: str | None, bound: str | None) -> TrainingSetPreview:
        """Return the preview on a sample, or on ``every`` label; ``one`` is the key whose label is drawn."""
        plan = self.plan()
        rows, total = sample_labels(self.labels, list(plan.label_columns), every)
        joined = LoadedJoin.read(plan, rows, self.tables, as_known=self.as_known)
        drawn = None
        if one is not None:
            drawn = LoadedJoin.read(plan, label_of(self.labels, plan, one), self.tables, as_known=self.as_known)
        picture = f"one label: %fstk explain {bound} KEY" if bound else "one label: --one KEY · make it: -o NAME"
        defined = {table.name: table.definitions for table in self.tables}
        closing = f"{picture} · plain Python: --code"
        return preview(joined, total, drawn, closing=closing, defined=defined, accepted=self.accepted)

    def plan(self) -> TrainingPlan:
        """Return what will be joined with what; reads no row."""
        schema = engine_for(self.labels).schema(self.labels)
        tables = {table.name: table for table in self.tables}
        return plan_training_set(schema, self.features, tables, self.label, self.exclude)

    def code(self) -> Code:
        lookups = [_code(one) for one in self.features]
        kinds = sorted({"FeatureLookup"} | {type(one).__name__ for one in self.features})
        kinds += ["Spine"] if self.given.argument == "spine" else []
        arguments = [
            (self.given.argument, self.given.code),
            ("feature_lookups", listed(lookups)),
            ("label", literal(self.label)),
        ]
        arguments += [("exclude_columns", literal(self.exclude))] if self.exclude else []
        arguments += [("as_known", "True")] if self.as_known else []
        arguments += clock_arguments(self.given.clock)
        windows = [one.lookback_window for one in self.features if isinstance(one, FeatureLookup)]
        first = datetime_import([*self.given.moments, *windows])
        imports = f"from fstk import {', '.join(['FeatureEngineeringClient', *kinds])}"
        made = f"training_set = {call('fe.create_training_set', arguments)}"
        return Code.of("\n".join([*first, imports, "", "fe = FeatureEngineeringClient()", made]))


def names_of(words: list[str]) -> tuple[str, ...]:
    """Return the columns that ``--exclude`` names, one a word or several with commas."""
    return tuple(name.strip() for word in words for name in word.split(",") if name.strip())


def values_of(words: list[str]) -> dict[str, str]:
    """Return what ``--default NAME=VALUE`` says, by name; raises InvalidInput."""
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(f"--default takes NAME=VALUE, as in --default spend_30d=0; got {word!r}.")
        values[name.strip()] = value
    return values


def parse(
    namespace: Mapping[str, Any] | None,
    text: str,
    labels: str,
    label: str | None,
    at: str | None,
    as_known: bool,
    spine: str | None = None,
    *,
    zone: str | None = None,
    unclear: Unclear = "refuse",
    exclude: tuple[str, ...] = (),
    defaults: Mapping[str, str] | None = None,
) -> PitRequest:
    """Return the request that the words of ``fstk pit`` and the lines of ``text`` make; ``namespace`` is that of a
    notebook's cells, None in a terminal; ``defaults`` are texts by the features' new names. Raises InvalidInput and its
    kinds."""
    given, frame, time = _labels(labels, namespace or {}) if spine is None else _spine(labels, spine)
    at = at or time
    lines = [function(line) or lookup(line) for line in required_statements(text, namespace, _EXAMPLE)]
    catalog = open_catalog()
    tables = {line.table: catalog.get(line.table) for line in lines if isinstance(line, LookupLine)}
    features: list[FeatureLookup | FeatureFunction] = []
    typed = _defaults(defaults or {}, lines, tables)
    for line in lines:
        if isinstance(line, FeatureFunction):
            features.append(line)
            continue
        time = tables[line.table].timeseries_column
        if time is not None and at is None:
            raise InvalidInput(
                f"{line.table} has the time column {time}: --at must name the labels' time column, so that no label "
                "sees the future."
            )
        outputs = _outputs(line, tables[line.table])
        own = {name: value for name, value in typed.items() if name in outputs}
        features.append(line.at(at if time is not None else None, own or None))
    clock = Clock.told(zone, unclear)
    if clock is not None:
        frame, given = read_clock(clock, frame, features, engine_for(frame)), given._replace(clock=clock)
    accepted = tuple(in_code(text, EVERYWHERE))
    return PitRequest(frame, given, tuple(features), label, as_known, tuple(tables.values()), exclude, accepted)


def _outputs(line: LookupLine, table: FeatureTable) -> dict[str, str]:
    """Return the types of what a line looks up, by new names."""
    names = table.features if line.features is None else line.features
    return {line.renames.get(name, name): table.schema[name] for name in names if name in table.schema}


def _defaults(
    given: Mapping[str, str], lines: list[LookupLine | FeatureFunction], tables: Mapping[str, FeatureTable]
) -> dict[str, Any]:
    """Return the values of ``--default`` in the types of their features."""
    kinds: dict[str, str] = {}
    for line in lines:
        kinds |= _outputs(line, tables[line.table]) if isinstance(line, LookupLine) else {}
    values = {}
    for name, text in given.items():
        if name not in kinds:
            raise UnknownColumn(f"--default {name}: no such feature is looked up.{nearest(name, kinds)}")
        try:
            values[name] = pa.scalar(text).cast(arrow_type(kinds[name])).as_py()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InvalidInput(f"--default {name} must be {kinds[name]}; got {text!r}.") from error
    return values


def _labels(labels: str, variables: Mapping[str, Any]) -> tuple[_Given, Any, str | None]:
    """Return how Python gives the labels, their Spark or Arrow frame, and their time if it is known; a table of the
    warehouse is read without a JVM."""
    found = frame_or_name(labels, variables)
    if not isinstance(found, str):
        return _Given("df", labels), engine_for(found).frame(found, "labels"), None
    table = local_table(found) or TableVersion(found, None)
    code = f"fe.read_table(name={literal(found)})"
    return _Given("df", code), engine_for(tables={table: None}).read(table), None


def _spine(name: str, calendar: str) -> tuple[_Given, Any, str | None]:
    """Return the same of a spine, whose time is called as its table's."""
    table, moments = open_catalog().get(name), read_calendar(calendar, "--spine")
    spine = Spine(table.name, moments.start, moments.end, moments.every)
    arguments = ", ".join(literal(one) for one in (spine.table, spine.start, spine.end))
    code = f"Spine({arguments}, every={literal(spine.every)})"
    return _Given("spine", code, (spine.start, spine.end)), labels_of(spine, table), table.timeseries_column


def sample_labels(labels: Any, columns: list[str], every: bool) -> tuple[pa.Table, int]:
    """Return a random sample of the labels, the same each time, or all of them, and how many there are in all."""
    if is_spark(labels):
        of = labels.count()
        kept = labels.select(*(quoted_name(column) for column in columns))
        if not every and of > _SAMPLE:
            kept = kept.sample(fraction=min(1.0, _SAMPLE / of), seed=0)
        return engine_for(labels).arrow(kept), of
    of = labels.num_rows
    kept = labels.select(columns)
    if every or of <= _SAMPLE:
        return kept, of
    places = np.sort(np.random.default_rng(0).choice(of, _SAMPLE, replace=False))
    return kept.take(pa.array(places)), of


def label_of(labels: Any, plan: TrainingPlan, key: str) -> pa.Table:
    """Return the newest label of ``key``, as a table of one row; raises UnknownName."""
    columns = list(plan.label_columns)
    for join in plan.joins:
        found = rows_of_key(labels, join.label_keys, key)
        engine = engine_for(found)
        found = engine.arrow(engine.select(found, {column: quoted_name(column) for column in columns}))
        if found.num_rows:
            if join.label_time is not None:  # a label without a time is the last to ask for
                timed = found.filter(pc.field(join.label_time).is_valid()).sort_by(join.label_time)
                found = timed if timed.num_rows else found
            return found.slice(found.num_rows - 1)
    keys = " or ".join(dict.fromkeys(", ".join(join.label_keys) for join in plan.joins))
    raise UnknownName(f"no label has {keys} {key}.")


def rows_of_key(rows: Any, keys: tuple[str, ...], key: str) -> Any:
    """Return the rows of an Arrow or Spark frame whose ``keys`` read as ``key``, several with commas between."""
    parts = [part.strip() for part in key.split(",")]
    if len(parts) != len(keys):
        return rows.limit(0) if is_spark(rows) else rows.slice(0, 0)
    for column, part in zip(keys, parts, strict=True):
        if is_spark(rows):
            rows = rows.where(rows[quoted_name(column)].cast("string") == part)
        else:
            values = rows.column(column)
            text = values if values.type == pa.string() else pc.cast(values, pa.string())
            rows = rows.filter(pc.equal(text, part))
    return rows


def _code(one: FeatureLookup | FeatureFunction) -> str:
    if isinstance(one, FeatureFunction):
        return f"FeatureFunction({literal(one.expression)}, {literal(one.output_name)})"
    keys = one.lookup_key[0] if len(one.lookup_key) == 1 else list(one.lookup_key)
    arguments = [literal(one.table_name), literal(keys)]
    for name, value in (
        ("feature_names", one.feature_names),
        ("rename_outputs", one.rename_outputs or None),
        ("timestamp_lookup_key", one.timestamp_lookup_key),
        ("lookback_window", one.lookback_window),
        ("nulls", None if one.nulls == "keep" else one.nulls),
        ("default_values", one.default_values or None),
    ):
        if value is not None:
            arguments.append(f"{name}={literal(value)}")
    return f"FeatureLookup({', '.join(arguments)})"

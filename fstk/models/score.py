"""A frame and a logged model → predictions, the features looked up as the model recorded them."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk import journal
from fstk.engines.base import Engine, Frame, Schema
from fstk.engines.choice import session_for
from fstk.engines.clocks import Clock
from fstk.engines.spark import SparkEngine
from fstk.engines.types import arrow_type
from fstk.errors import NameCollision, TypeMismatch, UnknownColumn, nearest
from fstk.models import trust
from fstk.models.kernel import PREDICTION, PackedModel, Scorer
from fstk.models.registry import LoggedModel, Registry
from fstk.models.spec import ModelRecord, read_record
from fstk.progress import at_work
from fstk.training.plan import TrainingPlan
from fstk.training.run import join
from fstk.training.training_set import Tables, create_training_set


@dataclass(frozen=True)
class OpenedModel:
    """A logged model with its record, checked to be one that may be loaded; ``name`` is what messages call it."""

    found: LoggedModel
    name: str
    record: ModelRecord
    model: PackedModel


def open_model(model_uri: str, registry_uri: str | None) -> OpenedModel:
    """Fetch a logged model; raises UnknownModel, UntrustedModel, and InvalidInput: it carries no feature lookups."""
    registry = Registry(registry_uri)
    found = registry.find(model_uri)
    name = model_uri if found.name is None else f"{found.name} v{found.version}"
    with tempfile.TemporaryDirectory(prefix="fstk-model-") as temporary:
        folder = registry.fetch(found, Path(temporary))
        record = read_record(folder, name)
        trust.check(folder, found, name)
        return OpenedModel(found, name, record, PackedModel.pack(folder))


@at_work("preparing the scores")
def score_batch(
    model_uri: str,
    df: Any,
    result_type: str = "double",
    *,
    catalog: Tables,
    engine: Engine | None = None,
    model_registry_uri: str | None = None,
    clock: Clock | None = None,
) -> Frame:
    """Return ``df`` with features and ``prediction``; see ``FeatureEngineeringClient.score_batch`` for arguments and
    errors.

    ``engine`` is whose frame is returned; None is that of ``df``'s own session, else of ``fstk.connect()``. Features
    come from the newest versions of their tables. The model is loaded once per worker; nothing runs before the first
    action.
    """
    arrow_type(result_type)
    engine = engine or session_for(df)
    opened = open_model(model_uri, model_registry_uri)
    found, name, record = opened.found, opened.name, opened.record
    if not record.predicts(result_type):
        raise TypeMismatch(
            f"{name} predicts {record.answers}, which result_type={result_type!r} does not hold; "
            f"give result_type={record.answers!r}."
        )
    session = engine if isinstance(engine, SparkEngine) else None
    rows = create_training_set(
        df,
        [*record.lookups, *record.functions],
        None,
        record.hidden,
        catalog=catalog,
        session=session,
        as_known=record.as_known,
        caller_overrides=True,
        clock=clock,
    )
    for time, note in rows.plan.zone_notes.items():
        if record.plan.labels[time] == "timestamp":  # it may be local time that training was told the zone of
            warnings.warn(f"{name} was trained with {time} at instants; in df {note}.", stacklevel=4)
    schema = rows.plan.schema
    _check_inputs(record, schema, name)
    _check_functions(record, rows.plan, name)
    if any(column.lower() == PREDICTION for column in schema):
        raise NameCollision(f"df has a column {PREDICTION}, as the model's answer is called; rename it.")
    scorer = Scorer(opened.model, name, record, result_type)
    journal.note("read", found.name or model_uri, found.version, None)
    joined = join(rows.plan, engine.frame(rows.labels, "df"), engine, record.as_known)
    return engine.map_slices(joined, scorer, schema | {PREDICTION: result_type})


def _check_inputs(record: ModelRecord, schema: Schema, name: str) -> None:
    missing = [column for column in record.inputs if column not in schema]
    if missing:
        wanted = ", ".join(f"{column} ({record.inputs[column]})" for column in missing)
        alike = nearest(missing[0], schema, or_all=False)
        raise UnknownColumn(f"{name} also takes {wanted}, which df lacks.{alike}")
    for column, kind in record.inputs.items():
        if not fits(arrow_type(schema[column]), arrow_type(kind)):
            raise TypeMismatch(
                f"{name} was trained with {column} as {kind}; in df it is {schema[column]}. Cast it to {kind}."
            )


def _check_functions(record: ModelRecord, plan: TrainingPlan, name: str) -> None:
    """Refuse a function over other types than the model was trained with: it might have another value."""
    for one in plan.functions:
        for column in one.columns:
            trained, found = record.plan.types[column], plan.types[column]
            if found != trained:
                raise TypeMismatch(
                    f"{name} was trained with {one.name} = {one.expression} over {column} as {trained}; in df it is "
                    f"{found}. Cast it to {trained}."
                )


def fits(given: pa.DataType, trained: pa.DataType) -> bool:
    """Tell whether the model sees the same of both types; integers, and floats, of all widths are alike to it."""
    kinds = (pa.types.is_integer, pa.types.is_floating)
    return given == trained or any(is_kind(given) and is_kind(trained) for is_kind in kinds)

"""What a create or a write will do to a feature table, as data, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fstk.display import Displayed, Sheet
from fstk.engines.base import Schema
from fstk.engines.types import arrow_type, spark_type
from fstk.errors import FstkError, InvalidInput, SchemaChange, TableExists, TypeMismatch, UnknownColumn, nearest
from fstk.tables.spec import FeatureTable, TableDefinition, define, features_text, fraction_notes, keys_text, role

Action = Literal["create", "add columns", "merge", "refuse"]


@dataclass(frozen=True, repr=False)
class TablePlan(Displayed):
    """What a create or a write comes to.

    ``action``: ``create`` a table, ``add columns`` and merge, ``merge``, or ``refuse``, for the reason in ``refusal``.
    ``added`` are new columns, null in the rows that are there; ``kept`` the features that the frame lacks,
    left as they are (static tables only). A merge that finds every row equal writes nothing either: that shows only
    when the rows are compared.
    """

    action: Action
    table: TableDefinition
    added: Schema = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    refusal: FstkError | None = None

    def check(self) -> None:
        """Raise the refusal, if the plan is one."""
        if self.refusal is not None:
            raise self.refusal

    def display(self) -> Sheet:
        changes = {**dict.fromkeys(self.added, "new, null before"), **dict.fromkeys(self.kept, "not given, kept")}
        what = f"{self.action.upper()}, keys {keys_text(self.table)}, {features_text(self.table)}"
        title = f"{self.table.name} · plan: {what}      nothing written yet"
        rows = [(name, kind, role(self.table, name), changes.get(name, "")) for name, kind in self.table.schema.items()]
        notes = [str(self.refusal)] if self.refusal else fraction_notes(self.table) if self.action == "create" else []
        return Sheet(title, ("column", "type", "role", "change"), rows, notes)


def check_mode(mode: str) -> None:
    """Refuse a mode of writing that there is not; raises InvalidInput."""
    if mode != "merge":
        raise InvalidInput(f"mode {mode!r}: there is 'merge' (insert new keys, update changed rows, leave the rest).")


def plan_create(wanted: TableDefinition, there: FeatureTable | None) -> TablePlan:
    """Return the plan of ``create_table``: a new table, or, where one of the same keys is there, that of a write."""
    if there is None:
        return TablePlan("create", wanted)
    for what, now, then in (
        ("primary keys", wanted.primary_keys, there.primary_keys),
        ("time column", wanted.timeseries_column, there.timeseries_column),
        ("partition columns", wanted.partition_columns or there.partition_columns, there.partition_columns),
    ):
        if now != then:
            refusal = TableExists(
                f"{there.name} is there already, with the {what} {_shown(then)}, not {_shown(now)}. "
                f"Drop it first (drop_table), or choose another name."
            )
            return TablePlan("refuse", there, refusal=refusal)
    return plan_write(there, wanted.schema)


def plan_write(table: FeatureTable, given: Schema) -> TablePlan:
    """Return the plan of merging a frame of columns ``given`` into ``table`` (docs/rules.md#tables-2)."""
    try:
        wider = _widened(table, given)
        kept = _kept(table, given)
    except InvalidInput as refusal:
        return TablePlan("refuse", table, refusal=refusal)
    added = {name: kind for name, kind in wider.schema.items() if name not in table.schema}
    return TablePlan("add columns" if added else "merge", wider, added=added, kept=kept)


def _widened(table: FeatureTable, given: Schema) -> TableDefinition:
    for key in table.keys:
        if key not in given:
            raise UnknownColumn(f"{table.name}: the frame lacks the key column {key}.{nearest(key, given)}")
    # A frame's column of nothing but nulls has no type of its own ("void"), and takes the table's.
    changed = [
        f"{name} is {table.schema[name]} in the table and {kind} in the frame"
        for name, kind in given.items()
        if name in table.schema and kind != "void" and spark_type(arrow_type(kind)) != table.schema[name]
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise TypeMismatch(f"{table.name}: {'; '.join(changed[:3])}{more}. Cast the frame's; a column keeps its type.")
    added = {name: kind for name, kind in given.items() if name not in table.schema}
    if not added:
        return table
    wider = table.schema | added
    return define(table.name, table.primary_keys, wider, table.timeseries_column, table.partition_columns)


def _kept(table: FeatureTable, given: Schema) -> tuple[str, ...]:
    missing = tuple(name for name in table.features if name not in given)
    if missing and table.timeseries_column is not None:
        raise SchemaChange(
            f"{table.name}: the frame lacks {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}; a row of a "
            "time-series table is written whole. Add the column (null where unknown)."
        )
    return missing


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(value)})"
    return "none" if value is None else str(value)

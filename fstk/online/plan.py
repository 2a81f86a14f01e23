"""What a publication will do, decided before a row is read, from what store and feature table say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from fstk.columns.typing import Nulls
from fstk.engines.base import Schema
from fstk.errors import InvalidInput, SchemaChange, TypeMismatch, UnknownColumn, nearest
from fstk.online.codec import RowCodec
from fstk.online.keys import KeyCodec
from fstk.online.store import TIMES, TIMES_TYPE, OnlineTable
from fstk.tables.spec import FeatureTable

Extent = Literal["nothing", "changes", "everything"]


@dataclass(frozen=True)
class PublishPlan:
    """``target`` is what the store will know of the table, ``held`` what it knows now (None: never published there).

    ``extent`` ``changes`` reads the change data feed from version ``since`` on, ``everything`` the newest row of
    every key; ``nothing`` means that the store already holds ``version``. ``reason`` says why.
    """

    held: OnlineTable | None
    target: OnlineTable
    version: int
    extent: Extent
    since: int
    reason: str


def plan_publication(
    table: FeatureTable,
    source: str,
    held: OnlineTable | None,
    *,
    features: Sequence[str] | None,
    filter_condition: str | None,
    until: datetime,
    ttl: timedelta | None,
    nulls: Nulls | None = None,
) -> PublishPlan:
    """Decide what to publish of ``table`` to a store that holds ``held``, or refuse it."""
    if ttl is not None and table.timeseries_column is None:
        raise InvalidInput(f"{table.name} has no time column, so its rows cannot expire; leave out ttl.")
    if nulls is not None and nulls not in get_args(Nulls):
        raise InvalidInput(f"nulls must be 'keep' or 'skip'; got {nulls!r}.")
    if nulls == "skip" and table.timeseries_column is None:
        raise InvalidInput(f"{table.name} has no time column, so no value is older than another; leave out nulls.")
    keys = {key: table.schema[key] for key in table.primary_keys}
    chosen = _chosen(table, features, held)
    KeyCodec(keys)
    skip = nulls == "skip" or (nulls is None and held is not None and held.nulls == "skip")
    if not skip and held is not None and held.nulls == "skip":
        raise SchemaChange(f"online {table.name} skips nulls; {_cure(table)}")
    layout = {**chosen, TIMES: TIMES_TYPE} if skip else chosen
    RowCodec(layout)
    if held is None:
        target = OnlineTable(table.name, "", source, keys, table.timeseries_column, (layout,), ttl, None)
        return PublishPlan(None, target, table.version, "everything", 0, "never published")
    _refuse_changes(table, source, held, keys, chosen)
    layouts = held.layouts if set(layout) == set(held.layout) else (*held.layouts, layout)
    target = replace(held, layouts=layouts, ttl=held.ttl if ttl is None else ttl)
    extent, since, reason = _extent(table, target, filter_condition, until)
    return PublishPlan(held, target, table.version, extent, since, reason)


def _chosen(table: FeatureTable, features: Sequence[str] | None, held: OnlineTable | None) -> Schema:
    """Return the features to publish: those asked for or all, in the order in which they are published already."""
    if isinstance(features, str):
        raise InvalidInput(f"features must be a list of names; write [{features!r}].")
    names = table.features if features is None else list(dict.fromkeys(features))
    always = {*table.primary_keys, table.timeseries_column}
    for name in names:
        if name not in table.schema:
            raise UnknownColumn(f"{table.name} has no feature {name}.{nearest(str(name), table.features)}")
    chosen = {name: table.schema[name] for name in names if name not in always}
    first = [] if held is None else [name for name in held.features if name in chosen]
    return {name: chosen[name] for name in [*first, *chosen]}


def _refuse_changes(table: FeatureTable, source: str, held: OnlineTable, keys: Schema, chosen: Schema) -> None:
    cure = _cure(table)
    if held.source != source:
        raise SchemaChange(f"online {table.name} was published from another table of that name; {cure}")
    if list(held.keys.items()) != list(keys.items()) or held.timeseries_column != table.timeseries_column:
        raise SchemaChange(
            f"online {table.name} has the keys {_spelled(held.keys)} and the time column {held.timeseries_column}, "
            f"the table {_spelled(keys)} and {table.timeseries_column}; {cure}"
        )
    missing = [name for name in held.features if name not in chosen]
    if missing:
        raise SchemaChange(
            f"online {table.name} has the features {', '.join(missing)}, which would no longer be published; "
            f"name all its features, or {cure}"
        )
    for name, kind in held.features.items():
        if chosen[name] != kind:
            raise TypeMismatch(f"feature {name} of {table.name} is {chosen[name]}, but {kind} online; {cure}")


def _cure(table: FeatureTable) -> str:
    return f"drop_online_table(name={table.name!r}, …) first, then publish."


def _spelled(columns: Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def _extent(
    table: FeatureTable, target: OnlineTable, filter_condition: str | None, until: datetime
) -> tuple[Extent, int, str]:
    mark = target.watermark
    if mark is None:
        return "everything", 0, "no publication was completed yet"
    if mark.layout != len(target.layouts) - 1:
        began = target.nulls == "skip" and TIMES not in target.layouts[mark.layout]
        return "everything", 0, "nulls are skipped from now on" if began else "features were added"
    if mark.filter_condition != filter_condition:
        return "everything", 0, "another filter condition than last time"
    if mark.waiting is not None and mark.waiting <= until:
        return "everything", 0, "rows have come of age that lay in the future"
    if mark.version > table.version:
        return "everything", 0, f"version {mark.version} is online already"
    if mark.version == table.version:
        return "nothing", 0, f"version {mark.version} is online; parity tells whether all of it still is"
    if target.nulls == "skip":
        return "everything", 0, "older rows count where nulls are skipped"
    return "changes", mark.version + 1, f"versions {mark.version + 1} to {table.version}"

"""A source rewritten: its rows after an instant deleted, altered or negated, or one before it altered. Pure Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.instants import instants
from fstk.columns.keys import pair_ids
from fstk.engines.base import CHANGE_FEED
from fstk.engines.types import TIME_TYPES, schema_of

KNOWN = "_known_at"
"""The column, if there is one, that says when a row was committed: before that instant nothing of it was known."""
DELETED, ALTERED, NEGATED = "deleted", "altered", "negated"
_ACTS = (DELETED, ALTERED, NEGATED)


@dataclass(frozen=True)
class Rewritten:
    """The rows of a source afterwards; ``acts`` says what was done to each row before, empty for nothing."""

    rows: pa.Table
    acts: np.ndarray


def time_columns(rows: pa.Table) -> list[str]:
    """Return the columns that say when something of a row was known or happened."""
    return [name for name, kind in schema_of(_own(rows).schema).items() if kind in TIME_TYPES]


def names_of_rows(rows: pa.Table) -> list[str]:
    """Return the columns of integers or texts that are another in every row: what joins and keys may rest on."""
    plain = (field for field in _own(rows).schema if pa.types.is_integer(field.type) or pa.types.is_string(field.type))
    return [field.name for field in plain if pc.count_distinct(rows.column(field.name)).as_py() == rows.num_rows > 1]


def span(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last instant of each row, in µs since 1970 UTC; without any time the first there is."""
    least, most = np.full((2, rows.num_rows), np.iinfo(np.int64).min)
    for place, name in enumerate(time_columns(rows)):
        at, unknown = instants(rows.column(name))
        first = np.where(unknown, least, at)
        least = first if place == 0 else np.where(unknown, least, np.minimum(least, at))
        most = np.where(unknown, most, np.maximum(most, at))
    if KNOWN in rows.column_names:
        known, _ = instants(rows.column(KNOWN))
        least, most = np.maximum(least, known), np.maximum(most, known)
    return least, most


def without_future(rows: pa.Table, instant: int, fixed: Sequence[str], turn: int) -> Rewritten:
    """Return ``rows`` with another future after ``instant``: of every three rows that lie after it wholly one is
    deleted, one altered and one negated, which of them follows ``turn``; a row that began before and was completed
    after it is altered. ``fixed`` columns and times stay."""
    first, last = span(rows)
    later = first > instant
    acts = np.full(rows.num_rows, "", dtype=object)
    acts[later] = np.array(_ACTS, dtype=object)[(np.arange(later.sum()) + turn) % 3]
    acts[~later & (last > instant)] = ALTERED
    return _rewritten(rows, acts, fixed)


def with_past(rows: pa.Table, instant: int, entity: Sequence[str], fixed: Sequence[str]) -> Rewritten:
    """Return ``rows`` with the newest one before ``instant`` of each entity altered, and the one before that deleted:
    what counts rows is to change, too. ``fixed`` columns and times stay."""
    _, last = span(rows)
    acts = np.full(rows.num_rows, "", dtype=object)
    of = pair_ids(rows, entity, rows, entity)[0] if entity else np.zeros(rows.num_rows, np.int64)
    before = np.flatnonzero(last < instant)
    order = before[np.lexsort((last[before], of[before]))]
    newest = np.append(of[order][1:] != of[order][:-1], True)[: len(order)]
    acts[order[newest]] = ALTERED
    acts[order[:-1][newest[1:] & ~newest[:-1]]] = DELETED
    return _rewritten(rows, acts, fixed)


def _own(rows: pa.Table) -> pa.Table:
    """Return the columns that are the source's own."""
    return rows.select([name for name in rows.column_names if name not in (*CHANGE_FEED, KNOWN)])


def _rewritten(rows: pa.Table, acts: np.ndarray, fixed: Sequence[str]) -> Rewritten:
    altered, negated = (pa.array(acts == act) for act in (ALTERED, NEGATED))
    stay = {*fixed, *time_columns(rows)}
    own = set(_own(rows).column_names)
    for place, field in enumerate(rows.schema):
        if field.name in stay or field.name not in own:
            continue
        column = rows.column(place)
        other, opposite = _other(column), _opposite(column)
        column = pc.if_else(altered, other, column)
        rows = rows.set_column(place, field, pc.if_else(negated, opposite, column))
    return Rewritten(rows.filter(pa.array(acts != DELETED)), acts)


def _other(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return other values of the same type; of a type that has no others to hand the same."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.invert(column)
    if pa.types.is_string(kind):
        return pc.binary_join_element_wise(column, "~", "")
    if pa.types.is_floating(kind):
        return pc.add(pc.multiply(column, pa.scalar(3.0, kind)), pa.scalar(1.0, kind))
    if pa.types.is_integer(kind):
        most = pa.scalar(2 ** (kind.bit_width - 2) - 1, kind)  # past it one less, so that nothing overflows
        one = pa.scalar(1, kind)
        return pc.if_else(pc.greater(column, most), pc.subtract(column, one), pc.add(column, one))
    return _opposite(column)


def _opposite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.negate(column).cast(kind)
    if pa.types.is_integer(kind):
        least = pa.scalar(-(2 ** (kind.bit_width - 1)), kind)
        return pc.if_else(pc.equal(column, least), column, pc.negate(column))
    return pc.invert(column) if pa.types.is_boolean(kind) else column

"""What was committed to a source, and when: what was known of it at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.keys import pair_ids
from fstk.engines.base import CHANGE_FEED, CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, TableVersion
from fstk.engines.choice import engine_for
from fstk.errors import ExpiredSnapshot, IncompatibleChanges, InvalidInput
from fstk.proof.source import KNOWN
from fstk.tables import local


def changes_of(table: TableVersion, as_known: bool) -> pa.Table | None:
    """Return all changes of a table but for the rows before an update, ``as_known`` with the column :data:`KNOWN`; None
    where they cannot be read, or rows were changed that have no key.

    Raises InvalidInput: with ``as_known``, instead of None."""
    engine = engine_for(tables={table: None}, changes=True)
    try:
        changes = engine.arrow(engine.changes(table))
    except (ExpiredSnapshot, IncompatibleChanges) as error:
        why = str(error)
    else:
        changes = changes.filter(pc.not_equal(changes.column(CHANGE_TYPE), "update_preimage"))
        if _appended(changes) or _keys(table):
            return changes.append_column(KNOWN, changes.column(COMMIT_TIMESTAMP)) if as_known else changes
        why = "rows without a key were changed"
    if as_known:
        raise InvalidInput(f"--as-known needs all changes of {table.name}, and they cannot be read: {why}")
    return None


def known_among(table: TableVersion, among: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Return the rows of a table whose columns of ``among`` hold one of those values (floating numbers do not narrow),
    with the column :data:`KNOWN`, of the commit that gave them their values.

    Raises InvalidInput: its changes cannot be read."""
    changes = changes_of(table, as_known=True)
    assert changes is not None
    for name, values in among.items():
        if not pa.types.is_floating(values.type):
            changes = changes.filter(pc.is_in(changes.column(name), values.combine_chunks().unique().drop_null()))
    if not _appended(changes):
        changes = changes.sort_by(COMMIT_VERSION)
        row = pair_ids(changes, _keys(table), changes, _keys(table))[0]
        last = len(row) - 1 - np.unique(row[::-1], return_index=True)[1]
        changes = changes.take(pa.array(last))
        changes = changes.filter(pc.not_equal(changes.column(CHANGE_TYPE), "delete"))
    return changes.drop_columns(list(CHANGE_FEED))


def _appended(changes: pa.Table) -> bool:
    return bool(pc.all(pc.equal(changes.column(CHANGE_TYPE), "insert")).as_py())


def _keys(table: TableVersion) -> list[str]:
    found = local.read(table.name, Path(table.location)) if table.location else None
    return [] if found is None else list(found.keys)

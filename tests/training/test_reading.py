"""A join reads only the row groups that its labels can see, and finds in them what it finds in all."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fstk.engines.base import TableVersion, Within
from fstk.engines.direct import DirectEngine
from fstk.engines.types import schema_of
from fstk.tables.spec import FeatureTable
from fstk.training.plan import plan_training_set
from fstk.training.run import join
from fstk.training.spec import FeatureLookup
from tests.engines.test_files import ROWS, START, put

KEYS = {
    "int": lambda column: column,
    "text": lambda column: column.cast(pa.string()),
    "double": lambda column: column.cast(pa.float64()),
    "instant": lambda column: column.cast(pa.timestamp("us", "UTC")),
    "wall": lambda column: column.cast(pa.timestamp("us")),
    "price": lambda column: column.cast(pa.decimal128(25, 2)),
}
TIMES = {
    "timestamp": lambda column: column,
    "timestamp_ntz": lambda column: column.cast(pa.timestamp("us")),
    "date": lambda column: column.cast(pa.date32()),
}


class Everything(DirectEngine):
    """Reads all rows, whatever matters."""

    def read(self, table: TableVersion, columns: Any = None, within: Within | None = None) -> pa.Table:
        return super().read(table, columns)


class Counting(DirectEngine):
    """Counts the rows that it reads."""

    rows = 0

    def read(self, table: TableVersion, columns: Any = None, within: Within | None = None) -> pa.Table:
        found = super().read(table, columns, within)
        self.rows += found.num_rows
        return found


def labels_of(chance: random.Random, keys: range, hours: range) -> pa.Table:
    chosen = [None if chance.random() < 0.1 else chance.choice(keys) for _ in range(30)]
    times = [None if chance.random() < 0.1 else START + timedelta(hours=chance.choice(hours)) for _ in range(30)]
    return pa.table({"id": pa.array(chosen, pa.int64()), "now": pa.array(times, pa.timestamp("us", "UTC"))})


@pytest.mark.parametrize("lookback", [None, timedelta(0), timedelta(hours=30)])
@pytest.mark.parametrize(
    ("key", "time"), [*((key, "timestamp") for key in KEYS), ("int", "timestamp_ntz"), ("int", "date")]
)
def test_what_is_left_out_cannot_be_seen(tmp_path: Path, key: str, time: str, lookback: timedelta | None) -> None:
    chance = random.Random(f"{key} {time} {lookback}")
    rows = ROWS.set_column(0, "id", KEYS[key](ROWS.column("id")))
    rows = rows.set_column(1, "at", TIMES[time](rows.column("at"))) if time != "date" else rows
    if time == "date":  # one row of a key and day
        days = pa.array([START.date() + timedelta(days=n % 20) for n in range(rows.num_rows)])
        rows = rows.set_column(1, "at", days)
    location = put(tmp_path / "t", rows, groups=100).location
    table = FeatureTable(
        "s.t", ("id",), "at", schema_of(rows.schema), version=0, location=location, written_by_fstk=True
    )
    lookup = FeatureLookup("s.t", "id", timestamp_lookup_key="now", lookback_window=lookback)
    few = Counting()
    for keys, hours in ((range(-5, 120), range(-50, 2_100)), (range(20, 25), range(300, 700)), (range(3), range(1))):
        labels = labels_of(chance, keys, hours)
        labels = labels.set_column(0, "id", KEYS[key](labels.column("id")))
        plan = plan_training_set(schema_of(labels.schema), [lookup], {"s.t": table}, None)
        assert join(plan, labels, few).equals(join(plan, labels, Everything()))
        assert join(plan, labels.slice(0, 0), DirectEngine()).num_rows == 0
    if key in ("int", "instant", "wall"):
        assert few.rows < 1.5 * rows.num_rows


def test_keys_that_no_date_of_python_reaches_meet_nothing(tmp_path: Path) -> None:
    days = pa.array([START.date() + timedelta(days=n) for n in range(3)])
    location = put(tmp_path / "t", pa.table({"day": days, "x": [1, 2, 3]})).location
    schema = {"day": "date", "x": "bigint"}
    table = FeatureTable("s.t", ("day",), None, schema, version=0, location=location, written_by_fstk=True)
    labels = pa.table({"day": pa.array([-800_000, None, days[1].value, 4_000_000], pa.date32())})
    plan = plan_training_set({"day": "date"}, [FeatureLookup("s.t", "day")], {"s.t": table}, None)
    assert join(plan, labels, DirectEngine()).column("x").to_pylist() == [None, None, 2, None]

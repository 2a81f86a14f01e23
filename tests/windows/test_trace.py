"""A value comes down to its events: those of a plain loop, and they alone make the same bits."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from fstk.engines.connect import direct
from fstk.engines.notes import notes_of
from fstk.tables.definition import FeatureDefinition, read_all
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate
from fstk.windows.trace import computed, same_bits, trace

START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
CELLS = 1_000
KEYS = ["customer", "shop"]


def events(rows: int, seed: int) -> pa.Table:
    """Purchases of 40 customers in three shops within 200 days, by the hour, so that instants meet; amounts of any
    size."""
    chance = random.Random(seed)
    at = [START + timedelta(hours=chance.randrange(200 * 24)) for _ in range(rows)]
    amounts = [None if chance.random() < 0.05 else chance.uniform(-1, 1) * 10 ** chance.randrange(12) for _ in at]
    return pa.table(
        {
            "customer": pa.array([chance.randrange(40) for _ in at]),
            "shop": pa.array([chance.choice(["north", "south", "é"]) for _ in at]),
            "at": pa.array(at, INSTANT),
            "amount": pa.array(amounts, pa.float64()),
            "quantity": pa.array([chance.randrange(1, 6) for _ in at], pa.int32()),
        }
    )


def expected(definition: FeatureDefinition, rows: list[dict[str, Any]], point: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a plain loop."""
    length = None if definition.window == "lifetime" else timedelta(days=int(definition.window[:-1]))
    found = []
    for row in rows:
        age = point["at"] - row["at"]
        early = length is None or age < length or (age == length and definition.closed != "right")
        late = age > timedelta(0) or (age == timedelta(0) and definition.closed != "left")
        counts = "quantity > 2" not in definition.expression or row["quantity"] > 2
        counts = counts and ("(amount)" not in definition.expression or row["amount"] is not None)
        if all(row[key] == point[key] for key in KEYS) and early and late and counts:
            found.append(row)
    return found


@pytest.mark.parametrize("closed", ["left", "right", "both"])
def test_random_cells_of_a_table_come_from_their_events_bit_for_bit(closed: Any) -> None:
    bought = events(3_000, seed=7)
    aggregates = [
        Aggregate("sum(amount)", name="spend"),
        Aggregate("avg(amount) filter (where quantity > 2)", name="bulk"),
        Aggregate("stddev(amount)", name="spread"),
        Aggregate("count(distinct quantity)", name="kinds"),
        Aggregate("median(amount)", name="middle"),
    ]
    features = WindowedFeatures(bought, KEYS, "at", aggregates, ["7d", "30d", None], closed=closed)
    table = features.compute(Calendar(START.date(), (START + timedelta(days=201)).date(), every="7d"), engine=direct())
    definitions = read_all(notes_of(table), table.column_names)
    assert len(definitions) == len(features.columns) == 15
    places = np.random.default_rng(7).choice(table.num_rows, -(-CELLS // 15), replace=False)
    rows = bought.to_pylist()
    looked_at = 0
    for column, definition in definitions.items():
        points = table.take(places)
        found = trace(definition, bought, points.select([*KEYS, "at"]))
        assert all(same_bits(*pair) for pair in zip(points.column(column), found.values, strict=True)), column
        looked_at += len(places)
        for row in (0, 1, len(places) - 1):
            own = found.events.filter(pa.array(found.of == row)).to_pylist()
            wanted = expected(definition, rows, points.select([*KEYS, "at"]).to_pylist()[row])
            assert sorted(map(repr, own)) == sorted(map(repr, wanted)), (column, row)
    assert looked_at >= CELLS


def test_windows_of_months_and_of_whole_days_do_so_too() -> None:
    bought = events(1_000, seed=3)
    spend = [Aggregate("sum(amount)", name="spend"), Aggregate("last(quantity)", name="newest")]
    features = WindowedFeatures(bought, KEYS, "at", spend, ["1mo", "7d"], align="week")
    table = features.compute(bought.select([*KEYS, "at"]).slice(0, 200), engine=direct())
    for column, definition in read_all(notes_of(table), table.column_names).items():
        assert definition.others == {"align": "week"}
        found = trace(definition, bought, table.select([*KEYS, "at"]))
        assert found.events.num_rows > 50
        assert all(same_bits(*pair) for pair in zip(table.column(column), found.values, strict=True)), column


def test_windows_of_a_calendar_s_zone_do_so_too() -> None:
    bought = events(1_000, seed=4)
    calendar = Calendar(START.date(), START + timedelta(days=200), every="1d", zone="America/New_York")
    spend = [Aggregate("sum(amount)", name="spend"), Aggregate("since_last(*)", name="since")]
    features = WindowedFeatures(bought, KEYS, "at", spend, ["1mo", "7d"], align="week")
    table = features.compute(calendar, engine=direct())
    asked = table.select([*KEYS, "at"])
    for column, definition in read_all(notes_of(table), table.column_names).items():
        assert definition.zone == "America/New_York"
        again = computed(definition, bought, asked)
        assert all(same_bits(*pair) for pair in zip(table.column(column), again, strict=True)), column
        utc = computed(msgspec.structs.replace(definition, zone=None), bought, asked)
        assert not utc.equals(again), "weeks begin at another instant there"
        no_time = asked.slice(0, 1).set_column(2, "at", pa.nulls(1, INSTANT))
        assert computed(definition, bought, no_time).to_pylist() == [None]


def test_the_maps_of_a_grouped_aggregate_do_so_too() -> None:
    bought = events(500, seed=5)
    spend = [Aggregate("sum(amount) filter (where quantity > 1 or quantity < 0)", name="spend", group_by="shop")]
    features = WindowedFeatures(bought, "customer", "at", spend, ["30d"])
    table = features.compute("events", engine=direct())
    (definition,) = read_all(notes_of(table), table.column_names).values()
    assert definition.others == {"group_by": "shop"}
    found = trace(definition, bought, table.select(["customer", "at"]))
    assert found.events.num_rows > 500
    assert all(same_bits(*pair) for pair in zip(table.column("spend_30d"), found.values, strict=True))


def test_values_are_one_by_their_bits() -> None:
    def scalar(value: Any, kind: pa.DataType | None = None) -> pa.Scalar:
        return pa.scalar(value, kind or pa.float64())

    assert same_bits(scalar(float("nan")), scalar(float("nan")))
    assert same_bits(scalar(None), scalar(None))
    assert not same_bits(scalar(0.0), scalar(-0.0))
    assert not same_bits(scalar(0.1 + 0.2), scalar(0.3))
    assert not same_bits(scalar(None), scalar(0.0))
    assert not same_bits(scalar(1, pa.int64()), scalar(1, pa.int32()))


def test_an_entity_without_events_has_none() -> None:
    definition = FeatureDefinition("count(*)", "7d", ("customer", "shop"), "at")
    point = pa.table({"customer": [99], "shop": ["north"], "at": pa.array([START], INSTANT)})
    found = trace(definition, events(10, 1), point)
    assert (found.events.num_rows, found.values.to_pylist()) == (0, [0])

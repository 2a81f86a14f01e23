"""A table's features computed again by its recorded definitions: those of a plain loop, as they were declared."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from fstk import Aggregate, Calendar, FeatureEngineeringClient, WindowedFeatures
from fstk.engines.connect import direct, engine_of
from fstk.engines.notes import notes_of
from fstk.errors import InvalidInput, NaiveDatetime, UnknownTable
from fstk.tables.definition import FeatureDefinition, read_all
from fstk.tables.spec import FeatureTable
from fstk.windows.recorded import declared, on_calendar
from tests.notebook.tables import COUNT, DAY, SPEND, START, defined, purchases, spend, write, write_defined

NAME = "feature_store.customer_features"
WEEKLY = Calendar(START + 7 * DAY, START + 84 * DAY, every="7d")


def table_of(warehouse: Path, **definitions: FeatureDefinition) -> FeatureTable:
    """The table of spend, whose features are recorded so; those that they are where none are given."""
    write(warehouse / "default" / "transactions", purchases())
    folder = warehouse / "feature_store" / "customer_features"
    if definitions:
        write(folder, spend(), defined(0, **definitions), primary_keys='["customer_id"]', timeseries_column="as_of")
    else:
        write_defined(folder)
    return FeatureEngineeringClient().get_table(name=NAME)


def in_order(rows: pa.Table) -> list[dict[str, Any]]:
    return rows.sort_by([(rows.column_names[0], "ascending"), (rows.column_names[1], "ascending")]).to_pylist()


def test_features_of_a_range_are_those_of_a_plain_loop(warehouse: Path) -> None:
    rows = on_calendar(table_of(warehouse), WEEKLY, direct())
    assert rows.schema.remove_metadata().equals(spend().schema)
    assert in_order(rows) == in_order(spend())
    told = read_all(notes_of(rows), rows.column_names)
    assert told["total_spend_30d"].means(SPEND)
    assert told["txn_count_30d"].means(COUNT)


@pytest.mark.spark
def test_a_range_that_is_written_fills_the_table(spark: Any, warehouse: Path) -> None:
    table_of(warehouse)
    fe = FeatureEngineeringClient(spark)
    again = fe.compute_features(name=NAME, start=WEEKLY.start, end=WEEKLY.end, every="7d")
    report = fe.write_table(name=NAME, df=again)
    assert (report.inserted, report.updated) == (0, 0)
    later = fe.compute_features(name=NAME, start=START + 84 * DAY, end=START + 91 * DAY)
    assert fe.write_table(name=NAME, df=later).inserted == 21


@pytest.mark.spark
def test_keys_and_times_are_called_and_typed_as_in_the_table(spark: Any, warehouse: Path) -> None:
    table = replace(
        table_of(warehouse),
        primary_keys=("who",),
        timeseries_column="day",
        schema={"total_spend_30d": "double", "day": "date", "who": "bigint", "note": "string"},
    )
    engine = engine_of(spark)
    rows = engine.arrow(on_calendar(table, WEEKLY, engine))
    assert rows.column_names == ["total_spend_30d", "day", "who"]
    want = {(row["customer_id"], row["as_of"].date(), row["total_spend_30d"]) for row in spend().to_pylist()}
    assert {(row["who"], row["day"], row["total_spend_30d"]) for row in rows.to_pylist()} == want


@pytest.mark.parametrize("closed", ["left", "right", "both"])
@pytest.mark.parametrize("align", [None, "week"])
def test_what_was_declared_is_declared_again(closed: Any, align: Any) -> None:
    features = WindowedFeatures(
        purchases(),
        "customer_id",
        "purchased_at",
        [
            Aggregate("sum(amount)", name="spend"),
            Aggregate("count(*) FILTER (WHERE quantity > 1)", name="many"),
            Aggregate("sum(amount)", name="spend_by_quantity", group_by="quantity"),
            Aggregate("sum(amount) / nullif(count(*), 0)", name="each"),
        ],
        ["7d", "36h", "1mo", None],
        closed=closed,
        align=align,
    )
    first = features.compute(WEEKLY, engine=direct())
    definitions = read_all(notes_of(first), first.column_names)
    some = {name: definitions[name] for name in reversed(definitions) if name != "many_36h"}
    made = declared(some, purchases())
    assert len(made.features.aggregates) == 4
    again = made.features.compute(WEEKLY, engine=direct())
    for name in some:
        assert again.column(made.columns[name]).equals(first.column(name)), name


SUMMED = {"total_spend_30d": SPEND}


@pytest.mark.parametrize(
    ("definitions", "says"),
    [
        ({"total_spend_30d": msgspec.structs.replace(SPEND, source=None)}, "of none of its features"),
        (SUMMED | {"txn_count_30d": msgspec.structs.replace(COUNT, closed="both")}, "not of one declaration"),
        (SUMMED | {"txn_count_30d": msgspec.structs.replace(COUNT, source="visits")}, "of visits"),
        (SUMMED | {"txn_count_30d": msgspec.structs.replace(COUNT, others={"align": "day"})}, "as_of's day"),
    ],
)
def test_what_one_declaration_does_not_say_is_refused(
    warehouse: Path, definitions: dict[str, FeatureDefinition], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as error:
        on_calendar(table_of(warehouse, **definitions), WEEKLY, direct())
    assert "WindowedFeatures(…).compute(Calendar(…))" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_what_cannot_be_computed_says_what_is_missing(warehouse: Path) -> None:
    table = table_of(warehouse, total_spend_30d=msgspec.structs.replace(SPEND, source="gone"))
    with pytest.raises(UnknownTable, match="no table gone"):
        on_calendar(table, WEEKLY, direct())
    with pytest.raises(InvalidInput, match="it has no time column"):
        on_calendar(replace(table, timeseries_column=None), WEEKLY, direct())
    with pytest.raises(NaiveDatetime):
        FeatureEngineeringClient().compute_features(name=NAME, start=dt.datetime(2024, 1, 1), end=dt.date(2024, 1, 2))

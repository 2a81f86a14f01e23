"""A feature table of windowed features is what their rows, keys and definitions make, and knows the rest itself."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from fstk import Aggregate, Calendar, FeatureEngineeringClient, WindowedFeatures
from fstk.errors import InvalidInput, Redefined
from fstk.windows.table import WindowedTable
from tests.notebook.tables import fill, spend, write_defined

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WEEKS = Calendar(date(1997, 1, 8), date(1997, 3, 12), every="7d")


def features(source: Any = "transactions", **others: Any) -> WindowedFeatures:
    count = Aggregate("count(*)", name="n")
    return WindowedFeatures(source, "customer_id", "purchased_at", [count], ["7d", None], **others)


def test_the_time_is_that_of_the_points_or_the_one_that_is_given() -> None:
    labels = pd.DataFrame({"customer_id": [1], "seen_at": [datetime(1997, 2, 1, tzinfo=UTC)]})
    for points, given, expected in (
        (WEEKS, None, ("as_of", "as_of")),
        (WEEKS, "week", ("week", "week")),
        ("events", None, (None, "purchased_at")),
        ("events", "at", (None, "at")),
        (labels, "seen_at", ("seen_at", "seen_at")),
        (labels.rename(columns={"seen_at": "purchased_at"}), "at", ("purchased_at", "at")),
    ):
        made = WindowedTable.of(features(), points, given)
        assert (made.points_time, made.time) == expected


def test_what_a_table_is_in_words_and_where_its_events_are() -> None:
    made = WindowedTable.of(features(), WEEKS, None)
    assert made.description == "2 features of transactions over 7d, lifetime before as_of"
    assert made.tags == {"source": "transactions", "event_time": "purchased_at", "closed": "left"}
    leaky = WindowedTable.of(features(pd.DataFrame(), closed="both"), "events", None)
    assert leaky.description == "2 features of a frame over 7d, lifetime up to purchased_at"
    assert leaky.tags == {}


def test_features_and_points_go_together_and_alone(warehouse: Path) -> None:
    fe = FeatureEngineeringClient()
    refused: tuple[dict[str, Any], ...] = (
        {"features": features()},
        {"points": WEEKS},
        {"features": features(), "points": WEEKS, "df": pd.DataFrame()},
        {"features": features(), "points": WEEKS, "schema": "id int"},
    )
    for given in refused:
        with pytest.raises(InvalidInput, match=r"shop.t: features and points go together, in place of df and schema\."):
            fe.create_table(name="shop.t", **given)
    with pytest.raises(InvalidInput, match=r"shop.t: give primary_keys; features and points, in place of df, know"):
        fe.create_table(name="shop.t", df=pd.DataFrame())


def test_a_preview_shows_the_table_that_would_be_made_and_makes_none(warehouse: Path) -> None:
    fill(warehouse)
    fe = FeatureEngineeringClient()
    shown = repr(fe.preview_table(name="shop.weekly", features=features(), points=WEEKS))
    assert shown.startswith("shop.weekly · plan: CREATE, keys (customer_id, as_of TIMESERIES), 2 features")
    assert "nothing written yet · write it: fe.create_table(…) with the same arguments" in shown
    assert "sample: " in shown
    assert "shop.weekly" not in [table.name for table in fe.list_tables()]


def test_another_meaning_is_refused_by_a_few_entities_before_a_row_is_computed(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse)
    write_defined(warehouse / "shop" / "spend")
    monkeypatch.setattr("fstk.client.session_for", None)  # no JVM for it
    aggregates = [Aggregate("count(*)", name="txn_count"), Aggregate("sum(amount * 2)", name="total_spend")]
    doubled = WindowedFeatures("transactions", "customer_id", "purchased_at", aggregates, ["30d"])
    spent = [row["total_spend_30d"] for row in spend().to_pylist() if row["as_of"].date() < WEEKS.end]
    changed = sum(one is not None for one in spent)
    with pytest.raises(Redefined, match=f"{changed} of {len(spent)} rows differ") as error:
        FeatureEngineeringClient().create_table(name="shop.spend", features=doubled, points=WEEKS)
    assert "total_spend_30d would change meaning. Nothing was written." in str(error.value)


@pytest.mark.spark
def test_it_is_the_table_that_its_rows_and_keys_make_and_what_is_given_wins(
    warehouse: Path, spark: SparkSession
) -> None:
    fill(warehouse)
    fe = FeatureEngineeringClient(spark)
    short = fe.create_table(name="shop.short", features=features(), points=WEEKS)
    rows = features().compute(WEEKS, timestamp="as_of")
    long = fe.create_table(name="shop.long", primary_keys="customer_id", timeseries_column="as_of", df=rows)
    assert (short.keys, short.schema, short.definitions) == (long.keys, long.schema, long.definitions)
    assert fe.read_table(name="shop.short").exceptAll(fe.read_table(name="shop.long")).isEmpty()
    assert short.rows == long.rows
    assert short.description == "2 features of transactions over 7d, lifetime before as_of"
    assert short.tags["source"] == "transactions"
    own = fe.create_table(
        name="shop.own",
        features=features(),
        points=WEEKS,
        timeseries_column="week",
        description="mine",
        tags={"a": "b"},
    )
    assert (own.keys, own.description, own.tags) == (("customer_id", "week"), "mine", {"a": "b"})
    again = fe.create_table(name="shop.own", features=features(), points=WEEKS)
    assert (again.version, again.description, again.tags) == (own.version, "mine", {"a": "b"})

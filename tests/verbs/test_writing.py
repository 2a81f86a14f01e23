"""What ``--write`` does on Spark, and that ``--code`` does the same when it is pasted into a cell."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell

from fstk import Aggregate, FeatureEngineeringClient, WindowedFeatures
from fstk.display import share
from fstk.engines import connect
from fstk.engines.base import TableVersion
from fstk.errors import Redefined
from fstk.previews.loaded import rows_among
from fstk.tables.configured import open_catalog
from fstk.tables.history import definitions_at
from fstk.tables.provenance import event_sources
from tests.notebook.cells import refused, result, shown
from tests.notebook.tables import DAY, INSTANT, PURCHASES, START, labels, purchases

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
HEAD = "%%fstk windows feature_store.spend --source transactions --entity customer_id --time purchased_at"
LINES = "count(*) as n\nsum(amount) filter (where quantity > 1) as bulk\n"
WEEKS = "--calendar 1997-01-08,1997-03-12,7d"


@pytest.fixture
def notebook(shell: InteractiveShell, filled: Path, spark: "SparkSession") -> Iterator[InteractiveShell]:
    """A notebook whose session is the tests' Spark."""
    with connect.using(connect.engine_of(spark)):
        shell.user_ns["labels"] = labels()
        yield shell


def rows(name: str) -> list[dict[str, Any]]:
    table = open_catalog().get(name)
    read = connect.direct().read(table.at()).sort_by([(key, "ascending") for key in table.keys])
    return read.to_pylist()


def loop(points: list[tuple[int, dt.datetime]], days: int, time: str) -> list[dict[str, Any]]:
    """Features of the 7-day window at points, purchase by purchase."""
    found = []
    for customer, at in sorted(points):
        seen = [
            (amount, quantity)
            for key, day, amount, quantity in PURCHASES
            if key == customer and at - days * DAY <= START + day * DAY < at
        ]
        bulk = [amount for amount, quantity in seen if quantity > 1]
        found.append(
            {"customer_id": customer, time: at, f"n_{days}d": len(seen), f"bulk_{days}d": sum(bulk) if bulk else None}
        )
    return found


def weekly() -> list[tuple[int, dt.datetime]]:
    first = {key: min(day for k, day, _, _ in PURCHASES if k == key) for key in (1, 2, 3)}
    weeks = [START + day * DAY for day in range(7, 70, 7)]
    return [(key, at) for key in first for at in weeks if START + first[key] * DAY < at]


def test_a_calendar_is_written_once_and_the_code_changes_nothing_after_it(notebook: InteractiveShell) -> None:
    cell = f"{HEAD} --windows 7d {WEEKS}"
    text = shown(notebook, f"{cell} --write\n{LINES}")
    assert text.startswith("feature_store.spend created at v0")
    expected = loop(weekly(), 7, "as_of")
    assert rows("feature_store.spend") == expected
    table = open_catalog().get("feature_store.spend")
    said = table.definitions["n_7d"].sentence("as_of")
    assert said == (
        "count(*) over the 7 days before as_of, of transactions (version 0) by purchased_at, not including the instant "
        "itself"
    )
    assert "sum(amount) filter (where quantity > 1) over the 7 days before" in repr(table)
    assert "of transactions (version 0) by purchased_at, not including the instant itself" in repr(table)
    assert event_sources([table])["feature_store.spend"].time == "purchased_at"
    assert table.location is not None
    assert all(not field.metadata for field in deltalake.DeltaTable(table.location).schema().fields)
    assert "v0 · nothing changed" in shown(notebook, f"{cell} --write\n{LINES}")
    shown(notebook, shown(notebook, f"{cell} --code\n{LINES}"))
    assert open_catalog().get("feature_store.spend").version == 0
    fresh = shown(notebook, f"{cell.replace('feature_store.spend', 'feature_store.pasted')} --code\n{LINES}")
    shown(notebook, fresh)
    assert rows("feature_store.pasted") == expected
    assert open_catalog().get("feature_store.pasted").tags == open_catalog().get("feature_store.spend").tags


def test_events_become_one_row_per_key_and_time_and_so_does_the_code(notebook: InteractiveShell) -> None:
    twice = pa.concat_tables([purchases(), purchases().slice(1, 2)])
    nothing = pa.table(
        {
            "customer_id": pa.array([None, 1], pa.int64()),
            "purchased_at": pa.array([START, None], INSTANT),
            "amount": pa.array([1.0, 1.0]),
            "quantity": pa.array([1, 1], pa.int32()),
        }
    )
    notebook.user_ns["bought"] = pa.concat_tables([twice, nothing])
    head = HEAD.replace("transactions", "bought")
    shown(notebook, f"{head} --windows 7d --write\n{LINES}")
    points = [(key, START + day * DAY) for key, day, _, _ in PURCHASES]
    written = rows("feature_store.spend")
    assert [(row["customer_id"], row["purchased_at"]) for row in written] == sorted(points)
    assert written[2] == {"customer_id": 1, "purchased_at": START + 6 * DAY, "n_7d": 3, "bulk_7d": 40.0}
    shown(notebook, shown(notebook, f"{head.replace('.spend', '.pasted')} --windows 7d --code\n{LINES}"))
    assert rows("feature_store.pasted") == written


def test_points_of_a_frame_and_of_a_table_give_the_same_and_so_does_the_code(
    notebook: InteractiveShell, filled: Path
) -> None:
    at = [START + 20 * DAY, START + 20 * DAY, START + 45 * DAY, None]
    asked = pa.table(
        {"customer_id": pa.array([1, 1, 2, 3], pa.int64()), "seen_at": pa.array(at, INSTANT), "label": [1, 2, 3, 4]}
    )
    notebook.user_ns["asked"] = asked
    shown(notebook, f"{HEAD} --windows 30d --points asked,seen_at --write\n{LINES}")
    expected = loop([(1, at[0]), (2, at[2])], 30, "seen_at")  # type: ignore[list-item]
    assert rows("feature_store.spend") == expected
    pasted = HEAD.replace(".spend", ".pasted")
    shown(notebook, shown(notebook, f"{pasted} --windows 30d --points asked,seen_at --code\n{LINES}"))
    assert rows("feature_store.pasted") == expected
    notebook.user_ns["fe_points"] = asked.slice(0, 3)
    from fstk.client import FeatureEngineeringClient

    fe = FeatureEngineeringClient()
    fe.create_table(name="default.asked_for", primary_keys=["customer_id", "label"], df=asked)
    table = HEAD.replace(".spend", ".of_table")
    shown(notebook, f"{table} --windows 30d --points asked_for,seen_at --write\n{LINES}")
    assert rows("feature_store.of_table") == expected
    code = shown(
        notebook, f"{table.replace('of_table', 'again')} --windows 30d --points asked_for,seen_at --code\n{LINES}"
    )
    assert 'fe.read_table(name="asked_for")' in code
    shown(notebook, code)
    assert rows("feature_store.again") == expected


def test_an_existing_table_keeps_the_name_of_its_time_and_a_refusal_writes_nothing(notebook: InteractiveShell) -> None:
    shown(notebook, f"{HEAD} --windows 7d {WEEKS} --write\n{LINES}")
    before = rows("feature_store.spend")
    text = shown(notebook, f"{HEAD} --windows 7d --write\n{LINES}")
    assert "v0 → v1" in text
    after = rows("feature_store.spend")
    assert [row for row in after if row in before] == before
    assert {row["as_of"] for row in after} > {START + 6 * DAY}
    error = refused(notebook, f"{HEAD} --windows 14d --write\n{LINES}")
    assert "lacks n_7d, bulk_7d" in str(error)
    assert rows("feature_store.spend") == after


def test_spark_frames_serve_as_source_points_and_labels(notebook: InteractiveShell, spark: "SparkSession") -> None:
    engine = connect.engine_of(spark)
    local = repr(result(notebook, f"{HEAD} --windows 7d\n{LINES}"))
    notebook.user_ns["bought"] = engine.frame(purchases(), "bought")
    assert repr(result(notebook, f"{HEAD.replace('transactions', 'bought')} --windows 7d\n{LINES}")) == local
    lost = {
        "customer_id": [None, None, 1],
        "purchased_at": [START, None, None],
        "quantity": [1] * 3,
        "amount": [1.0] * 3,
    }
    keyless = pa.Table.from_pydict({name: lost[name] for name in purchases().column_names}, purchases().schema)
    notebook.user_ns["bought"] = engine.frame(pa.concat_tables([purchases(), keyless]), "bought")
    text = shown(notebook, f"{HEAD.replace('transactions', 'bought')} --windows 7d\n{LINES}")
    counted = f"of {len(PURCHASES) + 3} events 2 without a key and 1 without a time belong to no window"
    assert counted in " ".join(text.split())
    notebook.user_ns["asked"] = engine.frame(labels().select(["customer_id", "event_ts"]), "asked")
    seen = result(notebook, f"{HEAD} --windows 7d --points asked,event_ts\n{LINES}")
    assert {sample.where for sample in seen.samples} == {"1 at 1997-01-21", "2 at 1997-02-20"}
    cell = "%%fstk pit labels --label is_churned --at event_ts --all --one 2\n"
    cell += "feature_store.customer_features on customer_id\n"
    expected = repr(result(notebook, cell))
    notebook.user_ns["labels"] = engine.frame(labels(), "labels")
    assert repr(result(notebook, cell)) == expected


def test_what_the_engine_without_a_jvm_cannot_do_is_shown_by_spark(notebook: InteractiveShell) -> None:
    text = shown(notebook, f"{HEAD} --windows 30d\ncount(distinct date_trunc('week', purchased_at)) as weeks\n")
    assert "Spark computes it." in text
    assert "weeks_30d bigint" in " ".join(text.split())
    assert "sample: 1 at 1997-01-07" in text


def test_the_code_of_a_join_makes_the_same_training_set(notebook: InteractiveShell) -> None:
    lines = "feature_store.customer_features (*, total_spend_30d as spend) on customer_id within 30d\n"
    lines += "feature_store.regions on region\n"
    head = "%%fstk pit labels --label is_churned --at event_ts"
    for options in ("", " --as-known"):
        shown(notebook, f"{head}{options} -o bound\n{lines}")
        shown(notebook, shown(notebook, f"{head}{options} --code\n{lines}"))
        bound, pasted = notebook.user_ns["bound"], notebook.user_ns["training_set"]
        assert pasted.plan == bound.plan
        assert pasted.to_arrow().equals(bound.to_arrow())
        assert pasted.load_df().count() == labels().num_rows


def test_rows_of_a_table_that_is_no_local_folder_come_through_the_session(
    notebook: InteractiveShell, spark: "SparkSession"
) -> None:
    connect.engine_of(spark).frame(purchases(), "p").createOrReplaceTempView("bought_there")
    among = {"customer_id": pa.chunked_array([[2, None, 99]], pa.int64())}
    table = TableVersion("bought_there", None)
    found = rows_among(table, among)
    assert found.column_names == purchases().column_names
    assert set(found.column("customer_id").to_pylist()) == {2}
    assert found.num_rows == 2
    assert rows_among(table, among, ["amount"]).column_names == ["amount"]
    spark.catalog.dropTempView("bought_there")


def test_a_view_of_the_session_serves_as_source_and_as_labels(
    notebook: InteractiveShell, spark: "SparkSession"
) -> None:
    engine = connect.engine_of(spark)
    engine.frame(purchases(), "p").createOrReplaceTempView("bought_view")
    engine.frame(labels(), "l").createOrReplaceTempView("labels_view")
    local = repr(result(notebook, f"{HEAD} --windows 7d\n{LINES}"))
    assert repr(result(notebook, f"{HEAD.replace('transactions', 'bought_view')} --windows 7d\n{LINES}")) == local
    cell = "%%fstk pit labels --at event_ts --all --one 2\nfeature_store.customer_features on customer_id\n"
    expected = repr(result(notebook, cell))
    assert repr(result(notebook, cell.replace("labels", "labels_view"))) == expected
    spark.catalog.dropTempView("bought_view")
    spark.catalog.dropTempView("labels_view")


def test_another_meaning_is_refused_with_the_difference_and_written_only_when_it_is_meant(
    notebook: InteractiveShell,
) -> None:
    cell = f"{HEAD} --windows 30d {WEEKS}"
    shown(notebook, f"{cell} --write\nsum(amount) as spend\n")
    told = shown(notebook, f"{cell}\nsum(amount * 2) as spend\n")
    assert told.splitlines()[0] == "feature_store.spend would change what spend_30d mean: only with --redefine"
    assert "spend_30d: sum(amount) over the 30 days before as_of → sum(amount * 2) over the 30 days" in told
    error = refused(notebook, f"{cell} --write\nsum(amount * 2) as spend\n")
    assert isinstance(error, Redefined)
    assert error.exit_code == 2
    old, new = (loop_of(weekly(), 30, factor) for factor in (1, 2))
    differ = sum(old[place] != new[place] for place in old)
    examples = [f"{k} at {at:%Y-%m-%d}: {old[k, at]} → {new[k, at]}" for k, at in sorted(old) if old[k, at]]
    assert str(error).splitlines() == [
        "feature_store.spend: spend_30d would change meaning. Nothing was written.",
        "  spend_30d: sum(amount) over the 30 days before as_of → sum(amount * 2) over the 30 days before as_of",
        f"    {differ} of {len(old)} rows differ ({share(differ, len(old))}), such as {' · '.join(examples[:3])}",
        "Write it all the same: --redefine (redefine=True). Keep both: give the feature another name.",
        "No registered model or online table is known to use it.",
    ]
    assert open_catalog().get("feature_store.spend").version == 0
    shown(notebook, "%fstk publish feature_store.spend")
    assert "Used by its online table in sqlite:///" in str(refused(notebook, f"{cell} --write\nmax(amount) as spend\n"))
    written = shown(notebook, f"{cell} --write --redefine\nsum(amount * 2) as spend\n")
    assert "feature_store.spend v0 → v1" in written
    again = shown(notebook, f"{cell} --write\nSUM( amount*2 ) as spend\n")
    assert "v1 · nothing changed" in again
    versions = open_catalog().versions("feature_store.spend")
    texts = [definitions_at(versions, ["spend_30d"], at)["spend_30d"].expression for at in (0, 1)]
    assert texts == ["sum(amount)", "sum(amount * 2)"]


def loop_of(points: list[tuple[int, dt.datetime]], days: int, factor: int) -> dict[tuple[int, dt.datetime], Any]:
    """What each customer had spent, times ``factor``, purchase by purchase."""
    found = {}
    for customer, at in points:
        seen = [a for k, day, a, _ in PURCHASES if k == customer and at - days * DAY <= START + day * DAY < at]
        found[customer, at] = factor * sum(seen) if seen else None
    return found


def test_python_is_asked_the_same_and_rows_that_agree_do_not_excuse_it(
    notebook: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    fe = FeatureEngineeringClient()
    events = purchases()

    def spend(expression: str) -> Any:
        features = WindowedFeatures(
            events, "customer_id", "purchased_at", [Aggregate(expression, name="spend")], ["7d"]
        )
        points = pa.table({"customer_id": [1, 2], "purchased_at": pa.array([START + 7 * DAY] * 2, INSTANT)})
        return features.compute(points)

    create = partial(fe.create_table, name="shop.spend", primary_keys="customer_id", timeseries_column="purchased_at")
    create(df=spend("sum(amount)"))
    with pytest.raises(Redefined, match=r"0 of 2 rows differ \(0.0 %\)"):
        fe.write_table(name="shop.spend", df=spend("sum(abs(amount))"))
    with monkeypatch.context() as few:
        few.setattr("fstk.tables.write._LOOKED_AT", 1)
        few.setattr("fstk.tables.write._compare", None)  # nobody waits for a comparison of all rows
        with pytest.raises(Redefined, match="0 of 1 row that was looked at differ"):
            fe.write_table(name="shop.spend", df=spend("sum(abs(amount))"))
    with pytest.raises(Redefined, match="spend_7d would change meaning"):
        create(df=spend("sum(abs(amount))"))
    assert fe.get_table(name="shop.spend").version == 0
    assert fe.write_table(name="shop.spend", df=spend("sum(abs(amount))"), redefine=True).version == 1
    assert fe.get_table(name="shop.spend").definitions["spend_7d"].expression == "sum(abs(amount))"
    assert not fe.write_table(name="shop.spend", df=spend("sum(abs(amount))")).changed

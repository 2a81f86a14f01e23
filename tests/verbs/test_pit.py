"""``%%fstk pit``, ``explain`` and their pictures, in real cells and without a JVM."""

import datetime as dt
import io
import json
import re
import zoneinfo
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell

from fstk import FeatureEngineeringClient, FeatureFunction, FeatureLookup, Spine
from fstk.cli.app import run_command
from fstk.errors import BadExpression, GateRefused, InvalidInput, UnknownColumn, UnknownName, UnknownTable
from fstk.previews.join import TrainingSetPreview, preview
from fstk.previews.loaded import LoadedJoin
from fstk.tables.configured import open_catalog
from fstk.tables.definition import FeatureDefinition
from fstk.training.training_set import TrainingSet, create_training_set
from fstk.verbs.prove import ProvenJoin
from tests.notebook.cells import refused, result, shown
from tests.notebook.tables import DAY, INSTANT, START, labels, spend, write, write_defined

HEAD = "%%fstk pit labels --label is_churned --at event_ts"
BOTH = "feature_store.customer_features on customer_id\nfeature_store.regions on region\n"


@pytest.fixture
def labelled(shell: InteractiveShell, filled: Path) -> InteractiveShell:
    """A notebook with ``labels`` beside the warehouse."""
    shell.user_ns["labels"] = labels()
    return shell


def test_every_label_is_counted_once_under_its_reason(labelled: InteractiveShell) -> None:
    seen: TrainingSetPreview = result(labelled, f"{HEAD}\n{BOTH}")
    spend, regions = seen.summary.lookups
    # labels: matched, before the first row, matched, unknown, no time, no key
    assert {k: v for k, v in spend.statuses.items() if v} == {
        "matched": 2,
        "only_later_rows": 1,
        "unknown_key": 1,
        "null_timestamp": 1,
        "null_key": 1,
    }
    assert {k: v for k, v in regions.statuses.items() if v} == {"matched": 4, "unknown_key": 1, "null_key": 1}
    text = repr(seen)
    assert text.splitlines()[0].startswith("6 labels (all) × 2 lookups · ")
    assert "customer_id 1 at 1997-01-02 (first row 6 d later)" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_nothing_is_bound_by_what_is_refused(labelled: InteractiveShell) -> None:
    refused(labelled, f"{HEAD} -o ts --one 12345\n{BOTH}")
    assert "ts" not in labelled.user_ns


def test_labels_times_without_a_zone_are_named(labelled: InteractiveShell) -> None:
    frame = labels()
    place = frame.column_names.index("event_ts")
    clock = frame.column("event_ts").cast(pa.timestamp("us"))
    labelled.user_ns["labels"] = frame.set_column(place, "event_ts", clock)
    assert "event_ts has no zone and is taken as UTC" in shown(labelled, f"{HEAD}\n{BOTH}")


def test_clock_times_of_a_zone_are_instants_and_so_they_are_in_the_code(labelled: InteractiveShell) -> None:
    zone = zoneinfo.ZoneInfo("America/New_York")
    frame = labels()
    place = frame.column_names.index("event_ts")
    at = [None if one is None else one.astimezone(zone).replace(tzinfo=None) for one in frame["event_ts"].to_pylist()]
    labelled.user_ns["clock"] = frame.set_column(place, "event_ts", pa.array(at, pa.timestamp("us")))
    head = HEAD.replace("labels", "clock")
    text = shown(labelled, f"{head} --tz America/New_York -o ts\n{BOTH}")
    assert text.split("\n\n")[0] == shown(labelled, f"{HEAD}\n{BOTH}").split("\n\n")[0]
    assert "has no zone" not in text
    ts = labelled.user_ns["ts"].to_arrow()
    assert ts.column("event_ts").to_pylist() == frame["event_ts"].to_pylist()
    code = shown(labelled, f"{head} --tz America/New_York --unclear-times later --code\n{BOTH}")
    assert code.endswith('    timestamp_zone="America/New_York",\n    unclear_times="later",\n)')
    labelled.run_cell(code)
    assert labelled.user_ns["training_set"].to_arrow().equals(ts)


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ("--tz Europe/Lundon", UnknownName, r"timestamp_zone: no time zone 'Europe/Lundon'. Nearest: Europe/London"),
        ("--tz Europe/London", InvalidInput, r"changes nothing: event_ts has a zone already. Leave it out."),
        ("--unclear-times later", InvalidInput, r"unclear_times='later' is of a timestamp_zone; give that, too."),
        ("--tz Europe/London --widget", InvalidInput, r"--tz and --widget do not go together"),
    ],
)
def test_a_zone_that_says_nothing_is_refused(labelled: InteractiveShell, options: str, kind: type, says: str) -> None:
    error = refused(labelled, f"{HEAD} {options}\n{BOTH}")
    assert isinstance(error, kind)
    assert re.search(says, str(error))


def test_nulls_of_a_feature_are_told_apart_by_their_cause(labelled: InteractiveShell) -> None:
    seen: TrainingSetPreview = result(labelled, f"{HEAD}\n{BOTH}")
    assert {one.feature: (one.without_row, one.null_in_row) for one in seen.features} == {
        "txn_count_30d": (4, 0),
        "total_spend_30d": (4, 0),
        "inhabitants": (2, 0),
    }
    head = "%%fstk pit late --at event_ts"
    labelled.user_ns["late"] = pa.table(
        {"customer_id": pa.array([2], pa.int64()), "event_ts": pa.array([START + 71 * DAY], INSTANT)}
    )
    # the row of day 70 knows of no purchase of customer 2 in the 30 days before: a count of 0, a spend of null
    late: TrainingSetPreview = result(labelled, f"{head}\n{BOTH.splitlines()[0]}\n")
    assert [(one.without_row, one.null_in_row) for one in late.features] == [(0, 0), (0, 1)]


def test_features_are_chosen_renamed_and_limited_in_age(labelled: InteractiveShell) -> None:
    line = "feature_store.customer_features (txn_count_30d, total_spend_30d as spend) on customer_id within 0d"
    seen: TrainingSetPreview = result(labelled, f"{HEAD} -o ts\n{line}\n")
    assert [one.feature for one in seen.features] == ["txn_count_30d", "spend"]
    assert seen.summary.lookups[0].statuses["outside_lookback"] == 2
    ts = labelled.user_ns["ts"]
    assert isinstance(ts, TrainingSet)
    assert list(ts.plan.schema) == [*labels().column_names, "txn_count_30d", "spend"]
    every = "feature_store.customer_features (*, total_spend_30d as spend) on customer_id within 30d"
    seen = result(labelled, f"{HEAD}\n{every}\n")
    assert [one.feature for one in seen.features] == ["txn_count_30d", "spend"]
    assert seen.summary.lookups[0].statuses["matched"] == 2


def test_the_picture_is_of_the_label_that_was_asked_for(labelled: InteractiveShell) -> None:
    text = shown(labelled, f"{HEAD} --one 2\n{BOTH}")
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("customer_id 2 · label 1997-02-20"))
    assert lines[start].endswith("feature_store.customer_features · matched, age 1 d")
    assert lines[start + 1].startswith(" events")
    assert lines[start + 1].count("·") == 2
    assert "●┥" in lines[start + 2]
    assert lines[start + 2].count("◌") == 4
    chosen = repr(result(labelled, f"{HEAD}\n{BOTH}"))
    assert "customer_id 1 · label 1997-01-02 · feature_store.customer_features · only later rows" in chosen


def test_a_sample_says_so_and_is_the_same_each_time(labelled: InteractiveShell) -> None:
    count = 5_000
    labelled.user_ns["many"] = pa.table(
        {
            "customer_id": pa.array([n % 3 + 1 for n in range(count)], pa.int64()),
            "event_ts": pa.array([START + (n % 90) * DAY for n in range(count)], INSTANT),
        }
    )
    cell = f"%%fstk pit many --at event_ts\n{BOTH.splitlines()[0]}\n"
    first = shown(labelled, cell)
    assert first.startswith("2,000 labels (a sample of 5,000) × 1 lookup")
    assert shown(labelled, cell) == first
    assert shown(labelled, cell.replace("--at", "--all --at")).startswith("5,000 labels (all) × 1 lookup")


def test_as_known_shows_what_a_backfill_would_have_leaked(labelled: InteractiveShell, filled: Path) -> None:
    seen: TrainingSetPreview = result(labelled, f"{HEAD} --as-known --one 1\n{BOTH.splitlines()[0]}\n")
    (known,) = seen.known
    # the table was written today, long after every label
    assert (known.matched, known.matched_as_known, known.differ) == (2, 0, 2)
    statuses = seen.summary.lookups[0].statuses  # one truth: the shares above are as known, too
    assert (statuses["matched"], statuses["only_later_rows"]) == (0, 3)
    assert {one.feature: one.without_row for one in seen.features} == {"txn_count_30d": 6, "total_spend_30d": 6}
    assert known.late is not None
    assert f"customer_features was first written on {known.late.date()}, after every label" in repr(seen)
    assert "◇ written later, refused" in repr(seen)
    assert "as known at: a row counts from the commit that wrote it" in repr(seen)


def test_powers_and_leaks_go_by_what_was_known(labelled: InteractiveShell, filled: Path) -> None:
    keys, outcome = pa.array(range(60), pa.int64()), [float(n % 2) for n in range(60)]
    for at, values in ((START, [n % 7 / 7 for n in range(60)]), (START + DAY, outcome)):
        stamped = pa.array([at] * 60, INSTANT)
        rows = pa.table({"customer_id": keys, "as_of": stamped, "told": values})
        about = {"primary_keys": '["customer_id"]', "timeseries_column": "as_of"}
        write(filled / "feature_store" / "told", rows, **about)  # today, long after the labels
    asked = {"customer_id": keys, "event_ts": pa.array([START + 20 * DAY] * 60, INSTANT), "y": outcome}
    labelled.user_ns["asked"] = pa.table(asked)
    cell = "%%fstk pit asked --label y --at event_ts\nfeature_store.told on customer_id\n"
    seen = result(labelled, cell)
    (told,) = (one for one in seen.inputs if one.name == "told")
    assert (told.now.value, told.same.value) == (1, 1)
    assert {one.code for one in seen.lint.findings} == {"label-copy"}
    known = result(labelled, cell.replace("--at", "--as-known --at"))
    (told,) = (one for one in known.inputs if one.name == "told")
    assert (told.now.value, told.same) == (0.5, None)
    assert known.lint.clean
    assert "the labels, nulls and powers above are as known, too" in repr(known)
    labelled.run_cell(cell.replace("--at", "--as-known -o known --at"))
    assert shown(labelled, "%fstk lint known").startswith("lint: clean.")


def test_leaks_of_the_join_come_first(labelled: InteractiveShell, filled: Path) -> None:
    log = filled / "feature_store" / "customer_features" / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace('"fstk.tag.closed": "left"', '"fstk.tag.closed": "both"'))
    labelled.user_ns["bought"] = pa.table(
        {
            "customer_id": pa.array([1, 1, 2], pa.int64()),
            "event_ts": pa.array([START + day * DAY for day in (40, 41, 31)], INSTANT),
        }
    )
    text = shown(labelled, f"%%fstk pit bought --at event_ts\n{BOTH.splitlines()[0]}\n")
    assert text.startswith("⚠ LEAK  feature_store.customer_features.txn_count_30d and 1 more closes at the label's own")
    assert "3 labels, 67 % have an event at exactly event_ts" in text


@pytest.mark.parametrize(
    ("cell", "kind", "says"),
    [
        (f"{HEAD}\nfeature_store.customer_feature on customer_id", UnknownTable, "feature_store.customer_features"),
        (f"{HEAD}\nfeature_store.customer_features on custmer_id", UnknownColumn, "Nearest: customer_id"),
        (f"{HEAD}\nfeature_store.customer_features (spend) on customer_id", UnknownColumn, "total_spend_30d"),
        (f"{HEAD}\nfeature_store.customer_features", InvalidInput, "Write it as in: "),
        (f"{HEAD}\nfeature_store.customer_features on customer_id within 3 d", InvalidInput, "Write it as in: "),
        (f"{HEAD}\nfeature_store.customer_features on customer_id within d3", InvalidInput, "not a positive length"),
        (f"{HEAD.replace(' --at event_ts', '')}\n{BOTH}", InvalidInput, "--at must name the labels' time column"),
        (f"{HEAD.replace('labels', 'lables')}\n{BOTH}", UnknownTable, "no frame or table lables. Nearest: labels"),
        (f"{HEAD.replace('is_churned', 'churned')}\n{BOTH}", UnknownColumn, "is_churned"),
        (f"{HEAD}\n{BOTH}expr is_churned as f", InvalidInput, "FeatureFunction f reads the label is_churned"),
        (f"{HEAD}\n{BOTH}expr regon as f", UnknownColumn, "FeatureFunction f: no column regon. Nearest: region"),
        (f"{HEAD}\n{BOTH}expr 1 / inhabitants", InvalidInput, "has no name: write expr 1 / inhabitants as …"),
        (f"{HEAD}\n{BOTH}expr sqrt(inhabitants) as f", BadExpression, "'SQRT(inhabitants)' is not evaluated without"),
        (f"{HEAD}\n{BOTH}expr on region", UnknownTable, "no feature table default.expr"),
        (f"{HEAD} --one 12345\n{BOTH}", UnknownName, "no label has customer_id or region 12345"),
        (f"{HEAD}\n# none\n", InvalidInput, "write one a line below %%fstk"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(labelled: InteractiveShell, cell: str, kind: type, says: str) -> None:
    error = refused(labelled, cell)
    assert isinstance(error, kind)
    assert says in str(error)
    assert len(str(error).splitlines()) <= 3


def test_labels_may_be_a_table_of_the_warehouse(labelled: InteractiveShell, filled: Path) -> None:
    deltalake.write_deltalake(str(filled / "default" / "labelled"), labels())
    cell = f"{HEAD.replace('labels', 'labelled')}\n{BOTH}"
    assert shown(labelled, cell) == shown(labelled, f"{HEAD}\n{BOTH}")
    assert '    df=fe.read_table(name="labelled"),\n' in shown(labelled, cell.replace("\n", " --code\n", 1))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_labels_may_be_any_frame(labelled: InteractiveShell, kind: str) -> None:
    arrow = shown(labelled, f"{HEAD}\n{BOTH}")
    labelled.run_cell("import polars")
    frame = labels().to_pandas(types_mapper={pa.int64(): __import__("pandas").Int64Dtype()}.get)
    labelled.user_ns["labels"] = frame if kind == "pandas" else labelled.user_ns["polars"].from_arrow(labels())
    assert shown(labelled, f"{HEAD}\n{BOTH}") == arrow


def test_the_code_says_the_same_in_python(labelled: InteractiveShell) -> None:
    lines = "feature_store.customer_features (total_spend_30d as spend) on customer_id within 36h\n"
    lines += "feature_store.regions on region\n"
    assert shown(labelled, f"{HEAD} --as-known --code\n{lines}") == (
        "from datetime import timedelta\n"
        "\n"
        "from fstk import FeatureEngineeringClient, FeatureLookup\n"
        "\n"
        "fe = FeatureEngineeringClient()\n"
        "training_set = fe.create_training_set(\n"
        "    df=labels,\n"
        "    feature_lookups=[\n"
        "        FeatureLookup(\n"
        '            "feature_store.customer_features",\n'
        '            "customer_id",\n'
        '            feature_names=["total_spend_30d"],\n'
        '            rename_outputs={"total_spend_30d": "spend"},\n'
        '            timestamp_lookup_key="event_ts",\n'
        "            lookback_window=timedelta(seconds=129600),\n"
        "        ),\n"
        '        FeatureLookup("feature_store.regions", "region"),\n'
        "    ],\n"
        '    label="is_churned",\n'
        "    as_known=True,\n"
        ")"
    )


def test_a_line_may_compute_a_column(labelled: InteractiveShell) -> None:
    labelled.user_ns["labels"] = labels().append_column("stories", pa.array([4, 0, 1, None, 2, 2], pa.int32()))
    lines = (
        "expr (coalesce(total_spend_30d, 0) / -- of what\n"
        "      nullif(stories, 0)) as ratio\n"
        "feature_store.customer_features (total_spend_30d) on customer_id\n"
        "EXPR if(`ratio` > 1, 'as much', region) AS `size`,\n"
    )
    seen: TrainingSetPreview = result(labelled, f"{HEAD} -o ts\n{lines}")
    ts = labelled.user_ns["ts"]
    assert list(ts.plan.schema)[-3:] == ["ratio", "total_spend_30d", "size"]
    assert ts.to_arrow().column("ratio").to_pylist() == [15.0, None, 8.0, None, 0.0, 0.0]
    assert [(one.feature, one.table, one.null_in_row) for one in seen.features][1:] == [
        ("ratio", None, 2),
        ("size", None, 1),
    ]
    assert re.search(r"ratio +function +– +33\.3 %", repr(seen))
    explained = shown(labelled, "%fstk explain ts 1")
    line = next(line for line in explained.splitlines() if line.split()[:1] == ["ratio"])
    assert line.split()[-1] == "15"
    assert "nullif(stories, 0)" in line
    assert "as much" in explained
    known = shown(labelled, f"{HEAD} --as-known\n{lines}")
    assert "ratio" in known
    code = shown(labelled, f"{HEAD} --code\n{lines}")
    assert "from fstk import FeatureEngineeringClient, FeatureFunction, FeatureLookup\n" in code
    assert '        FeatureFunction("(coalesce(total_spend_30d, 0) / nullif(stories, 0))", "ratio"),\n' in code
    labelled.run_cell(code)
    assert labelled.user_ns["training_set"].to_arrow().equals(ts.to_arrow())


def test_what_serves_a_function_alone_is_not_shown(labelled: InteractiveShell) -> None:
    lookup = FeatureLookup("feature_store.customer_features", "customer_id", timestamp_lookup_key="event_ts")
    total = FeatureFunction("total_spend_30d * 2", "total")
    made = create_training_set(
        labels(), [lookup, total], "is_churned", ["total_spend_30d", "txn_count_30d"], catalog=open_catalog()
    )
    seen = preview(LoadedJoin.read(made.plan, labels(), as_known=True), 6, closing="")
    assert [one.feature for one in seen.features] == ["total"]


def test_many_inputs_are_shown_by_aggregate_and_window(
    labelled: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fstk.previews.join.MANY", 1)
    monkeypatch.setattr("fstk.previews.join._TELLING", 0)
    lookup = FeatureLookup("feature_store.customer_features", "customer_id", timestamp_lookup_key="event_ts")
    made = create_training_set(labels(), [lookup], "is_churned", catalog=open_catalog())
    spend = {
        name: FeatureDefinition(expression, "30d", ("customer_id",), "purchased_at")
        for name, expression in (("txn_count_30d", "count(*)"), ("total_spend_30d", "sum(amount)"))
    }
    defined = {"feature_store.customer_features": spend}
    seen = preview(LoadedJoin.read(made.plan, labels()), 6, closing="", defined=defined)
    text = repr(seen)
    assert re.search(r"^  txn_count = count\(\*\) +[▁-█]+ 67%$", text, re.MULTILINE)
    assert re.search(r"^  total_spend = sum\(amount\) +[▁-█]+ 67%$", text, re.MULTILINE)
    assert "  txn_count_30d" not in text  # on request
    assert {row[0] for row in seen.every_column().rows} >= {"region", "txn_count_30d", "total_spend_30d"}
    assert "  region" in text  # the frame's own: it stays
    undefined = preview(LoadedJoin.read(made.plan, labels()), 6, closing="")
    assert "  txn_count_30d" not in repr(undefined)
    assert "  region" in repr(undefined)


def test_explain_says_why_a_function_comes_to_nothing(labelled: InteractiveShell) -> None:
    labelled.user_ns["labels"] = labels().append_column("n", pa.array([0] * 6, pa.int32()))
    lines = "feature_store.regions on region\nexpr if(is_churned_not, 1 / n, 0) as f\nexpr f + 1 as g\n"
    labelled.user_ns["labels"] = labelled.user_ns["labels"].append_column("is_churned_not", pa.array([False] * 6))
    shown(labelled, f"{HEAD} -o ts\n{lines}")
    assert re.search(r"^ *f +if\(.*\) +0$", shown(labelled, "%fstk explain ts north"), re.MULTILINE)
    failing = create_training_set(
        labelled.user_ns["labels"],
        [FeatureLookup("feature_store.regions", "region"), FeatureFunction("1 / n", "f"), FeatureFunction("f", "g")],
        None,
        catalog=open_catalog(),
    )
    labelled.user_ns["ts"] = failing
    text = shown(labelled, "%fstk explain ts north")
    assert "division by zero in 1 / n" in text
    assert "reads f, which is missing" in text


def test_explain_answers_for_every_label_of_a_key(labelled: InteractiveShell) -> None:
    shown(labelled, f"{HEAD} -o ts\n{BOTH}")
    text = shown(labelled, "%fstk explain ts 1")
    lines = text.splitlines()
    assert lines[0] == "ts · key 1 · 3 labels, newest first"
    spends = [line.split() for line in lines if " customer_features " in line]
    assert [line[0] for line in spends[:2]] == ["1997-01-21", "1997-01-02"]
    assert "matched" in spends[0]
    assert "only" in spends[1]
    assert "customer_id 1 · label 1997-01-21 · feature_store.customer_features · matched, age 6 d" in text


def test_explain_shows_the_newest_rows_of_a_feature_table(labelled: InteractiveShell) -> None:
    text = shown(labelled, "%fstk explain feature_store.customer_features 2")
    rows = [row for row in spend().to_pylist() if row["customer_id"] == 2]
    assert text.splitlines()[0] == f"feature_store.customer_features v0 · customer_id 2 · {len(rows)} rows, 4 newest"
    newest = [row["txn_count_30d"] for row in reversed(rows)][:4]
    assert text.splitlines()[2].split() == ["txn_count_30d", *map(str, newest)]
    assert "inhabitants     10" in shown(labelled, "%fstk explain feature_store.regions north")


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("ts 77", UnknownName, "no label of ts has customer_id or region 77"),
        ("feature_store.customer_features 77", UnknownName, "has no row of customer_id 77"),
        ("feature_store.customer_features x", InvalidInput, "key customer_id is bigint; got 'x'"),
        ("feature_store.customer_features 1,2", InvalidInput, "has the key customer_id; got '1,2'"),
        ("feature_store.customer_featurs 1", UnknownTable, "feature_store.customer_features"),
        ("labels 1", UnknownName, "labels is a Table; explain takes a training set or a feature table."),
    ],
)
def test_explain_says_what_it_cannot_find(labelled: InteractiveShell, line: str, kind: type, says: str) -> None:
    shown(labelled, f"{HEAD} -o ts\n{BOTH}")
    error = refused(labelled, f"%fstk explain {line}")
    assert isinstance(error, kind)
    assert says in str(error)


def test_times_without_a_zone_and_dates_are_drawn_too(labelled: InteractiveShell, filled: Path) -> None:
    days = [dt.date(1997, 1, 5), dt.date(1997, 1, 9)]
    for name, kind in (("plain", pa.timestamp("us")), ("days", pa.date32())):
        rows = pa.table({"k": ["a", "a"], "at": pa.array(days, pa.date32()).cast(kind), "v": [1, 2]})
        folder = filled / "feature_store" / name
        deltalake.write_deltalake(str(folder), rows)
        log = folder / "_delta_log" / f"{0:020}.json"
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "metaData" in action:
                keys = {"fstk.primary_keys": '["k"]', "fstk.timeseries_column": "at"}
                action["metaData"]["configuration"].update(keys)
        log.write_text("\n".join(json.dumps(action) for action in actions))
        labelled.user_ns["asked"] = pa.table({"k": ["a"], "on": pa.array([dt.date(1997, 1, 6)])})
        text = shown(labelled, f"%%fstk pit asked --at on\nfeature_store.{name} on k\n")
        assert f"k a · label 1997-01-06 · feature_store.{name} · matched, age 1 d" in text


def test_a_spine_makes_the_labels_in_a_cell(labelled: InteractiveShell) -> None:
    name = "feature_store.customer_features"
    head = f"%%fstk pit {name} --spine 1997-01-08,1997-04-01,30d"
    seen: TrainingSetPreview = result(labelled, f"{head} -o everybody\n{name} on customer_id within 30d skip nulls\n")
    assert seen.summary.lookups[0].statuses["matched"] == seen.total > 0
    text = str(result(labelled, f"{head} --code\n{name} on customer_id within 30d skip nulls\n").text)
    assert 'spine=Spine("feature_store.customer_features", date(1997, 1, 8), date(1997, 4, 1), every="30d")' in text
    assert 'nulls="skip"' in text
    exec(text, said := {})  # what a person would paste
    assert said["training_set"].to_arrow().equals(labelled.user_ns["everybody"].to_arrow())
    error = refused(labelled, f"%%fstk pit {name} --spine 1997\n{name} on customer_id\n")
    assert "--spine takes START,END,EVERY" in str(error)


def test_features_of_everybody_as_of_each_instant(filled: Path) -> None:
    fe = FeatureEngineeringClient()
    name = "feature_store.customer_features"
    lookup = FeatureLookup(
        name, "customer_id", timestamp_lookup_key=(time := fe.get_table(name=name).timeseries_column)
    )
    spine = Spine(name, dt.date(1997, 1, 1), dt.date(1997, 4, 1), every="30d")
    rows = fe.create_training_set(spine=spine, feature_lookups=[lookup]).to_arrow()
    explained = fe.create_training_set(spine=spine, feature_lookups=[lookup]).explain().to_arrow()
    assert rows.num_rows
    assert set(explained.column("status").to_pylist()) == {"matched"}
    assert rows.column_names[:2] == ["customer_id", time]


def test_labels_come_from_one_place(filled: Path) -> None:
    fe = FeatureEngineeringClient()
    spine = Spine("feature_store.customer_features", dt.date(1997, 1, 1), dt.date(1997, 1, 2))
    lookup = FeatureLookup("feature_store.regions", "region")
    for given_ in ({}, {"df": labels(), "spine": spine}):
        with pytest.raises(InvalidInput, match="give df, the labels, or spine"):
            fe.create_training_set(**given_, feature_lookups=[lookup], label=None)  # type: ignore[arg-type]


def outcomes() -> pa.Table:
    """Labels with an outcome of customers 1 to 60, and a column that was made of it."""
    spent = [float(n * 13 % 17) for n in range(60)]
    return pa.table(
        {
            "customer_id": pa.array(range(60), pa.int64()),
            "event_ts": pa.array([START + 40 * DAY] * 60, INSTANT),
            "spent": spent,
            "is_big": [one > 8 for one in spent],
            "age": [20 + n * 7 % 50 for n in range(60)],
        }
    )


def test_columns_of_the_labels_are_listed_with_their_power_and_can_be_left_out(labelled: InteractiveShell) -> None:
    labelled.user_ns["labels"] = outcomes()
    head, line = "%%fstk pit labels --label spent --at event_ts -o ts", "feature_store.customer_features on customer_id"
    seen: TrainingSetPreview = result(labelled, f"{head}\n{line}\n")
    roles = {one.name: one.role for one in seen.inputs}
    assert roles == {
        "customer_id": "key",
        "event_ts": "time",
        "is_big": "your column",
        "age": "your column",
        "txn_count_30d": "feature",
        "total_spend_30d": "feature",
    }
    told = {one.name: one.now for one in seen.inputs if one.now is not None}
    assert told["is_big"].measure == "R²"
    assert told["is_big"].value > 0.7 > told["age"].value
    assert re.search(r"is_big +your frame +0\.7\d \(0\.\d\d–0\.\d\d\)", repr(seen))
    made = labelled.user_ns["ts"]
    assert "of df itself become inputs: customer_id, event_ts, is_big, age" in repr(made)
    left = "--exclude is_big,age --exclude total_spend_30d --default txn_count_30d=-1"
    seen = result(labelled, f"{head} {left}\n{line}\n")
    assert [one.name for one in seen.inputs] == ["customer_id", "event_ts", "txn_count_30d"]
    assert len(re.findall(r"(is_big|age|total_spend_30d) +left out", repr(seen))) == 3
    made = labelled.user_ns["ts"].to_arrow()
    assert made.column_names == ["customer_id", "event_ts", "spent", "txn_count_30d"]
    assert made.column("txn_count_30d").to_pylist().count(-1) == 58
    code = shown(labelled, f"{head} {left} --code\n{line}\n")
    assert 'exclude_columns=["is_big", "age", "total_spend_30d"]' in code
    assert 'default_values={"txn_count_30d": -1}' in code


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ("--exclude is_chrned", UnknownColumn, "neither a column of df nor a feature. Nearest: is_churned"),
        ("--exclude is_churned", InvalidInput, "a training set keeps its label"),
        ("--default txn_count_30d", InvalidInput, "--default takes NAME=VALUE, as in --default spend_30d=0"),
        ("--default txn_count=0", UnknownColumn, "no such feature is looked up. Nearest: txn_count_30d"),
        ("--default txn_count_30d=many", InvalidInput, "--default txn_count_30d must be bigint; got 'many'"),
    ],
)
def test_what_is_left_out_or_stands_for_nulls_must_be_there(
    labelled: InteractiveShell, words: str, kind: type, says: str
) -> None:
    error = refused(labelled, f"{HEAD} {words}\n{BOTH}")
    assert isinstance(error, kind)
    assert says in str(error)


def test_a_feature_that_is_far_better_now_than_a_step_earlier_is_drawn_and_named(
    labelled: InteractiveShell, filled: Path
) -> None:
    spent = outcomes().column("spent").to_pylist()
    months = [START, START + 31 * DAY]
    rows = pa.table(
        {
            "customer_id": pa.array([n for n in range(60) for _ in months], pa.int64()),
            "month": pa.array(months * 60, INSTANT),
            "total": [value for n in range(60) for value in (float(n * 31 % 23), spent[n] + n % 4)],
        }
    )
    write(filled / "feature_store" / "monthly", rows, primary_keys='["customer_id"]', timeseries_column="month")
    labelled.user_ns["labels"] = outcomes()
    text = shown(labelled, "%%fstk pit labels --label spent --at event_ts\nfeature_store.monthly on customer_id\n")
    assert text.startswith("⚠ LEAK  feature_store.monthly.month is the first of its month in every row")
    assert "⚠ LEAK  feature_store.monthly.total looks like the label spent: R² 0.9" in text
    assert "stamped with the first of its month" in text
    assert re.search(r"total +at the label's instant +R² 0\.9\d █{35,}", text)
    assert re.search(r"total +a step earlier +R² 0\.0\d █{1,3}$", text, re.MULTILINE)
    assert max(len(line) for line in text.splitlines()) <= 100


def test_what_is_looked_up_is_proven_below_the_join(labelled: InteractiveShell, filled: Path) -> None:
    write_defined(filled / "shop" / "spend")
    head = HEAD + " --prove"
    seen: ProvenJoin = result(labelled, f"{head}\nshop.spend on customer_id")
    assert seen.refusal is None
    assert [(one.proven, one.features) for one in seen.proofs] == [(True, 2)]
    text = repr(seen)
    assert text.startswith("6 labels (all)")
    assert text.index("lint: clean") < text.index("proof of shop.spend v0") < text.index("PROVED  nothing changed")
    seen = result(labelled, f"{head}\nshop.spend (txn_count_30d as n) on customer_id\n{BOTH}")
    assert [one.features for one in seen.proofs] == [1]
    assert len(seen.open) == 2
    assert "NOT PROVED  feature_store.regions has no time" in repr(seen)
    assert "feature_store.customer_features: of none of its features" in str(seen.refusal)


def test_in_a_terminal_what_is_not_proven_is_no_success(
    filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(filled / "default" / "labels", labels())
    monkeypatch.setattr("sys.stdin", io.StringIO("feature_store.customer_features on customer_id"))
    with pytest.raises(GateRefused, match="of none of its features"):
        run_command(["pit", "labels", "--label", "is_churned", "--at", "event_ts", "--prove"])
    assert "6 labels (all)" in capsys.readouterr().out

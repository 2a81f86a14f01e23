"""Drift: planted and absent, on every kind of column and frame; Evidently's numbers against SciPy."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import socket
import subprocess
import sys
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from fstk.errors import GateRefused, InvalidInput, TypeMismatch, UnknownColumn, UnsupportedType
from fstk.monitoring import DriftReport, detect_feature_drift
from fstk.monitoring.drift import Drift
from fstk.monitoring.samples import pair

pytestmark = pytest.mark.slow


def _seen(report: DriftReport, feature: str, of: str = "values") -> Drift:
    return next(test for test in report.tests if (test.feature, test.of) == (feature, of))


def _normal(rows: int, shift: float = 0.0, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table({"spend": rng.normal(shift, 1.0, rows), "visits": rng.poisson(3 + 4 * shift, rows)})


def test_planted_drift_is_found_and_named_first() -> None:
    reference, current = _normal(5_000), _normal(5_000, seed=2)
    moved = current.set_column(0, "spend", pa.array(np.asarray(current["spend"]) + 0.5))
    report = detect_feature_drift(reference, moved, ["visits", "spend"])
    assert report.drifted == ["spend"]
    assert report.tests[0].feature == "spend"
    assert repr(report).splitlines()[-1] == "1 of 2 drifted"


@pytest.mark.parametrize(("rows", "allowed"), [(200, 1), (2_500, 0)])
def test_twelve_undrifted_features_are_no_alarm(rows: int, allowed: int) -> None:
    # p-values may be wrong in one report of twenty; unshared limits would raise the alarm in about five of these ten.
    names = [f"f{i}" for i in range(12)]
    alarms = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        reference, current = (pa.table({name: rng.exponential(1, rows) for name in names}) for _ in range(2))
        alarms += bool(detect_feature_drift(reference, current, names).drifted)
    assert alarms <= allowed


@pytest.mark.parametrize("rows", [300, 5_000])
def test_categories_of_equal_shares_are_no_drift_and_a_new_category_is(rows: int) -> None:
    rng = np.random.default_rng(3)
    letters = [pa.table({"c": rng.choice(list("abcd"), rows)}) for _ in range(8)]
    for other in letters[1:]:
        assert detect_feature_drift(letters[0], other, ["c"]).drifted == []
    new = pa.table({"c": rng.choice(list("abcx"), rows)})
    assert detect_feature_drift(letters[0], new, ["c"]).drifted == ["c"]


def test_evidently_agrees_with_scipy() -> None:
    reference, current = _normal(6_000), _normal(4_000, 0.05, seed=2)
    letters = [
        np.random.default_rng(seed).choice(list(of), rows) for seed, rows, of in ((5, 6_000, "ab"), (6, 4_000, "bc"))
    ]
    letters = [np.where(np.random.default_rng(7).random(len(side)) < 0.02, side, "b") for side in letters]
    reference = reference.append_column("c", pa.array(letters[0]))
    current = current.append_column("c", pa.array(letters[1]))
    many = detect_feature_drift(reference, current, ["spend", "c"])
    a, b = np.asarray(reference["spend"]), np.asarray(current["spend"])
    assert _seen(many, "spend").value == pytest.approx(stats.wasserstein_distance(a, b) / np.std(a), rel=1e-9)
    shares = [[np.mean(side == letter) for letter in "abc"] for side in letters]
    assert _seen(many, "c").value == pytest.approx(jensenshannon(shares[0], shares[1]), rel=1e-9)

    few = detect_feature_drift(reference.slice(0, 400), current.slice(0, 300), ["spend", "c"])
    assert _seen(few, "spend").value == pytest.approx(stats.ks_2samp(a[:400], b[:300])[1], rel=1e-9)
    counts = [[np.sum(side == letter) for letter in "abc"] for side in (letters[0][:400], letters[1][:300])]
    assert _seen(few, "c").value == pytest.approx(stats.chi2_contingency(counts, correction=False)[1], rel=1e-9)
    assert {test.limit for test in few.tests} == {0.05 / 2}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.00"), (0.01, "0.01"), (0.00999, "0.01"), (0.0042, "0.0042"), (999.9, "999.90"), (1e5, "1e+05")],
)
def test_a_distance_is_shown_with_the_digits_that_tell_it_apart(value: float, shown: str) -> None:
    report = detect_feature_drift(_normal(400), _normal(400, seed=2), ["spend"])
    (row,) = replace(report, tests=(replace(_seen(report, "spend"), value=value),)).display().rows
    assert shown in row


def _every_kind(rows: int, seed: int, later: bool) -> pa.Table:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 90, rows) + (60 if later else 0)
    whole = rng.integers(0, 1_000, rows) + (400 if later else 0)
    return pa.table(
        {
            "int": whole,
            "decimal": pa.array([decimal.Decimal(int(v)) / 100 for v in whole], pa.decimal128(12, 2)),
            "float": (whole / 7).astype(np.float32),
            "bool": rng.random(rows) < (0.7 if later else 0.3),
            "string": rng.choice(["new", "a"] if later else ["b", "a"], rows),
            "timestamp": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=int(d)) for d in days]),
            "naive": pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(days=int(d)) for d in days]),
            "date": pa.array([dt.date(2024, 1, 1) + dt.timedelta(days=int(d)) for d in days]),
            "few": rng.integers(0, 3, rows) + (1 if later else 0),
        }
    )


@pytest.mark.parametrize("rows", [400, 4_000])
def test_every_kind_of_column(rows: int) -> None:
    reference = _every_kind(rows, 1, later=False)
    names = reference.column_names
    assert detect_feature_drift(reference, _every_kind(rows, 2, later=False), names).drifted == []
    assert set(detect_feature_drift(reference, _every_kind(rows, 3, later=True), names).drifted) == set(names)


@pytest.mark.parametrize("rows", [400, 4_000])
def test_extreme_units_and_constants(rows: int) -> None:
    rng = np.random.default_rng(4)

    def side(shift: float) -> pa.Table:
        base = rng.normal(shift, 1, rows)
        return pa.table(
            {
                "tiny": base * 1e-9,
                "huge": base * 1e299,
                "offset": base * 1e3 + 1e15,
                "constant": np.full(rows, 1e300),
                "moved_constant": np.full(rows, 7.0 + shift),
            }
        )

    reference = side(0.0)
    assert detect_feature_drift(reference, side(0.0), reference.column_names).drifted == []
    found = detect_feature_drift(reference, side(0.6), reference.column_names)
    assert set(found.drifted) == {"tiny", "huge", "offset", "moved_constant"}
    assert all(np.isfinite(test.value) for test in found.tests)


def test_nulls_nans_and_infinities_are_no_values_but_their_share_is_watched() -> None:
    rng = np.random.default_rng(5)
    clean = rng.normal(size=4_000)
    holes = np.where(rng.random(4_000) < 0.3, rng.choice([np.nan, np.inf, -np.inf], 4_000), clean)
    report = detect_feature_drift(pa.table({"x": clean}), pa.table({"x": holes}), ["x"])
    assert not _seen(report, "x").drifted
    missing = _seen(report, "x", "missing")
    assert missing.drifted
    assert (missing.reference, missing.now) == ("0.0 %", f"{100 * np.mean(~np.isfinite(holes)):.1f} %")


def test_columns_without_any_value() -> None:
    full, empty = pa.table({"x": [1.0] * 50}), pa.table({"x": pa.nulls(50)})
    assert detect_feature_drift(empty, empty, ["x"]).drifted == []
    for sides in ((full, empty), (empty, full)):
        report = detect_feature_drift(*sides, ["x"])
        assert [test.of for test in report.tests] == ["missing"]
        assert report.drifted == ["x"]


def test_a_feature_named_like_a_label_of_the_report_keeps_its_own_numbers() -> None:
    holes = [None, 1.0, 2.0, 3.0] * 100
    reference = pa.table({"x": pa.array(holes), "x (missing)": pa.array(["a", "b"] * 200)})
    current = reference.set_column(1, "x (missing)", pa.array(["b", "c"] * 200))
    report = detect_feature_drift(reference, current, ["x", "x (missing)"])
    assert report.drifted == ["x (missing)"]
    assert len(report.tests) == 3


def test_one_small_side_is_enough_to_ask_for_a_p_value_and_the_least_likely_comes_first() -> None:
    reference, current = _normal(4_000), _normal(60, 1.0, seed=2)
    still = pa.array(np.random.default_rng(8).normal(0, 1, 60))
    report = detect_feature_drift(reference, current.set_column(0, "spend", still), ["spend", "visits"])
    assert [(test.feature, test.test) for test in report.tests] == [
        ("visits", "Kolmogorov-Smirnov p"),
        ("spend", "Kolmogorov-Smirnov p"),
    ]
    undrifted = [_normal(300, seed=seed).rename_columns([f"a{seed}", f"b{seed}"]) for seed in range(4)]
    names = [name for table in undrifted for name in table.column_names]
    wide = pa.table({name: table[name] for table in undrifted for name in table.column_names})
    values = [test.value for test in detect_feature_drift(wide, wide.slice(0, 40), names).tests]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("test", "value", "limit", "severity"),
    [
        ("distance", 0.3, 0.1, 3.0),
        ("KS p", 0.01, 0.05, 5.0),
        ("KS p", 0.0, 0.05, math.inf),
        ("distance", 0.0, 0.1, 0.0),
    ],
)
def test_severity_is_how_far_past_its_limit_a_test_is(test: str, value: float, limit: float, severity: float) -> None:
    one = detect_feature_drift(_normal(400), _normal(400, seed=2), ["spend"]).tests[0]
    assert replace(one, test=test, value=value, limit=limit).severity == pytest.approx(severity)


def test_many_rare_strings_are_no_drift() -> None:
    then, now = (pa.table({"id": np.random.default_rng(seed).integers(0, 400, 2_500).astype(str)}) for seed in (1, 2))
    assert detect_feature_drift(then, now, ["id"]).drifted == []


@pytest.mark.parametrize("rows", [300, 1_500, 5_000])
def test_values_that_the_reference_never_had_are_drift_and_those_that_chance_brings_are_not(rows: int) -> None:
    rng = np.random.default_rng(1)
    codes = np.array([f"{i:05d}" for i in range(500, 9_000)])
    then, now = (pa.table({"code": rng.choice(codes, rows)}) for _ in range(2))
    assert detect_feature_drift(then, now, ["code"]).drifted == []
    assert detect_feature_drift(then, then, ["code"]).drifted == []
    stripped = pa.table({"code": [code.lstrip("0") for code in now["code"].to_pylist()]})
    report = detect_feature_drift(then, stripped, ["code"])
    assert report.drifted == ["code"]
    unseen = _seen(report, "code", "unseen")
    assert (unseen.drifted, unseen.reference, unseen.now) == (True, "0.0 %", "100.0 %")
    half = pa.table({"code": np.where(rng.random(rows) < 0.5, stripped["code"].to_pylist(), now["code"].to_pylist())})
    assert detect_feature_drift(then, half, ["code"]).drifted == ([] if rows == 300 else ["code"])


@pytest.mark.parametrize("rows", [500, 3_000])
@pytest.mark.parametrize("outliers", [1, 10, 100])
def test_outliers_hide_no_shift_and_are_none(rows: int, outliers: int) -> None:
    chance = np.random.default_rng(7)
    far = np.full(outliers, 1e9)

    def some(centre: float) -> pd.DataFrame:
        return pd.DataFrame({"x": np.append(chance.normal(centre, 1, rows), far)})

    assert detect_feature_drift(some(0), some(1), ["x"]).drifted == ["x"]
    assert detect_feature_drift(some(0), some(0), ["x"]).drifted == []


def test_more_outliers_are_drift() -> None:
    bulk = np.random.default_rng(7).normal(size=3_000)
    few, many = (pd.DataFrame({"x": np.append(bulk, [1e9] * number)}) for number in (1, 100))
    assert detect_feature_drift(few, many, ["x"]).drifted == ["x"]
    assert detect_feature_drift(few, few, ["x"]).drifted == []


def test_ids_in_another_case_have_nothing_in_common() -> None:
    lower, upper = (pa.table({"id": [f"{letter}{i}" for i in range(1_000)] + [None]}) for letter in "mM")
    report = detect_feature_drift(lower, upper, ["id"])
    assert report.drifted == ["id"]
    assert "id, unseen" in repr(report)
    assert detect_feature_drift(lower, lower.slice(200), ["id"]).drifted == []


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
def test_every_local_frame_gives_the_same_report(kind: str) -> None:
    make: dict[str, Any] = {"arrow": lambda t: t, "pandas": lambda t: t.to_pandas(), "polars": pl.from_arrow}
    reference, current = _normal(3_000), _normal(3_000, 0.4, seed=2)
    wanted = detect_feature_drift(reference, current, ["spend", "visits"]).as_dict()
    assert detect_feature_drift(make[kind](reference), make[kind](current), ["spend", "visits"]).as_dict() == wanted


@pytest.mark.spark
def test_a_spark_frame_gives_the_same_report(spark: Any) -> None:
    reference, current = _normal(3_000), _normal(3_000, 0.4, seed=2)
    frame = spark.createDataFrame(current.to_pandas().assign(unused=1))
    wanted = detect_feature_drift(reference, current, ["spend", "visits"]).as_dict()
    assert detect_feature_drift(reference, frame, ["spend", "visits"]).as_dict() == wanted


def test_the_gate_says_no_with_exit_3_and_names_the_worst() -> None:
    report = detect_feature_drift(_normal(5_000), _normal(5_000, 0.5, seed=2), ["spend", "visits"])
    with pytest.raises(GateRefused, match=r"2 of 2 features drifted, allowed 0: visits \(Wasserstein") as refused:
        report.gate()
    assert refused.value.exit_code == 3
    assert report.gate(max_drifted=2) is report


def test_the_report_is_a_table_of_plain_values(tmp_path: Path) -> None:
    report = detect_feature_drift(_normal(5_000), _normal(4_000, 0.5, seed=2), ["spend"])
    assert json.loads(json.dumps(report.as_dict()))["tests"][0]["drifted"] is True
    path = report.save_html(tmp_path / "deep" / "drift.html")
    page = path.read_text(encoding="utf-8")
    assert "spend" in page
    assert 'src="http' not in page
    lines = repr(report).splitlines()
    assert lines[0] == "now against the reference (4,000 against 5,000 rows)"
    assert lines[1].split() == ["feature", "test", "distance", "p", "drifts", "at", "drifted", "reference", "now"]
    assert lines[2].split()[:2] == ["spend", "Wasserstein"]
    assert str(path) in "".join(line.strip() for line in lines)  # a long path goes on in the next line
    assert max(map(len, lines)) <= 100
    assert "<script" not in report._repr_html_()


def test_no_text_of_the_data_is_code_in_the_saved_page(tmp_path: Path) -> None:
    class Scripts(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.tags.append(tag)

        def handle_comment(self, data: str) -> None:
            self.tags.append("comment")

    def page(*texts: str) -> str:
        column = pa.table({text: [*texts, "b"] * 50 for text in texts})
        return detect_feature_drift(column, column, texts).save_html(tmp_path / "drift.html").read_text("utf-8")

    def tags(html: str) -> list[str]:
        parser = Scripts()
        parser.feed(html)
        return parser.tags

    hostile = (
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "-->",
        "</SCRIPT ><img src=x onerror=alert(2)>",
        "\u2028alert(3)\u2029",
        "'\"`;alert(4)//",
        "&lt;/script&gt;",
        "\\u003c/script>",
        "a\n    var metric_1 = alert(5);",
    )
    held = page(*hostile)
    assert tags(held) == tags(page("plain"))
    for text in hostile:
        escaped = json.dumps(text).strip('"')
        for letter in "<>&":
            escaped = escaped.replace(letter, f"\\u{ord(letter):04x}")
        assert escaped in held


def test_nothing_reaches_the_network_and_nothing_is_warned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detect_feature_drift(_normal(3_000), _normal(3_000), ["spend", "visits"]).save_html(tmp_path / "drift.html")


@pytest.mark.parametrize(
    ("reference", "current", "features", "error", "says"),
    [
        ({"ab": [1]}, {"ab": [1]}, ["abb"], UnknownColumn, r"reference_df has no column abb\. Nearest: ab"),
        ({"a": [1]}, {"b": [1]}, ["a"], UnknownColumn, r"current_df has no column a\. There is: b"),
        ({"a": pa.array([], pa.int64())}, {"a": [1]}, ["a"], InvalidInput, "reference_df has no rows"),
        ({"a": [1]}, {"a": pa.array([], pa.int64())}, ["a"], InvalidInput, "current_df has no rows"),
        ({"a": ["x"]}, {"a": [1]}, ["a"], TypeMismatch, "feature a is string in reference_df and bigint in current_df"),
        ({"a": [[1]]}, {"a": [[1]]}, ["a"], UnsupportedType, "feature a is array<bigint>"),
        ({"a": [1]}, {"a": [1]}, [], InvalidInput, "features must be a list"),
        ({"a": [1]}, {"a": [1]}, "a", InvalidInput, "features must be a list"),
    ],
)
def test_bad_input_is_one_clear_line(
    reference: dict[str, Any], current: dict[str, Any], features: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as raised:
        detect_feature_drift(pa.table(reference), pa.table(current), features)
    assert len(str(raised.value).splitlines()) == 1


def test_not_a_frame() -> None:
    with pytest.raises(InvalidInput, match="current_df must be a Spark, pandas, Polars or Arrow frame"):
        detect_feature_drift(pd.DataFrame({"a": [1]}), [1], ["a"])  # type: ignore[arg-type]


def test_evidently_is_imported_only_by_the_verb() -> None:
    code = "import sys, fstk.monitoring; print('evidently' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def test_a_distance_and_a_p_value_have_columns_of_their_own() -> None:
    few = detect_feature_drift(_normal(400), _normal(400, 1.0, seed=2), ["spend"]).display()
    many = detect_feature_drift(_normal(4_000), _normal(4_000, 1.0, seed=2), ["spend"]).display()
    assert list(few.columns[2:5]) == ["distance", "p", "drifts at"]
    assert (few.rows[0][2], many.rows[0][3]) == (None, None)
    assert (str(few.rows[0][4])[:3], many.rows[0][4]) == ("p <", "≥ 0.10")


def test_skewed_numbers_have_a_picture() -> None:
    rng = np.random.default_rng(3)
    then, now = (pa.table({"money": rng.lognormal(mean, 2.0, 3_000)}) for mean in (3.0, 4.0))
    [one] = detect_feature_drift(then, now, ["money"]).tests
    assert all(sum(bar != "▁" for bar in picture) >= 3 for picture in (one.reference, one.now))
    assert one.reference[0] > one.now[0]  # less of the small ones now


def test_a_constant_computed_otherwise_is_the_same_constant() -> None:
    found = pair("rate", pa.chunked_array([[0.3] * 9]), pa.chunked_array([[0.1 + 0.2] * 9]))
    assert set(found) == {"values"}
    assert set(found["values"].reference) == set(found["values"].now) == {"0.3"}

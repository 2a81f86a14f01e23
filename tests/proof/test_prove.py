"""Notebooks run in scratch warehouses: each planted leak is named with its column and row, what is honest is not."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pyarrow as pa
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fstk.cli.app import run_command
from fstk.errors import GateRefused, InvalidInput, UnknownColumn, UnknownTable
from fstk.proof.report import Proof
from fstk.tables import local
from tests.notebook.tables import DAY, INSTANT, START, write

ROOT = Path(__file__).parents[2]
HONEST = """
rows = pandas.concat([
    events[events["at"] < point].groupby("k").agg(total=("amount", "sum"), n=("amount", "count")).assign(as_of=point)
    for point in pandas.date_range("1997-01-15", "1997-04-01", freq="15D", tz="UTC")
]).reset_index()
fe.create_table(name="made.honest", primary_keys=["k"], timeseries_column="as_of", df=rows)
known = fe.create_training_set(
    df=rows[["k", "as_of"]], as_known=True,
    feature_lookups=[fstk.FeatureLookup("known.level", "k", timestamp_lookup_key="as_of")])
fe.create_table(name="made.known", primary_keys=["k"], timeseries_column="as_of", df=known.to_pandas())
"""
LEAKY = """
ordered = events.sort_values(["k", "at"])
by = ordered.groupby("k")["amount"]
ordered["following"] = by.shift(-1)
ordered["filled"] = ordered["amount"].where(ordered["amount"] > 5).groupby(ordered["k"]).bfill()
ordered["centred"] = by.transform(lambda one: one.rolling(3, center=True, min_periods=1).mean())
ordered["scaled"] = (ordered["amount"] - ordered["amount"].mean()) / ordered["amount"].std()
ordered["so_far"] = by.cumsum() - ordered["amount"]
fe.create_table(name="made.by_pandas", primary_keys=["k"], timeseries_column="at",
                df=ordered.drop(columns=["amount", "status"]))
spark = fstk.connect()
spark.sql('''
    SELECT k, at, lead(amount) OVER (PARTITION BY k ORDER BY at) AS lead_amount,
           max(amount) OVER (PARTITION BY k) AS all_time,
           sum(amount) OVER (PARTITION BY k ORDER BY at ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS last_three,
           sum(amount) OVER (PARTITION BY k, date_trunc('month', at)) AS month_sum
    FROM {events}''', events=fe.read_table(name="events")).createOrReplaceTempView("by_sql")
fe.create_table(name="made.by_sql", primary_keys=["k"], timeseries_column="at", df=spark.table("by_sql"))
import polars
frame = polars.from_pandas(events).sort("k", "at").with_columns(
    ranked=polars.col("amount").rank().over("k"), before=polars.col("amount").shift(1).over("k"))
frame = frame.drop("amount", "status")
fe.create_table(name="made.by_polars", primary_keys=["k"], timeseries_column="at", df=frame)
fe.create_table(name="made.ever", primary_keys=["k"], df=events.groupby("k").agg(ever=("amount", "sum")).reset_index())
"""
LATE = """
days = pandas.date_range("1997-01-15", "1997-04-01", freq="15D", tz="UTC")
asked = pandas.DataFrame([(k, day) for k in range(12) for day in days], columns=["k", "as_of"])
level = [fstk.FeatureLookup("known.level", "k", timestamp_lookup_key="as_of")]
for name, as_known in (("made.filled", False), ("made.known", True)):
    seen = fe.create_training_set(df=asked, feature_lookups=level, as_known=as_known)
    fe.create_table(name=name, primary_keys=["k"], timeseries_column="as_of", df=seen.to_pandas())
"""
READ = """
import pandas
import fstk
fe = fstk.FeatureEngineeringClient()
events = fe.read_table(name="events").toPandas()
events["at"] = pandas.to_datetime(events["at"], utc=True)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with events in its warehouse, and notebooks that make features of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSTK_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("FSTK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT)]))
    rng = np.random.default_rng(3)
    number = 400
    days = np.sort(rng.choice(90 * 24 * 60, number, replace=False))
    events = pa.table(
        {
            "k": pa.array(rng.integers(0, 12, number), pa.int64()),
            "at": pa.array([START + day * DAY / 1440 for day in days.tolist()], INSTANT),
            "amount": rng.lognormal(1, 1, number),
            "status": rng.choice(["paid", "open"], number),
        }
    )
    write(tmp_path / "warehouse" / "default" / "events", events)
    write_known(tmp_path / "warehouse" / "known" / "level", rng)
    for name, cell in (
        ("honest", HONEST),
        ("leaky", LEAKY),
        ("late", LATE),
        ("broken", "raise ValueError('as it is')"),
        ("idle", ""),
    ):
        notebook = new_notebook(cells=[new_code_cell(READ), new_code_cell(cell)])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        if name == "honest":
            (tmp_path / "notebooks").mkdir()
            nbformat.write(notebook, tmp_path / "notebooks" / "10_build_features.ipynb")
    return tmp_path


def write_known(folder: Path, rng: np.random.Generator) -> None:
    """Write a feature table whose rows were committed on the day after their own, and every fifth a month later."""
    days = range(0, 90, 5)
    rows = pa.table(
        {
            "k": pa.array([k for _ in days for k in range(12)], pa.int64()),
            "at": pa.array([START + day * DAY for day in days for _ in range(12)], INSTANT),
            "level": rng.lognormal(1, 1, 12 * len(days)),
        }
    )
    late = [day + (30 if number % 5 == 0 else 1) for number, day in enumerate(days) for _ in range(12)]
    feed = rows.append_column("_change_type", [["insert"] * rows.num_rows]).append_column("_commit_version", [late])
    feed = feed.append_column("_commit_timestamp", pa.chunked_array([[START + day * DAY for day in late]], INSTANT))
    original = folder.with_name("original")
    write(original, rows, primary_keys='["k"]', timeseries_column="at")
    local.store_copy("known.level", original, folder, feed)
    shutil.rmtree(original)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.slow
def test_honest_features_are_proven_and_nothing_else_is_touched(project: Path) -> None:
    before = hashes(project)
    (told,) = re.findall(r"^```bash\nfstk (.*)\n```", (ROOT / "docs" / "leaks.md").read_text(), flags=re.MULTILINE)
    proof = run_command(told.split())
    assert isinstance(proof, Proof)
    assert not proof.leaks
    assert proof.features == 3, "one is joined as it was known, of what was committed when"
    assert proof.moved > 0
    assert "PROVED  nothing changed" in repr(proof)
    assert hashes(project) == before


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.slow
def test_each_leak_of_a_notebook_is_named_with_its_column_and_row(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = pa.array([n % 12 for n in range(60)], pa.int64())
    asked = [START + (20 + n) * DAY for n in range(60)]
    write(
        project / "warehouse" / "default" / "labels",
        pa.table({"k": keys, "t": pa.array(asked, INSTANT), "y": range(60)}),
    )
    with pytest.raises(GateRefused, match="9 features know the future"):
        run_command(["prove", "leaky.ipynb", "--labels", "labels", "--label", "y", "--at", "t"])
    text = capsys.readouterr().out
    named = {line.split()[1] for line in text.splitlines() if line.startswith("LEAK")}
    assert named == {
        "made.by_pandas.following", "made.by_pandas.filled", "made.by_pandas.centred", "made.by_pandas.scaled",
        "made.by_sql.lead_amount", "made.by_sql.all_time", "made.by_sql.month_sum",
        "made.by_polars.ranked", "made.ever.ever",
    }  # fmt: skip
    said = " ".join(text.split())
    assert re.search(
        r"LEAK made\.by_sql\.lead_amount of k \d+ at 1997-0\S+( \S+)? changed from \S+ to \S+ when the row of "
        r"default\.events of 1997-0\S+( \S+)? was (deleted|altered|negated); \d+ labels in all",
        said,
    )


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.slow
def test_what_a_later_commit_tells_is_named_as_known(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateRefused, match="1 feature knows the future"):
        run_command(["prove", "late.ipynb", "--as-known"])
    text = " ".join(capsys.readouterr().out.split())
    assert re.findall(r"LEAK (\S+) of k \d+ at", text) == ["made.filled.level"], "the other join is as known"
    assert re.search(r"when the row of known\.level of 1997-\S+( \S+)? was (deleted|altered|negated)", text)


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["made.features"], UnknownTable, "made.features"),
        (["events"], UnknownTable, "events"),
        (["made.honest", "-p", "k=1"], UnknownTable, "made.honest"),
        (["honest.ipynb", "--label", "y"], InvalidInput, "columns of --labels"),
        (["honest.ipynb", "--labels", "events"], InvalidInput, "--at must name the labels' time column"),
        (["honest.ipynb", "--labels", "event", "--at", "at"], UnknownTable, "no frame or table event. Nearest: "),
        (["honest.ipynb", "--labels", "events", "--at", "att"], UnknownColumn, "events: no column att. Nearest: at"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_runs(
    project: Path, words: list[str], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        run_command(["prove", *words])

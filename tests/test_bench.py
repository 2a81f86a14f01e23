"""The bench asks every contender the same and believes no time without the right answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import child, compare, data, notebook, online, open_loop, process, serving, startup
from bench.__main__ import contenders, main, measure
from bench.cases import CASES, FROM_FILES
from bench.report import Line, Report

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data.make(tmp_path, data.Size(3_000, 400, 40, repeats=1, seconds=60, wide=2_000, wide_labels=300))
    (tmp_path / "answers").mkdir()
    return tmp_path


@pytest.mark.parametrize("case", [*CASES, *FROM_FILES])
def test_local_contenders_give_one_answer(case: str, folder: Path) -> None:
    for contender in child.LOCAL:
        child.main(case, contender, folder, 1)
    for contender in child.LOCAL:
        assert compare.difference(child.answer(folder, case, "DuckDB"), child.answer(folder, case, contender)) is None


@pytest.mark.spark
@pytest.mark.parametrize("case", CASES)
def test_contenders_on_spark_give_that_answer(case: str, folder: Path, spark: SparkSession) -> None:
    for contender in ("DuckDB", *child.SPARK):
        child.main(case, contender, folder, 1)
    for contender in child.SPARK:
        assert compare.difference(child.answer(folder, case, "DuckDB"), child.answer(folder, case, contender)) is None


def test_an_answer_that_differs_is_told_apart(tmp_path: Path) -> None:
    rows = {"id": [1, 2, 3], "ts": pl.Series([1, 2, 3]).cast(pl.Datetime("us", "UTC")), "x": [1.0, None, 3.0]}
    right = pl.DataFrame(rows)
    others = {
        "same, shuffled": right.reverse(),
        "close": right.with_columns(pl.col("x") * (1 + 1e-12)),
        "far": right.with_columns(pl.col("x") * (1 + 1e-6)),
        "null": right.with_columns(pl.col("x").fill_null(0.0)),
        "short": right.head(2),
        "column": right.rename({"x": "y"}),
    }
    pq.write_table(right.to_arrow(), tmp_path / "right")
    found = {}
    for name, frame in others.items():
        pq.write_table(frame.to_arrow(), tmp_path / name)
        found[name] = compare.difference(tmp_path / "right", tmp_path / name)
    assert {name for name, unlike in found.items() if unlike is None} == {"same, shuffled", "close"}


def test_a_wrong_answer_has_no_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_module: str, case: str, contender: str, *_: str, **__: object) -> process.Measured:
        pq.write_table(
            pa.table({"id": [len(contender)], "ts": pa.array([0], pa.timestamp("us"))}),
            child.answer(folder, case, contender),
        )
        return process.Measured({"seconds": [1.0]}, 1)

    monkeypatch.setattr(process, "run", run)
    report = Report(data.QUICK, 0.0)
    measure(report, folder, ["DuckDB", "Polars", "direct", "spark"])
    failed = {line.contender for line in report.lines if line.failure}
    assert failed == {"spark"}  # the others' names are as long as DuckDB's
    assert all(line.best is None for line in report.lines if line.failure)
    assert "another answer" in repr(report)


@pytest.mark.slow
def test_a_child_that_hangs_or_fails_is_a_line_and_no_wait(tmp_path: Path) -> None:
    hanging = process.run("http.server", "0", "--bind", "127.0.0.1", folder=tmp_path, seconds=2)
    assert (hanging.figures, hanging.failure) == (None, "stopped after 2 s")
    failing = process.run("bench.child", "no case", folder=tmp_path, seconds=60)
    assert failing.figures is None
    assert "Error" in str(failing.failure)


def test_the_table_says_ratio_and_aim_and_fits() -> None:
    lines = [
        Line("windows on calendar", "Spark SQL", [4.0, 2.0], 2_000_000_000),
        Line("windows on calendar", "spark", [1.0, 1.5], 1_000_000_000, "Spark SQL", 1.0),
        Line("first Delta write", "fstk", [], 0, "delta-spark", 0.5, "stopped after 600 s"),
        Line("first Delta write", "delta-spark", [3.0], 1, None, None),
        Line("a preview", "fstk", [0.75], 1, limit=0.5),
    ]
    report = Report(data.FULL, 0.25, lines, ["a note"])
    assert report.ratio(lines[1]) == 0.5
    text = repr(report)
    assert max(map(len, text.splitlines())) <= 100
    row = next(line for line in text.splitlines() if line.split()[3:4] == ["spark"])
    assert " ".join(row.split()) == "windows on calendar spark 1.00 40% 0.50 Spark SQL ≤ 1.00 met 1,000"
    assert next(line for line in text.splitlines() if "a preview" in line).split()[-4:] == ["0.5", "s", "MISSED", "0"]
    assert "first Delta write, fstk: stopped after 600 s." in text
    assert {"Python", "fstk", "duckdb", "delta-spark"} <= {
        word for line in text.splitlines()[:4] for word in line.split()
    }
    assert json.loads(json.dumps(report.as_dict()))["lines"][1]["ratio"] == 0.5


def test_every_contender_is_measured_after_the_one_it_is_held_against() -> None:
    names = contenders()
    assert sorted(names) == sorted([*child.LOCAL, *child.SPARK])
    assert names[0] == "DuckDB"
    assert names.index("Spark SQL") < names.index("spark")


def test_each_line_is_printed_as_it_is_measured_and_the_table_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def run(module: str, *arguments: str, folder: Path, **_: object) -> process.Measured:
        seen.append(len(capsys.readouterr().out.splitlines()))
        if module == "bench.child":
            table = pa.table({"id": [1], "ts": pa.array([0], pa.timestamp("us"))})
            pq.write_table(table, child.answer(folder, arguments[0], arguments[1]))
        names = startup.STEPS if module == "bench.startup" else notebook.LIMITS
        return process.Measured({"seconds": [1.0], "steps": dict.fromkeys(names, 1.0)}, 1)

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(sys, "argv", ["bench", "local", "--quick", "--json", str(tmp_path / "figures.json")])
    main()
    measured = len(CASES) * len(contenders()) + len(FROM_FILES) * len(child.LOCAL)
    assert seen[: measured + 1] == [0, *[1] * measured]
    assert "against" in capsys.readouterr().out
    lines = json.loads((tmp_path / "figures.json").read_text())["lines"]
    assert len(lines) == measured + 2 * len(startup.STEPS) + len(notebook.LIMITS)


@pytest.mark.server
@pytest.mark.slow
def test_online_rows_are_measured_on_each_store_beside_its_own_client() -> None:
    report = online.measure(online.Size(120, 5))
    stores, contenders = ("SQLite", "Redis", "PostgreSQL"), ("bare", "fstk")
    cases = ("1 entity", "100 entities", "5 tables × 1 entity")
    assert list(report.times) == [(s, case, c) for s in stores for case in cases for c in contenders]
    assert {len(times) for times in report.times.values()} == {5}
    assert set(report.rates) == {(s, case, c) for s in stores for case in ("write", "publish") for c in contenders}
    assert all("PostgreSQL" in one for one in (repr(report), json.dumps(report.as_dict())))


def test_one_store_is_measured_alone() -> None:
    report = online.measure(online.Size(120, 2), only="SQLite")
    assert {store for store, _, _ in report.times} == {"SQLite"}
    assert {len(times) for times in report.times.values()} == {2}


@pytest.mark.server
@pytest.mark.slow
def test_the_endpoint_is_measured_beside_the_model_alone_and_mlflow() -> None:
    report = serving.measure(serving.QUICK)
    placement = next(iter(report.answers))[0]
    contenders = ("model alone", "fstk, Redis", "fstk, SQLite", "MLflow, no lookup")
    assert list(report.answers) == [(placement, rate, one) for one in contenders for rate in serving.QUICK.rates]
    assert {(len(one.seconds), one.failed) for one in report.answers.values()} == {(serving.QUICK.requests, 0)}
    assert report.soak is not None
    assert {*report.soak.answers.statuses} == {200}
    assert report.flood < 20 * 2**20
    assert all("MLflow" in one for one in (repr(report), json.dumps(report.as_dict())))


def test_an_open_loop_counts_from_the_moment_and_tells_what_failed() -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{}", b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                for part in answers:
                    connection.sendall(part)
                    if part == b"{}":
                        connection.recv(100)

        answering = pool.submit(serve)
        found = open_loop.asked(listening.getsockname()[1], [b"one", b"two"], 5.0)
        answering.result()
    assert (found.statuses, len(found.seconds), found.failed, found.last) == ({200: 1, 503: 1}, 1, 1, b"{}")


@pytest.mark.spark
@pytest.mark.nightly
def test_quick_bench_runs_from_end_to_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", str(tmp_path / "figures.json")],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [line["failure"] for line in figures["lines"] if line["failure"]] == []
    measured = {(line["case"], line["contender"]) for line in figures["lines"]}
    assert {(case, contender) for case in CASES for contender in contenders()} <= measured
    assert {(case, contender) for case in FROM_FILES for contender in child.LOCAL} <= measured
    assert {("MERGE", "fstk"), ("MERGE", "delta-spark"), *((step, "fstk") for step in notebook.LIMITS)} <= measured
    assert all(line["peak"] > 0 for line in figures["lines"])
    assert "against" in done.stdout

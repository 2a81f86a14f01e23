"""What was served is in a Delta table soon after, and no fault of that is a fault of an answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import deltalake
import msgspec
import psutil
import pyarrow as pa
import pytest

from fstk.cli.app import run_command
from fstk.errors import TableExists
from fstk.models.lookups import ABSENT, Found
from fstk.serving import log_writer
from fstk.serving.endpoint import Answer, Predictions
from fstk.serving.features import Featured
from fstk.serving.log import Log
from fstk.serving.log_writer import Batches, rows_of
from fstk.serving.messages import LENGTH, Entry, Logged
from fstk.serving.metrics import Metrics
from fstk.tables.served_log import SCHEMA, ServedLog
from tests.serving.asking import GOOD, ask, records, waited
from tests.serving.project import Project, day
from tests.serving.test_lifecycle import worker_of

TABLE = "logs.served"
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


def counted(port: int, name: str) -> float:
    text = ask(port, None, None, path="/metrics", method="GET").body.decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}_total"))


def writers(port: int) -> list[psutil.Process]:
    return [one for one in worker_of(port).children() if "fstk.serving.log_writer" in one.cmdline()]


@pytest.mark.server
@pytest.mark.slow
def test_what_was_served_is_in_the_table_after_sigterm(project: Project, token: str) -> None:
    before = dt.datetime.now(dt.UTC)
    with project.served(log_table=TABLE, log_every=600.0) as port:
        good = ask(port, records(GOOD, GOOD | {"customer_id": 99, "cohort": None}), token)
        own = ask(port, records(GOOD | {"size": 3, "spend": 7.5}), token)
        assert ask(port, records({}), token).status == 400
        assert counted(port, "fstk_log_rows") == 0
    table = deltalake.DeltaTable(project.folder / "fstk-warehouse" / "logs" / "served")
    rows = sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: (row["at"], row["row"]))
    assert [json.loads(row["prediction"]) for row in rows] == [*good.json["predictions"], *own.json["predictions"]]
    assert [(row["endpoint"], row["version"], row["row"]) for row in rows] == [
        ("churn", "1", 0),
        ("churn", "1", 1),
        ("churn", "1", 0),
    ]
    assert len({row["request"] for row in rows}) == 2
    assert all(before <= row["at"] <= dt.datetime.now(dt.UTC) and 0 < row["latency_seconds"] < 10 for row in rows)
    given = [{name: json.loads(text) for name, text in row["given"]} for row in rows]
    assert given == [GOOD, GOOD | {"customer_id": 99, "cohort": None}, GOOD | {"size": 3, "spend": 7.5}]
    features = [{name: json.loads(text) for name, text in row["features"]} for row in rows]
    assert features == [
        {"spend": 1.8, "v": 8, "vip": False, "size": 40},
        {"spend": None, "v": -1, "vip": None, "size": None},
        {"spend": 7.5, "v": 8, "vip": False, "size": 3},
    ]
    known, nobody, overridden = (row["lookups"] for row in rows)
    there = {"table": "s.customers", "status": "present", "event_time": day(8), "source_version": 0}
    assert known == [there, there | {"table": "s.cohorts", "event_time": None}]
    assert [one["status"] for one in nobody] == ["missing", "missing"]
    assert overridden == [there, None]
    [commit] = Path(table.table_uri.removeprefix("file://")).glob("_delta_log/*.json")
    assert '"numRecords' in commit.read_text().replace("\\", "")
    assert "minValues" not in re.sub(r'"minValues\\":\{\}', "", commit.read_text())


def test_the_page_names_options_and_metrics_that_are_there() -> None:
    page = PAGE.read_text()
    assert "--log-table logs.basket" in page
    exposed = Metrics().exposed().decode()
    for name in ("fstk_log_dropped_total", "fstk_log_rows_total"):
        assert (name in page, name in exposed) == (True, True)


@pytest.mark.server
@pytest.mark.slow
def test_no_fault_of_the_log_is_one_of_an_answer(project: Project, token: str) -> None:
    folder = project.folder / "fstk-warehouse" / "logs" / "faulty"
    with project.served(log_table="logs.faulty", log_every=0.1) as port:

        def answers() -> bool:
            return ask(port, records(GOOD), token).status == 200

        def written() -> float:
            return counted(port, "fstk_log_rows")

        waited(lambda: answers() and written())
        aside = folder.rename(folder.with_name("aside"))
        folder.write_text("no folder")
        waited(lambda: answers() and counted(port, "fstk_log_dropped"))
        folder.unlink()
        aside.rename(folder)
        before = written()
        waited(lambda: answers() and written() > before)
        [first] = writers(port)
        first.kill()
        waited(lambda: answers() and [one for one in writers(port) if one.pid != first.pid])
        before = written()
        waited(lambda: answers() and written() > before)
    log = (project.folder / "server.log").read_text()
    assert re.search(r"logs\.faulty: \d+ rows of what was served are lost: ", log)
    assert "what writes logs.faulty ended with -9; another is started" in log


@pytest.mark.server
@pytest.mark.slow
def test_a_log_is_listed_apart_and_is_no_feature_table(project: Project) -> None:
    log = "shop.log"
    with project.inside():
        ServedLog(log).append(pa.Table.from_pylist([{"at": NOON, "endpoint": "churn", "row": 0}], SCHEMA))
        listed = repr(run_command(["tables"]))
        shown = repr(run_command(["show", log]))
        with pytest.raises(TableExists, match=r"s\.cohorts: a table that is no log of fstk serve is there"):
            ServedLog("s.cohorts")
        with pytest.raises(TableExists, match="no log of fstk serve"):
            run_command(["serve", "models:/churn@champion", "--port", "0", "--log-table", "s.cohorts"])
    feature_tables, _, logs = listed.partition("log of what was served")
    assert (log in feature_tables, log in logs) == (False, True)
    assert shown.startswith("shop.log v0 · log of what was served · 1 rows")


class Pipe:
    """A process that takes what it is told, or nothing."""

    def __init__(self, waiting: int) -> None:
        self.written: list[bytes] = []
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: waiting)

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written.append(data)


def answer() -> Answer:
    given = {"k": [1, 2, ABSENT], "at": [NOON, ABSENT, None]}
    found = Found(NOON, states=[[None, None, None]])
    return Answer(Predictions([0.5, None, 1.5]), Featured(given | {"f": [1, None, 3]}, given, found, 0, 0.0))


ENDPOINT: Any = SimpleNamespace(
    name="churn",
    version=3,
    features=SimpleNamespace(made={"f": "int"}),
    lookups=SimpleNamespace(joins=[SimpleNamespace(table="s.t")]),
)


def dropped(metrics: Metrics) -> float:
    [line] = [line for line in metrics.exposed().decode().splitlines() if line.startswith("fstk_log_dropped_total")]
    return float(line.split()[-1])


def test_what_comes_past_the_bound_is_dropped_and_counted() -> None:
    metrics = Metrics()
    log = Log("logs.x", 1.0, metrics)
    log.put(ENDPOINT, answer(), 0.1)
    assert dropped(metrics) == 3
    for waiting, more in ((8 * 2**20 + 1, 3), (8 * 2**20, 0)):
        before, pipe = dropped(metrics), Pipe(waiting)
        log._process = SimpleNamespace(stdin=pipe)  # type: ignore[assignment]
        log.put(ENDPOINT, answer(), 0.1)
        assert (dropped(metrics) - before, len(pipe.written)) == (more, 0 if more else 1)


def test_a_cell_that_the_request_did_not_give_is_not_logged_as_given() -> None:
    log, pipe = Log("logs.x", 1.0, Metrics()), Pipe(0)
    log._process = SimpleNamespace(stdin=pipe)  # type: ignore[assignment]
    log.put(ENDPOINT, answer(), 0.1)
    [frame] = pipe.written
    assert int.from_bytes(frame[:LENGTH], "little") == len(frame) - LENGTH
    rows = list(rows_of(msgspec.json.decode(frame[LENGTH:], type=Entry)))
    assert [dict(row["given"]) for row in rows] == [
        {"k": "1", "at": '"2024-03-01T12:00:00Z"'},
        {"k": "2"},
        {"at": "null"},
    ]
    assert [dict(row["features"]) for row in rows] == [{"f": "1"}, {"f": "null"}, {"f": "3"}]
    assert [row["prediction"] for row in rows] == ["0.5", "null", "1.5"]


def test_a_batch_that_a_full_disk_refuses_is_told_as_lost(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    tried: list[int] = []

    def append(rows: pa.Table) -> None:
        tried.append(rows.num_rows)
        if len(tried) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    batches = Batches(SimpleNamespace(name="logs.x", append=append), 600.0)  # type: ignore[arg-type]
    monkeypatch.setattr(log_writer, "_MOST", 10)
    entry = Entry(NOON, "churn", "3", 0.1, {}, {}, {}, [], [], [msgspec.Raw(b"1"), msgspec.Raw(b"2")])
    assert batches.wait is None
    batches.add(msgspec.json.encode(entry))  # larger than the bound
    batches.add(msgspec.json.encode(entry))
    said = [msgspec.json.decode(line, type=Logged) for line in capsysbinary.readouterr().out.splitlines()]
    assert said == [Logged(2, False), Logged(2, True)]
    assert (tried, batches.wait) == ([2, 2], None)


def test_rows_that_a_process_took_with_it_are_counted() -> None:
    metrics = Metrics()
    log = Log("no name", 600.0, metrics)  # of which no process can make a table: it ends at once

    async def run() -> None:
        log.start()
        while log._process is None:
            await asyncio.sleep(0)
        log.put(ENDPOINT, answer(), 0.1)
        await log.close()

    asyncio.run(run())
    assert dropped(metrics) == 3

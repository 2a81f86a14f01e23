"""Several writers at once, and writers that are killed: never a lost, doubled or half-written row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from fstk.engines.base import TableVersion, Within
from fstk.engines.connect import engine_of
from fstk.engines.spark import SparkEngine
from fstk.engines.spark_errors import translated
from fstk.errors import WriteConflict
from fstk.tables import sql, write
from fstk.tables.configured import open_catalog
from fstk.tables.folder import FolderCatalog
from fstk.tables.spec import FeatureTable
from tests.tables.reading import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@contextmanager
def process(warehouse: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A writer of its own, with its JVM; both are killed at the end."""
    command = [sys.executable, "-m", "tests.tables.writer", *arguments]
    environment = os.environ | {"FSTK_WAREHOUSE": str(warehouse), "FSTK_DRIVER_MEMORY": "1g"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def line(stream: IO[str] | None) -> Any:
    assert stream is not None
    text = stream.readline()
    assert text, "the writer ended early"
    return json.loads(text)


def frame(ids: list[Any], x: list[Any]) -> pa.Table:
    return pa.table({"id": ids, "x": x})


def test_two_processes_write_in_some_order(warehouse: Path, spark: SparkSession) -> None:
    FolderCatalog(warehouse, engine_of(spark)).create("s.t", "id", frame(["start"], ["0"]))
    rounds = 4
    with process(warehouse, "race", "a", str(rounds)) as a, process(warehouse, "race", "b", str(rounds)) as b:
        for one in (a, b):
            assert line(one.stdout) == "ready"
        for one in (a, b):
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        done = [line(one.stdout) for _ in range(rounds) for one in (a, b)]
    written = sorted((report for report in done if report["version"] is not None), key=lambda report: report["version"])
    assert len({report["version"] for report in written}) == len(written) > 0
    expected = {"start": "0"}
    for report in written:
        expected |= dict.fromkeys(report["keys"], report["x"])
    table = open_catalog().get("s.t")
    found = [(row["id"], row["x"]) for row in rows(table, "id")]
    assert found == sorted(expected.items())
    assert (table.version, table.written_by_fstk) == (len(written), True)


class LateReader(SparkEngine):
    """An engine whose first look at a table is at its first version: what it compares with is stale."""

    looked = False

    def read(self, table: TableVersion, columns: Sequence[str] | None = None, within: Within | None = None) -> Any:
        if not self.looked:
            self.looked = True
            table = replace(table, version=0)
        return super().read(table, columns, within)


def test_a_writer_that_came_between_is_seen_and_the_outcome_is_that_of_one_after_the_other(
    warehouse: Path, spark_engine: SparkEngine
) -> None:
    # As in Unity Catalog, where nobody waits for a lock.
    catalog = FolderCatalog(warehouse, spark_engine)
    before = catalog.create("s.t", "id", frame([1, 2], ["mine", "old"]))
    catalog.write("s.t", frame([1, 2, 3], ["theirs"] * 3))
    known = iter([before])
    target = replace(catalog._target("s.t"), table=lambda: next(known, None) or catalog.get("s.t"))
    mine = spark_engine.frame(frame([1, 2, 3, 4], ["mine"] * 4), "df")
    report = write.merge(LateReader(spark_engine.session), target, mine)
    # Key 1 was equal to what was read at first: it must become mine all the same, for the rest does.
    assert [(row["id"], row["x"]) for row in rows(catalog.get("s.t"), "id")] == [(n, "mine") for n in (1, 2, 3, 4)]
    assert [(v.version, v.inserted, v.updated) for v in catalog.versions("s.t")][:2] == [(3, 0, 1), (2, 1, 2)]
    assert (report.version_before, report.version, report.inserted, report.updated, report.rows) == (0, 3, 1, 3, 4)


def test_writers_that_never_stop_coming_between_are_a_conflict(warehouse: Path, spark_engine: SparkEngine) -> None:
    catalog = FolderCatalog(warehouse, spark_engine)
    catalog.create("s.t", "id", frame([1], ["old"]))
    looks = count()

    def overtaken() -> FeatureTable:
        table = catalog.get("s.t")
        catalog.write("s.t", frame([1], [f"theirs {next(looks)}"]))
        return table

    target = replace(catalog._target("s.t"), table=overtaken)
    mine = spark_engine.frame(frame([1], ["mine"]), "df")
    with pytest.raises(WriteConflict, match=r"^s\.t: other writers kept coming between\. .* tried again") as caught:
        write.merge(spark_engine, target, mine, attempts=2)
    assert caught.value.exit_code == 4
    assert [v.version for v in catalog.versions("s.t") if v.updated] == [5, 4, 3, 2, 1]


@pytest.mark.transport
def test_a_write_that_lost_to_another_is_made_again(
    warehouse: Path, spark_engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = FolderCatalog(warehouse, spark_engine)
    catalog.create("s.t", "id", frame([1], ["old"]))
    commit, lost = write._commit, [WriteConflict("lost")]

    def once_lost(*arguments: Any) -> Any:
        if lost:
            raise lost.pop()
        return commit(*arguments)

    monkeypatch.setattr(write, "_commit", once_lost)
    report = catalog.write("s.t", frame([1, 2], ["new", "new"]))
    assert (report.version, report.inserted, report.updated, lost) == (1, 1, 1, [])


def test_delta_itself_refuses_two_inserts_of_one_key(
    warehouse: Path, spark_engine: SparkEngine, tmp_path: Path
) -> None:
    # The lock keeps writers of fstk apart on one disk only; this is what holds everywhere else.
    catalog = FolderCatalog(warehouse, spark_engine)
    table = catalog.create("s.t", "id", frame([1], ["old"]))
    here, on = str(tmp_path / "here"), str(tmp_path / "on")
    os.mkfifo(here)
    os.mkfifo(on)

    def slow(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        Path(here).write_text("reading")
        Path(on).read_text()
        yield from batches

    session = spark_engine.session
    source = session.createDataFrame(frame([9], ["slow"])).coalesce(1).mapInArrow(slow, "id bigint, x string")
    source.createOrReplaceTempView("slow_source")
    caught: list[BaseException] = []

    def insert() -> None:
        try:
            with translated("writing s.t"):
                session.sql(sql.merge(f"delta.`{table.location}`", "slow_source", ["id"], ["id", "x"]))
        except WriteConflict as error:
            caught.append(error)

    slow_writer = threading.Thread(target=insert)
    slow_writer.start()
    assert Path(here).read_text() == "reading"
    assert catalog.write("s.t", frame([9], ["quick"])).inserted == 1
    Path(on).write_text("go on")
    slow_writer.join(300)
    session.catalog.dropTempView("slow_source")
    assert [type(error) for error in caught] == [WriteConflict]
    assert "\n" not in str(caught[0])
    assert [(row["id"], row["x"]) for row in rows(catalog.get("s.t"), "id")] == [(1, "old"), (9, "quick")]


@pytest.mark.parametrize("point", ["checked", "made"])
def test_a_create_that_is_killed_half_way_leaves_nothing_to_see(
    warehouse: Path, spark: SparkSession, point: str
) -> None:
    with process(warehouse, "stop", point) as writer:
        assert line(writer.stdout) == "stopped"
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait(60)
    left = [path.name for path in (warehouse / "s").iterdir() if path.name.startswith(".half.created")]
    assert bool(left) == (point == "made")
    catalog = FolderCatalog(warehouse, engine_of(spark))
    assert catalog.names() == ["s.done"]
    assert catalog.create("s.half", "id", frame([1, 2], [1.0, 2.0])).version == 0
    assert sorted(path.name for path in (warehouse / "s").iterdir()) == [".done.lock", ".half.lock", "done", "half"]

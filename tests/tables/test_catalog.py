"""Feature tables created, described, tagged, found and dropped on every Spark engine."""

from __future__ import annotations

import re
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import deltalake
import pyarrow as pa
import pytest

from fstk.engines.connect import engine_of
from fstk.engines.notes import noted
from fstk.engines.spark import SparkEngine
from fstk.errors import (
    DuplicateKeys,
    InvalidInput,
    TableExists,
    TypeMismatch,
    UnknownColumn,
    UnknownName,
    UnknownTable,
    UnsupportedTable,
    WriteConflict,
)
from fstk.tables import local, lock
from fstk.tables.configured import open_catalog
from fstk.tables.definition import FeatureDefinition
from fstk.tables.folder import FolderCatalog
from fstk.tables.grants import read_statements
from fstk.tables.report import WriteReport
from fstk.tables.unity import TAG, UnityCatalog
from tests.tables.reading import rows
from tests.tables.test_unity_sql import STATEMENTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DAY = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = pa.table({"id": [1, 2], "as_of": pa.array([DAY, DAY], pa.timestamp("us", "UTC")), "x": [1.0, 2.0]})


@pytest.fixture
def catalog(warehouse: Path, spark_engine: SparkEngine) -> FolderCatalog:
    return FolderCatalog(warehouse, spark_engine)


@pytest.mark.transport
def test_a_definition_is_told_by_the_table_itself_and_any_reader_sees_it(
    catalog: FolderCatalog, warehouse: Path
) -> None:
    description = "it's 100 % \\ ${spark.app.name} <b>"
    tags = {"team": "a'b", "${x}": "\\n"}
    made = catalog.create(
        "Store.T",
        primary_keys=["as_of", "id"],
        timestamp_keys="as_of",
        df=ROWS,
        partition_columns=["id"],
        description=description,
        tags=tags,
    )
    assert (made.name, made.primary_keys, made.timeseries_column) == ("store.t", ("id",), "as_of")
    assert (made.description, made.tags, made.partition_columns) == (description, tags, ("id",))
    assert made == catalog.get("store.t")
    assert made == open_catalog().get("store.t")
    seen = deltalake.DeltaTable(warehouse / "store" / "t")
    assert seen.metadata().partition_columns == ["id"]
    assert seen.metadata().description == description
    assert seen.to_pyarrow_table().num_rows == 2
    feed = pa.table(seen.load_cdf(0).read_all())
    assert feed.column("_change_type").to_pylist() == ["insert", "insert"]


def test_the_same_create_again_changes_nothing_and_another_is_a_write(catalog: FolderCatalog) -> None:
    def create(df: pa.Table, **more: object) -> int:
        return catalog.create("s.t", ["id"], df, timeseries_column="as_of", **more).version  # type: ignore[arg-type]

    assert create(ROWS, description="d", tags={"a": "1"}) == 0
    assert create(ROWS, description="d", tags={"a": "1"}) == 0
    assert create(ROWS) == 0
    assert create(ROWS.set_column(2, "x", pa.array([1.0, 3.0])), description="d") == 1
    assert create(ROWS.set_column(2, "x", pa.array([1.0, 3.0])), description="e", tags={"a": "2", "b": "3"}) == 3
    table = catalog.get("s.t")
    assert (table.description, table.tags, table.rows, table.written_by_fstk) == ("e", {"a": "2", "b": "3"}, 2, True)
    for keys, time in ((["id", "x"], "as_of"), (["id"], None)):
        with pytest.raises(TableExists, match="s.t is there already"):
            catalog.create("s.t", keys, ROWS, timeseries_column=time)
    with pytest.raises(TypeMismatch, match="x is double in the table and bigint in the frame"):
        create(ROWS.set_column(2, "x", pa.array([1, 2])))
    assert catalog.get("s.t").version == 3


def test_a_create_tells_what_it_wrote(catalog: FolderCatalog) -> None:
    def title(df: pa.Table, **more: object) -> str:
        made = catalog.create("s.t", ["id"], df, timeseries_column="as_of", **more)  # type: ignore[arg-type]
        told.append(made.report)
        return repr(made).splitlines()[0]

    told: list[WriteReport | None] = []
    wider = pa.concat_tables(
        [ROWS.set_column(2, "x", pa.array([1.0, 3.0])), ROWS.set_column(0, "id", pa.array([7, 8]))]
    )
    end = "keys (id, as_of TIMESERIES) · 1 feature"
    assert title(ROWS) == f"s.t created at v0 · 2 rows · {end}"
    assert title(ROWS) == f"s.t v0 · nothing changed · 2 rows · {end}"
    assert title(wider) == f"s.t v0 → v1 · 4 rows · {end}"
    assert title(ROWS, tags={"a": "1"}) == f"s.t v1 → v3 · 4 rows · {end}"
    assert told == [
        WriteReport("s.t", None, 0, 2, 0, 0, 2),
        WriteReport("s.t", 0, 0, 0, 0, 2, 2),
        WriteReport("s.t", 0, 1, 2, 1, 1, 4),
        WriteReport("s.t", 1, 3, 0, 1, 1, 4),
    ]
    assert catalog.get("s.t").report is None
    assert repr(catalog.get("s.t")).splitlines()[0] == f"s.t v3 · 4 rows · {end}"


@pytest.mark.transport
def test_tags_are_set_and_deleted_once(catalog: FolderCatalog) -> None:
    catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
    catalog.set_tag("s.t", "team", "data")
    catalog.set_tag("s.t", "team", "data")
    assert (catalog.get("s.t").tags, catalog.get("s.t").version) == ({"team": "data"}, 1)
    with pytest.raises(UnknownName, match="no tag 'tea'. Nearest: team"):
        catalog.delete_tag("s.t", "tea")
    catalog.delete_tag("s.t", "team")
    assert (catalog.get("s.t").tags, catalog.get("s.t").version) == ({}, 2)
    assert catalog.get("s.t").written_by_fstk
    for call in (lambda: catalog.set_tag("s.u", "a", "b"), lambda: catalog.delete_tag("s.u", "a")):
        with pytest.raises(UnknownTable, match="no feature table s.u"):
            call()


@pytest.mark.transport
def test_a_dropped_table_is_gone_and_its_name_free(
    catalog: FolderCatalog, warehouse: Path, spark_engine: SparkEngine
) -> None:
    for first in (True, False):
        table = catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
        assert table.version == 0
        catalog.write("s.t", ROWS.set_column(2, "x", pa.array([7.0, 7.0 + first])))
        found = spark_engine.arrow(spark_engine.read(table.at())).sort_by("id")
        assert found.column("x").to_pylist() == [7.0, 7.0 + first]
        assert [row["x"] for row in rows(catalog.get("s.t"), "id")] == [7.0, 7.0 + first]
        catalog.drop("s.t")
        assert catalog.names() == []
        assert [path.name for path in (warehouse / "s").iterdir()] == [".t.lock"]
        with pytest.raises(UnknownTable):
            catalog.drop("s.t")


def test_a_table_may_have_the_longest_name(catalog: FolderCatalog) -> None:
    name = f"s.{'t' * 255}"
    assert catalog.create(name, ["id"], ROWS, timeseries_column="as_of").name == name
    assert not catalog.write(name, ROWS).changed
    assert catalog.names() == [name]
    catalog.drop(name)
    assert catalog.names() == []


def test_what_delta_rs_cannot_open_is_known_through_the_session(
    catalog: FolderCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of", description="d", tags={"a": "b"})
    known = catalog.versions("s.t")

    def refuse(name: str, *_: object) -> None:
        raise UnsupportedTable(f"{name} has the Delta feature tomorrows")

    for function in ("read", "newest", "history"):
        monkeypatch.setattr(local, function, refuse)
    assert catalog.get("s.t") == replace(made, rows=None, report=None)
    assert catalog.versions("s.t") == known
    assert catalog.find("s.t").version is None
    assert catalog.find("s.t", 0).version == 0
    assert catalog.write("s.t", ROWS).changed is False


def test_a_damaged_table_can_be_dropped(catalog: FolderCatalog, warehouse: Path) -> None:
    catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
    (warehouse / "s" / "t" / "_delta_log" / f"{0:020}.json").write_text("garbage")
    catalog.drop("s.t")
    assert not (warehouse / "s" / "t").exists()


def test_what_is_not_ours_is_never_written_over(catalog: FolderCatalog, warehouse: Path) -> None:
    catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
    deltalake.write_deltalake(str(warehouse / "s" / "events"), ROWS)
    (warehouse / "s" / "files").mkdir()
    (warehouse / "s" / "files" / "a.csv").write_text("1,2")
    for name, error, words in (
        ("s.events", TableExists, "a Delta table that is no feature table is at"),
        ("s.files", InvalidInput, r"holds other files \(a.csv\); move them"),
        ("s.t.inner", InvalidInput, "s.t.inner would lie inside the table at"),
    ):
        with pytest.raises(error, match=words):
            catalog.create(name, ["id"], ROWS, timeseries_column="as_of")
    with pytest.raises(UnknownTable):
        catalog.drop("s.events")
    with pytest.raises(UnknownTable):
        catalog.write("s.events", ROWS)
    assert deltalake.DeltaTable(warehouse / "s" / "events").version() == 0
    assert [path.name for path in (warehouse / "s" / "files").iterdir()] == ["a.csv"]
    (warehouse / "s" / "free").mkdir()
    assert catalog.create("s.free", ["id"], ROWS, timeseries_column="as_of").rows == 2


def test_nothing_to_create_from_is_refused(catalog: FolderCatalog) -> None:
    with pytest.raises(InvalidInput, match="give df"):
        catalog.create("s.t", ["id"])
    with pytest.raises(InvalidInput, match="df"):
        catalog.create("s.t", ["id"], 7)  # type: ignore[arg-type]


def test_rows_and_a_schema_must_agree_and_nothing_is_written(catalog: FolderCatalog, warehouse: Path) -> None:
    types = {"id": "bigint", "as_of": "timestamp", "x": "double"}
    for schema, kind, words in (
        (types | {"y": "int"}, UnknownColumn, "schema has the column y, df has not. Nearest: "),
        ({"id": "bigint", "as_of": "timestamp"}, UnknownColumn, "df has the column x, schema has not. There is: "),
        (types | {"x": "int"}, TypeMismatch, "column x is int in schema and double in df; cast it."),
    ):
        with pytest.raises(kind) as caught:
            catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of", schema=schema)
        assert words.split(" Nearest")[0].split(" There")[0] in str(caught.value)
    assert not (warehouse / "s").exists()
    empty = pa.table({"id": ROWS["id"], "as_of": ROWS["as_of"], "x": pa.nulls(2)})
    assert catalog.create("s.t", ["id"], empty, timeseries_column="as_of", schema=types).schema == types


def test_a_warehouse_that_cannot_be_written_is_one_line(spark_engine: SparkEngine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "holiday.jpg").touch()
    for warehouse, words in ((tmp_path / "file", "cannot be written"), (tmp_path / "foreign", "holds other files")):
        with pytest.raises(InvalidInput, match=words) as caught:
            FolderCatalog(warehouse, spark_engine).create("s.t", ["id"], ROWS, timeseries_column="as_of")
        assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["holiday.jpg"]


def test_times_of_versions_survive_a_copy(catalog: FolderCatalog, warehouse: Path, tmp_path: Path) -> None:
    catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
    catalog.write("s.t", ROWS.set_column(2, "x", pa.array([1.0, 3.0])))
    shutil.copytree(warehouse, tmp_path / "copy", copy_function=shutil.copyfile)
    copy = FolderCatalog(tmp_path / "copy", catalog._engine)
    assert copy.versions("s.t") == catalog.versions("s.t")
    engine = catalog._engine
    assert engine is not None
    feeds = [engine.arrow(engine.changes(one.get("s.t").at())).to_pylist() for one in (catalog, copy)]
    key = ["_commit_version", "id", "_change_type"]
    one, two = (sorted(feed, key=lambda row: [row[name] for name in key]) for feed in feeds)
    assert one == two
    committed = {v.version: v.timestamp for v in catalog.versions("s.t")}
    assert all(row["_commit_timestamp"] == committed[row["_commit_version"]] for row in one)


def test_rows_that_others_doubled_are_refused_before_they_spread(
    catalog: FolderCatalog, spark_engine: SparkEngine
) -> None:
    table = catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of")
    spark_engine.frame(ROWS, "df").write.format("delta").mode("append").save(table.location)
    assert not catalog.get("s.t").written_by_fstk
    with pytest.raises(DuplicateKeys, match=r"s\.t itself holds keys more than once, .* \(id=1, as_of=2024-01-01\)"):
        catalog.write("s.t", ROWS)


def test_no_verb_writes_while_another_writer_does(warehouse: Path, spark_engine: SparkEngine) -> None:
    catalog = FolderCatalog(warehouse, spark_engine, patience=0.0)
    catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of", tags={"a": "1"})
    with lock.exclusive(warehouse / "s" / "t", "s.t"):
        for verb in (
            lambda: catalog.create("s.t", ["id"], ROWS, timeseries_column="as_of"),
            lambda: catalog.write("s.t", ROWS),
            lambda: catalog.set_tag("s.t", "b", "2"),
            lambda: catalog.delete_tag("s.t", "a"),
            lambda: catalog.drop("s.t"),
        ):
            with pytest.raises(WriteConflict, match=r"s\.t: another process is writing it"):
                verb()
        assert catalog.get("s.t").rows == 2
    catalog.drop("s.t")


def test_two_threads_write_two_tables_of_one_session(warehouse: Path, spark: SparkSession) -> None:
    catalog = FolderCatalog(warehouse, engine_of(spark))
    failed: list[BaseException] = []

    def create(name: str) -> None:
        try:
            catalog.create(name, ["id"], ROWS, timeseries_column="as_of")
            catalog.write(name, ROWS.set_column(2, "x", pa.array([1.0, 3.0])))
        except BaseException as error:  # noqa: BLE001 (told below, in the test's own thread)
            failed.append(error)

    threads = [threading.Thread(target=create, args=(name,)) for name in ("s.a", "s.b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not failed
    marks = [{version.write for version in catalog.versions(name)} for name in ("s.a", "s.b")]
    assert [len(one) for one in marks] == [2, 2]
    assert not marks[0] & marks[1]


def verb(statement: str) -> str:
    found = re.match(r"(?:[A-Z]+ )+", statement)
    assert found is not None, statement
    return found[0]


class StatementsOfDatabricks:
    """A session that carries out, on open-source Spark, what its grammar has, and keeps the text of the rest."""

    def __init__(self, engine: SparkEngine) -> None:
        self._session = engine.session
        self.statements: list[str] = []
        self.tables: list[str] = []
        self.granted = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def sql(self, text: str, args: dict[str, str] | None = None) -> object:
        self.statements.append(text)
        if "SET TAGS" in text:
            return None
        if text.startswith(("GRANT", "REVOKE")):
            self.granted = text.startswith("GRANT")
            return None
        if text.startswith("SHOW GRANTS"):
            given = f"array('ann', 'ben{'`' if self.granted else ''}')"
            return self._session.sql(f"SELECT explode({given}) AS Principal, 'SELECT' AS ActionType")
        if "system.information_schema" in text:
            assert args == {"tag": TAG}
            return self._session.sql("SELECT explode(array('" + "','".join(self.tables) + "')) AS name")
        if text.startswith("CREATE TABLE"):
            start = text.index(", CONSTRAINT")
            text = text[:start] + text[text.index(") USING") :]
        return self._session.sql(text) if args is None else self._session.sql(text, args=args)


def spend(window: str) -> FeatureDefinition:
    return FeatureDefinition("sum(amount)", window, ("id",), "at")


def commented(session: StatementsOfDatabricks) -> list[str]:
    return [statement for statement in session.statements if " ALTER COLUMN `x` COMMENT " in statement]


@pytest.mark.server
def test_unity_catalog_runs_its_statements(remote: SparkSession) -> None:
    # Over Connect, as databricks-connect is.
    spark_engine = engine_of(remote)
    session = StatementsOfDatabricks(spark_engine)
    engine = SparkEngine(session, "databricks")  # type: ignore[arg-type]
    catalog = UnityCatalog(engine)
    name = "t_of_unity"
    full = f"spark_catalog.default.{name}"
    session.tables = [full]
    spark_engine.session.sql(f"DROP TABLE IF EXISTS {full}")
    try:
        with pytest.raises(UnknownTable, match=f"no feature table {full}"):
            catalog.get(name)
        made = catalog.create(name, ["id"], ROWS, timeseries_column="as_of", description="d", tags={"team": "x"})
        assert (made.name, made.keys, made.features) == (full, ("id", "as_of"), ["x"])
        assert (made.description, made.tags, made.written_by_fstk) == ("d", {"team": "x"}, True)
        assert made.report is not None
        assert (made.rows, made.report.rows) == (2, 2)
        assert any(f"CONSTRAINT `{name}_pk` PRIMARY KEY (`id`, `as_of` TIMESERIES)" in s for s in session.statements)
        assert any(s.endswith("SET TAGS ('fstk' = 'feature table', 'team' = 'x')") for s in session.statements)
        assert catalog.names() == [full]
        report = catalog.write(name, ROWS.set_column(2, "x", pa.array([1.0, 3.0])))
        assert (report.updated, report.unchanged) == (1, 1)
        assert not catalog.write(name, ROWS.set_column(2, "x", pa.array([1.0, 3.0]))).changed
        assert not commented(session), "nothing is known of x"
        for window, said in (("30d", True), ("30d", False), ("7d", True)):
            before = len(commented(session))
            told = catalog.write(name, noted(ROWS, {"x": spend(window).to_json()}), redefine=True)
            assert told.version == catalog.get(name).version
            assert len(commented(session)) - before == said
        x = spark_engine.session.table(full).schema["x"]
        assert x.metadata["comment"].startswith("sum(amount) over the 7 days before as_of, of a frame by at")
        catalog.set_tag(name, "team", "y")
        catalog.delete_tag(name, "team")
        assert any(s.endswith("UNSET TAGS ('team')") for s in session.statements)
        assert catalog.get(name).tags == {}
        assert [v.operation for v in catalog.versions(name)][-2:] == ["MERGE", "CREATE TABLE"]
        [statement] = read_statements(f"GRANT SELECT ON {name} TO `ben```")
        catalog.grant(statement)
        assert session.statements[-1] == f"GRANT SELECT ON TABLE `spark_catalog`.`default`.`{name}` TO `ben```"
        assert catalog.grants(name) == {"SELECT": ("ann", "ben`")}
        looking = {"DESCRIBE DETAIL ", "DESCRIBE HISTORY ", "SELECT "}
        assert {verb(one) for one in session.statements} <= looking | {verb(one) for one in STATEMENTS}
        catalog.drop(name)
        with pytest.raises(UnknownTable):
            catalog.get(name)
    finally:
        spark_engine.session.sql(f"DROP TABLE IF EXISTS {full}")

"""Delta tables that others wrote, each with the rows that it holds at some versions: the Delta acceptance tests.

``deltalake-dat-v0.0.3.tar.gz`` is the release of that name of https://github.com/delta-incubator/dat (Apache 2.0), made
by the reference writer. DuckDB reads the expected rows.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import duckdb
import pytest
from pyspark.sql import SparkSession

from fstk.engines.base import Engine, TableVersion
from fstk.engines.connect import direct, engine_of
from fstk.errors import ExpiredSnapshot

ARCHIVE = Path(__file__).with_name("deltalake-dat-v0.0.3.tar.gz")
TABLES = "out/reader_tests/generated"
# Versions that are not the newest, and older than the week for which Delta lets a table go back that does not say more.
EXPIRED = {
    ("basic_append", "v0"),
    ("basic_partitioned", "v0"),
    ("multi_partitioned", "v0"),
    ("multi_partitioned", "v1"),
    ("partitioned_with_null", "v0"),
}
with tarfile.open(ARCHIVE) as archive:
    EXPECTED = [
        (path.parts[-4], path.parts[-2])
        for path in map(Path, sorted(archive.getnames()))
        if path.name == "table_version_metadata.json"
    ]


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dat")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / TABLES


def _check(engine: Engine, folder: Path, version: str) -> None:
    expected = folder / "expected" / version
    number = json.loads((expected / "table_version_metadata.json").read_text())["version"]
    ours = engine.arrow(engine.read(TableVersion("s.t", str(folder / "delta"), number)))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = "SELECT * FROM read_parquet($files)"
        theirs = connection.execute(query, {"files": f"{expected}/table_content/**/*.parquet"})
        names = [column[0] for column in theirs.description]
        rows = [dict(zip(names, row, strict=True)) for row in theirs.fetchall()]
    assert ours.column_names == names
    assert sorted(map(str, ours.to_pylist(maps_as_pydicts="strict"))) == sorted(map(str, rows))


@pytest.mark.parametrize(("table", "version"), EXPECTED)
def test_a_table_that_others_wrote_is_read_without_spark(tables: Path, table: str, version: str) -> None:
    _check(direct(), tables / table, version)


@pytest.mark.spark
@pytest.mark.parametrize(("table", "version"), EXPECTED)
def test_a_table_that_others_wrote_is_read_through_spark(
    spark: SparkSession, tables: Path, table: str, version: str
) -> None:
    if (table, version) in EXPIRED:
        with pytest.raises(ExpiredSnapshot, match=r"reading s\.t: Cannot time travel beyond"):
            _check(engine_of(spark), tables / table, version)
    else:
        _check(engine_of(spark), tables / table, version)

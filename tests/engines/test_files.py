"""What is read of a table's files: nothing that was not written, nothing in vain, and nothing that only Spark reads."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fstk.engines import choice
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.connect import direct
from fstk.errors import AccessDenied, DamagedTable, UnsupportedTable

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = pa.table(
    {
        "id": pa.array(sorted(n % 100 for n in range(2_000)), pa.int64()),
        "at": pa.array([START + timedelta(hours=n) for n in range(2_000)], pa.timestamp("us", "UTC")),
        "x": [None if n % 7 == 0 else n / 3 for n in range(2_000)],
        "word": [f"word {n % 50}" for n in range(2_000)],
    }
)


def put(folder: Path, rows: pa.Table = ROWS, groups: int = 200) -> TableVersion:
    """Write a table of one file, with checksums, in row groups of so many rows."""
    deltalake.write_deltalake(str(folder), rows, configuration={"delta.enableChangeDataFeed": "true"})
    (file,) = folder.glob("*.parquet")
    size = file.stat().st_size
    pq.write_table(rows, file, row_group_size=groups, write_page_checksum=True)
    log = folder / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace(f'"size":{size}', f'"size":{file.stat().st_size}'))
    return TableVersion("s.t", str(folder))


def require(folder: Path, *features: str) -> TableVersion:
    """Let a table say that its readers must know ``features``."""
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    text = "\n".join(map(json.dumps, [{"protocol": protocol}, {"commitInfo": {"timestamp": 1, "operation": "x"}}]))
    (folder / "_delta_log" / f"{1:020}.json").write_text(text)
    return TableVersion("s.t", str(folder))


@pytest.mark.parametrize("features", [(), ("deletionVectors",)])
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path, features: tuple[str, ...]) -> None:
    table = put(tmp_path / "t", groups=1_000)
    if features:
        require(tmp_path / "t", *features)
    (file,) = (tmp_path / "t").glob("*.parquet")
    whole = file.read_bytes()
    expected = direct().read(table)
    refused = 0
    chance = random.Random(7)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            found = direct().read(table)
        except DamagedTable:
            refused += 1
        else:
            assert found.equals(expected)
    assert refused > 100


def test_a_flipped_bit_in_a_columns_name_is_refused(tmp_path: Path) -> None:
    table = put(tmp_path / "t")
    (file,) = (tmp_path / "t").glob("*.parquet")
    whole = file.read_bytes()
    place = whole.index(b"word", len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"))
    file.write_bytes(whole[:place] + b"Word" + whole[place + 4 :])
    with pytest.raises(DamagedTable, match=r"reading s\.t: .* has a column 'Word' that the table has not"):
        direct().read(table)


def test_a_column_of_deltas_own_in_a_file_is_no_damage(tmp_path: Path) -> None:
    table = put(tmp_path / "t", ROWS.drop_columns("word"))
    deltalake.write_deltalake(table.location or "", ROWS.slice(0, 1), mode="append", schema_mode="merge")
    (file,) = (path for path in (tmp_path / "t").glob("*.parquet") if pq.read_metadata(path).num_rows > 1)
    own = pa.array([None] * ROWS.num_rows, pa.string())
    pq.write_table(ROWS.drop_columns("word").append_column("_change_type", own), file)
    found = direct().read(table)
    assert (found.num_rows, found.column("word").null_count) == (2_001, 2_000)


def test_a_flipped_bit_in_a_change_file_is_no_history_that_is_gone(tmp_path: Path) -> None:
    table = put(tmp_path / "t")
    (file,) = (tmp_path / "t").glob("*.parquet")
    damaged = bytearray(file.read_bytes())
    damaged[200] ^= 4
    file.write_bytes(damaged)
    with pytest.raises(DamagedTable, match=r"^reading the changes of s\.t: "):
        direct().changes(table)


def between(low: Any, high: Any) -> tuple[pa.Scalar, pa.Scalar]:
    return pa.scalar(low), pa.scalar(high)


def test_row_groups_that_do_not_matter_are_not_read(tmp_path: Path) -> None:
    table = put(tmp_path / "t")
    read = partial(direct().read, table)
    assert read(within={"id": between(12, 15)}).column("id").unique().to_pylist() == list(range(10, 20))
    assert read(["at"], within={"at": between(None, START + timedelta(hours=150))}).num_rows == 200
    assert read(within={"id": between(None, None)}).equals(ROWS)
    assert read(within={"x": between(0.0, 1.0)}).equals(ROWS)  # NaN is in no statistics
    assert read(within={"id": between(200, 300)}).num_rows == 0
    dates = ROWS.set_column(1, "at", ROWS.column("at").cast(pa.date32()))
    table = put(tmp_path / "dates", dates)
    assert direct().read(table, within={"at": between(START + timedelta(hours=30), None)}).num_rows == 2_000
    assert direct().read(table, within={"at": between(START + timedelta(hours=300), None)}).num_rows == 1_800


@pytest.mark.parametrize("feature", ["typeWidening", "vacuumProtocolCheck", "variantShredding-preview", "newest"])
def test_a_table_that_delta_rs_cannot_read_goes_through_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: str
) -> None:
    put(tmp_path / "t")
    table = require(tmp_path / "t", feature)
    monkeypatch.setattr(choice, "session_for", lambda *_, **__: "session")
    assert engine_for(tables={table: None}) == "session"
    with pytest.raises(UnsupportedTable, match=rf"s\.t has the Delta feature {feature}, .* through a session"):
        direct().read(table)


@pytest.mark.parametrize("feature", ["v2Checkpoint", "deletionVectors", "timestampNtz"])
def test_a_table_that_delta_rs_can_read_does_not(tmp_path: Path, feature: str) -> None:
    put(tmp_path / "t")
    table = require(tmp_path / "t", feature)
    assert engine_for(tables={table: None}, changes=True) is direct()
    assert direct().read(table).num_rows == 2_000


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = put(tmp_path / "t")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "part-0.parquet")

    monkeypatch.setattr("fstk.engines.files.rows", refuse)
    with pytest.raises(AccessDenied, match=r"^reading s\.t: permission denied: .*part-0\.parquet"):
        direct().read(table)

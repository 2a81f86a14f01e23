"""A warehouse that this user may only read is read; what may not be read says so, and hides nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from fstk import settings
from fstk.engines.connect import direct
from fstk.engines.start import launch
from fstk.errors import AccessDenied
from fstk.online.sqlite import SQLiteStore
from fstk.tables.configured import open_catalog
from fstk.verbs import doctor
from tests.online.test_sqlite import TABLE
from tests.tables.test_local import put

NOBODY = 65_534


@contextmanager
def somebody_else(*unwritable: Path) -> Iterator[None]:
    """Be a user who owns nothing; where the tests' own user is no administrator, one without the right to write."""
    if os.getuid():
        modes = {path: path.stat().st_mode for path in unwritable}
        for path in unwritable:
            path.chmod(modes[path] & 0o555)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
    else:
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A warehouse of two tables where others may read."""
    folder = Path(tempfile.mkdtemp(prefix="fstk-test-"))
    folder.chmod(0o755)
    monkeypatch.setenv("FSTK_WAREHOUSE", str(folder))
    for name in ("one", "two"):
        put(folder / "s" / name)
    table = open_catalog().get("s.one").at()
    assert direct().read(table).num_rows == direct().changes(table).num_rows == 3  # all is imported that a read needs
    yield folder
    shutil.rmtree(folder)


def test_a_warehouse_that_may_only_be_read_is_read(shared: Path) -> None:
    store = shared / "online.db"
    with SQLiteStore(store) as online:
        online.put_table(TABLE, None)
    with somebody_else(store, shared):
        table = open_catalog().get("s.one")
        assert direct().read(table.at()).num_rows == 3
        assert direct().changes(table.at()).num_rows == 3
        with SQLiteStore(store) as online:
            assert online.names() == ["t"]
        assert doctor._warehouse().startswith("warehouse readable, not writable")
        assert launch._own_tables(settings.load().warehouse).is_relative_to(tempfile.gettempdir())
        assert not launch._own_tables(settings.load().warehouse).is_relative_to(shared)


def test_a_log_that_may_not_be_read_hides_no_other_table(shared: Path) -> None:
    log = shared / "s" / "one" / "_delta_log"
    log.chmod(0)
    with somebody_else():
        with pytest.raises(AccessDenied, match=r"s/one/_delta_log may not be read: permission denied\.$"):
            open_catalog().get("s.one")
        tables, faults = open_catalog().survey()
    log.chmod(0o755)
    assert [table.name for table in tables] == ["s.two"]
    assert [type(fault) for fault in faults] == [AccessDenied]


def test_a_file_that_may_not_be_read_is_no_damage(shared: Path) -> None:
    (file,) = (shared / "s" / "one").glob("*.parquet")
    file.chmod(0)
    log = shared / "s" / "two" / "_delta_log" / f"{0:020}.json"
    log.chmod(0)
    with somebody_else():
        table = open_catalog().get("s.one")
        for read in (direct().read, direct().changes):
            with pytest.raises(AccessDenied, match=r"^reading .*s\.one: permission denied: .*parquet"):
                read(table.at())
        with pytest.raises(AccessDenied, match=r"^s\.two: its Delta log cannot be read: permission denied: "):
            open_catalog().get("s.two")


def test_a_warehouse_that_may_not_be_read_is_not_an_empty_one(shared: Path) -> None:
    shared.chmod(0)
    with somebody_else():
        with pytest.raises(AccessDenied, match=r"may not be read: permission denied\.$"):
            open_catalog().survey()
        with pytest.raises(AccessDenied, match=r"may not be read: permission denied\.$"):
            open_catalog().get("s.one")
    shared.chmod(0o755)


def test_a_schema_that_may_not_be_read_says_so_of_its_tables(shared: Path) -> None:
    deltalake.write_deltalake(str(shared / "free" / "t"), pa.table({"id": [1]}))
    (shared / "s").chmod(0)
    with somebody_else():
        with pytest.raises(AccessDenied, match=r"s/one/_delta_log may not be read: permission denied\.$"):
            open_catalog().get("s.one")
        assert open_catalog().survey() == ([], [])
    (shared / "s").chmod(0o755)

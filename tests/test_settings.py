from pathlib import Path

import pytest

from fstk import settings
from fstk.errors import InvalidInput


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FSTK_WAREHOUSE", "FSTK_RUNS", "FSTK_ONLINE_STORE", "FSTK_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_paths_start_at_the_folder_of_the_file(project: Path) -> None:
    (project / "fstk.toml").write_text('warehouse = "w"\n')
    loaded = settings.load()
    assert loaded.warehouse == project / "w"
    assert loaded.runs == project / "runs"
    assert loaded.online_store == f"sqlite:///{project}/w/online.db"


def test_without_a_file_paths_start_where_we_are(project: Path) -> None:
    assert settings.load().warehouse == project / "notebooks" / "fstk-warehouse"


def test_a_variable_goes_before_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "fstk.toml").write_text('warehouse = "w"\n')
    monkeypatch.setenv("FSTK_WAREHOUSE", "/elsewhere")
    assert settings.load().warehouse == Path("/elsewhere")


def test_a_relative_sqlite_url_starts_at_the_root(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "fstk.toml").write_text("")
    monkeypatch.setenv("FSTK_ONLINE_STORE", "sqlite:///online.db")
    assert settings.load().online_store == f"sqlite:///{project}/online.db"


def test_a_wrong_value_names_the_setting(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSTK_ENGINE", "spork")
    with pytest.raises(InvalidInput, match=r"setting engine \(FSTK_ENGINE .*'spork'"):
        settings.load()


def test_an_unknown_line_of_the_file_is_named(project: Path) -> None:
    (project / "fstk.toml").write_text('warehose = "w"\n')
    with pytest.raises(InvalidInput, match="warehose"):
        settings.load()

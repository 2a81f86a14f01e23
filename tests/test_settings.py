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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"warehouse = ", "line 1: Invalid value"),
        (b'engine = "spark"\n\nwarehouse = \nruns = "r"', "line 3: Invalid value"),
        (b'warehouse = "w', "line 1: Unterminated string"),
        (b'warehouse = """\nw', "line 2: Unterminated string"),
        (b'a = 1\nwarehouse = "\xff"', "line 2: not UTF-8"),
        (b"\x00", "line 1: "),
        (b"a = 1\na = " + b"[" * 50_000, "line 2: nested too deeply"),
        (b"a = 1\nb = 1\n" + b"c = " + b"9" * 5_000 + b"\nd = 1", "line 3: Exceeds the limit"),
        (b"a = 1\na = 2", "line 2: Cannot overwrite"),
        (b'runs = "r"\nengine = "spork"', r"setting engine \(.*/fstk.toml, line 2\): Input should be 'spark'"),
        (b"[warehouse]\na = 1", r"setting warehouse \(.*/fstk.toml, line 1\): "),
        (b'runs = "' + b"s3://" * 1_000 + b'"', r"line 1\): files are kept in a folder of this machine; s3:// is not "),
        (b'warehose = "w"', r"setting warehose \(.*/fstk.toml, line 1\): "),
    ],
)
def test_a_damaged_file_is_one_line_that_names_file_and_line(project: Path, content: bytes, says: str) -> None:
    (project / "fstk.toml").write_bytes(content)
    with pytest.raises(InvalidInput, match=says) as raised:
        settings.load()
    assert str(project / "fstk.toml") in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "address",
    [
        "abfss://c@acct.dfs.core.windows.net/wh",
        "s3://bucket/wh",
        "S3A://bucket",
        "gs:/bucket",
        "dbfs:/wh",
        "hdfs://host:8020/wh",
        "https://host/wh",
        "file://server/wh",
        "file:////server/wh",
        "a\0b",
        "~nobody-of-that-name/wh",
    ],
)
@pytest.mark.parametrize("name", ["warehouse", "runs", "jars"])
def test_an_address_is_not_taken_for_a_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    if "\0" in address:
        (project / "fstk.toml").write_text(f'{name} = "a\\u0000b"')
    else:
        monkeypatch.setenv(f"FSTK_{name.upper()}", address)
    with pytest.raises(InvalidInput, match=rf"setting {name} \("):
        settings.load()


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("file:///data/wh", "/data/wh"),
        ("file:/data/wh", "/data/wh"),
        ("FILE://localhost/data/my%20wh", "/data/my wh"),
        ("data:v1", "data:v1"),
        ("d:/x", "d:/x"),
    ],
)
def test_an_address_of_a_file_is_the_folder_it_names(
    project: Path, monkeypatch: pytest.MonkeyPatch, address: str, folder: str
) -> None:
    monkeypatch.setenv("FSTK_WAREHOUSE", address)
    assert settings.load().warehouse == settings.root() / folder
    assert settings.load().online_store == f"sqlite:///{settings.root() / folder}/online.db"


def test_nobody_needs_a_home_or_a_readable_folder_above(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("FSTK_JARS", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert settings.load().jars == settings.root() / ".cache" / "fstk"
    monkeypatch.setenv("FSTK_RUNS", "runs")
    (project / "fstk.toml").mkdir()
    assert settings.load().runs == project / "notebooks" / "runs"
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidInput, match="the working folder is gone"):
        settings.load()

"""Stores by URL and spec."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fstk.errors import InvalidInput
from fstk.online.memory import MemorySpec, MemoryStore
from fstk.online.spec import beginnings, open_store, spec_of
from fstk.online.sqlite import SQLiteSpec, SQLiteStore


def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fstk.toml").write_text("")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    for url, path in {
        "sqlite:///data/online.db": tmp_path / "data/online.db",
        "sqlite:////var/tmp/online.db": Path("/var/tmp/online.db"),
        "sqlite:///a b%20#.db": tmp_path / "a b%20#.db",
    }.items():
        store = open_store(url)
        assert isinstance(store, SQLiteStore)
        assert store.path == path
        assert open_store(store.url).url == store.url
    assert not (tmp_path / "data").exists()


def test_a_spec_is_itself_and_any_object_with_ttl_and_open_is_one() -> None:
    class Own:
        ttl = None

        def open(self) -> MemoryStore:
            return MemoryStore("own")

    for spec in (SQLiteSpec("x.db", ttl=timedelta(days=1)), Own()):
        assert spec_of(spec) is spec
    assert open_store(Own()).url == "memory://own"


def test_a_url_holds_what_a_spec_does() -> None:
    ttl = timedelta(hours=36)
    assert spec_of("sqlite:///a/x.db?ttl=36h") == SQLiteSpec("a/x.db", ttl)
    assert spec_of("memory://shop?ttl=36h") == MemorySpec("shop", ttl)
    assert spec_of("memory://a") == MemorySpec("a")


def test_urls_begin_as_the_registered_stores_do() -> None:
    assert beginnings() == ["sqlite:///", "memory://", "postgresql://", "redis://", "rediss://", "cosmos://"]


def test_a_memory_store_has_a_name() -> None:
    with pytest.raises(InvalidInput, match="name must be a name"):
        MemorySpec("")
    with pytest.raises(InvalidInput, match="it has no name. Write memory://name"):
        spec_of("memory://?ttl=1d")


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("mysql://:secret@localhost:6379", "mysql://…"),
        ("mongodb://secret", "mongodb://…"),
        ("online.db", "'online.db'"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file"),
        ("sqlite://host/x.db", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x.db?mode=secret", "after ? its options are ttl."),
        ("sqlite:///x.db?ttl=secret", "ttl must be a length such as 90d"),
        ("sqlite:///x.db?ttl=", "ttl must be a length such as 90d"),
        (7, "got int"),
        (SQLiteSpec, "must be a spec or a URL"),
        (Path("x.db"), "got PosixPath"),
    ],
)
def test_what_is_no_store_is_answered_with_those_there_are(store: Any, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(store)
    assert shown in str(caught.value)
    assert "sqlite:///folder/online.db" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"path": ""}, {"path": ":memory:"}, {"path": 7}])
def test_a_spec_needs_a_file(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="path of a file"):
        SQLiteSpec(**arguments)


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(days=-1), 30, "30d"])
def test_a_ttl_is_a_positive_length_of_time(ttl: Any) -> None:
    with pytest.raises(InvalidInput, match="ttl must be"):
        SQLiteSpec("x.db", ttl=ttl)

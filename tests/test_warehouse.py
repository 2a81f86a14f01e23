from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fstk.errors import InvalidInput, InvalidName
from fstk.warehouse import beside, folder, quoted, ready_warehouse, table_name


@pytest.mark.parametrize("name", ["t", "feature_store.customer_features", "Main.Feature_Store._T9", "a" * 255])
def test_names_are_lower_cased(name: str) -> None:
    assert table_name(name) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a.b.c.d",
        "1a",
        "a-b",
        "a b",
        "a`b",
        "a;drop",
        "é",
        "a\n",
        " a",
        "../x",
        "a" * 256,
        None,
        3,
    ],
)
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidName, match="one to three parts joined by dots"):
        table_name(name)


def test_a_refused_name_is_shown_as_it_was_written_unless_it_is_long() -> None:
    with pytest.raises(InvalidName, match=r"table name '1a': "):
        table_name("1a")
    with pytest.raises(InvalidName, match=rf"table name '{'a' * 77}…': "):
        table_name("a" * 256)


def test_quoting_and_folders(tmp_path: Path) -> None:
    assert quoted("A.b") == "`a`.`b`"
    assert folder(tmp_path, "T") == tmp_path / "default" / "t"
    assert folder(tmp_path, "s.T") == tmp_path / "s" / "t"
    assert folder(tmp_path, "c.s.t") == tmp_path / "c" / "s" / "t"


@pytest.mark.parametrize("name", ["_delta_log.x", "s._Delta_Log", "c._delta_log.t", "_delta_log"])
def test_the_name_of_deltas_own_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match=f"table name '{name}': Delta keeps the log of a table in _delta_log"):
        table_name(name)


@pytest.mark.parametrize("length", [2, 240, 247, 249, 255])
def test_what_lies_beside_a_table_has_a_name_of_its_own(tmp_path: Path, length: int) -> None:
    names = [
        beside(tmp_path / name, what) for name in ("a" * length, "a" * (length - 1)) for what in ("lock", "dropped")
    ]
    for path in names:
        path.touch()
    assert len(set(names)) == 4
    assert all(path.name.startswith(".") for path in names)
    assert beside(tmp_path / "t", "lock").name == ".t.lock"


def test_a_warehouse_is_made_and_found_again(tmp_path: Path) -> None:
    made = ready_warehouse(tmp_path / "new" / "warehouse")
    assert ready_warehouse(made) == made
    (made / "notes.txt").touch()
    assert ready_warehouse(made) == made  # it is known by its mark now


def test_a_folder_with_tables_or_an_online_store_is_a_warehouse(tmp_path: Path) -> None:
    (tmp_path / "one" / "s" / "t" / "_delta_log").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "online.db").touch()
    assert ready_warehouse(tmp_path / "one") == tmp_path / "one"
    assert ready_warehouse(tmp_path / "two") == tmp_path / "two"


def test_somebody_elses_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InvalidInput, match=r"holds other files \(thesis.tex\).*FSTK_WAREHOUSE"):
        ready_warehouse(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_delta_rs_would_not_find_again_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds a % and two digits"):
        ready_warehouse(tmp_path / "a%20b")
    assert list(tmp_path.iterdir()) == []
    ready_warehouse(tmp_path / "100 % é ü'x")


def test_a_table_is_no_warehouse(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(InvalidInput, match="itself a Delta table"):
        ready_warehouse(tmp_path)


@pytest.mark.parametrize("place", ["/proc/fstk", "{}/file/warehouse", "{}/file"])
def test_an_unwritable_warehouse_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"cannot be written: .*FSTK_WAREHOUSE"):
        ready_warehouse(Path(place.format(tmp_path)))

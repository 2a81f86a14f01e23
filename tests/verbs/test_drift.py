"""``fstk drift`` compares two tables, versions or variables."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from fstk.cli.app import run_command
from fstk.errors import GateRefused, InvalidInput, UnknownName, UnknownTable
from tests.notebook.tables import write


@pytest.fixture(autouse=True)
def spend(warehouse: Path) -> None:
    for name, shift in (("then", 0.0), ("now", 60.0)):
        rows = pl.DataFrame({"id": range(100), "spend": [shift + n for n in range(100)], "visits": [1.0, 2.0] * 50})
        write(warehouse / "shop" / name, rows.to_arrow(), primary_keys='["id"]')


def test_what_drifted_is_shown_and_refused_in_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = ["drift", "shop.then", "shop.now", "--html", str(tmp_path / "full.html")]
    with pytest.raises(GateRefused, match="1 of 2 features drifted, allowed 0: spend"):
        run_command(line)
    assert capsys.readouterr().out.startswith("shop.now against shop.then (100 against 100 rows)")
    assert (tmp_path / "full.html").exists()
    assert run_command(line, namespace={}).drifted == ["spend"]


def test_versions_variables_and_chosen_features_are_compared() -> None:
    assert run_command(["drift", "shop.then@0", "shop.now@0", "--feature", "visits"]).drifted == []
    frame = pl.DataFrame({"spend": [float(n) for n in range(100)]})
    report = run_command(["drift", "shop.then", "frame"], namespace={"frame": frame})
    assert (report.features, report.drifted) == (("spend",), [])


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(UnknownTable, match="no frame or table shop.none"):
        run_command(["drift", "shop.then", "shop.none"])
    with pytest.raises(UnknownName, match="no version 7"):
        run_command(["drift", "shop.then@7", "shop.now"])
    with pytest.raises(InvalidInput, match="no column in common"):
        run_command(["drift", "shop.then", "frame"], namespace={"frame": pl.DataFrame({"x": [1]})})

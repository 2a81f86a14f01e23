"""``fstk load``, and where sources are told in other verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fstk.cli.app import run_command
from fstk.errors import InvalidInput, TypeMismatch

LINES = "id,at,amount\n17,2024-01-01 08:00,1.5\n17,2024-01-01 08:00,1.5\n"


@pytest.fixture(autouse=True)
def orders(warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "orders.csv"
    path.write_text(LINES)
    return path


def test_a_line_loads_a_file_and_again_changes_nothing() -> None:
    line = ["load", "orders.csv", "as", "shop.orders", "--time", "at", "--entity", "id", "--tz", "Europe/London"]
    assert repr(run_command(line)).splitlines()[:6] == [
        "shop.orders v0 · source · 2 events of id",
        "  column  type       role",
        "  id      bigint     entity",
        "  at      timestamp  event time",
        "  amount  double",
        "appended 2 events of orders.csv",
    ]
    assert "orders.csv is there already (2 events)" in repr(run_command(["load", "orders.csv", "as", "shop.orders"]))
    assert repr(run_command(["tables"])).split("\n\n")[1].splitlines() == [
        "  source       version  events  entity  event time",
        "  shop.orders        0       2  id      at",
    ]
    assert repr(run_command(["show", "shop.orders"])).startswith("shop.orders v0 · source · 2 events of id")
    assert repr(run_command(["lint"])).startswith("lint: clean.")
    assert repr(run_command(["lint", "shop.orders"])).startswith("lint: clean.")


def test_the_cure_is_told_as_it_is_typed(orders: Path) -> None:
    orders.write_text("id,at,amount\n17.0,2024-01-01 8 h,?\n18.0,2024-01-01 08:00,1.5\n19.0,2024-01-01 08:00,2\n")
    line = ["load", "orders.csv", "as", "shop.orders", "--time", "at", "--entity", "id"]
    with pytest.raises(InvalidInput) as caught:
        run_command(line)
    assert [line.split("  ")[-1].strip() for line in str(caught.value).splitlines()] == [
        "orders.csv: 3 things to settle first. Nothing was written.",
        "cure",
        "--type id=bigint",
        "--null '2024-01-01 8 h'",
        "--null '?'",
    ]
    cures = ["--type", "id=bigint", "--null", "2024-01-01 8 h", "--null", "?"]
    assert run_command([*line, *cures]).rows == 3


def test_a_source_is_dropped_when_it_is_meant() -> None:
    run_command(["load", "orders.csv", "as", "shop.orders", "--time", "at", "--entity", "id"])
    assert run_command(["drop", "shop.orders", "--yes"]) == "shop.orders v0 · 2 rows is removed."
    assert "shop.orders" not in repr(run_command(["tables"]))


@pytest.mark.parametrize("pair", ["id", "=bigint", "id="])
def test_a_pair_needs_both_halves(pair: str) -> None:
    with pytest.raises(InvalidInput, match="--type takes two names with = between"):
        run_command(["load", "orders.csv", "as", "shop.orders", "--time", "at", "--entity", "id", "--type", pair])


def test_the_word_as_stands_between() -> None:
    with pytest.raises(InvalidInput, match="fstk load -h"):
        run_command(["load", "orders.csv", "shop.orders"])


def test_a_type_that_it_cannot_have_is_refused() -> None:
    with pytest.raises((InvalidInput, TypeMismatch)):
        run_command(
            ["load", "orders.csv", "as", "shop.orders", "--time", "at", "--entity", "id", "--type", "amount=array<int>"]
        )

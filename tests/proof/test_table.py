"""A table's windowed features made again in memory: what is honest is proven, what is not is named with its row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fstk import Aggregate, WindowedFeatures
from fstk.cli.app import run_command
from fstk.engines.notes import notes_of
from fstk.errors import GateRefused, InvalidInput, UnknownColumn, UnknownTable
from fstk.proof import table as proving
from fstk.proof.report import Proof
from fstk.tables import local
from fstk.tables.definition import FeatureDefinition
from tests.notebook.tables import DAY, INSTANT, START, write
from tests.proof.test_prove import hashes

KEYS = {"primary_keys": '["customer_id"]', "timeseries_column": "as_of"}
AGGREGATES = [
    Aggregate("sum(amount)", name="spend"),
    Aggregate("count(*)", name="n"),
    Aggregate("max(amount) filter (where status = 'paid')", name="most"),
    Aggregate("count(*)", name="by_status", group_by="status"),
]


def events(customers: int = 40, number: int = 600) -> pa.Table:
    """Purchases of 120 days, each settled at once."""
    rng = np.random.default_rng(5)
    days = [START + minute * DAY / 1440 for minute in np.sort(rng.choice(120 * 1440, number, replace=False)).tolist()]
    return pa.table(
        {
            "customer": pa.array(rng.integers(0, customers, number), pa.int64()),
            "at": pa.array(days, INSTANT),
            "settled": pa.array(days, INSTANT),
            "amount": rng.lognormal(1, 1, number),
            "status": rng.choice(["paid", "open"], number),
        }
    )


def points(customers: int = 40) -> pa.Table:
    weeks = [START + 7 * week * DAY for week in range(2, 17)]
    rows = [(customer, week) for customer in range(customers) for week in weeks]
    at = pa.array([week for _, week in rows], INSTANT)
    return pa.table({"customer": pa.array([customer for customer, _ in rows], pa.int64()), "at": at})


def make(
    warehouse: Path,
    name: str,
    source: pa.Table,
    asked: pa.Table,
    *,
    shift: int = 0,
    aggregates: Sequence[Aggregate] = AGGREGATES,
) -> None:
    """Write a source and the table ``shop.NAME`` of it, as fstk does, its times ``shift`` days too early."""
    write(warehouse / "default" / f"{name}_events", source)
    features = WindowedFeatures(f"{name}_events", "customer", "at", aggregates, ["30d", None])
    rows = features.to_arrow(asked)
    told = {column: msgspec.to_builtins(FeatureDefinition.from_json(text)) for column, text in notes_of(rows).items()}
    times = pc.subtract(rows.column("at"), pa.scalar(shift * DAY, pa.duration("us"))).cast(INSTANT)
    rows = rows.set_column(1, "at", times).rename_columns(["customer_id", "as_of", *rows.column_names[2:]])
    write(warehouse / "shop" / name, rows, {"defined": told, "sources": {f"{name}_events": 0}}, **KEYS)


def proof_of(*words: str) -> Proof:
    found = run_command(["prove", *words], {})
    assert isinstance(found, Proof)
    return found


def test_honest_windows_are_proven_and_nothing_is_written(warehouse: Path) -> None:
    make(warehouse, "spend", events(), points())
    before = hashes(warehouse)
    found = proof_of("shop.spend")
    assert (found.proven, found.labels, found.features) == (True, 320 + 500, 8)
    assert repr(found).startswith("proof of shop.spend v0")
    assert "PROVED  nothing changed" in repr(found)
    assert found.moved > 0
    assert hashes(warehouse) == before


def test_a_source_that_is_completed_later_is_named_with_column_label_and_row(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = events()
    late = pc.if_else(
        pa.array(np.arange(600) % 20 == 0),
        pc.add(source.column("at"), pa.scalar(20 * DAY, pa.duration("us"))),
        source.column("at"),
    )
    source = source.set_column(2, "settled", late.cast(INSTANT))
    make(warehouse, "late", source, points())
    with pytest.raises(GateRefused, match="6 features know the future"):
        run_command(["prove", "shop.late"])
    told = capsys.readouterr().out
    assert "shop.late.n_30d" not in told, "that a purchase was made was known at once"
    assert re.search(
        r"LEAK shop\.late\.spend_30d of customer_id \d+ at 1997-\S+ changed from \S+ to \S+ when the row "
        r"of late_events of 1997-\S+ \S+ was altered; \d+ labels in all",
        " ".join(told.split()),
    )
    for leak in proof_of("shop.late").leaks:
        known = source.filter((pc.field("settled") == leak.source_at) & (pc.field("at") <= leak.at))
        assert [f"customer_id {one}" for one in known.column("customer").to_pylist()] == [leak.entity]


def test_a_table_that_its_definitions_do_not_make_is_not_proven(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(warehouse, "shifted", events(), points(), shift=7)
    with pytest.raises(GateRefused, match="8 features not proven"):
        run_command(["prove", "shop.shifted"])
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(
        r"NOT PROVED shop\.shifted\.n_30d of customer_id \d+ is \d+, and \d+ when computed of shifted_", said
    )
    assert "PROVED nothing changed" not in said


def test_labels_ask_at_their_own_times_and_counts_alone_are_not_blind(warehouse: Path) -> None:
    make(warehouse, "spend", events(), points())
    at = pa.array([START + (30 + n) * DAY for n in range(80)], INSTANT)
    write(
        warehouse / "default" / "labels",
        pa.table({"customer_id": pa.array([n % 40 for n in range(80)], pa.int64()), "t": at, "y": range(80)}),
    )
    found = proof_of("shop.spend", "--labels", "labels", "--at", "t", "--label", "y")
    assert (found.proven, found.features) == (True, 8)
    assert found.instants[0] == START + 70 * DAY
    make(warehouse, "counted", events(), points(), aggregates=AGGREGATES[1:2])
    assert proof_of("shop.counted").features == 2


def committed(source: pa.Table, days: Sequence[float]) -> pa.Table:
    """Return rows with what a change feed says of them: inserted so many days after they happened, a commit a day."""
    at = [when + late * DAY for when, late in zip(source.column("at").to_pylist(), days, strict=True)]
    at = [when.replace(hour=0, minute=0, second=0, microsecond=0) + DAY for when in at]
    source = source.append_column("_change_type", [["insert"] * len(at)])
    source = source.append_column("_commit_version", [[(when - START).days for when in at]])
    return source.append_column("_commit_timestamp", pa.chunked_array([at], INSTANT))


@pytest.mark.slow
def test_what_was_committed_after_its_labels_is_named_as_known(warehouse: Path) -> None:
    source = events().drop_columns("settled")
    make(warehouse, "filled", source, points())
    late = np.where(np.arange(600) % 20 == 0, 25.0, 0.0)
    folder = warehouse / "default" / "filled_events"
    kept = folder.rename(warehouse / "kept")
    local.store_copy("default.filled_events", kept, folder, committed(source, late.tolist()))
    newest = local.newest("default.filled_events", folder)
    log = warehouse / "shop" / "filled" / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace('filled_events\\": 0', f'filled_events\\": {newest}'))
    assert proof_of("shop.filled").proven, "by the times of the rows nothing is wrong"
    found = run_command(["prove", "shop.filled", "--as-known"], {})
    assert isinstance(found, Proof)
    assert {leak.feature for leak in found.leaks} >= {"shop.filled.spend_30d", "shop.filled.n_30d"}
    rows = committed(source, late.tolist()).to_pylist()
    known = {row["at"]: row["_commit_timestamp"] for row in rows}
    for leak in found.leaks:
        assert leak.source_at > leak.at or known[leak.source_at] > leak.at
    make(warehouse, "plain", source, points())
    with pytest.raises(InvalidInput, match="no label lies between the first commit of plain_events"):
        proof_of("shop.plain", "--as-known")


def test_what_is_read_grows_with_the_sample_and_not_with_the_table(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(warehouse, "few", events(100, 1_500), points(100))
    make(warehouse, "many", events(1_000, 15_000), points(1_000))
    read: dict[str, int] = {}

    def counting(source: Any, *words: Any) -> pa.Table:
        rows = original(source, *words)
        read[source.name] = read.get(source.name, 0) + rows.num_rows
        return rows

    original = proving.rows_among
    monkeypatch.setattr(proving, "rows_among", counting)
    for name in ("few", "many"):
        assert proof_of(f"shop.{name}", "--sample", "50").proven
    assert read["shop.few"] == read["shop.many"] == 50 * 15
    assert read["default.many_events"] < 1.3 * read["default.few_events"] < 1.3 * 1_500 * 0.6


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["shop.spent"], UnknownTable, "shop.spend"),
        (["shop.spend", "-p", "k=1"], InvalidInput, "-p k is a parameter of a notebook, and shop.spend is a table"),
        (["shop.hand"], InvalidInput, r"of none of its features .* fstk prove NOTEBOOK"),
        (
            ["shop.spend", "--labels", "spend_events", "--at", "at"],
            InvalidInput,
            "the labels have no column customer_id",
        ),
        (["shop.spend", "--labels", "spend_events", "--at", "then"], UnknownColumn, "no column then"),
        (["shop.early"], InvalidInput, "no source row is later than any label"),
    ],
)
def test_what_cannot_be_proven_is_said(warehouse: Path, words: list[str], kind: type[Exception], says: str) -> None:
    make(warehouse, "spend", events(), points())
    make(warehouse, "early", events().slice(0, 50), points().filter(pc.field("at") > START + 60 * DAY))
    rows = pa.table({"customer_id": [1], "as_of": pa.array([START], INSTANT), "spend": [1.0]})
    write(warehouse / "shop" / "hand", rows, **KEYS)
    with pytest.raises(kind, match=says):
        run_command(["prove", *words])

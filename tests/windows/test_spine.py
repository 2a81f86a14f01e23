"""A spine against a plain loop: who was known when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fstk import Spine
from fstk.engines import choice
from fstk.engines.base import Engine
from fstk.errors import InvalidInput, InvalidName, NaiveDatetime
from fstk.windows.spine import _entities, labels_of
from tests.generated import examples
from tests.training.shelf import Shelf

START = dt.date(2024, 1, 1)
UTC = pa.timestamp("us", tz="UTC")
DAY = dt.timedelta(days=1)
MIDNIGHT = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def rows_of(seen: list[tuple[int | None, int | None]]) -> pa.Table:
    at = pa.array([None if hour is None else MIDNIGHT + dt.timedelta(hours=hour) for _, hour in seen], UTC)
    return pa.table({"k": pa.array([k for k, _ in seen], pa.int64()), "at": at})


@given(
    st.lists(st.tuples(st.integers(0, 3) | st.none(), st.integers(-30, 100) | st.none()), max_size=12),
    st.integers(0, 4),
    st.sampled_from(["1d", "12h", "36h"]),
)
@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entity_is_there_from_its_first_row_on(
    seen: list[tuple[int | None, int | None]], days: int, every: str
) -> None:
    spine = Spine("t", START, START + days * DAY, every)
    labels = _entities(rows_of(seen), ["k"], "at", spine.calendar.instants)
    step = dt.timedelta(hours=int(every[:-1]) * (24 if every[-1] == "d" else 1))
    want = []
    for entity in {k for k, hour in seen if k is not None and hour is not None}:
        first = min(hour for k, hour in seen if k == entity and hour is not None)
        at = MIDNIGHT
        while at < MIDNIGHT + days * DAY:
            if at >= MIDNIGHT + dt.timedelta(hours=first):
                want.append((entity, at))
            at += step
    got = [(row["k"], row["at"]) for row in labels.to_pylist()]
    assert sorted(got) == sorted(want)


def table(folder: Path) -> Shelf:
    shelf = Shelf(folder)
    two = rows_of([(1, 0), (1, 48), (2, 24)])
    spend = pa.table({"k": two["k"], "b": pa.array(["x", "x", "y"]), "at": two["at"], "spend": [1.0, 3.0, 2.0]})
    shelf.add("t", spend, ["k", "b"], "at")
    return shelf


@pytest.mark.parametrize("columns", [choice.CELLS, 0], ids=["local", "too large for this process"])
@pytest.mark.spark
def test_every_engine_gives_the_same_labels(
    columns: int, tmp_path: Path, spark_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "CELLS", columns)
    found = labels_of(Spine("t", START, START + 3 * DAY), table(tmp_path).get("t"), spark_engine)  # type: ignore[arg-type]
    assert isinstance(found, pa.Table) == bool(columns)
    labels = found if isinstance(found, pa.Table) else spark_engine.arrow(found)
    assert labels.schema.field("at").type == UTC
    got = sorted((row["k"], row["b"], row["at"]) for row in labels.to_pylist())
    assert got == [(1, "x", MIDNIGHT + i * DAY) for i in range(3)] + [(2, "y", MIDNIGHT + i * DAY) for i in (1, 2)]


def test_who_was_known_when_needs_a_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    static = shelf.add("s", pa.table({"k": [1], "v": [2]}), ["k"])
    with pytest.raises(InvalidInput, match="s has no time column"):
        labels_of(Spine("s", START, START + DAY), static)
    with pytest.raises(InvalidName):
        Spine("no table", START, START + DAY)
    with pytest.raises(InvalidInput, match="end 2023-12-31 is before start"):
        Spine("s", START, START - DAY)
    with pytest.raises(NaiveDatetime):
        Spine("s", dt.datetime(2024, 1, 1), START)

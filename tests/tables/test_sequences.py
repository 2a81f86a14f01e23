"""Random sequences of merges against a dict, many independent ones in each write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fstk.engines.spark import SparkEngine
from fstk.tables.folder import FolderCatalog
from tests.tables.reading import rows

pytestmark = pytest.mark.spark

CASES, STEPS = 300, 3
START = datetime(2024, 1, 1, tzinfo=UTC)
NUMBERS = [None, 0.0, -0.0, float("nan"), float("inf"), 1e300, 5e-324, 1.0]
_names = count()


def sequences(choose: Random) -> list[list[Any]]:
    """Steps of cases of rows; few keys and few values, so that they meet often."""

    def row() -> tuple[Any, ...]:
        key = choose.choice(["", "a", "A", "a ", "ä"]), choose.choice([0.0, -0.0, float("nan"), 1.5])
        listed = choose.choice([None, [], choose.choices(NUMBERS, k=2)])
        mapped = choose.choice(
            [None, {}, dict(zip(choose.sample("xyz", 2), choose.choices(NUMBERS, k=2), strict=True))]
        )
        return (*key, START + timedelta(days=choose.randrange(3)), choose.choice(NUMBERS), listed, mapped)

    return [[[row() for _ in range(choose.randrange(7))] for _ in range(CASES)] for _ in range(STEPS)]


def same(number: float | None) -> Any:
    """A number as Spark compares it: NaN equals NaN and −0.0 equals 0.0."""
    if number is None:
        return None
    return "NaN" if number != number else number + 0.0


def plain(value: tuple[Any, Any, Any]) -> Any:
    number, listed, mapped = value
    return (
        same(number),
        None if listed is None else tuple(map(same, listed)),
        None if mapped is None else tuple(sorted((key, same(item)) for key, item in mapped.items())),
    )


def frame(steps: list[Any]) -> pa.Table:
    found = []
    for case, step in enumerate(steps):
        seen = set()
        for text, number, as_of, x, listed, mapped in step:
            if (text, same(number), as_of) not in seen:
                seen.add((text, same(number), as_of))
                found.append((case, text, number, as_of, x, listed, None if mapped is None else list(mapped.items())))
    columns = list(zip(*found, strict=True)) or [[]] * 7
    kinds = {
        "case": pa.int64(),
        "text": pa.string(),
        "number": pa.float64(),
        "as_of": pa.timestamp("us", "UTC"),
        "x": pa.float64(),
        "listed": pa.list_(pa.float64()),
        "mapped": pa.map_(pa.string(), pa.float64()),
    }
    return pa.table({name: pa.array(column, kind) for (name, kind), column in zip(kinds.items(), columns, strict=True)})


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_sequence_of_merges_holds_what_a_dict_would(warehouse: Path, spark_engine: SparkEngine, seed: int) -> None:
    catalog = FolderCatalog(warehouse, spark_engine)
    name = f"s.t{next(_names)}"
    catalog.create(name, ["case", "text", "number"], frame([]), timeseries_column="as_of")
    expected: dict[Any, Any] = {}
    version = 0
    table = frame([])
    for step in sequences(Random(seed)):
        table = frame(step)
        given = {
            (row["case"], row["text"], same(row["number"]), row["as_of"]): plain(
                (row["x"], row["listed"], None if row["mapped"] is None else dict(row["mapped"]))
            )
            for row in table.to_pylist()
        }
        inserted = sum(key not in expected for key in given)
        updated = sum(key in expected and expected[key] != value for key, value in given.items())
        report = catalog.write(name, table)
        version += bool(inserted or updated)
        assert (report.inserted, report.updated, report.unchanged) == (
            inserted,
            updated,
            len(given) - inserted - updated,
        )
        assert report.version == version
        expected |= given
    found = {
        (row["case"], row["text"], same(row["number"]), row["as_of"].astimezone(UTC)): plain(
            (row["x"], row["listed"], row["mapped"])
        )
        for row in rows(catalog.get(name), "ALL")
    }
    assert found == expected
    assert catalog.get(name).rows == len(expected)
    assert not catalog.write(name, table).changed

"""The as-of kernel against DuckDB's ASOF join, an implementation of other people, on tables too large for a loop."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fstk.training.kernel import as_of_join
from fstk.training.resolve import Join, Output

UTC = pa.timestamp("us", tz="UTC")
SPANS = {"ties": 50, "seconds": 10**9, "years": 10**14}  # microseconds over which times are spread


def tables(seed: int, span: int, keys: int) -> tuple[pa.Table, pa.Table]:
    random = np.random.default_rng(seed)
    weight = random.random(keys) ** 8  # a few hot keys
    weight /= weight.sum()

    def drawn(rows: int) -> tuple[pa.Array, pa.Array]:
        key = pa.array(
            random.choice(keys + 5, rows, p=np.append(weight * 0.99, [0.002] * 5)), mask=random.random(rows) < 0.02
        )
        at = pa.array(random.integers(-span, span, rows), mask=random.random(rows) < 0.02)
        return key, at.cast(UTC)

    key, at = drawn(30_000)
    features = pa.table({"k": key, "ts": at, "v": pa.array(random.random(30_000), mask=random.random(30_000) < 0.1)})
    first = features.append_column("i", pa.array(range(30_000))).group_by(["k", "ts"]).aggregate([("i", "min")])
    features = features.take(first.column("i_min"))
    key, at = drawn(5_000)
    met = features.select(["k", "ts"]).take(pa.array(random.integers(0, features.num_rows, 5_000)))  # equal instants
    labels = pa.concat_tables([pa.table({"k": key, "at": at}), met.rename_columns(["k", "at"])])
    return labels.append_column("y", pa.array(range(10_000))), features


@pytest.mark.parametrize("lookback", [None, 0, 1_000_000], ids=["all", "equal", "second"])
@pytest.mark.parametrize("span", list(SPANS))
@pytest.mark.parametrize("kind", ["bigint", "varchar"])
def test_as_duckdb_joins(span: str, lookback: int | None, kind: str) -> None:
    labels, features = tables(SPANS[span] % 97, SPANS[span], 400)
    if kind == "varchar":
        labels = labels.set_column(0, "k", pc.cast(labels.column("k"), pa.string()))
        features = features.set_column(0, "k", pc.cast(features.column("k"), pa.string()))
    join = Join("t", None, 0, ("k",), ("k",), "at", "ts", lookback, (Output("v", "v", "double"),), True)
    connection = duckdb.connect()
    connection.execute("set threads = 1; set timezone = 'UTC'")
    connection.register("labels", labels)
    connection.register("features", features)
    limit = "true" if lookback is None else f"epoch_us(l.at) - epoch_us(f.ts) <= {lookback}"
    query = f"""
        select l.k, l.at, l.y, case when {limit} then f.v end as v
        from labels l asof left join features f on l.k = f.k and l.at >= f.ts order by l.y
    """
    want = connection.sql(query).to_arrow_table()
    got = as_of_join(labels, features, join)
    assert got.column("v").to_pylist() == want.column("v").to_pylist()
    assert 0 < got.column("v").null_count < got.num_rows

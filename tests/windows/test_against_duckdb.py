"""The kernel against DuckDB's own join and aggregates, on tables with a hot key, ties and far-apart instants."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.windows.aggregates import (
    Avg,
    Count,
    CountDistinct,
    First,
    FirstN,
    Last,
    LastN,
    Max,
    Median,
    Min,
    Mode,
    Percentile,
    SinceFirst,
    SinceLast,
    Stddev,
    StddevPop,
    Sum,
    VarPop,
    VarSamp,
)
from fstk.windows.kernel import Reduction, WindowKernel
from tests.generated import examples

_DAY = 86_400_000_000
_INSTANT = pa.timestamp("us", tz="UTC")
_WINDOWS = (("1d", _DAY), ("30d", 30 * _DAY), ("lifetime", None))
_CLOSED = {
    "left": "e.at >= p.at - {d} AND e.at < p.at",
    "both": "e.at >= p.at - {d} AND e.at <= p.at",
    "right": "e.at > p.at - {d} AND e.at <= p.at",
}
_LIST = "list(e.pieces ORDER BY e.at, e.pieces)"
_MODE = (  # DuckDB's own takes any of equals
    "list_sort(list_transform(map_entries(histogram({})), lambda e: {{'n': -e.value::BIGINT, 'it': e.key}}))[1].it"
)
_AGGREGATES = {
    "n": (Count(), None, None, "count(e.at)"),
    "n_big": (Count(), None, "big", "count(e.at) FILTER (WHERE e.big)"),
    "n_amount": (Count(), "amount", None, "count(e.amount)"),
    "total": (Sum(), "amount", None, "fsum(e.amount)"),
    "mean": (Avg(), "amount", None, "favg(e.amount)"),
    "spread": (Stddev(), "amount", None, "stddev_samp(e.amount)"),
    "pieces": (Sum(), "pieces", "big", "sum(e.pieces) FILTER (WHERE e.big)"),
    "pieces_mean": (Avg(), "pieces", None, "avg(e.pieces)"),
    "price": (Sum(), "price", None, "sum(e.price)"),
    "low": (Min(), "amount", None, "min(e.amount)"),
    "high": (Max(), "price", None, "max(e.price)"),
    "first_shop": (Min(), "shop", None, "min(e.shop)"),
    "last_shop": (Max(), "shop", "big", "max(e.shop) FILTER (WHERE e.big)"),
    "shops": (CountDistinct(), "shop", None, "count(DISTINCT e.shop)"),
    "sizes": (CountDistinct(), "pieces", "big", "count(DISTINCT e.pieces) FILTER (WHERE e.big)"),
    "any_big": (Max(), "big", None, "max(e.big)"),
    "spread_all": (StddevPop(), "amount", "big", "stddev_pop(e.amount) FILTER (WHERE e.big)"),
    "variance": (VarSamp(), "pieces", None, "var_samp(e.pieces)"),
    "variance_all": (VarPop(), "amount", None, "var_pop(e.amount)"),
    "middle": (Median(), "amount", None, "quantile_cont(e.amount, 0.5)"),
    "high_price": (Percentile(0.9), "amount", "big", "quantile_cont(e.amount, 0.9) FILTER (WHERE e.big)"),
    "oldest": (First(), "amount", None, "arg_min(e.amount, (e.at, e.amount)) FILTER (WHERE e.amount IS NOT NULL)"),
    "newest": (Last(), "shop", None, "arg_max(e.shop, (e.at, e.shop)) FILTER (WHERE e.shop IS NOT NULL)"),
    "three": (FirstN(3), "pieces", None, f"({_LIST} FILTER (WHERE e.pieces IS NOT NULL))[:3]"),
    "last_two": (LastN(2), "pieces", "big", f"({_LIST} FILTER (WHERE e.big AND e.pieces IS NOT NULL))[-2:]"),
    "recency": (SinceLast(), None, None, "(any_value(p.at) - max(e.at)) / 1e6"),
    "tenure": (SinceFirst(), None, "big", "(any_value(p.at) - min(e.at) FILTER (WHERE e.big)) / 1e6"),
    "usual": (Mode(), "shop", None, _MODE.format("e.shop")),
    "usual_pieces": (Mode(), "pieces", None, _MODE.format("e.pieces")),
}


def _events(random: np.random.Generator, rows: int, far: bool) -> pa.Table:
    keys = np.where(random.random(rows) < 0.5, 7, random.integers(0, 12, rows))  # half of all events on one key
    at = random.integers(0, 90, rows) * _DAY // 2 + random.integers(0, 3, rows)
    if far:
        at = np.where(random.random(rows) < 0.2, -62_135_596_800_000_000, at)
        at = np.where(random.random(rows) < 0.2, 253_402_300_799_999_999, at)
    words = np.array(["", "a", "B", "é", "zz", "😀"], dtype=object)
    return pa.table(
        {
            "customer": pa.array(keys, mask=random.random(rows) < 0.1),
            "at": pa.array(at, mask=random.random(rows) < 0.1),
            "amount": pa.array(np.round(random.gamma(2, 30, rows), 2), mask=random.random(rows) < 0.1),
            "pieces": pa.array(random.integers(-5, 5, rows), pa.int32(), mask=random.random(rows) < 0.1),
            "price": pa.array(random.integers(-(10**9), 10**9, rows), mask=random.random(rows) < 0.1)
            .cast(pa.decimal128(20, 0))
            .cast(pa.decimal128(22, 2)),
            "shop": pa.array(words[random.integers(0, len(words), rows)], pa.string(), mask=random.random(rows) < 0.1),
            "big": pa.array(random.random(rows) < 0.5, mask=random.random(rows) < 0.1),
        }
    )


def _duckdb(points: pa.Table, events: pa.Table, closed: str) -> pa.Table:
    with duckdb.connect() as connection:
        connection.register("points", points)
        connection.register("events", events)
        parts = []
        for name, length in _WINDOWS:
            test = _CLOSED[closed].format(d=length if length is not None else "1000000000000000000")
            columns = ", ".join(f"{sql} AS {feature}_{name}" for feature, (*_, sql) in _AGGREGATES.items())
            parts.append(
                f"(SELECT p.row AS row_{name}, {columns} FROM points p "
                f"LEFT JOIN events e ON p.customer = e.customer AND {test} GROUP BY p.row) AS w_{name}"
            )
        joined = f"{parts[0]} " + " ".join(
            f"JOIN {part} ON row_{_WINDOWS[0][0]} = row_{name}"
            for part, (name, _) in zip(parts[1:], _WINDOWS[1:], strict=True)
        )
        wanted = ", ".join(f"{feature}_{name}" for name, _ in _WINDOWS for feature in _AGGREGATES)
        return connection.sql(f"SELECT {wanted} FROM {joined} ORDER BY row_{_WINDOWS[0][0]}").to_arrow_table()


@pytest.mark.parametrize("closed", sorted(_CLOSED))
@settings(max_examples=examples(20), deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), rows=st.sampled_from([0, 1, 40, 250]), far=st.booleans())
@pytest.mark.slow
def test_kernel_equals_duckdb(closed: str, seed: int, rows: int, far: bool) -> None:
    random = np.random.default_rng(seed)
    events = _events(random, rows, far)
    asked = _events(random, 60, far).select(["customer", "at"])
    points = asked.append_column("row", pa.array(range(asked.num_rows)))
    reductions = tuple(
        Reduction(name, function, value, condition, name)
        for name, (function, value, condition, _) in _AGGREGATES.items()
    )
    kernel = WindowKernel(("customer",), "at", _WINDOWS, closed, reductions, part_rows=50)

    def timed(table: pa.Table) -> pa.Table:
        return table.set_column(1, "at", table.column("at").combine_chunks().view(_INSTANT))

    found = kernel.at_points(timed(points), timed(events), ("customer",), "at")
    wanted = _duckdb(points, events, closed)
    assert wanted.num_rows == found.num_rows
    for name in wanted.column_names:
        ours, theirs = found.column(name), wanted.column(name)
        if pa.types.is_floating(ours.type):
            np.testing.assert_allclose(
                np.array(ours.to_pylist(), float),
                np.array(theirs.to_pylist(), float),
                rtol=1e-9,
                atol=1e-9,
                err_msg=name,
            )
        else:
            assert ours.to_pylist() == theirs.cast(ours.type).to_pylist(), name

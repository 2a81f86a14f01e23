"""One entity with very many events, every window as long as its history: the cost must not be their product.

300,000 events at 300,000 points are 45 thousand million pairs; a kernel that visits them never ends within a test run.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fstk.windows.aggregates import AGGREGATES, Avg, Count, Stddev, Sum
from fstk.windows.bounds import Rows, divide
from fstk.windows.kernel import Reduction, WindowKernel

_ROWS = 300_000
_DAY = 86_400_000_000


@pytest.mark.slow
def test_lifetime_windows_of_one_hot_key() -> None:
    order = np.random.default_rng(3).permutation(_ROWS)
    value = np.arange(_ROWS, dtype=np.float64)
    value[0] = 1e30  # leaves every window but the lifetime ones
    events = pa.table(
        {
            "key": pa.array(np.zeros(_ROWS, np.int64)),
            "at": pa.array(order * 1_000_000).view(pa.timestamp("us", tz="UTC")),
            "value": pa.array(value[order]),
            "large": pa.array(order + 2**53),
        }
    )
    large = Reduction("large", Stddev(), "large", None, "stddev(large)")
    all_of_value = (Reduction(one.written("x"), one, "value", None, one.written("value")) for one in AGGREGATES)
    reductions = (*all_of_value, large)
    windows = (("lifetime", None), ("200000s", 200_000_000_000))
    found = WindowKernel(("key",), "at", windows, "both", reductions).at_events(events, ("key",))
    n = order + 1.0
    column = {name: found.column(name).to_numpy() for name in found.column_names}
    np.testing.assert_array_equal(column["count(x)_lifetime"], n)
    np.testing.assert_array_equal(column["count(distinct x)_lifetime"], n)
    np.testing.assert_array_equal(column["max(x)_lifetime"], 1e30)
    np.testing.assert_array_equal(column["sum(x)_lifetime"], 1e30)
    np.testing.assert_array_equal(column["min(x)_lifetime"][order > 0], 1.0)
    # The last 200,001 whole numbers, closed at both ends, once 1e30 has left.
    late = order > 200_000
    n, last = 200_001.0, order[late]
    np.testing.assert_array_equal(column["sum(x)_200000s"][late], n * last - n * (n - 1) / 2)
    np.testing.assert_allclose(column["avg(x)_200000s"][late], last - 100_000, rtol=1e-15)
    np.testing.assert_array_equal(column["min(x)_200000s"][late], last - 200_000)
    np.testing.assert_allclose(column["stddev(x)_200000s"][late], np.sqrt(n * (n + 1) / 12), rtol=1e-14)
    np.testing.assert_allclose(column["large_200000s"][late], np.sqrt(n * (n + 1) / 12), rtol=1e-14)
    np.testing.assert_array_equal(column["count(distinct x)_200000s"][late], n)


def test_many_entities_with_instants_at_both_ends_of_time() -> None:
    # The product of entities and microseconds does not fit 64 bits here.
    keys = np.repeat(np.arange(5_000), 3)
    ends = np.tile([-62_135_596_800_000_000, 0, 253_402_300_799_999_999], 5_000)
    events = pa.table({"key": pa.array(keys), "at": pa.array(ends).view(pa.timestamp("us", tz="UTC"))})
    windows = (("1s", 1_000_000), ("lifetime", None), ("10000000d", 10_000_000 * 86_400_000_000))
    kernel = WindowKernel(("key",), "at", windows, "left", (Reduction("n", Count(), None, None, "count(*)"),))
    found = kernel.at_events(events, ("key",))
    np.testing.assert_array_equal(found.column("n_1s").to_numpy(), 0)
    np.testing.assert_array_equal(found.column("n_lifetime").to_numpy(), np.tile([0, 1, 2], 5_000))
    np.testing.assert_array_equal(found.column("n_10000000d").to_numpy(), np.tile([0, 1, 2], 5_000))


def test_entities_without_events_see_no_events_of_others() -> None:
    # Their numbers times the microseconds of one part's events do not fit 64 bits, and once wrapped into its windows.
    ends = [-62_135_596_800_000_000, 253_402_214_400_000_000, 0]
    events = pa.table({"key": pa.array([0, 0, 100_000]), "at": pa.array(ends).view(pa.timestamp("us", tz="UTC"))})
    keys = np.arange(100_000)
    points = pa.table({"key": pa.array(keys), "at": pa.array(np.full(100_000, ends[1] + 1)).view(events["at"].type)})
    windows = (("7d", 7 * _DAY), ("lifetime", None))
    kernel = WindowKernel(("key",), "at", windows, "left", (Reduction("n", Count(), None, None, "count(*)"),))
    found = kernel.at_points(points, events, ("key",), "at")
    np.testing.assert_array_equal(found.column("n_7d").to_numpy(), np.where(keys == 0, 1, 0))
    np.testing.assert_array_equal(found.column("n_lifetime").to_numpy(), np.where(keys == 0, 2, 0))


def test_one_hot_entity_goes_in_slices_of_time() -> None:
    random = np.random.default_rng(7)
    events = Rows(np.zeros(50_000, np.int64), random.integers(0, 1_000 * _DAY, 50_000))
    points = Rows(np.zeros(20_000, np.int64), random.integers(_DAY, 1_000 * _DAY, 20_000))
    for other in (events, points):
        parts = divide(events, other, longest=10 * _DAY, size=1_000)
        assert len(parts) > 20
        np.testing.assert_array_equal(np.sort(np.concatenate([rows for _, rows in parts])), np.arange(len(other.time)))
        for seen, asked in parts:
            first, last = other.time[asked].min(), other.time[asked].max()
            reached = np.flatnonzero((events.time >= first - 10 * _DAY) & (events.time <= last))
            np.testing.assert_array_equal(np.sort(seen), reached)
        assert sum(len(seen) for seen, _ in parts) < 2.2 * 50_000
    # A window that reaches everything, or has no beginning, leaves the part whole.
    assert len(divide(events, points, longest=2_000 * _DAY, size=1_000)) <= 2
    assert len(divide(events, points, longest=None, size=1_000)) == 1


def test_the_order_of_rows_changes_no_bit() -> None:
    random = np.random.default_rng(5)
    rows = 3_000
    events = pa.table(
        {
            "key": pa.array(random.integers(0, 9, rows)),
            "at": pa.array(random.integers(0, 40, rows) * 86_400_000_000).view(pa.timestamp("us", tz="UTC")),
            "value": pa.array(random.normal(0, 1, rows) * 10.0 ** random.integers(-20, 20, rows)),
        }
    )
    points = events.select(["key", "at"]).slice(0, 200)
    reductions = tuple(Reduction(one.name, one, "value", None, one.name) for one in (Sum(), Avg(), Stddev()))
    results = []
    for part_rows, threads in ((32_768, 1), (100, 2), (32_768, 1)):
        kernel = WindowKernel(("key",), "at", (("7d", 7 * 86_400_000_000),), "both", reductions, threads, part_rows)
        results.append(kernel.at_points(points, events, ("key",), "at"))
        events = events.take(pa.array(random.permutation(rows)))
    assert results[0].equals(results[1])
    assert results[0].equals(results[2])

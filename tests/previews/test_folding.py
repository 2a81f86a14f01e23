"""Many features are shown by aggregate and window, and each of them on request."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from fstk.previews.distribution import distribution
from tests.previews.eighty import eighty


def test_eighty_features_are_twelve_lines_of_seven_windows() -> None:
    shown = eighty()
    lines = repr(shown).splitlines()
    assert lines[0].endswith("84 features")
    assert lines[1].split() == ["aggregate", "1d", "7d", "14d", "30d", "60d", "90d", "lifetime"]
    assert [line.split()[0] for line in lines[2:14]] == [
        *(f"{one}_{column}" for one in ("sum", "avg", "min", "max", "median") for column in ("amount", "quantity")),
        *("txn_count", "bulk_spend"),
    ]
    assert all(len(re.findall("[▁-█]{3,}", line)) == 7 for line in lines[2:14])
    assert max(map(len, lines)) <= 100
    assert len(lines) < 24
    assert len(shown.every_column().rows) == 84
    assert shown._repr_html_().count("over [as_of − 30 d, as_of)") == 12  # where a click opens it


def test_a_plan_of_eighty_has_their_types_by_window() -> None:
    lines = repr(eighty().windows).splitlines()
    assert lines[12].split() == ["txn_count", "=", "count(*)", *["bigint"] * 7]
    assert lines[-1] == "each of the 84 columns: --columns lists them, in Python .every_column()"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 2.0, 2.0, 3.0, None], "▅▁█▁▅ 20%"),
        ([0] * 999 + [None], "█ <1%"),
        ([None] * 999 + [1], "█ >99%"),
        ([None, None], "null"),
        ([True, True, False], "█▅"),
        (["a", "b", "a", "c"], "█▅▅"),
        ([[1], [2], None], "33%"),
        ([float("nan"), float("inf")], ""),
    ],
)
def test_a_distribution_is_bars_and_the_share_of_nulls(values: list[object], shown: str) -> None:
    assert distribution(pa.chunked_array([values])) == shown


def test_skewed_numbers_show_something() -> None:
    values = np.random.default_rng(0).lognormal(3, 3, 1_000)
    bars = distribution(pa.chunked_array([values]))
    assert len(set(bars)) > 2
    assert bars.count("▁") < 4

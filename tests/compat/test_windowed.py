"""The windowed helper of the reference document gives what its text means, classic and over Connect."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from fstk import compat
from fstk.engines.start.packages import CONNECT_MODE
from tests.conftest import SPARKS
from tests.templates.test_reference import COPY

KINDS = {
    "timestamp": pa.timestamp("us", "UTC"),
    "microsecond": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "seconds": pa.int64(),
}
SECONDS = [(1, 0), (1, 0), (1, 7 * 86_400), (1, 7 * 86_400 + 1), (1, 40 * 86_400), (2, 5), (2, 14 * 86_400 + 5)]


@pytest.mark.spark
@pytest.mark.parametrize("session", SPARKS)
@pytest.mark.parametrize("kind", KINDS)
def test_its_windows_reach_back_whole_days(
    session: str, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = request.getfixturevalue(session)
    if session == "remote":
        monkeypatch.setenv(CONNECT_MODE, "1")
    compat.install()
    [helper] = re.findall(r"^```python\n(from pyspark.sql.functions.*?)\n```", COPY.read_text(), flags=re.M | re.S)
    namespace: dict[str, Any] = {}
    exec(helper, namespace)
    late = 1 if kind == "microsecond" else 0  # by which rows a week apart are too far from each other
    micros = [at * 1_000_000 + (late if at else 0) for _, at in SECONDS]
    times = pa.array([at // 1_000_000 for at in micros] if kind == "seconds" else micros, KINDS[kind])
    rows = pa.table({"customer_id": [key for key, _ in SECONDS], "transaction_date": times, "amount": [1.0] * 7})
    with pytest.warns(UserWarning, match="rangeBetween counts in the unit of the column that orders"):
        made = namespace["create_time_windowed_features"](spark.createDataFrame(rows), windows=[7, 14])
    found = made.toArrow()
    order = [(key, at) for (key, _), at in zip(SECONDS, micros, strict=True)]
    for days in (7, 14):
        reach = days * 86_400 * 1_000_000
        wanted = sorted((key, at, sum(k == key and 0 <= at - m <= reach for k, m in order)) for key, at in order)
        unit = 1_000_000 if kind == "seconds" else 1
        stamps = [at * unit for at in found["transaction_date"].cast(pa.int64()).to_pylist()]
        counts = found[f"txn_count_{days}d"].to_pylist()
        assert sorted(zip(found["customer_id"].to_pylist(), stamps, counts, strict=True)) == wanted
        assert found[f"total_spend_{days}d"].to_pylist() == counts

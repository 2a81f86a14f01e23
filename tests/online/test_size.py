"""A million rows of fifty features stream to a store, and one wrong bit among them is found."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pytest

from fstk.online.parity import check_parity
from fstk.online.spec import OnlineSpec
from fstk.tables.spec import FeatureTable
from tests.online.tables import Made
from tests.stores import empty, overwritten, parameters

pytestmark = [pytest.mark.server, pytest.mark.slow]
FEATURES = {f"f{number}": "double" for number in range(50)}
ROWS = int(os.environ.get("FSTK_TEST_ROWS", "1_000_000"))
PART = 100_000  # rows of a file
# The session is a process that has imported what it needs; VmHWM is the most that it ever held at once.
PUBLISHED = """
import json, pickle, sys, time
from pathlib import Path
from fstk.online.publish import publish
table, spec = pickle.loads(bytes.fromhex(sys.argv[1]))
def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
with spec.open() as store:
    store.names()
session, started = held("VmRSS"), time.perf_counter()
report = publish(table, spec)
figures = {"rate": report.written / (time.perf_counter() - started), "above": held("VmHWM") - session}
print(json.dumps({**figures, "written": report.written}))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    folder, random = tmp_path_factory.mktemp("wide") / "t", np.random.default_rng(3)
    made = Made(folder, {"id": "bigint", "at": "timestamp", **FEATURES}, ("id",), "at")
    for first in range(0, ROWS, PART):
        count = min(PART, ROWS - first)
        at = pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
        features = {name: random.random(count) for name in FEATURES}
        rows = pa.table({"id": np.arange(first, first + count), "at": at, **features})
        deltalake.write_deltalake(made.folder, rows, mode="append")
    return made.at()


@pytest.fixture(params=[one for one in parameters(modes=False) if one.values[0] in ("sqlite", "redis", "postgresql")])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineSpec]:
    """The stores whose peer here is as quick as what it stands for, empty."""
    yield from empty(request, tmp_path)


@pytest.mark.nightly
def test_a_million_rows_stream_within_a_gibibyte_and_one_wrong_bit_is_found(
    wide: FeatureTable, spec: OnlineSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", PUBLISHED, pickle.dumps((wide, spec)).hex()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1_200, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{type(spec).__name__}: {found['rate']:,.0f} rows/s, {found['above'] / 2**20:,.0f} MiB above")
    assert found["written"] == ROWS
    assert found["above"] < 2**30
    wrong = ROWS * 2 // 3
    with spec.open() as store:
        overwritten(store, b"i%d" % wrong, lambda row: row._replace(value=row.value[:-1] + bytes([row.value[-1] ^ 1])))
    report = check_parity(wide, spec)
    assert (report.equal, report.different, report.missing) == (ROWS - 1, 1, 0)
    assert [(one.key, one.feature) for one in report.differences] == [(f"id={wrong}", "f49")]

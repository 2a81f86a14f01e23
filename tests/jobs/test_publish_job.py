"""The demo's publishing job goes to each store by changing one parameter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import papermill
import pyarrow as pa
import pytest

from fstk import FeatureEngineeringClient, settings
from fstk.online.parity import check_parity
from fstk.online.spec import OnlineSpec
from fstk.verbs.doctor import diagnose
from tests.notebook.tables import write
from tests.stores import PROCESSES, empty, parameters

pytestmark = [pytest.mark.server, pytest.mark.slow]
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "40_publish_online.ipynb"


@pytest.fixture(params=parameters(PROCESSES, modes=False))
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineSpec]:
    """Every store that a kernel can reach, empty."""
    yield from empty(request, tmp_path)


def test_the_job_publishes_to_the_store_that_it_is_given(
    spec: OnlineSpec, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FSTK_RUNS", str(tmp_path / "runs"))
    at = pa.array([datetime(1998, 3, day, tzinfo=UTC) for day in (1, 20, 20)], pa.timestamp("us", "UTC"))
    for name, key in (("customer_features", "customer_id"), ("cohort_features", "cohort")):
        rows = pa.table({key: [17, 17, 42], "as_of": at, "spend": [1.0, 2.0, None]})
        write(warehouse / "feature_store" / name, rows, primary_keys=json.dumps([key]), timeseries_column="as_of")
    with spec.open() as store:
        url = store.url
    given = {"as_of": "1998-03-31", "online_store": url}
    papermill.execute_notebook(NOTEBOOK, tmp_path / "done.ipynb", given, progress_bar=False, cwd=tmp_path)
    fe = FeatureEngineeringClient()
    read = fe.read_online(name="feature_store.customer_features", keys=[{"customer_id": 17}], online_store=url)
    assert read == [{"customer_id": 17, "spend": 2.0}]
    assert all(check_parity(table, spec).equal == 2 for table in fe.list_tables())
    monkeypatch.setenv("FSTK_ONLINE_STORE", url)
    assert settings.load().online_store == url
    [said] = [check for check in diagnose().checks if check.text.startswith(f"online store {url} reachable")]
    assert said.ok
    assert said.text.endswith("2 tables")
    assert fe.publish_table(source_table_name="feature_store.cohort_features").changed is False

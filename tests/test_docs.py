"""What Jupyter shows of every public name says how it is used, and its example does what it says."""

from __future__ import annotations

import doctest
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import fstk
from fstk import monitoring
from fstk.display import Stacked
from fstk.online.parity import check_parity
from fstk.online.publish import PublishReport, publish
from fstk.online.read import read_online
from fstk.online.reader import OnlineReader, OnlineRows
from fstk.online.spec import spec_of
from fstk.tables.source import Source
from fstk.training.feature_spec import FeatureSpec
from fstk.training.training_set import Explanation
from tests.notebook.tables import write

SPARK = {"create_table", "write_table", "read_table", "set_feature_table_tag", "delete_feature_table_tag"}
SPARK |= {"compute_features", "connect", "log_model", "score_batch", "load_df", "prove", "sql"}
"""Names whose examples need a session."""


def public() -> Iterator[tuple[str, Any]]:
    """Yield every public class and function with its name, and every method that a class of ours gives it; those
    that are only named in messages and documentation, too."""
    named = {name: getattr(fstk, name) for name in fstk.__all__}
    named |= {f"monitoring.{name}": getattr(monitoring, name) for name in monitoring.__all__}
    others = (
        Explanation,
        FeatureSpec,
        OnlineReader,
        OnlineRows,
        PublishReport,
        Source,
        check_parity,
        publish,
        read_online,
        spec_of,
    )
    named |= {value.__name__: value for value in others}
    for name, value in named.items():
        if not callable(value):
            continue
        yield name, value
        for method, found in inspect.getmembers(value, callable) if inspect.isclass(value) else ():
            home = getattr(found, "__module__", None) or ""
            if not method.startswith("_") and home.startswith("fstk.") and not hasattr(Stacked, method):
                yield f"{name}.{method}", found


NAMES = dict(public())


@pytest.fixture
def shop(warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples know: public names, what the client's own example makes, ``shop.spend`` in a new folder and a
    ``training_set`` of it."""
    import pyarrow as pa

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    rows = pa.table(
        {
            "customer_id": [1, 1, 2],
            "as_of": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 8, 8)], pa.timestamp("us", "UTC")),
            "spend_30d": [10.0, 25.0, 7.5],
        }
    )
    keys = json.dumps(["customer_id"])
    write(warehouse / "shop" / "spend", rows, primary_keys=keys, timeseries_column="as_of")
    known = {name: getattr(fstk, name) for name in fstk.__all__} | vars(monitoring)
    begun = doctest.DocTestParser().get_examples(fstk.FeatureEngineeringClient.__doc__ or "")[:-1]
    exec("".join(example.source for example in begun), known)
    at = pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (3, 9, 9)], pa.timestamp("us", "UTC"))
    labels = pa.table({"customer_id": [1, 1, 9], "at": at, "churned": [False, True, True]})
    lookup = fstk.FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at")
    known["training_set"] = known["fe"].create_training_set(df=labels, feature_lookups=[lookup], label="churned")
    return known


def run(name: str, known: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    [example] = [found for found in finder.find(NAMES[name], name, globs=known) if found.examples]
    runner.run(example)
    assert not runner.failures, capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example(name: str) -> None:
    documented = inspect.getdoc(NAMES[name]) or ""
    assert ">>> " in documented, f"{name}: its docstring lacks an example"


def with_example(*, spark: bool) -> list[str]:
    return [n for n, value in NAMES.items() if ">>> " in (value.__doc__ or "") and (n.split(".")[-1] in SPARK) == spark]


@pytest.mark.parametrize("name", with_example(spark=False))
def test_an_example_does_what_it_says(name: str, shop: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    run(name, shop, capsys)


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("name", with_example(spark=True))
def test_an_example_on_spark_does_what_it_says(
    name: str, shop: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(name, shop, capsys)

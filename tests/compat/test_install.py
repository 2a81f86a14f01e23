"""Names of older guides are there after ``install()``, behind what is really installed, and warn when they are used."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import fstk
from fstk import compat
from fstk.errors import InvalidInput, UnknownName
from fstk.lint.sources import lint_cell

NAMES = ("databricks.feature_engineering", "evidently.report", "evidently.ColumnDriftMetric")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has called it, until the end of the test."""
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(builtins, "dbutils", None, raising=False)
    monkeypatch.delattr(builtins, "dbutils")
    compat.install()
    compat.install()
    yield
    for name in [name for name in sys.modules if name.startswith(NAMES)]:
        parent, _, child = name.rpartition(".")
        sys.modules.pop(name)
        vars(sys.modules[parent]).pop(child, None) if parent in sys.modules else None


def imported(statement: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(statement, namespace)
    return namespace


@pytest.mark.usefixtures("installed")
def test_the_client_is_that_of_fstk_under_the_other_name() -> None:
    names = imported(
        "from databricks.feature_engineering import FeatureEngineeringClient, FeatureLookup\n"
        "from databricks.feature_engineering.online_store_spec import AzureCosmosDBSpec"
    )
    assert issubclass(names["FeatureEngineeringClient"], fstk.FeatureEngineeringClient)
    assert names["FeatureLookup"] is fstk.FeatureLookup
    assert names["AzureCosmosDBSpec"] is fstk.AzureCosmosDBSpec
    assert sum(type(finder).__module__ == "fstk.compat" for finder in sys.meta_path) == 1


@pytest.mark.usefixtures("installed")
def test_what_is_really_installed_is_taken_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "databricks" / "feature_engineering"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("REAL = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "databricks"}
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    try:
        assert imported("import databricks.feature_engineering as found")["found"].REAL
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "databricks"]:
            del sys.modules[name]


def test_dbutils_of_databricks_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    theirs = ModuleType("dbutils")
    monkeypatch.setattr(builtins, "dbutils", theirs, raising=False)
    compat.install()
    assert vars(builtins)["dbutils"] is theirs
    monkeypatch.delattr(builtins, "dbutils")
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    compat.install()
    assert not hasattr(builtins, "dbutils")


@pytest.mark.usefixtures("installed")
def test_secrets_and_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    dbutils = vars(builtins)["dbutils"]
    monkeypatch.setenv("FSTK_SECRET_KEYVAULT__COSMOS_URI", "https://here")
    assert dbutils.secrets.get("keyvault", "cosmos-uri") == "https://here"
    dbutils.widgets.text("days", "30")
    dbutils.widgets.dropdown("mode", "merge", ["merge", "append"], "how")
    assert (dbutils.widgets.get("days"), dbutils.widgets.getAll()) == ("30", {"days": "30", "mode": "merge"})
    with pytest.raises(InvalidInput, match="'x' is none of its choices, merge, append"):
        dbutils.widgets.combobox("mode", "x", ["merge", "append"])
    with pytest.raises(UnknownName, match="no widget day. Nearest: days"):
        dbutils.widgets.get("day")
    dbutils.widgets.remove("days")
    dbutils.widgets.removeAll()
    assert dbutils.widgets.getAll() == {}


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_report_of_evidently_before_0_7_is_computed() -> None:
    names = imported("from evidently import ColumnDriftMetric\nfrom evidently.report import Report")
    with pytest.warns(UserWarning, match="detect_feature_drift"):
        metrics = [names["ColumnDriftMetric"](column_name=name) for name in ("same", "moved")]
    reference = pd.DataFrame({"same": range(500), "moved": range(500)})
    report = names["Report"](metrics=metrics)
    report.run(reference_data=reference, current_data=reference.assign(moved=range(400, 900)))
    found = [one["result"] for one in report.as_dict()["metrics"]]
    assert [(one["column_name"], bool(one["drift_detected"])) for one in found] == [("same", False), ("moved", True)]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("fe.create_table(name='t', timestamp_keys=['at'])", "timestamp-keys"),
        ("fe.create_table(name='t', timeseries_column='at')", None),
        ("fe.publish_table(name='t', online_store_spec=spec)", "online-store-spec"),
        ("fe.publish_table(source_table_name='t', online_store=spec)", None),
        ("fe.score_batch(model_uri='models:/churn/Production', df=df)", "model-stage"),
        ("mlflow.pyfunc.load_model('models:/churn/staging')", "model-stage"),
        ("fe.score_batch(model_uri='models:/churn@champion', df=df)", None),
        ("fe.score_batch(model_uri='models:/churn/3', df=df)", None),
        ("Window.orderBy('at').rangeBetween(-7 * 86400, 0)", "range-in-seconds"),
        ("Window.orderBy('at').rangeBetween(-604800, 0)", "range-in-seconds"),
        ("Window.orderBy('at').rangeBetween(-7, 0)", None),
        ("Window.orderBy('at').rowsBetween(-86400, 0)", None),
        ("Report(metrics=[ColumnDriftMetric(column_name=f) for f in features])", "column-drift-metric"),
    ],
)
def test_lint_names_what_older_guides_write_and_nothing_else(source: str, code: str | None) -> None:
    assert [finding.code for finding in lint_cell(source, "In[1]")] == ([] if code is None else [code])

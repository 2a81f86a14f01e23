"""A project whose model is served: two feature tables online, a model of their features, written without a JVM."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from fstk import FeatureEngineeringClient, FeatureFunction, FeatureLookup
from fstk.serving.tokens import Tokens
from tests.notebook.tables import write
from tests.processes import server

READERS = "tests"
"""Who may read the tables: the principal and the group of this name."""
INSTANT = pa.timestamp("us", "UTC")
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
LOOKUPS = [
    FeatureLookup(
        "s.customers",
        "customer_id",
        feature_names=["spend", "visits", "vip"],
        rename_outputs={"visits": "v"},
        timestamp_lookup_key="at",
        default_values={"v": -1},
    ),
    FeatureLookup("s.cohorts", ["cohort", "region"]),
]


def day(number: int) -> dt.datetime:
    return START + dt.timedelta(days=number)


def customers(last: int = 8) -> pa.Table:
    """Eight customers at three days each; customer 9 has a row of nulls."""
    rows: list[tuple[Any, ...]] = [
        (key, day(at), key + at / 10, key * at, key % 2 == 0) for key in range(1, 9) for at in (2, 5, last)
    ]
    rows.append((9, day(3), None, None, None))
    names = ("customer_id", "as_of", "spend", "visits", "vip")
    kinds = (pa.int32(), INSTANT, pa.float64(), pa.int64(), pa.bool_())
    return pa.table({n: pa.array(c, k) for n, c, k in zip(names, zip(*rows, strict=True), kinds, strict=True)})


def cohorts() -> pa.Table:
    return pa.table(
        {"cohort": ["old", "new", "old"], "region": ["n", "n", "s"], "size": pa.array([40, 2, 7], pa.int32())}
    )


def labels(rows: int = 60) -> pa.Table:
    return pa.table(
        {
            "customer_id": pa.array([row % 10 for row in range(rows)], pa.int32()),
            "at": pa.array([day(row % 12) for row in range(rows)], INSTANT),
            "cohort": [("old", "new", None)[row % 3] for row in range(rows)],
            "region": [("n", "s")[row % 2] for row in range(rows)],
            "amount": [row / 7 for row in range(rows)],
            "y": [float(row % 5) + row / 11 for row in range(rows)],
        }
    )


class Project:
    """A folder with warehouse, online store, registry and tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "fstk.toml").write_text("")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("FSTK_", "MLFLOW_"))} | {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.tokens = Tokens(folder / ".fstk" / "tokens.json")

    @contextmanager
    def inside(self) -> Iterator[FeatureEngineeringClient]:
        """Let this process be in the project, with nothing of its own settings but the passwords of test servers."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name in os.environ:
                if name.startswith(("FSTK_", "MLFLOW_")) and not name.startswith("FSTK_TEST_"):
                    patch.delenv(name)
            patch.setenv("MLFLOW_TRACKING_URI", self.env["MLFLOW_TRACKING_URI"])
            said = importlib.import_module("mlflow.tracking._tracking_service.utils")
            patch.setattr(said, "_tracking_uri", None)  # which counts before the variable, and would outlast this
            yield FeatureEngineeringClient()

    def fill(self) -> None:
        """Make the tables and publish them."""
        warehouse = self.folder / "fstk-warehouse" / "s"
        keys, grants = json.dumps(["customer_id"]), json.dumps({"SELECT": [READERS]})
        write(warehouse / "customers", customers(), primary_keys=keys, timeseries_column="as_of", grants=grants)
        write(warehouse / "cohorts", cohorts(), primary_keys=json.dumps(["cohort", "region"]), grants=grants)
        with self.inside() as fe:
            for table in ("s.customers", "s.cohorts"):
                fe.publish_table(source_table_name=table)

    def log(
        self,
        name: str = "churn",
        model: Any = None,
        alias: str | None = "champion",
        lookups: Sequence[FeatureLookup | FeatureFunction] = LOOKUPS,
    ) -> Any:
        """Fit a model and register it."""
        mlflow = importlib.import_module("mlflow")
        with self.inside() as fe:
            exclude = ["at", "cohort", "region"]
            training_set = fe.create_training_set(
                df=labels(), feature_lookups=lookups, label="y", exclude_columns=exclude
            )
            rows = training_set.to_pandas()
            if model is None:
                model = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=3)
            if hasattr(model, "fit"):
                model.fit(rows.drop(columns="y"), rows["y"])
            flavor = importlib.import_module("mlflow.pyfunc" if not hasattr(model, "fit") else "mlflow.sklearn")
            with pytest.MonkeyPatch.context() as patch:
                if flavor is not importlib.import_module("mlflow.sklearn"):  # which finds out what it needs quickly
                    patch.setattr(mlflow.models, "infer_pip_requirements", lambda *_, **__: [])
                version = fe.log_model(
                    model=model,
                    artifact_path="model",
                    flavor=flavor,
                    training_set=training_set,
                    registered_model_name=name,
                )
            if alias:
                mlflow.MlflowClient().set_registered_model_alias(name, alias, str(version.version))
        return version

    def fstk(self, *argv: str) -> str:
        """Run a command in the project."""
        command = [sys.executable, "-c", "import sys; from fstk.cli.app import main; sys.exit(main())", *argv]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def served(self, **asked: Any) -> Iterator[int]:
        """Serve the model in workers of their own; yield the port."""
        given = {"model": "models:/churn@champion", "port": 0, "workers": 1} | asked
        program = (
            "import sys; from fstk.serving.supervisor import Serving, serve\n"
            f"serve(Serving(**{given!r}), lambda ready: print('serving on', ready.address, flush=True))"
        )
        with server([sys.executable, "-c", program], r"serving on .*:(\d+)", self.env, self.folder) as port:
            yield port


def answered(values: Mapping[str, Any]) -> Any:
    return values["predictions"]

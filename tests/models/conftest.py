"""A tracking server in one SQLite file for all model tests, and two small feature tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fstk.errors import UnknownTable
from fstk.tables.spec import FeatureTable
from tests.online.tables import Made

CUSTOMERS = {
    "customer_id": "bigint",
    "at": "timestamp",
    "visits": "bigint",
    "spend": "double",
    "vip": "boolean",
    "price": "decimal(10,2)",
}
COHORTS = {"cohort": "string", "size": "int"}


def day(number: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


class Shelf:
    """Feature tables by name; stands in for a catalog."""

    def __init__(self, folder: Path) -> None:
        self.customers = Made(folder / "customers", CUSTOMERS, ("customer_id",), "at")
        self.cohorts = Made(folder / "cohorts", COHORTS, ("cohort",), None)

    def get(self, name: str) -> FeatureTable:
        for known, made in (("s.customers", self.customers), ("s.cohorts", self.cohorts)):
            if name == known:
                return replace(made.at(), name=name, written_by_fstk=True)
        raise UnknownTable(f"no feature table {name}.")


def customer(key: int, at: int, visits: int | None, spend: float | None, vip: bool | None = None) -> dict[str, Any]:
    return {"customer_id": key, "at": day(at), "visits": visits, "spend": spend, "vip": vip, "price": None}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.customers.append(
        *(customer(key, at, key * at, key + at / 10, key % 2 == 0) for key in range(1, 9) for at in (2, 5, 8)),
        customer(9, 3, None, None),
    )
    shelf.cohorts.append({"cohort": "old", "size": 40}, {"cohort": "new", "size": 2})
    return shelf


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a tracking server whose artifacts lie beside it."""
    import mlflow

    from fstk.models.mlflow_calls import quiet

    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with quiet():
        mlflow.MlflowClient(uri).create_experiment("tests", artifact_location=(folder / "artifacts").as_uri())
    return uri


@pytest.fixture(autouse=True)
def _to_tracking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("tracking"))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "tests")

"""The application under another server than ``fstk serve``: warm at its first request, and as registry and store are
by then."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sklearn.dummy import DummyRegressor

from tests.processes import server
from tests.serving.asking import GOOD, ask, records, waited
from tests.serving.project import Project

pytestmark = [pytest.mark.server, pytest.mark.slow]
MODULE = """
from fstk.serving.app import create
app = create("models:/counts@champion", store={store!r}, every=0.2)
"""


def counts() -> Any:
    """A model that answers how often it was asked in its process."""
    python_model = importlib.import_module("mlflow.pyfunc").PythonModel

    class Counts(python_model):
        asked = 0

        def predict(self, context, model_input):  # without hints, of which MLflow warns
            self.asked += 1
            return [float(self.asked)] * len(model_input)

    return Counts()


@dataclass(frozen=True)
class Running:
    """An application under uvicorn's own command, on a store of its own."""

    port: int
    store: str


@pytest.fixture(scope="module")
def running(project: Project) -> Iterator[Running]:
    project.log("counts", counts())
    shutil.copy(project.folder / "fstk-warehouse" / "online.db", project.folder / "asgi.db")
    store = f"sqlite:///{project.folder}/asgi.db"
    (project.folder / "served.py").write_text(MODULE.format(store=store))
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "served:app"]
    with server(command, r"running on .*:(\d+)", project.env, project.folder) as port:
        yield Running(port, store)


def test_the_first_request_meets_a_model_that_has_predicted(running: Running, token: str) -> None:
    assert ask(running.port, records(GOOD), token).json == {"predictions": [3.0]}


def test_a_table_that_is_published_anew_is_read_anew(running: Running, token: str, project: Project) -> None:
    with project.inside() as fe:
        fe.drop_online_table(name="s.customers", online_store=running.store)
        waited(lambda: ask(running.port, records(GOOD), token).status == 503)
        fe.publish_table(source_table_name="s.customers", online_store=running.store)
    said = waited(lambda: found if (found := ask(running.port, records(GOOD), token)).status == 200 else None)
    assert said.headers["x-fstk-missing"] == "0"


def test_an_alias_that_moves_is_followed(running: Running, token: str, project: Project) -> None:
    project.log("counts", DummyRegressor(strategy="constant", constant=-1.0))
    waited(lambda: ask(running.port, records(GOOD), token).json == {"predictions": [-1.0]})
    health = ask(running.port, None, None, path="/health", method="GET")
    assert (health.status, health.json["version"], health.json["problems"]) == (200, 2, [])

"""``fstk.job()`` outside ``fstk run``: in JupyterLab, under nbmake, in a plain namespace and on Databricks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

import fstk
from fstk import journal
from fstk.errors import BadParameter, GateRefused, InvalidInput, InvalidName
from fstk.jobs.job import Job

from .conftest import Project, printed

CELLS = (
    "from datetime import date\nfrom typing import Literal",
    'as_of: date = "1998-03-31"  # logical date: nothing later is seen\nevery: Literal["1d", "7d"] = "7d"  # step',
    "# Parameters\nevery = '1d'",
    "job = fstk.job()",
)


def namespace(*cells: str, **values: Any) -> dict[str, Any]:
    """What IPython's globals hold once ``cells`` were typed."""
    return {"In": ["", *cells], "Out": {}, **values}


def test_values_come_from_the_notebook_typed_by_the_cell_that_declares_them() -> None:
    job = fstk.job(namespace(*CELLS, as_of="1998-03-31", every="1d"))
    assert (job.as_of, job.every) == (date(1998, 3, 31), "1d")
    assert repr(job).splitlines() == [
        "job notebook · not recorded; fstk run keeps a record",
        "  parameter  type                 value       meaning",
        "  as_of      date                 1998-03-31  logical date: nothing later is seen",
        "  every      Literal['1d', '7d']  1d          step",
    ]


def test_a_cell_edited_and_run_again_counts_and_later_annotations_do_not() -> None:
    edited = [*CELLS, 'as_of: date = "1998-04-30"', "limit: int = 3\nprint(limit)", "job = fstk.job()"]
    job = fstk.job(namespace(*edited, as_of="1998-04-30", limit=3, __annotations__={"limit": int}))
    assert job.parameters == {"as_of": date(1998, 4, 30)}


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadParameter, match=r"every must be one of '1d', '7d'; got '2d'"):
        fstk.job(namespace(*CELLS, as_of="1998-03-31", every="2d"))
    with pytest.raises(BadParameter, match="n is missing: a whole number"):
        fstk.job(namespace("n: int", "job = fstk.job()"))


def test_without_history_the_annotations_declare() -> None:
    annotations = {"as_of": date, "every": Literal["1d", "7d"], "n": "int | None"}
    job = fstk.job({"__annotations__": annotations, "as_of": "1998-03-31", "every": "7d", "n": None})
    assert job.parameters == {"as_of": date(1998, 3, 31), "every": "7d", "n": None}
    assert fstk.job({}).parameters == {}


@pytest.mark.parametrize("call", ["fstk.job()", "fstk.job(globals())", "opened()"])
def test_the_names_are_those_of_the_notebook_that_calls(call: str) -> None:
    names = namespace(*CELLS, as_of="1998-03-31", every="1d", fstk=fstk)
    exec(f"def opened():\n    return fstk.job()\njob = {call}", names)
    assert names["job"].parameters == {"as_of": date(1998, 3, 31), "every": "1d"}


def test_an_unknown_parameter_names_the_nearest() -> None:
    job = fstk.job(namespace("as_of: str = 'x'", "", as_of="x"))
    with pytest.raises(AttributeError, match=r"the job has no parameter as_off\. Nearest: as_of\."):
        _ = job.as_off


def test_done_counts_what_this_process_wrote_since_the_job_was_opened() -> None:
    journal.note("written", "fs.before", 1, 5)
    job = fstk.job({})
    assert job.done(changed=None).changed is None
    journal.note("read", "fs.events", 7, None)
    journal.note("written", "fs.customers", 2, 0)
    idle = job.done(
        rows=np.int64(3), share=np.float64(0.25), day=date(1998, 3, 31), gone=None, why={"t": [np.int32(1)]}
    )
    expected = {"rows": 3, "share": 0.25, "day": "1998-03-31", "gone": None, "why": {"t": [1]}}
    assert (idle.changed, idle.rows) == (False, expected)
    assert idle.summary == "customers v2 · 3 rows · share 0.25 · day 1998-03-31 · gone –"
    journal.note("published", "fs.customers", 2, 12)
    closed = job.done()
    assert closed.changed is True
    assert [entry.table for entry in closed.entries] == ["fs.events", "fs.customers", "fs.customers"]
    assert closed.summary == "customers v2"
    assert "fs.events" in repr(closed)
    assert journal.run_id() is None


class Widgets:
    """Databricks' widgets: text, whose first default loses to a value that the job's run has set."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.made: dict[str, Any] = {}

    def text(self, name: str, default: str, label: str) -> None:
        self.made[name] = ("text", default, label)
        self.values.setdefault(name, default)

    def dropdown(self, name: str, default: str, choices: list[str], label: str) -> None:
        assert default in choices
        self.made[name] = ("dropdown", default, choices, label)
        self.values.setdefault(name, default)

    def get(self, name: str) -> str:
        return self.values[name]


class Dbutils:
    def __init__(self, **values: str) -> None:
        self.widgets = Widgets(**values)


def test_on_databricks_the_declaration_makes_the_widgets_and_they_give_the_values() -> None:
    declaration = (
        "as_of: date = '1998-03-31'  # logical date\nevery: Literal['1d', '7d'] = '7d'\n"
        "n: int | None = None\nflag: bool = False\nid: str = '007'"
    )
    dbutils = Dbutils(as_of="1998-06-30", every="1d")
    job = fstk.job(namespace(declaration, "", as_of="1998-03-31", dbutils=dbutils))
    assert job.parameters == {"as_of": date(1998, 6, 30), "every": "1d", "n": None, "flag": False, "id": "007"}
    assert dbutils.widgets.made == {
        "as_of": ("text", "1998-03-31", "logical date"),
        "every": ("dropdown", "7d", ["1d", "7d"], "every"),
        "n": ("text", "", "n"),
        "flag": ("text", "False", "flag"),
        "id": ("text", "007", "id"),
    }
    with pytest.raises(BadParameter, match="as_of must be a date"):
        fstk.job(namespace(declaration, "", dbutils=Dbutils(as_of="30.6.1998")))
    with pytest.raises(BadParameter, match="must_give is missing"):
        fstk.job(namespace("must_give: int", "", dbutils=Dbutils()))


class Exits:
    def __init__(self) -> None:
        self.given: list[str] = []

    def exit(self, value: str) -> None:
        self.given.append(value)
        raise RuntimeError("Databricks ends the notebook")


def test_on_databricks_finish_is_the_exit_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    dbutils = SimpleNamespace(notebook=Exits())
    monkeypatch.setattr(sys.modules["__main__"], "dbutils", dbutils, raising=False)
    for value in ("as it is", {"rows": np.int64(3), "day": date(1998, 3, 31)}, None):
        with pytest.raises(RuntimeError, match="Databricks"):
            fstk.finish(value)
    assert dbutils.notebook.given == ["as it is", '{"rows":3,"day":"1998-03-31"}', "null"]
    this = fstk.job({})
    with pytest.raises(GateRefused, match="stale"):
        refused_and_finished(this)
    with pytest.raises(InvalidInput, match="finish takes what JSON can hold; got "):
        fstk.finish("half a letter: \ud800")
    assert len(dbutils.notebook.given) == 3


def refused_and_finished(this: Job) -> None:
    try:
        this.gate(False, "stale")
    finally:
        fstk.finish("all is well")


def test_names_that_the_job_has_itself_are_refused() -> None:
    for name in ("done", "parameters", "display", "_x"):
        with pytest.raises(InvalidName, match=f"cannot be named {name}"):
            fstk.job(namespace(f"{name}: int = 1", ""))
    with pytest.raises(InvalidInput, match="declared twice"):
        fstk.job(namespace("a: int = 1\na: int = 2", ""))


NOTEBOOK = ("import fstk", CELLS[0], CELLS[1], CELLS[3], "print(job.as_of, type(job.as_of))", "job.done(rows=1)")


@pytest.mark.server
def test_as_it_is_in_jupyterlab_it_runs_with_its_defaults_and_keeps_no_record(project: Project) -> None:
    path = project.bare("n.ipynb", *NOTEBOOK)
    document = nbformat.read(path, as_version=4)
    NotebookClient(document, kernel_name="python3", resources={"metadata": {"path": str(project.root)}}).execute()
    assert printed(document.cells) == "1998-03-31 <class 'datetime.date'>\n"
    assert "text/html" in document.cells[-1].outputs[0].data
    assert sorted(file.name for file in project.root.iterdir()) == ["fstk.toml", "n.ipynb"]


@pytest.mark.server
def test_under_nbmake_it_runs_with_its_defaults_and_goes_red_when_it_fails(project: Project) -> None:
    project.bare("good.ipynb", *NOTEBOOK)
    project.bare("bad.ipynb", *NOTEBOOK[:3], "as_of = 'soon'", NOTEBOOK[3])
    command = [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "good.ipynb", "bad.ipynb", "-q"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=120, check=False)
    assert "1 failed, 1 passed" in done.stdout
    assert "BadParameter: as_of must be a date (YYYY-MM-DD); got 'soon'." in done.stdout
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize("said", [True, np.bool_(True), np.array(True)])
def test_a_gate_that_holds_lets_the_job_go_on(said: Any) -> None:
    fstk.job({}).gate(said, "never shown")


@pytest.mark.parametrize("said", [False, np.bool_(False)])
def test_a_gate_that_does_not_hold_ends_the_job(said: Any) -> None:
    with pytest.raises(GateRefused, match="^too few$"):
        fstk.job({}).gate(said, "too few")


@pytest.mark.parametrize("said", [None, 0.0, float("nan"), "no", pd.NA, []])
def test_a_gate_takes_nothing_for_true_that_is_not(said: Any) -> None:
    with pytest.raises(InvalidInput, match="a gate's condition must be true or false; got"):
        fstk.job({}).gate(said, "never shown")


def test_a_metric_is_a_number() -> None:
    assert fstk.job({}).done(metrics={"auc": np.float32(0.5), "n": 3}).metrics == {"auc": 0.5, "n": 3.0}
    with pytest.raises(InvalidInput, match="metric auc must be a number; got 'high'"):
        fstk.job({}).done(metrics={"auc": "high"})  # type: ignore[dict-item]


@pytest.mark.slow
def test_metrics_go_to_mlflow_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = importlib.import_module("mlflow")
    monkeypatch.setattr(importlib.import_module("mlflow.tracking._tracking_service.utils"), "_tracking_uri", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    fstk.job({}).done(metrics={"auc": 0.5})
    assert not (tmp_path / "mlflow.db").exists()
    fstk.job({}).done(metrics={"auc": np.float32(0.5)}, mlflow=True)
    client = mlflow.MlflowClient()
    [own] = client.search_runs(["0"])
    assert (own.info.run_name, own.data.metrics, own.info.status) == ("notebook", {"auc": 0.5}, "FINISHED")
    with mlflow.start_run() as run:
        fstk.job({}).done(metrics={"n": 3}, mlflow=True)
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert client.get_run(run.info.run_id).data.metrics == {"n": 3.0}
    with pytest.raises(InvalidInput, match="mlflow=True sends metrics; give some"):
        fstk.job({}).done(mlflow=True)

"""Notebooks that fail go red, and those that do not are green, under the runners that people use."""

import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from papermill.exceptions import PapermillExecutionError

pytestmark = pytest.mark.server

RED = {
    "nothing below": ("%%fstk run churn\n", "InvalidInput", "%%fstk has nothing below it"),
    "unknown verb": ("%fstk runn churn", "UnknownName", "fstk has no verb 'runn'. Nearest: run, runs."),
    "bad option": ("%fstk run churn --resum", "InvalidInput", "No such option: --resum"),
    "missing argument": ("%fstk run", "InvalidInput", "Missing argument"),
    "failing verb": ("%fstk run no_such_job.ipynb", "", "no_such_job"),
    "no variable": ("%fstk run {{nothing}}", "UnknownName", "no variable nothing"),
}
GREEN = ("%fstk -h", "%fstk run -h\nx = 1", "x")


def notebook(path: Path, *sources: str) -> Path:
    book = new_notebook(cells=[new_code_cell(source) for source in ("%load_ext fstk", *sources)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def nbmake(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--nbmake", "-q", "-p", "no:cacheprovider", "."]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False)


def test_papermill_and_the_saved_notebook_show_every_kind_of_error(tmp_path: Path) -> None:
    source = notebook(tmp_path / "red.ipynb", *(cell for cell, _, _ in RED.values()))
    book = nbformat.read(source, 4)
    for cell in book.cells:
        cell.metadata["tags"] = ["raises-exception"]
    nbformat.write(book, source)
    with pytest.raises(PapermillExecutionError):
        papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    cells = [cell for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells if cell.cell_type == "code"]
    for (_, name, says), cell in zip(RED.values(), cells[1:], strict=True):
        (error,) = cell.outputs
        assert error.output_type == "error"
        assert error.ename.endswith(name)
        assert says in error.evalue
        assert 1 <= len("\n".join(error.traceback).splitlines()) <= 3


@pytest.mark.parametrize("kind", ["nothing below", "failing verb"])
def test_one_failing_magic_turns_papermill_red(tmp_path: Path, kind: str) -> None:
    source = notebook(tmp_path / "red.ipynb", RED[kind][0], "reached = True")
    with pytest.raises(PapermillExecutionError):
        papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)


def test_nbmake_goes_red_on_failing_magics_and_on_no_others(tmp_path: Path) -> None:
    kinds = ["unknown verb", "nothing below", "failing verb"]
    for number, kind in enumerate(kinds):
        notebook(tmp_path / f"red_{number}.ipynb", RED[kind][0])
    notebook(tmp_path / "green.ipynb", *GREEN)
    done = nbmake(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "3 failed, 1 passed" in done.stdout
    assert all(RED[kind][2] in done.stdout for kind in kinds)


def test_a_widget_that_nobody_can_answer_leaves_no_state_in_the_file(filled: Path, tmp_path: Path) -> None:
    code = "from fstk.notebook import {0}\nwidget = {0}()\nprint(widget.python)\nwidget"
    source = notebook(
        tmp_path / "widgets.ipynb",
        *(f"%fstk {verb} --widget" for verb in ("windows", "pit", "publish")),
        *(code.format(name) for name in ("WindowBuilder", "JoinPreview", "PublishPanel")),
        "from ipywidgets import Text\nText('of the user')",
    )
    papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    done = nbformat.read(tmp_path / "out.ipynb", 4)
    kept = done.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    assert {one["model_name"] for one in kept} == {"TextModel", "TextStyleModel", "LayoutModel"}  # papermill's doing
    cells = [cell for cell in done.cells if cell.cell_type == "code"][1:-1]
    for cell, name in zip(cells, ["WindowBuilder", "JoinPreview", "PublishPanel"] * 2, strict=True):
        shown = cell.outputs[-1]
        assert dict(shown.data) == {
            "text/plain": f"{name}: run this cell to open it.",
            "text/html": f"<p>{name}: run this cell to open it.</p>",
        }
    assert "FeatureEngineeringClient" in cells[-1].outputs[0].text  # its Code view is there without a browser


def test_progress_gives_its_place_to_the_result(filled: Path, tmp_path: Path) -> None:
    source = notebook(
        tmp_path / "publish.ipynb",
        "%fstk publish feature_store.customer_features",
        "from fstk.notebook.bar import Bar\nBar().write('5 / 10')",  # as it is while the verb is at work
    )
    papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    cells = [cell for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells if cell.cell_type == "code"]
    (report,) = cells[1].outputs
    assert "written" in report.data["text/plain"]
    assert "written" in report.data["text/html"]
    assert not {"█", "░"} & set(str(report))
    (told,) = cells[2].outputs
    assert set(told.data) == {"text/plain"}
    assert told.data["text/plain"] == "5 / 10"


def test_a_green_run_executed_every_cell(tmp_path: Path) -> None:
    source = notebook(tmp_path / "green.ipynb", *GREEN)
    papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    cells = [cell for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert "Usage: fstk run" in str(cells[2].outputs)

"""The walk through every magic runs under papermill as it is, and becomes a page that shows what it did."""

import html
import re
from pathlib import Path

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = [pytest.mark.spark, pytest.mark.server]
WALK = Path(__file__).parent / "walkthrough.ipynb"
VERBS = {"windows", "pit", "explain", "lint", "tables", "show", "tag", "publish", "run", "doctor"}


def test_the_notebook_is_kept_without_outputs_and_uses_every_magic() -> None:
    cells = [cell for cell in nbformat.read(WALK, 4).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    used = set(re.findall(r"^%{1,2}fstk (\w+)", "\n".join(cell.source for cell in cells), re.MULTILINE))
    assert used == VERBS


def test_it_runs_under_papermill_and_reads_as_a_page(
    warehouse: Path, tmp_path: Path, served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FSTK_RUNS", str(tmp_path / "runs"))
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    job = new_notebook(
        cells=[
            new_code_cell('from datetime import date\n\nas_of: date = "1998-01-01"', metadata={"tags": ["parameters"]}),
            new_code_cell("import fstk\n\njob = fstk.job()"),
            new_code_cell("job.done(rows=1)"),
        ]
    )
    job.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(job, tmp_path / "job.ipynb")
    papermill.execute_notebook(WALK, tmp_path / "walked.ipynb", progress_bar=False, cwd=tmp_path)
    walked = nbformat.read(tmp_path / "walked.ipynb", 4)
    cells = [cell for cell in walked.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    page, _ = HTMLExporter().from_notebook_node(walked)
    for part in (
        "plan: CREATE, keys (customer_id, as_of TIMESERIES), 9 features",
        "own instant (closed=",
        "feature_store.spend created at v0",
        "weekly, by hand",
        "2,000 labels (a sample of",
        "<svg",
        "matched as known",
        "lint: clean.",
    ):
        assert part in page, part
    code = html.unescape(re.sub(r"<[^>]+>", "", page))  # without its colours
    assert re.search(r'fe\.create_table\(\s+name="feature_store\.spend",\s+features=', code)

"""The tour runs as shipped, whoever runs it, and becomes a page of the site that shows what it did."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from fstk.cli.app import run_command

pytestmark = [pytest.mark.spark, pytest.mark.server]
ROOT = Path(__file__).parents[2]
TOUR = ROOT / "templates" / "tour.ipynb"
VERBS = {"windows", "pit", "explain", "why", "lint", "prove", "tables", "show", "history", "tag", "publish"}
VERBS |= {"new", "run", "doctor"}


def test_it_uses_the_verbs_of_a_day_and_tells_what_each_cell_will_show() -> None:
    cells = nbformat.read(TOUR, 4).cells
    used = set(re.findall(r"^ *%{1,2}fstk (\w+)", "\n".join(cell.source for cell in cells), re.MULTILINE))
    assert used == VERBS
    assert [cell.cell_type for cell in cells] == ["markdown", "code"] * (len(cells) // 2)


def test_it_runs_alone_as_shipped_and_is_a_page_of_the_site(
    tmp_path: Path, served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FSTK_WAREHOUSE", "FSTK_RUNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    project = tmp_path / "project"
    project.mkdir()
    (project / "fstk.toml").write_text("")
    monkeypatch.chdir(project)
    run_command(["new", "tour"])
    site = tmp_path / "docs"
    site.mkdir()
    papermill.execute_notebook(project / "tour.ipynb", site / "tour.ipynb", progress_bar=False, cwd=project)
    walked = nbformat.read(site / "tour.ipynb", 4)
    assert not [one for cell in walked.cells for one in cell.get("outputs", []) if one.output_type == "error"]
    making = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", str(ROOT / "docs")]
    making += ["-D", "root_doc=tour", "-D", "nb_execution_mode=off", str(site), str(tmp_path / "site")]
    done = subprocess.run(making, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    page = html.unescape(re.sub(r"<(?!/?svg)[^>]+>", "", (tmp_path / "site" / "tour.html").read_text()))
    for part in (
        "plan: CREATE, keys (customer_id, as_of TIMESERIES), 9 features",
        "own instant (closed=",
        "tour.spend created at v0",
        "monthly, by hand",
        "recomputed from these 4 rows alone: 149.26",
        "equal, bit for bit",
        "2,000 labels (a sample of",
        "<svg",
        "matched as known",
        "lint: clean.",
        "PROVED",
        "nothing to do",
        "notebook · done · tour.spend v2 · 331,195 rows · 59,268 labels",
    ):
        assert part in page, part
    assert re.search(r'fe\.create_table\(\s+name="tour\.spend",\s+features=', page)

"""Every template runs as shipped, copied by ``fstk new`` into a project with a small warehouse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fstk.cli.app import run_command
from fstk.demo import cdnow
from fstk.errors import InvalidInput, UnknownName
from tests.notebook.tables import write
from tests.proof.pipelines import proof_of

TEMPLATES = Path(__file__).parents[2] / "templates"
CLOSING = {
    "new_feature_table": "feature_store.my_features v0",
    "training_set_and_model": "my_model v1 · AUC 0.",
    "publish": "600 written · 0 unchanged · 0 stale",
    "drift_monitor": "of 4 features drifted",
}
"""What the last cell of each template says when it has run alone."""
PLANTED = 'fe.create_table(\n    name="leaks.planted"'


def run(notebook: Path, report: Path, settings: dict[str, str]) -> list[nbformat.NotebookNode]:
    """Run a notebook under nbmake in its folder; return its code cells with their outputs."""
    environment = {**os.environ, **settings, "MLFLOW_TRACKING_URI": f"sqlite:///{report}/mlflow.db"}
    command = [sys.executable, "-m", "pytest", "--nbmake", "--overwrite", "--nbmake-timeout=600", "-q"]
    command += ["-p", "no:cacheprovider", str(notebook)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=notebook.parent, env=environment, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]


def said(cell: nbformat.NotebookNode) -> str:
    """Return what a cell shows, as text."""
    return "\n".join(str(one.get("data", {}).get("text/plain", one.get("text", ""))) for one in cell.outputs)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, the working folder."""
    (tmp_path / "fstk.toml").write_text('warehouse = "fstk-warehouse"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FSTK_WAREHOUSE", raising=False)
    return tmp_path


def test_fstk_new_copies_a_notebook_and_never_over_another(project: Path) -> None:
    shown = run_command(["new", "publish", "mine"])
    assert "mine.ipynb is yours" in repr(shown)
    assert (project / "mine.ipynb").read_bytes() == (TEMPLATES / "publish.ipynb").read_bytes()
    with pytest.raises(InvalidInput, match="mine.ipynb is there already"):
        run_command(["new", "flights", "mine.ipynb"])
    with pytest.raises(InvalidInput, match="no folder nowhere"):
        run_command(["new", "flights", "nowhere/mine"])
    with pytest.raises(UnknownName, match=r"no template flight\. Nearest: flights"):
        run_command(["new", "flight"])


def test_every_template_is_offered_and_thin() -> None:
    shipped = sorted(path.stem for path in TEMPLATES.glob("*.ipynb"))
    journey = ["tour", "first_features", *CLOSING, "flights", "leaks"]
    assert shipped == sorted([*journey, "azure_architecture"])
    offered = repr(run_command(["new"])).splitlines()
    assert [line.split()[0] for line in offered[1:-1]] == [*journey, "azure_architecture"]
    for name in journey:
        book = nbformat.read(TEMPLATES / f"{name}.ipynb", 4)
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        assert [cell.outputs for cell in cells] == [[]] * len(cells)
        assert not any(line.startswith(("def ", "class ")) for cell in cells for line in cell.source.splitlines())
        assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1
        assert any(cell.source.startswith("job = fstk.job()") for cell in cells)
        assert "job.done(" in cells[-1].source


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.parametrize(("name", "closing"), CLOSING.items())
def test_a_template_runs_alone_as_shipped(
    name: str, closing: str, project: Path, tmp_path: Path, served: dict[str, str]
) -> None:
    purchases = pl.DataFrame(cdnow.purchases()).filter(pl.col("customer_id") <= 600).to_arrow()
    write(project / "fstk-warehouse" / "default" / "transactions", purchases)
    run_command(["new", name])
    cells = run(project / f"{name}.ipynb", tmp_path, served)
    assert closing in said(cells[-1])


@pytest.mark.spark
@pytest.mark.server
def test_all_flights_meet_weather_delays_and_planes_as_shipped(
    project: Path, tmp_path: Path, served: dict[str, str]
) -> None:
    run_command(["new", "flights"])
    cells = run(project / "flights.ipynb", tmp_path, served)
    texts = [said(cell) for cell in cells]
    assert "336,776 flights · 0 saw the future · 2,512 without a tail number" in texts[-1]
    assert any("LEAK" in text for text in texts)
    [leak], both = (re.findall(r"feature: (0\.\d\d)", text) for text in texts if "correlation of a flight" in text)
    assert float(both[0]) < float(leak) - 0.05, "the leak that was removed was of no use"


class _Store:
    """What the template's cells on pandas ask of a client: purchases, and a place for tables."""

    def __init__(self, purchases: pa.Table) -> None:
        self.purchases, self.made = purchases, {}

    def read_table(self, name: str) -> SimpleNamespace:
        assert name == "transactions"
        return SimpleNamespace(toPandas=self.purchases.to_pandas)

    def create_table(self, name: str, df: pd.DataFrame, **_: object) -> None:
        self.made[name] = pa.Table.from_pandas(df, preserve_index=False).replace_schema_metadata(None)


def _made(name: str, purchases: pa.Table) -> pa.Table:
    """Return the rows of a table that the cells of the template on pandas make of purchases."""
    store = _Store(purchases)
    known: dict[str, object] = {"fe": store, "pd": pd}
    for cell in nbformat.read(TEMPLATES / "leaks.ipynb", 4).cells:
        if cell.source.startswith(("purchases = ", "months = ", PLANTED, "cured", "by_day = ", "made = ")):
            exec(cell.source, known)
    return store.made[name]


def test_each_of_five_planted_leaks_is_named_and_none_that_was_removed() -> None:
    purchases = pl.DataFrame(cdnow.purchases()).filter(pl.col("customer_id") <= 300).to_arrow()
    keys = (["customer_id"], "as_of")
    planted = proof_of(lambda rows: _made("leaks.planted", rows), purchases, *keys)
    assert {leak.feature for leak in planted.leaks} == {
        f"made.{name}" for name in ("month_spend", "gap_days", "biggest", "scaled", "smoothed")
    }
    assert all(leak.source_at > leak.at for leak in planted.leaks)
    cured = proof_of(lambda rows: _made("leaks.cured", rows), purchases, *keys)
    assert (cured.leaks, cured.features) == ((), 5)


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.slow
def test_leaks_are_planted_found_and_removed_as_shipped(project: Path, tmp_path: Path, served: dict[str, str]) -> None:
    purchases = pl.DataFrame(cdnow.purchases()).filter(pl.col("customer_id") <= 600).to_arrow()
    write(project / "fstk-warehouse" / "default" / "transactions", purchases)
    run_command(["new", "leaks"])
    cells = run(project / "leaks.ipynb", tmp_path, served)
    planted, cured = (said(cell) for cell in cells if cell.source.startswith("%%fstk pit"))
    assert "far better at the label's instant than a step earlier" in planted
    assert "far better" not in cured
    [proven] = [said(cell) for cell in cells if cell.source.startswith("%fstk prove")]
    assert "PROVED  nothing changed" in proven
    assert "1,800 labels · 5 leaks planted in leaks.planted, and removed in leaks.cured" in said(cells[-1])


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.nightly
def test_the_proof_that_the_template_tells_of_names_its_five_leaks(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchases = pl.DataFrame(cdnow.purchases()).filter(pl.col("customer_id") <= 600).to_arrow()
    write(project / "fstk-warehouse" / "default" / "transactions", purchases)
    monkeypatch.setenv("PYTHONPATH", str(TEMPLATES.parent))
    run_command(["new", "leaks"])
    prose = "\n".join(cell.source for cell in nbformat.read("leaks.ipynb", 4).cells)
    [told] = re.findall(r"^fstk (prove .*)$", prose, re.MULTILINE)
    proof = run_command(told.split(), {})
    named = {f"leaks.planted.{name}" for name in ("month_spend", "gap_days", "biggest", "scaled", "smoothed")}
    assert {leak.feature for leak in proof.leaks} == named

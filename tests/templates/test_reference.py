"""The reference document runs: its blocks to the character, on real Delta tables, a peer of Cosmos and an endpoint."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fstk.cli.app import run_command
from fstk.verbs.lint import lint
from tests.servers.cosmos import KEY, Peer
from tests.templates.test_templates import TEMPLATES, run, said

COPY = Path(__file__).parent / "feature_store_architecture.md"
DOCUMENT = Path(__file__).parents[3] / "shared" / "seed_feature_store_architecture.md"
NOTEBOOK = TEMPLATES / "azure_architecture.ipynb"
SECRETS = "FSTK_SECRET_KEYVAULT__COSMOS_"
SQL_MAGIC = "%%fstk grant\n"


def cells(kind: str) -> list[Any]:
    return [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == kind]


def test_the_blocks_of_the_document_stand_in_it_unchanged_and_in_order() -> None:
    if DOCUMENT.exists():
        assert COPY.read_text() == DOCUMENT.read_text()
    blocks = re.findall(r"^```(?:python|sql)\n(.*?)\n```", COPY.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    assert [cell.source.removeprefix(SQL_MAGIC) for cell in cells("code")[1:-1]] == blocks


def test_each_block_is_told_what_to_write_today() -> None:
    kinds = [cell.cell_type for cell in nbformat.read(NOTEBOOK, 4).cells]
    assert kinds == ["markdown", "code"] * 11
    assert all("\nToday: " in cell.source for cell in cells("markdown")[1:-1])


def test_lint_names_what_the_document_writes_as_in_older_days() -> None:
    found = {finding.code for finding in lint(None, [str(NOTEBOOK)]).findings if "cell 2," not in finding.where}
    assert found == {
        "column-drift-metric",
        "current-time",
        "model-stage",
        "online-store-spec",
        "range-in-seconds",
        "timestamp-keys",
    }


@pytest.fixture
def with_cosmos(cosmos: Peer) -> dict[str, str]:
    key = f"{SECRETS}KEY_AUTHORIZATION_KEY"
    return {f"{SECRETS}URI": cosmos.uri, key: os.environ[KEY], "REQUESTS_CA_BUNDLE": str(cosmos.authority)}


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.parametrize("runner", ["fstk run", pytest.param("nbmake", marks=pytest.mark.nightly)])
def test_it_runs_to_its_end(
    runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: dict[str, str], with_cosmos: dict[str, str]
) -> None:
    (tmp_path / "fstk.toml").write_text('warehouse = "fstk-warehouse"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FSTK_WAREHOUSE", raising=False)
    run_command(["new", "azure_architecture"])
    notebook = tmp_path / "azure_architecture.ipynb"
    settings = {**served, **with_cosmos}
    if runner == "nbmake":
        run(notebook, tmp_path, settings)
    else:
        program = "import sys; from fstk.cli.app import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", program, "run", str(notebook)],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        [notebook] = (tmp_path / "runs").rglob("azure_architecture.ipynb")
    executed = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    closing = " ".join(said(executed[-1]).split())
    assert re.search(r"\{'predictions': \[\S+\]\}", closing)
    assert re.search(
        r"azure_architecture · done · .* · 190 labels with features · 3,000 scored · 9,481 windowed", closing
    )
    warned = "".join(map(said, executed))
    for word in (
        "timestamp_keys is",
        "one instant in all rows",
        "online_store_spec=",
        "stages of models",
        "rangeBetween",
    ):
        assert word in warned
    assert "GRANT SELECT on feature_store.customer_features: changed" in said(executed[8])

"""The site of docs/ is made without a warning and holds every page, public name and place that is cited."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fstk
from fstk import errors
from fstk.cli.app import verbs
from fstk.errors import FstkError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LISTED = re.findall(r"^- \[.+?\]\(([\w/-]+\.\w+)\)", (DOCS / "index.md").read_text(), flags=re.MULTILINE)


def test_the_first_page_lists_every_other_once() -> None:
    pages = [
        path for folder in (DOCS, DOCS / "api") for path in folder.iterdir() if path.suffix in {".md", ".rst", ".ipynb"}
    ]
    assert sorted(LISTED) == sorted(str(page.relative_to(DOCS)) for page in pages if page.name != "index.md")


def test_every_public_name_has_its_place_in_the_reference() -> None:
    told = [line for page in (DOCS / "api").glob("*.rst") for line in page.read_text().splitlines()]
    named = [line.partition(":: ")[2] for line in told if line.startswith(".. auto")]
    assert len(set(named)) == len(named)
    assert {f"fstk.{name}" for name in fstk.__all__} <= set(named)


def test_help_begins_with_every_public_name() -> None:
    assert set(fstk.__all__) <= set(re.findall(r"``(\w+)``", fstk.__doc__ or ""))


def test_exit_codes_of_the_grammar_are_those_of_the_errors() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", (DOCS / "cli.md").read_text(), flags=re.MULTILINE)}
    raised = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, FstkError)}
    assert raised | {0, 130, 138} == told


@pytest.mark.slow
def test_the_site_is_made_without_a_warning(tmp_path: Path) -> None:
    making = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    making += ["-D", "nb_execution_mode=off", str(DOCS), str(tmp_path / "site")]  # tests/notebook/test_tour.py executes
    done = subprocess.run(making, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first = (tmp_path / "site" / "index.html").read_text()
    assert [page for page in LISTED if f'href="{page.partition(".")[0]}.html"' not in first] == []
    assert 'href="../rules.html#join-11"' in (tmp_path / "site" / "api" / "training.html").read_text()
    reference = (tmp_path / "site" / "cli.html").read_text()
    assert [verb for verb in verbs() if f'<section id="fstk-{verb}">' not in reference] == []
    assert "Usage: fstk windows [OPTIONS] {TABLE}" in reference
    assert "Whose clocks the times of a frame show" in reference
    assert '<a id="join-11"></a>' in (tmp_path / "site" / "rules.html").read_text()
    assert (
        '<dt class="sig sig-object py" id="fstk.prove">' in (tmp_path / "site" / "api" / "monitoring.html").read_text()
    )

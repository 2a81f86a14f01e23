"""The pages of docs/ and the examples beside the code say what happens."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
WRITING = [page for page in PAGES if "fe.create_table(" in page.read_text()]
ROOMS = ("columns", "jobs", "windows")
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (
        ROOT / "fstk" / "display.py",
        ROOT / "fstk" / "journal.py",
        *(path for room in ROOMS for path in sorted((ROOT / "fstk" / room).glob("*.py"))),
    )
    if ">>> " in path.read_text()
]


def run(example: doctest.DocTest) -> None:
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.spark if page in WRITING else (), id=page.stem) for page in PAGES]
)
@pytest.mark.usefixtures("warehouse")
def test_every_snippet_of_a_page_answers_as_written(page: Path, request: pytest.FixtureRequest) -> None:
    if page in WRITING:
        request.getfixturevalue("spark")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    others = {"sql", "bash", "json"}  # which tests/online/test_postgres.py and tests/serving run
    assert {language for language, _ in blocks} <= {"python", *others}
    python = [text for language, text in blocks if language == "python"]
    assert all(text.startswith(">>> ") for text in python)
    run(doctest.DocTestParser().get_doctest("\n".join(python), {}, page.name, str(page), 0))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_the_files_that_it_names_are_there(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= 120
    named = re.findall(r"`((?:tests|fstk|docs)/[^`]*)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_beside_the_code_answer_as_written(module: str) -> None:
    for example in doctest.DocTestFinder().find(importlib.import_module(module)):
        run(example)

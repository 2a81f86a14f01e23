"""The pages of docs/ and the examples beside the code say what happens."""

from __future__ import annotations

import configparser
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import typer
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from fstk.cli.app import app, run_command

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
STARTING = ("fe.create_table(", "spark = fstk.connect()")
WRITING = [page for page in PAGES if any(call in page.read_text() for call in STARTING)]
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


def _blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _texts(page: str, language: str) -> list[str]:
    return [text for one, text in _blocks(ROOT / "docs" / f"{page}.md") if one == language]


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
    blocks = _blocks(page)
    # those that tests/online/test_postgres.py and tests/serving run, and those that are read below
    others = {"sql", "bash", "json", "text", "ini", "yaml"}
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
    for path, _, test in (name.partition("::") for name in named):
        assert (ROOT / path).exists(), path
        assert not test or re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), test


def _anchors(page: Path) -> set[str]:
    """What a link may end in: the ids of a page, and its headings as GitHub and the site spell them."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {
        *re.findall(r'<a id="([^"]+)">', text),
        *(re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings),
    }


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_a_link_leads_to_what_is_there(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, place = link.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), link
        assert not place or place in _anchors(linked), link


def test_a_word_of_the_glossary_has_one_place() -> None:
    words = re.findall(
        r'^- <a id="(.+)"></a>\*\*(.+?)\*\*: ', (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
    )
    assert len({place for place, _ in words}) == len(words) >= 25
    assert [word for place, word in words if place != word.replace(" ", "-")] == []


def test_every_rule_has_a_place_and_names_its_test_beside_the_link_to_it() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    numbered = re.findall(r"^\d+\. ", text, flags=re.MULTILINE)
    rules = re.findall(
        r'^(\d+)\. <a id="[a-z]+-(\d+)"></a>.+\n   \[`(.+)::test_\w+`\]\(\.\./(.+)\)$', text, flags=re.MULTILINE
    )
    assert len(rules) == len(numbered) > 40
    assert all(number == place and named == linked for number, place, named, linked in rules)


def test_what_cites_a_rule_points_to_its_place() -> None:
    rules = _anchors(ROOT / "docs" / "rules.md")
    folders = ("fstk", "tests", "bench", "docs", "notebooks", "templates")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.suffix in {".py", ".md", ".ipynb"}
    ]
    texts = {path: path.read_text() for path in files if path != Path(__file__)}
    cited = [(path.name, place) for path, text in texts.items() for place in re.findall(r"rules\.md#([\w-]+)", text)]
    assert len(cited) > 20
    assert [(name, place) for name, place in cited if place not in rules] == []
    otherwise = re.compile(r"\bRULES\b|\b[Rr]ules? \d+\b")
    assert [(path.name, found) for path, text in texts.items() for found in otherwise.findall(text)] == []


def _commands() -> list[str]:
    """Every line of a page that calls fstk, without what a shell does around it."""
    lines = [line for page in PAGES for one, text in _blocks(page) if one == "bash" for line in text.splitlines()]
    return sorted({line.split(" #")[0].rstrip(" &") for line in lines if line.startswith("fstk ")})


@pytest.mark.parametrize("command", _commands())
def test_a_command_of_a_page_is_of_the_grammar(command: str) -> None:
    _, *words = command.split()
    group = typer.main.get_command(app)
    if words != ["--version"]:
        [verb, *rest] = words
        group.commands[verb].make_context(verb, rest)  # pyright: ignore[reportAttributeAccessIssue]


def test_the_workflow_of_a_page_is_the_one_that_a_project_gets() -> None:
    [shown] = _texts("ci", "yaml")
    assert shown == (ROOT / "templates" / "project" / "workflows" / "notebooks.yml").read_text()
    commands = [step["run"] for step in yaml.safe_load(shown)["jobs"]["notebooks"]["steps"] if "run" in step]
    assert _texts("ci", "bash") == ["\n".join([*commands, ""])]


@pytest.fixture
def scheduled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose job features only tells its logical date."""
    monkeypatch.chdir(tmp_path)
    run_command(["init"])
    cells = [
        new_code_cell('from datetime import date\n\nas_of: date = "2024-01-01"', metadata={"tags": ["parameters"]}),
        new_code_cell("import fstk\n\njob = fstk.job()"),
        new_code_cell("job.done(rows=1)"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "features.ipynb")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    return tmp_path


@pytest.mark.slow
def test_the_lines_of_schedules_run_as_cron_and_systemd_run_them(scheduled: Path) -> None:
    def as_scheduled(line: str) -> subprocess.CompletedProcess[str]:
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(scheduled), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            ["/bin/sh", "-c", line], cwd=scheduled, env=bare, capture_output=True, text=True, timeout=120, check=False
        )

    [crontab] = _texts("schedules", "text")
    minute, hour, day, month, weekday, line = crontab.strip().split(" ", 5)
    assert (minute, hour, day, month, weekday) == ("0", "4", "*", "*", "*")
    done = as_scheduled(line.replace("\\%", "%").replace("/srv/features", str(scheduled)))
    assert done.returncode == 0, (scheduled / "cron.log").read_text()
    service, timer = (configparser.RawConfigParser(strict=True) for _ in range(2))
    for parser, text in zip((service, timer), _texts("schedules", "ini"), strict=True):
        parser.read_string(text)
    assert timer["Timer"]["OnCalendar"] == "*-*-* 04:00:00 UTC"
    done = as_scheduled(service["Service"]["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert done.returncode == 0, done.stderr
    assert "done before" in done.stdout  # by the line of cron
    [workflow] = _texts("schedules", "yaml")
    assert yaml.safe_load(workflow)["jobs"]["features"]["steps"][-1]["run"].endswith("-p as_of=$(date -u +%F) --resume")


@pytest.mark.parametrize("module", MODULES)
def test_examples_beside_the_code_answer_as_written(module: str) -> None:
    for example in doctest.DocTestFinder().find(importlib.import_module(module)):
        run(example)

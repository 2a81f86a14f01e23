"""The contract cases: files beside this one, and those of every ``--cases FOLDER``."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATABRICKS

if DATABRICKS is None:  # in the environment of databricks-connect there are no clients of stores
    from tests.stores import share, spec, store  # noqa: F401  fixtures

HERE = Path(__file__).parent
_folders: list[Path] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        action="append",
        default=[],
        metavar="FOLDER",
        help="also run every pit*.json and window*.json of FOLDER",
    )


def pytest_configure(config: pytest.Config) -> None:
    _folders[:] = [HERE]
    for name in config.getoption("--cases", default=[]) or ():
        folder = Path(name).absolute()
        if not any((*folder.glob("pit*.json"), *folder.glob("window*.json"))):
            raise pytest.UsageError(f"--cases {name}: no pit*.json or window*.json there.")
        if folder not in _folders:
            _folders.append(folder)


def case_files(kind: str) -> list[Path]:
    """Return the files ``{kind}*.json`` of this folder and of those named by ``--cases``."""
    return sorted(path for folder in _folders or [HERE] for path in folder.glob(f"{kind}*.json"))


def load_cases(kind: str, transport: Container[str]) -> list[Any]:
    """Return every case of every file as a parameter, called by its file and name; those of our own that ``transport``
    names, and all that others bring, are run over Connect on every push."""
    found = []
    for path in case_files(kind):
        content = json.loads(path.read_text(encoding="utf-8"))
        for case in content["cases"] if isinstance(content, dict) else content:
            ours = path.parent == HERE
            marks = [] if ours and case["name"] not in transport else [pytest.mark.transport]
            found.append(pytest.param(case, id=case["name"] if ours else f"{path.stem}-{case['name']}", marks=marks))
    return found

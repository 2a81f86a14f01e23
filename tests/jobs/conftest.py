"""Projects of small notebooks, run by the real command in a process of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

CLOSE = "import fstk\njob = fstk.job()", "job.done(rows=1)"


def notebook(path: Path, *cells: str, declaration: str | None = None) -> Path:
    """Write a notebook of code cells; ``declaration`` becomes its first cell, tagged ``parameters``."""
    tagged = [] if declaration is None else [(declaration, ["parameters"])]
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": tags},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, (source, tags) in enumerate([*tagged, *((cell, []) for cell in cells)])
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


class Project:
    """A project's folder, and ``fstk`` typed in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def notebook(self, name: str, *cells: str, declaration: str | None = None) -> Path:
        """A notebook of these cells between the one that opens the job and the one that closes it."""
        opening, closing = CLOSE
        return notebook(self.root / name, opening, *cells, closing, declaration=declaration)

    def bare(self, name: str, *cells: str, declaration: str | None = None) -> Path:
        """A notebook of exactly these cells."""
        return notebook(self.root / name, *cells, declaration=declaration)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Type ``fstk ARGUMENTS`` and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-c", "import sys; from fstk.cli.app import main; sys.exit(main())", *arguments],
            cwd=self.root,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fstk(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Type ``fstk ARGUMENTS`` and wait for it to end."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def records(self, job: str) -> dict[str, dict[str, Any]]:
        """The records of a job's tasks, as any JSON reader sees them."""
        return {path.stem: json.loads(path.read_text()) for path in (self.root / "runs" / job).glob("*/*.json")}

    def executed(self, job: str, task: str) -> list[dict[str, Any]]:
        """The code cells of an executed notebook."""
        (path,) = (self.root / "runs" / job).glob(f"*/{task}.ipynb")
        return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, with the settings of no other."""
    for name in [name for name in os.environ if name.startswith("FSTK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "fstk.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def job_file(project: Project) -> Callable[[str], Path]:
    """Writes the project's ``databricks.yml``."""

    def write(text: str) -> Path:
        path = project.root / "databricks.yml"
        path.write_text(text)
        return path

    return write


def printed(cells: Sequence[dict[str, Any]]) -> str:
    """Everything that the cells wrote to their standard output."""
    outputs = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "stream"]
    return "".join("".join(output["text"]) for output in outputs if output["name"] == "stdout")


def told(pipe: Path) -> str:
    """What a notebook writes into a named pipe, within a minute."""
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ready, _, _ = select.select([reader], [], [], 60)
        assert ready, f"nothing was written into {pipe}"
        return os.read(reader, 100).decode()
    finally:
        os.close(reader)

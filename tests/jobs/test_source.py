"""Notebooks and names that cannot be run are refused in one sentence before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fstk.errors import InvalidInput, UnknownName
from fstk.jobs.plan import plan_run
from fstk.jobs.source import read_notebook

from .conftest import Project


def content(*cells: Any, **metadata: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


def code(source: Any = "1", **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, **more}


def declared(source: str) -> dict[str, Any]:
    return content(code(source, metadata={"tags": ["parameters"]}))


DAMAGED: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"nbformat": 4, "cells": [], "x": "\xff"}',
    "deep": b'{"nbformat": 4, "cells": ' + b"[" * 100_000,
    "a list": [],
    "format 3": {"nbformat": 3, "worksheets": []},
    "later format": {**content(), "nbformat": 5},
    "no cells": {"nbformat": 4},
    "cells that are numbers": content(1, 2),
    "cells that are nothing": {**content(), "cells": None},
    "a cell of no type": content({"source": ""}),
    "tags that are a number": content(code(metadata={"tags": 5})),
    "tags of numbers": content(code(metadata={"tags": [5]})),
    "no metadata of a cell": content(code(metadata=None)),
    "metadata that are a list": content(code(metadata=[])),
    "metadata of the notebook that are a list": {**content(code()), "metadata": []},
    "no source": content(code(None)),
    "a source that is a number": content(code(7)),
    "lines that are numbers": content(code([7])),
    "half a letter": b'{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "code", "source": "\\ud800"}]}',
    "half a letter in prose": b'{"nbformat": 4, "metadata": {"x": "\\ud800"}, "cells": []}',
    "a deep default": declared("x: int = " + "-" * 100_000 + "1"),
    "a deep list": declared("x: int = " + "[" * 10_000),
    "a default of no use": declared("x: int = {[]: 1}"),
    "a type that is cut": declared("x: 'int +' = 1"),
    "a deep text of a type": declared(f"x: {'(' * 5_000!r} = 1"),
    "two declarations": content(*declared("x: int = 1")["cells"] * 2),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_notebook_is_one_sentence(tmp_path: Path, damage: str) -> None:
    found = DAMAGED[damage]
    (tmp_path / "n.ipynb").write_bytes(found if isinstance(found, bytes) else json.dumps(found).encode())
    with pytest.raises(InvalidInput) as raised:
        read_notebook(tmp_path / "n.ipynb")
    assert "n.ipynb" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_what_a_notebook_may_leave_out(tmp_path: Path) -> None:
    bare = {"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a = ", "1"]}, {"cell_type": "markdown"}]}
    (tmp_path / "n.ipynb").write_text(json.dumps(bare))
    cells = read_notebook(tmp_path / "n.ipynb").content["cells"]
    assert cells == [
        {"cell_type": "code", "source": "a = 1", "metadata": {}, "outputs": [], "execution_count": None},
        {"cell_type": "markdown", "source": "", "metadata": {}},
    ]
    alike = [{"cell_type": "code", "metadata": {}, **one} for one in ({"id": "a"}, {"id": "a"}, {}, {"id": "cell-1"})]
    (tmp_path / "n.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": alike}))
    content = read_notebook(tmp_path / "n.ipynb").content
    assert [cell["id"] for cell in content["cells"]] == ["a", "cell-2", "cell-3", "cell-1"]
    nbformat.reads(json.dumps(content), as_version=4)  # a warning would be an error
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(InvalidInput, match="Is a directory"):
        read_notebook(tmp_path / "folder.ipynb")


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}, "R"),
        ({"kernelspec": {"name": "ir", "display_name": "R"}}, "R"),
        ({"kernelspec": {"name": "julia-1.9"}}, "Julia"),
        ({"language_info": {"name": "scala"}}, "scala"),
        ({"kernelspec": {"name": "mine", "language": "bash"}, "language_info": None}, "bash"),
        ({"application/vnd.databricks.v1+notebook": {"language": "sql"}}, "sql"),
        ({"kernelspec": {"name": "python3", "language": "python"}, "language_info": {"name": "python"}}, ""),
        ({"kernelspec": {"name": "conda-env-r-py"}, "language_info": {"name": "Python"}}, ""),
        ({"kernelspec": {"name": "mine"}}, ""),
        ({}, ""),
    ],
)
def test_a_notebook_in_another_language_is_refused(tmp_path: Path, metadata: dict[str, Any], language: str) -> None:
    (tmp_path / "n.ipynb").write_text(json.dumps(content(code("x <- 1"), **metadata)))
    if not language:
        read_notebook(tmp_path / "n.ipynb")
        return
    with pytest.raises(InvalidInput, match=rf"is a notebook in {language}; fstk run executes notebooks in Python"):
        read_notebook(tmp_path / "n.ipynb")


def test_notebooks_of_one_name_are_several_jobs(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    jobs = set()
    for folder in (project.root, project.root / "a", project.root / "b", project.root / "a" / "a", outside):
        (folder / "daily.ipynb").parent.mkdir(exist_ok=True)
        (folder / "daily.ipynb").write_text(json.dumps(content(code())))
        plan = plan_run(str(folder / "daily.ipynb"), {}, project.root)
        assert [task.key for task in plan.tasks] == ["daily"]
        jobs.add(plan.job)
    assert jobs > {"daily", "a/daily", "b/daily", "a/a/daily"}
    assert len(jobs) == 5
    assert not any(job.startswith(("/", ".")) or ".." in job for job in jobs)


@pytest.mark.parametrize(
    "name", ["...ipynb", ".ipynb", "..ipynb", ".part-x.ipynb", "a\nb.ipynb", " .ipynb", "\x07.ipynb"]
)
def test_a_notebook_whose_name_is_no_records_name_is_refused(project: Project, name: str) -> None:
    (project.root / name).write_text(json.dumps(content(code())))
    with pytest.raises(InvalidInput, match=r"cannot be run.*Nothing was started"):
        plan_run(name, {}, project.root)


@pytest.mark.parametrize("name", ["a\0.ipynb", "n" * 300 + ".ipynb", "no.ipynb", "", ".", "/", "a\0b", "n" * 300])
def test_what_is_not_there_is_said(project: Project, name: str) -> None:
    with pytest.raises(InvalidInput, match="Nothing was started"):
        plan_run(name, {}, project.root)


@pytest.mark.parametrize(
    "name", ["../../up", "..", ".", "/tmp/up", "a/b", "a\\b", "a\0b", "a\nb", "n" * 300, "", " a", "ä"]
)
def test_a_job_whose_name_leaves_the_folder_of_runs_is_refused(
    project: Project, job_file: Callable[[str], Path], name: str
) -> None:
    project.notebook("n.ipynb")
    task = {"task_key": "t", "notebook_task": {"notebook_path": "n.ipynb"}}
    job_file(json.dumps({"resources": {"jobs": {name: {"tasks": [task]}}}}))
    with pytest.raises(InvalidInput, match="a job cannot be called"):
        plan_run(name, {}, project.root)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("resources: " + "[" * 3_000, id="deep lists"),
        pytest.param("resources: " + "{a: " * 3_000, id="deep maps"),
        "a: 2024-13-45",
        "a: &a [*a]\nresources: *a",
        "\0",
        "a: !!python/object:os.system x",
        "? [a]\n: b",
        "- 1",
        "resources: {jobs: {1: {}}}",
    ],
)
def test_a_damaged_bundle_is_one_sentence(project: Project, job_file: Callable[[str], Path], text: str) -> None:
    job_file(text)
    with pytest.raises(InvalidInput, match=r"databricks.yml") as raised:
        plan_run("j", {}, project.root)
    assert not isinstance(raised.value, UnknownName)
    assert len(str(raised.value).splitlines()) == 1

"""``fstk init``, ``fstk new job`` and ``fstk new bundle``: a project of one's own, another job in it, and the job of
notebooks that are there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fstk import settings
from fstk.display import Displayed, Sheet, short_path
from fstk.errors import InvalidInput
from fstk.jobs import bundle
from fstk.jobs.parameters import Parameter, portable
from fstk.jobs.plan import LOGICAL_DATE
from fstk.jobs.source import NotebookSource, read_notebook
from fstk.verbs.new import shipped

_JOB = "features"  # of a new project
_NOTEBOOK = "first_features.ipynb"
_RESOURCES = "resources"
_NOTEBOOKS = "notebooks"
_FILES = {
    "fstk.toml": "fstk.toml",
    "databricks.yml": "databricks.yml",
    "gitignore": ".gitignore",
    "pytest.ini": "pytest.ini",
    "data/example.csv": "data/example.csv",
    "workflows/notebooks.yml": ".github/workflows/notebooks.yml",
}
"""What a project begins with: name among the templates → name in the project."""


@dataclass(frozen=True, repr=False)
class Made(Displayed):
    """Files that were made in ``folder``, and what to type next."""

    folder: Path
    files: tuple[str, ...]
    next: tuple[str, ...]

    def display(self) -> Sheet:
        here = short_path(self.folder)
        return Sheet(f"{here} · made: {', '.join(self.files)}", (), (), [f"next: {'   ·   '.join(self.next)}"])


def init(folder: str) -> Made:
    """Make a project in a folder, which may have other files; InvalidInput: one of the project's is there already."""
    root = Path(folder).expanduser().absolute()
    wanted = [*_FILES.values(), *_job_files(_JOB)]
    there = next((name for name in wanted if (root / name).exists()), None)
    if there is not None:
        raise InvalidInput(f"{root / there} is there already: a project is made once. Nothing was written.")
    try:
        for name, place in _FILES.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shipped() / "project" / name, root / place)
    except OSError as error:
        raise InvalidInput(f"{root} cannot be written: {error.strerror}.") from error
    _add_job(root, _JOB)
    go = [] if root == Path.cwd() else [f"cd {short_path(root)}"]
    steps = [*go, f"jupyter lab notebooks/{_JOB}.ipynb", f"fstk run {_JOB}", "pytest"]
    return Made(root, tuple(wanted), tuple(steps))


def new_job(name: str | None) -> Made:
    """Add a job to this project: a notebook, and its description for ``fstk run`` and Databricks. InvalidInput: no
    name, one that is taken, or no project that includes jobs' files."""
    name = _checked_name(name, "fstk new job")
    root = settings.root()
    described = root / bundle.FILE
    if not described.is_file() or f"{_RESOURCES}/*.yml" not in described.read_text(encoding="utf-8"):
        raise InvalidInput(
            f"{described} is not there, or does not include {_RESOURCES}/*.yml.   Make a project: fstk init"
        )
    there = next((one for one in _job_files(name) if (root / one).exists()), None)
    if there is not None or name in bundle.read_bundle(described):
        raise InvalidInput(f"there is a job {name} already ({there or described}); give another name.")
    _add_job(root, name)
    return Made(root, _job_files(name), (f"jupyter lab notebooks/{name}.ipynb", f"fstk run {name}"))


def _job_files(name: str) -> tuple[str, str]:
    return f"{_NOTEBOOKS}/{name}.ipynb", f"{_RESOURCES}/{name}.yml"


def _add_job(root: Path, name: str) -> None:
    notebook = root / _job_files(name)[0]
    notebook.parent.mkdir(exist_ok=True)
    shutil.copyfile(shipped() / _NOTEBOOK, notebook)
    _describe(root, name, [read_notebook(notebook)], of_the_job={LOGICAL_DATE})  # the others are edited there


def new_bundle(name: str | None) -> Made:
    """Describe this project's notebooks, those of ``notebooks/`` or else of its own folder, as one job: a task each, by
    name, each after the one before. InvalidInput: something is described already, a notebook cannot be read, there is
    none, or two would be one task."""
    root = settings.root()
    name = name or re.sub(r"\W", "_", root.name, flags=re.ASCII)
    _checked_name(name, "fstk new bundle")
    files = (bundle.FILE, _job_files(name)[1])
    there = next((one for one in files if (root / one).exists()), None)
    if there is not None:
        raise InvalidInput(f"{root / there} is there already. Nothing was written.   Add a job: fstk new job NAME")
    folder = root / _NOTEBOOKS if (root / _NOTEBOOKS).is_dir() else root
    notebooks = [read_notebook(path) for path in sorted(folder.glob("*.ipynb"))]
    keys = [_task_key(notebook) for notebook in notebooks]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if not notebooks or twice:
        why = f"two notebooks in {folder} would be the task {twice}" if twice else f"there is no notebook in {folder}"
        raise InvalidInput(f"{why}. Nothing was written.")
    text = (shipped() / "project" / bundle.FILE).read_text(encoding="utf-8")
    (root / bundle.FILE).write_text(text.replace("my_features", name), encoding="utf-8")
    declared = {key for notebook in notebooks for key in notebook.declaration.names}
    _describe(root, name, notebooks, of_the_job=declared)
    return Made(root, files, (f"fstk run {name}", "databricks bundle deploy"))


def _describe(root: Path, name: str, notebooks: Sequence[NotebookSource], of_the_job: set[str]) -> None:
    """Write the description of a job that runs the notebooks in this order. What they declare ``of_the_job`` becomes
    its parameters, but for those whose defaults differ: there each task keeps its own."""
    described = root / _job_files(name)[1]
    described.parent.mkdir(exist_ok=True)
    text = (shipped() / "project" / _RESOURCES / "job.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text.replace("JOB", name))
    job = content["resources"]["jobs"][name]
    defaults: dict[str, set[str]] = {}
    declared = {notebook.path: _declared(notebook, of_the_job) for notebook in notebooks}
    for parameter in (one for parameters in declared.values() for one in parameters):
        defaults.setdefault(parameter.name, set()).update([] if parameter.required else [_widget(parameter)])
    shared = {key: next(iter(values), "") for key, values in defaults.items() if len(values) < 2}
    job["parameters"] = [{"name": key, "default": default} for key, default in shared.items()]
    [pattern], job["tasks"] = job["tasks"], []
    for notebook in notebooks:
        path = Path(os.path.relpath(notebook.path, described.parent)).as_posix()
        given = {
            one.name: f"{{{{job.parameters.{one.name}}}}}" if one.name in shared else _widget(one)
            for one in declared[notebook.path]
            if one.name in shared or not one.required
        }
        after = {"depends_on": [{"task_key": job["tasks"][-1]["task_key"]}]} if job["tasks"] else {}
        own = {"notebook_task": {"notebook_path": path, "base_parameters": given}}
        job["tasks"].append({**pattern, "task_key": _task_key(notebook), **after, **own})
    described.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _declared(notebook: NotebookSource, names: set[str]) -> list[Parameter]:
    return [parameter for parameter in notebook.declaration.parameters if parameter.name in names]


def _task_key(notebook: NotebookSource) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", notebook.path.stem)[:100]


def _widget(parameter: Parameter) -> str:
    """Return a default as the text of a widget; empty is none."""
    (default,) = portable({parameter.name: parameter.default}).values()
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _checked_name(name: str | None, command: str) -> str:
    if name is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise InvalidInput(f"{command} takes a NAME of letters, digits and _, as in: {command} weekly_labels")
    return name

"""What a run will do, worked out and checked before any kernel starts."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fstk.display import Displayed, Sheet
from fstk.errors import InvalidInput
from fstk.jobs.bundle import job_named
from fstk.jobs.parameters import portable
from fstk.jobs.retries import Retries
from fstk.jobs.scrubber import Scrubber
from fstk.jobs.source import NotebookSource, read_notebook
from fstk.secret import Secret

LOGICAL_DATE = "as_of"
"""The parameter that is a run's logical date."""
_UNTOUCHED = "Nothing was started."


@dataclass(frozen=True)
class PlannedTask:
    """One notebook: ``given`` is what is written into it, ``parameters`` all, both as JSON, ``values`` all, typed; an
    attempt may take ``timeout_seconds``, 0 is without limit."""

    key: str
    notebook: NotebookSource
    depends_on: tuple[str, ...]
    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    values: Mapping[str, Any]
    scrubber: Scrubber
    retries: Retries = field(default_factory=Retries)
    timeout_seconds: int = 0


@dataclass(frozen=True, repr=False)
class RunPlan(Displayed):
    """A job, its logical date (ISO text), and its tasks in the order they run; all of it may take ``timeout_seconds``,
    0 is without limit."""

    job: str
    logical_date: str
    command: str
    tasks: tuple[PlannedTask, ...]
    timeout_seconds: int = 0

    def display(self) -> Sheet:
        rows = [
            (task.key, ", ".join(task.depends_on), ", ".join(f"{n}={v}" for n, v in task.parameters.items()))
            for task in self.tasks
        ]
        return Sheet(f"job {self.job} · {self.logical_date}", ("task", "after", "parameters"), rows)


def plan_run(name: str, parameters: Mapping[str, Any], root: Path) -> RunPlan:
    """Return what ``fstk run NAME`` will do: a notebook's path, or a job of the project's ``databricks.yml``.

    Raises UnknownName, BadParameter or another InvalidInput, and Infrastructure when a secret's store did not answer.
    """
    try:
        plan = _notebook if name.endswith(".ipynb") else _job
        job, tasks, timeout_seconds = plan(name, parameters, root)
        date_ = _logical_date(tasks)
    except InvalidInput as error:
        raise type(error)(f"{error} {_UNTOUCHED}") from error
    return RunPlan(job, date_, _command(name, parameters), tuple(tasks), timeout_seconds)


def _notebook(name: str, parameters: Mapping[str, Any], root: Path) -> tuple[str, list[PlannedTask], int]:
    path = Path(os.path.realpath(name)) if "\0" not in name else Path(name)
    key = path.name.removesuffix(".ipynb")
    if key.startswith((".", " ")) or not key or not key.isprintable():
        raise InvalidInput(f"a notebook called {path.name!r} cannot be run: its name is that of its record.")
    if path.is_relative_to(root.resolve()):
        job = path.relative_to(root.resolve()).with_name(key)
        with suppress(InvalidInput):  # there is no bundle, or none that can be read: no job is in the way
            job = job.with_name(path.name) if job_named(job.as_posix(), root) else job
    else:  # another of its name may lie in another folder
        job = Path(f"{key[:200]}-{hashlib.sha256(bytes(path.parent)).hexdigest()[:8]}")
    return job.as_posix(), [_task(key, read_notebook(path), (), parameters)], 0


def _job(name: str, parameters: Mapping[str, Any], root: Path) -> tuple[str, list[PlannedTask], int]:
    spec = job_named(name, root)
    tasks = []
    for task in spec.tasks:
        notebook = read_notebook(task.notebook)
        given = spec.task_parameters(task, parameters, notebook.declaration.names)
        try:
            planned = _task(task.key, notebook, task.depends_on, given)
        except InvalidInput as error:
            raise type(error)(f"task {task.key}: {error}") from error
        tasks.append(replace(planned, retries=task.retries, timeout_seconds=task.timeout_seconds))
    return spec.name, tasks, spec.timeout_seconds


def _task(key: str, notebook: NotebookSource, after: tuple[str, ...], given: Mapping[str, Any]) -> PlannedTask:
    values = notebook.declaration.read(given)
    every = portable(values)
    scrubber = Scrubber(value for value in values.values() if isinstance(value, Secret))
    return PlannedTask(key, notebook, after, {name: every[name] for name in given}, every, values, scrubber)


def _logical_date(tasks: list[PlannedTask]) -> str:
    declared = [task.values[LOGICAL_DATE] for task in tasks if LOGICAL_DATE in task.values]
    if not declared:
        return datetime.now(UTC).date().isoformat()
    day = declared[0]
    if not isinstance(day, date):
        wanted = "so it must be declared as a date, with a value"
        raise InvalidInput(f"{LOGICAL_DATE} is the logical date of the run, {wanted}.")
    # a colon cannot stand in a file name everywhere
    return f"{day:%Y-%m-%dT%H%M%SZ}" if isinstance(day, datetime) else day.isoformat()


def _command(name: str, parameters: Mapping[str, Any]) -> str:
    given = [f"-p {shlex.quote(f'{key}={value}')}" for key, value in parameters.items()]
    return " ".join(["fstk run", shlex.quote(name), *given])

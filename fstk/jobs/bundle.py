"""The jobs of ``databricks.yml``: what Databricks deploys, ``fstk run`` runs, with the same order and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fstk.errors import BadParameter, InvalidInput, UnknownName, nearest
from fstk.jobs.retries import Retries

FILE = "databricks.yml"
_JOB = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}")
_REFERENCE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_JOB_PARAMETER = re.compile(r"job\.parameters\.([A-Za-z_][A-Za-z0-9_]*)")


def _text(value: Any) -> Any:
    # Databricks passes every parameter as text; YAML reads 7, true and 1998-03-31 as something else
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]


class _Part(BaseModel):
    # the bundle says much that only a deployment needs: clusters, schedules, permissions
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Notebook(_Part):
    notebook_path: str
    base_parameters: dict[str, Text] = Field(default_factory=dict)


class _Dependency(_Part):
    task_key: str


class _Task(_Part):
    task_key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    notebook_task: _Notebook
    depends_on: list[_Dependency] = Field(default_factory=list)
    run_if: str = Field(default="ALL_SUCCESS", pattern="^ALL_SUCCESS$")
    max_retries: int = Field(default=0, ge=-1)
    min_retry_interval_millis: int = Field(default=0, ge=0)
    retry_on_timeout: bool = False
    timeout_seconds: int = Field(default=0, ge=0)


class _JobParameter(_Part):
    name: str
    default: Text


class _Job(_Part):
    tasks: list[_Task] = Field(min_length=1)
    parameters: list[_JobParameter] = Field(default_factory=list)
    timeout_seconds: int = Field(default=0, ge=0)


class _Resources(_Part):
    jobs: dict[str, _Job] = Field(default_factory=dict)


class _Bundle(_Part):
    resources: _Resources = Field(default_factory=_Resources)
    include: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class TaskSpec:
    """One notebook of a job; ``parameters`` may refer to the job's as ``{{job.parameters.NAME}}``; an attempt may take
    ``timeout_seconds``, 0 is without limit."""

    key: str
    notebook: Path
    parameters: Mapping[str, str]
    depends_on: tuple[str, ...]
    retries: Retries
    timeout_seconds: int


@dataclass(frozen=True)
class JobSpec:
    """A job: its parameters with their defaults, all text, and its tasks, each after those it depends on; a run may
    take ``timeout_seconds``, 0 is without limit."""

    name: str
    parameters: Mapping[str, str]
    tasks: tuple[TaskSpec, ...]
    timeout_seconds: int

    def task_parameters(self, task: TaskSpec, given: Mapping[str, Any], declared: list[str]) -> dict[str, str]:
        """Return what ``task`` is given, as Databricks does it: its own parameters with references resolved, over
        them the job's parameters that its notebook declares; raises BadParameter, InvalidInput."""
        for name in given:
            if name not in self.parameters:
                raise BadParameter(f"job {self.name} has no parameter {name!r}.{nearest(name, self.parameters)}")
        values = {**self.parameters, **{name: _text(value) for name, value in given.items()}}
        own = {name: self._resolved(text, values, task) for name, text in task.parameters.items()}
        return own | {name: value for name, value in values.items() if name in declared}

    def _resolved(self, text: str, values: Mapping[str, str], task: TaskSpec) -> str:
        def value(reference: re.Match[str]) -> str:
            name = _JOB_PARAMETER.fullmatch(reference[1])
            if name is None or name[1] not in values:
                known = nearest(reference[1].rpartition(".")[2], self.parameters)
                raise InvalidInput(
                    f"{FILE}: job {self.name}, task {task.key}: {reference[0]} is not a parameter of the job.{known}"
                )
            return values[name[1]]

        return _REFERENCE.sub(value, text)


def read_bundle(path: Path) -> dict[str, JobSpec]:
    """Return the jobs of a Databricks Asset Bundle by name, those of the files that it includes too; notebook paths are
    read against the folder of their file. Raises InvalidInput: one cannot be read, two jobs have one name, or a job is
    not made of notebook tasks that can be put in an order."""
    bundle = _read(path)
    jobs = {name: _job(name, job, path.parent) for name, job in bundle.resources.jobs.items()}
    for included in sorted({file for pattern in bundle.include for file in path.parent.glob(pattern)}):
        for name, job in _read(included).resources.jobs.items():
            if name in jobs:
                raise InvalidInput(f"{included}: there is a job {name} already.")
            jobs[name] = _job(name, job, included.parent)
    return jobs


def _read(path: Path) -> _Bundle:
    try:
        return _Bundle.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{path}: {place}: {first['msg']}; fstk run runs notebook tasks.") from error
    except (yaml.YAMLError, ValueError) as error:  # YAML's own dates and numbers may be none
        raise InvalidInput(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise InvalidInput(f"{path} is nested too deeply.") from error


def job_named(name: str, root: Path) -> JobSpec:
    """Return one job of the project's bundle; raises UnknownName, and InvalidInput as :func:`read_bundle`."""
    path = root / FILE
    if not path.is_file():
        hint = "A notebook is run by its file name, which ends in .ipynb."
        raise UnknownName(f"no job {name}: there is no {FILE} in {root}. {hint}")
    jobs = read_bundle(path)
    if name not in jobs:
        raise UnknownName(f"no job {name} in {FILE}.{nearest(name, jobs)}")
    return jobs[name]


def _job(name: str, job: _Job, folder: Path) -> JobSpec:
    if not _JOB.fullmatch(name):  # it is the name of a folder, too
        raise InvalidInput(f"{FILE}: a job cannot be called {name[:80]!r}: up to 100 letters, digits, _ and -.")
    tasks = [
        TaskSpec(
            task.task_key,
            folder / task.notebook_task.notebook_path,
            task.notebook_task.base_parameters,
            tuple(dependency.task_key for dependency in task.depends_on),
            Retries(task.max_retries, task.min_retry_interval_millis, task.retry_on_timeout),
            task.timeout_seconds,
        )
        for task in job.tasks
    ]
    parameters = {p.name: p.default for p in job.parameters}
    return JobSpec(name, parameters, tuple(_ordered(name, tasks)), job.timeout_seconds)


def _ordered(job: str, tasks: list[TaskSpec]) -> list[TaskSpec]:
    keys = [task.key for task in tasks]
    for task in tasks:
        if keys.count(task.key) > 1:
            raise InvalidInput(f"{FILE}: job {job} has two tasks {task.key}.")
        for dependency in task.depends_on:
            if dependency not in keys:
                known = nearest(dependency, keys)
                raise InvalidInput(f"{FILE}: job {job}: {task.key} depends on {dependency}, which is no task.{known}")
    sorter = TopologicalSorter({task.key: task.depends_on for task in tasks})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = sorted(set(error.args[1]), key=keys.index)
        raise InvalidInput(f"{FILE}: job {job}: {', '.join(circle)} wait for each other.") from error
    ready: list[str] = []
    ordered: list[TaskSpec] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=keys.index)  # of those that may run, the first as listed
        key = ready.pop(0)
        ordered.append(tasks[keys.index(key)])
        sorter.done(key)
    return ordered

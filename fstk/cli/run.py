"""``fstk run``: a notebook or a job of ``databricks.yml``."""

from __future__ import annotations

import re
from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import call_of
from fstk.display import Displayed
from fstk.errors import BadParameter, InvalidInput

_UNITS = {"s": 1, "m": 60, "h": 3600}


def run(
    context: Context,
    name: Annotated[str, Argument(metavar="NOTEBOOK|JOB", help="A notebook's path, or a job of databricks.yml.")],
    parameter: Annotated[
        list[str] | None,
        Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter's value; may be repeated."),
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Skip tasks already done for this logical date.")] = False,
    cell_timeout: Annotated[
        str, Option(metavar="TIME", help="How long one cell may run: 90s, 30m, 2h, or none.")
    ] = "1h",
) -> Displayed | None:
    """Run a notebook, or a job of databricks.yml.

    Parameters are checked before anything starts. Every task leaves its executed notebook and a record in the folder
    of runs. Exit codes: 0 done, 1 the job's own error, 2 bad parameters (nothing was started), 3 a gate said no,
    4 infrastructure (worth a retry), 138 the kernel died.
    """
    from fstk.jobs.runner import run_job

    done = run_job(name, parameters_of(parameter or []), resume=resume, cell_timeout=_seconds(cell_timeout))
    return done if call_of(context).in_notebook else None  # a terminal has seen its lines


def runs(
    job: Annotated[str | None, Argument(metavar="JOB", help="Only this job's, or this notebook's.")] = None,
    date: Annotated[str | None, Argument(metavar="DATE", help="Open the run of this logical date.")] = None,
) -> Displayed:
    """List what was run: when, how it ended, what it wrote.

    The newest first, one line for each task of a job and logical date; with DATE the records of that run.
    """
    from fstk.verbs import runs as history

    return history.runs(job) if job is None or date is None else history.run(job, date)


def parameters_of(given: list[str]) -> dict[str, str]:
    """Return what ``-p NAME=VALUE`` says, by name; raises BadParameter."""
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            # the text is not repeated: it may be a secret that was meant for a name
            raise BadParameter("-p takes name=value; one without '=' was given. Nothing was started.")
        if name in values:
            raise BadParameter(f"{name} is given twice. Nothing was started.")
        values[name] = value
    return values


def _seconds(text: str) -> float | None:
    if text == "none":
        return None
    parts = re.fullmatch(r"([1-9]\d{0,8})([smh])", text)
    if parts is None:
        raise InvalidInput(f"--cell-timeout takes 90s, 30m, 2h or none; got {text!r}. Nothing was started.")
    return float(int(parts[1]) * _UNITS[parts[2]])

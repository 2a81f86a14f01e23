"""``fstk init``, ``demo``, ``new`` and ``doctor``: how one begins, and what mends a beginning that fails."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from fstk.display import Displayed


def demo() -> Displayed:
    """Load 69,659 real purchases and run the job churn over them."""
    from fstk.demo import churn

    return churn.run()


def init(
    folder: Annotated[str, Argument(metavar="FOLDER", help="Where; it is made where it is not there.")] = ".",
) -> Displayed:
    """Make a project of one's own.

    Settings, a first notebook that asks for your data, the description of its job for fstk run and Databricks, a test
    that runs the notebooks, and GitHub Actions that run the test.
    """
    from fstk.verbs import init as projects

    return projects.init(folder)


def new(
    template: Annotated[
        str | None,
        Argument(metavar="TEMPLATE", help="The notebook to copy, job or bundle; without it, a list."),
    ] = None,
    name: Annotated[str | None, Argument(metavar="NAME", help="The notebook's; by default the template's.")] = None,
) -> Displayed:
    """Copy a notebook to start from into this folder, or add a job.

    It is thin, with parameters, ready to be a job. fstk new job NAME adds one to the project: a notebook and its
    description. fstk new bundle [NAME] describes the notebooks that are there, by name, as one job.
    """
    if template in ("job", "bundle"):
        from fstk.verbs import init as projects

        return projects.new_job(name) if template == "job" else projects.new_bundle(name)
    from fstk.verbs.new import copy

    return copy(template, name)


def doctor() -> Displayed:
    """Check what fstk needs, and say how to mend it."""
    from fstk.verbs.doctor import diagnose

    return diagnose()

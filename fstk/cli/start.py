"""``fstk demo``, ``fstk new`` and ``fstk doctor``: how one begins, and what mends a beginning that fails."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from fstk.display import Displayed


def demo() -> Displayed:
    """Load 69,659 real purchases and run the job churn over them."""
    from fstk.demo import churn

    return churn.run()


def new(
    template: Annotated[
        str | None, Argument(metavar="TEMPLATE", help="The notebook to copy; without one, all are listed.")
    ] = None,
    name: Annotated[str | None, Argument(metavar="NAME", help="The notebook's; by default the template's.")] = None,
) -> Displayed:
    """Copy a notebook to start from into this folder.

    It is thin, with parameters, ready to be a job.
    """
    from fstk.verbs.new import copy

    return copy(template, name)


def doctor() -> Displayed:
    """Check what fstk needs, and say how to mend it."""
    from fstk.verbs.doctor import diagnose

    return diagnose()

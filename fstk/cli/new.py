"""``fstk new``: a notebook to start from."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from fstk.display import Displayed


def new(
    template: Annotated[
        str | None, Argument(metavar="TEMPLATE", help="The notebook to copy; without one, all are listed.")
    ] = None,
    name: Annotated[str | None, Argument(metavar="NAME", help="The notebook's; by default the template's.")] = None,
) -> Displayed:
    """Copy a notebook to start from into this folder: thin, with parameters, ready to be a job."""
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.verbs.new import copy

    return copy(template, name)

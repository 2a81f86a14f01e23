"""``fstk prove``: whether the features of a notebook or a table know the future, by rewriting it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import Call, call_of, say
from fstk.cli.run import parameters_of
from fstk.display import Displayed
from fstk.errors import GateRefused


def gated(call: Call, shown: Displayed, refusal: str | None) -> Displayed:
    """Return what is shown; in a terminal GateRefused is raised below it, when there is a ``refusal``."""
    if refusal is None or call.in_notebook:
        return shown
    say(shown)
    raise GateRefused(refusal)


def prove(
    context: Context,
    what: Annotated[
        str,
        Argument(
            metavar="TABLE|NOTEBOOK",
            help="A feature table whose definitions are recorded, or the notebook that makes features.",
        ),
    ],
    labels: Annotated[
        str | None,
        Option(metavar="LABELS", help="Who is asked about: a variable or a table. Default: the features' own rows."),
    ] = None,
    label: Annotated[
        str | None, Option(metavar="COLUMN", help="The labels' column to be predicted, which may know the future.")
    ] = None,
    at: Annotated[str | None, Option(metavar="COLUMN", help="The labels' time.")] = None,
    sample: Annotated[int, Option(min=1, help="How many labels are asked about at each instant.")] = 500,
    as_known: Annotated[
        bool, Option("--as-known", help="What was committed after a label is its future, too, whatever its time.")
    ] = False,
    parameter: Annotated[
        list[str] | None,
        Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter's value; may be repeated."),
    ] = None,
) -> Displayed:
    """Prove that features do not know the future.

    Source rows after an instant are deleted, altered or negated, and the features made again: what labels up to then
    see must not change, but for the last digits of sums of doubles, and something that later labels see must. A
    table's windowed features are computed in memory, of the rows of --sample entities; a notebook runs in scratch
    warehouses that share nothing with the real one. In a terminal the exit code is 3 for a leak, and for what is not
    proven.
    """
    from fstk.verbs import prove as proofs

    call = call_of(context)
    tell = partial(print, flush=True)
    given = parameters_of(parameter or [])
    proof = proofs.prove(call.namespace, what, labels, label, at, sample, as_known, given, tell)
    return gated(call, proof, proof.refusal)

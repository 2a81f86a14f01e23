"""``fstk prove``: whether a notebook's features know the future, by rewriting it."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import call_of
from fstk.display import Displayed
from fstk.errors import GateRefused


def prove(
    context: Context,
    notebook: Annotated[str, Argument(metavar="NOTEBOOK", help="The notebook that makes the features.")],
    labels: Annotated[
        str | None,
        Option(metavar="LABELS", help="Who is asked about: a variable or a table. Default: the features' own rows."),
    ] = None,
    label: Annotated[
        str | None, Option(metavar="COLUMN", help="The labels' column to be predicted, which may know the future.")
    ] = None,
    at: Annotated[str | None, Option(metavar="COLUMN", help="The labels' time.")] = None,
    sample: Annotated[int, Option(min=1, help="How many labels are asked about at each instant.")] = 500,
    parameter: Annotated[
        list[str] | None,
        Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter's value; may be repeated."),
    ] = None,
) -> Displayed:
    """Prove that features do not know the future.

    In scratch warehouses that share nothing with the real one, the notebook is run as it is, and again of sources whose
    rows after an instant are deleted, altered or negated: what labels up to then see must not change, but for the last
    digits of sums of doubles. Then a row before the labels is altered, and something must change. In a terminal the
    exit code is 3 for a leak.
    """
    from fstk.verbs import prove as proofs

    call = call_of(context)
    proof = proofs.prove(
        call.namespace, notebook, labels, label, at, sample, parameter or [], lambda line: print(line, flush=True)
    )
    if not proof.leaks or call.in_notebook:
        return proof
    print(proof, flush=True)
    raise GateRefused(f"{len(proof.leaks)} features know the future.")

"""``fstk lint``: leaks in feature tables, notebooks, SQL files and training sets, each with its cure."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Context

from fstk.cli.call import call_of, say
from fstk.display import Displayed
from fstk.errors import GateRefused, Infrastructure


def lint(
    context: Context,
    names: Annotated[
        list[str] | None,
        Argument(
            metavar="TABLE|FILE|VARIABLE",
            help="Feature tables, notebooks, SQL or Python files, or variables that hold training sets. Default: all "
            "feature tables, with this notebook's cells, or in a terminal those of notebooks/.",
        ),
    ] = None,
) -> Displayed:
    """Name leaks in feature tables, notebooks, SQL and training sets.

    They are: the clock, later rows, unordered windows, shuffled splits in SQL and Python; one instant for all rows,
    rows and events that were known later than they say, totals without a time, windows that hold the label, the label
    itself. In a terminal the exit code is 3 when there are any.

    What is none is accepted, with a reason: in its cell or file by # fstk: accept RULE because … (in SQL after --), of
    a table by fstk tag TABLE accept_RULE="…".
    """
    from fstk.verbs import lint as checks

    call = call_of(context)
    report = checks.lint(call.namespace, names or [])
    if report.clean or call.in_notebook:
        return report
    say(report)
    count = len(report.findings)
    if not count:
        raise Infrastructure("lint could not look at all feature tables; at the others nothing was found.")
    raise GateRefused(f"{count} leak{'s' if count != 1 else ''} found.")

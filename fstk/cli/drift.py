"""``fstk drift``: do features still look like those a model was trained on?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import call_of, say
from fstk.display import Displayed


def drift(
    context: Context,
    reference: Annotated[
        str, Argument(metavar="TABLE|VARIABLE", help="What it was like then; TABLE@3 is version 3 of a table.")
    ],
    now: Annotated[str, Argument(metavar="TABLE|VARIABLE", help="What it is like now.")],
    feature: Annotated[
        list[str] | None,
        Option("--feature", metavar="FEATURE", help="A column to compare; may be repeated. Default: all but keys."),
    ] = None,
    html: Annotated[Path | None, Option("--html", metavar="FILE", help="Write the full report there.")] = None,
) -> Displayed:
    """Compare features now with what they were.

    A distance where there are many rows, a p-value where there are few, and a picture of each. In a terminal the exit
    code is 3 when a feature drifted.
    """
    from fstk.verbs.drift import drift as compare

    call = call_of(context)
    report = compare(call.namespace or {}, reference, now, feature)
    if html is not None:
        report.save_html(html)
    if report.drifted and not call.in_notebook:
        say(report)
        report.gate()
    return report

"""``fstk publish``: a feature table's newest rows into the online store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import AsWidget, Call, Opened, call_of, opened
from fstk.display import Displayed


def publish(
    context: Context,
    table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")],
    to: Annotated[
        str | None, Option("--to", metavar="URL", help="The online store; by default that of the settings.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        Option("--feature", metavar="FEATURE", help="A feature to publish; may be repeated. Default: all."),
    ] = None,
    where: Annotated[
        str | None, Option("--where", metavar="CONDITION", help="Only rows for which this SQL condition is true.")
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    code: Annotated[bool, Option("--code", help="Print the same as plain Python; nothing is written.")] = False,
    widget: AsWidget = False,
) -> Displayed | Opened:
    """Publish a table to the online store.

    The newest row of every key is written, unless the row that is there is as new.
    """
    if widget:
        return opened(context, "PublishPanel", table=table, to=to, features=feature, where=where)
    from fstk.verbs.publish import PublishRequest

    request = PublishRequest(table, to, None if feature is None else tuple(feature), where, dry_run)
    if code:
        return request.code()
    with _bar(call_of(context)) as progress:
        return request.run(progress)


@contextmanager
def _bar(call: Call) -> Iterator[Callable[[int, int | None], None] | None]:
    if call.in_notebook or not sys.stdout.isatty():
        yield call.progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stdout), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

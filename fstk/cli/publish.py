"""``fstk publish``: a feature table's newest rows into the online store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from typer import Argument, Option

from fstk.display import Displayed


def publish(
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
) -> Displayed:
    """Publish a table to the online store.

    The newest row of every key is written, unless the row that is there is as new.
    """
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.online.publish import publish as publish_table
    from fstk.tables.catalog import open_catalog

    source = open_catalog().get(table)
    with _bar() as progress:
        return publish_table(source, to, features=feature, filter_condition=where, dry_run=dry_run, progress=progress)


@contextmanager
def _bar() -> Iterator[Callable[[int, int | None], None] | None]:
    if not sys.stdout.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stdout), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

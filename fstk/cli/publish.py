"""``fstk publish`` and ``fstk parity``: a table's newest rows into the online store, and whether they are there."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from fstk.cli.call import AsWidget, Opened, call_of, opened
from fstk.display import Displayed
from fstk.errors import GateRefused
from fstk.progress import at_work

Table = Annotated[str, Argument(metavar="TABLE", help="The table's name.")]
To = Annotated[str | None, Option("--to", metavar="URL", help="The online store; by default that of the settings.")]


def publish(
    context: Context,
    table: Table,
    to: To = None,
    feature: Annotated[
        list[str] | None,
        Option("--feature", metavar="FEATURE", help="A feature to publish; may be repeated. Default: all."),
    ] = None,
    where: Annotated[
        str | None, Option("--where", metavar="CONDITION", help="Only rows for which this SQL condition is true.")
    ] = None,
    nulls: Annotated[
        Literal["keep", "skip"] | None,
        Option(help="skip: of each feature the newest value that is not null. By default as the table is online."),
    ] = None,
    prune: Annotated[
        bool, Option("--prune", help="Remove the online rows of keys that no row of the table has, too.")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would be written and removed; change nothing.")
    ] = False,
    code: Annotated[bool, Option("--code", help="Print the same as plain Python; nothing is written.")] = False,
    widget: AsWidget = False,
) -> Displayed | Opened:
    """Publish a table to the online store.

    The newest row of every key is written, unless the row that is there is as new. Keys that the table lacks stay
    online without --prune.
    """
    if widget:
        return opened(context, "PublishPanel", table=table, to=to, features=feature, where=where, prune=prune)
    from fstk.verbs.publish import PublishRequest

    request = PublishRequest(table, to, None if feature is None else tuple(feature), where, dry_run, prune, nulls)
    if code:
        return request.code()
    with at_work("publishing") as told:
        report = request.run(told)
    if report.failed and not call_of(context).in_notebook:
        print(report, flush=True)
    report.check()
    return report


def parity(
    context: Context,
    table: Table,
    to: To = None,
    sample: Annotated[
        int | None, Option("--sample", metavar="N", help="Compare so many keys, chosen at random. Default: all.")
    ] = None,
    seed: Annotated[
        int | None, Option("--seed", metavar="N", help="Choose the keys of a sample as the run that showed this seed.")
    ] = None,
    code: Annotated[bool, Option("--code", help="Print the same as plain Python; nothing is compared.")] = False,
) -> Displayed:
    """Compare online rows with their table, value and type.

    The table is read at the version that was published last. In a terminal the exit code is 3 when a key differs or is
    missing online.
    """
    from fstk.verbs.parity import ParityRequest

    request = ParityRequest(table, to, sample, seed)
    if code:
        return request.code()
    with at_work("comparing") as told:
        report = request.run(told)
    if report.ok or call_of(context).in_notebook:
        return report
    print(report, flush=True)
    raise GateRefused(f"{report.different:,} keys differ online, {report.missing:,} are missing there.")

"""``fstk windows``: windowed features of a source, shown as a feature table, then written."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from fstk.cli.call import AsWidget, Opened, call_of, opened
from fstk.display import Displayed
from fstk.errors import InvalidInput


def windows(
    context: Context,
    table: Annotated[str, Argument(metavar="TABLE", help="The feature table to make or to merge into.")],
    source: Annotated[str, Option(metavar="SOURCE", help="The events: a table, or a variable that holds a frame.")],
    entity: Annotated[str, Option(metavar="COLUMN", help="The events' key column, or several with commas.")],
    time: Annotated[str, Option(metavar="COLUMN", help="The events' time column.")],
    windows: Annotated[str, Option(metavar="LENGTHS", help="Such as 4w,7d,36h,1mo,lifetime.")],
    closed: Annotated[
        Literal["left", "right", "both"],
        Option(help="Which ends belong to a window; left does not see its own instant."),
    ] = "left",
    calendar: Annotated[
        str | None, Option(metavar="START,END,EVERY", help="Features on a calendar, as 1997-01-08,today,7d.")
    ] = None,
    zone: Annotated[
        str | None, Option(metavar="ZONE", help="The calendar's days, weeks or months are of it, as Europe/London.")
    ] = None,
    align: Annotated[
        Literal["day", "week", "month"] | None,
        Option(help="Windows end where the point's day, week or month begins."),
    ] = None,
    clock: Annotated[
        str | None,
        Option("--tz", metavar="ZONE", help="Whose clocks the times of a frame show where it has none. Default: UTC."),
    ] = None,
    unclear_times: Annotated[
        Literal["refuse", "earlier", "later"],
        Option(help="What times mean that the zone of --tz skipped or had twice."),
    ] = "refuse",
    points: Annotated[
        str | None, Option(metavar="SOURCE[,COLUMN]", help="Features at the keys and times of this table or variable.")
    ] = None,
    columns: Annotated[bool, Option("--columns", help="One line per column, however many there are.")] = False,
    write: Annotated[bool, Option("--write", help="Merge the features into the table.")] = False,
    redefine: Annotated[
        bool, Option("--redefine", help="With --write: let features that are there mean another thing from now on.")
    ] = False,
    output: Annotated[
        str | None, Option("-o", "--output", metavar="NAME", help="Bind the features to this variable.")
    ] = None,
    code: Annotated[bool, Option("--code", help="Print the same as plain Python; nothing is read or written.")] = False,
    widget: AsWidget = False,
) -> Displayed | Opened:
    """Windowed features of a source: plan, sample rows, findings.

    The rows are real ones, of a few entities. One aggregate a line below:

    sum(amount) filter (where quantity > 1) as bulk

    count(*) group by shop as visits
    """
    if widget:
        if closed is None:  # with --widget typer passes over what does not fit
            raise InvalidInput("--closed takes left, right or both.")
        for option, given in (("--tz", clock), ("--zone", zone), ("--align", align), ("--points", points)):
            if given is not None:
                raise InvalidInput(f"{option} and --widget do not go together; leave one out.")
        return opened(
            context,
            "WindowBuilder",
            table=table,
            source=source,
            entity=entity,
            time=time,
            aggregates=call_of(context).cell,
            windows=windows,
            closed=closed,
            calendar=calendar,
        )
    from fstk.verbs.windows import parse

    call = call_of(context)
    request = parse(
        call.namespace,
        call.text,
        table,
        source,
        entity,
        time,
        windows,
        closed,
        calendar,
        points,
        zone,
        align,
        clock=clock,
        unclear=unclear_times,
    )
    if output is not None:
        call.bind(output, request.features)
    if code:
        return request.code()
    if redefine and not write:
        raise InvalidInput("--redefine is for --write; without it nothing is written.")
    if write:
        return request.write(redefine=redefine)
    preview = request.preview()
    return preview.every_column() if columns else preview

"""``fstk load``: events of files become a source."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Option

from fstk.display import Displayed
from fstk.errors import InvalidInput


def load(
    files: Annotated[
        list[str],
        Argument(metavar="FILE", help="CSV, TSV (.gz too) or Parquet files, folders of them, a Delta table's folder."),
    ],
    word: Annotated[Literal["as"], Argument(metavar="as", help="The word as.")],
    table: Annotated[str, Argument(metavar="TABLE", help="The source to make or to append to.")],
    time: Annotated[
        str | None, Option(metavar="COLUMN", help="The column of the event's time. For a new source, as --entity.")
    ] = None,
    entity: Annotated[
        str | None, Option(metavar="COLUMN", help="The column of whom it happened to, or several with commas.")
    ] = None,
    key: Annotated[
        str | None, Option(metavar="COLUMN", help="What an event is known again by. Default: files by their content.")
    ] = None,
    zone: Annotated[
        str | None, Option("--tz", metavar="ZONE", help="Whose clocks the times show, as Europe/London. Default: UTC.")
    ] = None,
    time_format: Annotated[
        str | None, Option(metavar="FORMAT", help="How times are written, as %d/%m/%Y %H:%M. Default: ISO 8601.")
    ] = None,
    unclear_times: Annotated[
        Literal["refuse", "earlier", "later"],
        Option(help="What times mean that the zone skipped or had twice."),
    ] = "refuse",
    types: Annotated[
        list[str] | None, Option("--type", metavar="COLUMN=TYPE", help="A column's Spark SQL type; may be repeated.")
    ] = None,
    null: Annotated[
        list[str] | None, Option("--null", metavar="TEXT", help="A text that means null; repeatable.")
    ] = None,
    rename: Annotated[
        list[str] | None,
        Option("--rename", metavar="FROM=TO", help="Another name of a file's column; may be repeated."),
    ] = None,
) -> Displayed:
    """Append events of files to a source.

    A source holds events as they came, repeated ones too, for windows to read. A file that it has already changes
    nothing. Values that do not say what they mean are counted, with the option that settles them; then nothing was
    written. What was said once need not be said again: fstk load FILE as TABLE.
    """
    from fstk.verbs.sources import LoadRequest

    return LoadRequest(
        tuple(files),
        table,
        time,
        _listed(entity),
        _listed(key),
        zone=zone,
        time_format=time_format,
        unclear_times=unclear_times,
        types=_pairs("--type", types),
        null_values=tuple(null or ()),
        rename=_pairs("--rename", rename),
    ).run()


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise InvalidInput(f"{option} takes two names with = between; got {name or value!r}.")
    return {name: value for name, _, value in pairs}

"""``fstk tables``, ``fstk show`` and ``fstk tag``: what feature tables there are, and their tags."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fstk.display import Displayed
from fstk.errors import InvalidInput


def tables() -> Displayed:
    """List the feature tables."""
    from fstk.verbs import tables as catalog

    return catalog.tables()


def show(table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")]) -> Displayed:
    """Show a table: keys, columns, tags."""
    from fstk.verbs import tables as catalog

    return catalog.show(table)


def tag(
    table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")],
    tags: Annotated[list[str] | None, Argument(metavar="KEY=VALUE", help="Tags to set.")] = None,
    delete: Annotated[
        list[str] | None, Option("--delete", metavar="KEY", help="A tag to delete; may be repeated.")
    ] = None,
) -> Displayed:
    """Set or delete tags of a table."""
    pairs = [text.partition("=") for text in tags or []]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise InvalidInput(f"a tag is KEY=VALUE; got {key!r}.   Delete one: fstk tag {table} --delete KEY")
    from fstk.verbs import tables as catalog

    return catalog.tag(table, {key: value for key, _, value in pairs}, delete or [])

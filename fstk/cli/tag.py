"""``fstk tag``: tags of a feature table."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fstk.display import Displayed
from fstk.errors import InvalidInput


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
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.tables.catalog import open_catalog

    catalog = open_catalog()
    for key, _, value in pairs:
        catalog.set_tag(table, key, value)
    for key in delete or []:
        catalog.delete_tag(table, key)
    return catalog.get(table)

"""``fstk tables``, ``show``, ``tag`` and ``grant``: what feature tables and sources there are, tags and rights."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Context, Option

from fstk.cli.call import call_of
from fstk.display import Displayed
from fstk.errors import InvalidInput


def tables(
    tag: Annotated[
        list[str] | None,
        Option("--tag", metavar="KEY[=VALUE]", help="Only tables with this tag; may be repeated."),
    ] = None,
    text: Annotated[
        str, Option("--text", metavar="TEXT", help="Only tables with this in their name, description, columns or tags.")
    ] = "",
) -> Displayed:
    """List the feature tables, and the sources."""
    from fstk.verbs import tables as catalog

    wanted = [one.partition("=") for one in tag or []]
    return catalog.tables({key: value if equals else None for key, equals, value in wanted}, text)


def show(
    table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")],
    columns: Annotated[bool, Option("--columns", help="One line per column, however many there are.")] = False,
) -> Displayed:
    """Show a feature table or a source: keys, columns, tags."""
    from fstk.verbs import tables as catalog

    found = catalog.show(table)
    return catalog.every_column(found) if columns else found


def history(table: Annotated[str, Argument(metavar="TABLE", help="The table's name.")]) -> Displayed:
    """List a table's versions and what wrote each.

    Below them what each version's features are, and were before where that is another thing.
    """
    from fstk.verbs import history as versions

    return versions.history(table)


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


def grant(
    context: Context,
    statement: Annotated[
        str | None, Argument(metavar="STATEMENT", help="By default what stands below %%fstk, or on standard input.")
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would change, and which models, feature sets, endpoints it touches.")
    ] = False,
) -> Displayed:
    """Grant, revoke and show rights on tables, as in Databricks SQL.

    GRANT SELECT ON TABLE feature_store.customer_features TO `data-scientists`, REVOKE … FROM …, SHOW GRANTS ON TABLE …;
    several with ; between. Unity Catalog carries them out. On a local warehouse they are recorded in the table, end
    with it, and are asked by fstk serve: from a table's first grant on a token without SELECT gets 403. Nothing else is
    protected there: who may read the warehouse's folder reads its tables.
    """
    from fstk.verbs import grant as rights

    return rights.grant(call_of(context).text if statement is None else statement, dry_run=dry_run)


def drop(
    name: Annotated[str, Argument(metavar="TABLE", help="A feature table or a source.")],
    yes: Annotated[bool, Option("--yes", help="Do it: all versions are gone for good.")] = False,
) -> str:
    """Remove a feature table or a source for good.

    What was published stays online. Without --yes it says what would be removed, and removes nothing.
    """
    from fstk.verbs import tables as catalog

    return catalog.drop(name, yes=yes)

"""Rights on feature tables: GRANT, REVOKE and SHOW GRANTS, carried out, or only told with all that they touch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fstk.display import Displayed, Sheet, Stacked
from fstk.errors import FstkError
from fstk.models.readers import models_reading
from fstk.serving.tokens import Tokens
from fstk.tables.catalog import Catalog
from fstk.tables.configured import open_catalog
from fstk.tables.folder import FolderCatalog
from fstk.tables.grants import ALL, SELECT, GrantStatement, may_select, read_statements
from fstk.tables.spec import Grants
from fstk.training import feature_spec


@dataclass(frozen=True, repr=False)
class GrantList(Displayed):
    """Who may do what with a table, of one principal where the statement names one."""

    table: str
    grants: Grants
    principal: str | None

    def display(self) -> Sheet:
        rows = [(name, privilege) for privilege, names in self.grants.items() for name in names]
        rows = sorted(row for row in rows if self.principal in (None, row[0]))
        closes = "" if self.grants else ", and every token opens it until the first grant"
        none = f'nothing is granted{closes}.   fstk grant "GRANT SELECT ON TABLE {self.table} TO `NAME`"'
        return Sheet(self.table, ("principal", "privilege") if rows else (), rows, [] if rows else [none])


@dataclass(frozen=True, repr=False)
class GrantChange(Displayed):
    """What a statement changed, or with ``dry_run`` would change: the grants ``before`` and ``after``, and what it
    ``touched``, each by its kind, its name and how."""

    statement: GrantStatement
    table: str
    before: Grants
    after: Grants
    dry_run: bool
    touched: tuple[tuple[str, str, str], ...]
    folder: str | None

    def display(self) -> Sheet:
        one, principal = self.statement, self.statement.principal
        held = [", ".join(name for name in sorted(some) if principal in some[name]) for some in self._both]
        does = "would change" if self.dry_run else "changed"
        outcome = does if self.before != self.after else f"{does} nothing"
        title = f"{one.verb} {', '.join(one.privileges)} on {self.table}: {outcome}"
        rows = [("principal", principal, f"{held[0] or 'nothing'} → {held[1] or 'nothing'}"), *self.touched]
        return Sheet(title, ("what", "name", "how"), rows, list(self._notes()))

    @property
    def _both(self) -> tuple[Grants, Grants]:
        return self.before, self.after

    def _notes(self) -> Iterator[str]:
        principal = self.statement.principal
        if self.statement.verb == "REVOKE" and principal in {*self.after.get(SELECT, ()), *self.after.get(ALL, ())}:
            yield f"{principal} reads it still: revoke {SELECT} and {ALL} both."
        if self.folder is None:
            yield f"Unity Catalog's statement: {self.statement.sql(self.table)}"
            return
        silent = [name for name in self.statement.privileges if name not in (SELECT, ALL)]
        if silent:
            yield f"{', '.join(silent)}: recorded, and asked by nobody; an endpoint only reads."
        yield (
            "recorded in the table, and held to by fstk serve within seconds. Nothing else is protected: who may read "
            f"the folder reads the table: {self.folder}"
        )


@dataclass(frozen=True, repr=False)
class Done(Stacked):
    """The outcome of each statement, in their order."""

    outcomes: tuple[GrantList | GrantChange, ...]

    def parts(self) -> Sequence[Displayed]:
        return self.outcomes


def grant(text: str, *, dry_run: bool) -> Done:
    """Carry out the statements of ``text``, or tell what they would do. All are read, and their tables found, before
    the first is carried out: InvalidInput, InvalidName, UnknownName, UnknownTable."""
    catalog = open_catalog()
    statements = read_statements(text)
    held = {catalog.full_name(one.table): catalog.grants(one.table) for one in statements}
    outcomes: list[GrantList | GrantChange] = []
    for one in statements:
        table = catalog.full_name(one.table)
        before = held[table]
        if one.verb == "SHOW GRANTS":
            outcomes.append(GrantList(table, before, one.principal))
            continue
        if not dry_run:
            catalog.grant(one)
        held[table] = one.applied(before) if dry_run else catalog.grants(table)
        touched = _touched(catalog, table, before, held[table]) if dry_run else _tokens(before, held[table])
        folder = catalog.get(table).location
        outcomes.append(GrantChange(one, table, before, held[table], dry_run, tuple(touched), folder))
    return Done(tuple(outcomes))


def _touched(catalog: Catalog, table: str, before: Grants, after: Grants) -> Iterator[tuple[str, str, str]]:
    for model in models_reading(table):
        yield "model", model.title, "reads the table"
        yield "endpoint", f"/serving-endpoints/{model.name}/invocations", "asks for SELECT"
    if isinstance(catalog, FolderCatalog):
        for one in feature_spec.listed(None):
            named = [lookup.table_name for lookup in one.lookups]
            if table in map(catalog.full_name, named):
                yield "feature set", one.name, "reads the table"
    yield from _tokens(before, after)


def _tokens(before: Grants, after: Grants) -> Iterator[tuple[str, str, str]]:
    try:
        tokens = Tokens().list()
    except FstkError:
        return  # another user's, who is told by the endpoint
    for one in tokens:
        could, can = (may_select(grants, one.principal, one.groups) for grants in (before, after))
        if could != can:
            yield "token", f"{one.id} of {one.principal}", "may read it from now on" if can else "is refused: 403"

"""Who may do what with a feature table, and the statements of Databricks SQL that say so.

A statement is read into names, and written again with each name quoted; no text of a caller's reaches an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NoReturn

from fstk.engines.types import quoted_name
from fstk.errors import InvalidInput, InvalidName, UnknownName, nearest, shown
from fstk.tables.spec import Grants
from fstk.warehouse import quoted, table_name

SELECT = "SELECT"
ALL = "ALL PRIVILEGES"
PRIVILEGES = (SELECT, "MODIFY", "APPLY TAG", "MANAGE", ALL)
EXAMPLE = "GRANT SELECT ON TABLE feature_store.customer_features TO `data-scientists`"

_LONGEST = 255
_TOKEN = re.compile(r"\s+|--[^\n]*|(?P<word>\w+)|`(?P<quoted>(?:[^`]|``)*)`|(?P<mark>[.,;])", re.ASCII)
_BEFORE_PRINCIPAL = {"GRANT": "TO", "REVOKE": "FROM"}


@dataclass(frozen=True)
class GrantStatement:
    """One statement: its ``privileges`` are none, and its ``principal`` may be None, for SHOW GRANTS alone."""

    verb: Literal["GRANT", "REVOKE", "SHOW GRANTS"]
    privileges: tuple[str, ...]
    table: str
    principal: str | None

    def sql(self, table: str) -> str:
        """Return the statement about ``table``, the table's full name, with all names quoted."""
        named = [] if self.principal is None else [quoted_name(self.principal)]
        on = ["ON TABLE", quoted(table)]
        if self.verb == "SHOW GRANTS":
            return " ".join([self.verb, *named, *on])
        return " ".join([self.verb, ", ".join(self.privileges), *on, _BEFORE_PRINCIPAL[self.verb], *named])

    def applied(self, grants: Grants) -> Grants:
        """Return the grants as they are after the statement. As in Unity Catalog, ALL PRIVILEGES is a privilege of its
        own: revoking another leaves it, and revoking it leaves the others. A privilege that was taken from the last
        stays, with no one: the table is not open again."""
        after = {privilege: list(names) for privilege, names in grants.items()}
        for privilege in self.privileges:
            names = after.setdefault(privilege, [])
            held = self.principal in names
            if self.principal is not None and held != (self.verb == "GRANT"):
                (names.remove if held else names.append)(self.principal)
        return {privilege: tuple(names) for privilege, names in after.items()}


def may_select(grants: Grants, principal: str, groups: Iterable[str]) -> bool:
    """Tell whether ``principal``, a member of ``groups``, may read a table of these grants: anyone where no right was
    ever said, else only those who have it."""
    if not grants:
        return True
    allowed = {*grants.get(SELECT, ()), *grants.get(ALL, ())}
    return not allowed.isdisjoint((principal, *groups))


def read_statements(text: str) -> list[GrantStatement]:
    """Return the statements of ``text``, with ``;`` between. InvalidInput: there is none, or something else;
    InvalidName, UnknownName: a table, principal or privilege that cannot be."""
    found = []
    tokens = _Tokens(text)
    while not tokens.ended:
        if not tokens.mark(";"):
            found.append(_statement(tokens))
    if not found:
        raise InvalidInput(f"no statement is given.   Write it as in: {EXAMPLE}")
    return found


def _statement(tokens: _Tokens) -> GrantStatement:
    if tokens.word("SHOW"):
        tokens.expect("GRANTS")
        principal = None if tokens.word("ON") else tokens.principal()
        if principal is not None:
            tokens.expect("ON")
        return _ended(tokens, GrantStatement("SHOW GRANTS", (), tokens.table(), principal))
    verb = "GRANT" if tokens.word("GRANT") else "REVOKE" if tokens.word("REVOKE") else None
    if verb is None:
        tokens.refuse("GRANT, REVOKE or SHOW GRANTS")
    privileges = [tokens.privilege()]
    while tokens.mark(","):
        privileges.append(tokens.privilege())
    tokens.expect("ON")
    table = tokens.table()
    tokens.expect(_BEFORE_PRINCIPAL[verb])
    return _ended(tokens, GrantStatement(verb, tuple(dict.fromkeys(privileges)), table, tokens.principal()))


def _ended(tokens: _Tokens, statement: GrantStatement) -> GrantStatement:
    if not tokens.ended and not tokens.mark(";"):
        tokens.refuse("; or the end")
    return statement


class _Tokens:
    """The words, names in backquotes and marks of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self._found: list[re.Match[str]] = []
        at = 0
        while at < len(text):
            token = _TOKEN.match(text, at)
            if token is None:
                raise InvalidInput(
                    f"cannot read {shown(text[at:])}: a name that is not of letters, digits and underscores alone "
                    f"stands in backquotes.   Write it as in: {EXAMPLE}"
                )
            self._found += [token] if token.lastgroup else []
            at = token.end()
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._found)

    def word(self, wanted: str) -> bool:
        """Pass over a word, if it is the next."""
        return self._passed(not self.ended and (self._found[self._at]["word"] or "").upper() == wanted)

    def mark(self, wanted: str) -> bool:
        """Pass over a mark, if it is the next."""
        return self._passed(not self.ended and self._found[self._at]["mark"] == wanted)

    def expect(self, wanted: str) -> None:
        if not self.word(wanted):
            self.refuse(wanted)

    def refuse(self, wanted: str) -> NoReturn:
        there = "the end" if self.ended else shown(self._found[self._at][0])
        raise InvalidInput(f"{wanted} is expected where {there} stands.   Write it as in: {EXAMPLE}")

    def privilege(self) -> str:
        words = []
        while not self.ended and self._found[self._at]["word"] and self._found[self._at][0].upper() != "ON":
            words.append(self._found[self._at][0].upper())
            self._at += 1
        said = " ".join(words)
        if not said:
            self.refuse("a privilege")
        if said == "ALL":
            return ALL
        if said not in PRIVILEGES:
            raise UnknownName(f"a table has no privilege {shown(said)}.{nearest(said, PRIVILEGES)}")
        return said

    def table(self) -> str:
        if not self.word("TABLE"):
            for other in ("SCHEMA", "DATABASE", "CATALOG", "VIEW", "FUNCTION", "VOLUME"):
                if self.word(other):
                    raise InvalidInput(f"fstk grants on tables; on a {other.lower()} it is Databricks' own SQL.")
        parts = [self._name("a table")]
        while self.mark("."):
            parts.append(self._name("a table"))
        if any("." in part for part in parts):
            raise InvalidName(f"table {shown('.'.join(parts))}: a part of a table's name holds no dot.")
        return table_name(".".join(parts))

    def principal(self) -> str:
        name = self._name("a principal")
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST:
            raise InvalidName(f"principal {shown(name)}: 1 to {_LONGEST} printable characters name one.")
        return name

    def _name(self, what: str) -> str:
        token = None if self.ended or self._found[self._at]["mark"] else self._found[self._at]
        if token is None:
            self.refuse(what)
        self._at += 1
        return token["word"] or token["quoted"].replace("``", "`")

    def _passed(self, matched: bool) -> bool:
        self._at += matched
        return matched

"""Statements of rights are read strictly and written with every name quoted; nobody may read what nobody granted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from fstk.errors import InvalidInput, InvalidName, UnknownName
from fstk.tables.grants import PRIVILEGES, GrantStatement, may_select, read_statements
from fstk.tables.properties import from_properties, grants_property

# minimaxir/big-list-of-naughty-strings, MIT
NAUGHTY = json.loads((Path(__file__).parent / "blns.json").read_text(encoding="utf-8"))
SCHEMA = {"id": "bigint", "n": "double"}


def recorded(grants: str | None) -> Any:
    properties = {"fstk.primary_keys": '["id"]'} | ({} if grants is None else {"fstk.grants": grants})
    table = from_properties("s.t", properties, SCHEMA, (), None)
    assert table is not None
    return table.grants


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        (None, True),
        ("{}", True),
        ('{"SELECT": ["ann"]}', True),
        ('{"SELECT": ["ben", "team"]}', True),
        ('{"ALL PRIVILEGES": ["team"]}', True),
        ('{"SELECT": ["ben"]}', False),
        ('{"SELECT": ["Ann", "ann ", "TEAM"]}', False),
        ('{"SELECT": []}', False),
        ('{"MODIFY": ["ann"], "MANAGE": ["ann"]}', False),
        ('{"SELECT": "ann"}', False),
        ('{"SELECT": [["ann"], 1]}', False),
        ('["ann"]', False),
        ("ann", False),
        ("", False),
    ],
)
def test_who_is_not_named_may_not(grants: str | None, allowed: bool) -> None:
    assert may_select(recorded(grants), "ann", ("team", "others")) is allowed


def test_the_statements_of_the_reference_document_are_read() -> None:
    text = """-- Unity Catalog permissions
    GRANT SELECT ON TABLE feature_store.customer_features TO `data-scientists`;
    grant all privileges on table Feature_Store.`customer_features` to `feature-engineers`;
    """
    assert read_statements(text) == [
        GrantStatement("GRANT", ("SELECT",), "feature_store.customer_features", "data-scientists"),
        GrantStatement("GRANT", ("ALL PRIVILEGES",), "feature_store.customer_features", "feature-engineers"),
    ]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("revoke select, modify, select on s.t from `a@b`", "REVOKE SELECT, MODIFY ON TABLE `c`.`s`.`t` FROM `a@b`"),
        ("GRANT ALL ON s.t TO ann", "GRANT ALL PRIVILEGES ON TABLE `c`.`s`.`t` TO `ann`"),
        ("GRANT APPLY TAG ON t TO `a``b`", "GRANT APPLY TAG ON TABLE `c`.`s`.`t` TO `a``b`"),
        ("show grants on table t", "SHOW GRANTS ON TABLE `c`.`s`.`t`"),
        ("show grants `x y` on t;", "SHOW GRANTS `x y` ON TABLE `c`.`s`.`t`"),
        ("show grants `on  table` on t;", "SHOW GRANTS `on  table` ON TABLE `c`.`s`.`t`"),
    ],
)  # fmt: skip
def test_a_statement_is_written_again_with_its_names_quoted(text: str, sql: str) -> None:
    [one] = read_statements(text)
    assert one.sql("c.s.t") == sql


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", InvalidInput, "no statement"),
        (" ; -- nothing\n", InvalidInput, "no statement"),
        ("GRANT SELECT ON TABLE t TO data-scientists", InvalidInput, "in backquotes"),
        ("GRANT SELECT ON TABLE t TO 'ann'", InvalidInput, "in backquotes"),
        ("GRANT SELECT ON TABLE t TO ann WITH GRANT OPTION", InvalidInput, "the end is expected where 'WITH'"),
        ("GRANT SELECT ON TABLE t FROM ann", InvalidInput, "TO is expected where 'FROM'"),
        ("GRANT SELECT ON TABLE t", InvalidInput, "TO is expected where the end"),
        ("GRANT ON TABLE t TO ann", InvalidInput, "a privilege is expected"),
        ("GRANT SELECT, ON TABLE t TO ann", InvalidInput, "a privilege is expected"),
        ("GRANT SELEKT ON TABLE t TO ann", UnknownName, "Nearest: SELECT"),
        ("GRANT SELECT ON SCHEMA s TO ann", InvalidInput, "on a schema it is Databricks' own SQL"),
        ("GRANT SELECT ON TABLE t TO ann; DROP TABLE t", InvalidInput, "GRANT, REVOKE or SHOW GRANTS"),
        ("DROP TABLE t", InvalidInput, "GRANT, REVOKE or SHOW GRANTS"),
        ("GRANT SELECT ON TABLE a.b.c.d TO ann", InvalidName, "one to three parts"),
        ("GRANT SELECT ON TABLE `a.b` TO ann", InvalidName, "holds no dot"),
        ("GRANT SELECT ON TABLE `t; DROP TABLE t` TO ann", InvalidName, "one to three parts"),
        ("GRANT SELECT ON TABLE t TO ` `", InvalidName, "printable"),
        ("GRANT SELECT ON TABLE t TO ``", InvalidName, "printable"),
        ("GRANT SELECT ON TABLE t TO `a\nb`", InvalidName, "printable"),
        ("GRANT SELECT ON TABLE t TO `a\u202eb`", InvalidName, "printable"),
        (f"GRANT SELECT ON TABLE t TO `{'a' * 256}`", InvalidName, "printable"),
        (f"GRANT SELECT ON TABLE {'a' * 256} TO ann", InvalidName, "at most 255"),
        ("GRANT SELECT ON TABLE t TO `ann", InvalidInput, "in backquotes"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_before_anything_is_done(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_statements(text)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def check(principal: str, verb: str = "GRANT", privileges: tuple[str, ...] = ("SELECT",)) -> None:
    """A principal is a name in what is written, whatever it is called: judged by sqlglot's own reading."""
    between = "TO" if verb == "GRANT" else "FROM"
    text = f"{verb} {', '.join(privileges)} ON TABLE s.t {between} {quoted(principal)}"
    try:
        [one] = read_statements(text)
    except InvalidName:
        assert not principal.strip() or not principal.isprintable() or len(principal) > 255
        return
    [read] = sqlglot.parse(one.sql("c.s.t"), dialect="databricks")
    assert isinstance(read, exp.Grant if verb == "GRANT" else exp.Revoke)
    [named] = read.args["principals"]
    assert named.this.name == principal == one.principal
    assert [part.name for part in read.args["securable"].parts] == ["c", "s", "t"]
    assert tuple(privilege.this.name for privilege in read.args["privileges"]) == privileges


def test_a_naughty_name_is_a_name() -> None:
    for principal in (*NAUGHTY, "x`; DROP TABLE t; -- ", "`", "``", "TO", "a`` ON TABLE `t"):
        check(principal)


@given(st.text(), st.sampled_from(["GRANT", "REVOKE"]), st.lists(st.sampled_from(PRIVILEGES), min_size=1, unique=True))
def test_any_name_is_a_name(principal: str, verb: str, privileges: list[str]) -> None:
    check(principal, verb, tuple(privileges))


@given(st.text(alphabet=st.sampled_from("GRANTONTABLEo t`.;,-\n'\"\\$:{}1"), max_size=60))
def test_no_text_is_read_as_anything_but_what_it_says_or_refused(text: str) -> None:
    try:
        found = read_statements(text)
    except InvalidInput:
        return
    again = read_statements("; ".join(one.sql(one.table) for one in found))
    assert again == found


def test_rights_are_given_and_taken_one_by_one() -> None:
    def after(*statements: str) -> Any:
        grants: Any = {}
        for one in read_statements(";".join(statements)):
            grants = one.applied(grants)
            assert recorded(grants_property(grants)["fstk.grants"]) == grants
        return grants

    give, take = "GRANT SELECT ON t TO ann", "REVOKE SELECT ON t FROM ann"
    assert after(give, give) == {"SELECT": ("ann",)}
    assert after(take) == after(give, take) == {"SELECT": ()}  # which is not open again
    assert after(give, "GRANT SELECT ON t TO ben", take) == {"SELECT": ("ben",)}
    assert after("GRANT ALL ON t TO ann", give, take) == {"ALL PRIVILEGES": ("ann",), "SELECT": ()}
    both = after("GRANT ALL ON t TO ann", give, "REVOKE ALL PRIVILEGES ON t FROM ann")
    assert both == {"ALL PRIVILEGES": (), "SELECT": ("ann",)}

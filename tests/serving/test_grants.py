"""Rights that a statement gives and takes, at a real endpoint; and what a statement would touch, told before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fstk import FeatureFunction
from fstk.cli.app import run_command
from fstk.errors import UnknownTable
from tests.serving.asking import GOOD, ask, records, waited
from tests.serving.project import LOOKUPS, READERS, Project

GRANT = "GRANT SELECT ON TABLE {} TO `data-scientists`"
REVOKE = "REVOKE SELECT ON TABLE {} FROM `data-scientists`"
TABLES = ("s.customers", "s.cohorts")
HELD = GOOD | {"spend": 1.0, "v": 1, "vip": True, "size": 1}
"""A row that brings all features, so that nothing is looked up."""
ROUTES: tuple[tuple[str, Any], ...] = (
    ("/invocations", records(GOOD)),
    ("/serving-endpoints/churn/invocations", records(GOOD)),
    ("/invocations", records(HELD)),
    ("/invocations", {"dataframe_split": {"columns": list(GOOD), "data": [list(GOOD.values())]}}),
    ("/invocations", {"instances": [GOOD]}),
    ("/invocations", {"inputs": {name: [value] for name, value in GOOD.items()}}),
    ("/openapi.json", None),
)


@contextmanager
def newcomer(project: Project) -> Iterator[tuple[str, str]]:
    """The token of one of the data scientists, and its id."""
    shown, kept = project.tokens.new("newcomer", ("data-scientists",))
    yield shown, kept.id
    project.tokens.revoke(kept.id)


def fstk(project: Project, *words: str) -> Any:
    with project.inside():
        return run_command(["grant", *words])


def touched(done: Any) -> list[tuple[str, str, str]]:
    return [row for one in done.outcomes for row in one.touched]


@pytest.mark.usefixtures("token")
@pytest.mark.slow
def test_a_dry_run_tells_what_a_statement_touches_and_changes_nothing(project: Project) -> None:
    reads = [
        ("model", "churn v1 @champion", "reads the table"),
        ("endpoint", "/serving-endpoints/churn/invocations", "asks for SELECT"),
        ("feature set", "s.basket", "reads the table"),
    ]
    with project.inside() as fe:
        ratio = FeatureFunction("v / 2", "half")
        fe.create_feature_spec(name="s.basket", features=[LOOKUPS[0], ratio])
        fe.create_feature_spec(name="s.other", features=[LOOKUPS[1]])
        before = fe.get_table(name="s.customers")
    with newcomer(project) as (_, number):
        mine = ("token", f"{number} of newcomer", "may read it from now on")
        given = fstk(project, GRANT.format("S.Customers"), "--dry-run")
        twice = fstk(project, ";".join([GRANT.format("s.customers")] * 2), "--dry-run")
        taken = fstk(project, f"REVOKE SELECT ON s.customers FROM {READERS}", "--dry-run")
    rows = touched(given)
    assert {*reads, mine} <= set(rows)
    assert "s.other" not in [name for _, name, _ in rows]
    assert [mine in one.touched for one in twice.outcomes] == [True, False]
    assert (READERS, "is refused: 403") in [(name.split()[-1], how) for _, name, how in touched(taken)]
    lines = repr(given).splitlines()
    assert lines[0] == "GRANT SELECT on s.customers: would change"
    assert lines[2].split() == ["principal", "data-scientists", "nothing", "→", "SELECT"]
    assert given.outcomes[0].display().notes[-1].endswith(f"the table: {project.folder}/fstk-warehouse/s/customers")
    with project.inside() as fe:
        assert fe.get_table(name="s.customers") == before
        for name in ("s.basket", "s.other"):
            fe.delete_feature_spec(name=name)


def test_what_cannot_be_found_or_read_changes_nothing(project: Project) -> None:
    with pytest.raises(UnknownTable, match=r"Nearest: s\.cohorts"):
        fstk(project, f"{GRANT.format('s.customers')}; {GRANT.format('s.cohort')}")
    with project.inside():
        assert repr(run_command(["grant", "SHOW GRANTS ON TABLE s.customers"])).splitlines() == [
            "s.customers",
            "  principal  privilege",
            f"  {READERS}      SELECT",
        ]
        nobody = repr(run_command(["grant", "SHOW GRANTS ann ON TABLE s.customers"]))
    assert nobody.splitlines()[1].startswith('nothing is granted.   fstk grant "GRANT SELECT ON TABLE s.customers')


@pytest.mark.spark
@pytest.mark.server
@pytest.mark.usefixtures("spark")
def test_a_token_is_refused_let_in_after_grant_and_refused_after_revoke(project: Project, port: int) -> None:
    with newcomer(project) as (token, _):

        def status() -> int:
            return ask(port, records(GOOD), token).status

        def on_every_route() -> set[int]:
            said = (ask(port, body, token, path=path, method="POST" if body else "GET") for path, body in ROUTES)
            return {one.status for one in said}

        assert on_every_route() == {403}
        fstk(project, GRANT.format("S.Customers"))  # by another case of its name
        assert on_every_route() == {403}
        assert "data-scientists  SELECT" in repr(fstk(project, f"SHOW GRANTS ON TABLE {TABLES[0]}"))
        done = fstk(project, GRANT.format(TABLES[1]))
        assert "GRANT SELECT on s.cohorts: changed\n" in repr(done)
        waited(lambda: status() == 200)
        assert on_every_route() == {200}
        again = fstk(project, GRANT.format(TABLES[1]))
        assert "GRANT SELECT on s.cohorts: changed nothing\n" in repr(again)
        fstk(project, REVOKE.format(TABLES[0]))
        waited(lambda: status() == 403)
        assert on_every_route() == {403}
        fstk(project, REVOKE.format(TABLES[1]))


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_rights_last_through_writes_and_end_with_their_table(project: Project) -> None:
    with project.inside() as fe:
        rows = fe.read_table(name="s.cohorts").toPandas()
        keys = ["cohort", "region"]
        fe.create_table(name="s.passing", primary_keys=keys, df=rows)
        run_command(["grant", GRANT.format("s.passing")])
        granted = fe.get_table(name="s.passing")
        run_command(["grant", GRANT.format("s.passing")])
        assert fe.get_table(name="s.passing") == granted
        assert granted.grants == {"SELECT": ("data-scientists",)}
        fe.write_table(name="s.passing", df=rows.assign(size=rows["size"] + 1))
        fe.create_table(name="s.passing", primary_keys=keys, df=rows, description="again")
        assert fe.get_table(name="s.passing").grants == granted.grants
        fe.drop_table(name="s.passing")
        fe.create_table(name="s.passing", primary_keys=keys, df=rows)
        assert fe.get_table(name="s.passing").grants == {}
        fe.drop_table(name="s.passing")

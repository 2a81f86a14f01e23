"""Declarations are parsed without being run, and values read by the declared type."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fstk.errors import BadParameter, InvalidInput
from fstk.jobs.parameters import parse
from fstk.jobs.plan import plan_run
from fstk.secret import Secret

from .conftest import Project

GOOD: list[tuple[str, Any, Any]] = [
    ("int", "007", 7),
    ("int", "-3", -3),
    ("int", 12, 12),
    ("int", "123456789012345678901234567890", 123456789012345678901234567890),
    ("float", "1e-3", 0.001),
    ("float", 2, 2.0),
    ("bool", "false", False),
    ("bool", "True", True),
    ("bool", True, True),
    ("str", "007", "007"),
    ("str", "false", "false"),
    ("str", "", ""),
    ("str", "none", "none"),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("date", date(2024, 2, 29), date(2024, 2, 29)),
    ("datetime.date", "2024-01-01", date(2024, 1, 1)),
    ("datetime", "2024-01-01T05:30:00.000001+05:30", datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ("datetime", "2024-01-01 00:00Z", datetime(2024, 1, 1, tzinfo=UTC)),
    ("Literal['1d', '7d']", "1d", "1d"),
    ("Literal[1, 7]", "7", 7),
    ("Literal[True, '1']", "true", True),
    ("Literal[True, '1']", "1", "1"),
    ("typing.Literal['a']", "a", "a"),
    ("int | None", "none", None),
    ("int | None", "", None),
    ("int | None", "null", None),
    ("int | None", "007", 7),
    ("None | int", None, None),
    ("Optional[date]", "2024-01-01", date(2024, 1, 1)),
    ("str | None", "none", "none"),
    ("str | None", "", None),
    ("'int | None'", "5", 5),
    ("Literal['a', 'b'] | None", "b", "b"),
    ("Secret", "env:NAME", Secret("env:NAME")),
    ("fstk.Secret", "databricks:my-scope/the.key", Secret("databricks:my-scope/the.key")),
    ("Secret | None", "none", None),
]
BAD: list[tuple[str, Any]] = [
    ("int", "0x10"),
    ("int", "1_000"),
    ("int", "1.0"),
    ("int", ""),
    ("int", True),
    ("int", 1.0),
    ("int", "0;x=1"),
    ("float", "one"),
    ("float", 10**400),
    ("float", True),
    ("bool", "yes"),
    ("bool", "1"),
    ("bool", 1),
    ("str", 7),
    ("date", "19980331"),
    ("date", "1998-13-01"),
    ("date", "1998-03-31T00:00:00"),
    ("date", "86400"),
    ("date", datetime(2024, 1, 1, tzinfo=UTC)),
    ("datetime", "2024-01-01T00:00:00"),
    ("datetime", "2024-01-01"),
    ("datetime", "1700000000"),
    ("datetime", "0001-01-01T00:00:00+05:30"),
    ("Literal['1d', '7d']", "2d"),
    ("Literal['1d', '7d']", "1D"),
    ("Literal[1]", True),
    ("int | None", "nothing"),
    ("Secret", "hunter2"),
]


@pytest.mark.parametrize(("kind", "given", "value"), GOOD)
def test_text_is_read_by_the_declared_type(kind: str, given: Any, value: Any) -> None:
    read = parse(f"p: {kind}", "n.ipynb").read({"p": given})
    assert read == {"p": value}
    assert type(read["p"]) is type(value)


@pytest.mark.parametrize(("kind", "given"), BAD)
def test_what_is_not_of_the_type_is_refused_naming_the_parameter_and_what_was_expected(kind: str, given: Any) -> None:
    with pytest.raises(BadParameter, match=r"^p must be .*; (got|what was given is not shown)"):
        parse(f"p: {kind}", "n.ipynb").read({"p": given})


def test_a_value_that_is_refused_is_not_echoed_whole() -> None:
    with pytest.raises(BadParameter) as caught:
        parse("n: int = 1", "job").read({"n": "1" * 5_000 + "x"})
    assert len(str(caught.value)) < 150


def test_unknown_and_missing_parameters() -> None:
    declaration = parse("start: int\nas_of: date = '1998-03-31'", "n.ipynb")
    with pytest.raises(BadParameter, match=r"^start is missing: a whole number\.$"):
        declaration.read({})
    with pytest.raises(BadParameter, match=r"^there is no parameter 'as_off'\. Nearest: as_of\.$"):
        declaration.read({"start": 1, "as_off": "x"})


@pytest.mark.parametrize("name", ["schema", "copy", "model_config", "json", "p0"])
def test_a_parameter_may_be_named_like_anything_of_pydantic(name: str) -> None:
    assert parse(f"{name}: int = 1\nother: int = 2", "n.ipynb").read({name: "3"}) == {name: 3, "other": 2}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("as_of = '1998-03-31'", "declares nothing"),
        ("print('here')", "declares nothing"),
        ("x: DataFrame = None", "cannot be a DataFrame"),
        ("x: list[int] = []", "cannot be a list"),
        ("x: int | str = 1", "cannot be a int | str"),
        ("x: Literal[f()] = 1", "cannot be a Literal"),
        ("x: date = date.today()", "must be a literal"),
        ("x: date = '1998-02-30'", "the default of x must be a date"),
        ("x: int = 'seven'", "the default of x must be a whole number"),
        ("x: int = (", "line 1"),
        ("%matplotlib inline\nx: int = 1", "line 1"),
    ],
)
def test_what_is_no_declaration(source: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(source, "n.ipynb")
    assert message in str(raised.value)
    assert str(raised.value).startswith("n.ipynb")


def test_nothing_of_the_cell_is_executed(tmp_path: Any) -> None:
    target = tmp_path / "executed"
    with pytest.raises(InvalidInput):
        parse(f"x: int = open({str(target)!r}, 'w').write('x')", "n.ipynb")
    assert not target.exists()


def test_help_is_the_comment_beside() -> None:
    declaration = parse('"""Of the job."""\nn: int = 1  # how many\nt: str = "# no help"  # about #1', "n.ipynb")
    assert [parameter.help for parameter in declaration.parameters] == ["how many", "about #1"]
    assert declaration.display().rows == [("n", "int", 1, "how many"), ("t", "str", "# no help", "about #1")]
    assert parse("n: int", "n.ipynb").display().rows == [("n", "int", "(required)", "")]


@pytest.mark.parametrize(
    "given", [{"a=0;x": "1"}, {"a\nimport os": "1"}, {"a=0;x=1": 1}, {"": 1}, {"__class__": 1}, {"b": 1}]
)
def test_a_name_is_a_declared_one_or_nothing_starts(project: Project, given: dict[str, Any]) -> None:
    project.notebook("n.ipynb", declaration="a: int = 1")
    with pytest.raises(BadParameter, match=r"there is no parameter .*Nothing was started\."):
        plan_run("n.ipynb", given, project.root)


def test_as_of_is_the_logical_date(project: Project) -> None:
    project.notebook("n.ipynb", declaration='as_of: date = "1998-03-31"')
    assert plan_run("n.ipynb", {"as_of": "1998-06-30"}, project.root).logical_date == "1998-06-30"
    project.notebook("n.ipynb", declaration='as_of: datetime = "1998-03-31T02:00:00+02:00"')
    assert plan_run("n.ipynb", {}, project.root).logical_date == "1998-03-31T000000Z"
    for declaration in ('as_of: str = "../../x"', "as_of: date | None = None"):
        project.notebook("n.ipynb", declaration=declaration)
        with pytest.raises(InvalidInput, match="must be declared as a date"):
            plan_run("n.ipynb", {}, project.root)
    project.notebook("n.ipynb")
    assert plan_run("n.ipynb", {}, project.root).logical_date == datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "a=0;x=1"], "BadParameter: a must be a whole number; got '0;x=1'. Nothing was started."),
        (["-p", "b=1"], "BadParameter: there is no parameter 'b'. There is: a. Nothing was started."),
        (["-p", "a"], "BadParameter: -p takes name=value; one without '=' was given. Nothing was started."),
        (["-p", "a=1", "-p", "a=2"], "BadParameter: a is given twice. Nothing was started."),
        (["--cell-timeout", "5"], "InvalidInput: --cell-timeout takes 90s, 30m, 2h or none; got '5'."),
    ],
)
@pytest.mark.slow
def test_bad_arguments_exit_2_and_start_nothing(project: Project, arguments: list[str], message: str) -> None:
    project.notebook("n.ipynb", declaration="a: int = 1")
    done = project.fstk("run", "n.ipynb", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert not (project.root / "runs").exists()

"""What an aggregate expression may say, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fstk.errors import BadExpression
from fstk.windows.aggregates import (
    AGGREGATES,
    AggregateFunction,
    Avg,
    Count,
    CountDistinct,
    LastN,
    Max,
    Min,
    Percentile,
    SinceLast,
    Stddev,
    Sum,
)
from fstk.windows.expression import Expression, Parsed, parse, read


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("count(*)", Parsed(Count(), None, None, ())),
        ("COUNT( * )", Parsed(Count(), None, None, ())),
        ("count(amount)", Parsed(Count(), "amount", None, ("amount",))),
        ("count(1)", Parsed(Count(), "1", None, ())),
        ("Count(DISTINCT channel)", Parsed(CountDistinct(), "channel", None, ("channel",))),
        ("sum(amount * (1 - rate))", Parsed(Sum(), "amount * (1 - rate)", None, ("amount", "rate"))),
        ("avg(`odd name`)", Parsed(Avg(), "`odd name`", None, ("odd name",))),
        ("min(address.city)", Parsed(Min(), "address.city", None, ("address",))),
        (
            "max( case when a > 1 then b /* ) */ end ) -- last",
            Parsed(Max(), "case when a > 1 then b /* ) */ end", None, ("a", "b")),
        ),
        ("stddev(try_cast(text as double))", Parsed(Stddev(), "try_cast(text as double)", None, ("text",))),
        (
            "sum(x) FILTER (WHERE s = ')' AND y IN (1, 2))",
            Parsed(Sum(), "x", "s = ')' AND y IN (1, 2)", ("x", "s", "y")),
        ),
        ("count(*) filter(where channel = 'now')", Parsed(Count(), None, "channel = 'now'", ("channel",))),
        (
            "sum(aggregate(xs, 0, (total, x) -> total + x))",
            Parsed(Sum(), "aggregate(xs, 0, (total, x) -> total + x)", None, ("xs",)),
        ),
        ("max(unix_timestamp(at))", Parsed(Max(), "unix_timestamp(at)", None, ("at",))),
        ("sum(greatest(a, b))", Parsed(Sum(), "greatest(a, b)", None, ("a", "b"))),
        ("percentile(coalesce(a, b), .25)", Parsed(Percentile(0.25), "coalesce(a, b)", None, ("a", "b"))),
        ("last_n(a[0], 12)", Parsed(LastN(12), "a[0]", None, ("a",))),
        ("since_last(*)", Parsed(SinceLast(), None, None, ())),
        ("since_last(a)", Parsed(SinceLast(), "a", None, ("a",))),
        ("count(user)", Parsed(Count(), "user", None, ("user",))),
        ("sum(`current_date`)", Parsed(Sum(), "`current_date`", None, ("current_date",))),
    ],
)
def test_what_is_read(text: str, wanted: Parsed) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("amount", "not an aggregate"),
        ("sum amount", "not an aggregate"),
        ("sum(amount", "parenthesis"),
        ("sum('a)", "not SQL"),
        ("sum()", "sum takes an argument"),
        ("sum(*)", r"\* goes with count\(\*\), since_last\(\*\), since_first\(\*\) only"),
        ("count(distinct *)", r"count\(\*\)"),
        ("sum(distinct amount)", "distinct goes with count"),
        ("sum(a, b)", "'a, b' is not one"),
        ("count(distinct a, b)", "'a, b' is not one"),
        ("sum(a; b)", "not one SQL"),
        ("sum(a as b)", "not a scalar"),
        ("sum(a) sum(b)", r"'sum\(a\) sum\(b\)' is not a scalar"),
        ("sum(a) + b", r"b stands outside of an aggregate.*last\(b\)"),
        ("sum(a) + fstk_0", "fstk_0 stands outside"),
        ("1 + 1", "not an aggregate"),
        ("foo(sum(a))", "foo is not one of Spark's functions"),
        ("rand() * sum(a)", "rand is not deterministic"),
        ("sum(a) + sum(sum(b))", "sum is itself an aggregate"),
        ("sum(a) - count(*) over ()", "window function"),
        ("(select sum(a))", "subquery"),
        ("sum(a) + 1 filter (where b)", "not"),
        ("sum(a) filter (where a > 1) filter (where b)", "after the aggregate"),
        ("sum(a) filter (a > 1)", "after the aggregate"),
        ("sum(a) filter (where)", "not one SQL"),
        ("any_value(a)", "any_value is not an aggregate"),
        ("variance(a)", "Write var_samp"),
        ("percentile(a)", r"two arguments, as in percentile\(amount, 0.5\)"),
        ("percentile(a, 1.5)", "from 0 to 1, such as 0.25; got '1.5'"),
        ("percentile(a, b)", "from 0 to 1"),
        ("percentile(a, 0.5, 0.5)", "'a, 0.5' is not one"),
        ("first_n(a, 0)", "from 1 to 1,000; got '0'"),
        ("last_n(a, 1001)", "from 1 to 1,000"),
        ("last_n(*, 3)", r"\* goes with"),
        ("first(a, true)", "'a, true' is not one"),
        ("mean(a)", "Write avg"),
        ("stddev_samp(a)", "Write stddev"),
        ("my_aggregate(a)", "my_aggregate is not"),
        ("sum(a) over (partition by b)", "window function"),
        ("sum(sum(a))", "sum is itself an aggregate"),
        ("sum(first_value(a))", "first_value is itself"),
        ("sum(some(a))", "some is itself"),
        ("sum(quantile(a, 0.5))", "quantile is not one of Spark's functions"),
        ("sum(row_number())", "row_number is a window function"),
        ("sum((select max(b) from t))", "subquery"),
        ("sum(case when exists (select 1 from t) then a end)", "subquery"),
        ("sum(a) filter (where b in (select c from d))", "subquery"),
        ("sum(a) filter (where at > current_date)", "current_date"),
        ("sum(a) filter (where at > now())", "now"),
        ("max(current_timestamp())", "current_timestamp"),
        ("sum(unix_timestamp() - a)", "unix_timestamp"),
        ("sum(a) filter (where at > date 'today')", "today"),
        ("count(*) filter (where owner = current_user())", "current_user"),
        ("sum(rand())", "rand is not deterministic"),
        ("sum(a * RAND (7))", "rand is not deterministic"),
        ("sum(`rand`())", "rand is not deterministic"),
        ("sum(system.builtin.rand())", "rand is not deterministic"),
        ("count(distinct uuid())", "uuid is not deterministic"),
        ("max(monotonically_increasing_id())", "monotonically_increasing_id"),
        ("max(input_file_name())", "input_file_name"),
        ("sum(my_function(a))", "my_function is not one of Spark's functions"),
        ("max(cast('now' as timestamp))", "'now'"),
        ("max(version())", "version depends on who runs it"),
        ("sum(explode(xs))", "explode makes several rows"),
        ("sum(:limit)", "parameter marker"),
        ("sum({{limit}})", "parameter marker"),
        ("sum(drop table x)", "not"),
    ],
)
def test_what_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(BadExpression, match=named) as caught:
        read(text)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value).splitlines()) <= 3


def test_what_is_over_aggregates_is_kept_as_it_was_written() -> None:
    text = "coalesce( sum(a) filter (where b), 0 ) /* of all */ / count(*) -- a share"
    called = ("sum(a) filter (where b)", "count(*)")
    found = read(text)
    assert found == Expression(
        tuple((one, parse(one)) for one in called), ("coalesce( ", ", 0 ) /* of all */ / ", " -- a share")
    )
    assert found.columns == ("a", "b")
    assert found.over(["x`", "y"]) == "coalesce( `x```, 0 ) /* of all */ / `y` -- a share"
    assert read("sum(a) -- alone").alone


def test_the_page_on_windows_lists_every_aggregate() -> None:
    page = (Path(__file__).parents[2] / "docs" / "windows.md").read_text()
    missing = [form for function in AGGREGATES for form in _in_full(function) if f"`{form}`" not in page]
    assert missing == []


def _in_full(function: AggregateFunction) -> list[str]:
    return [form if "(" in form else f"{form}(x)" for form in function.forms]

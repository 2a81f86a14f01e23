"""A condition that is chosen: what is written is what the engine reads, and no value of another type gets in."""

import datetime as dt

import pyarrow as pa
import pytest

from fstk.engines.direct import DirectEngine
from fstk.engines.types import schema_of
from fstk.errors import InvalidInput
from fstk.notebook.widgets.conditions import OPERATORS, condition

ROWS = pa.table(
    {
        "amount": [1.5, 20.0, None],
        "a name": ["it's", "100 $ \\ more", None],
        "paid": [True, False, None],
        "day": [dt.date(1997, 1, 1), dt.date(1997, 2, 1), None],
        "at": pa.array([dt.datetime(1997, 1, 1, 6, tzinfo=dt.UTC), dt.datetime(1998, 1, 1, tzinfo=dt.UTC), None]),
    }
)


@pytest.mark.parametrize(
    ("column", "operator", "value", "kept"),
    [
        ("amount", ">", "1.5", [1]),
        ("amount", "in", "1.5, 20", [0, 1]),
        ("amount", "is null", "", [2]),
        ("amount", "<>", "1e1", [0, 1]),
        ("a name", "=", "it's", [0]),
        ("a name", "=", "100 $ \\ more", [1]),
        ("a name", "like", "i%", [0]),
        ("paid", "=", "True", [0]),
        ("day", ">=", "1997-02-01", [1]),
        ("at", "<", "1997-01-01 06:00:01", [0]),
    ],
)
def test_what_is_chosen_is_what_is_kept(column: str, operator: str, value: str, kept: list[int]) -> None:
    assert operator in OPERATORS
    text = condition(column, schema_of(ROWS.schema)[column], operator, value)
    found = DirectEngine().select(ROWS, {"kept": text}).column("kept").to_pylist()
    assert [row for row, one in enumerate(found) if one] == kept


@pytest.mark.parametrize(
    ("column", "operator", "value"),
    [
        *[("amount", "=", text) for text in ("", "many", "1 or true", "NaN", "Infinity")],
        *[("amount", "in", "1,"), ("paid", "=", "yes"), ("day", ">", "tomorrow"), ("at", ">", "now")],
    ],
)
def test_a_value_of_another_type_is_refused(column: str, operator: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"{column} is .*: write such a value; got"):
        condition(column, schema_of(ROWS.schema)[column], operator, value)

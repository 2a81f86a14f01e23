"""A query's names in braces are tables, frames and values; nothing is pasted into its text."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pytest

from fstk import FeatureEngineeringClient
from fstk.errors import InvalidInput, NaiveDatetime, UnknownColumn, UnknownTable
from fstk.tables.query import run_query
from tests.notebook.tables import fill

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession


class _Engine:
    """What is handed to a session."""

    session: Any

    def __init__(self) -> None:
        self.session = self

    def frame(self, data: pd.DataFrame, argument: str) -> str:
        return f"{argument}: {len(data)} rows"

    def sql(self, text: str, **views: Any) -> tuple[str, dict[str, Any]]:
        return (text.format(**{name: name for name in views}) if views else text), views


def handed(text: str, **given: Any) -> tuple[str, dict[str, Any]]:
    engine: Any = _Engine()
    read: Any = "table {}".format
    return cast("tuple[str, dict[str, Any]]", run_query(text, given, read, engine))


def test_a_name_is_what_is_given_and_else_a_table() -> None:
    frame = pd.DataFrame({"id": [1, 2]})
    text = "SELECT {n} FROM {t} JOIN {shop.t} WHERE day < {day} OR {n} > 1"
    assert handed(text, t=frame, n=1, day="t") == (
        "SELECT (1) FROM frame_0 JOIN frame_1 WHERE day < 't' OR (1) > 1",
        {"frame_0": "t: 2 rows", "frame_1": "table shop.t"},
    )


@pytest.mark.parametrize("frames", ["", " FROM {t}"])
def test_braces_in_quotes_and_comments_and_around_other_things_are_text(frames: str) -> None:
    texts = "SELECT '{n}', \"{n}\", `{n}`, 'it''s \\' {n}', x RLIKE '^a{3}$', {3}, {} /* {n}\n{n} */ -- {n}\n"
    text, _ = handed(f"{texts}, {{n}}{frames}", n="{0}{m}")
    assert text.startswith(f"{texts}, '{{0}}{{m}}'")


def test_what_is_given_is_in_the_query_and_a_value_and_a_time_has_a_zone() -> None:
    with pytest.raises(InvalidInput, match=r"sql: \{dya\} is not in the query\. Nearest: day\."):
        handed("SELECT {day}", dya=1)
    with pytest.raises(NaiveDatetime, match="at: datetime"):
        handed("SELECT {at}", at=datetime(2024, 1, 1))
    with pytest.raises(InvalidInput, match=r"sql: days must be a frame, or a text, .*; got \["):
        handed("SELECT {days}", days=[1, 2])


@pytest.mark.spark
def test_values_keep_their_type_and_text_is_never_sql(warehouse: Path, spark: SparkSession) -> None:
    fill(warehouse)
    fe = FeatureEngineeringClient(spark)
    given = {
        "day": date(1997, 1, 5),
        "at": datetime(1997, 1, 6, 1, tzinfo=timezone(timedelta(hours=1))),
        "text": "transactions' OR \\'1'='1 ${env:HOME} {at}",
        "none": None,
        "yes": True,
        "less": np.int64(-5),
        "half": 0.5,
        "nan": float("nan"),
    }
    selected = ", ".join(f"{{{name}}} AS {name}" for name in given)
    row = (
        fe.sql(
            f"SELECT {selected}, 1 -{{less}} AS six, count(*) AS n FROM {{transactions}} "
            "JOIN {chosen} USING (customer_id) WHERE purchased_at < {at} AND date(purchased_at) <= {day}",
            chosen=pd.DataFrame({"customer_id": [1]}),
            **given,
        )
        .selectExpr("*", "unix_seconds(at) AS seconds")
        .first()
    )
    assert row is not None
    found = row.asDict()
    assert math.isnan(found.pop("nan"))
    assert found.pop("at")
    del given["nan"], given["at"]
    assert found == {**given, "six": 6, "n": 1, "seconds": datetime(1997, 1, 6, tzinfo=UTC).timestamp()}
    with pytest.raises(UnknownTable, match=r"transaction\. Nearest: "):
        fe.sql("SELECT * FROM {transaction}")
    with pytest.raises(UnknownColumn):
        fe.sql("SELECT nothing FROM {transactions}")

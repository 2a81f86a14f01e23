"""A rewritten future leaves the past as it was, changes all that comes after, and is seen where it is compared."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa

from fstk.columns.instants import microseconds
from fstk.proof.compare import differences
from fstk.proof.source import names_of_rows, with_past, without_future
from fstk.training.resolve import Join, Output

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
INSTANT = pa.timestamp("us", "UTC")


def events() -> pa.Table:
    days = [0, 1, 2, 3, 4, 5, 6, 7, None]
    return pa.table(
        {
            "event_id": [f"e{n}" for n in range(9)],
            "k": pa.array([1, 2] * 4 + [1], pa.int64()),
            "at": pa.array([None if day is None else START + day * DAY for day in days], INSTANT),
            "settled_on": pa.array([(START + 6 * DAY).date() if n == 1 else None for n in range(9)]),
            "amount": [1.0, 2.0, 3.0, 4.0, 5.0, float("nan"), 7.0, None, 9.0],
            "count": pa.array([1, 2, 3, 4, 2**31 - 1, -(2**31), 7, 8, 8], pa.int32()),
            "price": pa.array([Decimal("1.50")] * 9, pa.decimal128(6, 2)),
            "status": ["open"] * 9,
            "paid": [True] * 9,
        }
    )


CUT = microseconds(START + 3 * DAY)


def test_the_past_stays_and_the_future_is_another() -> None:
    acts = []
    for turn in range(3):
        rewritten = without_future(events(), CUT, ["k", *names_of_rows(events())], turn)
        acts.append(rewritten.acts.tolist())
        before = events().filter(pa.array([n in (0, 2, 3, 8) for n in range(9)])).to_pylist()
        after = {row["event_id"]: row for row in rewritten.rows.to_pylist()}
        assert [after[row["event_id"]] for row in before] == before
        assert rewritten.rows.schema == events().schema
    assert [row[4:8] for row in acts] == [
        ["deleted", "altered", "negated", "deleted"],
        ["altered", "negated", "deleted", "altered"],
        ["negated", "deleted", "altered", "negated"],
    ]
    assert {row[1] for row in acts} == {
        "altered"
    }  # it began before and was settled after: its values were not known yet


def test_names_keys_and_times_of_a_row_stay() -> None:
    first, second = (
        without_future(events(), CUT, ["k", *names_of_rows(events())], turn).rows.to_pylist() for turn in (0, 1)
    )
    altered = next(row for row in second if row["event_id"] == "e4")
    assert altered == {
        **events().to_pylist()[4],
        "amount": 16.0, "count": 2**31 - 2, "price": Decimal("-1.50"), "status": "open~", "paid": False,
    }  # fmt: skip
    negated = next(row for row in first if row["event_id"] == "e6")
    assert (negated["amount"], negated["count"], negated["status"], negated["paid"]) == (-7.0, -7, "open", False)


def test_of_the_past_the_newest_row_of_each_entity_is_altered_and_the_one_before_it_deleted() -> None:
    rewritten = with_past(events(), CUT, ["k"], ["k", "event_id"])
    # row 1 was settled later, 3 is of the instant, 8 of no time
    assert rewritten.acts.tolist() == ["deleted", "", "altered", *[""] * 6]
    assert rewritten.rows.num_rows == 8
    assert with_past(events().slice(0, 0), CUT, ["k"], ["k"]).rows.num_rows == 0
    other = with_past(events(), CUT, [], ["event_id"])
    assert np.flatnonzero(other.acts == "altered").tolist() == [2]


def test_what_differs_is_named_for_the_newest_label() -> None:
    rows = {
        "k": pa.array([1, 1, 2], pa.int64()),
        "at": pa.array([START, START + DAY, START], INSTANT),
        "total": [1.0, 2.0, float("nan")],
        "same": [0.1 + 0.2, 1.0, 2.0],
        "y": [1, 2, 3],
    }
    before = pa.table(rows)
    after = pa.table({**rows, "total": [1.0, None, float("nan")], "same": [0.3, 1.0, 2.0], "y": [0, 0, 0]})
    outputs = tuple(Output(name, name, "double") for name in ("total", "same", "y"))
    join = Join("f", None, 0, ("k",), ("k",), "t", "at", None, outputs, True)
    labels = pa.table(
        {"k": pa.array([1, 1, 1, 2], pa.int64()), "t": pa.array([START + n * DAY for n in (0, 2, 1, 9)], INSTANT)}
    )
    (found,) = differences(labels, [join], {"f": before}, {"f": after}, "y")
    assert (found.row, found.table, found.feature, found.before, found.after, found.labels) == (
        1,
        "f",
        "total",
        2.0,
        None,
        2,
    )

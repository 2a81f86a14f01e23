"""Tables published with nulls skipped: each value the newest that is not null, with its own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.errors import InvalidInput, SchemaChange, TypeMismatch
from fstk.models.lookups import Lookups
from fstk.online.kernel import EVENT_TIME, WAITING, Newest
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import read_online
from fstk.online.spec import OnlineSpec, SQLiteSpec
from fstk.online.store import TIMES
from fstk.training.resolve import Join, Output
from tests.generated import examples
from tests.online.tables import Made, day, row

KEYS = [{"id": 1}, {"id": 2}, {"id": 3}]


def filled(made: Made) -> Any:
    return made.append(row(1, 1, 10, "a"), row(1, 2, None, "b"), row(1, 3, None), row(2, 1, None), row(2, 2, 0))


def test_each_value_is_the_newest_that_is_not_null(made: Made, spec: OnlineSpec) -> None:
    publish(filled(made), spec, nulls="skip")
    rows = read_online("s.t", KEYS, store=spec)
    want = [{"id": 1, "n": 10, "word": "b"}, {"id": 2, "n": 0, "word": None}, {"id": 3, "n": None, "word": None}]
    assert rows[:] == want
    assert [dict(one.older) for one in rows.found] == [{"n": day(1), "word": day(2)}, {}, {}]
    assert rows.found[0].event_time == day(3)
    assert read_online("s.t", KEYS[:1], ["word"], store=spec)[:] == [{"id": 1, "word": "b"}]


def test_an_older_row_that_changes_is_published(made: Made, spec: OnlineSpec) -> None:
    publish(filled(made), spec, nulls="skip")
    report = publish(made.merge(row(1, 2, 20, None)), spec)  # goes on as the table is online
    assert (report.written, report.unchanged) == (1, 1)
    assert read_online("s.t", KEYS[:1], store=spec)[:] == [{"id": 1, "n": 20, "word": "a"}]
    assert check_parity(made.at(), spec).equal == 2


def test_a_table_can_begin_to_skip_nulls_and_not_cease(made: Made, spec: OnlineSpec) -> None:
    table = filled(made)
    publish(table, spec)
    assert read_online("s.t", KEYS[:1], store=spec)[:] == [{"id": 1, "n": None, "word": None}]
    assert publish(table, spec, nulls="skip").written == 2
    assert read_online("s.t", KEYS[:1], store=spec)[:] == [{"id": 1, "n": 10, "word": "b"}]
    with pytest.raises(SchemaChange, match="online s.t skips nulls; drop_online_table"):
        publish(table, spec, nulls="keep")


def test_a_value_expires_by_its_own_time(made: Made, tmp_path: Path) -> None:
    spec = SQLiteSpec(tmp_path / "online.db", ttl=timedelta(days=5))
    publish(filled(made), spec, nulls="skip")
    told = {now: read_online("s.t", KEYS[:1], store=spec, now=day(now)) for now in (6, 7, 8, 9)}
    values = [(rows[0]["n"], rows[0]["word"]) for rows in told.values()]
    assert values == [(10, "b"), (None, "b"), (None, None), (None, None)]
    assert [rows.found[0].status for rows in told.values()] == ["present", "present", "present", "expired"]


def test_only_rows_of_several_times_have_older_values(tmp_path: Path) -> None:
    static = Made(tmp_path / "s", {"id": "bigint", "n": "bigint"}, ("id",), None).append({"id": 1, "n": 1})
    store = SQLiteSpec(tmp_path / "online.db")
    with pytest.raises(InvalidInput, match="no time column, so no value is older"):
        publish(static, store, nulls="skip")
    with pytest.raises(InvalidInput, match="'keep' or 'skip'; got 'drop'"):
        publish(static, store, nulls="drop")  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 2), st.integers(0, 8)),
        st.tuples(st.none() | st.integers(0, 9), st.none() | st.text(max_size=2)),
        max_size=16,
    ),
    st.integers(0, 8),
)
@settings(max_examples=examples(300), deadline=None)
def test_the_kernel_finds_what_a_loop_finds(
    held: dict[tuple[int, int], tuple[int | None, str | None]], until: int
) -> None:
    rows = [row(key, at, *values) for (key, at), values in held.items()]
    table = pa.Table.from_pylist(
        rows,
        schema=pa.schema({"id": pa.int64(), "at": pa.timestamp("us", "UTC"), "n": pa.int64(), "word": pa.string()}),
    )
    micros = (day(until) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    newest = Newest("s.t", ("id",), "at", ("id", "n", "word"), micros, skip_nulls=True)(table)
    want = []
    for key in range(3):
        own = [one for one in sorted(rows, key=lambda one: one["at"]) if one["id"] == key and one["at"] <= day(until)]
        if not own:
            continue
        last = {name: next((one for one in reversed(own) if one[name] is not None), None) for name in ("n", "word")}
        values = [None if one is None else one[name] for name, one in last.items()]
        times = [None if one is None or one is own[-1] else one["at"] for one in last.values()]
        want.append((key, *values, times if any(times) else None, own[-1]["at"]))
    got = [one for one in newest.to_pylist() if not one[WAITING]]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seen = [
        (one["id"], one["n"], one["word"], one[TIMES], epoch + timedelta(microseconds=one[EVENT_TIME])) for one in got
    ]
    assert sorted(seen, key=lambda one: one[0]) == want


def lookups(spec: OnlineSpec, nulls: Any, lookback: timedelta | None = None) -> Lookups:
    outputs = (Output("n", "n", "bigint", -1), Output("word", "word", "string"))
    micros = None if lookback is None else lookback // timedelta(microseconds=1)
    join = Join("s.t", None, 1, ("id",), ("id",), "ts", "at", micros, outputs, True, nulls)
    return Lookups((join,), spec, {"id": "bigint"})


def test_an_endpoint_looks_back_from_each_values_own_time(made: Made, tmp_path: Path) -> None:
    spec = SQLiteSpec(tmp_path / "online.db")
    publish(filled(made), spec, nulls="skip")
    columns = {"id": [1, 1, 1], "ts": [day(3), day(4), day(7)]}
    found = lookups(spec, "skip", timedelta(days=2)).read(columns, 3)
    assert found.columns == {"n": [10, -1, -1], "word": ["b", "b", None]}
    assert found.expired == {"s.t": 1}


@pytest.mark.parametrize(("trained", "published"), [("keep", "skip"), ("skip", "keep")])
def test_a_model_of_the_other_rule_is_refused(made: Made, tmp_path: Path, trained: Any, published: Any) -> None:
    spec = SQLiteSpec(tmp_path / "online.db")
    publish(filled(made), spec, nulls=published)
    with pytest.raises(TypeMismatch, match=f"nulls of s.t are '{trained}' to what is served; online"):
        lookups(spec, trained)

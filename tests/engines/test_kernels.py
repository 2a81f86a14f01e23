from __future__ import annotations

import pyarrow as pa
import pytest

from fstk.engines import buckets
from fstk.engines.base import Engine
from fstk.engines.notes import notes_of
from fstk.errors import DuplicateKeys


@pytest.mark.parametrize("apart", [True, False])
def test_every_row_reaches_one_call_with_its_equals(
    engine: Engine, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "plan", lambda rows, at_hand: buckets.Buckets(7, apart))
    keys = [0.0, -0.0, float("nan"), float("nan"), None, None, 1.5, 2.5]
    left = engine.frame(pa.table({"k": pa.array(keys), "i": range(8)}), "left")
    right = engine.frame(pa.table({"j": pa.array([-0.0, float("nan"), 7.0])}), "right")

    def rows(one: pa.Table, two: pa.Table) -> pa.Table:
        groups: dict[str, list[int]] = {}
        for key, i in zip(one.column("k").to_pylist(), one.column("i").to_pylist(), strict=True):
            groups.setdefault("null" if key is None else str(key + 0.0), []).append(i)
        others = {str(key + 0.0) for key in two.column("j").to_pylist()}
        return pa.table(
            {
                "group": pa.array(groups.keys(), pa.string()),
                "rows": pa.array([len(found) for found in groups.values()], pa.int64()),
                "met": pa.array([name in others for name in groups], pa.bool_()),
            }
        )

    schema = {"group": "string", "rows": "bigint", "met": "boolean"}
    found = engine.arrow(engine.map_pair(left, ["k"], right, ["j"], rows, schema)).to_pylist()
    assert sorted((row["group"], row["rows"], row["met"]) for row in found) == [
        ("0.0", 2, True),
        ("1.5", 1, False),
        ("2.5", 1, False),
        ("nan", 2, True),
        ("null", 2, False),
    ]


def test_an_error_of_a_kernel_arrives_as_itself(engine: Engine) -> None:
    frame = engine.frame(pa.table({"k": [1, 2]}), "frame")

    def refuse(table: pa.Table) -> pa.Table:
        raise DuplicateKeys("2 rows share k = 1: “ä”.")

    with pytest.raises(DuplicateKeys, match="2 rows share k = 1: “ä”"):
        engine.arrow(engine.map(frame, ["k"], refuse, {"k": "bigint"}))


ODD = ("a.b", "x`y", "select", "ünï 1", "it's", 'q"q', "c1", "UPPER.x")


def test_columns_of_any_name_reach_the_kernels(engine: Engine) -> None:
    rows = pa.table({name: pa.array([position, position + 10], pa.int64()) for position, name in enumerate(ODD)})
    schema: dict[str, str] = {name: "bigint" for name in ODD}
    frame, key = engine.frame(rows, "rows"), ODD[:1]

    def sorted_rows(table: pa.Table) -> pa.Table:
        return table.sort_by(ODD[0])

    assert sorted_rows(engine.arrow(engine.map(frame, key, sorted_rows, schema))).equals(rows)
    assert sorted_rows(engine.arrow(engine.map_slices(frame, lambda table: table, schema))).equals(rows)
    paired = engine.map_pair(frame, key, frame, key, lambda one, two: sorted_rows(two.select(one.column_names)), schema)
    assert sorted_rows(engine.arrow(paired)).equals(rows)
    assert sorted_rows(pa.Table.from_batches(list(engine.batches(frame)))).equals(rows)


def test_frames_without_rows_or_chunks(engine: Engine) -> None:
    kinds = {
        "a": pa.int64(),
        "b": pa.timestamp("us", "UTC"),
        "c": pa.list_(pa.timestamp("us", "UTC")),
        "d": pa.struct([("x", pa.string())]),
    }
    rows = pa.table({name: pa.chunked_array([], kind) for name, kind in kinds.items()})
    frame = engine.frame(rows, "rows")
    found = engine.arrow(engine.map(frame, ["a"], lambda table: table, engine.schema(frame)))
    assert found.num_rows == 0
    assert found.schema.types == list(kinds.values())


def test_a_text_beside_a_column_is_read_again_replaced_and_taken_away(engine: Engine) -> None:
    frame = engine.frame(pa.table({"k": [1], "a.b": [2.0]}), "frame")
    beside = engine.noted(frame, {"a.b": 'sum("x")', "k": "é"})
    assert notes_of(beside) == {"a.b": 'sum("x")', "k": "é"}
    other = engine.noted(beside, {"k": "other"})
    assert notes_of(other) == {"k": "other"}
    assert notes_of(engine.noted(other, {})) == {}
    assert engine.arrow(other).to_pylist() == [{"k": 1, "a.b": 2.0}]

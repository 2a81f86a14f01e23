"""The newest rows, as they leave the kernel."""

from __future__ import annotations

import pyarrow as pa

from fstk.online.kernel import EVENT_TIME, WAITING, Newest

ROWS = pa.table(
    {
        "id": pa.chunked_array([[2, 1, 3], [1, 4], [5]]),
        "at": pa.chunked_array([[10, 10, 10], [20, 99], [10]]),
        "n": pa.chunked_array([[20, 10, 30], [11, 40], [50]]),
    }
).cast(pa.schema({"id": pa.int64(), "at": pa.timestamp("us", "UTC"), "n": pa.int64()}))


def test_rows_come_in_the_order_of_the_table_and_whole_batches_are_not_copied() -> None:
    found = Newest("s.t", ("id",), "at", ("id", "n"), until=20)(ROWS)
    assert found.select(["id", "n", EVENT_TIME, WAITING]).to_pydict() == {
        "id": [2, 3, 1, 4, 5],
        "n": [20, 30, 11, 40, 50],
        EVENT_TIME: [10, 10, 20, 99, 10],
        WAITING: [False, False, False, True, False],
    }
    last = [table["n"].chunks[-1] for table in (found, ROWS)]
    assert last[0].buffers()[1].address == last[1].buffers()[1].address

"""One contender in a process of its own: ``python -m bench.child CASE CONTENDER FOLDER REPEATS``.

Prints its times as one JSON line, then writes the answer of the last run to ``FOLDER/answers/CASE, CONTENDER``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bench import local, process, spark
from bench.cases import FROM_FILES

LOCAL = {"direct": local.direct, "DuckDB": local.duck, "Polars": local.polars}
SPARK = {"spark": spark.fstk, "Spark SQL": spark.native}


def answer(folder: Path, case: str, contender: str) -> Path:
    """Return where the answer lies: one Parquet file, or a folder of them."""
    return folder / "answers" / f"{case}, {contender}"


def timed(run: Callable[[], Any], repeats: int, cold: Sequence[Path] = ()) -> tuple[list[float], Any]:
    """Return the seconds of each run, before which ``cold`` files leave the system's memory, and what the last gave."""
    seconds, result = [], None
    for _ in range(repeats):
        result = None  # the one before is no part of this run's memory
        for file in cold:
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return seconds, result


def main(case: str, contender: str, folder: Path, repeats: int) -> None:
    """Measure and answer."""
    target = answer(folder, case, contender)
    if contender in LOCAL:
        cold = FROM_FILES[case].files(folder) if case in FROM_FILES and FROM_FILES[case].cold else []
        seconds, result = timed(LOCAL[contender](case, folder), repeats, cold)
        process.report(seconds=seconds)
        table = result.to_arrow() if isinstance(result, pl.DataFrame) else result
        pq.write_table(pa.table(table), target)
    else:
        make = SPARK[contender]
        spark.warm_up()
        # The frame is made anew each time, so that planning counts; "noop" computes every row and keeps none.
        seconds, _ = timed(lambda: make(case, folder).write.format("noop").mode("overwrite").save(), repeats)
        process.report(seconds=seconds)
        make(case, folder).write.mode("overwrite").parquet(str(target))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))

"""How long until something can be done: ``python -m bench.startup CONTENDER FOLDER`` prints seconds since its start.

``fstk`` is ``fstk.connect()``. ``delta-spark`` is what its documentation says, ``configure_spark_with_delta_pip``,
which asks Maven Central at every start; ``delta-spark, jars on disk`` has its default settings without asking.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from bench import process

OFFLINE = "delta-spark, jars on disk"
STEPS = ("session", "first Delta write", "MERGE")
"""Cumulative, imports included."""


def session(contender: str, folder: Path) -> dict[str, float]:
    """Start a session, write a Delta table of one row and merge one into it."""
    start = time.perf_counter()
    spark = _fstk() if contender == "fstk" else _documented(folder, offline=contender == OFFLINE)
    steps = {"session": time.perf_counter() - start}
    path = str(folder / "started" / contender)
    spark.range(1).write.format("delta").save(path)
    steps["first Delta write"] = time.perf_counter() - start
    spark.sql(
        f"MERGE INTO delta.`{path}` t USING (SELECT 1L AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *"
    ).collect()
    steps["MERGE"] = time.perf_counter() - start
    return steps


def _fstk() -> Any:
    import fstk

    return fstk.connect()


def _documented(folder: Path, *, offline: bool) -> Any:
    import delta
    from pyspark.sql import SparkSession

    builder: Any = (
        SparkSession.builder.appName("MyApp")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.warehouse.dir", str(folder / "spark-warehouse"))
    )
    if not offline:
        return delta.configure_spark_with_delta_pip(builder).getOrCreate()
    from fstk import settings
    from fstk.engines.start import jars

    found = ",".join(str(path) for path in jars.paths(settings.load().jars))
    return builder.config("spark.jars", found).getOrCreate()


if __name__ == "__main__":
    process.report(steps=session(sys.argv[1], Path(sys.argv[2])))

"""How long until something can be done: ``python -m bench.startup CONTENDER FOLDER`` prints seconds since its start.

``fstk`` is ``fstk.connect()``. ``delta-spark`` is what its documentation says, ``configure_spark_with_delta_pip``,
which asks Maven Central at every start; ``delta-spark, jars on disk`` has its default settings without asking.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from bench import watched

OFFLINE = "delta-spark, jars on disk"
STEPS = ("import fstk", "%load_ext fstk", "session", "first Delta write", "MERGE")
"""The first two are of fstk alone, each in itself; the others are cumulative, imports included."""


def extension() -> dict[str, float]:
    """Time ``import fstk`` and ``%load_ext fstk`` in an IPython shell that is already there."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    start = time.perf_counter()
    shell.run_cell("import fstk")
    imported = time.perf_counter()
    shell.run_cell("%load_ext fstk")
    loaded = time.perf_counter()
    if shell.find_magic("fstk") is None:  # IPython prints why, and raises nothing
        raise SystemExit("%load_ext fstk left no magic")
    return {"import fstk": imported - start, "%load_ext fstk": loaded - imported}


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
    from fstk.engines import jars

    found = ",".join(str(path) for path in jars.paths(settings.load().jars))
    return builder.config("spark.jars", found).getOrCreate()


if __name__ == "__main__":
    measured = extension() if sys.argv[1] == "extension" else session(sys.argv[1], Path(sys.argv[2]))
    watched.say(steps=measured)

"""The archive of loaded classes: what a session usually does, done once (see :mod:`fstk.engines.start.jars`)."""

from __future__ import annotations

import sys

import pyarrow as pa

from fstk import settings
from fstk.engines.base import TableVersion
from fstk.engines.connect import active, connect
from fstk.optional import need
from fstk.warehouse import folder

_SCHEMA = {"k": "string", "t": "timestamp", "v": "double"}


def rehearse(archive: str) -> None:
    """Create, merge into, read and map a small Delta table in a session that ends by writing ``archive``."""
    java = f"-XX:ArchiveClassesAtExit={archive}"
    session = connect("spark", master="local[2]", **{"spark.driver.extraJavaOptions": java})
    engine = active()
    location = str(folder(settings.load().warehouse, "rehearsal.features"))
    table = TableVersion("rehearsal.features", location)
    times = pa.array([0, 1], pa.timestamp("us", "UTC"))
    rows = engine.frame(pa.table({"k": ["a", "b"], "t": times, "v": [1.0, None]}), "rows")
    rows.write.format("delta").option("delta.enableChangeDataFeed", "true").save(location)
    rows.createOrReplaceTempView("rehearsed")
    session.sql(
        f"MERGE INTO delta.`{location}` AS old USING (SELECT k, t, v + 1 AS v FROM rehearsed) AS new "
        "ON old.k = new.k AND old.t = new.t "
        "WHEN MATCHED AND NOT old.v <=> new.v THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    ).collect()
    stored = engine.read(table)
    engine.arrow(engine.map_pair(stored, ["k"], rows, ["k"], lambda one, two: one, _SCHEMA))
    engine.arrow(engine.changes(table))
    engine.arrow(engine.select(stored, {"k": "upper(k)", "v": "CASE WHEN v > 1 THEN v ELSE 0 END"}))
    stored.groupBy("k").count().toPandas()
    session.stop()
    gateway = need("pyspark").SparkContext._gateway
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends with it, and writes the archive as it ends
    gateway.proc.wait(timeout=300)


if __name__ == "__main__":
    rehearse(sys.argv[1])

"""What a session usually does, done once, so that the JVM archives the classes it loads: see :mod:`fstk.engines.jars`."""

from __future__ import annotations

import sys

import pyarrow as pa

from fstk import settings
from fstk.engines.connect import active, connect
from fstk.engines.base import TableVersion
from fstk.engines.location import folder


def rehearse(archive: str) -> None:
    """Create, merge into, read and map a small Delta table in a session that ends by writing ``archive``."""
    session = connect("spark", master="local[2]", **{"spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={archive}"})
    engine = active()
    name = "rehearsal.features"
    location = folder(settings.load().warehouse, name)
    rows = engine.frame(pa.table({"k": ["a", "b"], "t": pa.array([0, 1], pa.timestamp("us", "UTC")), "v": [1.0, None]}), "rows")
    rows.write.format("delta").option("delta.enableChangeDataFeed", "true").save(str(location))
    rows.createOrReplaceTempView("rehearsed")
    session.sql(
        f"MERGE INTO delta.`{location}` AS old USING (SELECT k, t, v + 1 AS v FROM rehearsed) AS new "
        "ON old.k = new.k AND old.t = new.t WHEN MATCHED AND NOT old.v <=> new.v THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    ).collect()
    stored = engine.read(TableVersion(name, str(location)))
    pairs = engine.map_pair(stored, ["k"], rows, ["k"], lambda one, two: one, {"k": "string", "t": "timestamp", "v": "double"})
    engine.arrow(pairs)
    engine.arrow(engine.changes(TableVersion(name, str(location))))
    engine.arrow(engine.select(stored, {"k": "upper(k)", "v": "CASE WHEN v > 1 THEN v ELSE 0 END"}))
    stored.groupBy("k").count().toPandas()
    session.stop()


if __name__ == "__main__":
    rehearse(sys.argv[1])

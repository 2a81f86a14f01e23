"""What the demo's features must be, counted by DuckDB."""

from __future__ import annotations

import duckdb
import pyarrow as pa


def miscounted(features: pa.Table, purchases: pa.Table) -> int:
    """Return how many rows of ``customer_features`` are not what the purchases before their instants come to."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.register("features", features)
    connection.register("purchases", purchases)
    different = connection.execute(
        """
        SELECT count(*) FROM (
            SELECT f.customer_id, f.as_of,
                   any_value(f.txn_count_30d) AS count_30d, any_value(f.total_spend_90d) AS spend_90d,
                   count(*) FILTER (WHERE p.purchased_at >= f.as_of - INTERVAL 30 DAY) AS oracle_count,
                   sum(p.amount) FILTER (WHERE p.purchased_at >= f.as_of - INTERVAL 90 DAY) AS oracle_spend
            FROM features f JOIN purchases p ON p.customer_id = f.customer_id AND p.purchased_at < f.as_of
            GROUP BY ALL
        ) WHERE count_30d <> oracle_count OR (spend_90d IS NULL) <> (oracle_spend IS NULL)
             OR abs(spend_90d - oracle_spend) > 1e-6
        """
    ).fetchone()
    assert different is not None
    return different[0]

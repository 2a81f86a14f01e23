"""A warehouse for tests of previews: purchases and a feature table of them, written by delta-rs without a JVM."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import deltalake
import msgspec
import pyarrow as pa

from fstk.tables.definition import FeatureDefinition

DAY = dt.timedelta(days=1)
START = dt.datetime(1997, 1, 1, tzinfo=dt.UTC)
INSTANT = pa.timestamp("us", tz="UTC")

SPEND = FeatureDefinition("sum(amount)", "30d", ("customer_id",), "purchased_at", "left", "transactions", 0)
COUNT = msgspec.structs.replace(SPEND, expression="count(*)")

PURCHASES = [  # customer, days after START, amount, quantity; customer 3 bought once, customer 4 never
    (1, 0, 10.0, 1),
    (1, 5, 20.0, 2),
    (1, 6, 30.0, 3),
    (1, 40, 5.5, 1),
    (2, 10, 7.0, 1),
    (2, 31, 8.0, 4),
    (3, 60, 1.0, 1),
]


def purchases() -> pa.Table:
    """The events: customer_id, purchased_at, amount, quantity."""
    columns = list(zip(*PURCHASES, strict=True))
    return pa.table(
        {
            "customer_id": pa.array(columns[0], pa.int64()),
            "purchased_at": pa.array([START + days * DAY for days in columns[1]], INSTANT),
            "amount": pa.array(columns[2], pa.float64()),
            "quantity": pa.array(columns[3], pa.int32()),
        }
    )


def spend() -> pa.Table:
    """The feature table: weekly rows with the purchases of the 30 days before, from a customer's first on."""
    rows: list[dict[str, Any]] = []
    for week in range(1, 12):
        as_of = START + 7 * week * DAY
        for customer in (1, 2, 3):
            own = [(START + days * DAY, amount) for key, days, amount, _ in PURCHASES if key == customer]
            if any(at < as_of for at, _ in own):
                seen = [amount for at, amount in own if as_of - 30 * DAY <= at < as_of]
                rows.append(
                    {
                        "customer_id": customer,
                        "as_of": as_of,
                        "txn_count_30d": len(seen),
                        "total_spend_30d": sum(seen) if seen else None,
                    }
                )
    return pa.Table.from_pylist(
        rows,
        schema=pa.schema(
            [
                ("customer_id", pa.int64()),
                ("as_of", INSTANT),
                ("txn_count_30d", pa.int64()),
                ("total_spend_30d", pa.float64()),
            ]
        ),
    )


def write(folder: Path, rows: pa.Table, mark: dict[str, Any] | None = None, /, **properties: str) -> None:
    """Write a Delta table, or append to it, with properties and a mark as fstk's own commits would carry them."""
    deltalake.write_deltalake(str(folder), rows, mode="append", configuration={"delta.enableChangeDataFeed": "true"})
    log = max((folder / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"].update({f"fstk.{name}": value for name, value in properties.items()})
        if "commitInfo" in action and (properties or mark):
            told = {"fstk": "0.1.0", "run": None, "write": "test", **(mark or {})}
            action["commitInfo"]["userMetadata"] = json.dumps(told)
    log.write_text("\n".join(json.dumps(action) for action in actions))


def defined(version: int = 0, **definitions: FeatureDefinition) -> dict[str, Any]:
    """What a commit says of features that are computed of ``transactions``."""
    told = {name: msgspec.to_builtins(one) for name, one in definitions.items()}
    return {"defined": told, "sources": {"transactions": version}, "points": "calendar"}


def write_defined(folder: Path) -> None:
    """Write :func:`spend` with the definitions of its features."""
    mark = defined(total_spend_30d=SPEND, txn_count_30d=COUNT)
    write(folder, spend(), mark, primary_keys='["customer_id"]', timeseries_column="as_of")


def fill(warehouse: Path) -> None:
    """Write ``transactions``, ``feature_store.customer_features`` and the static ``feature_store.regions``."""
    write(warehouse / "default" / "transactions", purchases())
    write(
        warehouse / "feature_store" / "customer_features",
        spend(),
        primary_keys='["customer_id"]',
        timeseries_column="as_of",
        **{"tag.source": "transactions", "tag.event_time": "purchased_at", "tag.closed": "left"},
    )
    regions = pa.table({"region": ["north", "south"], "inhabitants": pa.array([10, 20], pa.int64())})
    write(warehouse / "feature_store" / "regions", regions, primary_keys='["region"]')


def labels() -> pa.Table:
    """Labels: one served well, one too early, one of an unknown customer, one without a time, one without a key."""
    at = [START + 20 * DAY, START + 1 * DAY, START + 50 * DAY, START + 50 * DAY, None, START + 50 * DAY]
    return pa.table(
        {
            "customer_id": pa.array([1, 1, 2, 99, 1, None], pa.int64()),
            "event_ts": pa.array(at, INSTANT),
            "region": ["north", "south", "north", "east", "north", None],
            "is_churned": [True, False, True, False, True, False],
        }
    )

"""What fstk computes in each case, the same on every engine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import data
from fstk.tables.spec import FeatureTable
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.spec import FeatureLookup
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

CASES = ("join", "windows at events", "windows on calendar")
FEATURES = "bench.features"


@dataclass(frozen=True)
class FromFiles:
    """A join of labels in memory with ``features`` of the wide table ``table``, which lies in its files; ``cold``: not
    in the system's memory either."""

    table: str
    features: int
    cold: bool

    @property
    def names(self) -> list[str]:
        """The features, spread over the table."""
        return [f"f{1 + n * data.WIDE // self.features}" for n in range(self.features)]

    def files(self, folder: Path) -> list[Path]:
        """Return the table's files."""
        return sorted((folder / "delta" / self.table).glob("*.parquet"))

    def plan(self, folder: Path) -> TrainingPlan:
        """Return the plan of the training set."""
        name = f"bench.{self.table}"
        kinds = {f"f{n}": "double" if (n - 1) % 3 else "bigint" for n in range(1, data.WIDE + 1)}
        schema = {"key": "bigint", "ts": "timestamp", **kinds}
        location = str(folder / "delta" / self.table)
        version = len(self.files(folder)) - 1
        made = FeatureTable(name, ("key",), "ts", schema, version=version, location=location, written_by_fstk=True)
        lookup = FeatureLookup(name, "key", feature_names=self.names, timestamp_lookup_key="ts")
        return plan_training_set({"id": "bigint", "key": "bigint", "ts": "timestamp"}, [lookup], {name: made}, None)


FROM_FILES = {
    "join from files": FromFiles("ordered", data.WIDE, cold=False),
    "join from files, cold": FromFiles("ordered", data.WIDE, cold=True),
    "join from files, 2 of 12": FromFiles("ordered", 2, cold=False),
    "join from files, 2 of 12, cold": FromFiles("ordered", 2, cold=True),
    "join from unordered files": FromFiles("unordered", data.WIDE, cold=False),
}
"""Cases of the contenders that run in one process."""


def join_plan(folder: Path) -> TrainingPlan:
    """Return the plan of a training set: the newest of three features at each label."""
    table = FeatureTable(
        FEATURES,
        ("key",),
        "ts",
        {"key": "bigint", "ts": "timestamp", "f1": "double", "f2": "bigint", "f3": "double"},
        location=str(folder / "delta" / "features"),
        written_by_fstk=True,
    )
    labels = {"id": "bigint", "key": "bigint", "ts": "timestamp", "label": "boolean"}
    lookup = FeatureLookup(FEATURES, "key", timestamp_lookup_key="ts")
    return plan_training_set(labels, [lookup], {FEATURES: table}, "label")


def windowed(events: Any, case: str) -> tuple[WindowedFeatures, Any]:
    """Return count, sum and average over four windows of ``events``, and the points they are wanted at."""
    aggregates = [
        Aggregate("count(*)", name="n"),
        Aggregate("sum(amount)", name="total"),
        Aggregate("avg(amount)", name="mean"),
    ]
    features = WindowedFeatures(events, "key", "ts", aggregates, [f"{days}d" for days in data.WINDOWS])
    if case == "windows at events":
        return features, "events"
    start = dt.datetime.fromtimestamp(data.START / 1_000_000, dt.UTC)
    return features, Calendar(start, start + dt.timedelta(days=data.DAYS), every=data.CALENDAR_STEP)

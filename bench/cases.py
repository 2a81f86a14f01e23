"""What fstk computes in each case, the same on every engine."""

from __future__ import annotations

import datetime as dt
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

"""Code as older guides have it, which is refused or means something else today: how it is known, and what to write."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

STAGE = re.compile(r"models:/([^/@]+)/(Production|Staging|Archived)", re.IGNORECASE)


@dataclass(frozen=True)
class Dated:
    """What is wrong with a way to write something, and what to write in its place."""

    rule: str
    wrong: str
    cure: str

    def __str__(self) -> str:
        return f"{self.wrong} Instead: {self.cure}"


TIMESTAMP_KEYS = Dated(
    "timestamp-keys",
    "timestamp_keys is the older client's: Databricks today wants the time column in the primary key, too.",
    'primary_keys=["customer_id", "update_timestamp"], timeseries_column="update_timestamp".',
)
ONLINE_STORE_SPEC = Dated(
    "online-store-spec",
    "publishing by name= and online_store_spec= is the older client's, and has ended on Databricks.",
    "publish_table(source_table_name=…, online_store=…).",
)
MODEL_STAGE = Dated(
    "model-stage",
    "stages of models are deprecated in MLflow, and Unity Catalog has none.",
    'an alias, as in "models:/churn_model@champion".',
)
RANGE_IN_SECONDS = Dated(
    "range-in-seconds",
    "rangeBetween counts in the unit of the column that orders; over a timestamp Spark refuses a range of seconds.",
    "create_time_windowed_features(df, windows=[7, 14, 30, 90]) of fstk, or WindowedFeatures.",
)
COLUMN_DRIFT_METRIC = Dated(
    "column-drift-metric",
    "ColumnDriftMetric and evidently.report have ended with Evidently 0.7.",
    "fstk.monitoring.detect_feature_drift(reference_df, current_df, features).",
)


def dated(call: ast.Call, name: str) -> list[Dated]:
    """Return in which ways a call, of a function of that name, is written as in older guides."""
    given = {one.arg: one.value for one in call.keywords if one.arg}
    found = []
    if name == "create_table" and "timestamp_keys" in given:
        found.append(TIMESTAMP_KEYS)
    if name == "publish_table" and "online_store_spec" in given:
        found.append(ONLINE_STORE_SPEC)
    if name == "ColumnDriftMetric":
        found.append(COLUMN_DRIFT_METRIC)
    if name == "rangeBetween" and any(_seconds(part) for one in call.args for part in ast.walk(one)):
        found.append(RANGE_IN_SECONDS)
    values = [one.value for one in (*call.args, *given.values()) if isinstance(one, ast.Constant)]
    if any(isinstance(value, str) and STAGE.fullmatch(value) for value in values):
        found.append(MODEL_STAGE)
    return found


def _seconds(part: ast.AST) -> bool:
    return isinstance(part, ast.Constant) and type(part.value) is int and part.value != 0 and part.value % 86_400 == 0

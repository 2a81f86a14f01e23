"""fstk's client under the name of Databricks', for code as older guides have it, which it warns of."""

from __future__ import annotations

import warnings
from typing import Any

from fstk.client import FeatureEngineeringClient as _Client
from fstk.lint.dated import MODEL_STAGE, ONLINE_STORE_SPEC, STAGE, TIMESTAMP_KEYS
from fstk.models.log import ModelVersion
from fstk.online.publish import PublishReport
from fstk.tables.spec import FeatureTable
from fstk.training.functions import FeatureFunction
from fstk.training.spec import FeatureLookup
from fstk.windows.spec import Aggregate

__all__ = ["Aggregate", "FeatureEngineeringClient", "FeatureFunction", "FeatureLookup", "ModelVersion"]


class FeatureEngineeringClient(_Client):
    """:class:`fstk.FeatureEngineeringClient`, which warns of what Databricks no longer takes and of features that no
    label of history can see."""

    def create_table(self, **given: Any) -> FeatureTable:
        if given.get("timestamp_keys"):
            warnings.warn(str(TIMESTAMP_KEYS), stacklevel=2)
        table = super().create_table(**given)
        time, df = table.timeseries_column, given.get("df")
        if time is not None and df is not None and _one_instant(df, time):
            warnings.warn(
                f"{time} is one instant in all rows, as current_timestamp() gives it: no label before it sees these "
                f"features. Instead: the instant up to which each row was counted, as WindowedFeatures with a Calendar "
                "writes it.",
                stacklevel=2,
            )
        return table

    def publish_table(self, **given: Any) -> PublishReport:
        if "online_store_spec" in given:
            warnings.warn(str(ONLINE_STORE_SPEC), stacklevel=2)
        return super().publish_table(**given)

    def score_batch(self, **given: Any) -> Any:
        if STAGE.fullmatch(str(given.get("model_uri"))):
            warnings.warn(str(MODEL_STAGE), stacklevel=2)
        return super().score_batch(**given)


def _one_instant(df: Any, time: str) -> bool:
    from fstk.engines.choice import session_for

    rows = session_for(df).frame(df, "df").select(time).distinct().limit(2).count()
    return rows == 1

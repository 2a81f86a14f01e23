"""``ColumnDriftMetric`` and ``Report`` of Evidently before 0.7, which 0.7 keeps under other names."""

from __future__ import annotations

import warnings
from typing import Any

from fstk.lint.dated import COLUMN_DRIFT_METRIC
from fstk.optional import need


def ColumnDriftMetric(column_name: str, **given: Any) -> Any:
    """Return the metric of one column's drift, as Evidently 0.6 computed it."""
    warnings.warn(str(COLUMN_DRIFT_METRIC), stacklevel=2)
    return _legacy("metrics").ColumnDriftMetric(column_name=column_name, **given)


def Report(metrics: list[Any], **given: Any) -> Any:
    """Return the report of such metrics, to be ``run`` on two frames of pandas and read by ``as_dict()``."""
    return _legacy("report").Report(metrics=metrics, **given)


def _legacy(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages' deprecations, as in fstk.monitoring
        return need(f"evidently.legacy.{name}")

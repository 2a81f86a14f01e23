"""Has the data moved since training, and is it still coming: feature drift and freshness."""

from __future__ import annotations

from fstk.monitoring.drift import DriftReport, detect_feature_drift

__all__ = ["DriftReport", "detect_feature_drift"]

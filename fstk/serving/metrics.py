"""What an endpoint counts, for Prometheus; of several workers together where they share a folder."""

from __future__ import annotations

import os
from collections import Counter as Counts
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from fstk.serving.messages import METRICS

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_AGES = (60, 3600, 6 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        here = self._registry
        self.requests = Counter("fstk_requests", "Requests answered.", ["status"], registry=here)
        self.seconds = Histogram(
            "fstk_request_seconds", "Time to an answer.", ["status"], buckets=_SECONDS, registry=here
        )
        self.store = Histogram("fstk_store_seconds", "Time of a read of features.", buckets=_SECONDS, registry=here)
        self.missing = Counter("fstk_missing", "Lookups of an entity without a row.", ["table"], registry=here)
        self.expired = Counter("fstk_expired", "Lookups of an entity with an expired row.", ["table"], registry=here)
        self.age = Histogram(
            "fstk_feature_age_seconds", "Age of the oldest row.", ["table"], buckets=_AGES, registry=here
        )
        self.logged = Counter("fstk_log_rows", "Rows of answers that are in the log.", registry=here)
        self.dropped = Counter("fstk_log_dropped", "Rows of answers that never come into the log.", registry=here)
        self.model = Gauge(
            "fstk_model_info",
            "The model, or feature set, that answers.",
            ["name", "version"],
            multiprocess_mode="livemax",
            registry=here,
        )

    def exposed(self) -> bytes:
        """Return all counts in Prometheus' text."""
        if METRICS not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


@dataclass
class Totals:
    """Requests by status, and how many lookups of all tables were missing and expired."""

    statuses: Counts[str] = field(default_factory=Counts)
    missing: int = 0
    expired: int = 0


def read_totals(text: str) -> Totals:
    """Return what Prometheus' text of an endpoint comes to."""
    totals = Totals()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "fstk_requests_total":
                totals.statuses[sample.labels["status"]] += int(sample.value)
            elif sample.name == "fstk_missing_total":
                totals.missing += int(sample.value)
            elif sample.name == "fstk_expired_total":
                totals.expired += int(sample.value)
    return totals

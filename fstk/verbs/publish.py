"""What ``fstk publish`` asks for, as one request that can be tried, carried out, or told in plain Python."""

from __future__ import annotations

from dataclasses import dataclass

from fstk.columns.typing import Nulls
from fstk.online.publish import Progress, PublishReport, publish
from fstk.tables.configured import open_catalog
from fstk.verbs.code import Code, call, literal


@dataclass(frozen=True)
class PublishRequest:
    """A publication as it was asked for; None stands for the settings' store, for all features, for all rows."""

    table: str
    to: str | None
    features: tuple[str, ...] | None
    where: str | None
    dry_run: bool = False
    prune: bool = False
    nulls: Nulls | None = None

    def run(self, progress: Progress | None) -> PublishReport:
        """Publish, or say what would be written; raises as :func:`fstk.online.publish.publish`."""
        table = open_catalog().get(self.table)
        return publish(
            table,
            self.to,
            features=self.features,
            filter_condition=self.where,
            nulls=self.nulls,
            prune=self.prune,
            dry_run=self.dry_run,
            progress=progress,
        )

    def code(self) -> Code:
        given = {
            "source_table_name": self.table,
            "online_store": self.to,
            "features": self.features,
            "filter_condition": self.where,
            "nulls": self.nulls,
            "prune": self.prune or None,
            "dry_run": self.dry_run or None,
        }
        published = call("fe.publish_table", [(n, literal(value)) for n, value in given.items() if value is not None])
        first = "from fstk import FeatureEngineeringClient\n\nfe = FeatureEngineeringClient()"
        return Code.of(f"{first}\nreport = {published}\nreport")

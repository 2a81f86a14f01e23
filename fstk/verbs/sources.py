"""What ``fstk load`` does with the words of a line."""

from __future__ import annotations

from dataclasses import dataclass, field

from fstk.columns.zones import Unclear
from fstk.sources.load import create_source
from fstk.tables.source import Reading, Source


@dataclass(frozen=True)
class LoadRequest:
    """Files to append to a source; what is None is as the source has it."""

    files: tuple[str, ...]
    table: str
    event_time: str | None = None
    entity: tuple[str, ...] | None = None
    key: tuple[str, ...] | None = None
    zone: str | None = None
    time_format: str | None = None
    unclear_times: Unclear = "refuse"
    types: dict[str, str] = field(default_factory=dict)
    null_values: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)

    def run(self) -> Source:
        """Append the files and return the source; raises as ``FeatureEngineeringClient.create_source``."""
        return create_source(
            self.table,
            path=self.files,
            event_time=self.event_time,
            entity=self.entity,
            key=self.key,
            reading=Reading(
                types=self.types,
                time_format=self.time_format,
                null_values=self.null_values,
                rename=self.rename,
                zone=self.zone,
                unclear_times=self.unclear_times,
            ),
            typed=True,
        )

"""Feature table → online rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from fstk import journal
from fstk.display import Displayed, Sheet
from fstk.engines.base import Engine
from fstk.engines.spark import SparkEngine
from fstk.errors import ExpiredSnapshot, InvalidInput, NaiveDatetime, StoreUnavailable, WriteConflict
from fstk.online.plan import PublishPlan, plan_publication
from fstk.online.source import Portion, Source, check_filter, engine_for
from fstk.online.spec import OnlineSpec, spec_of
from fstk.online.store import Counts, OnlineStore, Row, verdict
from fstk.tables.spec import FeatureTable

Progress = Callable[[int, int | None], None]
"""Called after every batch with the rows dealt with so far, and with those there are in all (None: not known)."""

_ATTEMPTS = 5  # at describing the table to the store while other publishers do the same


@dataclass(frozen=True, repr=False)
class PublishReport(Displayed):
    """What a publication did, or with ``dry_run`` would do.

    ``written`` keys are new or changed online, ``unchanged`` hold already what the source holds, ``stale`` hold a
    newer row than the source's, ``failed`` were refused by the store. ``online_version`` is the source version that
    was online before (None: none), ``bytes`` is the size of the keys and values that a dry run would write.
    ``reason`` says why all keys or only the changed ones were read.
    """

    table: str
    store: str
    written: int
    unchanged: int
    stale: int
    failed: int
    source_version: int
    online_version: int | None
    seconds: float
    bytes: int | None
    reason: str
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether any row online was (or would be) written."""
        return self.written > 0

    def display(self) -> Sheet:
        """Return counts, versions, size and time."""
        notes = [self.reason]
        if self.bytes and self.written:
            notes.append(f"{self.bytes / self.written:,.0f} bytes a row, {_size(self.bytes)} in all")
        before = (
            "nothing online before" if self.online_version is None else f"online before: version {self.online_version}"
        )
        return Sheet(
            f"{self.table} → {self.store}" + (" · dry run, nothing written" if self.dry_run else ""),
            ("would write" if self.dry_run else "written", "unchanged", "stale", "failed", "source version", "seconds"),
            [(self.written, self.unchanged, self.stale, self.failed, self.source_version, f"{self.seconds:.1f}")],
            [" · ".join([before, *notes])],
        )


def publish(
    table: FeatureTable,
    store: str | OnlineSpec | None = None,
    *,
    mode: str = "merge",
    filter_condition: str | None = None,
    features: Sequence[str] | None = None,
    as_of: datetime | date | None = None,
    dry_run: bool = False,
    engine: Engine | None = None,
    session: SparkEngine | None = None,
    progress: Progress | None = None,
) -> PublishReport:
    """Publish the newest row of each key of ``table`` (of a static table, its rows) at ``table.version``.

    A row online is replaced only by a newer one: by event time, then by source version. Keys that the source lacks stay
    online. A publication that was cut off is taken up again from the last one that was completed.

    Args:
        table: the feature table, at the version to publish.
        store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.
        mode: ``"merge"``, the only one.
        filter_condition: a Spark SQL predicate over the table's columns; only rows for which it is true are seen.
        features: names of the features to publish, None for all; keys and time are always published.
        as_of: the last event time that may be published; None is now. It may lie in the future.
        dry_run: report what would be written; write nothing.
        engine: computes the rows; None is the direct engine for a local table that fits in memory, else ``session``.
        session: the Spark engine for that; None is the current one.
        progress: told how far it is.

    Raises:
        InvalidInput, UnknownColumn, UnsupportedType, SchemaChange, TypeMismatch: before anything is written; see
            :func:`fstk.online.plan.plan_publication`.
        BadExpression: the filter condition.
        StoreUnavailable: the store did not answer; what was written stays, and publishing again goes on from there.
        WriteConflict: the online table was dropped or got other features meanwhile; publish again.

    Source of the argument names: the public Databricks Feature Engineering API.
    """
    started = time.monotonic()
    if mode != "merge":
        raise InvalidInput(f"mode must be 'merge'; got {mode!r}. To start anew, call drop_online_table first.")
    spec = spec_of(store)
    until = _until(as_of)
    reader = engine_for(table, filter_condition, session) if engine is None else engine
    check_filter(reader, table, filter_condition)
    identity = reader.identity(table.at())
    with spec.open() as online:

        def plan() -> PublishPlan:
            held = online.table(table.name)
            return plan_publication(
                table, identity, held, features=features, filter_condition=filter_condition, until=until, ttl=spec.ttl
            )

        planned = plan() if dry_run else _described(online, plan)
        source = Source(table, reader, planned.target, filter_condition, until)
        offer = _Offer(online, planned, dry_run, progress)
        reason = planned.reason
        try:
            if planned.extent == "changes":
                offer.all(source.changed(planned.since))
        except ExpiredSnapshot:
            planned, reason = replace(planned, extent="everything"), f"the changes of {reason} are no longer kept"
        if planned.extent == "everything":
            offer.all(source.everything())
        counts = offer.counts
        if planned.extent != "everything" and planned.held is not None:
            # every key that no change touched is unchanged, without having been read
            total = online.count(planned.target) + (offer.fresh if dry_run else 0)
            counts = counts._replace(unchanged=total - counts.written - counts.stale - counts.failed)
        if not dry_run and not counts.failed and planned.extent != "nothing":
            online.complete(planned.target, source.watermark(offer.waiting, planned.extent))
    if not dry_run:
        journal.note("published", table.name, table.version, counts.written)
    mark = planned.target.watermark
    return PublishReport(
        table=table.name,
        store=online.url,
        **counts._asdict(),
        source_version=table.version,
        online_version=None if mark is None else mark.version,
        seconds=time.monotonic() - started,
        bytes=offer.bytes if dry_run else None,
        reason=reason,
        dry_run=dry_run,
    )


def _until(as_of: datetime | date | None) -> datetime:
    if as_of is None:
        return datetime.now(UTC)
    if isinstance(as_of, datetime):
        if as_of.tzinfo is None:
            raise NaiveDatetime("as_of is a datetime without a zone; give it one: as_of.replace(tzinfo=UTC).")
        return as_of.astimezone(UTC)
    if isinstance(as_of, date):
        return datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    raise InvalidInput(f"as_of must be a datetime with a zone or a date; got {as_of!r}.")


def _described(online: OnlineStore, plan: Callable[[], PublishPlan]) -> PublishPlan:
    """Record the planned table in the store and return the plan; plan again if another publisher was first."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(WriteConflict):
            return _recorded(online, plan())
    return _recorded(online, plan())


def _recorded(online: OnlineStore, planned: PublishPlan) -> PublishPlan:
    if planned.held == planned.target:
        return planned
    return replace(planned, target=online.put_table(planned.target, planned.held))


class _Offer:
    """Offers portions to a store, or only compares them with what it holds, and adds up what became of them."""

    def __init__(self, online: OnlineStore, planned: PublishPlan, dry_run: bool, progress: Progress | None) -> None:
        self.counts = Counts()
        self.fresh = 0
        self.bytes = 0
        self.waiting: datetime | None = None
        self._online, self._planned, self._dry_run, self._progress = online, planned, dry_run, progress

    def all(self, portions: Iterator[Portion]) -> None:
        for portion in portions:
            self.waiting = portion.waiting
            try:
                counts = self._compared(portion.rows) if self._dry_run else self._written(portion.rows)
            except StoreUnavailable as error:
                if not sum(self.counts):
                    raise
                raise StoreUnavailable(
                    f"{error} {self.counts.written:,} rows were written before that; publish again to go on from there."
                ) from error
            self.counts = self.counts.plus(counts)
            if self._progress is not None:
                self._progress(sum(self.counts), portion.total)

    def _written(self, rows: list[Row]) -> Counts:
        return self._online.write(self._planned.target, rows)

    def _compared(self, rows: list[Row]) -> Counts:
        held: list[Row | None] = [None] * len(rows)
        if self._planned.held is not None:
            held = self._online.get(self._planned.held, [row.key for row in rows])
        said = [verdict(row, old) for row, old in zip(rows, held, strict=True)]
        self.fresh += held.count(None)
        self.bytes += sum(len(row.key) + len(row.value) for row, v in zip(rows, said, strict=True) if v == "written")
        return Counts(said.count("written"), said.count("unchanged"), said.count("stale"))


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.0f} {unit}"
    return f"{count} bytes"

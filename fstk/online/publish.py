"""Feature table → online rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from fstk import journal
from fstk.columns.instants import given
from fstk.columns.typing import Nulls
from fstk.display import Displayed, Sheet
from fstk.engines.base import Engine
from fstk.engines.spark import SparkEngine
from fstk.errors import ExpiredSnapshot, IncompatibleChanges, InvalidInput, StoreUnavailable, WriteConflict
from fstk.online.gone import gone
from fstk.online.plan import PublishPlan, plan_publication
from fstk.online.source import PORTION, Portion, Progress, Source, check_filter, engine_for
from fstk.online.spec import OnlineSpec, spec_of
from fstk.online.store import Bounded, Counts, OnlineStore, OnlineTable, Row, Telling, Verdict, verdict
from fstk.tables.spec import FeatureTable

_Plan = Callable[[OnlineTable | None], PublishPlan]  # of what the store holds
_ATTEMPTS = 5  # at describing the table to the store while other publishers do the same


@dataclass(frozen=True, repr=False)
class PublishReport(Displayed):
    """What a publication did, or with ``dry_run`` would do.

    ``written`` keys are new or changed online, ``unchanged`` hold already what the source holds, ``stale`` hold a
    newer row than the source's, ``failed`` were refused by the store. ``online_version`` is the source version that
    was online before (None: none), ``bytes`` is the size of the keys and values that a dry run would write.
    ``reason`` says why all keys or only the changed ones were read. ``removed`` counts the rows of keys that the source
    lacks (None: ``prune`` was not asked for, and they stay). ``notes`` are what the store tells besides, such as its
    price. ``changed`` says whether any row was (or would be) written or removed.

    >>> fe.publish_table(source_table_name="shop.spend", dry_run=True).written
    2
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
    removed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any row online was (or would be) written or removed."""
        return bool(self.written or self.removed)

    def check(self) -> None:
        """Go on where the store took every row; a job calls it before it says that it is done.

        Raises:
            StoreUnavailable: rows were refused; the same publication, once there is room, offers them again.

        >>> fe.publish_table(source_table_name="shop.spend").check()
        """
        if self.failed:
            raise StoreUnavailable(
                f"{self.store} refused {self.failed:,} rows of {self.table}, and took {self.written:,}. Make room "
                "there, then publish again."
            )

    def display(self) -> Sheet:
        """Return counts, versions, size and time."""
        notes = [self.reason]
        if self.bytes and self.written:
            notes.append(f"{self.bytes / self.written:,.0f} bytes a row, {_size(self.bytes)} in all")
        held = self.online_version
        before = "nothing online before" if held is None else f"online before: version {held}"
        title = f"{self.table} → {self.store}" + (" · dry run, nothing written" if self.dry_run else "")
        cells: dict[str, Any] = {"would write" if self.dry_run else "written": self.written}
        cells |= {"unchanged": self.unchanged, "stale": self.stale, "failed": self.failed}
        if self.removed is not None:
            cells["would remove" if self.dry_run else "removed"] = self.removed
        cells |= {"source version": self.source_version, "seconds": f"{self.seconds:.1f}"}
        return Sheet(title, tuple(cells), [tuple(cells.values())], [" · ".join([before, *notes]), *self.notes])


def publish(
    table: FeatureTable,
    store: str | OnlineSpec | None = None,
    *,
    mode: str = "merge",
    filter_condition: str | None = None,
    features: Sequence[str] | None = None,
    nulls: Nulls | None = None,
    as_of: datetime | date | None = None,
    prune: bool = False,
    dry_run: bool = False,
    engine: Engine | None = None,
    session: SparkEngine | None = None,
    progress: Progress | None = None,
    portion: int = PORTION,
) -> PublishReport:
    """Publish the newest row of each key of ``table`` (of a static table, its rows) at ``table.version``.

    See ``FeatureEngineeringClient.publish_table`` for arguments and errors. ``engine`` computes the rows: None is the
    direct engine for a local table that fits in memory, else ``session`` (None: the current one). ``portion`` is the
    number of rows in one batch.

    >>> from fstk.online.publish import publish
    >>> report = publish(fe.get_table(name="shop.spend"), "sqlite:///online.db")
    >>> report.written, report.unchanged, report.reason
    (2, 0, 'never published')
    >>> publish(fe.get_table(name="shop.spend"), "sqlite:///online.db").changed
    False
    """
    started = time.monotonic()
    if mode != "merge":
        raise InvalidInput(f"mode must be 'merge'; got {mode!r}. To start anew, call drop_online_table first.")
    spec = spec_of(store)
    until = datetime.now(UTC) if as_of is None else given(as_of, "as_of")
    reader = engine_for(table, filter_condition, session) if engine is None else engine
    check_filter(reader, table, filter_condition)
    identity = reader.identity(table.at())
    chosen = partial(plan_publication, table, identity, features=features, filter_condition=filter_condition)
    plan = partial(chosen, until=until, ttl=spec.ttl, nulls=nulls)
    with spec.open() as online:
        planned = plan(online.table(table.name)) if dry_run else _recorded(online, table.name, plan, _ATTEMPTS)
        if prune and planned.extent != "everything":
            # What a removal by a late publisher of an older version leaves out is offered anew by the next that prunes.
            planned = replace(planned, extent="everything", reason="all keys were compared, to find those to remove")
        elif planned.extent != "everything" and not any(online.keys(planned.target)):
            planned = replace(planned, extent="everything", reason="the store has no row of it")
        bounded = online if isinstance(online, Bounded) else None
        source = Source(table, reader, planned.target, filter_condition, until, portion, bounded)
        offer = _Offer(online, planned, dry_run, progress)
        try:
            if planned.extent == "changes":
                offer.all(source.changed(planned.since))
        except (ExpiredSnapshot, IncompatibleChanges) as error:
            why = "are no longer kept" if isinstance(error, ExpiredSnapshot) else "span a change of its columns"
            planned = replace(planned, extent="everything", reason=f"the changes of {planned.reason} {why}")
        if planned.extent == "everything":
            offer.all(source.everything())
        if not dry_run and not offer.counts.failed and planned.extent != "nothing":
            online.complete(planned.target, source.watermark(offer.waiting, planned.extent))
        removed = _pruned(source, online, planned, dry_run, progress) if prune else None
        counts = offer.counts if planned.extent == "everything" else offer.counts_of_all_keys()
        notes = online.notes(planned.target, sum(counts)) if isinstance(online, Telling) else []
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
        reason=planned.reason,
        dry_run=dry_run,
        removed=removed,
        notes=tuple(notes),
    )


def _pruned(source: Source, online: OnlineStore, planned: PublishPlan, dry_run: bool, progress: Progress | None) -> int:
    """Remove the rows of keys that the source lacks, or only count them; none that a newer version wrote."""
    held = planned.held if dry_run else planned.target
    if held is None:
        return 0
    removed = 0
    for keys in gone(source, online, held, progress):
        if dry_run:
            removed += sum(row is not None and row.version <= planned.version for row in online.get([(held, keys)])[0])
        elif keys:
            removed += online.remove(held, keys, planned.version)
    return removed


def _recorded(online: OnlineStore, name: str, plan: _Plan, attempts: int) -> PublishPlan:
    """Record the planned table in the store and return the plan; plan again if another publisher was first."""
    planned = plan(online.table(name))
    if planned.held == planned.target:
        return planned
    try:
        return replace(planned, target=online.put_table(planned.target, planned.held))
    except WriteConflict:
        if attempts == 1:
            raise
    return _recorded(online, name, plan, attempts - 1)


class _Offer:
    """Offers rows to a store, or only compares them with what it holds, and adds up what became of them."""

    def __init__(self, online: OnlineStore, planned: PublishPlan, dry_run: bool, progress: Progress | None) -> None:
        self.counts = Counts()
        self.fresh = 0
        self.bytes = 0
        self.waiting: datetime | None = None
        self._online, self._planned, self._dry_run, self._progress = online, planned, dry_run, progress

    def counts_of_all_keys(self) -> Counts:
        """Add the keys that no change touched: they are unchanged, without having been read."""
        total = self._online.count(self._planned.target) + (self.fresh if self._dry_run else 0)
        written, _, stale, failed = self.counts
        # Of those that failed the store may hold an older row, or none.
        return self.counts._replace(unchanged=max(0, total - written - stale - failed))

    def all(self, portions: Iterator[Portion]) -> None:
        """Offer every row."""
        for portion in portions:
            self.waiting = portion.waiting
            try:
                rows = portion.rows
                counts = self._compared(rows) if self._dry_run else self._online.write(self._planned.target, rows)
            except StoreUnavailable as error:
                if self._dry_run or not sum(self.counts):
                    raise
                raise StoreUnavailable(
                    f"{error} {self.counts.written:,} rows were written before that; publish again to go on from there."
                ) from error
            self.counts = self.counts.plus(counts)
            if self._progress is not None:
                self._progress(sum(self.counts), portion.total)

    def _compared(self, rows: list[Row]) -> Counts:
        held: list[Row | None] = [None] * len(rows)
        if self._planned.held is not None:
            held = self._online.get([(self._planned.held, [row.key for row in rows])])[0]
        said: list[Verdict] = [verdict(row, old) for row, old in zip(rows, held, strict=True)]
        self.fresh += held.count(None)
        self.bytes += sum(len(row.key) + len(row.value) for row, v in zip(rows, said, strict=True) if v == "written")
        return Counts.of(said)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.0f} {unit}"
    return f"{count} bytes"

"""What was run: the records that runs leave, listed and opened. Starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fstk import settings
from fstk.display import Displayed, Sheet, Stacked, line_of, short_path
from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.jobs.record import RunRecord, read_record, version

_SHOWN = 50


@dataclass(frozen=True, repr=False)
class RunList(Displayed):
    """The newest record of each task, job and logical date, the last started first."""

    records: tuple[RunRecord, ...]
    folder: Path

    def display(self) -> Sheet:
        """Return a line for each, with what it wrote or why it failed."""
        rows = [
            (r.job, r.logical_date, r.task, r.status, f"{r.started:%Y-%m-%d %H:%M}", f"{r.seconds:.0f} s", _said(r))
            for r in self.records[:_SHOWN]
        ]
        if not rows:
            return Sheet("", (), [], [f"no runs in {short_path(self.folder)} yet.   Run one: fstk run NOTEBOOK|JOB"])
        more = len(self.records) - len(rows)
        notes = [f"{more:,} older ones are not shown; name a job: fstk runs JOB"] if more else []
        notes.append("open one: fstk runs JOB DATE")
        return Sheet("", ("job", "date", "task", "status", "started (UTC)", "took", ""), rows, notes)


@dataclass(frozen=True, repr=False)
class Run(Stacked):
    """The records of one job and logical date, in the order in which its tasks began."""

    records: tuple[RunRecord, ...]

    def parts(self) -> Sequence[Displayed]:
        return self.records


def runs(job: str | None = None) -> RunList:
    """Return what was run, of one job or of all; raises UnknownName: no such job was run."""
    folder = settings.load().runs
    found = _records(folder)
    if job is not None:
        asked = _job(job, found)
        found = [record for record in found if record.job == asked]
    return RunList(tuple(sorted(found, key=lambda record: record.started, reverse=True)), folder)


def run(job: str, date: str) -> Run:
    """Return one run; raises UnknownName: there is none of that job or date."""
    of_job = runs(job).records
    chosen = [record for record in of_job if record.logical_date == date]
    if not chosen:
        dates = list(dict.fromkeys(record.logical_date for record in of_job))
        raise UnknownName(f"{job} was not run for {line_of(date)}.{nearest(date, dates)}")
    return Run(tuple(reversed(chosen)))


def _records(folder: Path) -> list[RunRecord]:
    found = []
    for path in folder.rglob("*.json"):
        try:
            found.append(read_record(path))
        except InvalidInput:  # a file of somebody else's
            continue
    return found


def _job(name: str, found: Sequence[RunRecord]) -> str:
    known = list(dict.fromkeys(record.job for record in found))
    job = name.removesuffix(".ipynb")
    if job not in known:
        raise UnknownName(f"no job {line_of(name)} was run.{nearest(job, known) or ' Nothing was run yet.'}")
    return job


def _said(record: RunRecord) -> str:
    attempt = f"attempt {len(record.attempts) + 1} · " if record.attempts else ""
    return attempt + _what_came_of_it(record)


def _what_came_of_it(record: RunRecord) -> str:
    if record.failure is not None:
        return line_of(f"{record.failure.error}: {record.failure.message}")
    wrote = [f"{entry.table}{version(entry.version)}" for entry in record.accesses if entry.action != "read"]
    measured = [f"{name} {value:.4g}" for name, value in record.metrics.items()]
    return " · ".join([*measured, *dict.fromkeys(wrote)]) or record.summary

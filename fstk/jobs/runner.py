"""Runs a job: its tasks in order under one lease, each with its record, stopping at the first that does not succeed."""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fstk import journal, settings
from fstk.atomic import TEMPORARY
from fstk.display import Displayed, Sheet, line_of, short_path
from fstk.errors import Infrastructure, InvalidInput, JobFailed
from fstk.jobs.lease import hold
from fstk.jobs.messages import Closing, Start, receive
from fstk.jobs.plan import PlannedTask, RunPlan, plan_run
from fstk.jobs.progress import Lines
from fstk.jobs.record import (
    Attempt,
    Failure,
    RunRecord,
    Status,
    gibibytes,
    read_record,
    this_process,
    write_record,
    writing,
)
from fstk.jobs.retries import SystemClock, TimeLimit, repeat, wait
from fstk.jobs.watch import Watch, read_journal, rows_so_far
from fstk.optional import need, without

CELL_TIMEOUT = 3600.0
"""Seconds that one cell may run unless told otherwise."""
_HEARTBEAT_SECONDS = 10.0  # how often a running record is written anew
NOTHING = "nothing to do"
_EXIT_CODES = {"succeeded": 0, "killed": 138, "interrupted": 4, "not started": 4}


@dataclass(frozen=True)
class TaskRun:
    """One task of a run: its record, and whether an earlier run had done it already."""

    record: RunRecord
    skipped: bool


@dataclass(frozen=True, repr=False)
class JobRun(Displayed):
    """A run that succeeded, task by task; ``folder`` holds the executed notebooks and the records."""

    job: str
    logical_date: str
    folder: Path
    tasks: tuple[TaskRun, ...]

    @property
    def changed(self) -> bool:
        """Whether any task changed something, or cannot tell."""
        return any(task.record.changed is not False for task in self.tasks if not task.skipped)

    def display(self) -> Sheet:
        rows = [(t.record.task, _outcome(t.record, t.skipped), f"{t.record.seconds:.0f} s") for t in self.tasks]
        notes = [f"notebooks  {short_path(self.folder)}"]
        return Sheet(f"job {self.job} · {self.logical_date}", ("task", "", "took"), rows, notes)


def run_job(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    cell_timeout: float | None = CELL_TIMEOUT,
) -> JobRun:
    """Run a notebook (a path ending in ``.ipynb``) or a job of ``databricks.yml``, telling its progress on standard
    output.

    Args:
        parameters: values by name, typed or as text; for a job, parameters of the job.
        resume: skip tasks that an earlier run for the same logical date has done with the same notebook, modules of the
            project, parameters and warehouse, after the last run of the tasks they depend on and with the versions that
            it wrote.
        cell_timeout: seconds that one cell may run; None for no limit.

    Raises:
        InvalidInput: as :func:`~fstk.jobs.plan.plan_run`; nothing was started.
        MissingPackage: papermill is not installed.
        LeaseHeld: the same job runs already for the same logical date; nothing was started.
        Infrastructure: the folder of runs cannot be written.
        JobFailed: a task did not succeed; its ``exit_code`` says which of us failed.
    """
    plan = plan_run(name, dict(parameters or {}), settings.root())
    with without("rfc3987_syntax"):  # seconds; see fstk/jobs/execution.py
        need("papermill")
    folder = settings.load().runs / plan.job / plan.logical_date
    lines = Lines([task.key for task in plan.tasks])
    limit = TimeLimit(plan.timeout_seconds, SystemClock())
    done: dict[str, TaskRun] = {}
    with hold(folder, plan.job, plan.logical_date), _terminable():
        for number, task in enumerate(plan.tasks, 1):
            run = _TaskRunner(plan, task, number, folder, lines, cell_timeout, limit)
            earlier = run.earlier() if resume else None
            before = [done[key] for key in task.depends_on]
            if earlier and all(one.skipped and earlier.follows(one.record) for one in before):
                lines.end(number, task.key, "done before", "skipped")
                done[task.key] = TaskRun(earlier, skipped=True)
                continue
            record = repeat(run.run, task.retries, limit)
            done[task.key] = TaskRun(record, skipped=False)
            if record.status != "succeeded":
                raise _failed(plan, record, folder)
    return JobRun(plan.job, plan.logical_date, folder, tuple(done.values()))


class _TaskRunner:
    def __init__(
        self,
        plan: RunPlan,
        task: PlannedTask,
        number: int,
        folder: Path,
        lines: Lines,
        cell_timeout: float | None,
        limit: TimeLimit,
    ) -> None:
        self.task, self.number, self.lines, self.cell_timeout, self.limit = task, number, lines, cell_timeout, limit
        self.path = folder / f"{task.key}.json"
        self.shared = folder / f"{TEMPORARY}{task.key}"
        self.before: RunRecord | None = None
        self.finished = False
        self.token = ""
        now = datetime.now(UTC)
        self.record = self._new = RunRecord(
            job=plan.job,
            task=task.key,
            logical_date=plan.logical_date,
            run_id="",
            notebook=str(task.notebook.path),
            notebook_hash=task.notebook.hash,
            executed=str(folder / f"{task.key}.ipynb"),
            parameters=dict(task.parameters),
            status="running",
            started=now,
            heartbeat=now,
            warehouse=str(settings.load().warehouse),
            **this_process(),
        )

    def earlier(self) -> RunRecord | None:
        try:
            record = read_record(self.path)
        except InvalidInput:  # none, or not one of ours: the task is not known to be done
            return None
        return record if record.done_as(self.record, settings.root()) else None

    def run(self, failed: RunRecord | None) -> RunRecord:
        """Execute the notebook, again where an attempt has ``failed``, and return its closed record; the record on disk
        is closed whatever happens here."""
        self.before = self.earlier()
        self.finished, self.token = False, secrets.token_hex(16)
        self.record = replace(self._new, run_id=secrets.token_hex(8), started=datetime.now(UTC))
        with writing(self.shared.parent):
            self.shared.mkdir()
            if failed:
                self.record = replace(
                    self.record, attempts=(*failed.attempts, _set_aside(failed)), accesses=failed.accesses
                )
            else:
                for left in self.path.parent.glob(f"{glob.escape(self.task.key)}.attempt-*.ipynb"):
                    left.unlink()
        start = Start(
            task=self.task.key,
            token=self.token,
            declaration=self.task.notebook.declared_in,
            parameters=json.dumps(dict(self.task.parameters)),
        )
        try:
            start.send(self.shared)
            write_record(self.path, self.record)
            if failed:
                self._wait(failed)
            if self.limit.over():
                self._close("timed out", self._job_timeout())
            else:
                self._execute()
        except KeyboardInterrupt:
            self._close("interrupted", Failure("Interrupted", "the run was asked to stop"))
        except BaseException as error:
            self._close("failed", Failure(type(error).__name__, self.task.scrubber.clean(str(error))), code=4)
            raise
        finally:
            shutil.rmtree(self.shared, ignore_errors=True)  # what stays, the next run removes
        return self.record

    def _wait(self, failed: RunRecord) -> None:
        retries = self.task.retries
        attempt = retries.attempt(len(self.record.attempts) + 1)

        def tell(left: float) -> None:
            self.lines.wait(self.number, self.task.key, attempt, left)
            self._heartbeat(datetime.now(UTC))

        wait(self.limit.earliest(retries.earliest(failed)), tell, SystemClock())
        now = datetime.now(UTC)
        self.record = replace(self.record, started=now, heartbeat=now)
        write_record(self.path, self.record)

    def _heartbeat(self, now: datetime) -> None:
        if (now - self.record.heartbeat).total_seconds() >= _HEARTBEAT_SECONDS:
            self.record = replace(self.record, heartbeat=now)
            with suppress(Infrastructure):  # the record's last state tells whether it can be written
                write_record(self.path, self.record)

    def _execute(self) -> None:
        # papermill takes seconds to import: a parameter that is refused must not wait for it
        from fstk.jobs.execution import Execution

        watch: Watch | None = None

        def started(kernel: Any) -> None:
            nonlocal watch
            watch = Watch(kernel.pid, beat)

        def beat() -> None:
            now = datetime.now(UTC)
            seconds = (now - self.record.started).total_seconds()
            rows = rows_so_far(self.shared)
            self.lines.beat(self.number, self.task.key, execution.cell, execution.cells, rows, seconds)
            self._heartbeat(now)

        one = self.record
        shared = {
            journal.FOLDER_VARIABLE: str(self.shared),
            journal.RUN_VARIABLE: one.run_id,
            journal.TASK_VARIABLE: f"{one.job}/{one.task} {one.logical_date}",
        }
        execution = Execution(
            notebook=self.task.notebook.content,
            parameters=self.task.given,
            output=Path(self.record.executed),
            environment={**os.environ, **shared},
            folder=settings.root(),
            cell_timeout=self.cell_timeout,
            timeout=self.limit.within(self.task.timeout_seconds or None),
            scrubber=self.task.scrubber,
            started=started,
        )
        self.lines.start(self.number, self.task.key, execution.cells)
        try:
            status, failure = execution.execute()
        finally:
            if watch:
                watch.stop()
                self.record = replace(self.record, peak_memory_bytes=watch.peak_bytes)
        self.record = replace(self.record, files=execution.files, result=execution.result)
        self.finished = execution.finished_in is not None
        if failure and status == "killed":
            failure = replace(failure, message=self._why_killed(failure.message))
        if failure and status == "timed out" and self.limit.over():
            failure = self._job_timeout(failure.cell, failure.cells)
        self._close(status, failure, execution.exit_code if status == "failed" else None)

    def _close(self, status: Status, failure: Failure | None, code: int | None = None) -> None:
        closing = receive(self.shared, Closing)
        closed = closing is not None and closing.token == self.token
        if status == "succeeded" and not (closed or self.finished):
            status = "unclosed"
            failure = Failure("RecordNotClosed", "every cell ran, but none called job.done(...)")
        if status == "failed" and code == 3:
            status = "refused"
        exit_code = code if code is not None else _EXIT_CODES.get(status, 1)
        accesses = tuple(read_journal(self.shared))
        now = datetime.now(UTC)
        wrote_before = any(entry.action != "read" and entry.rows != 0 for entry in self.record.accesses)
        self.record = replace(self.record, status=status, failure=failure, exit_code=exit_code)
        self.record = replace(self.record, accesses=self.record.accesses + accesses)
        self.record = replace(self.record, ended=now, heartbeat=now)
        if closing is not None and closed:
            # a notebook that only reads has done nothing new when it has read the same versions before
            same = bool(accesses) and self.before is not None and self.before.accesses == accesses
            changed = False if closing.changed is None and same else closing.changed
            changed = True if wrote_before else changed
            self.record = replace(self.record, summary=closing.summary, changed=changed, rows=closing.rows)
            self.record = replace(self.record, metrics=closing.metrics)
        elif self.finished:
            result = self.record.result
            self.record = replace(self.record, summary="finished" if result is None else line_of(f"finished: {result}"))
        told = _outcome(self.record, skipped=False)
        last = f"{self.record.seconds:.0f} s" if status == "succeeded" else f"exit {self.record.exit_code}"
        try:
            write_record(self.path, self.record)
        except Infrastructure:
            told, last = "its record cannot be written", "exit 4"
            raise
        finally:
            self.lines.end(self.number, self.task.key, told, last)

    def _job_timeout(self, cell: int | None = None, cells: int | None = None) -> Failure:
        return Failure("JobTimeout", f"the job ran longer than {self.limit.seconds:g} s", cell, cells)

    def _why_killed(self, message: str) -> str:
        peak = self.record.peak_memory_bytes
        memory = f"peak {gibibytes(peak)}" if peak else ""
        guess = "out of memory?" if message.startswith(f"signal {signal.SIGKILL.value}") else ""
        return ", ".join(part for part in (message, " ".join(filter(None, (guess, memory)))) if part)


def _set_aside(failed: RunRecord) -> Attempt:
    """Move the notebook of an attempt to a name of its own, and return what is kept of it."""
    executed = Path(failed.executed)
    kept = executed.with_name(f"{failed.task}.attempt-{len(failed.attempts) + 1}.ipynb")
    with suppress(FileNotFoundError):  # no kernel could be had
        executed.replace(kept)
    return Attempt(failed.started, failed.ended or failed.heartbeat, failed.status, failed.failure, str(kept))


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does, so that its kernel is ended and its record closed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(plan: RunPlan, record: RunRecord, folder: Path) -> JobFailed:
    attempt = f", attempt {len(record.attempts) + 1}" if record.attempts else ""
    lines = [
        f"task {record.task} of {plan.job} for {plan.logical_date}{attempt}: {_outcome(record, skipped=False)}",
        f"record  {short_path(folder / f'{record.task}.json')}     notebook  {short_path(Path(record.executed))}",
        f"resume  {plan.command} --resume",
    ]
    return JobFailed("\n".join(lines), record.exit_code or 1)


def _outcome(record: RunRecord, skipped: bool) -> str:
    if skipped:
        return "done before"
    if record.failure is None:
        return NOTHING if record.changed is False else record.summary
    place = f" in cell {record.failure.cell} of {record.failure.cells}" if record.failure.cell else ""
    why = line_of(record.failure.message.strip().partition("\n")[0])  # the record has it all
    why = f" ({why})" if why else ""
    return f"{record.status.upper()}{place} after {record.seconds:.0f} s: {record.failure.error}{why}"

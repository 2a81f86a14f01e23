"""A task is tried again as its bundle says: how often, how late, and after which endings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job, Task
from msgspec.structs import replace

from fstk.cli.app import run_command
from fstk.errors import InvalidInput, JobFailed
from fstk.jobs.bundle import read_bundle
from fstk.jobs.progress import Lines
from fstk.jobs.record import Attempt, RunRecord, Status, this_process
from fstk.jobs.retries import Retries, SystemClock, TimeLimit, repeat, wait
from fstk.jobs.runner import run_job

from .conftest import Project

NOW = datetime(1998, 3, 31, 12, tzinfo=UTC)
AS_OF = 'from datetime import date\nas_of: date = "1998-03-31"'
FIRST_FAILS = """from pathlib import Path
if not Path('tried').exists():
    Path('tried').touch()
    raise ValueError('the first time')"""


def ended(status: Status, failed: RunRecord | None) -> RunRecord:
    """The record of an attempt after the one that ``failed``."""
    before = (*failed.attempts, Attempt(NOW, NOW, failed.status, None, "n.ipynb")) if failed else ()
    return RunRecord(
        job="j",
        task="t",
        logical_date="1998-03-31",
        run_id="r",
        notebook="n.ipynb",
        notebook_hash="",
        executed="n.ipynb",
        parameters={},
        status=status,
        started=NOW,
        heartbeat=NOW,
        attempts=before,
        **this_process(),
    )


def attempts(retries: Retries, *statuses: Status) -> list[Status]:
    """How the attempts ended that were made, where each would end as listed."""
    left = iter(statuses)
    last = repeat(lambda failed: ended(next(left), failed), retries, TimeLimit(0, Clock()))
    return [*(one.status for one in last.attempts), last.status]


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def job(path: str, limit: int = 0, **task: Any) -> str:
    """A bundle with a job ``j`` of one task ``t``; ``limit`` is the job's own ``timeout_seconds``."""
    notebook = {"task_key": "t", "notebook_task": {"notebook_path": path}}
    return yaml.safe_dump({"resources": {"jobs": {"j": {"timeout_seconds": limit, "tasks": [notebook | task]}}}})


@pytest.mark.parametrize("status", ["failed", "killed", "exited", "not started"])
def test_what_failed_is_tried_again_as_often_as_the_bundle_says(status: Status) -> None:
    assert attempts(Retries(), status) == [status]
    assert attempts(Retries(2), status, status, status) == [status] * 3
    assert attempts(Retries(2), status, "succeeded") == [status, "succeeded"]
    many: list[Status] = [status] * 50
    assert attempts(Retries(-1), *many, "succeeded") == [*many, "succeeded"]


def test_a_gate_a_stop_and_a_time_out_are_not_tried_again_but_a_time_out_where_it_is_asked() -> None:
    final: tuple[Status, ...] = ("refused", "interrupted", "timed out")
    for status in final:
        assert attempts(Retries(-1), "failed", status) == ["failed", status]
    assert attempts(Retries(1, 0, True), "timed out", "succeeded") == ["timed out", "succeeded"]


def test_a_jobs_time_is_that_of_all_its_attempts_and_waits() -> None:
    clock = Clock()
    limit = TimeLimit(60, clock)

    def attempt(failed: RunRecord | None) -> RunRecord:
        clock.sleep(25)
        return ended("timed out", failed)

    last = repeat(attempt, Retries(-1, 0, True), limit)
    assert len(last.attempts) == 2, "the third ended after the job's time, and no fourth was made"
    assert limit.over()
    limit = TimeLimit(60, clock)
    clock.sleep(45)
    assert [limit.within(seconds) for seconds in (None, 10, 20)] == [15, 10, 15]
    day = timedelta(days=1)
    assert limit.earliest(clock.now() + day) == clock.now() + timedelta(seconds=15)
    without = TimeLimit(0, clock)
    assert [without.within(seconds) for seconds in (None, 10)] == [None, 10]
    assert without.earliest(clock.now() + day) == clock.now() + day
    assert not without.over()


def test_the_interval_counts_from_the_start_of_the_attempt_that_failed() -> None:
    clock, left = Clock(), []
    until = Retries(1, 2_000).earliest(replace(ended("failed", None), ended=NOW + timedelta(hours=1)))
    wait(until, left.append, clock)
    assert left == [2.0, 1.5, 1.0, 0.5, 0.0]
    wait(until, left.append, clock)
    assert left[5:] == [0.0], "it is told even where there is nothing to wait for"


def test_the_machines_clock_moves_by_itself_and_a_wait_on_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    until = clock.now() + timedelta(milliseconds=3)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    wait(until, lambda left: None, clock)
    assert clock.now() >= until
    assert slept


def test_a_wait_says_so_at_its_start_and_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    lines, clock = Lines(["t"]), Clock()
    for number in (2, 3):
        what = Retries(2).attempt(number)
        wait(clock.now() + timedelta(seconds=40), lambda left, what=what: lines.wait(1, "t", what, left), clock)
        lines.start(1, "t", 3)
    said = [line.split("t   ", 1)[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert said == [f"attempt {number} of 3 in {left} s" for number in (2, 3) for left in (40, 10)]
    assert (Retries(-1).attempt(7), Retries().attempt(1)) == ("attempt 7", "attempt 1 of 1")


def test_databricks_reads_the_same_of_a_task(job_file: Callable[[str], Path]) -> None:
    said = {"max_retries": -1, "min_retry_interval_millis": 60_000, "retry_on_timeout": True, "timeout_seconds": 900}
    path = job_file(job("n.ipynb", limit=7_200, **said))
    written, read = yaml.safe_load(path.read_text())["resources"]["jobs"]["j"], read_bundle(path)["j"]
    assert read.timeout_seconds == Job.from_dict(written).timeout_seconds == 7_200
    theirs = Task.from_dict(written["tasks"][0])
    (ours,) = read.tasks
    assert {**vars(ours.retries), "timeout_seconds": ours.timeout_seconds} == said
    assert {name: getattr(theirs, name) for name in said} == said


@pytest.mark.parametrize(
    "wrong",
    [{"max_retries": -2}, {"max_retries": "often"}, {"min_retry_interval_millis": -1}, {"timeout_seconds": -1}],
)
def test_what_cannot_be_meant_is_refused(job_file: Callable[[str], Path], wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        read_bundle(job_file(job("n.ipynb", **wrong)))
    with pytest.raises(InvalidInput, match=r"j\.timeout_seconds"):
        read_bundle(job_file(job("n.ipynb", limit=-1)))


@pytest.mark.server
def test_a_notebook_that_fails_once_is_run_again_and_each_attempt_is_kept(
    project: Project, job_file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    stale = project.root / "runs" / "j" / "1998-03-31" / "t.attempt-9.ipynb"
    stale.parent.mkdir(parents=True)
    stale.touch()
    wrote = "from fstk.journal import note\nnote('written', 'fs.t', {0}, {1})"
    first = f"{wrote.format(3, 12)}\n{FIRST_FAILS}"
    project.notebook("n.ipynb", first, wrote.format(3, 0), declaration=AS_OF)
    job_file(job("n.ipynb", max_retries=3, min_retry_interval_millis=5))
    done = run_job("j")
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED in cell 3 of 5 after" in lines[0]
    assert lines[1].endswith("attempt 2 of 4")
    assert "t v3 · 1 rows" in lines[2]
    record = project.records("j")["t"]
    [failed] = record["attempts"]
    assert (failed["status"], failed["failure"]["message"]) == ("failed", "the first time")
    assert failed["started"] < failed["ended"] < record["started"] < record["ended"]
    assert (record["status"], record["exit_code"], record["failure"]) == ("succeeded", 0, None)
    assert done.changed, "the first attempt wrote"
    errors = [
        [o for cell in cells for o in cell.get("outputs", ()) if o["output_type"] == "error"]
        for cells in (json.loads(Path(failed["executed"]).read_text())["cells"], project.executed("j", "t"))
    ]
    assert [[one["ename"] for one in each] for each in errors] == [["ValueError"], []]
    assert not stale.exists()
    assert "attempt 2" in repr(run_command(["runs", "j"]))
    opened = repr(run_command(["runs", "j", "1998-03-31"]))
    assert "attempt 1" in opened
    assert "t.attempt-1.ipynb" in opened
    assert run_job("j", resume=True).tasks[0].skipped


@pytest.mark.server
def test_a_wait_that_is_interrupted_closes_the_run(
    project: Project, job_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_clock: SystemClock, _seconds: float) -> None:
        assert project.records("j")["t"]["status"] == "running"
        raise KeyboardInterrupt

    monkeypatch.setattr(SystemClock, "sleep", stop)
    project.notebook("n.ipynb", FIRST_FAILS)
    job_file(job("n.ipynb", max_retries=1, min_retry_interval_millis=3_600_000))
    with pytest.raises(JobFailed, match="task t of j for .*, attempt 2: INTERRUPTED") as raised:
        run_job("j")
    assert raised.value.exit_code == 4
    record = project.records("j")["t"]
    assert [record["status"], *(one["status"] for one in record["attempts"])] == ["interrupted", "failed"]


@pytest.mark.server
def test_a_task_that_takes_too_long_ends_in_a_sentence(project: Project, job_file: Callable[[str], Path]) -> None:
    project.notebook("n.ipynb", *["import time\ntime.sleep(0.2)"] * 2, "time.sleep(600)")
    job_file(job("n.ipynb", max_retries=1, timeout_seconds=1))
    with pytest.raises(JobFailed, match=r"TIMED OUT in cell \d of 5 .*: TaskTimeout \(the task ran longer than 1 s\)"):
        run_job("j", cell_timeout=None)
    assert project.records("j")["t"]["attempts"] == []


@pytest.mark.server
def test_a_job_that_takes_too_long_ends_whatever_its_tasks_may_still_do(
    project: Project, job_file: Callable[[str], Path]
) -> None:
    project.notebook("n.ipynb", *["import time\ntime.sleep(0.2)"] * 2, "time.sleep(600)")
    patient = {"max_retries": -1, "retry_on_timeout": True, "timeout_seconds": 3_600}
    job_file(job("n.ipynb", limit=1, **patient))
    with pytest.raises(JobFailed, match=r"TIMED OUT in cell \d of 5 .*: JobTimeout \(the job ran longer than 1 s\)"):
        run_job("j", cell_timeout=None)
    assert project.records("j")["t"]["attempts"] == []


@pytest.mark.server
def test_a_jobs_time_ends_a_wait_and_no_attempt_follows(
    project: Project, job_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.time = datetime.now(UTC)
    monkeypatch.setattr("fstk.jobs.runner.SystemClock", lambda: clock)
    project.notebook("n.ipynb", FIRST_FAILS)
    job_file(job("n.ipynb", limit=60, max_retries=1, min_retry_interval_millis=3_600_000))
    with pytest.raises(JobFailed, match=r"attempt 2: TIMED OUT after .*: JobTimeout \(the job ran longer than 60 s\)"):
        run_job("j")
    record = project.records("j")["t"]
    assert [record["status"], *(one["status"] for one in record["attempts"])] == ["timed out", "failed"]

"""What was run is listed from the records alone: newest first, with what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fstk.cli.app import run_command
from fstk.errors import UnknownName
from fstk.jobs.record import Failure, RunRecord, this_process, write_record
from fstk.journal import Entry

NOW = datetime(1998, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FSTK_RUNS", str(tmp_path))
    return tmp_path


def ran(folder: Path, job: str, date: str, task: str, hours: int, **changes: object) -> None:
    started = NOW + timedelta(hours=hours)
    fields: dict = {"status": "succeeded", "ended": started + timedelta(seconds=9), "exit_code": 0, **changes}
    where = folder / job / date
    where.mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        job=job,
        task=task,
        logical_date=date,
        run_id="r",
        notebook="n.ipynb",
        notebook_hash="",
        executed=str(where / f"{task}.ipynb"),
        parameters={"as_of": date},
        started=started,
        heartbeat=started,
        **this_process(),
        **fields,
    )
    write_record(where / f"{task}.json", record)


def test_nothing_was_run_yet(folder: Path) -> None:
    assert "no runs in" in repr(run_command(["runs"]))
    with pytest.raises(UnknownName, match=r"no job churn was run\. Nothing was run yet\."):
        run_command(["runs", "churn"])


def test_runs_are_listed_newest_first_and_opened(folder: Path) -> None:
    wrote = (Entry("read", "fs.events", 4, 9), Entry("written", "fs.spend", 3, 12))
    ran(folder, "churn", "1998-03-31", "10_build", 0, accesses=wrote, metrics={"auc": 0.79123})
    refused = Failure("GateRefused", "auc 0.61 is not above 0.7", 3, 4)
    ran(folder, "churn", "1998-04-30", "10_build", 5, status="refused", exit_code=3, failure=refused)
    ran(folder, "notebooks/drift", "1998-03-31", "drift", 2, summary="2 features")
    (folder / "churn" / "notes.json").write_text('{"not": "a record"}')
    lines = repr(run_command(["runs"])).splitlines()
    listed = [line for line in lines if "1998-0" in line]
    assert [line.split()[0] for line in listed] == ["churn", "notebooks/drift", "churn"]
    assert "refused" in listed[0]
    assert "GateRefused: auc 0.61 is not above 0.7" in repr(run_command(["runs", "churn"]))
    assert "auc 0.7912 · fs.spend v3" in repr(run_command(["runs", "churn"]))
    assert "notebooks/drift" not in repr(run_command(["runs", "churn"]))
    assert "2 features" in repr(run_command(["runs", "notebooks/drift.ipynb"]))
    opened = repr(run_command(["runs", "churn", "1998-03-31"]))
    assert "job churn · 10_build · 1998-03-31" in opened
    assert "fs.events v4 · 9 rows" in opened
    assert "auc" in opened


def test_what_was_not_run_is_answered_with_what_was(folder: Path) -> None:
    ran(folder, "churn", "1998-03-31", "10_build", 0)
    with pytest.raises(UnknownName, match=r"no job chrun was run\. Nearest: churn"):
        run_command(["runs", "chrun"])
    with pytest.raises(UnknownName, match="churn was not run for 1998-03-30"):
        run_command(["runs", "churn", "1998-03-30"])

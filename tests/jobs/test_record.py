"""Records are whole or absent, and one whose writer is gone reads as lost; a lease has one holder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from fstk.errors import InvalidInput, LeaseHeld
from fstk.jobs.lease import hold
from fstk.jobs.record import Failure, RunRecord, read_record, this_process, write_record
from fstk.journal import Entry

NOW = datetime(1998, 3, 31, 12, tzinfo=UTC)


def record(**changes: object) -> RunRecord:
    """A record of a running task, as this process would write it."""
    fields = {
        "job": "churn",
        "task": "10_build",
        "logical_date": "1998-03-31",
        "run_id": "r1",
        "notebook": "n.ipynb",
        "notebook_hash": "sha256:0",
        "executed": "runs/n.ipynb",
        "parameters": {"as_of": "1998-03-31", "password": "env:PW"},
        "status": "running",
        "started": NOW,
        "heartbeat": NOW,
        **this_process(),
    }
    return msgspec.convert({**fields, **changes}, RunRecord)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    whole = record(
        status="failed",
        ended=NOW + timedelta(seconds=14),
        exit_code=1,
        failure=Failure(error="ValueError", message="é <b>", cell=4, cells=6),
        peak_memory_bytes=23 * 2**30,
        changed=True,
        rows={"rows": 12, "share": 0.5, "kind": "x"},
        accesses=(Entry("written", "fs.t", 3, 12),),
    )
    write_record(path, whole)
    assert read_record(path) == whole
    assert json.loads(path.read_text())["started"] == "1998-03-31T12:00:00Z"
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]
    shown = repr(whole)
    for text in ("failed, exit 1", "14.0 s", "in cell 4 of 6", "23.0 GiB", "env:PW", "fs.t v3 · 12 rows"):
        assert text in shown


def test_a_record_of_an_earlier_fstk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, record(status="succeeded", rows={"auc": 0.5}))
    assert json.loads(path.read_text())["rows"] == {"auc": 0.5}
    path.write_text(path.read_text().replace("0.5", "NaN").replace('"job"', '"gone_since": [],\n "job"'))
    assert read_record(path).rows["auc"] != read_record(path).rows["auc"]
    assert read_record(path).status == "succeeded"


def test_a_record_whose_writer_is_gone_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    assert read_record(path).status == "running"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for changes in ({"pid": ended.pid}, {"process_started": this_process()["process_started"] - 3600}):
        write_record(path, record(**changes))
        lost = read_record(path)
        assert (lost.status, lost.exit_code) == ("lost", 4)
    write_record(path, record(host="elsewhere", pid=ended.pid, heartbeat=datetime.now(UTC)))
    assert read_record(path).status == "running"
    write_record(path, record(host="elsewhere", pid=os.getpid(), heartbeat=datetime.now(UTC) - timedelta(minutes=3)))
    assert read_record(path).status == "lost"


def test_what_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no run record"):
        read_record(tmp_path / "none.json")
    for text in ("", "{", "[]", '{"job": "x"}'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(InvalidInput, match="is not a run record"):
            read_record(tmp_path / "r.json")


def test_a_lease_has_one_holder_and_is_free_after(tmp_path: Path) -> None:
    folder = tmp_path / "churn" / "1998-03-31"
    with hold(folder, "churn", "1998-03-31"):
        write_record(folder / "10_build.json", record())
        with pytest.raises(
            LeaseHeld, match=rf"churn for 1998-03-31 is already running \(process {os.getpid()} on .*10_build"
        ):
            hold(folder, "churn", "1998-03-31").__enter__()
        with hold(folder.with_name("1998-06-30"), "churn", "1998-06-30"):
            pass
    with hold(folder, "churn", "1998-03-31"):
        pass


def test_the_lease_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\nfrom fstk.jobs.lease import hold\n"
        f"lease = hold(pathlib.Path({str(tmp_path)!r}), 'j', 'd')\nlease.__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (tmp_path / "settings.json").write_text("{}")
    write_record(tmp_path / "t.json", record(process_started=1.0))
    with hold(tmp_path, "j", "d"):
        assert '"lost"' in (tmp_path / "t.json").read_text()

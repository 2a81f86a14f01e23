"""Records are whole or absent, and one whose writer is gone reads as lost; a lease has one holder."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from fstk.atomic import TEMPORARY
from fstk.errors import Infrastructure, InvalidInput, LeaseHeld
from fstk.jobs.lease import hold
from fstk.jobs.record import Failure, RunRecord, file_hash, read_record, this_process, write_record
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


def test_a_task_is_done_when_it_ran_after_what_it_depends_on_and_read_what_that_wrote(tmp_path: Path) -> None:
    def ran(start: int, end: int | None, *accesses: Entry) -> RunRecord:
        ended = None if end is None else NOW + timedelta(seconds=end)
        return record(status="succeeded", started=NOW + timedelta(seconds=start), ended=ended, accesses=accesses)

    wrote = ran(0, 10, Entry("read", "fs.source", 9, 1), Entry("written", "fs.t", 3, 1), Entry("written", "fs.t", 4, 1))
    assert ran(10, 20).follows(wrote)
    assert ran(11, 20, Entry("read", "fs.t", 4, 1), Entry("read", "fs.source", 8, 1)).follows(wrote)
    assert ran(11, 20, Entry("read", "fs.t", 5, 1)).follows(wrote), "somebody else has written since"
    assert not ran(11, 20, Entry("read", "fs.t", 3, 1)).follows(wrote)
    assert not ran(9, 20).follows(wrote)
    assert not ran(11, 20).follows(ran(0, None))


def test_a_changed_file_of_the_project_is_other_work(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("one = 1")
    done = record(status="succeeded", files={"helper.py": file_hash(tmp_path / "helper.py")})
    assert done.done_as(record(), tmp_path)
    assert not done.done_as(record(notebook_hash="sha256:1"), tmp_path)
    assert not done.done_as(record(parameters={}), tmp_path)
    for warehouse, same in (("/dev", False), ("/prod", True), ("", True)):  # an earlier fstk did not tell
        there = record(status="succeeded", warehouse=warehouse)
        assert there.done_as(record(warehouse="/prod"), tmp_path) == same
    assert not record(status="failed").done_as(record(), tmp_path)
    (tmp_path / "helper.py").write_text("one = 2")
    assert not done.done_as(record(), tmp_path)
    (tmp_path / "helper.py").unlink()
    assert not done.done_as(record(), tmp_path)


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.mkdir()
    with pytest.raises(Infrastructure, match=r"the folder of runs .* cannot be written: Is a directory\."):
        write_record(path, record())
    with pytest.raises(Infrastructure, match="cannot be written: No such file or directory"):
        write_record(tmp_path / "gone" / "r.json", record())
    with pytest.raises(Infrastructure, match="cannot be written"), hold(Path("/proc/x/j/d"), "j", "d"):
        pass
    with pytest.raises(InvalidInput, match="is not a run record"):
        read_record(path)
    assert [left.name for left in tmp_path.iterdir()] == ["r.json"]


def test_a_full_disk_leaves_the_old_record_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_record(tmp_path / "r.json", record())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Infrastructure, match="No space left on device"):
        write_record(tmp_path / "r.json", record(status="succeeded"))
    assert read_record(tmp_path / "r.json").status == "running"
    assert [left.name for left in tmp_path.iterdir()] == ["r.json"]


def test_a_record_is_read_by_whom_the_umask_lets_and_has_any_name_that_a_file_may_have(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for name in ("r", "n" * 250):
            write_record(tmp_path / f"{name}.json", record())
            assert (tmp_path / f"{name}.json").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    write_record(tmp_path / "r.json", record())
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o666 & ~before


def test_what_a_killed_run_left_unfinished_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}0f").write_text("half a record")
    (tmp_path / f"{TEMPORARY}10_build").mkdir()
    (tmp_path / f"{TEMPORARY}10_build" / "kernel.json").write_text("{}")
    (tmp_path / ".gitkeep").touch()
    with hold(tmp_path, "j", "d"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".gitkeep", ".lease"]

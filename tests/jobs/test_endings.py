"""Every way a notebook can end, through real kernels: each its own status and exit code, none taken for success."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from fstk.errors import Infrastructure, JobFailed
from fstk.jobs import execution
from fstk.jobs.outputs import OUTPUTS, TEXT_LETTERS
from fstk.jobs.record import read_record
from fstk.jobs.runner import run_job

from .conftest import Project, printed

pytestmark = pytest.mark.server

ENDINGS = [
    ("raise ValueError('no')", "failed", 1, "ValueError"),
    ("from fstk.errors import InvalidInput\nraise InvalidInput('a wrong table')", "failed", 1, "InvalidInput"),
    ("from fstk.errors import StoreUnavailable\nraise StoreUnavailable('no answer')", "failed", 4, "StoreUnavailable"),
    (
        "from fstk.errors import GateRefused\nclass Drifted(GateRefused): pass\nraise Drifted('1 of 12')",
        "refused",
        3,
        "Drifted",
    ),
    ("import sys\nsys.exit(0)", "exited", 1, "SystemExit"),
    ("exit()", "exited", 1, "SystemExit"),
    ("import os\nos._exit(0)", "killed", 138, "KernelDied"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed", 138, "KernelDied"),
    ("this is no python", "failed", 1, "SyntaxError"),
    ("%timit 1", "failed", 1, "UnknownName"),
]


@pytest.mark.parametrize(("cell", "status", "code", "error"), ENDINGS)
def test_what_a_cell_does_decides(project: Project, cell: str, status: str, code: int, error: str) -> None:
    project.notebook("n.ipynb", "print('before')", cell, "print('after')")
    with pytest.raises(JobFailed) as raised:
        run_job("n.ipynb")
    assert raised.value.exit_code == code
    record = project.records("n")["n"]
    assert (record["status"], record["exit_code"], record["failure"]["error"]) == (status, code, error)
    assert (record["failure"]["cell"], record["failure"]["cells"]) == (3, 5)
    assert record["ended"] is not None
    cells = project.executed("n", "n")
    assert printed(cells) == "before\n"
    assert [c["execution_count"] for c in cells][3:] == [None, None]
    assert [c["metadata"]["papermill"]["status"] for c in cells][3:] == ["pending", "pending"]


def test_a_death_tells_the_memory_and_keeps_what_was_written_before(project: Project) -> None:
    project.notebook(
        "n.ipynb",
        "from fstk import journal\njournal.note('written', 'fs.t', 4, 12)\njournal.note('read', 'fs.s', 2, None)",
        "import os, signal, time\ntime.sleep(1.2)\nos.kill(os.getpid(), signal.SIGKILL)",
    )
    with pytest.raises(JobFailed, match=r"KILLED in cell 3 of 4 after .*: KernelDied \(signal 9, out of memory\? peak"):
        run_job("n.ipynb")
    record = project.records("n")["n"]
    assert record["peak_memory_bytes"] > 10_000_000
    assert record["accesses"] == [
        {"action": "written", "table": "fs.t", "version": 4, "rows": 12},
        {"action": "read", "table": "fs.s", "version": 2, "rows": None},
    ]


def test_a_cell_that_runs_too_long(project: Project) -> None:
    project.notebook("n.ipynb", "import os\nprint(os.getpid())", "import time\ntime.sleep(600)")
    with pytest.raises(JobFailed, match="TIMED OUT in cell 3 of 4"):
        run_job("n.ipynb", cell_timeout=5.0)  # the first cell imports, on a busy machine, too
    record = project.records("n")["n"]
    assert (record["status"], record["exit_code"]) == ("timed out", 1)
    assert not psutil.pid_exists(int(printed(project.executed("n", "n"))))


def test_a_gate_before_the_job_is_opened_still_says_no(project: Project) -> None:
    project.bare("n.ipynb", "from fstk.errors import GateRefused\nraise GateRefused('stale')")
    with pytest.raises(JobFailed) as raised:
        run_job("n.ipynb")
    assert raised.value.exit_code == 3


def test_the_jobs_own_gate_says_no_and_metrics_are_kept_apart(project: Project) -> None:
    opening = "import fstk\njob = fstk.job()"
    close = "job.gate(auc > 0.7, f'AUC {auc} is not above 0.7')\njob.done(rows=3, metrics={'auc': auc})"
    project.bare("n.ipynb", opening, close, declaration="auc: float = 0.61")
    with pytest.raises(JobFailed, match=r"REFUSED in cell 3 of 3 after .*: GateRefused \(AUC 0.61 is not above 0.7\)"):
        run_job("n.ipynb")
    assert project.records("n")["n"]["metrics"] == {}
    run_job("n.ipynb", {"auc": "0.81"})
    record = project.records("n")["n"]
    assert (record["rows"], record["metrics"]) == ({"rows": 3}, {"auc": 0.81})
    assert record["summary"] == "3 rows · auc 0.81"


def test_a_notebook_that_never_closes_its_record(project: Project) -> None:
    project.bare("n.ipynb", "import fstk\njob = fstk.job()", "1 + 1")
    with pytest.raises(JobFailed, match="UNCLOSED"):
        run_job("n.ipynb")
    assert project.records("n")["n"]["status"] == "unclosed"


FINISHED = [
    ("fstk.finish({'rows': 3})\nprint('after')", {"rows": 3}),
    ("if True:\n    fstk.finish('nothing new')\nprint('after')", "nothing new"),
    ("try:\n    fstk.finish(7)\nexcept Exception:\n    print('after')", 7),
    ("%time fstk.finish([1.5])\nprint('after')", [1.5]),
    ("job.done(rows=1)\nfstk.finish()", None),
]


def test_a_notebook_that_finishes_has_succeeded_there_and_its_value_is_kept(project: Project) -> None:
    for number, (cell, value) in enumerate(FINISHED):
        project.notebook(f"n{number}.ipynb", "print('before')", cell, "print('after')")
        run_job(f"n{number}.ipynb")
        record = project.records(f"n{number}")[f"n{number}"]
        assert (record["status"], record["exit_code"], record["failure"]) == ("succeeded", 0, None)
        assert record["result"] == value
        cells = project.executed(f"n{number}", f"n{number}")
        assert printed(cells).startswith("before\n")
        assert "after" not in printed(cells)
        assert [one["execution_count"] for one in cells] == [1, 2, 3, None, None]
        assert not [output for one in cells for output in one["outputs"] if output["output_type"] == "error"]
        if value is not None:
            assert record["summary"] == f"finished: {value}"
    assert record["summary"] == "1 rows"


@pytest.mark.parametrize(
    "cell",
    [
        "job.gate(False, 'stale')\nfstk.finish('all is well')",
        "try:\n    job.gate(False, 'stale')\nfinally:\n    fstk.finish('all is well')",
        "%time job.gate(False, 'stale')\nfstk.finish('all is well')",
    ],
)
def test_a_gate_that_said_no_stays_refused_whatever_finishes_after_it(project: Project, cell: str) -> None:
    project.notebook("n.ipynb", cell)
    with pytest.raises(JobFailed, match=r"REFUSED in cell 2 of 3 .*: GateRefused \(stale\)"):
        run_job("n.ipynb")
    record = project.records("n")["n"]
    assert (record["exit_code"], record["result"]) == (3, None)


def test_the_kernels_reply_decides_not_what_stands_in_the_notebook(project: Project) -> None:
    mute = "import rich.traceback\n_ = rich.traceback.install()"
    gate = "from fstk.errors import GateRefused\nclass Drifted(GateRefused): pass\nraise Drifted('1 of 12')"
    project.bare("n.ipynb", "import fstk\njob = fstk.job()", mute, "", "job.done('ok')", gate)
    with pytest.raises(JobFailed, match=r"REFUSED in cell 4 of 4 after .*: Drifted \(1 of 12\)") as raised:
        run_job("n.ipynb")
    assert raised.value.exit_code == 3
    record = project.records("n")["n"]
    assert (record["status"], record["failure"]["message"]) == ("refused", "1 of 12")
    assert not [output for output in project.executed("n", "n")[-1]["outputs"] if output["output_type"] == "error"]


def test_what_is_printed_is_merged_and_what_is_too_much_is_left_out(project: Project) -> None:
    ticks = (
        "import sys\nfor i in range(3_000):\n    print(f'\\r{i} ', end='', flush=True)\n    print(i, file=sys.stderr)"
    )
    shown = "for i in range(600):\n    display(i)\nprint('x' * 3_000_000 + ' the end')"
    cleared = "from IPython.display import clear_output\nprint('gone')\nclear_output(wait=True)\nprint('new')"
    project.notebook("n.ipynb", ticks, shown, cleared)
    run_job("n.ipynb")
    _, first, second, third, _ = project.executed("n", "n")
    assert [output["name"] for output in first["outputs"]] == ["stdout", "stderr"]
    assert "".join(first["outputs"][0]["text"]) == "2999 "
    assert "".join(first["outputs"][1]["text"]).count("\n") == 3_000
    *displays, printed_, note = second["outputs"]
    assert len(displays) == OUTPUTS
    assert "".join(printed_["text"]).endswith("x the end\n")
    assert len("".join(printed_["text"])) < TEXT_LETTERS + 100
    assert "".join(note["text"]) == f"[… {600 - OUTPUTS} outputs left out …]\n"
    assert ["".join(output["text"]) for output in third["outputs"]] == ["new\n"]


def test_outputs_that_come_too_late_are_left_out_and_the_run_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "_OUTPUT_SECONDS", 0)
    project.notebook("n.ipynb", "for i in range(300):\n    display(i)")
    run_job("n.ipynb")
    notes = [output for output in project.executed("n", "n")[1]["outputs"] if output["output_type"] == "stream"]
    assert ["left out" in "".join(note["text"]) for note in notes] == [True]


def test_a_folder_of_runs_that_vanishes_is_one_sentence(project: Project) -> None:
    gone = "import shutil\nshutil.rmtree('runs')\nfrom fstk.journal import note\nnote('written', 'fs.t', 1, 1)"
    project.notebook("n.ipynb", gone)
    with pytest.raises(Infrastructure, match=r"the folder of runs .* cannot be written: No such file") as raised:
        run_job("n.ipynb")
    assert raised.value.exit_code == 4
    assert not (project.root / "runs").exists()


def test_a_closing_without_the_runs_token_is_not_believed(project: Project) -> None:
    forged = (
        "from fstk import journal\n"
        'text = \'{"token": "guessed", "summary": "", "changed": null, "rows": {}}\'\n'
        "(journal.run_folder() / 'closing.json').write_text(text)"
    )
    project.bare("n.ipynb", "import fstk\njob = fstk.job()", forged)
    with pytest.raises(JobFailed, match="UNCLOSED"):
        run_job("n.ipynb")


def test_a_cell_that_is_skipped_is_not_success(project: Project) -> None:
    path = project.notebook("n.ipynb", "1 / 0")
    content = json.loads(path.read_text())
    content["cells"][1]["metadata"]["tags"] = ["skip-execution"]
    path.write_text(json.dumps(content))
    with pytest.raises(JobFailed, match="INCOMPLETE in cell 2 of 3"):
        run_job("n.ipynb")


def test_an_error_that_the_notebook_allows_itself_is_not_success(project: Project) -> None:
    path = project.notebook("n.ipynb", "1 / 0")
    content = json.loads(path.read_text())
    content["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    path.write_text(json.dumps(content))
    with pytest.raises(JobFailed, match="ZeroDivisionError"):
        run_job("n.ipynb")


def test_success_is_every_cell_and_a_closed_record(project: Project) -> None:
    (project.root / "with {braces}").mkdir()
    project.notebook("with {braces}/n.ipynb", "print(6 * 7)", "   ")
    run = run_job(str(Path("with {braces}") / "n.ipynb"))
    record = read_record(run.folder / "n.json")
    assert (record.status, record.exit_code, record.failure, record.rows) == ("succeeded", 0, None, {"rows": 1})
    assert not [path for path in run.folder.iterdir() if path.name not in {"n.json", "n.ipynb", ".lease"}]


def test_what_a_job_started_ends_with_it(project: Project) -> None:
    orphan = "import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    waiting = "import time\ntime.sleep(1.2)"  # until the run has seen it
    child = "print(subprocess.Popen(['sleep', '600']).pid)"
    project.notebook("n.ipynb", orphan, waiting, child)
    run_job("n.ipynb")
    pids = [int(line) for line in printed(project.executed("n", "n")).split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]

"""``fstk run`` on notebooks and jobs: parameters, order, resuming, progress, through real kernels."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from fstk.cli.app import run_command
from fstk.errors import JobFailed
from fstk.jobs import progress
from fstk.jobs.runner import run_job

from .conftest import Project, printed

pytestmark = pytest.mark.server

TYPED = """from datetime import date, datetime
from typing import Literal

from fstk import Secret

count: int = 1  # how many
flag: bool = True
day: date = "1998-03-31"
at: datetime = "1998-03-31T00:00:00Z"
step: Literal["1d", "7d"] = "7d"
limit: int | None = 5
name: str = "x"
share: float = 0.5
"""
THREE = """
bundle: {name: t}
resources:
  jobs:
    nightly:
      max_concurrent_runs: 1
      schedule: {quartz_cron_expression: "0 0 4 * * ?", timezone_id: UTC}
      parameters:
        - {name: as_of, default: "1998-03-31"}
        - {name: size, default: 3}
        - {name: label, default: "007"}
      tasks:
        - task_key: last
          depends_on: [{task_key: middle}]
          notebook_task: {notebook_path: ./nb/last.ipynb}
        - task_key: middle
          depends_on: [{task_key: first}]
          notebook_task:
            notebook_path: ./nb/middle.ipynb
            base_parameters: {n: "{{job.parameters.size}}", tag: "v-{{ job.parameters.label }}", as_of: "1970-01-01"}
        - task_key: first
          notebook_task: {notebook_path: ./nb/first.ipynb, base_parameters: {n: 1}}
"""
AS_OF = 'from datetime import date\nas_of: date = "2000-01-01"\nn: int = 0\ntag: str = "-"\nlabel: str = "-"'
LOG = "with open('log', 'a') as file:\n    print('{0}', job.n, job.tag, job.label, job.as_of, file=file)"


@pytest.fixture
def nightly(project: Project, job_file: Callable[[str], Path]) -> Project:
    """Three notebooks that log a line each; the middle one fails until the file ``ready`` exists."""
    job_file(THREE)
    project.notebook("nb/first.ipynb", LOG.format("first"), declaration=AS_OF)
    check = "import pathlib\nassert pathlib.Path('ready').exists()"
    project.notebook("nb/middle.ipynb", check, LOG.format("middle"), declaration=AS_OF)
    (project.root / "helper.py").write_text("one = 1")
    project.notebook("nb/last.ipynb", "import helper", LOG.format("last"), declaration=AS_OF)
    return project


def logged(project: Project) -> list[str]:
    return (project.root / "log").read_text().splitlines()


def test_values_arrive_typed(project: Project) -> None:
    names = ["count", "flag", "day", "at", "step", "limit", "name", "share"]
    project.notebook("n.ipynb", f"for key in {names}:\n    print(repr(getattr(job, key)))", declaration=TYPED)
    values = ["count=007", "flag=false", "day=2024-01-01", "at=2024-01-01T02:00:00+02:00", "step=1d", "limit=none"]
    awkward = 'name=it\'s "007"\n\\ {x} $y # é'
    done = project.fstk("run", "n.ipynb", *(word for v in [*values, awkward, "share=1e-3"] for word in ("-p", v)))
    assert done.returncode == 0, done.stderr
    assert printed(project.executed("n", "n")).splitlines() == [
        "7",
        "False",
        "datetime.date(2024, 1, 1)",
        "datetime.datetime(2024, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)",
        "'1d'",
        "None",
        repr('it\'s "007"\n\\ {x} $y # é'),
        "0.001",
    ]
    assert project.records("n")["n"]["warehouse"] == str(project.root / "fstk-warehouse")


def test_a_job_runs_its_tasks_in_order_with_its_parameters_and_resumes_where_it_failed(nightly: Project) -> None:
    failed = nightly.fstk("run", "nightly", "-p", "size=12")
    assert failed.returncode == 1
    assert logged(nightly) == ["first 1 - 007 1998-03-31"]
    first, second = failed.stdout.splitlines()
    assert first.startswith(" 1/3  first ")
    assert second.startswith(" 2/3  middle ")
    assert "FAILED in cell 4 of 6 after" in second
    assert second.endswith("exit 1")
    assert failed.stderr.splitlines()[1:] == [
        "record  runs/nightly/1998-03-31/middle.json     notebook  runs/nightly/1998-03-31/middle.ipynb",
        "resume  fstk run nightly -p size=12 --resume",
    ]
    (nightly.root / "ready").touch()
    resumed = run_job("nightly", {"size": 12}, resume=True)
    # its own parameters resolved, and over them the job's that the notebook declares
    assert logged(nightly)[1:] == ["middle 12 v-007 007 1998-03-31", "last 0 - 007 1998-03-31"]
    assert [task.skipped for task in resumed.tasks] == [True, False, False]
    assert {key: r["status"] for key, r in nightly.records("nightly").items()} == dict.fromkeys(
        ("first", "middle", "last"), "succeeded"
    )
    nothing = run_job("nightly", {"size": "12"}, resume=True)
    assert [task.skipped for task in nothing.tasks] == [True, True, True]
    assert len(logged(nightly)) == 3


def test_resuming_repeats_what_changed_and_what_depends_on_it(nightly: Project) -> None:
    (nightly.root / "ready").touch()
    run_job("nightly")
    other = run_job("nightly", {"size": "4"}, resume=True)
    assert [task.skipped for task in other.tasks] == [True, False, False]
    nightly.notebook("nb/first.ipynb", LOG.format("changed"), declaration=AS_OF)
    changed = run_job("nightly", {"size": "4"}, resume=True)
    assert [task.skipped for task in changed.tasks] == [False, False, False]
    assert [line.split()[0] for line in logged(nightly)] == [
        *("first", "middle", "last"),
        *("middle", "last"),
        *("changed", "middle", "last"),
    ]
    # a task is not done when one that it depends on ran later, in a run that failed
    nightly.notebook("nb/first.ipynb", LOG.format("again"), declaration=AS_OF)
    (nightly.root / "ready").unlink()
    with pytest.raises(JobFailed):
        run_job("nightly", {"size": "4"})
    (nightly.root / "ready").touch()
    mended = run_job("nightly", {"size": "4"}, resume=True)
    assert [task.skipped for task in mended.tasks] == [True, False, False]
    # nor when a module of the project that it imports has changed
    (nightly.root / "helper.py").write_text("one = 2")
    other_module = run_job("nightly", {"size": "4"}, resume=True)
    assert [task.skipped for task in other_module.tasks] == [True, True, False]


def test_a_parameter_that_any_task_refuses_stops_all_of_them(nightly: Project) -> None:
    refused = nightly.fstk("run", "nightly", "-p", "size=many")
    assert refused.returncode == 2
    assert refused.stderr == "BadParameter: task middle: n must be a whole number; got 'many'. Nothing was started.\n"
    assert not (nightly.root / "runs").exists()


def test_lines_say_what_was_done_or_that_nothing_was(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    note = "from fstk.journal import note\nnote('{0}', 'fs.customers', 3, {1})"
    cases = {
        "wrote": (note.format("written", 1310412), "job.done(features=12)"),
        "idle": (note.format("written", 0), "job.done(features=12)"),
        "told": ("1", "job.done(changed=False)"),
        "read": (note.format("read", 7), "job.done('0 of 12 features drifted')"),
        "counts": ("1", "job.done(written=23570, unchanged=0, auc=0.79, kind='sqlite')"),
    }
    said = {}
    for name, (cell, close) in cases.items():
        project.bare(f"{name}.ipynb", "import fstk\njob = fstk.job()", cell, close)
        run_job(f"{name}.ipynb")
        said[name] = capsys.readouterr().out.removeprefix(f" 1/1  {name}").strip().rsplit("  ", 1)[0].strip()
    assert said == {
        "wrote": "customers v3 · 12 features",
        "idle": "nothing to do",
        "told": "nothing to do",
        "read": "0 of 12 features drifted",
        "counts": "23,570 written · 0 unchanged · auc 0.79 · kind sqlite",
    }


def test_a_notebook_that_only_reads_has_nothing_to_do_until_a_version_is_new(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "from fstk.journal import note\nnote('read', 'fs.t', int(open('version').read()), None)"
    project.bare("n.ipynb", "import fstk\njob = fstk.job()", cell, "job.done('0 of 12 drifted')")
    said = []
    for version in ("3", "3", "4"):
        (project.root / "version").write_text(version)
        run_job("n.ipynb")
        said.append("nothing to do" in capsys.readouterr().out)
    assert said == [False, True, False]


def test_without_a_terminal_a_line_now_and_then_tells_rows_and_time(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "BEAT_SECONDS", 0.1)
    project.notebook(
        "n.ipynb", "from fstk.journal import note\nnote('written', 't', 1, 1204)", "import time\ntime.sleep(1.5)"
    )
    run_job("n.ipynb")
    assert "cell 3 of 4 · 1,204 rows · " in capsys.readouterr().out


def test_on_a_terminal_a_bar_moves(project: Project) -> None:
    import pexpect

    project.notebook("n.ipynb", "import time\ntime.sleep(1.5)")
    command = "import sys; from fstk.cli.app import main; sys.exit(main())"
    with pexpect.spawn(sys.executable, ["-c", command, "run", "n.ipynb"], encoding="utf-8", timeout=60) as terminal:
        terminal.expect("━")
        terminal.expect("cell 2 of 3")
        terminal.expect(r" 1/1  n +1 rows +\d+ s")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 0


def test_the_kernel_is_this_environments_whatever_is_registered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = project.root / "jupyter" / "kernels" / "python3"
    registered.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "other", "language": "python"}
    (registered / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(project.root / "jupyter"))
    project.notebook("sub/n.ipynb", "import os, sys\nprint(sys.executable, os.getcwd())")
    run_job("sub/n.ipynb")
    assert printed(project.executed("sub/n", "n")).split() == [sys.executable, str(project.root)]


def test_a_job_notebook_runs_unchanged_in_a_kernel_of_any_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "python_on_the_cluster"  # as packages of remote kernels register theirs
    registered = project.root / "jupyter" / "kernels" / name
    registered.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python on the cluster", "language": "python"}
    (registered / "kernel.json").write_text(json.dumps(spec | {"env": {"WHERE": "the cluster"}}))
    monkeypatch.setenv("JUPYTER_PATH", str(project.root / "jupyter"))
    shows = "import os\nprint(os.environ.get('WHERE'), job.as_of)"
    path = project.notebook("n.ipynb", shows, declaration='from datetime import date\nas_of: date = "2024-04-01"')
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": name, "display_name": spec["display_name"], "language": "python"}
    path.write_text(json.dumps(content))
    there = nbformat.read(path, as_version=4)
    NotebookClient(there, timeout=60).execute()
    assert printed([cell for cell in there.cells if cell.cell_type == "code"]) == "the cluster 2024-04-01\n"
    run_job("n.ipynb")
    assert printed(project.executed("n", "n")) == "None 2024-04-01\n", "fstk run has a kernel of its own"


def test_a_process_that_a_cell_starts_is_not_the_run(project: Project) -> None:
    child = "import subprocess, sys\ncode = 'from fstk import journal; print(journal.run_id(), journal.run_folder())'"
    project.notebook(
        "n.ipynb",
        child,
        "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)",
        "from fstk import journal\nprint(journal.run_id())",
    )
    run_job("n.ipynb")
    childs, own = printed(project.executed("n", "n")).split("\n\n")
    assert childs == "None None"
    assert own.strip() == project.records("n")["n"]["run_id"]


def test_a_job_runs_from_a_cell_whose_kernel_has_an_event_loop(project: Project) -> None:
    project.notebook("n.ipynb", "print(6 * 7)")

    async def cell() -> Any:
        return run_command(["run", "n.ipynb"], namespace={})

    shown = asyncio.run(cell())
    assert [task.record.status for task in shown.tasks] == ["succeeded"]
    assert "1 rows" in repr(shown)


def test_a_kernel_that_does_not_start_is_infrastructure(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", str(project.root))  # no Python starts with that
    project.notebook("n.ipynb", "1")
    with pytest.raises(JobFailed, match="NOT STARTED") as raised:
        run_job("n.ipynb")
    assert raised.value.exit_code == 4


@pytest.mark.parametrize("letters", [3, 90, 249])
def test_a_line_has_its_summary_however_long_the_name(letters: int, capsys: pytest.CaptureFixture[str]) -> None:
    progress.Lines(["n" * letters]).end(1, "n" * letters, "12 features", "1 s")
    assert capsys.readouterr().out.split() == ["1/1", "n" * letters, "12", "features", "1", "s"]

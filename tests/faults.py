"""Break what is around fstk, at random points, and see that nothing is lost, half or untrue afterwards:
``python -m tests.faults --seconds 600``.

Kills runs of a job, starts them where the disk is full or cannot be written, kills writers of a table that publish it,
and their JVM, and publishers to each online store. Each happens at least once, and then again until the time is over.
Each round prints what it found wrong; ``--seed`` repeats one, ``--only WORD`` takes those of that name alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from fstk.atomic import TEMPORARY
from fstk.jobs.record import read_record
from tests.online.faults import LONG, store_faults, targets

FSTK = [sys.executable, "-c", "import sys; from fstk.cli.app import main; sys.exit(main())"]
TASKS = ("a", "b", "c")
COPY = """text = open('{0}').read()
with open('{1}', 'w') as file:
    file.write(text[:1])
    file.flush()
    file.write(text[1:])"""
LOUD = "from IPython.display import HTML, display\nfor _ in range(8): display(HTML('x' * 100_000))"
SMALL = 512  # kilobytes of the disk that fills
WRITER = """
import sys, polars as pl
from fstk import FeatureEngineeringClient
fe, first = FeatureEngineeringClient(), int(sys.argv[1])
def frame(n): return pl.DataFrame({"id": range(500), "n": [n] * 500})
if first == 0:
    fe.create_table(name="fs.t", primary_keys="id", df=frame(0))
    fe.publish_table(source_table_name="fs.t")
    print(0, flush=True)
for n in range(first + 1, first + 1 + int(sys.argv[2])):
    fe.write_table(name="fs.t", df=frame(n))
    print(n, flush=True)
    fe.publish_table(source_table_name="fs.t")
"""
READER = """
import json
from fstk import FeatureEngineeringClient
from fstk.engines.connect import direct
from fstk.tables.configured import local_table
table = local_table("fs.t")
KEYS = [{"id": i} for i in range(500)]
held = set(direct().read(table).column("n").to_pylist())
online = {row["n"] for row in FeatureEngineeringClient().read_online(name="fs.t", keys=KEYS)}
print(json.dumps([sorted(held), sorted(online)]))
"""
LOSES_ITS_JVM = """
import os, signal, fstk, polars as pl
from fstk import FeatureEngineeringClient
from fstk.errors import FstkError
fe, frame = FeatureEngineeringClient(), pl.DataFrame({"id": [1], "n": [1]})
fe.create_table(name="fs.j", primary_keys="id", df=frame)
os.kill(fstk.connect().sparkContext._gateway.proc.pid, signal.SIGKILL)
for attempt in range(2):
    try:
        fe.write_table(name="fs.j", df=frame.with_columns(n=pl.lit(2, pl.Int64)))
        break
    except FstkError as error:
        assert attempt == 0, error
        fstk.connect()
print(fe.read_table(name="fs.j").collect())
"""


class Place:
    """A project in a folder of its own, and what is wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.wrong: list[str] = []
        (folder / "fstk.toml").touch()

    def start(self, command: Sequence[str], **variables: str) -> subprocess.Popen[str]:
        """Start a process that leads a group of its own."""
        settings = {"FSTK_DRIVER_MEMORY": "1g", "FSTK_MASTER": "local[2]", "FSTK_RUNS": str(self.runs)}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **settings, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, command: Sequence[str], *codes: int) -> str:
        """Run a process to its end; return what it printed. Other exit codes and tracebacks are wrong."""
        process = self.start(command)
        out, err = process.communicate(timeout=300)
        if process.returncode not in codes or "Traceback" in err:
            self.wrong.append(f"exit {process.returncode}: {err[-2_000:]}")
        return out

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def notebook(self, name: str, *cells: str) -> None:
        """Write a notebook that opens and closes its job around ``cells``."""
        code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        sources = ("import fstk\njob = fstk.job()", *cells, "job.done()")
        content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}}
        cells_ = [{**code, "source": source} for source in sources]
        (self.folder / f"{name}.ipynb").write_text(json.dumps({**content, "cells": cells_}))

    def check_records(self) -> None:
        """Every record is whole, none says that a process runs which is gone, and what succeeded was executed."""
        for path in self.runs.glob("*/*/*.json"):
            record = read_record(path)  # raises where it is not whole
            self.expect(record.status != "running", f"{path.name} still runs")
            if record.status == "succeeded":
                cells = json.loads(Path(record.executed).read_text())["cells"]
                self.expect(all(cell["execution_count"] for cell in cells), f"{path.name} succeeded, its cells did not")


def killed_runs(place: Place, random_: random.Random) -> None:
    """A run that is killed is lost or whole; --resume ends with every task's output made of its dependency's."""
    files = ("source", *TASKS)
    tasks = []
    for before, key in zip(files, TASKS, strict=False):
        place.notebook(key, COPY.format(before, key))
        after = [] if before == "source" else [{"task_key": before}]
        tasks.append({"task_key": key, "depends_on": after, "notebook_task": {"notebook_path": f"{key}.ipynb"}})
    (place.folder / "databricks.yml").write_text(json.dumps({"resources": {"jobs": {"j": {"tasks": tasks}}}}))
    (place.folder / "source").write_text("first source")
    began = time.monotonic()
    place.end([*FSTK, "run", "j"], 0)
    took = time.monotonic() - began
    (place.folder / "source").write_text("second source, which is longer")
    run = place.start([*FSTK, "run", "j"])
    time.sleep(random_.uniform(0, took))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    place.check_records()
    place.end([*FSTK, "run", "j", "--resume"], 0)
    made = {(place.folder / key).read_text() for key in TASKS}
    place.expect(len(made) == 1, f"the tasks' outputs are of several sources: {made}")
    place.check_records()
    left = [path.name for path in place.runs.rglob(f"{TEMPORARY}*")]
    place.expect(not left, f"left over: {left}")
    kernels = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(place.folder) and p.pid != os.getpid()]
    place.expect(not kernels, f"still running: {kernels}")


def full_disk(place: Place, random_: random.Random) -> None:
    """A run on a disk that is full, or fills, ends with one sentence, and the next one where there is room is fine."""
    place.notebook("loud", LOUD)
    with _mounted(place, f"size={SMALL}k"):
        fill = place.runs / "fill"
        fill.write_bytes(b"x" * random_.choice([0, random_.randrange(SMALL * 1024)]))
        process = place.start([*FSTK, "run", "loud.ipynb"])
        err = process.communicate(timeout=300)[1]
        place.expect(process.returncode == 4, f"exit {process.returncode} on a full disk")
        place.expect(len(err.splitlines()) == 1 and "No space left" in err, f"it said {err!r}")
        place.check_records()
        left = [path.name for path in place.runs.rglob(f"{TEMPORARY}*")]
        place.expect(not left, f"left over: {left}")
    place.end([*FSTK, "run", "loud.ipynb"], 0)


def read_only(place: Place, _: random.Random) -> None:
    """Where nothing can be written a run says so, and has not begun."""
    place.notebook("loud", LOUD)
    with _mounted(place, "ro"):
        process = place.start([*FSTK, "run", "loud.ipynb"])
        out, err = process.communicate(timeout=300)
        place.expect(process.returncode == 4, f"exit {process.returncode} where nothing can be written")
        place.expect(not out and len(err.splitlines()) == 1, f"it said {out!r}, {err!r}")


def killed_writers(place: Place, random_: random.Random) -> None:
    """A table is of one write, whole, and not older than what was told; so is what is online, once published again."""
    script = [sys.executable, "-c", WRITER]
    place.end([*script, "0", "0"], 0)
    told = 0
    for _ in range(3):
        writer = place.start([*script, str(told), "100"])
        assert writer.stdout is not None
        told = int(writer.stdout.readline() or told)
        time.sleep(random_.uniform(0, 3))
        os.killpg(writer.pid, signal.SIGKILL)
        told = max([told, *map(int, writer.communicate()[0].split())])
        held, online = json.loads(place.end([sys.executable, "-c", READER], 0))
        place.expect(len(held) == 1 and held[0] >= told, f"the table holds {held}, and {told} was told")
        place.expect(all(n in range(held[-1] + 1) for n in online), f"{online} is online, the table holds {held}")
        told = held[-1]
    place.end([*script, str(told), "1"], 0)
    last = json.loads(place.end([sys.executable, "-c", READER], 0))
    place.expect(last == [[told + 1], [told + 1]], f"after {told + 1} was written and published: {last}")


def killed_jvms(place: Place, _: random.Random) -> None:
    """A session whose JVM was killed is replaced."""
    said = place.end([sys.executable, "-c", LOSES_ITS_JVM], 0)
    place.expect(said.strip() == "[Row(id=1, n=2)]", f"it holds {said}")


@contextmanager
def _mounted(place: Place, options: str) -> Iterator[None]:
    place.runs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place.runs)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place.runs)], check=True, capture_output=True)


Fault = Callable[[Place, random.Random], None]
RUNS: tuple[Fault, ...] = (killed_runs,)
MOUNTS: tuple[Fault, ...] = (full_disk, read_only)
TABLES: tuple[Fault, ...] = (killed_writers, killed_jvms)


def round_of(fault: Fault, seed: int) -> list[str]:
    """Let ``fault`` happen once, in a project of its own; return what is wrong afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="fstk-faults-")).resolve()
    place = Place(folder)
    try:
        fault(place, random.Random(seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return place.wrong


def main() -> int:
    """Let faults happen in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="WORD", default="", help="faults whose names have it, such as Redis or jvm")
    given = parser.parse_args()
    end, seed, found = time.monotonic() + given.seconds, given.seed, 0
    with tempfile.TemporaryDirectory(prefix="fstk-faults-") as folder, targets(Path(folder), LONG) as stores:
        here = [*RUNS, *(MOUNTS if os.geteuid() == 0 else ()), *TABLES]
        every = [*((fault.__name__, fault) for fault in here), *store_faults(stores)]
        faults = [(name, fault) for name, fault in every if given.only in name]
        while faults and (time.monotonic() < end or seed - given.seed < len(faults)):
            name, fault = faults[seed % len(faults)]
            began = time.monotonic()
            wrong = round_of(fault, seed)
            found += bool(wrong)
            took = time.monotonic() - began
            print(f"seed {seed}  {name}, {took:.0f} s: {'; '.join(wrong) or 'right'}", flush=True)
            seed += 1
    print(f"{seed - given.seed} rounds, {found} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

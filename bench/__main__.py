"""``python -m bench [local|online|serving] [--quick] [--only WORD] [--json FILE]``: every contender in turn, answers
compared, one table. Raw times are kept in a file."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import compare, data, notebook, online, process, serving, startup
from bench.cases import CASES, FROM_FILES
from bench.child import LOCAL, SPARK, answer
from bench.report import Line, Report

_AIMS = {
    ("join", "direct"): 1.0,
    ("windows at events", "direct"): 0.6,
    ("windows on calendar", "direct"): 0.6,
    **{(case, "direct"): 0.7 if files.table == "ordered" else 1.0 for case, files in FROM_FILES.items()},
    ("join", "spark"): 1.0,
    ("windows at events", "spark"): 1.0,
    ("windows on calendar", "spark"): 1.0,
}
_STARTUP_AIM = 0.5
_REFERENCE = "DuckDB"
_NATIVE = "Spark SQL"
_DOCUMENTED = "delta-spark"
_KEPT = Path("runs/bench.json")


def measure(report: Report, folder: Path, names: list[str]) -> None:
    """Add a line for each case and contender; an answer unlike DuckDB's has no time."""
    for case in (*CASES, *FROM_FILES):
        for contender in [name for name in names if case in CASES or name in LOCAL]:
            found = process.run(
                "bench.child",
                *(case, contender, str(folder), str(report.size.repeats)),
                folder=folder,
                seconds=report.size.seconds,
            )
            failure = found.failure
            if failure is None and contender != _REFERENCE:
                unlike = compare.difference(answer(folder, case, _REFERENCE), answer(folder, case, contender))
                failure = None if unlike is None else f"another answer: {unlike}"
            rival = _NATIVE if contender == "spark" else _REFERENCE
            report.add(
                Line(
                    case,
                    contender,
                    found.figures["seconds"] if found.figures and failure is None else [],
                    found.peak,
                    None if contender == rival else rival,
                    _AIMS.get((case, contender)),
                    failure,
                )
            )


def measure_startup(report: Report, folder: Path) -> None:
    """Add lines for the first steps of a session, fstk's beside the documented default's."""
    quick = report.size is data.QUICK
    documented = _starts(report, folder, startup.OFFLINE if quick else _DOCUMENTED)
    if quick:
        report.notes.append("delta-spark's default settings with the same jars from disk, which its start would fetch.")
    elif documented.failure is not None:
        report.notes.append(
            f"delta-spark's documented start did not run ({documented.failure}); its default settings instead, "
            "with the same jars from disk."
        )
        documented = _starts(report, folder, startup.OFFLINE)
    ours = _starts(report, folder, "fstk")
    for step in startup.STEPS:
        report.add(documented.line(step, _DOCUMENTED))
        report.add(ours.line(step, "fstk", _DOCUMENTED, _STARTUP_AIM))


def measure_notebook(report: Report, folder: Path) -> None:
    """Add a line for each wait at a cell, held against the seconds it may take."""
    found = process.run("bench.notebook", "prepare", folder=folder, seconds=report.size.seconds)
    if found.figures is not None:
        found = process.run("bench.notebook", folder=folder, seconds=report.size.seconds)
    steps = (found.figures or {}).get("steps", {})
    for step, limit in notebook.LIMITS.items():
        seconds = [steps[step]] if step in steps else []
        report.add(Line(step, "fstk", seconds, found.peak, limit=limit, failure=found.failure))


@dataclass(frozen=True)
class _Starts:
    runs: list[dict[str, float]]
    peak: int
    failure: str | None = None

    def line(self, step: str, contender: str, rival: str | None = None, aim: float | None = None) -> Line:
        return Line(step, contender, [run[step] for run in self.runs], self.peak, rival, aim, self.failure)


def _starts(report: Report, folder: Path, contender: str) -> _Starts:
    """Start a process for each run, until one fails."""
    runs, peak = [], 0
    for number in range(report.size.repeats):
        place = folder / f"{contender} {number}"
        place.mkdir()
        found = process.run("bench.startup", contender, str(place), folder=folder, seconds=report.size.seconds)
        if found.figures is None:
            return _Starts([], found.peak, found.failure)
        runs.append(found.figures["steps"])
        peak = max(peak, found.peak)
    return _Starts(runs, peak)


def contenders() -> list[str]:
    """Return all contenders of a case, those that others are held against first."""
    return sorted((*LOCAL, *SPARK), key=lambda name: (name in SPARK, name not in (_REFERENCE, _NATIVE)))


def main() -> None:
    """Measure what is asked for, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data, one run each: does it work, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", default=_KEPT, help=f"keep the figures; {_KEPT}")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="how long the endpoint is asked at 70 %% load")
    parser.add_argument(
        "--only", metavar="WORD", default="", help="stores and servers of that name beside the bare ones"
    )
    parser.add_argument("what", nargs="?", choices=["local", "online", "serving"], help="one part; without it, all")
    arguments = parser.parse_args()
    kept = {}
    if arguments.what in (None, "serving"):
        size = serving.QUICK if arguments.quick else serving.FULL
        size = size if arguments.soak is None else replace(size, soak=60 * arguments.soak)
        served = serving.measure(size, arguments.only)
        print(served)
        kept["serving"] = served.as_dict()
    if arguments.what in (None, "online"):
        with_feast = not (arguments.quick or arguments.only)
        rows = online.measure(
            online.QUICK if arguments.quick else online.FULL, with_feast=with_feast, only=arguments.only
        )
        print(rows)
        kept["online"] = rows.as_dict()
    if arguments.what in (None, "local"):
        kept |= measure_local(arguments.quick)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(kept), encoding="utf-8")
    print(f"raw times: {arguments.json}")


def measure_local(quick: bool) -> dict[str, Any]:
    """Measure joins, windows and starts, print each line as it is measured, and then the table; return its figures."""
    report = Report(data.QUICK if quick else data.FULL, os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="fstk-bench-") as scratch:
        folder = Path(scratch)
        (folder / "answers").mkdir()
        data.make(folder, report.size)
        measure(
            report,
            folder,
            [_REFERENCE, *(name for name in LOCAL if name != _REFERENCE), _NATIVE, *(n for n in SPARK if n != _NATIVE)],
        )
        measure_startup(report, folder)
        measure_notebook(report, folder)
    print(report)
    return report.as_dict()


if __name__ == "__main__":
    main()

"""The figures as one table of ratios, with what was aimed at."""

from __future__ import annotations

import os
import platform
import statistics
import textwrap
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench.data import Size
from fstk.display import WIDTH, Displayed, Sheet

_PACKAGES = ("fstk", "duckdb", "polars", "pyarrow", "numpy", "pyspark", "delta-spark", "deltalake")


@dataclass(frozen=True)
class Line:
    """One contender in one case: best of its runs, in seconds, beside the ``rival`` it is held against, whose time
    times ``aim`` it should not pass; a wait of a person has a ``limit`` in seconds instead."""

    case: str
    contender: str
    seconds: list[float]
    peak: int
    rival: str | None = None
    aim: float | None = None
    failure: str | None = None
    limit: float | None = None

    @property
    def best(self) -> float | None:
        """The shortest run."""
        return min(self.seconds) if self.seconds else None


@dataclass(repr=False)
class Report(Displayed):
    """All lines of one run."""

    size: Size
    load: float
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Keep a line, and print it at once: the table comes after many minutes."""
        self.lines.append(line)
        case, contender, *figures = self._row(line)
        said = [line.failure] if line.failure else [str(figure) for figure in figures[:-1] if figure is not None]
        print(f" {case:<30}  {contender:<11}  {'  '.join(said)}", flush=True)

    def ratio(self, line: Line) -> float | None:
        """Return the line's best time over its rival's, None where either is missing."""
        rivals = [other for other in self.lines if (other.case, other.contender) == (line.case, line.rival)]
        if line.best is None or not rivals or rivals[0].best is None:
            return None
        return line.best / rivals[0].best

    def display(self) -> Sheet:
        """Return one row per line."""
        packages = versions()
        return Sheet(
            f"{self.size.events:,} events or feature rows · {self.size.labels:,} labels · {self.size.keys:,} keys · "
            f"best of {self.size.repeats} · load at start {self.load:.1f}\n{machine()}\n"
            f"{' · '.join(packages[:5])}\n{' · '.join(packages[5:])}",
            ("case", "contender", "seconds", "spread", "ratio", "against", "aim", "peak MB"),
            [self._row(line) for line in self.lines],
            ["\n".join(textwrap.wrap(note, WIDTH)) for note in self._all_notes()],
        )

    def _all_notes(self) -> list[str]:
        failures = [f"{line.case}, {line.contender}: {line.failure}." for line in self.lines if line.failure]
        return [*self.notes, *failures]

    def _row(self, line: Line) -> tuple[Any, ...]:
        ratio = self.ratio(line)
        aim = None if line.aim is None else f"≤ {line.aim:.2f}"
        if aim and ratio is not None and line.aim is not None:
            aim += " met" if ratio <= line.aim else " MISSED"
        if line.limit is not None:
            aim = f"≤ {line.limit:g} s"
            if line.best is not None:
                aim += " met" if line.best <= line.limit else " MISSED"
        spread = None
        if len(line.seconds) > 1:
            spread = f"{(max(line.seconds) - min(line.seconds)) / statistics.median(line.seconds):.0%}"
        return (
            line.case,
            line.contender,
            None if line.best is None else f"{line.best:.2f}" if line.best >= 0.1 else f"{line.best:.3f}",
            spread,
            None if ratio is None else f"{ratio:.2f}",
            line.rival,
            aim,
            None if not line.peak else f"{line.peak / 1e6:,.0f}",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "machine": machine(),
            "versions": versions(),
            "load": self.load,
            "size": vars(self.size),
            "notes": self.notes,
            "lines": [{**vars(line), "best": line.best, "ratio": self.ratio(line)} for line in self.lines],
        }


def machine() -> str:
    """Return processor, cores and memory."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name} · {os.cpu_count()} cores · {psutil.virtual_memory().total / 2**30:.0f} GiB · {platform.system()}"


def versions() -> list[str]:
    """Return the versions of all that takes part."""
    return [f"Python {platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in _PACKAGES)]

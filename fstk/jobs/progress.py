"""What a person sees of a run: a line per task; while one works, a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fstk.display import WIDTH

BEAT_SECONDS = 30.0
"""How often a line tells that a task is alive, where there is no terminal."""


class Lines:
    """Progress of a job's tasks, written to standard output as it is at the time."""

    def __init__(self, keys: list[str]) -> None:
        self._total = len(keys)
        self._width = max(24, *(len(key) for key in keys))
        self._out: TextIO = sys.stdout
        self._bar: Progress | None = None
        self._bar_task = TaskID(0)
        self._last_beat = 0.0
        self._last_left: float | None = None

    def wait(self, number: int, key: str, what: str, left: float) -> None:
        """Task ``number`` begins again, as ``what``, in ``left`` seconds."""
        state = f"{what} in {left:.0f} s" if left >= 1 else what
        if self._last_left is None:
            self._say(number, key, state)
            self._show_bar(number, key, None, state)
            self._last_left = left
        elif self._bar:
            self._bar.update(self._bar_task, state=state)
        elif self._last_left - left >= BEAT_SECONDS:
            self._say(number, key, state)
            self._last_left = left

    def start(self, number: int, key: str, cells: int) -> None:
        """Task ``number`` (from 1) begins, of ``cells`` code cells."""
        self._last_beat, self._last_left = 0.0, None
        self._hide_bar()
        self._show_bar(number, key, cells, "starting")

    def _show_bar(self, number: int, key: str, cells: int | None, state: str) -> None:
        if self._out.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[state]}"))
            self._bar = Progress(*columns, console=Console(file=self._out), transient=True)
            self._bar_task = self._bar.add_task(self._head(number, key), total=cells, state=state)
            self._bar.start()

    def beat(self, number: int, key: str, cell: int, cells: int, rows: int | None, seconds: float) -> None:
        """Task ``number`` is still at work, in code cell ``cell`` after ``seconds``; ``rows`` so far, where known."""
        state = f"cell {cell} of {cells}" + ("" if rows is None else f" · {rows:,} rows") + f" · {seconds:.0f} s"
        if self._bar:
            self._bar.update(self._bar_task, completed=max(cell - 1, 0), state=state)
        elif seconds - self._last_beat >= BEAT_SECONDS:
            self._last_beat = seconds
            self._say(number, key, state)

    def end(self, number: int, key: str, summary: str, last: str) -> None:
        """Task ``number`` is over: what it did, and at the end of the line how long it took or how it ended."""
        self._hide_bar()
        head = self._head(number, key)
        room = max(0, WIDTH - len(head) - len(last) - 3)
        print(f"{head} {' '.join(summary.split()):<{room}}  {last}", file=self._out, flush=True)

    def _hide_bar(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _say(self, number: int, key: str, state: str) -> None:
        print(f"{self._head(number, key)} {state}", file=self._out, flush=True)

    def _head(self, number: int, key: str) -> str:
        return f" {number}/{self._total}  {key:<{self._width}}"

"""What takes more than a moment says so, and moves: one line on a terminal or below a cell, gone when it is done.

Nobody is told where nobody looks on: in a pipe, and in a notebook that is run to be saved.
"""

from __future__ import annotations

import contextvars
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

_CELLS = 20
_MOMENT = 0.4  # seconds: what takes less is not worth a line
_BEAT = 0.5  # seconds between two looks
_NOTEBOOK = "fstk.notebook.bar"  # only where a notebook is open


class Screen(Protocol):
    """Where a line is shown."""

    def write(self, line: str, /) -> None:
        """Show ``line`` in the place of the one before it."""

    def clear(self) -> None:
        """Take the line away."""


@dataclass
class _Work:
    what: str
    since: float = field(default_factory=time.monotonic)
    done: int | None = None
    total: int | None = None


class _Terminal:
    """The last line of a terminal."""

    def write(self, line: str) -> None:
        print(f"\r\x1b[K{line}", end="", file=sys.stdout, flush=True)

    def clear(self) -> None:
        print("\r\x1b[K", end="", file=sys.stdout, flush=True)


_works: list[_Work] = []
_lock = threading.RLock()
_screens: list[Screen] = []


@contextmanager
def on_screen(screen: Screen) -> Iterator[None]:
    """Let what is at work in the block be told on ``screen``."""
    _screens.append(screen)
    try:
        yield
    finally:
        _screens.remove(screen)


@contextmanager
def at_work(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Tell that ``what`` is at work while the block runs, and give what can be told of it: rows done, and of how many
    (None: unknown). Of works within each other the innermost is told.

    >>> with at_work("counting") as told:
    ...     told(1, 2)
    """
    work = _Work(what)
    with _lock:
        _works.append(work)
        first = len(_works) == 1
    screen = _screen() if first else None
    ended = threading.Event()
    teller = None
    if screen is not None:
        cell = contextvars.copy_context()  # whose output is written
        teller = threading.Thread(target=cell.run, args=(_tell, screen, ended), daemon=True)
        teller.start()

    def told(done: int, total: int | None) -> None:
        work.done, work.total = done, total

    try:
        yield told
    finally:
        with _lock:
            _works.remove(work)
        ended.set()
        if teller is not None:
            teller.join()


def tell_rows(done: int) -> None:
    """Tell of the innermost work how many rows it has seen."""
    with _lock:
        if _works:
            _works[-1].done = done


def line(what: str, done: int | None, total: int | None, seconds: float) -> str:
    """Return what is told of a work.

    >>> line("writing shop.spend", None, None, 3.2), line("writing shop.spend", 1204, None, 5)
    ('writing shop.spend …  3 s', 'writing shop.spend …  1,204 rows  5 s')
    >>> line("publishing", 600, 1204, 0.44)
    'publishing  █████████░░░░░░░░░░░  600 / 1,204   0.4 s'
    """
    if total is None:
        rows = "" if done is None else f"{done:,} rows  "
        return f"{what} …  {rows}{seconds:.0f} s"
    full = min(_CELLS, _CELLS * (done or 0) // total) if total else 0
    return f"{what}  {'█' * full}{'░' * (_CELLS - full)}  {done or 0:,} / {total:,}   {seconds:.1f} s"


def _screen() -> Screen | None:
    """Return where a person looks on: the screen that was given, the cell's output, the terminal, or nowhere."""
    if _screens:
        return _screens[-1]
    if "ipykernel" in sys.modules:
        found: Screen | None = importlib.import_module(_NOTEBOOK).below_cell()
        if found is not None:
            return found
    out: Any = sys.stdout
    return _Terminal() if out is not None and out.isatty() else None


def _tell(screen: Screen, ended: threading.Event) -> None:
    """Tell of the innermost work again and again until the outermost has ended."""
    shown = False
    pause = _MOMENT
    while not ended.wait(pause):
        pause = _BEAT
        with _lock:
            if not _works:
                break
            work = _works[-1]
            screen.write(line(work.what, work.done, work.total, time.monotonic() - work.since))
            shown = True
    if shown:
        screen.clear()

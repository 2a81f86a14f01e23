"""How far a verb is, in the output of its cell."""

from __future__ import annotations

import time
from typing import Any

from IPython.display import DisplayHandle, display

_CELLS = 20
_PAUSE = 0.2  # seconds between two looks


class Bar:
    """A line that grows while a verb is at work; the verb's result takes its place, so that a saved notebook holds the
    result alone. It is text, no widget: it leaves no state and needs no front end."""

    def __init__(self) -> None:
        self._started = self._told = time.monotonic()
        self._handle: DisplayHandle | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Tell that ``done`` rows of ``total`` (None: unknown) are done."""
        now = time.monotonic()
        if self._handle is None:
            self._handle = display(self._line(done, total, now), raw=True, display_id=True)
        elif now - self._told >= _PAUSE:
            self._handle.update(self._line(done, total, now), raw=True)
        else:
            return
        self._told = now

    def show(self, result: Any) -> None:
        """Show what the verb returned, in the place of the line if there is one."""
        if self._handle is None:
            display(result)
        else:
            self._handle.update(result)

    def _line(self, done: int, total: int | None, now: float) -> dict[str, str]:
        full = 0 if not total else min(_CELLS, _CELLS * done // total)
        of = "" if total is None else f" / {total:,}"
        return {"text/plain": f"{'█' * full}{'░' * (_CELLS - full)}  {done:,}{of}   {now - self._started:.1f} s"}

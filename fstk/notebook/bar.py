"""How far a verb is, in the output of its cell."""

from __future__ import annotations

import os
import threading
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from fstk.progress import Screen


class Bar:
    """A line that moves while a verb is at work; the verb's result takes its place, so that a saved notebook holds the
    result alone. It is text, no widget: it leaves no state and needs no front end."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Show a line in the place of the one before it."""
        shown = {"text/plain": line}
        with self._lock:
            if self._handle is None:
                self._handle = display(shown, raw=True, display_id=True)
            else:
                self._handle.update(shown, raw=True)

    def clear(self) -> None:
        """Leave the line until the result takes its place."""

    def wipe(self) -> None:
        """Leave nothing of the line, if there is one: there is no result."""
        if self._handle is not None:
            self.write("")

    def show(self, result: Any) -> None:
        """Show what the verb returned, in the place of the line if there is one."""
        if self._handle is None:
            display(result)
        else:
            self._handle.update(result)


class _BelowCell(Bar):
    """A line below a cell that runs plain Python: nothing takes its place."""

    def clear(self) -> None:
        self.wipe()


def below_cell() -> Screen | None:
    """Return the output of the cell that runs, None where nobody looks at it meanwhile."""
    return _BelowCell() if looked_at() else None


def looked_at() -> bool:
    """Return whether somebody looks at the output of a cell while it runs: it is a notebook's, and not run to be saved.
    Python's own prompt keeps every line that it is given."""
    return getattr(get_ipython(), "kernel", None) is not None and can_answer()


def can_answer() -> bool:
    """Return whether somebody can answer a widget: whether the cell's request lets one type (Jupyter's messaging,
    ``allow_stdin``).

    nbclient, which papermill, nbmake and nbconvert run notebooks with, lets nobody, and saves the state of every widget
    that it hears of in the notebook. Databricks shows widgets through a channel of its own, whatever its requests say.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None or "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return True
    return kernel.get_parent("shell").get("content", {}).get("allow_stdin", True)

"""Cells run in a real IPython: what they show, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


def shown(shell: InteractiveShell, cell: str) -> str:
    """Run a cell that must succeed; return all that it shows, as text."""
    with capture_output() as output:
        result = shell.run_cell(cell)
    assert result.success, result.error_in_exec
    return output.stdout + "\n".join(str(one.data["text/plain"]) for one in output.outputs)


def result(shell: InteractiveShell, cell: str) -> Any:
    """Run a cell of one magic that must succeed; return the object that it shows."""
    found: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fstk.notebook.bar.Bar.show", lambda _bar, shown: found.append(shown))
        shown(shell, cell)
    return found[0]


def refused(shell: InteractiveShell, cell: str) -> BaseException:
    """Run a cell that must fail; return its error."""
    with capture_output():
        result = shell.run_cell(cell)
    assert result.error_in_exec is not None
    return result.error_in_exec

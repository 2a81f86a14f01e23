"""A kernel's start, without a kernel: ports that another process took meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fstk.jobs.execution import Execution
from fstk.jobs.scrubber import Scrubber

TAKEN = "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:37017')"


def execution(folder: Path) -> Execution:
    notebook = new_notebook(cells=[new_code_cell("1")])
    return Execution(notebook, {}, folder / "out.ipynb", {}, folder, None, None, Scrubber([]), lambda process: None)


def dying(monkeypatch: pytest.MonkeyPatch, *said: str) -> list[str]:
    """Let kernels die that say these last words, one after the other, and the next run; return whose turn is left."""
    left = list(said)

    def execute(document: Any, *_: Any, execution: Execution, **_unused: Any) -> None:
        if left:
            execution._log.write(f"Traceback\n{left.pop(0)}\n".encode())
            raise RuntimeError("Kernel died before replying to kernel_info")
        execution._document = document
        document.cells[0].execution_count = 1

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return left


@pytest.mark.parametrize("times", [1, 2])
def test_a_kernel_whose_port_another_took_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    dying(monkeypatch, *[TAKEN] * times)
    assert execution(tmp_path).execute() == ("succeeded", None)


def test_it_is_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = dying(monkeypatch, *[TAKEN] * 4)
    status, failure = execution(tmp_path).execute()
    assert (status, len(left)) == ("not started", 1)
    assert failure is not None
    assert failure.message == f"Kernel died before replying to kernel_info {TAKEN}"


def test_one_that_dies_of_anything_else_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = dying(monkeypatch, "ModuleNotFoundError: No module named 'ipykernel'", TAKEN)
    status, _ = execution(tmp_path).execute()
    assert (status, len(left)) == ("not started", 1)

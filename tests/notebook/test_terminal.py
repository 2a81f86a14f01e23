"""The same grammar in a terminal: lines come from standard input, and nothing is bound."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.notebook.cells import shown

WORDS = ["feature_store.spend", "--source", "transactions", "--entity", "customer_id", "--time", "purchased_at"]
WORDS += ["--windows", "7d,30d"]
LINES = "count(*) as n  -- all of them\nsum(amount) as spend\n"


def fstk(*words: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from fstk.cli.app import main; raise SystemExit(main())", *words]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, input=lines, capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.mark.slow
def test_a_terminal_shows_what_a_cell_shows(shell: InteractiveShell, filled: Path) -> None:
    done = fstk("windows", *WORDS, lines=LINES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip("\n") == shown(shell, f"%%fstk windows {' '.join(WORDS)}\n{LINES}")
    code = fstk("windows", *WORDS, "--code", lines=LINES)
    assert code.stdout.rstrip("\n") == shown(shell, f"%%fstk windows {' '.join(WORDS)} --code\n{LINES}")
    assert fstk("windows", "-h").stdout == shown(shell, "%fstk windows -h")


@pytest.mark.slow
def test_labels_of_a_terminal_are_tables(filled: Path) -> None:
    line = "feature_store.customer_features on customer_id\n"
    done = fstk("pit", "transactions", "--at", "purchased_at", "--one", "1", lines=line)
    assert done.returncode == 0, done.stderr
    assert "7 labels (all) × 1 lookup" in done.stdout
    assert "customer_id 1 · label 1997-02-10 · feature_store.customer_features · matched, age 5 d" in done.stdout


@pytest.mark.slow
def test_what_needs_a_notebook_or_lines_is_exit_code_2(filled: Path) -> None:
    bound = fstk("windows", *WORDS, "-o", "x", lines=LINES)
    assert (bound.returncode, bound.stdout) == (2, "")
    assert bound.stderr == "InvalidInput: -o x: a terminal has no variables; -o is for a notebook.\n"
    nothing = fstk("windows", *WORDS)
    assert nothing.returncode == 2
    assert "write one a line on standard input, as in" in nothing.stderr

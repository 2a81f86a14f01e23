"""``%fstk serve`` beside a notebook: what it shows, and that it ends when told, and with its kernel."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest

from fstk.cli.app import run_command
from fstk.errors import InvalidInput
from tests.serving.asking import GOOD, ask, records
from tests.serving.project import Project

pytestmark = [pytest.mark.server, pytest.mark.slow]
PROGRAM = """
import time
from fstk.cli.app import run_command
opened = run_command(["serve", "models:/churn@champion", "--workers", "1"], {})
print(opened.widget, repr(opened.given["served"]), flush=True)
if input() == "stop":
    print(repr(run_command(["serve", "--stop"], {})), flush=True)
time.sleep(600)
"""


def gone(port: int) -> bool:
    """Tell, in time, that nobody listens."""
    pause, end = threading.Event(), time.monotonic() + 120
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return True
        pause.wait(0.1)
    return False


@pytest.mark.parametrize("way", ["stop", "killed"])
def test_it_is_shown_and_ends(way: str, project: Project, token: str) -> None:
    notebook = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=project.folder,
        env=project.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert notebook.stdin is not None
    assert notebook.stdout is not None
    try:
        assert notebook.stdout.readline() == "loading models:/churn@champion …\n"
        title = notebook.stdout.readline()
        assert title.startswith("ServingPanel serving churn v1 on http://127.0.0.1:")
        assert title.endswith("      stop: %fstk serve --stop\n")
        assert notebook.stdout.readline() == "2 tables, 4 features, 1 round trip\n"
        port = int(title.split("http://127.0.0.1:")[1].split()[0])
        curl = notebook.stdout.readline()
        assert curl.startswith(f"curl http://127.0.0.1:{port}/invocations -H")
        assert ask(port, records(GOOD), token).status == 200
        if way == "stop":
            notebook.stdin.write("stop\n")
            notebook.stdin.flush()
            while "1 endpoint stopped" not in (line := notebook.stdout.readline()):
                assert line
        else:
            notebook.kill()
        assert gone(port)
    finally:
        notebook.kill()
        notebook.wait()


def test_words_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="takes a MODEL"):
        run_command(["serve"])
    with pytest.raises(InvalidInput, match="in a terminal it is Ctrl-C"):
        run_command(["serve", "--stop"])
    with pytest.raises(InvalidInput, match="--workers is a number from 1 to 64"):
        run_command(["serve", "models:/churn@champion", "--workers", "0"])

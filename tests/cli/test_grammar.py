"""One grammar: unknown words name the nearest, help is help, errors are a sentence and an exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fstk
from fstk.cli import app
from fstk.cli.call import say
from fstk.errors import FstkError, GateRefused, InvalidInput, StoreUnavailable, UnknownName

FSTK = Path(sys.executable).with_name("fstk")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """What the command answers to words typed in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def answer(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(FSTK), *words])
        code = app.main()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return answer


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "UnknownName: fstk has no verb 'rnu'. Nearest: run, runs, grant.   See them all: fstk -h"),
        (["run"], "InvalidInput: Missing argument 'NOTEBOOK|JOB'.   How it is used: fstk run -h"),
        (["run", "x", "--resme"], "InvalidInput: No such option: --resme (Possible options: --resume)."),
        (["run", "x", "y"], "InvalidInput: Got unexpected extra argument"),
        (["--nothing"], "InvalidInput: No such option: --nothing"),
        (["show", "a.b.c.d"], "InvalidName: table name 'a.b.c.d'"),
        (["tag", "t", "x"], "InvalidInput: a tag is KEY=VALUE; got 'x'."),
        (["publish", "t", "--to", "ftp://x"], "UnknownTable: no feature table default.t."),
    ],
)
def test_what_is_not_understood_exits_2_with_one_sentence(typed: Typed, words: list[str], message: str) -> None:
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert "Traceback" not in err


def test_what_to_type_next_is_told_for_a_terminal(typed: Typed) -> None:
    _, _, err = typed("show", "a.b")
    assert err.splitlines()[-1] == "See them all: fstk tables"


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["run", "-h"]])
def test_help_is_shown_and_nothing_done(typed: Typed, words: list[str]) -> None:
    code, out, err = typed(*words)
    assert (code, err) == (0, "")
    assert "Usage: fstk" in out


def test_the_installed_command_is_this_one(tmp_path: Path) -> None:
    done = subprocess.run([FSTK, "rnu"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "UnknownName: fstk has no verb 'rnu'. Nearest: run, runs, grant.   See them all: fstk -h\n"


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert app.run_command(["-h"]) is None
    listed = capsys.readouterr().out
    assert "..." not in listed.split("Commands:")[1], "a first sentence is longer than a line of 80 columns"
    for verb in app.verbs():
        assert f"  {verb} " in listed
        assert app.run_command([verb, "-h"]) is None
        assert f"Usage: fstk {verb}" in capsys.readouterr().out


class Broke(StoreUnavailable):
    """A kind of error that only this test knows."""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (InvalidInput("no"), 2),
        (GateRefused("no"), 3),
        (Broke("no"), 4),
        (FstkError("no"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_a_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, code: int
) -> None:
    def verb(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(app, "run_command", verb)
    assert app.main() == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("" if code == 130 else f"{type(raised).__name__}: no\n")


def test_a_verb_may_return_what_is_to_be_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "run_command", lambda _argv: "shown")
    assert app.main() == 0
    assert capsys.readouterr().out == "shown\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{FSTK} doctor | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_caller_may_have_closed_the_streams(closed: str, tmp_path: Path) -> None:
    ends = f"{FSTK} tabels {closed}; test $? = 2 && {FSTK} doctor -h {closed}"  # an error, and what is shown
    done = subprocess.run(["bash", "-c", ends], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_unknown_verbs_raise_in_a_notebook() -> None:
    with pytest.raises(UnknownName, match="Nearest: tables"):
        app.run_command(["table"], namespace={})


def test_the_version_is_told() -> None:
    done = subprocess.run([FSTK, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fstk {fstk.__version__}\n", "")


def test_a_leak_and_its_cure_are_in_colour_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "⚠ LEAK  a.sql uses now().\n      Cure: a parameter."
    monkeypatch.delenv("NO_COLOR", raising=False)
    say(text)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say(text)
    plain, coloured = capsys.readouterr().out.split("parameter.\n", 1)
    assert plain + "parameter." == text
    assert coloured.startswith("\x1b[1;31m⚠ LEAK\x1b[0m  a.sql")
    assert "\x1b[32m      Cure:\x1b[0m a parameter." in coloured

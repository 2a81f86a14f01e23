"""What takes long says so and moves, where a person looks on."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import pyarrow as pa
import pytest

from fstk import progress
from fstk.engines import connect
from fstk.errors import EngineUnavailable
from fstk.monitoring.drift import detect_feature_drift
from fstk.progress import at_work, line, on_screen, tell_rows

PATIENCE = 20  # seconds


class Screen:
    """What was shown, and a wait for more of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()

    def write(self, line: str) -> None:
        with self._more:
            self.lines.append(line)
            self._more.notify_all()

    def clear(self) -> None:
        self.write("")

    def until(self, words: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: any(words in line for line in self.lines), PATIENCE), self.lines


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be too short to be told."""
    monkeypatch.setattr(progress, "_MOMENT", 0.01)
    monkeypatch.setattr(progress, "_BEAT", 0.01)


def test_a_line_moves_while_something_is_at_work_and_is_gone_after(at_once: None) -> None:
    screen = Screen()
    with on_screen(screen), at_work("writing shop.spend"):
        screen.until("writing shop.spend …  0 s")
        with at_work("starting Spark"):
            screen.until("starting Spark …")
        tell_rows(1_204)
        screen.until("writing shop.spend …  1,204 rows")
    assert screen.lines[-1] == ""
    assert screen.lines.count("") == 1


def test_what_is_told_of_rows_becomes_a_bar(at_once: None) -> None:
    screen = Screen()
    with on_screen(screen), at_work("publishing") as told:
        told(600, 1_204)
        screen.until(f"publishing  {'█' * 9}{'░' * 11}  600 / 1,204   0.")
    assert line("publishing", 1, 0, 0.0).startswith("publishing  ░")


def test_what_took_no_time_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_MOMENT", 3_600)
    screen = Screen()
    with on_screen(screen), at_work("a moment"):
        pass
    assert screen.lines == []


def test_an_error_takes_the_line_away(at_once: None) -> None:
    screen = Screen()

    @at_work("failing")
    def fail() -> None:
        screen.until("failing")
        raise ValueError("no")

    with on_screen(screen), pytest.raises(ValueError, match="no"):
        fail()
    assert screen.lines[-1] == ""


class Out(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal, self.said = terminal, threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.said.set()
        return super().write(text)


def test_a_terminal_sees_one_line_and_a_pipe_nothing(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    terminal, pipe = Out(True), Out(False)
    monkeypatch.setattr(sys, "stdout", terminal)
    with at_work("logging the model"):
        assert terminal.said.wait(PATIENCE)
    assert terminal.getvalue().startswith("\r\x1b[Klogging the model …  0 s")
    assert terminal.getvalue().endswith("\r\x1b[K")
    monkeypatch.setattr(sys, "stdout", pipe)
    with at_work("logging the model"):
        assert progress._screen() is None
    assert pipe.getvalue() == ""


def told_meanwhile() -> list[str]:
    return [work.what for work in progress._works]


def test_a_session_that_starts_and_a_comparison_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def start(*_given: Any) -> Any:
        seen.append(told_meanwhile())
        raise EngineUnavailable("there is none")

    monkeypatch.setattr(connect, "_opened", None)
    monkeypatch.setattr(connect, "_running", lambda: None)
    monkeypatch.setattr(connect, "_STARTS", {"spark": start})
    with pytest.raises(EngineUnavailable):
        connect.connect("spark")
    assert seen == [["starting Spark"]]

    def ask(*_given: Any) -> Any:
        seen.append(told_meanwhile())
        raise EngineUnavailable("enough")

    monkeypatch.setattr("fstk.monitoring.drift.ask", ask)
    rows = pa.table({"spend": [1.0, 2.0, 3.0]})
    with pytest.raises(EngineUnavailable):
        detect_feature_drift(rows, rows, ["spend"])
    assert seen[1] == ["comparing"]
    assert told_meanwhile() == []

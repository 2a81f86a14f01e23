from typing import Any

import pytest

from fstk.notebook import bar
from fstk.notebook.bar import Bar


class Output:
    """What a cell shows, each look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        monkeypatch.setattr(bar, "display", self.display)

    def display(self, what: Any, raw: bool = False, display_id: bool = False) -> Any:
        self.shown.append(what["text/plain"] if raw else what)
        return self if display_id else None

    def update(self, what: Any, raw: bool = False) -> None:
        self.shown[-1] += "\n"
        self.display(what, raw)


def test_a_line_moves_and_gives_its_place_to_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    output, told = Output(monkeypatch), Bar()
    told.write("publishing  0 / 1,000")
    told.write("publishing  500 / 1,000")
    told.show("done")
    assert output.shown == ["publishing  0 / 1,000\n", "publishing  500 / 1,000\n", "done"]


def test_what_took_no_time_is_shown_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(monkeypatch)
    Bar().show("done")
    assert output.shown == ["done"]


def test_a_line_without_a_result_is_wiped_and_another_is_kept_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    output, told = Output(monkeypatch), Bar()
    told.wipe()
    assert output.shown == []
    told.write("starting Spark …  1 s")
    told.clear()
    assert output.shown == ["starting Spark …  1 s"]
    told.wipe()
    assert output.shown[-1] == ""


def test_a_cell_is_looked_at_in_a_notebook_that_somebody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        kernel: Any = None

    class Kernel:
        def __init__(self, allowed: bool) -> None:
            self._allowed = allowed

        def get_parent(self, _channel: str) -> Any:
            return {"content": {"allow_stdin": self._allowed}}

    shell = Shell()
    monkeypatch.setattr(bar, "get_ipython", lambda: shell)
    assert bar.below_cell() is None
    for allowed in (True, False):
        shell.kernel = Kernel(allowed)
        assert (bar.below_cell() is not None) == allowed

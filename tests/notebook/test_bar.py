from typing import Any

import pytest

from fstk.notebook import bar
from fstk.notebook.bar import Bar


class Output:
    """What a cell shows, each look at it; each takes an eighth of a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        self.now = 0.0
        monkeypatch.setattr(bar, "display", self.display)
        monkeypatch.setattr(bar.time, "monotonic", self.monotonic)

    def monotonic(self) -> float:
        self.now += 0.125
        return self.now

    def display(self, what: Any, raw: bool = False, display_id: bool = False) -> Any:
        self.shown.append(what["text/plain"] if raw else what)
        return self if display_id else None

    def update(self, what: Any, raw: bool = False) -> None:
        self.shown[-1] += "\n"
        self.display(what, raw)


def test_a_line_grows_now_and_then_and_gives_its_place_to_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    output, told = Output(monkeypatch), Bar()
    for done in range(0, 1001, 250):
        told(done, 1000)
    told.show("done")
    assert output.shown == [
        f"{'░' * 20}  0 / 1,000   0.1 s\n",
        f"{'█' * 10}{'░' * 10}  500 / 1,000   0.4 s\n",
        f"{'█' * 20}  1,000 / 1,000   0.6 s\n",
        "done",
    ]


def test_what_took_no_time_is_shown_alone_and_an_unknown_total_is_not_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = Output(monkeypatch)
    Bar().show("done")
    assert output.shown == ["done"]
    Bar()(7, None)
    assert output.shown[1] == f"{'░' * 20}  7   0.1 s"


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

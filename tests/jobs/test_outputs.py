"""What is printed is kept as a terminal shows it, up to a size that a person can open."""

from __future__ import annotations

from typing import Any

import pytest
from nbformat.v4 import new_output

from fstk.jobs import outputs
from fstk.jobs.outputs import Outputs, Terminal


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["a", "b\n", "c"], "ab\nc"),
        (["10 %", "\r20 %", "\r100 %\n"], "100 %\n"),
        (["long line\rlo", "st\n"], "lost line\n"),
        (["line\r", "\nnext"], "line\nnext"),
        (["line\r\n", "\r\n"], "line\n\n"),
        (["|", "\b/", "\b-"], "-"),
        (["ab\b\b\b\bc"], "cb"),
        (["\x1b[31m10 % of much\x1b[0m", "\r\x1b[32m20 %\x1b[0m"], "\x1b[32m20 %\x1b[0m"),
        ([""], ""),
    ],
)
def test_what_overwrites_is_what_stands(written: list[str], shown: str) -> None:
    screen = Terminal()
    for text in written:
        screen.write(text)
    assert screen.text == shown


@pytest.mark.parametrize(
    "written",
    [
        [f"{i:07d}\n" for i in range(400)],
        ["x" * 70 + "\n"] * 50,
        ["".join(f"{i:07d} " for i in range(400))],
        ["".join(f"{i:07d}\n" for i in range(1_500))],
        ["y" * 9] * 500,
    ],
)
def test_of_much_the_beginning_and_the_end_are_kept_with_a_count_of_the_rest(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "TEXT_LETTERS", 1_000)
    monkeypatch.setattr(outputs, "_LINE_LETTERS", 100)
    screen = Terminal()
    for text in written:
        screen.write(text)
    whole, shown = "".join(written), screen.text
    beginning, _, rest = shown.partition("\n[… ")
    count, _, end = rest.partition(" letters left out …]\n")
    assert len(beginning) == outputs.TEXT_LETTERS // 2
    assert outputs.TEXT_LETTERS // 4 < len(end) <= outputs.TEXT_LETTERS
    assert whole.startswith(beginning)
    assert whole.endswith(end)
    assert int(count.replace(",", "")) == len(whole) - len(beginning) - len(end)


def test_streams_go_on_until_a_display_and_displays_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "OUTPUTS", 2)
    kept = Outputs()
    nodes: list[Any] = []

    def printed(name: str, text: str) -> None:
        if not kept.merged(name, text):
            nodes.append(new_output("stream", name=name, text=text))
            kept.opened(nodes[-1])

    for text in ("a", "\rb"):
        printed("stdout", text)
        printed("stderr", f"{text}!")
    assert kept.shown(10)
    printed("stdout", "c")
    assert not kept.shown(outputs.OUTPUT_BYTES)
    assert kept.shown(10)
    assert not kept.shown(10)
    printed("stdout", "d")
    printed("stdout", "e")
    assert kept.settle() == "[… 2 outputs left out …]"
    assert [(node.name, node.text) for node in nodes] == [
        ("stdout", "b"),
        ("stderr", "b!"),
        ("stdout", "c"),
        ("stdout", "de"),
    ]

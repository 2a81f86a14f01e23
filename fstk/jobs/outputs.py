"""The outputs of one cell as its notebook keeps them: what is printed as a terminal shows it, and no more than a person
can open."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

TEXT_LETTERS = 1_000_000
"""Of a longer text the first and the last half of so many letters are kept."""
OUTPUT_BYTES = 20_000_000
"""What the displays of one cell may have together."""
OUTPUTS = 500
"""How many displays one cell may have."""
_LINE_LETTERS = 100_000  # of a longer line the beginning can no longer be overwritten
_MOVES = re.compile(r"([\r\b])")


class Terminal:
    """What stands on a terminal after all that was written: ``\\r`` and ``\\b`` go back, and what follows overwrites.

    >>> screen = Terminal()
    >>> for text in ("read\\n 10 %", "\\r 20 %", "\\rdone\\n"):
    ...     screen.write(text)
    >>> screen.text
    'read\\ndone%\\n'
    """

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_room = self._tail_room = TEXT_LETTERS // 2
        self._left_out = 0
        self._line = ""
        self._column = 0

    def write(self, text: str) -> None:
        """Take what was written next."""
        if len(text) > 3 * TEXT_LETTERS:  # the middle will not be kept
            self._left_out += len(text) - 2 * TEXT_LETTERS
            self.write(text[:TEXT_LETTERS])
            text = text[-TEXT_LETTERS:]
        *lines, last = text.split("\n")
        for line in lines:
            self._type(line)
            self._keep(f"{self._line}\n")
            self._line, self._column = "", 0
        self._type(last)

    @property
    def text(self) -> str:
        left_out = [f"\n[… {self._left_out:,} letters left out …]\n"] if self._left_out else []
        return "".join([*self._head, *left_out, *self._tail, self._line])

    def _type(self, text: str) -> None:
        for part in _MOVES.split(text):
            if part == "\r":
                self._column = 0
            elif part == "\b":
                self._column = max(0, self._column - 1)
            elif part:
                rest = self._line[self._column + len(part) :]
                # colours take letters but no room: what they overwrite cannot be counted
                rest = "" if "\x1b" in part or "\x1b" in rest else rest
                self._line = f"{self._line[: self._column]}{part}{rest}"
                self._column += len(part)
        if len(self._line) > _LINE_LETTERS:
            self._keep(self._line)
            self._line, self._column = "", 0

    def _keep(self, text: str) -> None:
        if self._head_room > 0:
            self._head.append(text[: self._head_room])
            self._head_room -= len(self._head[-1])
            text = text[len(self._head[-1]) :]
        for start in range(0, len(text), _LINE_LETTERS):
            self._tail.append(text[start : start + _LINE_LETTERS])
            self._tail_room -= len(self._tail[-1])
        while self._tail_room < 0:
            first = len(self._tail.popleft())
            self._left_out += first
            self._tail_room += first


class Outputs:
    """What the notebook keeps of the cell that is being executed, decided as its outputs arrive."""

    def __init__(self) -> None:
        self._screens: dict[str, tuple[Any, Terminal]] = {}
        self._room, self._count, self._left_out = OUTPUT_BYTES, 0, 0

    def merged(self, name: str, text: str) -> bool:
        """Add to what the stream ``name`` has printed since the last display; False where that is nothing."""
        if name not in self._screens:
            return False
        self._screens[name][1].write(text)
        return True

    def opened(self, output: Any) -> None:
        """Take the output of a stream, which later text of the stream belongs to."""
        screen = Terminal()
        screen.write(output.text)
        self._screens[output.name] = (output, screen)

    def shown(self, size: int) -> bool:
        """Whether there is room for a display of ``size`` bytes; what is printed next stands below it."""
        if self._count >= OUTPUTS or self._room < size:
            self._left_out += 1
            return False
        self.settle()
        self._room -= size + sum(len(output.text) for output, _ in self._screens.values())
        self._count += 1
        self._screens.clear()
        return True

    def settle(self) -> str:
        """Give the outputs of streams the text that stands there by now; return what to say of displays left out."""
        for output, screen in self._screens.values():
            output.text = screen.text
        return f"[… {self._left_out:,} outputs left out …]" if self._left_out else ""

"""What a verb does, as plain Python: ready for a cell of a job, and the same thing."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Self

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Number, Operator, String, _TokenType

from fstk.display import Displayed, Sheet, line_of
from fstk.engines.clocks import Clock

_UNCUT = 1_000_000  # columns: what is to be pasted must be whole
_WIDTH = 100  # letters of a line
_STEP = "    "
_PART = re.compile(r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)""")
_TEXT = re.compile(r"""(?P<before> *(?:\w+=)?)(?P<quote>["'])(?P<text>.*)(?P=quote)(?P<after>,?)""")
_COLOURS = {  # of the editor's theme; where there is none, code has the colour of the text around it
    Comment: "comment",
    Keyword: "keyword",
    Number: "number",
    Operator.Word: "keyword",
    String: "string",
}
_at_spaces = partial(
    textwrap.wrap,
    drop_whitespace=False,
    replace_whitespace=False,
    expand_tabs=False,
    break_long_words=False,
    break_on_hyphens=False,
)
_WRAPPED = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"


@dataclass(frozen=True, repr=False)
class Code(Displayed):
    """Python source, shown as it is, in the colours of the editor; in HTML one click chooses all of it."""

    text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return some source with no line of over 100 letters, save for words that are longer.

        >>> names = [f"spend_{days}d" for days in range(7, 84, 7)]
        >>> Code.of(f"rows = fe.read({literal(names)}, online=True)")
        rows = fe.read(
            [
                "spend_7d", "spend_14d", "spend_21d", "spend_28d", "spend_35d", "spend_42d", "spend_49d",
                "spend_56d", "spend_63d", "spend_70d", "spend_77d",
            ],
            online=True,
        )
        """
        return cls("\n".join(part for line in text.split("\n") for part in _folded(line)))

    def display(self) -> Sheet:
        return Sheet("", (), (), [self.text])

    def __repr__(self) -> str:
        return "\n".join(line_of(line, _UNCUT) for line in self.text.splitlines())

    def _repr_html_(self) -> str:
        return self.html("; user-select: all")

    def html(self, style: str = "") -> str:
        """Return the source as a ``<pre>`` that a keyboard reaches, with more of ``style``."""
        tokens = PythonLexer(stripnl=False, ensurenl=False).get_tokens(repr(self))
        colours = groupby(tokens, lambda token: _colour(token[0]))
        inside = "".join(_coloured(name, "".join(text for _, text in same)) for name, same in colours)
        return f'<pre tabindex="0" style="{_WRAPPED}{style}">{inside}</pre>'


def _colour(kind: _TokenType) -> str | None:
    return next((name for known, name in _COLOURS.items() if kind in known), None)


def _coloured(name: str | None, text: str) -> str:
    shown = html.escape(text)
    return shown if name is None else f'<span style="color: var(--jp-mirror-editor-{name}-color)">{shown}</span>'


def _folded(line: str) -> Iterator[str]:
    """Yield a line, over several where it is too wide: what its widest brackets hold, arguments or items, one a line,
    and a long text at its spaces."""
    if len(line) <= _WIDTH:
        yield line
        return
    indent = line[: len(line) - len(line.lstrip())]
    marks = _widest_brackets(line)
    text = _TEXT.fullmatch(line)
    if marks:
        yield from _folded(line[: marks[0] + 1])
        items = [line[start + 1 : end].strip() for start, end in pairwise(marks)]
        for part in _packed([f"{item}," for item in items if item], _WIDTH - len(indent + _STEP)):
            yield from _folded(indent + _STEP + part)
        yield from _folded(indent + line[marks[-1] :])
    elif text is not None:
        before, quote, inside, after = text.groups()
        first, *rest = _at_spaces(inside, _WIDTH - len(before + _STEP) - 3)
        quoted = [f"{before}{quote}{first}{quote}", *(f"{indent}{_STEP}{quote}{part}{quote}" for part in rest)]
        yield "\n".join(quoted) + after
    else:
        yield line


def _packed(items: list[str], width: int) -> list[str]:
    """Return texts as many on a line as fit, and anything else an item a line."""
    if not all(_TEXT.fullmatch(item) for item in items):
        return items
    lines = [""]
    for item in items:
        if lines[-1] and len(f"{lines[-1]} {item}") > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {item}".strip()
    return lines


def _widest_brackets(line: str) -> list[int]:
    """Return where the widest outermost brackets of a line open, where the commas between their items are, and where
    they close; nothing where there are none."""
    depth, marks, widest = 0, [], []
    for part in _PART.finditer(line):
        place = part.start()
        if part.lastgroup == "open":
            marks = [place] if depth == 0 else marks
            depth += 1
        elif part.lastgroup == "comma" and depth == 1:
            marks.append(place)
        elif part.lastgroup == "close" and depth > 0:
            depth -= 1
            if depth == 0 and place - marks[0] > max(1, widest[-1] - widest[0] if widest else 0):
                widest = [*marks, place]
    return widest


def call(function: str, arguments: Sequence[tuple[str, str]]) -> str:
    """Return a call with one keyword argument a line; each value is source text."""
    lines = [f"    {name}={value}," for name, value in arguments]
    return "\n".join([f"{function}(", *lines, ")"])


def listed(items: Sequence[str]) -> str:
    """Return a list with one item a line, indented for an argument of :func:`call`."""
    return "\n".join(["[", *(f"        {item}," for item in items), "    ]"])


def clock_arguments(clock: Clock | None) -> list[tuple[str, str]]:
    """Return the arguments that say what times without a zone mean."""
    if clock is None:
        return []
    unclear = [("unclear_times", literal(clock.unclear))] if clock.unclear != "refuse" else []
    return [("timestamp_zone", literal(clock.zone)), *unclear]


def datetime_import(values: Sequence[Any]) -> list[str]:
    """Return the lines that :func:`literal` of ``values`` needs before it: an import and an empty line, or none."""
    kinds = {type(value).__name__ for value in values if isinstance(value, date | timedelta)}
    if not kinds:
        return []
    return [f"from datetime import {', '.join(sorted(kinds | ({'UTC'} if 'datetime' in kinds else set())))}", ""]


def literal(value: Any) -> str:
    """Return a value as source text, as ``from datetime import UTC, date, datetime, timedelta`` makes it read; text
    stands in double quotes, as everywhere in this project."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
        parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
        while len(parts) > 3 and parts[-1] == 0:
            parts.pop()
        return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
    if isinstance(value, date):
        return f"date({value.year}, {value.month}, {value.day})"
    if isinstance(value, timedelta):
        if value.seconds == value.microseconds == 0:
            return f"timedelta(days={value.days})"
        micros = value // timedelta(microseconds=1)
        seconds, rest = divmod(micros, 1_000_000)
        return f"timedelta(microseconds={micros})" if rest else f"timedelta(seconds={seconds})"
    return repr(value)

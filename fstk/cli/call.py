"""Where a verb is called from."""

from __future__ import annotations

import keyword
import os
import re
import sys
from dataclasses import dataclass
from typing import Annotated, Any

from typer import Context, Option

from fstk.errors import InvalidInput

_LEAK = re.compile("^\N{WARNING SIGN} LEAK", re.MULTILINE)
_CURE = re.compile(r"^ +Cure:", re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """In a notebook: the namespace of its cells and the text below a cell magic; in a terminal: neither."""

    namespace: dict[str, Any] | None = None
    cell: str | None = None

    @property
    def in_notebook(self) -> bool:
        """Whether what the verb returns will be shown by a notebook."""
        return self.namespace is not None

    @property
    def text(self) -> str:
        """What stands below the cell magic, or on a terminal's standard input."""
        if self.cell is None and not self.in_notebook and not sys.stdin.isatty():
            return sys.stdin.read()
        return self.cell or ""

    def bind(self, name: str, value: Any) -> None:
        """Make ``value`` the notebook's variable ``name``; raises InvalidInput."""
        if self.namespace is None:
            raise InvalidInput(f"-o {name}: a terminal has no variables; -o is for a notebook.")
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInput(f"-o {name}: that is no name of a variable.")
        self.namespace[name] = value


@dataclass(frozen=True)
class Opened:
    """A widget that a notebook is to show: its name in ``fstk.notebook``, and what its controls begin with."""

    widget: str
    given: dict[str, Any]


def _let_words_be_missing(context: Context, asked: bool) -> bool:
    # the controls will ask for them; an eager option is read before the words that are required
    context.resilient_parsing = context.resilient_parsing or asked
    return asked


AsWidget = Annotated[
    bool,
    Option(
        "--widget",
        is_eager=True,
        callback=_let_words_be_missing,
        help="Choose with controls, in a notebook; words given are what they begin with.",
    ),
]
"""The option ``--widget`` of a verb."""


def opened(context: Context, widget: str, **given: Any) -> Opened:
    """Return the widget that ``--widget`` asks for; raises InvalidInput in a terminal, and for a word too many."""
    if not call_of(context).in_notebook:
        raise InvalidInput("--widget: a terminal has no widgets; --widget is for a notebook.")
    if context.args:
        raise InvalidInput(f"--widget: {' '.join(context.args)} is a word too many.")
    return Opened(widget, given)


def say(shown: object) -> None:
    """Print what a verb shows; on a terminal what must be seen, a leak and its cure, is in colour."""
    text = str(shown)
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        text = _LEAK.sub("\x1b[1;31m\\g<0>\x1b[0m", text)
        text = _CURE.sub("\x1b[32m\\g<0>\x1b[0m", text)
    print(text, flush=True)


def call_of(context: Context) -> Call:
    """Return how the verb of ``context`` was called."""
    return context.obj

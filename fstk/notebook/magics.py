"""``%fstk VERB …`` and ``%%fstk VERB …``: words of the line and text below, handed to the grammar of the command.

Nothing is decided here. IPython's own expansion of ``{x}`` and ``$x`` is off; ``{{name}}`` inserts a variable.
"""

from __future__ import annotations

import importlib
import threading
from contextlib import nullcontext
from typing import cast

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from fstk.errors import InvalidInput
from fstk.jobs.kernel import refuse_usage
from fstk.notebook.bar import Bar, looked_at
from fstk.notebook.completion import matcher
from fstk.notebook.words import insert, split
from fstk.progress import on_screen

# These take longer to import than `%load_ext fstk` should.
_GRAMMAR = "fstk.cli.app"
_CALL = "fstk.cli.call"
_CANDIDATES = "fstk.notebook.candidates"
_LOOKS = "fstk.verbs.why"  # with what a first preview needs, too
_EMPTY = "%%fstk is a cell magic, but the cell body is empty"  # as IPython says it


@magics_class
class FstkMagics(Magics):
    """The magic ``fstk``, of a line and of a cell."""

    @no_var_expand
    @line_cell_magic
    def fstk(self, line: str, cell: str | None = None) -> None:
        """A feature store at home in Jupyter: ``%fstk -h`` lists the verbs, ``%fstk VERB -h`` explains one."""
        namespace = cast(InteractiveShell, self.shell).user_ns
        argv, cell = split(line, cell)
        argv = [insert(word, namespace) for word in argv]
        cell = None if cell is None else insert(cell, namespace)
        bar = Bar()
        try:
            with on_screen(bar) if looked_at() else nullcontext():
                shown = importlib.import_module(_GRAMMAR).run_command(argv, namespace, cell)
        except BaseException:
            bar.wipe()
            raise
        if isinstance(shown, importlib.import_module(_CALL).Opened):
            given = {name: value for name, value in shown.given.items() if value is not None}
            shown = getattr(importlib.import_module("fstk.notebook"), shown.widget)(**given)
        if shown is not None:
            bar.show(shown)  # and not returned: a verb in the middle of a cell shows what it did, too
        else:
            bar.wipe()


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magic and its completion; ``%load_ext fstk`` calls this. Nothing changes for other magics.

    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> shell = InteractiveShell()
    >>> load_ipython_extension(shell)
    >>> shell.run_line_magic("fstk", "tables")
      table       version  rows  keys                features
      shop.spend        0     3  customer_id, as_of         1
    """
    shell.register_magics(FstkMagics)
    if matcher not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(matcher)
        refuse_usage(shell, _nothing_below)
    threading.Thread(target=_fetch, name="fstk-grammar").start()


def _fetch() -> None:
    """Import meanwhile what the first completion and the first look at a table would wait for."""
    for module in (_CANDIDATES, _LOOKS):
        importlib.import_module(module)


def _nothing_below(shell: InteractiveShell, message: str) -> InvalidInput | None:
    """Return our error for what IPython only prints, before the magic is asked: a runner would take it for success."""
    if not message.startswith(_EMPTY):
        return None
    return InvalidInput("%%fstk has nothing below it.   A verb that takes no lines: %fstk VERB   Help: %fstk -h")

"""``%fstk VERB …`` and ``%%fstk VERB …``: words of the line and text below, handed to the grammar of the command.

Nothing is decided here. IPython's own expansion of ``{x}`` and ``$x`` is off; ``{{name}}`` inserts a variable.
"""

from __future__ import annotations

import importlib
import re
import threading
from types import TracebackType
from typing import cast

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.notebook.bar import Bar
from fstk.notebook.completion import matcher
from fstk.notebook.words import insert, split

# These take longer to import than `%load_ext fstk` should.
_GRAMMAR = "fstk.cli.app"
_CALL = "fstk.cli.call"
_CANDIDATES = "fstk.notebook.candidates"
_NO_SUCH_MAGIC = re.compile(r"(?:Line|Cell) magic (?:function )?`%+(\w+)` not found")
_NOTHING_BELOW = re.compile(r"%%fstk is a cell magic, but the cell body is empty")


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
        shown = importlib.import_module(_GRAMMAR).run_command(argv, namespace, cell, bar)
        if isinstance(shown, importlib.import_module(_CALL).Opened):
            given = {name: value for name, value in shown.given.items() if value is not None}
            shown = getattr(importlib.import_module("fstk.notebook"), shown.widget)(**given)
        if shown is not None:
            bar.show(shown)  # and not returned: a verb in the middle of a cell shows what it did, too


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magic and its completion; ``%load_ext fstk`` calls this.

    From then on a magic that does not exist is an error output. IPython only prints it, which a runner of notebooks may
    take for success.
    """
    shell.register_magics(FstkMagics)
    if matcher not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(matcher)
        _refuse_unknown_magics(shell)
    threading.Thread(target=importlib.import_module, args=(_CANDIDATES,), name="fstk-grammar").start()


def _refuse_unknown_magics(shell: InteractiveShell) -> None:
    caught, others = shell.custom_exceptions, shell.CustomTB

    def handler(
        shell: InteractiveShell,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> list[str] | None:
        if not isinstance(error, UsageError):
            return others(kind, error, trace, tb_offset)
        refusal = _refusal(str(error), shell)
        if refusal is not None:
            refusal.__cause__ = error
            kind, error = type(refusal), refusal
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return None

    shell.set_custom_exc((*caught, UsageError), handler)


def _refusal(message: str, shell: InteractiveShell) -> InvalidInput | None:
    missing = _NO_SUCH_MAGIC.match(message)
    if missing is not None:
        magics = shell.magics_manager.lsmagic()
        known = {*magics["line"], *magics["cell"]}
        return UnknownName(f"no magic %{missing[1]}.{nearest(missing[1], known)}   See them all: %lsmagic")
    if _NOTHING_BELOW.match(message):
        return InvalidInput("%%fstk has nothing below it.   A verb that takes no lines: %fstk VERB   Help: %fstk -h")
    return None

"""Completion of lines and cells of ``%fstk``: what the grammar, the tables and the notebook's frames have to offer.

Spark is never started, and nothing is computed.
"""

from __future__ import annotations

import importlib
import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.getipython import get_ipython

_MAGIC = re.compile(r"\s*(?:\w+\s*=\s*)?%?fstk\s(?P<line>.*)", re.DOTALL)
_CELL_MAGIC = re.compile(r"\s*%%fstk\s(?P<line>.*)", re.DOTALL)
_CANDIDATES = "fstk.notebook.candidates"  # needs the grammar, which `%load_ext fstk` must not wait for


@context_matcher()
def matcher(context: CompletionContext) -> SimpleMatcherResult:
    """Return what may stand at the cursor of a line or cell of the magic; nothing anywhere else."""
    lines = [*context.full_text.split("\n")[: context.cursor_line], context.text_until_cursor]
    shell = get_ipython()
    namespace = {} if shell is None else shell.user_ns
    head = next((number for number, line in enumerate(lines) if line.strip()), 0)
    magic = _CELL_MAGIC.match(lines[head])
    if magic is None:
        magic = _MAGIC.match(lines[-1])
        if magic is None:
            return {"completions": []}
        found, fragment, paths = importlib.import_module(_CANDIDATES).of_line(magic["line"], namespace)
    else:
        above = head
        while above < len(lines) - 1 and lines[above].rstrip().endswith("\\"):
            above += 1
        *continued, last = [magic["line"], *lines[head + 1 : above + 1]]
        options = " ".join([*(line.rstrip().removesuffix("\\") for line in continued), last])
        candidates = importlib.import_module(_CANDIDATES)
        if above == len(lines) - 1:
            found, fragment, paths = candidates.of_line(options, namespace)
        else:
            (found, fragment), paths = candidates.of_statement(options, lines[-1], namespace), False
    fitting = [text for text in found if text.startswith(fragment)]
    if not fitting and not paths:
        # Python's own candidates mean nothing here and take seconds; only what completes to itself keeps them away.
        fitting = [fragment]
    return {
        "completions": [SimpleCompletion(text, type="fstk") for text in fitting],
        "matched_fragment": fragment,
        "suppress": True,
        "ordered": True,
    }

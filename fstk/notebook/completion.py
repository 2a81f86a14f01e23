"""Completion of a line of ``%fstk``: verbs, options and what the grammar says a word may be; Spark is never started."""

from __future__ import annotations

from IPython.core.completer import CompletionContext, SimpleMatcherResult, context_matcher


@context_matcher()
def matcher(context: CompletionContext) -> SimpleMatcherResult:
    """Return what may stand at the cursor of a line or cell of the magic; nothing anywhere else."""
    return {"completions": [], "suppress": False}

"""``fstk demo``: the churn journey on real purchases."""

from __future__ import annotations

from fstk.display import Displayed


def demo() -> Displayed:
    """Load 69,659 real purchases, run the job churn over them, and show what came of it."""
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.demo import churn

    return churn.run()

"""``fstk doctor``: what fstk needs, and what mends it."""

from __future__ import annotations

from fstk.display import Displayed


def doctor() -> Displayed:
    """Check what fstk needs, and say how to mend it."""
    # the grammar must be there at once: what a verb needs is loaded by the verb
    from fstk.verbs.doctor import diagnose

    return diagnose()

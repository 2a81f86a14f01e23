"""How many cases a property is tried on: all of them in ``make test``, a tenth in ``make check`` and on mutants."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None)
settings.register_profile("mutants", deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
settings.load_profile("full")


def examples(count: int) -> int:
    """Return ``count``, or a tenth of it, at least 10, under the profiles ``quick`` and ``mutants``."""
    return count if settings.get_current_profile_name() == "full" else min(count, max(10, count // 10))

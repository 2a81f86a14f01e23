"""Who may read a feature table: what its own property ``fstk.grants`` says."""

from __future__ import annotations

from collections.abc import Iterable

from fstk.tables.spec import FeatureTable


def may_select(table: FeatureTable, principal: str, groups: Iterable[str]) -> bool:
    """Tell whether ``principal``, a member of ``groups``, may read ``table``: anyone where it has no grants, else only
    those that are named."""
    return table.select_grants is None or not {principal, *groups}.isdisjoint(table.select_grants)

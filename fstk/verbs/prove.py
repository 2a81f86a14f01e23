"""What ``fstk prove`` asks for: a notebook or a table, the labels that ask about features, and how many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fstk.proof.prove import prove as proven
from fstk.proof.report import Proof
from fstk.verbs.names import frame_or_name


def prove(
    namespace: Mapping[str, Any] | None,
    what: str,
    labels: str | None,
    label: str | None,
    at: str | None,
    sample: int,
    parameters: Mapping[str, str],
    tell: Callable[[str], None],
) -> Proof:
    """Return the proof of a notebook's or a table's features; raises as :func:`fstk.prove`."""
    found = None if labels is None else frame_or_name(labels, namespace or {})
    return proven(what, found, at=at, label=label, sample=sample, parameters=parameters, tell=tell)

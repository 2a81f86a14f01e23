"""What ``fstk prove`` asks for: a notebook, the labels that ask about its features, and how many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fstk import settings
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.errors import InvalidInput, UnknownColumn, nearest
from fstk.proof.prove import Labels, Proof, prove_notebook
from fstk.tables.configured import local_table
from fstk.verbs.names import frame_or_name


def prove(
    namespace: Mapping[str, Any] | None,
    notebook: str,
    labels: str | None,
    label: str | None,
    at: str | None,
    sample: int,
    parameters: list[str],
    tell: Callable[[str], None],
) -> Proof:
    """Return the proof of a notebook's features; raises InvalidInput and its kinds, JobFailed."""
    if not notebook.endswith(".ipynb"):
        raise InvalidInput(
            f"prove takes a notebook that makes features, as in notebooks/10_build_features.ipynb; got {notebook!r}."
        )
    asked = None
    if labels is not None:
        asked = _labels(namespace or {}, labels, label, at)
    elif label is not None or at is not None:
        raise InvalidInput("--label and --at are columns of --labels; name these, too.")
    return prove_notebook(notebook, settings.load().warehouse, parameters, asked, sample, tell)


def _labels(namespace: Mapping[str, Any], name: str, label: str | None, at: str | None) -> Labels:
    if at is None:
        raise InvalidInput("--at must name the labels' time column.")
    found = frame_or_name(name, namespace)
    if isinstance(found, str):
        table = local_table(found) or TableVersion(found, None)
        rows = engine_for(tables={table: None}).read(table)
    else:
        engine = engine_for(found)
        rows = engine.arrow(engine.frame(found, "labels"))
    for column in (at, label):
        if column is not None and column not in rows.column_names:
            raise UnknownColumn(f"{name} has no column {column}.{nearest(column, rows.column_names)}")
    return Labels(rows, at, label, found if isinstance(found, str) else None)

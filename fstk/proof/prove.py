"""Whether features know the future, asked in Python: ``fstk.prove``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fstk import settings
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.errors import InvalidInput, UnknownColumn, nearest
from fstk.proof.notebook import prove_notebook
from fstk.proof.report import Labels, Proof
from fstk.proof.table import prove_table
from fstk.tables.configured import local_table, open_catalog


def prove(
    what: str,
    labels: Any = None,
    *,
    at: str | None = None,
    label: str | None = None,
    sample: int = 500,
    as_known: bool = False,
    parameters: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = print,
) -> Proof:
    """Return the proof that features do not know the future, or the leaks that were found.

    Source rows after two instants are deleted, altered or negated, and the features made again: what labels up to then
    see must not change, and something that later labels see must. The real warehouse is only read.

    Args:
        what: a feature table, whose windowed features are computed again in memory by their recorded definitions; or
            the path of a notebook (``.ipynb``), which runs in scratch warehouses.
        labels: a frame or a table's name: who is asked about. Default: the features' own rows, at their own times.
        at: the labels' time column. label: their column to be predicted, which may know the future.
        sample: of a table how many entities are looked at, and how many labels at most at each instant.
        as_known: take what was committed to a source after an instant for its future, too, whatever its times say.
        parameters: of the notebook, as texts. tell: is called with a line for each step.

    Raises:
        UnknownTable, UnknownColumn: no such table or column. InvalidInput: nothing that could be made again, nothing to
        rewrite, or a past that changes nothing. JobFailed: the notebook fails.

    >>> days = pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-09"], utc=True)
    >>> source = fe.create_source(
    ...     name="shop.buys", df=pd.DataFrame({"id": [1] * 4, "at": days, "amount": [1.0, 2.0, 3.0, 4.0]}),
    ...     event_time="at", entity="id")
    >>> features = WindowedFeatures("shop.buys", "id", "at", [Aggregate("sum(amount)", name="spend")], ["7d"])
    >>> table = fe.create_table(
    ...     name="shop.weekly", primary_keys="id", timeseries_column="at",
    ...     df=features.compute("events").select("id", "at", "spend_7d"))
    >>> prove("shop.weekly", tell=lambda line: None)
    proof of shop.weekly v0
    PROVED  nothing changed
    ...
    """
    table = None if what.endswith(".ipynb") else open_catalog().get(what)
    if table is not None and parameters:
        raise InvalidInput(f"-p {next(iter(parameters))} is a parameter of a notebook, and {what} is a table.")
    asked = None
    if labels is not None:
        asked = _labels(labels, at, label)
    elif label is not None or at is not None:
        raise InvalidInput("--label and --at are columns of --labels; name these, too.")
    if table is not None:
        return prove_table(table, asked, sample, as_known, tell)
    return prove_notebook(what, settings.load().warehouse, parameters or {}, asked, sample, as_known, tell)


def _labels(labels: Any, at: str | None, label: str | None) -> Labels:
    if at is None:
        raise InvalidInput("--at must name the labels' time column.")
    if isinstance(labels, str):
        table = local_table(labels) or TableVersion(labels, None)
        rows = engine_for(tables={table: None}).read(table)
    else:
        engine = engine_for(labels)
        rows = engine.arrow(engine.frame(labels, "labels"))
    for column in (at, label):
        if column is not None and column not in rows.column_names:
            named = labels if isinstance(labels, str) else "the labels"
            raise UnknownColumn(f"{named}: no column {column}.{nearest(column, rows.column_names)}")
    return Labels(rows, at, label, labels if isinstance(labels, str) else None)

"""What ``fstk lint`` looks at: tables, files, training sets, and the cells that a notebook has run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fstk import settings
from fstk.errors import InvalidInput, UnknownName, UnknownTable, nearest
from fstk.lint.report import Finding, LintReport
from fstk.lint.sources import lint_cell, lint_cells, lint_sql
from fstk.lint.training import lint_table
from fstk.lint.windows import lint_windows
from fstk.previews.join import lint_join
from fstk.previews.loaded import LoadedJoin, rows_among
from fstk.tables.configured import open_catalog
from fstk.tables.provenance import event_sources
from fstk.tables.source import find_source
from fstk.tables.spec import FeatureTable
from fstk.training.training_set import TrainingSet
from fstk.verbs.pit import sample_labels


def lint(namespace: Mapping[str, Any] | None, names: list[str]) -> LintReport:
    """Return what lint finds in ``names``, or, without any, in all that is at hand; ``namespace`` is that of a
    notebook's cells, None in a terminal. Raises UnknownName; InvalidInput: a file that cannot be read."""
    if not names:
        tables, faults = open_catalog().survey()
        found = [finding for table in tables for finding in _table(table)]
        if namespace is not None:
            return LintReport.of([*found, *_history(namespace)], faults)
        notebooks = sorted((settings.root() / "notebooks").glob("*.ipynb"))
        return LintReport.of([*found, *(finding for path in notebooks for finding in _file(path))], faults)
    reports = [_named(name, namespace or {}) for name in names]
    found = [finding for report in reports for finding in report.findings]
    return LintReport.of(found, [reason for report in reports for reason in report.unread])


def _named(name: str, namespace: Mapping[str, Any]) -> LintReport:
    value = namespace.get(name)
    if isinstance(value, TrainingSet):
        sources = event_sources(open_catalog().get(join.table) for join in value.plan.joins)
        labels, _ = sample_labels(value.labels, list(value.plan.label_columns), every=False)
        return lint_join(LoadedJoin.read(value.plan, labels, sources))
    if Path(name).suffix in (".ipynb", ".sql", ".py"):
        return LintReport.of(_file(Path(name)))
    try:
        if find_source(name) is not None:
            return LintReport.of([])  # events are what they are; what is made of them is looked at
        return LintReport.of(_table(open_catalog().get(name)))
    except UnknownTable as error:
        sets = [known for known, one in namespace.items() if isinstance(one, TrainingSet)]
        known = [*sets, *open_catalog().names()]
        raise UnknownName(f"no feature table, training set or file {name}.{nearest(name, known)}") from error


def _table(table: FeatureTable) -> Iterable[Finding]:
    time = table.timeseries_column
    if time is None:
        return lint_table(table).findings
    rows = rows_among(table.at(table.version), {}, list(table.keys))
    found = [*lint_table(table, rows).findings]
    source = event_sources([table]).get(table.name)
    if source is not None and source.closed != "left":
        keys, at = table.primary_keys, source.time
        events = rows_among(source.events, {}, [*keys, at])
        found += lint_windows(
            table.name, table.features, source.closed, rows, keys, time, events, keys, at, called="row"
        )
    return found


def _file(path: Path) -> list[Finding]:
    try:
        text = path.read_text(encoding="utf-8")
        cells = json.loads(text)["cells"] if path.suffix == ".ipynb" else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} cannot be read as a notebook or text: {error}.") from error
    if path.suffix == ".sql":
        return lint_sql(text, path.name)
    if path.suffix == ".py":
        return lint_cell(text, path.name)
    return lint_cells(
        ("".join(cell.get("source", "")), f"{path.name}, cell {number}")
        for number, cell in enumerate(cells, 1)
        if cell.get("cell_type") == "code"
    )


def _history(namespace: Mapping[str, Any]) -> list[Finding]:
    shell = namespace["get_ipython"]()
    cells = enumerate(shell.history_manager.input_hist_raw)
    return lint_cells((source, f"In[{number}]") for number, source in cells)

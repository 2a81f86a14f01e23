"""What ``fstk lint`` looks at: tables, files, training sets, and the cells that a notebook has run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fstk import settings
from fstk.errors import InvalidInput, UnknownName, UnknownTable, nearest
from fstk.lint.acceptance import Acceptance, in_code, in_tags, settled
from fstk.lint.report import Finding, LintReport
from fstk.lint.sources import lint_cells, lint_sql
from fstk.lint.times import Moments, later_stamps, recorded, without_time
from fstk.lint.training import OF_TABLE, lint_events, lint_table
from fstk.previews.join import lint_join
from fstk.previews.loaded import LoadedJoin, rows_among, source_of_totals
from fstk.tables.configured import open_catalog
from fstk.tables.provenance import event_sources
from fstk.tables.source import find_source
from fstk.tables.spec import FeatureTable
from fstk.training.training_set import TrainingSet
from fstk.verbs.pit import sample_labels

_SAMPLE = 500  # entities whose totals are compared with those of sources


class _Looked(NamedTuple):
    """What was found in one table, file or training set, what a person accepts there, and what was not looked at."""

    findings: Iterable[Finding]
    accepted: Iterable[Acceptance]
    unread: Iterable[str] = ()


def lint(namespace: Mapping[str, Any] | None, names: list[str]) -> LintReport:
    """Return what lint finds in ``names``, or, without any, in all that is at hand; ``namespace`` is that of a
    notebook's cells, None in a terminal. Raises UnknownName; InvalidInput: a file that cannot be read."""
    if not names:
        tables, faults = open_catalog().survey()
        notebooks = [] if namespace is not None else sorted((settings.root() / "notebooks").glob("*.ipynb"))
        looked = [*map(_table, tables), *map(_file, notebooks)]
        return _report(looked if namespace is None else [*looked, _history(namespace)], faults)
    return _report([_named(name, namespace or {}) for name in names])


def _report(looked: Iterable[_Looked], unread: Iterable[object] = ()) -> LintReport:
    looked = list(looked)
    return settled(
        [finding for one in looked for finding in one.findings],
        [accepted for one in looked for accepted in one.accepted],
        [*unread, *(reason for one in looked for reason in one.unread)],
    )


def _named(name: str, namespace: Mapping[str, Any]) -> _Looked:
    value = namespace.get(name)
    if isinstance(value, TrainingSet):
        tables = [open_catalog().get(join.table) for join in value.plan.joins]
        labels, _ = sample_labels(value.labels, list(value.plan.label_columns), every=False)
        report = lint_join(LoadedJoin.read(value.plan, labels, tables, as_known=value.as_known))
        accepted = [one for table in tables for one in in_tags(table.tags, table.name)]
        return _Looked(report.findings, accepted, report.unread)
    if Path(name).suffix in (".ipynb", ".sql", ".py"):
        return _file(Path(name))
    try:
        if find_source(name) is not None:
            return _Looked([], [])  # events are what they are; what is made of them is looked at
        return _table(open_catalog().get(name))
    except UnknownTable as error:
        sets = [known for known, one in namespace.items() if isinstance(one, TrainingSet)]
        known = [*sets, *open_catalog().names()]
        raise UnknownName(f"no feature table, training set or file {name}.{nearest(name, known)}") from error


def _table(table: FeatureTable) -> _Looked:
    return _Looked(_of_table(table), in_tags(table.tags, table.name, OF_TABLE))


def _of_table(table: FeatureTable) -> Iterable[Finding]:
    time = table.timeseries_column
    source = event_sources([table]).get(table.name)
    if time is None:
        found = [*lint_table(table).findings]
        made = source is not None or source_of_totals(table, partial(_some, table))
        return [*found, *without_time(table.name)] if made else found
    rows = rows_among(table.at(table.version), {}, [*table.keys, *recorded(table.schema, table.keys)])
    found = [*lint_table(table, rows).findings]
    if source is not None:
        named = [*table.primary_keys, source.time]
        stamps = later_stamps(source.schema, named, source.expressions)
        if source.closed != "left" or stamps:
            events = rows_among(source.events, {}, [*named, *stamps])
            asked, happened = Moments(rows, table.primary_keys, time), Moments(events, table.primary_keys, source.time)
            found += lint_events(table.name, table.features, source, asked, happened, called="row")
    return found


def _some(table: FeatureTable) -> pa.Table:
    rows = rows_among(table.at(table.version), {})
    places = np.linspace(0, max(0, rows.num_rows - 1), min(rows.num_rows, _SAMPLE)).astype(int)
    return rows.take(pa.array(places))


def _file(path: Path) -> _Looked:
    try:
        text = path.read_text(encoding="utf-8")
        cells = json.loads(text)["cells"] if path.suffix == ".ipynb" else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} cannot be read as a notebook or text: {error}.") from error
    if path.suffix == ".sql":
        return _Looked(lint_sql(text, path.name), in_code(text, path.name))
    if path.suffix == ".py":
        return _cells([(text, path.name)])
    return _cells(
        ("".join(cell.get("source", "")), f"{path.name}, cell {number}")
        for number, cell in enumerate(cells, 1)
        if cell.get("cell_type") == "code"
    )


def _history(namespace: Mapping[str, Any]) -> _Looked:
    shell = namespace["get_ipython"]()
    cells = enumerate(shell.history_manager.input_hist_raw)
    return _cells((source, f"In[{number}]") for number, source in cells)


def _cells(cells: Iterable[tuple[str, str]]) -> _Looked:
    cells = list(cells)
    return _Looked(lint_cells(cells), [one for source, where in cells for one in in_code(source, where)])

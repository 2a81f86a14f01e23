"""A notebook's features proven: of a source whose future is another, what labels see of them must not change."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk import settings
from fstk.columns.instants import instant as moment
from fstk.display import instant
from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.engines.start.keeper import SharedJVM, shared_jvm
from fstk.errors import InvalidInput
from fstk.jobs.record import RunRecord
from fstk.jobs.source import NotebookSource, read_notebook
from fstk.lint.code import called, calls, given, read_python
from fstk.proof.changes import changes_of
from fstk.proof.report import Labels, Proof
from fstk.proof.scratch import Scratch, environment
from fstk.proof.source import names_of_rows, time_columns
from fstk.proof.trial import Asked, Made, Trial, joins_of
from fstk.tables import local
from fstk.tables.history import cell_hash, cell_text
from fstk.tables.spec import FeatureTable
from fstk.warehouse import folder

_SHOW_NOTHING = 'get_ipython().ast_node_interactivity = "none"'
_LOOKING = re.compile(  # magics that write nothing, with the lines on which their words go on
    r"^%%?fstk +(?:drift|explain|history|lint|pit|prove|show|tables|why)\b(?:\\\n|.)*", re.MULTILINE
)
_KEPT = re.compile(r"\s(?:-o|--output|--html)")  # of these a name, or a file, is left to later cells


def prove_notebook(
    notebook: str,
    real: Path,
    parameters: Mapping[str, str],
    labels: Labels | None,
    sample: int,
    as_known: bool,
    tell: Callable[[str], None],
) -> Proof:
    """Prove the features that ``notebook`` writes of the tables in the warehouse ``real``, which is only read.

    The notebook runs in scratch warehouses: once as it is, once for each of two instants with another future after it,
    and with another past where no label of these runs saw any of it. Without ``labels`` each row of its time-series
    tables is asked about at its own time. ``as_known`` takes what was committed after an instant for its future, too.

    Raises InvalidInput: nothing to rewrite, nothing written, or a past that changes nothing; JobFailed: the notebook
    fails in a scratch warehouse.
    """
    asking = read_notebook(Path(notebook))
    with tempfile.TemporaryDirectory(prefix="fstk-proof-") as place:
        tell(f"running {asking.path.name} as it is, in a scratch warehouse …")
        with shared_jvm(environment(Path(place)), settings.root()) as jvm:
            runs = _Runs(asking, parameters, Path(place), jvm)
            first = runs.as_it_is(real)
            made, sources = first.made, first.sources(as_known)
            asked = _asked(labels, made, _labels_in(asking))
            keys = {key for table in made.values() for key in table.primary_keys}
            entities = {name: _entity(keys, rows, real, name) for name, rows in sources.items()}
            fixed = {name: [*entities[name], *names_of_rows(rows)] for name, rows in sources.items()}
            trial = Trial(asked, sources, entities, fixed, sample)
            others = iter([*(f"future after {instant(moment(cut))}" for cut in trial.cuts), "past"])

            def make(rows: Made) -> Made:
                tell(f"and of {', '.join(rows)} with another {next(others)} …")
                return runs.of(rows, first)

            title = f"proof of {asking.path.name} · {', '.join(made)}"
            notes = [
                f"not looked at: {name}, which has no time (--labels asks for it)"
                for name in made
                if not _joined(asked, name)
            ]
            notes += [f"{one.label} is a label, and may know the future" for one in asked if one.label]
            return trial.proof(title, first.rows(made), make, notes)


@dataclass(frozen=True)
class _Run:
    """What a run of the notebook has left: the tables that it ``made``, the names of those that it ``read``, and its
    ``cells`` up to the last that wrote."""

    scratch: Scratch
    made: Mapping[str, FeatureTable]
    read: frozenset[str]
    cells: Sequence[Mapping[str, Any]]

    def rows(self, names: Iterable[str]) -> dict[str, pa.Table]:
        return {name: _read(self.scratch.warehouse, name) for name in names}

    def sources(self, as_known: bool) -> dict[str, pa.Table]:
        """Return the changes, or where they are not kept the rows, of what it read that has a time; ``as_known`` with
        when they were committed."""
        read = {}
        for name in sorted(self.read):
            changes = changes_of(TableVersion(name, str(folder(self.scratch.warehouse, name))), as_known)
            read[name] = _read(self.scratch.warehouse, name) if changes is None else changes
        return {name: rows for name, rows in read.items() if time_columns(rows)}


class _Runs:
    """Runs of a notebook below ``place``, one after the other, each in a scratch warehouse of its own."""

    def __init__(self, notebook: NotebookSource, parameters: Mapping[str, str], place: Path, jvm: SharedJVM) -> None:
        self._notebook, self._parameters, self._place, self._jvm = notebook, parameters, place, jvm
        self._number = 0

    def as_it_is(self, real: Path) -> _Run:
        """Run of what the warehouse ``real`` holds but for what the notebook itself makes, so that no row of an earlier
        run stays.

        Raises InvalidInput: no feature table is made."""
        names = set(local.names_in(real))
        own = {name for name in names if self._wrote(local.read(name, folder(real, name)))}
        while True:
            scratch = self._scratch()
            scratch.copy(names - own, real)
            record = self._run(scratch, self._notebook.content["cells"])
            written = {_full(entry.table) for entry in record.accesses if entry.action == "written"}
            if not written & (names - own):
                break
            own |= written
        made = {name: table for name in sorted(written) if (table := local.read(name, folder(scratch.warehouse, name)))}
        if not made:
            raise InvalidInput(f"{self._notebook.path.name} writes no feature table, so there is nothing to prove.")
        read = {_full(entry.table) for entry in record.accesses if entry.action == "read"}
        last = max(table.versions[0].timestamp for table in made.values())
        cells = self._notebook.content["cells"][: _begun(Path(record.executed), last)]
        return _Run(scratch, made, frozenset(read & names - own), cells)

    def of(self, sources: Made, first: _Run) -> Made:
        """Run of other ``sources``, and of all else that the ``first`` run read, as far as anything is written; return
        what is made."""
        scratch = self._scratch()
        scratch.copy(first.read - set(sources), first.scratch.warehouse)
        scratch.fill(sources, first.scratch.warehouse)
        self._run(scratch, first.cells)
        return {name: _read(scratch.warehouse, name) for name in first.made}

    def _run(self, scratch: Scratch, cells: Sequence[Mapping[str, Any]]) -> RunRecord:
        notebook = scratch.place / self._notebook.path.name
        quiet = [{**cell, "source": without_looks(cell["source"])} if _is_code(cell) else cell for cell in cells]
        cells = [{"cell_type": "code", "metadata": {}, "source": _SHOW_NOTHING}, *quiet]
        scratch.place.mkdir(exist_ok=True)
        notebook.write_text(json.dumps({**self._notebook.content, "cells": cells}), encoding="utf-8")
        return scratch.run(notebook, self._parameters, self._jvm)

    def _scratch(self) -> Scratch:
        self._number += 1
        return Scratch(self._place / f"run{self._number}")

    def _wrote(self, table: FeatureTable | None) -> bool:
        """Tell whether a version of a feature table says that this notebook wrote it; where it does not, that is seen
        when it does."""
        if table is None:
            return False
        cells = {cell_hash(cell_text(cell["source"])) for cell in self._notebook.content["cells"]}
        task = f"/{self._notebook.path.stem} "
        return any(version.cell in cells or task in f"{version.task} " for version in table.versions)


def _begun(executed: Path, at: datetime) -> int:
    """Return how many cells of a notebook had begun at an instant, as it stands executed with those that were added."""
    cells = read_notebook(executed).content["cells"]
    own = [
        cell["metadata"].get("papermill", {}).get("start_time")
        for cell in cells
        if cell["source"] != _SHOW_NOTHING and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    return max(number for number, start in enumerate(own, 1) if start and datetime.fromisoformat(start) <= at)


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code"


def without_looks(text: str) -> str:
    """Return a cell's text without the magics that only show something, for nobody looks; a join that gives later cells
    a name is no more than told as Python, which reads no row."""
    if not text.startswith("%%"):
        return _LOOKING.sub(lambda look: look[0] if _KEPT.search(look[0]) else "", text)
    look = _LOOKING.match(text)
    if look is None:
        return text
    return text.replace("fstk pit", "fstk pit --code", 1) if _KEPT.search(look[0]) else ""


def _labels_in(notebook: NotebookSource) -> list[str]:
    """Return what the notebook says is the label of a training set."""
    trees = [read_python(cell["source"]) for cell in notebook.content["cells"] if _is_code(cell)]
    made = [call for tree in trees if tree for call in calls(tree) if called(call) == "create_training_set"]
    labels = [label.value for call in made if isinstance(label := given(call, "label"), ast.Constant)]
    return [label for label in labels if isinstance(label, str)]


def _asked(labels: Labels | None, made: Mapping[str, FeatureTable], known: Sequence[str]) -> list[Asked]:
    """Return who is asked about: the ``labels``, or the rows of each table that has a time, whose columns that are
    ``known`` as labels may know the future."""
    if labels is None:
        timed = {name: table for name, table in made.items() if table.timeseries_column is not None}
        asked = []
        for name, table in timed.items():
            time = str(table.timeseries_column)
            rows = DirectEngine().read(table.at(table.version))
            label = next((column for column in known if column in table.features), None)
            asked.append(Asked(rows, time, label, joins_of(rows, time, {name: table})))
    else:
        fitting = {name: one for name, one in made.items() if set(one.primary_keys) <= set(labels.rows.column_names)}
        joins = joins_of(labels.rows, labels.time, fitting)
        asked = [Asked(labels.rows, labels.time, labels.label, joins)] if joins else []
    if not asked:
        hint = (
            "its tables have no time: ask with --labels"
            if labels is None
            else "no key of its tables is among the labels' columns"
        )
        raise InvalidInput(f"nothing of what {', '.join(made)} hold can be asked about: {hint}.")
    return asked


def _joined(asked: list[Asked], name: str) -> bool:
    return any(join.table == name for one in asked for join in one.joins)


def _entity(keys: set[str], rows: pa.Table, real: Path, name: str) -> dict[str, str]:
    """Return the columns that name a row's entity, by the keys that they are."""
    table = local.read(name, folder(real, name))
    own = set() if table is None else set(table.primary_keys)
    return {column: column for column in rows.column_names if column in keys | own}


def _full(name: str) -> str:
    """Return a table's name as its folder gives it."""
    return name if "." in name else f"default.{name}"


def _read(warehouse: Path, name: str) -> pa.Table:
    table = TableVersion(name, str(folder(warehouse, name)))
    engine = engine_for(tables={table: None})
    return engine.arrow(engine.read(table))

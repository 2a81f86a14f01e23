"""A notebook's features proven: of a source whose future is another, what labels see of them must not change."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from fstk.engines.base import TableVersion
from fstk.engines.choice import engine_for
from fstk.engines.direct import DirectEngine
from fstk.errors import InvalidInput
from fstk.proof.report import Labels, Proof
from fstk.proof.scratch import Scratch
from fstk.proof.source import Rewritten, names_of_rows, time_columns
from fstk.proof.trial import Asked, Trial, joins_of
from fstk.tables import local
from fstk.tables.spec import FeatureTable
from fstk.warehouse import folder

_AT_ONCE = 2  # runs, each with a JVM


def prove_notebook(
    notebook: str,
    real: Path,
    parameters: Mapping[str, str],
    labels: Labels | None,
    sample: int,
    tell: Callable[[str], None],
) -> Proof:
    """Prove the features that ``notebook`` writes of the tables in the warehouse ``real``, which is only read.

    The notebook runs in scratch warehouses: once as it is, once for each of two instants with another future after it,
    once with another past. Without ``labels`` each row of its time-series tables is asked about at its own time.

    Raises InvalidInput: nothing to rewrite, nothing written, or a past that changes nothing; JobFailed: the notebook
    fails in a scratch warehouse.
    """
    names = local.names_in(real)
    every = {name: _read(real, name) for name in names}
    with tempfile.TemporaryDirectory(prefix="fstk-proof-") as place:
        tell(f"running {Path(notebook).name} as it is, in a scratch warehouse …")
        made, sources, first = _baseline(notebook, parameters, every, real, Path(place), labels and labels.table)
        asked = _asked(labels, made)
        keys = {key for table in made.values() for key in table.primary_keys}
        entities = {name: _entity(keys, rows, real, name) for name, rows in sources.items()}
        fixed = {name: [*entities[name], *names_of_rows(rows)] for name, rows in sources.items()}
        trial = Trial(asked, sources, entities, fixed, sample)
        tell(f"and of {', '.join(sources)} with another future after {trial.instants} …")

        def run(number: int, rewritten: Mapping[str, Rewritten]) -> dict[str, pa.Table]:
            scratch = Scratch(Path(place) / f"run{number}")
            scratch.fill({name: one.rows for name, one in rewritten.items()}, real)
            scratch.run(notebook, parameters)
            return {name: _read(scratch.warehouse, name) for name in made}

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            results = list(pool.map(run, itertools.count(1), trial.rewritings))
    title = f"proof of {Path(notebook).name} · {', '.join(made)}"
    notes = [
        f"not looked at: {name}, which has no time (--labels asks for it)" for name in made if not _joined(asked, name)
    ]
    return trial.proof(title, first, results, notes)


def _baseline(
    notebook: str,
    parameters: Mapping[str, str],
    every: dict[str, pa.Table],
    real: Path,
    place: Path,
    labels: str | None,
) -> tuple[dict[str, FeatureTable], dict[str, pa.Table], dict[str, pa.Table]]:
    """Return the tables that the notebook makes, its sources, and the rows of the former; what it makes is not there
    when it begins, so that no row of an earlier run stays."""
    own: set[str] = set()
    for attempt in ("as-it-is", "anew"):
        scratch = Scratch(place / attempt)
        sources = {name: rows for name, rows in every.items() if name not in own}
        scratch.fill(sources, real)
        record = scratch.run(notebook, parameters)
        written = {_full(entry.table) for entry in record.accesses if entry.action == "written"}
        if not written & set(sources):
            break
        own = written
    made = {name: table for name in sorted(written) if (table := local.read(name, folder(scratch.warehouse, name)))}
    if not made:
        raise InvalidInput(f"{Path(notebook).name} writes no feature table, so there is nothing to prove.")
    read = {_full(entry.table) for entry in record.accesses if entry.action == "read"}
    asking = {_full(labels)} - read if labels else set()
    timed = {name: rows for name, rows in sources.items() if time_columns(rows) and name not in asking}
    return made, timed, {name: _read(scratch.warehouse, name) for name in made}


def _asked(labels: Labels | None, made: Mapping[str, FeatureTable]) -> list[Asked]:
    if labels is None:
        timed = {name: table for name, table in made.items() if table.timeseries_column is not None}
        rows = {name: DirectEngine().read(table.at(table.version)) for name, table in timed.items()}
        asked = [
            Asked(
                rows[name],
                str(table.timeseries_column),
                None,
                joins_of(rows[name], str(table.timeseries_column), {name: table}),
            )
            for name, table in timed.items()
        ]
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

"""``job = fstk.job()``: a notebook's typed parameters, the same in Jupyter, ``fstk run`` and Databricks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, SupportsFloat

import msgspec
import numpy as np

from fstk import journal
from fstk.display import Displayed, Sheet
from fstk.errors import GateRefused, InvalidInput, nearest, shown
from fstk.jobs.finish import plain
from fstk.jobs.messages import Closing, Start, receive
from fstk.jobs.parameters import Declaration, from_annotations, is_declaration, parse, portable
from fstk.jobs.record import count, version
from fstk.jobs.scrubber import Scrubber
from fstk.models.mlflow_calls import log_metrics
from fstk.secret import Secret

_WRITES = frozenset({"written", "published", "model"})


@dataclass(frozen=True, repr=False)
class Closed(Displayed):
    """What :meth:`Job.done` says; ``changed`` None is not known, ``entries`` are what was read and written."""

    name: str
    summary: str
    changed: bool | None
    rows: Mapping[str, Any]
    metrics: Mapping[str, float]
    entries: tuple[journal.Entry, ...]

    def display(self) -> Sheet:
        rows = [(entry.action, entry.table, entry.version, entry.rows) for entry in self.entries]
        title = f"{self.name} · done · {self.summary}" if self.summary else f"{self.name} · done"
        notes = ["nothing to do"] if self.changed is False else []
        return Sheet(title, ("action", "table", "version", "rows") if rows else (), rows, notes)


class Job(Displayed):
    """The running job: each declared parameter is an attribute, typed; :meth:`done` closes the run's record."""

    def __init__(self, name: str, declaration: Declaration, values: Mapping[str, Any], run: Start | None) -> None:
        self._name = name
        self.parameters = MappingProxyType(dict(values))
        self._declaration = declaration
        self._run = run
        self._first_entry = len(journal.entries())
        self._scrubber = Scrubber(value for value in values.values() if isinstance(value, Secret)) if run else None

    def __getattr__(self, name: str) -> Any:
        parameters = self.__dict__.get("parameters", {})
        if name in parameters:
            return parameters[name]
        raise AttributeError(f"the job has no parameter {name}.{nearest(name, parameters)}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("parameters", {}):
            raise AttributeError(f"{name} is a parameter of the job: it is given, not set.")
        super().__setattr__(name, value)

    def gate(self, condition: bool, message: str) -> None:
        """Go on where ``condition`` holds; else end the job as refused: ``fstk run`` ends with 3, and the record keeps
        the message.

        Args:
            condition: True or False, of Python or NumPy.
            message: why the job does not go on, as a sentence.

        Raises:
            GateRefused: the condition does not hold.
            InvalidInput: it is neither true nor false, as a comparison with a null is.

        >>> this = job({})
        >>> this.gate(0.81 > 0.7, "AUC 0.81 is not above 0.7")
        >>> this.gate(0.61 > 0.7, "AUC 0.61 is not above 0.7")
        Traceback (most recent call last):
        fstk.errors.GateRefused: AUC 0.61 is not above 0.7
        """
        told: Any = condition.item() if isinstance(condition, np.generic | np.ndarray) else condition
        if not isinstance(told, bool):
            raise InvalidInput(f"a gate's condition must be true or false; got {shown(condition)}.")
        if not told:
            raise GateRefused(message)

    def done(
        self,
        summary: str = "",
        *,
        changed: bool | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        mlflow: bool = False,
        **rows: Any,
    ) -> Closed:
        """Close the run: call it in the last cell. Only then can ``fstk run`` believe that the notebook succeeded.

        Args:
            summary: what the progress line says; by default the tables written and ``rows``.
            changed: False when nothing was to do; by default taken from what this process wrote, where it wrote
                anything.
            metrics: what the job is judged by, name → number, beside them; ``fstk runs`` lists the newest.
            mlflow: send ``metrics`` to MLflow, too: to the active run, else to one of their own, called as the job.
            rows: counts for the record, as ``rows=1204, features=12``; dicts and lists are kept, too.

        Raises:
            InvalidInput: a metric that is no number, or ``mlflow`` without metrics.
            Infrastructure: MLflow does not answer; the run is not closed.

        >>> job({}).done(rows=1204, metrics={"auc": 0.79123})
        notebook · done · 1,204 rows · auc 0.7912
        """
        measured = {name: _measured(name, value) for name, value in (metrics or {}).items()}
        if mlflow:
            if not measured:
                raise InvalidInput("mlflow=True sends metrics; give some: job.done(metrics={…}, mlflow=True).")
            log_metrics(measured, self._name)
        entries = journal.entries()[self._first_entry :]
        writes = [entry for entry in entries if entry.action in _WRITES]
        if changed is None and writes:
            changed = any(entry.rows != 0 for entry in writes)
        figures = msgspec.to_builtins(rows, str_keys=True, enc_hook=plain)
        said = summary or _summary(writes, {**figures, **measured})
        closed = Closed(self._name, said, changed, figures, measured, entries)
        folder = journal.run_folder()
        if self._run and self._scrubber and folder:
            clean = self._scrubber.clean
            Closing(self._run.token, clean(closed.summary), changed, clean(figures), measured).send(folder)
        return closed

    def display(self) -> Sheet:
        shown = portable(self.parameters)
        rows = [(p.name, p.type.source, shown[p.name], p.help) for p in self._declaration.parameters]
        kept = "recorded by fstk run" if self._run else "not recorded; fstk run keeps a record"
        return Sheet(f"job {self._name} · {kept}", ("parameter", "type", "value", "meaning") if rows else (), rows)


def job(namespace: Mapping[str, Any] | None = None) -> Job:
    """Return the job of this notebook; call it as ``fstk.job()`` in the cell after the one tagged ``parameters``.

    Under ``fstk run`` the values are those that were validated before the kernel started; on Databricks, where the
    notebook has ``dbutils``, they are widgets made from the declaration; elsewhere the notebook's own.

    >>> this = job({"__annotations__": {"as_of": "date", "limit": "int | None"}, "as_of": "1998-03-31", "limit": None})
    >>> this.as_of
    datetime.date(1998, 3, 31)
    >>> this.day
    Traceback (most recent call last):
    AttributeError: the job has no parameter day. There is: as_of, limit.

    Args:
        namespace: parameters by name; the cells' text (``In``) declares their types. None is what ``globals()`` is
            where it is called: in a cell, the notebook's names.

    Raises:
        BadParameter: a value is missing or not of the declared type.
        InvalidInput: the declaration cannot be read.
    """
    if namespace is None:
        namespace = sys._getframe(1).f_globals
    folder = journal.run_folder()
    run = receive(folder, Start) if folder else None
    name = run.task if run else _notebook_name(namespace)
    declaration = parse(run.declaration, name) if run else _declaration(namespace, name)
    if run:
        given: Mapping[str, Any] = run.values
    elif "dbutils" in namespace:
        given = _widgets(namespace["dbutils"], declaration)
    else:
        given = {parameter: namespace[parameter] for parameter in declaration.names if parameter in namespace}
    return Job(name, declaration, declaration.read(given), run)


def _declaration(namespace: Mapping[str, Any], where: str) -> Declaration:
    history = namespace.get("In")
    if not history:
        return from_annotations(namespace.get("__annotations__", {}), namespace, where)
    # the newest cell of declarations before the one being executed; papermill's injected cell has no annotations
    source = next((cell for cell in reversed(history[:-1]) if is_declaration(cell)), "")
    return parse(source, where)


def _notebook_name(namespace: Mapping[str, Any]) -> str:
    path = namespace.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or "notebook"
    return Path(path).stem


def _widgets(dbutils: Any, declaration: Declaration) -> dict[str, str]:
    for parameter in declaration.parameters:
        default = portable({"default": parameter.default})["default"]
        text = "" if parameter.required or default is None else str(default)
        label = parameter.help or parameter.name
        if parameter.type.options:
            choices = [str(option) for option in parameter.type.options]
            dbutils.widgets.dropdown(parameter.name, text if text in choices else choices[0], choices, label)
        else:
            dbutils.widgets.text(parameter.name, text, label)
    values = {parameter.name: dbutils.widgets.get(parameter.name) for parameter in declaration.parameters}
    # an empty widget stands for a value that was not given
    return {p.name: values[p.name] for p in declaration.parameters if values[p.name] or not p.required}


def _measured(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidInput(f"metric {name} must be a number; got {shown(value)}.")
    return float(value)


def _summary(writes: list[journal.Entry], figures: Mapping[str, Any]) -> str:
    names = dict.fromkeys(f"{entry.table.rpartition('.')[2]}{version(entry.version)}" for entry in writes)
    parts = list(names)
    if not figures and len(writes) == 1:
        parts[0] += count(writes[0].rows)
    for name, value in figures.items():
        if isinstance(value, dict | list | tuple):  # for the record, not for a line
            continue
        word = name.replace("_", " ")
        parts.append(f"{value:,} {word}" if type(value) is int else f"{word} {_short(value)}")
    return " · ".join(parts)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)

"""``WindowBuilder``: windowed features chosen with controls, their plan and rows shown at every change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fstk.engines.types import field_name
from fstk.errors import InvalidInput
from fstk.notebook.candidates import LENGTHS
from fstk.notebook.widgets.columns import key, schema, times, with_types, without_times
from fstk.notebook.widgets.conditions import ConditionControls
from fstk.notebook.widgets.panel import Panel, button, choice, line, lines, observe, offer, several, variables
from fstk.tables.configured import local_names
from fstk.verbs.names import frames_in
from fstk.verbs.windows import WindowsRequest, parse
from fstk.windows.aggregates import AGGREGATES, AggregateFunction
from fstk.windows.spec import Closed

_EXAMPLE = "sum(amount) as total_spend"


class WindowBuilder(Panel):
    """Choose a source, its entity and time, aggregates and windows; see the feature table that they would make.

    Nothing is written before Write is pressed, which writes what the plan says. All arguments are what the controls
    begin with, in the words of ``%fstk windows``; ``namespace`` are the notebook's variables, by default those of its
    cells.
    """

    def __init__(
        self,
        table: str | None = None,
        *,
        source: str | None = None,
        entity: str | Sequence[str] | None = None,
        time: str | None = None,
        aggregates: str | None = None,
        windows: str | None = None,
        closed: Closed = "left",
        calendar: str | None = None,
        namespace: dict[str, Any] | None = None,
    ) -> None:
        self._namespace = variables(namespace)
        sources = [*frames_in(self._namespace), *local_names()]
        entity = entity.split(",") if isinstance(entity, str) else list(entity or ())
        self._types: dict[str, str] = {}
        self._condition = ConditionControls("every event")
        asked = {
            "source": choice("Source", sources, source),
            "table": line("Table", table or "feature_store.new_features", "feature_store.customer_features"),
            "entity": several("Entity", entity, entity),
            "time": choice("Time", [time] if time else []),
            "aggregates": lines("Aggregates", (aggregates or "count(*) as event_count").strip(), _EXAMPLE),
            "windows": line("Windows", windows or "7d,30d", "7d,30d,lifetime"),
            "closed": choice("Closed", ["left", "right", "both"], closed),
            "calendar": line("Calendar", calendar or "", "START,END,EVERY"),
        }
        controls = {
            **asked,
            "function": choice("Function", _functions()),
            "argument": choice("Of", []),
            **self._condition.controls,
            "name": line("Called", "", "a name is made"),
            "add": button("Add aggregate", "Write what is chosen here as a line of Aggregates"),
            "lengths": several("Lengths", LENGTHS),
            "write": button("Write", "Merge the planned features into the table; make it if it is not there"),
        }
        rows = [["source", "table"], ["entity", "lengths"], ["time", "windows", "closed", "calendar"]]
        rows += [["function", "argument", "name"], ["column", "operator", "value", "add"], ["aggregates"], ["write"]]
        self._planned: WindowsRequest | None = None
        super().__init__(controls, rows, "Windowed features")
        self._take_windows()
        observe([controls["source"]], lambda: self.take(self._offer_columns))
        observe([controls["function"]], self._offer_arguments)
        observe([controls["lengths"]], self._give_windows)
        observe([controls["windows"]], self._take_windows)
        observe([asked[name] for name in asked if name != "source"], self.refresh)
        controls["add"].on_click(lambda button: self._add())
        controls["write"].on_click(lambda button: self.if_free(self._write))
        self._asked = asked
        self.take(self._offer_columns)

    def _offer_columns(self) -> None:
        """Offer the columns of the source, and choose the likely ones unless the ones chosen are among them."""
        self._plan(None)
        source = self.controls["source"].value
        if source is None:
            return
        self._types = columns = schema(source, self._namespace)
        entity, time = self.controls["entity"], self.controls["time"]
        chosen = tuple(one for one in entity.value if one in columns) or tuple(filter(None, [key(columns)]))
        at = time.value
        moments = times(columns)
        with self.choosing():
            entity.options = with_types(without_times(columns))
            entity.value = tuple(one for one in chosen if one not in moments)
            offer(time, with_types(moments), at)
            self._condition.offer(columns)
        self._offer_arguments()

    def _offer_arguments(self) -> None:
        """Offer the columns that the chosen function takes."""
        function, whole = self.controls["function"].value
        fits = {} if whole else {name: kind for name, kind in self._types.items() if _takes(function, kind)}
        offer(self.controls["argument"], [("every event", "")] if whole else with_types(fits))

    def _give_windows(self) -> None:
        """Write the chosen lengths as windows, beside those that were written by hand."""
        written = [one for one in _parts(self.controls["windows"].value) if one not in LENGTHS]
        if not self._choosing:
            self.controls["windows"].value = ",".join([*self.controls["lengths"].value, *written])

    def _take_windows(self) -> None:
        written = _parts(self.controls["windows"].value)
        with self.choosing():
            self.controls["lengths"].value = tuple(one for one in LENGTHS if one in written)

    def _add(self) -> None:
        """Write the chosen aggregate below the others."""
        written: list[str] = []
        self.work(lambda: written.append(self._chosen_aggregate()))
        if written:
            aggregates = self.controls["aggregates"]
            aggregates.value = "\n".join(filter(None, [aggregates.value.rstrip(), *written]))

    def _chosen_aggregate(self) -> str:
        function, whole = self.controls["function"].value
        argument = self.controls["argument"].value
        if not argument and not whole:
            raise InvalidInput(f"{function.name}: the source has no column of {function.takes[1]}.")
        of = "*" if whole else field_name(argument)
        where = self._condition.text()
        written = function.written(of)
        written += f" filter (where {where})" if where is not None else ""
        return f"{written} as {self.controls['name'].value.strip() or _name(written)}"

    def _preview(self) -> None:
        self._plan(None)
        chosen = {name: control.value for name, control in self._asked.items()}
        missing = [name for name in ("source", "entity", "time", "aggregates", "windows", "table") if not chosen[name]]
        if missing:
            wanted = f"Choose {' and '.join(missing)}."
            self.ask(wanted if self.controls["source"].options else "There is no table yet.")
            return
        request = parse(
            self._namespace,
            chosen["aggregates"],
            chosen["table"].strip(),
            chosen["source"],
            ",".join(chosen["entity"]),
            chosen["time"],
            chosen["windows"],
            chosen["closed"],
            chosen["calendar"].strip() or None,
            None,
        )
        seen = request.preview()
        self.show(replace(seen, closing="write it: Write · plain Python: Code", below_controls=True))
        self.tell(request.code().text)
        self._plan(None if seen.table.refusal else request)

    def _plan(self, request: WindowsRequest | None) -> None:
        """Let Write write this request and no other."""
        self._planned = request
        self.controls["write"].disabled = request is None

    def _write(self) -> None:
        if self._planned is not None:
            self.show(self._planned.write())


def _functions() -> list[tuple[str, tuple[AggregateFunction, bool]]]:
    """Return the aggregate functions as a control offers them, and whether each is of ``*``, every event."""
    starred = [(one.written("*"), (one, True)) for one in AGGREGATES if one.star]
    return [*starred, *((one.written("…"), (one, False)) for one in AGGREGATES)]


def _takes(function: AggregateFunction, kind: str) -> bool:
    return not function.valued or function.accepts(kind)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _name(written: str) -> str:
    """Return a name for what is written: ``sum_amount_where_quantity_5`` for its words."""
    return "_".join(re.findall(r"\w+", written.replace("(*)", "_events").replace("filter (", ""))).lower()

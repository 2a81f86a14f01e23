"""``WindowBuilder``: windowed features chosen with controls, their plan and rows shown at every change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fstk.notebook.widgets.columns import key, schema, times
from fstk.notebook.widgets.panel import Panel, button, choice, line, lines, observe, several, variables
from fstk.tables.configured import local_names
from fstk.verbs.names import frames_in
from fstk.verbs.windows import WindowsRequest, parse
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
        controls = {
            "source": choice("Source", sources, source),
            "entity": several("Entity", entity, entity),
            "time": choice("Time", [time] if time else []),
            "aggregates": lines("Aggregates", (aggregates or "count(*) as event_count").strip(), _EXAMPLE),
            "windows": line("Windows", windows or "7d,30d", "7d,30d,lifetime"),
            "closed": choice("Closed", ["left", "right", "both"], closed),
            "calendar": line("Calendar", calendar or "", "START,END,EVERY"),
            "table": line("Table", table or "feature_store.new_features", "feature_store.customer_features"),
        }
        rows = [["source", "table"], ["entity", "time"], ["aggregates"], ["windows", "closed", "calendar"], ["write"]]
        chosen = list(controls.values())
        controls["write"] = button("Write", "Merge the planned features into the table; make it if it is not there")
        self._planned: WindowsRequest | None = None
        super().__init__(controls, rows, "Windowed features")
        observe([controls["source"]], lambda: self.take(self._offer_columns))
        observe([control for control in chosen if control is not controls["source"]], self.refresh)
        controls["write"].on_click(lambda button: self.if_free(self._write))
        self.take(self._offer_columns)

    def _offer_columns(self) -> None:
        """Offer the columns of the source, and choose the likely ones unless the ones chosen are among them."""
        self._plan(None)
        source = self.controls["source"].value
        if source is None:
            return
        columns = schema(source, self._namespace)
        entity, time = self.controls["entity"], self.controls["time"]
        chosen = tuple(one for one in entity.value if one in columns) or tuple(filter(None, [key(columns)]))
        at = time.value
        moments = times(columns)
        with self.choosing():
            entity.options = [name for name in columns if name not in moments]
            entity.value = tuple(one for one in chosen if one in entity.options)
            time.options = moments
            time.value = at if at in moments else (moments[0] if moments else None)

    def _preview(self) -> None:
        self._plan(None)
        chosen = {name: control.value for name, control in self.controls.items() if name != "write"}
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
        self.show(replace(seen, closing="write it: Write · plain Python: Code"))
        self.tell(request.code().text)
        self._plan(None if seen.table.refusal else request)

    def _plan(self, request: WindowsRequest | None) -> None:
        """Let Write write this request and no other."""
        self._planned = request
        self.controls["write"].disabled = request is None

    def _write(self) -> None:
        if self._planned is not None:
            self.show(self._planned.write())

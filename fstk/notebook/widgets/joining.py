"""``JoinPreview``: what each label would see of feature tables, label by label."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import ipywidgets
import pyarrow.compute as pc

from fstk.display import Sheet, instant
from fstk.engines.types import field_name
from fstk.errors import InvalidInput
from fstk.notebook.widgets.columns import schema, times, with_types, without_times
from fstk.notebook.widgets.panel import (
    NARROW,
    Panel,
    as_in_cells,
    button,
    choice,
    line,
    lines,
    observe,
    offer,
    several,
    variables,
)
from fstk.previews.join import TrainingSetPreview
from fstk.previews.loaded import LoadedJoin
from fstk.previews.pictures import draw
from fstk.tables.configured import local_names, open_catalog
from fstk.tables.spec import FeatureTable
from fstk.training.explain import STATUSES, label_schema
from fstk.training.summary import short_names
from fstk.verbs.explain import LabelExplanation, lines_of
from fstk.verbs.names import frames_in
from fstk.verbs.pit import PitRequest, parse

_NONE = "(none)"
_LOOKBACKS = ("1d", "7d", "30d", "90d", "365d")
_EXAMPLE = "feature_store.customer_features (spend_30d) on customer_id within 30d"


class JoinPreview(Panel):
    """Choose labels, their time and lookups; see what the join comes to, and step through single labels.

    Once a status of a lookup is chosen, only labels that come to it are stepped through. Of many labels a sample is
    looked at. All arguments are what the controls begin with, in the words of ``%fstk pit``; ``namespace`` are the
    notebook's variables, by default those of its cells.
    """

    def __init__(
        self,
        labels: str | None = None,
        *,
        label: str | None = None,
        at: str | None = None,
        lookups: str | None = None,
        as_known: bool = False,
        namespace: dict[str, Any] | None = None,
    ) -> None:
        self._namespace = variables(namespace)
        controls = {
            "labels": choice("Labels", [*frames_in(self._namespace), *local_names()], labels),
            "label": choice("To predict", [_NONE, *([label] if label else [])], label),
            "at": choice("Time", [_NONE, *([at] if at else [])], at),
            "table": choice("Table", []),
            "features": several("Features", []),
            "within": ipywidgets.Combobox(
                description="Look-back", options=_LOOKBACKS, placeholder="of any age", continuous_update=False
            ),
            "add": button("Add lookup", "Write what is chosen here as a line of Lookups, in place of the table's own"),
            "remove": button("Remove lookup", "Take the table's line out of Lookups"),
            "lookups": lines("Lookups", (lookups or "").strip(), _EXAMPLE),
            "as_known": ipywidgets.Checkbox(value=as_known, description="as known at the label's time", indent=False),
            "status": choice("Status", [("any", "")]),
            "number": ipywidgets.BoundedIntText(description="Label no.", value=1, min=1, max=1, layout=NARROW),
            "previous": button("Previous", "The label before this one"),
            "next": button("Next", "The label after this one"),
            "prove": button("Prove", "Rewrite the future, make the features again, and compare"),
            "variable": line("Variable", "training_set", "training_set"),
            "make": button("Make", "Make the training set, and give it to this variable of the notebook"),
            "progress": ipywidgets.IntProgress(value=0, min=0, max=1, description="Runs"),
        }
        rows = [
            ["labels", "at", "label", "as_known"],
            ["table", "features"],
            ["within", "add", "remove"],
            ["lookups"],
        ]
        rows += [["status", "number", "previous", "next"], ["variable", "make", "prove", "progress"]]
        self._tables: dict[str, FeatureTable] = {}
        super().__init__(controls, rows, "Point-in-time join")
        self.one = ipywidgets.HTML()
        as_in_cells(self.one)
        self.box.children = [*self.box.children[:-1], self.one, self.result]
        controls["progress"].layout.display = "none"
        self._joined: LoadedJoin | None = None
        self._asked: tuple[PitRequest, TrainingSetPreview] | None = None
        self._rows: list[int] = []
        observe([controls["labels"]], lambda: self.take(self._offer_columns))
        observe([controls[name] for name in ("label", "at", "lookups", "as_known")], self.refresh)
        observe([controls["status"]], lambda: self.if_free(self._filter))
        observe([controls["number"]], lambda: self.if_free(self._draw))
        controls["previous"].on_click(lambda button: self._step(-1))
        controls["next"].on_click(lambda button: self._step(1))
        observe([controls["table"]], self._offer_features)
        controls["add"].on_click(lambda button: self._add())
        controls["remove"].on_click(lambda button: self._replace([]))
        controls["make"].on_click(lambda button: self.work(self._make))
        controls["prove"].on_click(lambda button: self.work(self._prove))
        self.take(self._offer_columns)

    def _offer_columns(self) -> None:
        labels = self.controls["labels"].value
        if labels is None:
            return
        columns = schema(labels, self._namespace)
        moments = times(columns)
        label, at = self.controls["label"], self.controls["at"]
        to_predict, time = label.value, at.value
        first = next(iter(moments), _NONE)
        with self.choosing():
            offer(label, [(_NONE, _NONE), *with_types(without_times(columns))], to_predict)
            offer(at, [(_NONE, _NONE), *with_types(moments)], time if time in moments else first)
        self._tables = {one.name: one for one in open_catalog().survey()[0] if _fits(one, columns)}
        table = self.controls["table"]
        offer(table, [(_with_keys(one), name) for name, one in self._tables.items()], table.value)
        self._offer_features()

    def _offer_features(self) -> None:
        """Offer the features of the chosen table, and choose all of them."""
        table = self._tables.get(self.controls["table"].value)
        for name in ("features", "within", "add", "remove"):
            self.controls[name].disabled = table is None
        if table is not None:
            self.controls["features"].options = with_types({name: table.schema[name] for name in table.features})
            self.controls["features"].value = tuple(table.features)
            self.controls["within"].disabled = table.timeseries_column is None

    def _add(self) -> None:
        written: list[str] = []
        self.work(lambda: written.append(self._chosen_lookup()))
        if written:
            self._replace(written)

    def _chosen_lookup(self) -> str:
        table, features = self._tables[self.controls["table"].value], self.controls["features"].value
        if not features:
            raise InvalidInput(f"{table.name}: choose one or more of its features.")
        some = "" if len(features) == len(table.features) else f" ({', '.join(features)})"
        within = self.controls["within"].value.strip() if table.timeseries_column is not None else ""
        keys = ", ".join(field_name(key) for key in table.primary_keys)
        return f"{table.name}{some} on {keys}{f' within {within}' if within else ''}"

    def _replace(self, written: list[str]) -> None:
        """Write lines in place of those that look up the chosen table."""
        lookups, table = self.controls["lookups"], self.controls["table"].value
        others = [line for line in lookups.value.splitlines() if not re.match(rf"\s*{re.escape(table)}[\s(]", line)]
        lookups.value = "\n".join([*others, *written]).strip()

    def _make(self) -> None:
        """Give the notebook the training set that was previewed."""
        name = self.controls["variable"].value.strip()
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInput(f"{name!r} is no name of a variable; write one such as training_set.")
        if self._asked is None:
            self._preview()
            return
        request, _ = self._asked
        self._namespace[name] = made = request.training_set()
        self.tell(request.code().text)
        self.show(Sheet(f"{name} is made: {name}.load_df(), .to_pandas(), .to_arrow()", (), ()), made)

    def _preview(self) -> None:
        chosen = {name: self.controls[name].value for name in ("labels", "label", "at", "lookups", "as_known")}
        self._joined = self._asked = None
        self.one.value = ""
        self.controls["progress"].layout.display = "none"
        if chosen["labels"] is None or not chosen["lookups"].strip():
            self.ask(f"Add a lookup, or write one a line, as in: {_EXAMPLE}")
            return
        request = parse(
            self._namespace,
            chosen["lookups"],
            chosen["labels"],
            None if chosen["label"] == _NONE else chosen["label"],
            None if chosen["at"] == _NONE else chosen["at"],
            chosen["as_known"],
        )
        shown = request.preview(every=False, one=None, bound=None)
        self._joined = shown.joined
        shown = replace(shown, pictures=(), closing="one label at a time: above", below_controls=True)
        self._asked = request, shown
        self.show(shown)
        self.tell(request.code().text)
        self._offer_statuses()
        self._filter()

    def _prove(self) -> None:
        """Show below the join what came of proving its tables."""
        if self._asked is None:
            self._preview()
            return
        from fstk.verbs.prove import prove_join  # with runners of notebooks, which no preview needs

        progress = self.controls["progress"]
        progress.value = 0
        progress.layout.display = ""
        self.show(prove_join(*self._asked, self._advance))
        progress.value = progress.max

    def _advance(self, done: int, total: int | None) -> None:
        progress = self.controls["progress"]
        progress.max, progress.value = max(total or done, 1), done

    def _offer_statuses(self) -> None:
        """Offer the statuses that each lookup comes to, with their numbers of labels."""
        if self._joined is None:
            return
        status = self.controls["status"]
        chosen = status.value
        answers, plan = self._joined.answers, self._joined.plan
        counts = answers.group_by(["lookup", "status"]).aggregate([([], "count_all")]).to_pylist()
        known = {(one["lookup"], one["status"]): one["count_all"] for one in counts}
        tables = [plan.joins[number].table for number in plan.joined]
        short = short_names(tables)
        there = []
        for place, table in enumerate(tables):
            of = f"{short[table]}: " if len(tables) > 1 else ""
            found = [(place, name) for name in STATUSES if (place, name) in known]
            there += [(f"{of}{one[1].replace('_', ' ')} ({known[one]:,})", one) for one in found]
        with self.choosing():
            status.options = [("any", ""), *there]
            status.value = chosen if chosen in known else ""

    def _filter(self) -> None:
        """Keep the labels of the chosen status, and draw the first of them."""
        if self._joined is None:
            return
        status = self.controls["status"].value
        kept = self._joined.answers
        if status:
            kept = kept.filter((pc.field("lookup") == status[0]) & (pc.field("status") == status[1]))
        self._rows = sorted(set(kept.column("label_row").to_pylist()))
        number = self.controls["number"]
        with self.choosing():
            number.value = 1
            number.max = max(1, len(self._rows))
        self._draw()

    def _step(self, by: int) -> None:
        number = self.controls["number"]
        number.value = min(max(number.value + by, number.min), number.max)

    def _draw(self) -> None:
        """Show why one label sees what it sees, and its picture."""
        joined = self._joined
        if joined is None:
            return
        if not self._rows:
            self.one.value = "<p>There are no labels.</p>"
            return
        place = self.controls["number"].value - 1
        row, columns = self._rows[place], list(label_schema(joined.plan))
        keys = ", ".join(
            f"{name} {instant(value) if isinstance(value, datetime) else value}"
            for name, value in joined.labels.slice(row, 1).select(columns).to_pylist()[0].items()
        )
        title = f"label {place + 1:,} of {len(self._rows):,} · {keys}"
        lines = lines_of(joined.answers.filter(pc.field("label_row") == row), joined.plan)
        self.one.value = LabelExplanation(title, lines, draw(joined, row))._repr_html_()


def _fits(table: FeatureTable, columns: Mapping[str, str]) -> bool:
    """Tell whether the labels have the table's keys, under the same names and of the same types."""
    return all(columns.get(key) == table.schema[key] for key in table.primary_keys)


def _with_keys(table: FeatureTable) -> str:
    keys = ", ".join(f"{key} {table.schema[key]}" for key in table.primary_keys)
    time = table.timeseries_column
    return f"{table.name} · on {keys}" + ("" if time is None else f" · by time {time}")

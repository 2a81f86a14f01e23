"""``PublishPanel``: what publishing a table would write, then the writing of it, with its progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ipywidgets

from fstk import settings
from fstk.notebook.widgets.columns import with_types
from fstk.notebook.widgets.conditions import ConditionControls
from fstk.notebook.widgets.panel import Panel, button, choice, line, observe, several
from fstk.online.source import check_columns_of
from fstk.online.spec import beginnings, spec_of
from fstk.tables.configured import open_catalog
from fstk.tables.spec import FeatureTable
from fstk.verbs.publish import PublishRequest

_TOLD = 50  # times that a publication says how far it is


class PublishPanel(Panel):
    """Choose a feature table, a store and features; try it dry, publish, see the result.

    All arguments are what the controls begin with, in the words of ``%fstk publish``.
    """

    def __init__(
        self,
        table: str | None = None,
        *,
        to: str | None = None,
        features: Sequence[str] | None = None,
        where: str | None = None,
        prune: bool = False,
    ) -> None:
        self._table: FeatureTable | None = None
        self._condition = ConditionControls("every row")
        controls = {
            "table": choice("Table", open_catalog().names(), table),
            "kind": choice("Kind of store", beginnings()),
            "to": line("Store", to or settings.load().online_store, "sqlite:///online.db"),
            "features": several("Features", list(features or ()), list(features or ())),
            **self._condition.controls,
            "add": button("Add condition", "Write what is chosen here into Where"),
            "where": line("Where", where or "", "all rows; or a condition such as total_spend_30d > 0"),
            "prune": ipywidgets.Checkbox(value=prune, description="remove keys that are gone", indent=False),
            "dry_run": button("Dry run", "Say what would be written and removed; change nothing"),
            "publish": button("Publish", "Write the newest row of every key"),
            "progress": ipywidgets.IntProgress(value=0, min=0, max=1, description="Rows"),
        }
        rows = [["table", "kind", "to"], ["features"], ["column", "operator", "value", "add"], ["where"], ["prune"]]
        rows += [["dry_run", "publish", "progress"]]
        super().__init__(controls, rows, "Publish to an online store")
        controls["progress"].layout.display = "none"
        self._take_kind()
        observe([controls["kind"]], self._give_kind)
        observe([controls["to"]], self._take_kind)
        observe([controls["table"]], lambda: self.take(self._offer_features))
        observe([controls[name] for name in ("to", "features", "where", "prune")], self.refresh)
        controls["add"].on_click(lambda button: self._add())
        controls["dry_run"].on_click(lambda button: self.work(lambda: self._run(dry_run=True)))
        controls["publish"].on_click(lambda button: self.work(lambda: self._run(dry_run=False)))
        self.take(self._offer_features)

    def _offer_features(self) -> None:
        table = self.controls["table"].value
        if table is None:
            return
        chosen = self.controls["features"]
        self._table = found = open_catalog().get(table)
        kept = tuple(one for one in chosen.value if one in found.features)
        with self.choosing():
            chosen.options = with_types({name: found.schema[name] for name in found.features})
            chosen.value = kept or tuple(found.features)
            self._condition.offer(found.schema)

    def _take_kind(self) -> None:
        kind, to = self.controls["kind"], self.controls["to"].value
        kind.value = next((one for one in kind.options if to.startswith(one)), kind.value)

    def _give_kind(self) -> None:
        """Begin the store's address as its kind is written, the settings' store as it is."""
        kind, to = self.controls["kind"].value, self.controls["to"]
        of_settings = settings.load().online_store
        if not to.value.startswith(kind):
            to.value = of_settings if of_settings.startswith(kind) else kind

    def _add(self) -> None:
        """Write the chosen condition beside those that are written."""
        written: list[str] = []
        self.work(lambda: written.extend(filter(None, [self._condition.text()])))
        where = self.controls["where"]
        if written:
            where.value = " and ".join(filter(None, [where.value.strip(), *written]))

    def _preview(self) -> None:
        """Forget a result of other choices, and say what the new ones are in Python."""
        request = self._request()
        if request is None:
            self.ask("Choose a table and its features." if self.controls["table"].options else "There is no table yet.")
            return
        self.controls["progress"].layout.display = "none"
        self.result.value = ""
        if self._table is not None:
            check_columns_of(self._table, request.where)
        spec_of(request.to)
        self.tell(request.code().text)

    def _request(self) -> PublishRequest | None:
        table, features = self.controls["table"].value, self.controls["features"]
        if table is None or not features.value:
            return None
        some = None if len(features.value) == len(features.options) else tuple(features.value)
        where = self.controls["where"].value.strip() or None
        to = self.controls["to"].value.strip() or None
        return PublishRequest(table, to, some, where, prune=self.controls["prune"].value)

    def _run(self, *, dry_run: bool) -> None:
        request = self._request()
        if request is None:
            self._preview()
            return
        self.controls["progress"].layout.display = ""
        self.controls["progress"].value = 0
        report = replace(request, dry_run=dry_run).run(self._advance)
        self.controls["progress"].value = self.controls["progress"].max
        self.tell(request.code().text)
        self.show(report)

    def _advance(self, done: int, total: int | None) -> None:
        progress: Any = self.controls["progress"]
        progress.max = max(total or done, 1)
        # what is told travels to the browser: not once per batch of a long publication
        if done >= progress.max or done - progress.value >= progress.max // _TOLD:
            progress.value = done
        progress.description = f"{done:,}"

"""``ServingPanel``: an endpoint beside the notebook, what it counts, and a request to try."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import ipywidgets

from fstk.display import Sheet
from fstk.errors import FstkError, InvalidInput
from fstk.notebook.widgets.panel import Panel, as_in_cells, button, choice, line
from fstk.serving.messages import EXPLAIN
from fstk.serving.metrics import read_totals
from fstk.verbs.serve import Served

_EVERY = 2.0  # seconds between two looks at the counts
_PATIENCE = 15.0  # seconds
_TOKEN = "FSTK_TOKEN"
_TOKEN_FIELD, _SEND = "", " "  # among the controls of columns: no column is called so
_TEXT = ("string", "date", "timestamp", "timestamp_ntz", "binary")


class ServingPanel(Panel):
    """See what an endpoint counts, and ask it for a row: with the answer come the features that it was made of, each
    with its table, source version and age.

    The token is that of the field, else of the variable FSTK_TOKEN; neither is kept. Counting ends with the endpoint.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._address = urlsplit(served.ready.address)
        self._fields = dict(served.ready.columns)
        controls: dict[str, Any] = {name: self._field(name) for name in self._fields}
        token = ipywidgets.Password(description="Token", placeholder=f"${_TOKEN}")
        controls |= {_TOKEN_FIELD: token, _SEND: button("Send", "Ask for a prediction of this row")}
        super().__init__(controls, [[*self._fields], [_TOKEN_FIELD, _SEND]], "Try a request")
        self.info = ipywidgets.HTML(served._repr_html_())
        self.counts = ipywidgets.HTML()
        as_in_cells(self.info)
        as_in_cells(self.counts)
        self.box.children = [self.info, self.counts, *self.box.children]
        controls[_SEND].on_click(lambda button: self.work(self._send))
        self.tell("\n".join(served.lines[1:]))
        threading.Thread(target=self._count, daemon=True).start()

    def _field(self, name: str) -> Any:
        """Return what a column's value is written in; text is read by its type when it is sent, as no control of
        ipywidgets holds every whole number."""
        kind, example = self._fields[name], self._served.ready.example.get(name)
        if kind == "boolean":
            return choice(name, ["true", "false", ""])
        shown = "" if example is None else example if kind in _TEXT else json.dumps(example)
        return line(name, shown, f"{kind}; nothing is null")

    def _row(self) -> dict[str, Any]:
        """Return the row as JSON values; InvalidInput: one cannot be read."""
        row = {}
        for name, kind in self._fields.items():
            text = self.controls[name].value.strip()
            try:
                row[name] = None if not text else text if kind in _TEXT or "decimal" in kind else json.loads(text)
            except ValueError as error:
                raise InvalidInput(f"{name} must be {kind}; got {text!r}.") from error
        return row

    def _send(self) -> None:
        body = {"dataframe_records": [self._row()]}
        token = self.controls[_TOKEN_FIELD].value or os.environ.get(_TOKEN, "")
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", EXPLAIN: "true"}
        started = time.perf_counter()
        status, content = self._ask("POST", "/invocations", json.dumps(body), headers)
        took = time.perf_counter() - started
        answer = json.loads(content)
        if status != http.client.OK:
            hint = "   %fstk token new NAME makes one" if status == http.client.UNAUTHORIZED else ""
            raise FstkError(f"{status}: {answer['message']}{hint}")
        self.tell(_code(self._served.ready.address, body))
        self.show(_answered(answer, f"answered in {took * 1e3:.1f} ms"))

    def _ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        host, port = self._address.hostname, self._address.port
        connection = http.client.HTTPConnection(str(host), port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError as error:
            raise FstkError(f"{self._served.ready.address} does not answer: {error}.") from error
        finally:
            connection.close()

    def _count(self) -> None:
        """Show what the endpoint counts, again and again, beside the kernel's own work, until it is gone."""
        while True:
            try:
                _, content = self._ask("GET", "/metrics")
            except FstkError:
                self.counts.value = "<p>It does not serve any more.</p>"
                return
            self.counts.value = f'<div role="status">{_counted(content)}</div>'
            time.sleep(_EVERY)

    def _repr_mimebundle_(self, **unused: Any) -> dict[str, Any]:
        """Return the view, and in its stead, where there is no kernel, how the endpoint was asked."""
        bundle = super()._repr_mimebundle_(**unused)
        return {**bundle, "text/plain": repr(self._served), "text/html": self._served._repr_html_()}


def _counted(content: str) -> str:
    """Return requests by status, and missing and expired features, as one line of HTML."""
    totals = read_totals(content)
    answered = ", ".join(f"{count:,} × {status}" for status, count in sorted(totals.statuses.items())) or "none yet"
    return f"<p>requests: {answered} · lookups missing {totals.missing:,} · expired {totals.expired:,}</p>"


def _answered(answer: dict[str, Any], took: str) -> Sheet:
    """Return a prediction with the features that it was made of, or a feature vector with what was found for it."""
    [said] = answer["predictions"]
    if "used" in answer:
        rows = [
            (one["feature"], one["value"], one["status"], one["table"], one["source_version"], _age(one["age"]))
            for one in answer["used"][0]
        ]
        heads = ("feature", "value", "status", "table", "version", "age")
        return Sheet(f"prediction {said} · {took}", heads, rows)
    values = ", ".join(f"{name} {value}" for name, value in said.items())
    rows = [
        (one["table"], ", ".join(one["by"]), one["status"], one["source_version"], _age(one["age"]))
        for one in answer["lookups"][0]
    ]
    return Sheet(f"{values} · {took}", ("table", "by", "status", "version", "age"), rows)


def _age(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=round(seconds))


def _code(address: str, body: dict[str, Any]) -> str:
    return "\n".join(
        [
            "import os",
            "",
            "import requests",
            "",
            "answer = requests.post(",
            f'    "{address}/invocations",',
            f'    headers={{"Authorization": f"Bearer {{os.environ[\'{_TOKEN}\']}}"}},',
            f"    json={body!r},",
            ")",
            'print(answer.json()["predictions"])',
        ]
    )

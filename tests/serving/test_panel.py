"""The widget of an endpoint: what it shows of the counts, and of a request that is tried."""

from __future__ import annotations

import pytest

from fstk.notebook import ServingPanel
from fstk.notebook.widgets import serving
from fstk.serving.messages import Ready
from fstk.verbs.serve import Served
from tests.serving.asking import GOOD, ask, waited
from tests.serving.project import Project

pytestmark = [pytest.mark.server, pytest.mark.slow]
COLUMNS = {"customer_id": "int", "cohort": "string", "region": "string", "amount": "double"}


@pytest.fixture
def panel(port: int, project: Project, monkeypatch: pytest.MonkeyPatch) -> ServingPanel:
    monkeypatch.setattr(serving, "_EVERY", 0.05)
    monkeypatch.delenv("FSTK_TOKEN", raising=False)
    ready = Ready("churn", 1, 2, 4, GOOD, COLUMNS, f"http://127.0.0.1:{port}")
    with project.inside():
        return ServingPanel(Served(ready, "%fstk serve --stop"))


def send(panel: ServingPanel) -> str:
    panel.controls[" "].click()
    return panel.result.value


def test_a_request_is_tried_and_its_features_are_told_with_version_and_age(
    panel: ServingPanel, token: str, port: int
) -> None:
    assert {name: panel.controls[name].value for name in COLUMNS} == {
        "customer_id": "1",
        "cohort": "old",
        "region": "n",
        "amount": "2.0",
    }
    panel.controls[""].value = token
    said = send(panel)
    assert panel.error.value == ""
    predicted = ask(port, {"dataframe_records": [GOOD]}, token).json["predictions"][0]
    assert f"prediction {predicted}" in said
    cells = ["spend", "v", "vip", "size", "1.8", "8", "40", "present", "s.customers", "s.cohorts"]
    assert all(f">{cell}</td>" in said for cell in cells)
    assert " d</td>" in said
    compile(panel.python, "code", "exec")
    assert f"127.0.0.1:{port}/invocations" in panel.python
    assert token not in panel.python


def test_what_is_refused_is_told_in_place(panel: ServingPanel, token: str) -> None:
    assert send(panel) == ""
    assert "401: a valid token is needed" in panel.error.value
    panel.controls[""].value = token
    panel.controls["customer_id"].value = "1.7"
    assert send(panel) == ""
    assert "400: key customer_id, row 1, must be int" in panel.error.value
    panel.controls["amount"].value = "much"
    send(panel)
    assert "amount must be double" in panel.error.value


def test_an_unknown_entity_and_a_null_are_asked_for_and_counted(panel: ServingPanel, token: str) -> None:
    panel.controls[""].value = token
    panel.controls["customer_id"].value = "4711"
    panel.controls["cohort"].value = ""
    assert send(panel).count(">missing</td>") == 4
    waited(lambda: " × 200" in panel.counts.value and "lookups missing 0" not in panel.counts.value)


def test_saved_it_says_how_the_endpoint_was_asked(panel: ServingPanel) -> None:
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"].startswith("serving churn v1 on http://127.0.0.1:")
    assert "curl" in bundle["text/html"]

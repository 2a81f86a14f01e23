"""An endpoint beside a notebook in JupyterLab: a request tried from the keyboard, the counts that follow, the end."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab, Notebook
from tests.browser.test_widgets import readable
from tests.serving.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.server]
SETUP = """import os
os.chdir({folder!r})
os.environ["MLFLOW_TRACKING_URI"] = {registry!r}
os.environ["FSTK_TOKEN"] = {token!r}
%load_ext fstk"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("served"))
    made.fill()
    made.log()
    return made


def test_a_request_is_tried_beside_the_notebook(lab: Lab, page: Page, project: Project) -> None:
    registry, (token, _) = project.env["MLFLOW_TRACKING_URI"], project.tokens.new("tests")
    setup = SETUP.format(folder=str(project.folder), registry=registry, token=token)
    cells = [setup, "%fstk serve models:/churn@champion --workers 1", "%fstk serve --stop"]
    notebook = Notebook.open(page, lab, lab.notebook("serving.ipynb", cells))
    notebook.run(0)
    notebook.run(1)
    panel = notebook.cell(1).locator(".jp-OutputArea-output", has=page.get_by_role("button", name="Send"))
    expect(panel.get_by_text("serving churn v1 on http://127.0.0.1:")).to_be_visible()
    expect(panel.get_by_text("curl http://127.0.0.1:")).to_be_visible()
    expect(panel.get_by_text("requests: none yet")).to_be_visible()
    panel.get_by_label("customer_id").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    for name, text in {"amount": "3.5", "cohort": "old", "region": "s"}.items():
        panel.get_by_label(name).fill(text)
    panel.get_by_role("button", name="Send").focus()
    page.keyboard.press("Enter")
    expect(panel.locator("tbody tr", has_text="spend").first).to_contain_text("present")
    expect(panel.locator("tbody td", has_text="s.cohorts").first).to_be_visible()
    expect(panel.get_by_text("1 × 200")).to_be_visible()
    for theme in ("light", "dark"):
        notebook.wear(theme)
        assert readable(panel) == theme
        notebook.picture(f"serving-panel-{theme}", 1)
    notebook.run(2)
    expect(panel.get_by_text("It does not serve any more.")).to_be_visible()

"""The magics in JupyterLab, as a person sees them, in both themes."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.browser, pytest.mark.server]

WINDOWS = """%%fstk windows feature_store.spend --source transactions \\
  --entity customer_id --time purchased_at --windows 7d,30d
count(*)      as txn_count
sum(amount)   as total_spend"""
PIT = """%%fstk pit churn_labels --label is_churned --at event_ts --all --one 398
feature_store.customer_features (txn_count_30d, total_spend_30d)  on customer_id  within 30d
feature_store.cohort_features                                     on cohort"""


def test_magics_show_tables_pictures_and_errors(lab: Lab, page: Page) -> None:
    cells = ["%load_ext fstk", "%fstk tables", WINDOWS, PIT, "%fstk windws", WINDOWS.replace(" \\", " --code \\")]
    path = lab.notebook("magics.ipynb", cells)
    notebook = Notebook.open(page, lab, path)
    notebook.run(0)

    tables = notebook.run(1)
    expect(tables.locator("tbody tr")).to_have_count(2)
    expect(tables).to_contain_text("customer_id, as_of")

    windows = notebook.run(2)
    expect(windows).to_contain_text("plan: CREATE, keys (customer_id, purchased_at TIMESERIES), 4 features")
    expect(windows.locator("td", has_text="sum(amount) over [purchased_at − 30 d, purchased_at)")).to_be_visible()

    pit = notebook.run(3)
    expect(pit).to_contain_text("(all) × 2 lookups · 0 saw the future")
    picture = pit.get_by_role("img").first
    expect(picture).to_be_visible()
    error = notebook.run(4)
    expect(error).to_contain_text("UnknownName: fstk has no verb 'windws'. Nearest: windows.")
    code = notebook.run(5).locator("pre")
    code.click()
    assert page.evaluate("getSelection().toString()") == code.inner_text(), "one click chooses all of it"
    for theme in ("light", "dark"):
        notebook.wear(theme)
        ink = picture.evaluate("it => getComputedStyle(it.querySelector('path')).stroke")
        assert bright(ink) == (theme == "dark"), "a picture takes the colour of the theme's text"
        ink = code.locator("span", has_text="import").first.evaluate("it => getComputedStyle(it).color")
        assert ink != code.evaluate("it => getComputedStyle(it).color"), "a keyword has a colour of the theme"
        for number, name in enumerate(("tables", "windows", "pit", "error"), start=1):
            notebook.picture(f"{name}-{theme}", number)
    notebook.save()
    kept = nbformat.read(path, 4)
    assert [one.output_type for one in kept.cells[4].outputs] == ["error"]


def bright(colour: str) -> bool:
    """Tell whether ``rgb(…)`` is nearer to white than to black."""
    red, green, blue, *_ = (float(part) for part in colour.strip("rgba()").split(","))
    return red + green + blue > 382

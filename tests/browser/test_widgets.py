"""The three widgets in JupyterLab, clicked through and used from the keyboard, in both themes."""

from __future__ import annotations

import re

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, Notebook
from tests.browser.pictures import measured

pytestmark = [pytest.mark.browser, pytest.mark.server]

CELLS = [
    "%load_ext fstk",
    "%fstk windows feature_store.spend --source transactions --widget",
    """%%fstk pit churn_labels --label is_churned --at event_ts --widget
feature_store.customer_features on customer_id within 30d
feature_store.cohort_features on cohort""",
    "%fstk publish feature_store.customer_features --to sqlite:///online.db --widget",
]
NAME = """() => {
  const it = document.activeElement;
  return it.labels && it.labels.length ? it.labels[0].innerText : it.getAttribute("aria-label") || it.innerText;
}"""
ORDER = ["Source", "Table", "Entity", "Lengths", "Time", "Windows", "Closed", "Calendar", "Function", "Of", "Called"]
ORDER += ["Only where", "Operator", "Value", "Add aggregate", "Aggregates", "Write", "Code"]
WATCH = """status => {
  window.seen = [];
  const note = () => window.seen.push(status.innerText);
  new MutationObserver(note).observe(status, {childList: true, subtree: true, characterData: true});
}"""  # what the status line says meanwhile


def test_three_widgets_are_clicked_through(lab: Lab, page: Page) -> None:
    path = lab.notebook("widgets.ipynb", CELLS)
    notebook = Notebook.open(page, lab, path)
    notebook.run(0)

    windows, pit, panel = notebook.run(1), notebook.run(2), notebook.run(3)
    build(page, windows)
    step(page, pit)
    publish(panel)
    for theme in ("light", "dark"):
        notebook.wear(theme)
        for number, (name, widget) in enumerate(
            {"window-builder": windows, "join-preview": pit, "publish-panel": panel}.items(), start=1
        ):
            assert readable(widget) == theme
            notebook.picture(f"{name}-{theme}", number)
    notebook.save()
    kept = nbformat.read(path, 4)
    assert "widgets" not in kept.metadata
    assert "total_spend" not in str([cell.get("outputs") for cell in kept.cells])


def build(page: Page, windows: Locator) -> None:
    """Change what a WindowBuilder builds, with the keyboard alone; see plan, rows and code follow, errors in place."""
    expect(windows.locator("tbody tr", has_text="event_count_30d").first).to_be_visible()
    windows.locator(".widget-html", has=page.get_by_role("status")).evaluate(WATCH)
    windows.get_by_label("Aggregates").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("count(*) as txn_count\nsum(amount) as total_spend")
    page.keyboard.press("Tab")
    expect(windows.locator("tbody tr", has_text="total_spend_30d").first).to_be_visible()
    assert any("working" in text for text in page.evaluate("window.seen"))
    windows.get_by_label("Windows").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("7d,30x")
    page.keyboard.press("Enter")
    expect(windows.get_by_role("alert")).to_contain_text("InvalidInput: windows: '30x' is not a positive length")
    expect(windows.locator("tbody tr")).to_have_count(0)
    page.keyboard.press("Control+a")
    page.keyboard.type("7d,30d,lifetime")
    page.keyboard.press("Enter")
    expect(windows.locator("td", has_text="sum(amount) over all before purchased_at")).to_be_visible()
    expect(windows.get_by_role("alert")).to_have_count(0)
    assert walked(page, windows) == ORDER
    code = windows.get_by_role("button", name="Code")
    expect(code).to_be_focused()
    page.keyboard.press("Space")
    pane = windows.locator("pre", has_text='windows=["7d", "30d", None]')
    expect(pane).to_be_visible()
    windows.get_by_role("button", name="Copy").click()
    expect(windows.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == pane.inner_text()
    code.focus()
    page.keyboard.press("Space")
    expect(windows.locator("pre", has_text="WindowedFeatures")).to_be_hidden()


def walked(page: Page, widget: Locator) -> list[str]:
    """Return what a screen reader calls each control that Tab comes to, from the first to the Code button."""
    widget.locator("select, input").first.focus()
    names = [page.evaluate(NAME)]
    while names[-1] != "Code" and len(names) < 2 * len(ORDER):
        page.keyboard.press("Tab")
        names.append(page.evaluate(NAME))
    return names


def step(page: Page, pit: Locator) -> None:
    """Step through labels, then through those of one status, with the picture of each."""
    expect(pit.get_by_text(re.compile(r"label 1 of 1,500 · customer_id"))).to_be_visible()
    expect(pit.get_by_role("img").first).to_be_visible()
    for width in (900, 1_400, 1_080):
        page.set_viewport_size({"width": width, "height": 1_600})
        measured(pit.get_by_role("img").first)
        height, width, room = pit.evaluate("it => [it.scrollHeight, it.scrollWidth, it.clientWidth]")
        assert height < 1_000
        assert width <= room
    following = pit.get_by_role("button", name="Next")
    following.focus()
    page.keyboard.press("Enter")
    expect(pit.get_by_text(re.compile(r"label 2 of 1,500"))).to_be_visible()
    pit.get_by_label("Status").select_option(index=place(pit, "customer_features: only later rows"))
    expect(pit.get_by_text(re.compile(r"label 1 of \d+ · customer_id"))).to_be_visible()
    expect(pit.get_by_text("later, refused").first).to_be_visible()
    pit.get_by_label("Status").select_option(index=place(pit, "customer_features: matched"))
    expect(pit.get_by_text(re.compile(r"· matched, age")).first).to_be_visible()


def publish(panel: Locator) -> None:
    """Try dry, publish, see the result, and that nothing is left to write."""
    panel.get_by_role("button", name="Dry run").click()
    expect(panel.get_by_text("dry run, nothing written")).to_be_visible()
    panel.get_by_role("button", name="Publish").click()
    expect(panel.locator("th", has_text=re.compile("^written"))).to_be_visible()
    expect(panel.locator("tbody td").first).to_have_text("1,500")
    expect(panel.locator(".widget-hprogress", has_text="1,500")).to_be_visible()
    panel.get_by_role("button", name="Dry run").click()
    expect(panel.locator("tbody td").first).to_have_text("0")
    panel.get_by_role("button", name="Publish").click()
    expect(panel.locator("th", has_text=re.compile("^written"))).to_be_visible()


def place(pit: Locator, status: str) -> int:
    """Return the place of a status among those offered, which carry their numbers of labels and hard spaces."""
    offered = [
        text.replace("\N{NO-BREAK SPACE}", " ")
        for text in pit.get_by_label("Status").locator("option").all_text_contents()
    ]
    return next(number for number, text in enumerate(offered) if text.startswith(status))


def readable(widget: Locator) -> str:
    """Return the theme whose text is readable: light where text is dark on bright, dark where it is the other way."""
    inks = widget.locator("th, td, strong, p").evaluate_all("all => all.map(it => getComputedStyle(it).color)")
    sums = [sum(float(part) for part in re.findall(r"[\d.]+", ink)[:3]) for ink in inks]
    assert sums
    assert all(one > 382 for one in sums) or all(one < 382 for one in sums)
    return "dark" if sums[0] > 382 else "light"

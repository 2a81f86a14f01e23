"""A timeline, a leak and a plan of many features in nbconvert's HTML, at the widths that people have, light, dark,
printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page

from fstk.lint.report import LintReport
from fstk.lint.sources import lint_cell
from fstk.previews.timeline import Timeline
from tests.browser.lab import IMAGES
from tests.browser.pictures import measured, middle
from tests.previews.eighty import eighty

pytestmark = pytest.mark.browser

AT = datetime(1997, 6, 1, 14, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LEAKS = """days["next_day"] = days.groupby("customer_id")["bought_at"].shift(-1)
days["scaled"] = (days["amount"] - days["amount"].mean()) / days["amount"].std()
days["smoothed"] = days["amount"].rolling(3, center=True).mean()"""
WIDTHS = (700, 900, 1180, 1400)


def timeline() -> Timeline:
    """Return a picture with a mark of each kind, the rows' first and last at the ends of the axis."""
    times = [AT - 60 * DAY, AT - 20 * DAY, AT - 3 * DAY, AT - DAY, AT + 30 * DAY]
    written = {time: time for time in times} | {AT - DAY: AT + 2 * DAY}
    return Timeline.of(
        entity="customer 1042",
        at=AT,
        lookup="feature_store.customer_features",
        status="matched",
        times=times,
        used=AT - 3 * DAY,
        events=[AT - 25 * DAY, AT - 4 * DAY, AT, AT + 9 * DAY],
        lookback=30 * DAY,
        written=written,
    )


class Exported(NamedTuple):
    """A page that shows nbconvert's HTML in a theme."""

    page: Page
    theme: str


@pytest.fixture
def exported(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Exported]:
    """A notebook with a timeline, leaks and a plan of eighty features as nbconvert's HTML, in a page that reaches
    nothing."""
    every = [
        ("%fstk explain training_set 1042", timeline()),
        ("%fstk lint", LintReport.of(lint_cell(LEAKS, "In[2]"))),
        ("%%fstk windows feature_store.customer_features", eighty()),
    ]
    cells = [
        new_code_cell(
            code,
            outputs=[new_output("display_data", {"text/html": shown._repr_html_(), "text/plain": repr(shown)})],
        )
        for code, shown in every
    ]
    html, _ = HTMLExporter(theme=request.param).from_notebook_node(new_notebook(cells=cells))
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_content(html, wait_until="domcontentloaded")
    yield Exported(page, request.param)
    context.close()


@pytest.mark.parametrize("exported", ["light", "dark"], indirect=True)
def test_what_is_shown_fits_at_any_width_and_on_paper(exported: Exported) -> None:
    page, theme = exported
    svg = page.locator("svg[role=img]")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1_400})
        found = agreeing(measured(svg))
        for shown in page.locator(".jp-OutputArea-output").all():
            high, wide, room = shown.evaluate("it => [it.scrollHeight, it.scrollWidth, innerWidth]")
            assert high < 1_000
            assert wide < room
        ink = sum(float(part) for part in found["colour"].strip("rgba()").split(",")[:3])
        assert (ink > 382) == (theme == "dark")
        if os.environ.get("FSTK_SCREENSHOTS"):
            for name, cell in zip(("timeline", "leak", "many"), page.locator(".jp-Cell").all(), strict=True):
                cell.screenshot(path=IMAGES / f"{name}-{theme}-{width}.png")
    page.set_viewport_size({"width": 700, "height": 500})  # of a page of paper
    page.emulate_media(media="print")
    agreeing(measured(svg))


def agreeing(found: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured, having seen each date under its own mark."""
    boxes = dict(found["texts"])
    assert abs(middle(boxes["1997-06-01 14:30"]) - middle(found["line"])) < 1.5
    features = found["lanes"][1]
    assert abs(boxes["1997-04-02 14:30"][0] - (features[0] + 6)) < 3
    return found

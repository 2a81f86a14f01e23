from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.lab import Lab, jupyterlab
from tests.browser.warehouse import fill

ALONE = [  # Debian's Chromium, which then asks nothing of the outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a project with a warehouse."""
    project = tmp_path_factory.mktemp("project")
    (project / "fstk.toml").write_text('warehouse = "fstk-warehouse"\n')
    fill(project / "fstk-warehouse")
    with jupyterlab(tmp_path_factory.mktemp("home"), project) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; ended with the last test here, so that its event loop is in nobody's way."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ALONE)
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest, lab: Lab) -> str:
    """The name of the theme in which JupyterLab shows a page."""
    lab.theme(f"JupyterLab {request.param.capitalize()}")
    return request.param


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has seen nothing."""
    context = browser.new_context(viewport={"width": 1080, "height": 1600})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()

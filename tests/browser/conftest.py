from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.lab import Lab, chromium, jupyterlab, new_page
from tests.browser.warehouse import fill


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
    """Chromium; ended with the last test here."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has seen nothing."""
    page = new_page(browser)
    yield page
    page.context.close()

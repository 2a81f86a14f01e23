"""JupyterLab on a free port of this machine, and one notebook of it as a person sees it in Chromium."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.processes import server

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell"
ALONE = [  # Debian's Chromium, which then asks nothing of the outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  # milliseconds: the first widget of a page loads its code while other tests use the cores
KEYSTROKES = 20  # a page that is still settling loses some
SETTINGS = {  # nothing of the outside is asked, and every cell is in the page, whether it is in sight or not
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it listens, what it lets in, its folder of notebooks."""

    port: int
    token: str
    folder: Path

    def notebook(self, name: str, cells: Sequence[str]) -> Path:
        """Write a notebook and return its path."""
        book = new_notebook(cells=[new_code_cell(source) for source in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        path = self.folder / name
        nbformat.write(book, path)
        return path

    def url(self, notebook: Path) -> str:
        """Return the address that shows one notebook and nothing else."""
        return f"http://127.0.0.1:{self.port}/doc/tree/{notebook.name}?token={self.token}"


@dataclass(frozen=True)
class Notebook:
    """A notebook open in a page."""

    page: Page

    @classmethod
    def open(cls, page: Page, lab: Lab, notebook: Path) -> Notebook:
        """Open a notebook and wait for its kernel."""
        page.goto(lab.url(notebook), wait_until="networkidle")
        opened = cls(page)
        expect(page.locator(CELLS).first).to_be_visible(timeout=120_000)
        expect(page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_visible(timeout=120_000)
        return opened

    def cell(self, number: int) -> Locator:
        """Return the code cell of that number, from 0."""
        return self.page.locator(CELLS).nth(number)

    def output(self, number: int) -> Locator:
        """Return what that cell shows."""
        return self.cell(number).locator(".jp-OutputArea-output").first

    def run(self, number: int) -> Locator:
        """Run a cell as a person does, wait until it is done, and return what it shows."""
        prompt = self.cell(number).locator(".jp-InputPrompt").first
        for _ in range(KEYSTROKES):
            self.cell(number).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            self.page.wait_for_timeout(500)
            if prompt.inner_text().strip() != "[ ]:":
                break
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=180_000)
        return self.output(number)

    def wear(self, theme: str) -> None:
        """Change the theme, ``light`` or ``dark``, as its menu does, and wait until the page has it."""
        named = f"JupyterLab {theme.capitalize()}"
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", named)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", named)

    def save(self) -> None:
        """Save the notebook and wait until it is on disk."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and "contents" in answer.url):
            self.page.keyboard.press("Control+s")

    def picture(self, name: str, number: int) -> None:
        """Keep a picture of a cell and what it shows, if pictures are asked for."""
        if os.environ.get("FSTK_SCREENSHOTS"):
            self.cell(0).locator(".jp-InputPrompt").first.click()  # the chosen cell would carry its buttons
            self.page.mouse.move(0, 0)
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.cell(number).screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium; until it ends, its event loop is in the way of others in this thread."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ALONE)
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    """Return a page of a browser that has seen nothing; its context is to be closed."""
    may = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport={"width": 1080, "height": 1600}, permissions=may)
    context.set_default_timeout(PATIENCE)
    return context.new_page()


@contextmanager
def jupyterlab(home: Path, project: Path) -> Iterator[Lab]:
    """Run JupyterLab on ``project`` with settings, kernels and history of its own under ``home``."""
    token = secrets.token_hex(16)
    folders = ["CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"]
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(home / name.lower()) for name in folders},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_TOKEN": token,  # and not a word of the command line, which others on the machine can read
    }
    for plugin, values in SETTINGS.items():
        file = home / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--LabApp.expose_app_in_browser=True"]  # to its pages, which call its commands
    # It looks for a port seconds before it takes it: among those that no system hands out, from a place of its own on.
    command += [f"--ServerApp.port={20_000 + os.getpid() % 10_000}", f"--ServerApp.root_dir={project}"]
    with server(command, r"http://127\.0\.0\.1:(\d+)/lab", environment, home) as port:
        yield Lab(port, token, project)

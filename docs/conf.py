"""How Sphinx makes the site of the pages beside it: ``make docs``."""

from __future__ import annotations

import os
import re
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx

import fstk
from fstk.cli.app import app as grammar_of_fstk

project = "fstk"
release = fstk.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = "fstk"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_heading_anchors = 3
nb_execution_mode = "force"  # git keeps no outputs; each notebook runs in a folder of its own, as a project
nb_execution_in_temp = True
nb_execution_timeout = 600  # seconds a cell
nb_execution_raise_on_error = True
for setting in ("FSTK_WAREHOUSE", "FSTK_RUNS", "FSTK_ONLINE_STORE"):  # what a person has made is left alone
    os.environ.pop(setting, None)

toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "display, nearest, shown"}
autodoc_typehints = "none"  # a docstring says what an argument may be
napoleon_use_rtype = False


def add_toctrees(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the first page one table of contents a heading, of the pages that its lists link to: GitHub shows the lists,
    the site both."""
    if page == "index":
        # By its name: the file is a link to the template, which is no page.
        source[0] = source[0].replace("](tour.ipynb)", "](tour)")
        for caption, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", source[0], flags=re.MULTILINE | re.DOTALL):
            pages = re.findall(r"^- \[.+?\]\(([\w/-]+)(?:\.\w+)?\)", text, flags=re.MULTILINE)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def add_verbs(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the page of the grammar the help of every verb, as a terminal shows it, a heading each."""
    if page == "cli":
        grammar: Any = typer.main.get_command(grammar_of_fstk)
        top = typer.Context(grammar, info_name="fstk", terminal_width=100, **grammar.context_settings)
        for name, verb in grammar.commands.items():
            told = verb.get_help(typer.Context(verb, parent=top, info_name=name))
            source[0] += f"\n## `fstk {name}`\n\n```text\n{told.strip()}\n```\n"


def note_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let links of other pages find the places that a page marks by ``<a id="…">``, as GitHub does."""
    places = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for html in doctree.findall(nodes.raw):
        places |= {place: (0, place, place) for place in re.findall(r'<a id="([^"]+)">', html.astext())}


def adapt_docstring(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Make links of the pages that a docstring names; of the heading that promises more, one that Napoleon knows."""
    text = re.sub(r"docs/([\w-]+)\.md(#[\w-]+)?", r"`\g<0> <../\1.html\2>`__", "\n".join(lines))
    text = text.replace("Raises, with nothing written:", "When it raises, nothing has been written.\n\nRaises:")
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> None:
    """Connect what stands above."""
    app.connect("source-read", add_toctrees)
    app.connect("source-read", add_verbs)
    app.connect("doctree-read", note_anchors)
    app.connect("autodoc-process-docstring", adapt_docstring, priority=400)  # before Napoleon's

"""What is shown of any object of fstk stays static, escaped, narrow and small, here and wherever a notebook goes."""

import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from fstk.verbs.code import Code
from tests.notebook.examples import HOSTILE, example, shown_classes

TAGS = {
    *("div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "br", "pre", "span"),
    *("details", "summary"),
    *("svg", "g", "desc", "text", "rect", "path", "circle"),
}
CLASSES = shown_classes()


class Tags(HTMLParser):
    """The tags of some HTML, with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def columns(line: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_is_shown_is_static_escaped_narrow_and_small(kind: type) -> None:
    one = example(kind)
    text, html = repr(one), one._repr_html_()
    assert text.strip()
    assert "\x1b" not in text + html
    if kind is not Code:  # source is shown as it is pasted
        assert max(columns(line) for line in text.splitlines()) <= 100
    parsed = Tags(html)
    assert {tag for tag, _ in parsed.tags} <= TAGS
    for _, attributes in parsed.tags:
        assert not any(name.startswith(("on", "href", "src", "xlink")) for name in attributes)
        assert "url(" not in (attributes.get("style") or "")
    assert len(html.encode()) <= 100_000
    if HOSTILE[:9] in text:
        assert "&lt;script&gt;" in html


def test_most_examples_hold_hostile_text() -> None:
    hostile = [kind for kind in CLASSES if HOSTILE[:9] in repr(example(kind))]
    assert len(hostile) >= len(CLASSES) - 6
    assert len(CLASSES) >= 30


@pytest.mark.server
def test_a_papermill_output_and_its_html_show_the_same(tmp_path: Path) -> None:
    cells = ["from tests.notebook.examples import example, shown_classes\nclasses = shown_classes()"]
    cells += [f"example(classes[{place}])" for place in range(len(CLASSES))]
    book = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "shown.ipynb")
    root = Path(__file__).parents[2]
    papermill.execute_notebook(tmp_path / "shown.ipynb", tmp_path / "out.ipynb", progress_bar=False, cwd=root)
    done = nbformat.read(tmp_path / "out.ipynb", 4)
    assert "widgets" not in done.metadata
    shown = [cell for cell in done.cells if cell.cell_type == "code"][1:]
    page = Tags(HTMLExporter().from_notebook_node(done)[0])
    for kind, cell in zip(CLASSES, shown, strict=True):
        (output,) = cell.outputs
        assert set(output.data) == {"text/html", "text/plain"}
        assert output.data["text/html"] == example(kind)._repr_html_()
        assert output.data["text/plain"] == repr(example(kind))
        assert Tags(output.data["text/html"]).text in page.text  # nbconvert writes some characters otherwise

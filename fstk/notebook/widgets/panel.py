"""What all widgets share: controls above, an error or a busy kernel told in place, a result below, its Code view.

The controls are ipywidgets' own, so that a keyboard reaches them; colours are the theme's.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import comm
import ipywidgets
from comm.base_comm import BaseComm
from IPython.core.getipython import get_ipython

from fstk.display import Displayed
from fstk.engines.delta import one_moment
from fstk.errors import FstkError, UnknownName, nearest
from fstk.notebook.bar import can_answer
from fstk.progress import on_screen
from fstk.verbs.code import Code

_WIDE = {"width": "auto", "flex": "1 1 20em"}  # a Layout made here would be a widget made by the import
NARROW = {"width": "13em"}
"""Layout of a control for a number."""
_BUTTON = {"width": "auto"}
_ROW = {"flex_flow": "row wrap"}
_WORKING = "working …"
_NAMES = {"description_width": "6.5em"}
_COPIED = (  # chosen, too, where a page without encryption may not reach the clipboard otherwise
    "const code = this.nextElementSibling; getSelection().selectAllChildren(code); "
    "navigator.clipboard ? navigator.clipboard.writeText(code.textContent) : document.execCommand('copy'); "
    "this.textContent = 'Copied'; setTimeout(() => this.textContent = 'Copy', 2000)"
)
_COPY = f'<button class="jupyter-button" type="button" aria-live="polite" onclick="{_COPIED}">Copy</button>'
# ipywidgets' own is black on black in a dark theme.
_ARROW = "M4 6l4 4 4-4' fill='none' stroke='%23808080' stroke-width='2'/%3E%3C/svg%3E"
_ARROW = (
    f"url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='{_ARROW}\")"
)
_LINES = ".fstk-panel .jp-RenderedHTMLCommon > div { line-height: var(--jp-content-line-height, normal) }"  # a cell's
_STYLE = f"<style>.fstk-panel {{ --jp-widgets-dropdown-arrow: {_ARROW} }} {_LINES}</style>"
_NAMED = 5  # of what is chosen
_SEVERAL = "several: Ctrl or ⌘ and a click"
_MARKED = "border-left: 3px solid var(--jp-error-color1, currentColor); padding-left: 0.6em; margin: 0.3em 0"


class _Quiet(BaseComm):
    """The line to a browser that is not there."""

    def publish_msg(self, *_message: Any, **_parts: Any) -> None:
        """Tell nobody."""


@dataclass(frozen=True)
class _Status:
    """The status of a widget as what shows how far something is."""

    write: Callable[[str], None]

    def clear(self) -> None:
        self.write(_WORKING)


class _Panel(type):
    """Makes panels that look at each table once, and, with all widgets within them, tell nobody of themselves where
    nobody can answer."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        create = comm.create_comm
        if not can_answer():
            comm.create_comm = _Quiet
        try:
            with one_moment():
                return super().__call__(*args, **kwargs)
        finally:
            comm.create_comm = create


class Panel(metaclass=_Panel):
    """A widget: rows of controls, the last of them its buttons, and below them what came of the choices made there.

    ``controls`` are its controls by name, ``status`` says whether the kernel works, ``error`` what was refused,
    ``result`` what there is to see, ``code`` the same as plain Python.
    """

    def __init__(self, controls: dict[str, Any], rows: Sequence[Sequence[str]], heading: str) -> None:
        self.controls = controls
        self.status = ipywidgets.HTML()
        self.error = ipywidgets.HTML()
        self.result = ipywidgets.HTML()
        self.code = ipywidgets.HTML()
        for shown in (self.result, self.code):
            as_in_cells(shown)
        tip = "The same as plain Python, to be pasted"
        self.toggle = ipywidgets.ToggleButton(description="Code", tooltip=tip, layout=_BUTTON)
        self.toggle.observe(lambda change: self._show_code(change["new"]), "value")
        self._show_code(False)
        self._text = ""
        self._choosing = False
        self._say("")
        for control in controls.values():
            control.style = _NAMES if hasattr(control.style, "description_width") else control.style
        lines = [[_with_chosen(controls[name]) for name in row] for row in rows]
        bars = [one for one in lines[-1] if isinstance(one, ipywidgets.IntProgress)]
        lines[-1] = [*(one for one in lines[-1] if one not in bars), self.toggle, *bars, self.status]
        head = ipywidgets.HTML(f"{_STYLE}<strong>{html.escape(heading)}</strong>")
        boxes = [ipywidgets.HBox(line, layout=_ROW) for line in lines]
        self.box = ipywidgets.VBox([head, *boxes, self.error, self.code, self.result])
        self.box.add_class("fstk-panel")

    @property
    def python(self) -> str:
        """The text of the Code view; empty while the choices are not enough."""
        return self._text

    def work(self, do: Callable[[], None]) -> None:
        """Carry out ``do``, telling that the kernel is busy meanwhile, and in one line what was refused. With an error
        what was shown for other choices goes away: it would be taken for what these come to."""
        self._say(_WORKING)
        try:
            with one_moment(), on_screen(_Status(self._say)):
                do()
        except FstkError as error:
            self._refuse(f"{type(error).__name__}: {error}")
        except Exception as error:  # a defect: told here, too, where the person looks
            self._refuse(f"{type(error).__name__}: {error}")
            raise
        else:
            self.error.value = ""
        finally:
            self._say("")

    def take(self, offer: Callable[[], None]) -> None:
        """Offer what goes with a first choice, then show what all choices come to."""
        self.work(offer)
        if not self.error.value:
            self.refresh()

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Let several controls change before :meth:`refresh` looks at them."""
        self._choosing = True
        try:
            yield
        finally:
            self._choosing = False

    def if_free(self, do: Callable[[], None]) -> None:
        """Carry out ``do`` as :meth:`work` does, unless controls are being changed."""
        if not self._choosing:
            self.work(do)

    def refresh(self) -> None:
        """Show what the choices come to."""
        self.if_free(self._preview)

    def _preview(self) -> None:
        raise NotImplementedError  # every panel has its own

    def show(self, *parts: Displayed) -> None:
        self.result.value = "".join(part._repr_html_() for part in parts)

    def tell(self, text: str) -> None:
        """Make ``text`` the Code view's."""
        self._text = text
        self.code.value = f"{_COPY}{Code(text).html()}" if text else "<p>Nothing is chosen yet.</p>"

    def ask(self, hint: str) -> None:
        """Show what is to be chosen next, and nothing else."""
        self.error.value = ""
        self.tell("")
        self.result.value = f"<p>{html.escape(hint)}</p>"

    def _refuse(self, message: str) -> None:
        line = html.escape(" ".join(message.split()))
        self.error.value = f'<p role="alert" style="{_MARKED}">{line}</p>'
        self.tell("")
        self.result.value = ""

    def _say(self, words: str) -> None:
        self.status.value = f'<span role="status" aria-live="polite">{words}</span>'

    def _show_code(self, shown: bool) -> None:
        self.code.layout.display = "" if shown else "none"

    def _repr_mimebundle_(self, **_unused: Any) -> dict[str, Any]:
        """Return the view where somebody can answer it, and what stands for it where there is no kernel: a saved file
        holds nothing that was chosen."""
        name = type(self).__name__
        view: Any = self.box._repr_mimebundle_() if can_answer() else {}
        closed = f"{name}: run this cell to open it."
        return {**view, "text/plain": closed, "text/html": f"<p>{closed}</p>"}


def as_in_cells(shown: ipywidgets.HTML) -> None:
    """Make HTML look as the output of a cell does: its tables, fonts and margins are the theme's."""
    shown.add_class("jp-OutputArea-output")
    shown.add_class("jp-RenderedHTMLCommon")


def variables(namespace: dict[str, Any] | None) -> dict[str, Any]:
    """Return the notebook's variables: those given, else those of the cells."""
    if namespace is not None:
        return namespace
    shell = get_ipython()
    return {} if shell is None else shell.user_ns


def choice(name: str, options: Sequence[Any], value: Any = None) -> ipywidgets.Dropdown:
    """Return a list to choose one of, first ``value`` if there is one; raises UnknownName when that is no option."""
    options = list(options)
    values = [one[1] if isinstance(one, tuple) else one for one in options]
    if value is not None and value not in values:
        raise UnknownName(f"{name.lower()}: there is no {value!r}.{nearest(str(value), map(str, values))}")
    first = value if value is not None else (values[0] if values else None)
    return ipywidgets.Dropdown(description=name, options=options, value=first, layout=_WIDE)


def several(name: str, options: Sequence[str], value: Sequence[str] = (), rows: int = 4) -> ipywidgets.SelectMultiple:
    """Return a list to choose several of."""
    chosen = tuple(one for one in value if one in options)
    return ipywidgets.SelectMultiple(description=name, options=list(options), value=chosen, rows=rows, layout=_WIDE)


def offer(control: ipywidgets.Dropdown, options: Sequence[tuple[str, Any]], value: Any = None) -> None:
    """Offer other options, with their texts: chosen is ``value`` where it is one of them, else the first."""
    values = [one for _, one in options]
    control.options = options
    control.value = value if value in values else next(iter(values), None)


def _with_chosen(control: ipywidgets.Widget) -> ipywidgets.Widget:
    """Return a list to choose several of above what is chosen of it; any other control as it is."""
    if not isinstance(control, ipywidgets.SelectMultiple):
        return control
    chosen = ipywidgets.HTML(layout={"margin": "0 0 0 7em"})

    def tell() -> None:
        names = ", ".join(map(str, control.value[:_NAMED]))
        more = len(control.value) - _NAMED
        said = f"{names} and {more:,} more" if more > 0 else names or "none"
        chosen.value = f'<div style="line-height: 1.3"><small>chosen: {html.escape(said)} · {_SEVERAL}</small></div>'

    observe([control], tell)
    tell()
    control.layout.flex = "0 0 auto"
    return ipywidgets.VBox([control, chosen], layout=_WIDE)


def line(name: str, value: str, example: str = "") -> ipywidgets.Text:
    """Return a line to write in, read when it is left or Enter is pressed."""
    return ipywidgets.Text(description=name, value=value, placeholder=example, continuous_update=False, layout=_WIDE)


def lines(name: str, value: str, example: str, rows: int = 3) -> ipywidgets.Textarea:
    """Return lines to write in, read when they are left."""
    return ipywidgets.Textarea(
        description=name, value=value, placeholder=example, rows=rows, continuous_update=False, layout=_WIDE
    )


def button(name: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=name, tooltip=tooltip, layout=_BUTTON)


def observe(controls: Sequence[Any], do: Callable[[], None]) -> None:
    """Carry out ``do`` whenever one of the controls takes another value."""
    for control in controls:
        control.observe(lambda change: do(), "value")

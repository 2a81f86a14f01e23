"""What may come next in a line or a statement of the magic, and the fragment of it that is there already."""

from __future__ import annotations

import re
import shlex
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperArgument, TyperOption

from fstk import settings
from fstk.cli.app import app
from fstk.columns.length import LIFETIME
from fstk.errors import FstkError
from fstk.jobs import bundle
from fstk.notebook.widgets.columns import schema, times
from fstk.online.spec import beginnings
from fstk.tables.configured import local_names, open_catalog
from fstk.verbs.names import columns_of, frames_in
from fstk.verbs.new import TEMPLATES
from fstk.windows.expression import FUNCTIONS

_GRAMMAR: Any = typer.main.get_command(app)
LENGTHS = ["1d", "7d", "14d", "4w", "30d", "90d", "1mo", LIFETIME]
"""Windows that are offered."""
_EXPRESSED = ["coalesce(", "datediff(", "if(", "nullif("]
_LAST = re.compile(r"[^\s,=]*$")
_LAST_NAME = re.compile(r"[\w.]*$")
_ON = re.compile(r"\bon\s", re.IGNORECASE)
_PATHS = ("NOTEBOOK|JOB", "TABLE|NOTEBOOK", "TABLE|FILE|VARIABLE")


@dataclass(frozen=True)
class _Words:
    """The words of a line so far, by the parameter they are for, and the notebook's variables."""

    words: Mapping[str, str]
    namespace: Mapping[str, Any]

    def frame(self, parameter: str) -> Any:
        """Return the frame or the table's name that a parameter names, None when it names nothing yet."""
        word = self.words.get(parameter)
        return self.namespace.get(word, word) if word else None


def of_line(line: str, namespace: Mapping[str, Any]) -> tuple[list[str], str, bool]:
    """Return the candidates after the words of ``line`` (which follow ``fstk``), the fragment they replace, and whether
    the path of a file may stand there, too."""
    last = re.search(r"\S*$", line)
    word = last[0] if last else ""
    words = _split(line[: len(line) - len(word)])
    verbs = _GRAMMAR.commands
    if not words:
        return [*verbs, "-h"], word, False
    command = verbs.get(words[0])
    if command is None:
        return [], word, False
    given, used, pending = _read(words[1:], command)
    if pending is None and word.startswith("-") and "=" in word:
        name, _, _ = word.partition("=")
        pending = next((one for one in _options(command) if name in one.opts), None)
    elif pending is None and word.startswith("-"):
        left = [one for one in _options(command) if one.multiple or one not in used]
        return [*(name for one in left for name in one.opts), "-h"], word, False
    if pending is None:
        waiting = [one for one in command.params if isinstance(one, TyperArgument) and one.name not in given]
        pending = waiting[0] if waiting else None
    if pending is None:
        missing = [one for one in _options(command) if one not in used]
        return [one.opts[-1] for one in sorted(missing, key=lambda one: not one.required)], word, False
    part, kind = _LAST.search(word), pending.metavar or ""
    if kind in _PROVIDERS:
        found = _values(
            _TIMES if pending.name in ("at", "time") and kind == "COLUMN" else kind, _Words(given, namespace)
        )
    else:
        found = [item.value for item in pending.shell_complete(typer.Context(_GRAMMAR), "")]
    return found, part[0] if part else word, kind in _PATHS


def of_statement(line: str, statement: str, namespace: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the candidates at the end of ``statement``, below a cell magic of ``line``, and the fragment."""
    words = _split(line)
    command = _GRAMMAR.commands.get(words[0]) if words else None
    if command is None:
        return [], ""
    given, _, _ = _read(words[1:], command)
    known = _Words(given, namespace)
    last = _LAST_NAME.search(statement)
    fragment = last[0] if last else ""
    before = statement[: len(statement) - len(fragment)]
    if words[0] == "windows":
        functions = ["count(*)", *(f"{name}(" for name in FUNCTIONS)] if not before.strip() else []
        return [*functions, *(_columns(known, "source") if before.strip() else [])], fragment
    if words[0] != "pit":
        return [], fragment
    if not before.strip():
        return [*_values("TABLE", known), "expr"], fragment
    if before.split()[0].lower() == "expr":
        return [*_columns(known, "labels"), *_EXPRESSED, "as"], fragment
    table = before.split("(")[0].split()[0]
    if before.count("(") > before.count(")"):
        return _values("FEATURE", _Words({"table": table}, namespace)), fragment
    if _ON.search(before):
        return [*_columns(known, "labels"), "within"], fragment
    return ["on"], fragment


def _options(command: Any) -> list[TyperOption]:
    return [one for one in command.params if isinstance(one, TyperOption)]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote is still open
        return text.split()


def _read(words: list[str], command: Any) -> tuple[dict[str, str], list[TyperOption], TyperOption | None]:
    """Return the words by parameter, the options used, and the option that waits for its value."""
    given: dict[str, str] = {}
    used: list[TyperOption] = []
    pending: TyperOption | None = None
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    for word in words:
        if pending is not None:
            given[str(pending.name)], pending = word, None
        elif word.startswith("-"):
            name, _, value = word.partition("=")
            option = next((one for one in _options(command) if name in one.opts), None)
            if option is None:
                continue
            used.append(option)
            if value:
                given[str(option.name)] = value
            elif not option.is_flag:
                pending = option
        elif arguments:
            given[str(arguments[0].name)] = word
            arguments = arguments if arguments[0].nargs == -1 else arguments[1:]
    return given, used, pending


def _values(kind: str, given: _Words) -> list[str]:
    try:
        return _PROVIDERS[kind](given)
    except FstkError:
        return []  # a setting or a table that cannot be read is told when the line is run


def _columns(given: _Words, parameter: str) -> list[str]:
    data = given.frame(parameter)
    return [] if data is None else columns_of(data)


def _times(given: _Words) -> list[str]:
    """Return the columns of a time, or all of a frame that has none yet."""
    named = given.words.get("source") or given.words.get("labels")
    columns = {} if named is None else schema(named, given.namespace)
    return list(times(columns) or columns)


def _frames(given: _Words) -> list[str]:
    return [*frames_in(given.namespace), *local_names()]


def _training_sets(given: _Words) -> list[str]:
    named = [name for name, value in given.namespace.items() if type(value).__name__ == "TrainingSet"]
    return [*named, *local_names()]


def _notebooks() -> list[str]:
    root = settings.root()
    return [str(path.relative_to(root)) for path in sorted((root / "notebooks").glob("*.ipynb"))]


def _jobs(given: _Words) -> list[str]:
    try:
        return [*bundle.read_bundle(settings.root() / bundle.FILE), *_notebooks()]
    except FstkError:
        return _notebooks()  # no bundle here, or one that its own verb will complain of


_TIMES = "COLUMN of a time"
_PROVIDERS: Mapping[str, Callable[[_Words], list[str]]] = {
    "TABLE": lambda given: local_names(),
    "SOURCE": _frames,
    "SOURCE[,COLUMN]": _frames,
    "LABELS": _frames,
    "COLUMN": lambda given: _columns(given, "source") or _columns(given, "labels"),
    _TIMES: _times,
    "ZONE": lambda given: sorted(zoneinfo.available_timezones()),
    "FEATURE": lambda given: open_catalog().get(given.words.get("table", "")).features,
    "TABLE|VARIABLE": _training_sets,
    "TABLE|FILE|VARIABLE": _training_sets,
    "URL": lambda given: list(dict.fromkeys([settings.load().online_store, *beginnings()])),
    "NOTEBOOK|JOB": _jobs,
    "TABLE|NOTEBOOK": lambda given: [*local_names(), *_notebooks()],
    "LENGTHS": lambda given: LENGTHS,
    "TEMPLATE": lambda given: list(TEMPLATES),
}

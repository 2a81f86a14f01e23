"""The parameters a notebook declares: parsed from its source, never by running it, and checked before a kernel starts.

The declaration is the cell tagged ``parameters``: one annotated assignment a line, the comment beside it is its help::

    as_of: date = "1998-03-31"  # logical date: nothing later is seen
    every: Literal["1d", "7d"] = "7d"  # step of the calendar

Types are ``str``, ``int``, ``float``, ``bool``, ``date``, ``datetime`` (with a zone), ``Literal[...]``, ``Secret``, and
``T | None`` of these. A parameter without a default must be given. Text (a terminal, a bundle, a widget) is read by the
declared type, so ``007`` is 7 for an ``int`` and stays ``"007"`` for a ``str``.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fstk.display import Displayed, Sheet
from fstk.errors import BadParameter, InvalidInput, InvalidName, nearest, shown
from fstk.jobs.types import ParameterType, parameter_type
from fstk.secret import Secret

RESERVED = frozenset({"display", "done", "parameters"})
"""Names that mean something else on a job."""
_REQUIRED: Any = object()


@dataclass(frozen=True)
class Parameter:
    """One declared parameter; ``default`` is the literal as written, before it is read by ``type``."""

    name: str
    type: ParameterType
    default: Any
    help: str

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    def read(self, given: Mapping[str, Any]) -> Any:
        """Return the value of this name in ``given``, else the default, read by the declared type; raises BadParameter,
        which does not repeat a secret's value."""
        value = given.get(self.name, self.default)
        if value is _REQUIRED:
            raise BadParameter(f"{self.name} is missing: {self.type.expected}.")
        try:
            return self.type.read(value)
        except (ValueError, OverflowError) as error:
            got = "what was given is not shown" if self.type.secret else f"got {shown(value)}"
            raise BadParameter(f"{self.name} must be {self.type.expected}; {got}.") from error


@dataclass(frozen=True, repr=False)
class Declaration(Displayed):
    """The parameters of one notebook, in the order declared."""

    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self.parameters]

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every parameter, given or by default, read by its type; raises BadParameter, for unknown names too."""
        for name in given:
            if name not in self.names:
                raise BadParameter(f"there is no parameter {name!r}.{nearest(str(name), self.names)}")
        return {parameter.name: parameter.read(given) for parameter in self.parameters}

    def display(self) -> Sheet:
        rows = [(p.name, p.type.source, "(required)" if p.required else p.default, p.help) for p in self.parameters]
        return Sheet("parameters", ("name", "type", "default", "meaning"), rows)


def portable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return typed values as what JSON and a notebook's cell hold: dates as ISO text, secrets as their references.

    >>> portable({"as_of": date(1998, 3, 31), "limit": 7, "password": Secret("env:STORE_PASSWORD")})
    {'as_of': '1998-03-31', 'limit': 7, 'password': 'env:STORE_PASSWORD'}
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Secret):
            return value.reference
        return value.isoformat() if isinstance(value, date) else value

    return {name: plain(value) for name, value in values.items()}


def parse(source: str, where: str) -> Declaration:
    """Return the declaration in ``source``, the text of one cell that ``where`` names in errors; raises InvalidInput: a
    line that is no annotated assignment (imports may stand beside them), another type, or no literal as its default."""
    try:
        return _checked(_declared(ast.parse(source), _comments(source), where), where)
    except SyntaxError as error:
        raise InvalidInput(f"{where}, parameters, line {error.lineno}: {error.msg}.") from error
    except (RecursionError, MemoryError) as error:  # the second is how Python's parser says it
        raise InvalidInput(f"{where}, parameters: nested too deeply.") from error


def is_declaration(source: str) -> bool:
    """Whether a cell's text holds annotated assignments and nothing else but imports."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic, or another language: not a declaration
        return False
    declared = [s for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    return bool(declared) and all(s in declared or _is_aside(s) for s in body)


def from_annotations(annotations: Mapping[str, Any], values: Mapping[str, Any], where: str) -> Declaration:
    """Return the declaration of a namespace without its cells' text: its annotations, and the values as defaults."""
    parameters = []
    for name, annotation in annotations.items():
        written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        parameters.append(Parameter(name, parameter_type(written, name, where), values.get(name, _REQUIRED), ""))
    return _checked(parameters, where)


def _declared(tree: ast.Module, helps: Mapping[int, str], where: str) -> list[Parameter]:
    parameters = []
    for statement in tree.body:
        if _is_aside(statement):
            continue
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            line = ast.unparse(statement).splitlines()[0]
            raise InvalidInput(f"{where}, parameters: {line!r} declares nothing. Write  name: type = default  # help")
        parameters.append(_parameter(statement.target.id, statement, helps.get(statement.end_lineno or 0, ""), where))
    return parameters


def _parameter(name: str, statement: ast.AnnAssign, help_: str, where: str) -> Parameter:
    kind = parameter_type(ast.unparse(statement.annotation), name, where)
    if statement.value is None:
        return Parameter(name, kind, _REQUIRED, help_)
    try:
        default = ast.literal_eval(statement.value)
    except (ValueError, TypeError) as error:
        written = ast.unparse(statement.value)
        raise InvalidInput(f"{where}: the default of parameter {name} must be a literal, not {written}.") from error
    return Parameter(name, kind, default, help_)


def _checked(parameters: Iterable[Parameter], where: str) -> Declaration:
    declaration = Declaration(tuple(parameters))
    for name in declaration.names:
        if name.startswith("_") or name in RESERVED:
            raise InvalidName(f"{where}: a parameter cannot be named {name}; the job itself has that name.")
        if declaration.names.count(name) > 1:
            raise InvalidInput(f"{where}: parameter {name} is declared twice.")
    try:
        for parameter in declaration.parameters:
            if not parameter.required:
                parameter.read({})
    except BadParameter as error:
        raise InvalidInput(f"{where}: the default of {error}") from error
    return declaration


def _is_aside(statement: ast.stmt) -> bool:
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}

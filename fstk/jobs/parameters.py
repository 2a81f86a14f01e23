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
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from fstk.display import Displayed, Sheet
from fstk.errors import BadParameter, InvalidInput, InvalidName, nearest
from fstk.jobs.secret import Secret
from fstk.jobs.types import ParameterType, parameter_type

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
        """Whether a value must be given."""
        return self.default is _REQUIRED


@dataclass(frozen=True, repr=False)
class Declaration(Displayed):
    """The parameters of one notebook, in the order declared."""

    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [parameter.name for parameter in self.parameters]

    @cached_property
    def _model(self) -> type[BaseModel]:
        # fields are numbered and known by their alias, so that a parameter may be named like an attribute of
        # pydantic's models
        fields: dict[str, Any] = {
            f"p{i}": (p.type.annotation, Field(... if p.required else p.default, alias=p.name))
            for i, p in enumerate(self.parameters)
        }
        config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)
        return create_model("Parameters", __config__=config, **fields)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every parameter, typed: the given values read by their declared types, and the defaults.

        Raises:
            BadParameter: an unknown name, a missing value, or one of the wrong type; a secret's value is never
                repeated.
        """
        for name in given:
            if name not in self.names:
                raise BadParameter(f"there is no parameter {name!r}.{nearest(str(name), self.names)}")
        try:
            return dict(zip(self.names, dict(self._model(**given)).values(), strict=True))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            parameter = next(p for p in self.parameters if p.name == first["loc"][0])
            if first["type"] == "missing":
                raise BadParameter(f"{parameter.name} is missing: {parameter.type.expected}.") from error
            value = given.get(parameter.name, parameter.default)
            got = "what was given is not shown" if parameter.type.secret else f"got {value!r}"
            raise BadParameter(f"{parameter.name} must be {parameter.type.expected}; {got}.") from error

    def display(self) -> Sheet:
        """Show one parameter a line: name, type, default and help."""
        rows = [(p.name, p.type.source, "(required)" if p.required else p.default, p.help) for p in self.parameters]
        return Sheet("parameters", ("name", "type", "default", "meaning"), rows)


def portable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return typed values as what JSON and a notebook's cell hold: dates as ISO text, secrets as their references."""
    return {name: _portable(value) for name, value in values.items()}


def parse(source: str, where: str) -> Declaration:
    """Return the declaration written in ``source``, the text of one cell; ``where`` names it in errors.

    Raises:
        InvalidInput: a line that is not an annotated assignment (imports may stand beside them), a type that
            parameters cannot have, or a default that is not a literal of its type.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InvalidInput(f"{where}, parameters, line {error.lineno}: {error.msg}.") from error
    helps = _comments(source)
    parameters = []
    for statement in tree.body:
        if _is_aside(statement):
            continue
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            line = ast.unparse(statement).splitlines()[0]
            raise InvalidInput(f"{where}, parameters: {line!r} declares nothing. Write  name: type = default  # help")
        parameters.append(_parameter(statement.target.id, statement, helps.get(statement.end_lineno or 0, ""), where))
    return _checked(parameters, where)


def is_declaration(source: str) -> bool:
    """Whether a cell's text holds annotated assignments and nothing else but imports."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic, or another language: not a declaration
        return False
    declared = [s for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    return bool(declared) and all(s in declared or _is_aside(s) for s in body)


def from_annotations(annotations: Mapping[str, Any], values: Mapping[str, Any], where: str) -> Declaration:
    """Return the declaration that a namespace without its cells' text still has: its annotations, and the values as
    defaults.
    """
    parameters = [
        Parameter(
            name,
            parameter_type(
                annotation if isinstance(annotation, str) else inspect.formatannotation(annotation), name, where
            ),
            values.get(name, _REQUIRED),
            "",
        )
        for name, annotation in annotations.items()
    ]
    return _checked(parameters, where)


def _parameter(name: str, statement: ast.AnnAssign, help_: str, where: str) -> Parameter:
    kind = parameter_type(ast.unparse(statement.annotation), name, where)
    if statement.value is None:
        return Parameter(name, kind, _REQUIRED, help_)
    try:
        default = ast.literal_eval(statement.value)
    except ValueError as error:
        raise InvalidInput(
            f"{where}: the default of parameter {name} must be a literal, not {ast.unparse(statement.value)}."
        ) from error
    return Parameter(name, kind, default, help_)


def _checked(parameters: Iterable[Parameter], where: str) -> Declaration:
    declaration = Declaration(tuple(parameters))
    for name in declaration.names:
        if name.startswith("_") or name in RESERVED:
            raise InvalidName(f"{where}: a parameter cannot be named {name}; the job itself has that name.")
        if declaration.names.count(name) > 1:
            raise InvalidInput(f"{where}: parameter {name} is declared twice.")
    try:
        declaration.read(
            {p.name: p.default for p in declaration.parameters if not p.required} | _placeholders(declaration)
        )
    except BadParameter as error:
        raise InvalidInput(f"{where}: the default of {error}") from error
    return declaration


def _placeholders(declaration: Declaration) -> dict[str, Any]:
    # a value of the right type for each required parameter, so that the defaults alone are judged
    return {p.name: p.type.example for p in declaration.parameters if p.required}


def _is_aside(statement: ast.stmt) -> bool:
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _portable(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reference
    return value.isoformat() if hasattr(value, "isoformat") else value

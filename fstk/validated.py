"""Specs that check their own arguments: pydantic's dataclasses, frozen, with one sentence in place of its report."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from fstk.errors import FstkError, InvalidInput, shown

# Its own report, which a traceback shows, repeats no input: that may be a secret in the wrong place.
_CONFIG = ConfigDict(arbitrary_types_allowed=True, strict=True, extra="forbid", hide_input_in_errors=True)
T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def validated(**options: Any) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass (``options`` are a dataclass's) whose fields are checked, never converted.

    A field's ``Field(description=…)`` is how a person is told what belongs there: an argument of another type raises
    ``InvalidInput``, "{field} must be {description}; got {value}.". ``__post_init__`` may raise any error of fstk.
    """

    def made(cls: type[T]) -> type[T]:
        spec: Any = dataclass(frozen=True, config=_CONFIG, **options)(cls)
        accept = spec.__init__

        @functools.wraps(accept)
        def checked(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                accept(self, *args, **kwargs)
            except ValidationError as error:
                raise _sentence(spec, error) from error

        spec.__init__ = checked
        return spec

    return made


def _sentence(spec: Any, error: ValidationError) -> FstkError:
    first = error.errors(include_url=False)[0]
    own = first.get("ctx", {}).get("error")
    if isinstance(own, FstkError):
        return own
    place = first["loc"][0] if first["loc"] else ""
    names = list(spec.__pydantic_fields__)
    name = names[place] if isinstance(place, int) and place < len(names) else str(place)
    if name not in spec.__pydantic_fields__:
        return InvalidInput(f"{spec.__name__} takes {', '.join(names)}; {name} is none of them.")
    expected = spec.__pydantic_fields__[name].description or first["msg"]
    if first["type"].startswith("missing"):
        return InvalidInput(f"{spec.__name__} needs {name}: {expected}.")
    return InvalidInput(f"{name} must be {expected}; got {shown(first['input'])}.")

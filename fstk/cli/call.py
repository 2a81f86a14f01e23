"""Where a verb is called from."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import Any

from typer import Context

from fstk.errors import InvalidInput


@dataclass(frozen=True)
class Call:
    """In a notebook: the namespace of its cells and the text below a cell magic; in a terminal: neither."""

    namespace: dict[str, Any] | None = None
    cell: str | None = None

    @property
    def in_notebook(self) -> bool:
        """Whether what the verb returns will be shown by a notebook."""
        return self.namespace is not None

    def bind(self, name: str, value: Any) -> None:
        """Make ``value`` the notebook's variable ``name``.

        Raises:
            InvalidInput: there is no notebook, or that is no name of a variable.
        """
        if self.namespace is None:
            raise InvalidInput(f"-o {name}: a terminal has no variables; -o is for a notebook.")
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInput(f"-o {name}: that is no name of a variable.")
        self.namespace[name] = value


def call_of(context: Context) -> Call:
    """Return how the verb of ``context`` was called."""
    return context.obj

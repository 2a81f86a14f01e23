"""Where a verb is called from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typer import Context


@dataclass(frozen=True)
class Call:
    """In a notebook: the namespace of its cells and the text below a cell magic; in a terminal: neither."""

    namespace: dict[str, Any] | None = None
    cell: str | None = None

    @property
    def in_notebook(self) -> bool:
        """Whether what the verb returns will be shown by a notebook."""
        return self.namespace is not None


def call_of(context: Context) -> Call:
    """Return how the verb of ``context`` was called."""
    return context.obj

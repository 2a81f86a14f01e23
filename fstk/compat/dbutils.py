"""``dbutils``, as far as notebooks of features use it."""

from __future__ import annotations

from collections.abc import Sequence

from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.secret import Secret


class Secrets:
    """``dbutils.secrets``: the secrets of a scope, in the environment, else in the workspace."""

    def get(self, scope: str, key: str) -> str:
        """Return a secret; raises UnknownName, which says what to set, and Infrastructure."""
        return Secret(f"databricks:{scope}/{key}").reveal()


class Widgets:
    """``dbutils.widgets``: each has the value that it was made with."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        self._values[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        if defaultValue not in choices:
            raise InvalidInput(f"widget {name}: {defaultValue!r} is none of its choices, {', '.join(choices)}.")
        self._values[name] = str(defaultValue)

    combobox = dropdown

    def get(self, name: str) -> str:
        """Return a widget's value; raises UnknownName."""
        if name not in self._values:
            raise UnknownName(f"no widget {name}.{nearest(name, self._values)}")
        return self._values[name]

    def getAll(self) -> dict[str, str]:
        return dict(self._values)

    def remove(self, name: str) -> None:
        self._values.pop(name, None)

    def removeAll(self) -> None:
        self._values.clear()


class DBUtils:
    """The parts that are there."""

    def __init__(self) -> None:
        self.secrets = Secrets()
        self.widgets = Widgets()

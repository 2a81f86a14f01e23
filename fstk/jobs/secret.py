"""Secrets of a job: references that travel, values that stay in memory."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from fstk.errors import Infrastructure, UnknownName
from fstk.optional import need

FORMS = "env:NAME or databricks:scope/key"
_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_DATABRICKS = re.compile(r"databricks:([A-Za-z0-9_.@-]+)/([A-Za-z0-9_.@-]+)")
_SHOWN = "[secret]"


class Secret:
    """A reference to a secret; shows itself as the reference, and reads the value anew at every :meth:`reveal`.

    >>> password = Secret("env:STORE_PASSWORD")
    >>> password
    Secret('env:STORE_PASSWORD')
    >>> Secret("hunter2")
    Traceback (most recent call last):
    ValueError: not a reference to a secret (env:NAME or databricks:scope/key)
    """

    def __init__(self, reference: str) -> None:
        """Take a reference, ``env:NAME`` or ``databricks:scope/key``.

        Raises:
            ValueError: anything else; the text is not repeated, since it may be the secret itself.
        """
        if not (_ENVIRONMENT.fullmatch(reference) or _DATABRICKS.fullmatch(reference)):
            raise ValueError(f"not a reference to a secret ({FORMS})")
        self.reference = reference

    def reveal(self) -> str:
        """Return the value, read from the environment or from Databricks' secret scope.

        >>> import os
        >>> Secret("env:PATH").reveal() == os.environ["PATH"]
        True

        Raises:
            UnknownName: the environment variable is not set or empty, or the scope has no such key.
            Infrastructure: the workspace did not answer, or refused.
        """
        variable = _ENVIRONMENT.fullmatch(self.reference)
        if variable:
            value = os.environ.get(variable[1], "")
            if not value:
                raise UnknownName(f"secret {self.reference}: the environment variable {variable[1]} is not set.")
            return value
        scope_and_key = _DATABRICKS.fullmatch(self.reference)
        assert scope_and_key is not None, self.reference  # the only other form that the constructor lets in
        return _from_databricks(*scope_and_key.groups())

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)


class Scrubber:
    """Replaces known secret values, plain or escaped as notebooks, HTML, JSON and URLs do, in what is to be written."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        """Read the values of ``secrets``; raises what :meth:`Secret.reveal` raises."""
        forms: set[str] = set()
        for value in (secret.reveal() for secret in secrets):
            forms |= {value, html.escape(value), repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe="")}
        # the longest first, so that a value that contains another goes whole
        escaped = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        self._pattern = re.compile("|".join(escaped)) if escaped else None

    def clean(self, value: Any) -> Any:
        """Return ``value`` (text, or dicts and lists of it) without the secrets; anything else comes back as it is."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(_SHOWN, value)
        if isinstance(value, dict):
            return type(value)((self.clean(key), self.clean(item)) for key, item in value.items())
        if isinstance(value, list | tuple):
            return type(value)(self.clean(item) for item in value)
        return value


def _from_databricks(scope: str, key: str) -> str:
    sdk = need("databricks.sdk")
    errors = need("databricks.sdk.errors")
    try:
        return sdk.WorkspaceClient().dbutils.secrets.get(scope, key)
    except errors.NotFound as error:
        raise UnknownName(f"secret databricks:{scope}/{key}: the workspace has no such scope or key.") from error
    except (errors.DatabricksError, OSError, ValueError) as error:
        raise Infrastructure(
            f"secret databricks:{scope}/{key} cannot be read: {type(error).__name__}.   databricks auth login"
        ) from error

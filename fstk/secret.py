"""Secrets by reference: what is written down names where a secret is kept; its value is read when it is needed."""

from __future__ import annotations

import os
import re

from fstk.errors import Infrastructure, InvalidInput, UnknownName
from fstk.optional import need

FORMS = "env:NAME or databricks:scope/key"
_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_DATABRICKS = re.compile(r"databricks:([A-Za-z0-9_.@-]+)/([A-Za-z0-9_.@-]+)")


class Secret:
    """A reference to a secret; shows itself as the reference, and reads the value anew at every :meth:`reveal`.

    >>> password = Secret("env:STORE_PASSWORD")
    >>> password
    Secret('env:STORE_PASSWORD')
    >>> Secret("hunter2")
    Traceback (most recent call last):
    fstk.errors.InvalidInput: not a reference to a secret (env:NAME or databricks:scope/key)
    """

    def __init__(self, reference: str) -> None:
        """Take a reference, ``env:NAME`` or ``databricks:scope/key``.

        Raises:
            InvalidInput: anything else; the text is not repeated, since it may be the secret itself.
        """
        if not (_ENVIRONMENT.fullmatch(reference) or _DATABRICKS.fullmatch(reference)):
            raise InvalidInput(f"not a reference to a secret ({FORMS})")
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

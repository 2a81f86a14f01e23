"""Secrets by reference: what is written down names where a secret is kept, and the secret is read when it is needed."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from fstk.errors import AccessDenied, InvalidInput
from fstk.optional import need

FORMS = "env:NAME or databricks:scope/key"


@dataclass(frozen=True)
class Secret:
    """Where a secret is kept; holds none itself, so that it can be shown, stored and compared.

    Args:
        reference: ``env:NAME`` an environment variable, ``databricks:scope/key`` a secret of a Databricks scope.

    Raises:
        InvalidInput: no such reference; the message repeats none of it, since it may be the secret itself.

    >>> Secret("env:REDIS_PASSWORD")
    Secret(reference='env:REDIS_PASSWORD')
    """

    reference: str

    def __post_init__(self) -> None:
        scheme, _, place = self.reference.partition(":")
        parts = place.split("/")
        fits = {"env": len(parts) == 1, "databricks": len(parts) == 2}
        if not fits.get(scheme) or not all(parts):
            raise InvalidInput(f"a secret is given by where it is kept, {FORMS}, never itself")

    def read(self) -> str:
        """Return the secret as it is now.

        Raises:
            InvalidInput: the environment variable is not set.
            AccessDenied: the keeper of secrets does not give it.

        >>> import os
        >>> os.environ["REDIS_PASSWORD"] = "correct horse"
        >>> Secret("env:REDIS_PASSWORD").read()
        'correct horse'
        """
        scheme, _, place = self.reference.partition(":")
        return {"env": _variable, "databricks": _of_databricks}[scheme](place)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise InvalidInput(f"the environment variable {name}, which holds a secret, is not set. export {name}=…")
    return value


def _of_databricks(place: str) -> str:
    scope, key = place.split("/")
    sdk = need("databricks.sdk")
    try:
        held = sdk.WorkspaceClient().secrets.get_secret(scope, key).value
    except (sdk.errors.DatabricksError, ValueError) as error:
        raise AccessDenied(f"the secret {place} of Databricks cannot be read: {error}".splitlines()[0]) from error
    return base64.b64decode(held or "").decode()

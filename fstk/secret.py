"""Secrets by reference: what is written down names where a secret is kept; its value is read when it is needed."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from fstk.errors import AccessDenied, Infrastructure, InvalidInput, UnknownName
from fstk.optional import need

FORMS = "env:NAME, databricks:scope/key or keyvault:vault/name"
_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_DATABRICKS = re.compile(r"databricks:([A-Za-z0-9_.@-]+)/([A-Za-z0-9_.@-]+)")

_QUIET = logging.NullHandler()
_KEY_VAULT = re.compile(r"keyvault:([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d+)?)/([A-Za-z0-9-]+)")


class Secret:
    """A reference to a secret; shows itself as the reference, and reads the value anew at every :meth:`reveal`.

    >>> password = Secret("env:STORE_PASSWORD")
    >>> password
    Secret('env:STORE_PASSWORD')
    >>> Secret("hunter2")
    Traceback (most recent call last):
    fstk.errors.InvalidInput: not a reference to a secret (env:NAME, databricks:scope/key or keyvault:vault/name)
    """

    def __init__(self, reference: str) -> None:
        """Take a reference, ``env:NAME``, ``databricks:scope/key`` or ``keyvault:vault/name``; a vault that is not at
        ``vault.azure.net`` is written with its full host name.

        Raises:
            InvalidInput: anything else; the text is not repeated, since it may be the secret itself.
        """
        if not any(form.fullmatch(reference) for form in (_ENVIRONMENT, _DATABRICKS, _KEY_VAULT)):
            raise InvalidInput(f"not a reference to a secret ({FORMS})")
        self.reference = reference

    def reveal(self) -> str:
        """Return the value, read from the environment, Databricks' secret scope or the Key Vault. A secret of the scope
        is read from the variable ``FSTK_SECRET_SCOPE__KEY`` where that is set, as where no workspace is.

        >>> import os
        >>> Secret("env:PATH").reveal() == os.environ["PATH"]
        True

        Raises:
            UnknownName: the environment variable is not set or empty, or the scope or vault has no such key.
            Infrastructure: workspace or vault did not answer, or refused.
        """
        variable = _ENVIRONMENT.fullmatch(self.reference)
        if variable:
            value = os.environ.get(variable[1], "")
            if not value:
                raise UnknownName(f"secret {self.reference}: the environment variable {variable[1]} is not set.")
            return value
        scope_and_key = _DATABRICKS.fullmatch(self.reference)
        if scope_and_key:
            return _from_databricks(*scope_and_key.groups())
        vault_and_name = _KEY_VAULT.fullmatch(self.reference)
        assert vault_and_name is not None, self.reference  # the only other form that the constructor lets in
        return _from_key_vault(*vault_and_name.groups())

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)


def azure_login() -> Any:
    """Return azure-identity's login of where this runs: its variables, a workload's or a managed identity, ``az``."""
    logging.getLogger("azure.identity").addHandler(_QUIET)  # why a login failed is told in the error that follows
    return need("azure.identity").DefaultAzureCredential()


def _from_databricks(scope: str, key: str) -> str:
    variable = "FSTK_SECRET_" + "__".join(re.sub(r"\W", "_", part).upper() for part in (scope, key))
    if os.environ.get(variable):
        return os.environ[variable]
    sdk = need("databricks.sdk")
    errors = need("databricks.sdk.errors")
    try:
        return sdk.WorkspaceClient().dbutils.secrets.get(scope, key)
    except errors.NotFound as error:
        raise UnknownName(f"secret databricks:{scope}/{key}: the workspace has no such scope or key.") from error
    except (errors.DatabricksError, OSError, ValueError) as error:
        raise Infrastructure(
            f"secret databricks:{scope}/{key} cannot be read: {type(error).__name__}.   databricks auth login"
            f"   or, without a workspace: export {variable}=…"
        ) from error


def _from_key_vault(vault: str, name: str) -> str:
    client = need("azure.keyvault.secrets").SecretClient
    errors = need("azure.core.exceptions")
    secret, host = f"secret keyvault:{vault}/{name}", vault if {*".:"} & {*vault} else f"{vault}.vault.azure.net"
    try:
        with client(f"https://{host}", azure_login(), retry_total=1, connection_timeout=5, read_timeout=10) as opened:
            return opened.get_secret(name).value
    except errors.ResourceNotFoundError as error:
        raise UnknownName(f"{secret}: the vault has no such secret.") from error
    except errors.HttpResponseError as error:  # a login that fails is one, too
        raise AccessDenied(f"{secret} may not be read: {type(error).__name__}.   az login") from error
    except (errors.AzureError, ValueError) as error:
        raise Infrastructure(f"{secret} cannot be read: {type(error).__name__}.") from error

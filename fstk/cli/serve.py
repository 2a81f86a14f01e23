"""``fstk serve`` and ``fstk token``: a model over HTTP, and who may ask it."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Option

from fstk.display import Displayed
from fstk.errors import InvalidInput


def serve(
    model: Annotated[str, Argument(metavar="MODEL", help="models:/NAME@ALIAS, models:/NAME/VERSION or runs:/ID/PATH.")],
    store: Annotated[
        str | None, Option("--store", metavar="URL", help="The online store; by default that of the settings.")
    ] = None,
    host: Annotated[str, Option("--host", metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", metavar="PORT", help="The port; 0 is any that is free.")] = 8000,
    workers: Annotated[int, Option("--workers", metavar="N", help="How many processes answer.")] = 2,
) -> None:
    """Serve a model over HTTP, with its features from the online store.

    POST /invocations takes dataframe_records, dataframe_split, instances or inputs as JSON, with a token of fstk token
    in the header Authorization: Bearer …, and answers {"predictions": […]}. GET /ping, /health, /metrics.
    """
    from fstk.verbs.serve import ServeRequest

    ServeRequest(model, store, host, port, workers).run()


def token(
    action: Annotated[Literal["new", "list", "revoke"], Argument(metavar="new|list|revoke", help="What to do.")],
    name: Annotated[
        str | None, Argument(metavar="PRINCIPAL|ID", help="Whose token to make, or the id of the one to revoke.")
    ] = None,
    groups: Annotated[
        str, Option("--groups", metavar="A,B", help="Groups that the principal of a new token is in.")
    ] = "",
    expires: Annotated[
        str | None, Option("--expires", metavar="30d", help="How long a new token is valid. Default: until revoked.")
    ] = None,
) -> Displayed:
    """Make, list and revoke tokens for fstk serve.

    A new token is shown once; the project keeps its hash.
    """
    from fstk.verbs import token as tokens

    if action == "list":
        if name is not None:
            raise InvalidInput("fstk token list takes no name.")
        return tokens.listed()
    if name is None:
        raise InvalidInput(f"fstk token {action} takes {'a PRINCIPAL' if action == 'new' else 'an ID'}.")
    if action == "revoke":
        return tokens.revoke(name)
    return tokens.new(name, [group.strip() for group in groups.split(",") if group.strip()], expires)

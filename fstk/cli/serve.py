"""``fstk serve`` and ``fstk token``: a model, or a feature set, over HTTP, and who may ask it."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from fstk.cli.call import Opened, call_of
from fstk.display import Displayed
from fstk.errors import GateRefused, InvalidInput
from fstk.optional import need


def serve(
    context: Context,
    model: Annotated[
        str | None, Argument(metavar="MODEL", help="models:/NAME@ALIAS, models:/NAME/VERSION or runs:/ID/PATH.")
    ] = None,
    features: Annotated[
        str | None, Option("--features", metavar="NAME", help="Serve a feature spec, without a model.")
    ] = None,
    store: Annotated[
        str | None, Option("--store", metavar="URL", help="The online store; by default that of the settings.")
    ] = None,
    host: Annotated[str, Option("--host", metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        Option("--port", metavar="PORT", help="The port; 0 is any free one, as in a notebook. Default: 8000."),
    ] = None,
    workers: Annotated[int, Option("--workers", metavar="N", help="How many processes answer.")] = 2,
    log_table: Annotated[
        str | None, Option("--log-table", metavar="NAME", help="Append every answer to this table, beside answering.")
    ] = None,
    stop: Annotated[bool, Option("--stop", help="Stop what this notebook serves.")] = False,
) -> Displayed | Opened | None:
    """Serve a model or a feature spec over HTTP.

    POST /invocations takes dataframe_records, dataframe_split, instances or inputs as JSON, with a token of fstk token
    in the header Authorization: Bearer …, and answers {"predictions": […]}. A feature spec answers with its features,
    and with the status of each row in each table, its age in seconds and source version. GET /ping, /health, /metrics,
    and with a token /openapi.json. In a notebook it serves beside it, shows what it counts, tries a request, and ends
    with its kernel.
    """
    from fstk.verbs import serve as serving

    beside = call_of(context).in_notebook
    if stop:
        if not beside or model is not None or features is not None:
            raise InvalidInput("--stop stops what a notebook serves, and takes no model; in a terminal it is Ctrl-C.")
        return serving.stop()
    if (model is None) == (features is None):
        raise InvalidInput("fstk serve takes a MODEL, such as models:/churn_model@champion, or --features NAME.")
    if beside:
        need("ipywidgets")
        served = serving.ServeRequest(model, features, store, host, port or 0, workers, log_table).beside()
        return Opened("ServingPanel", {"served": served})
    serving.ServeRequest(model, features, store, host, 8000 if port is None else port, workers, log_table).run()
    return None


def replay(
    context: Context,
    name: Annotated[str, Argument(metavar="NAME", help="The log that fstk serve --log-table writes.")],
    newest: Annotated[
        int | None, Option("--newest", metavar="N", help="Only so many rows, the newest. Default: all.")
    ] = None,
) -> Displayed:
    """Make what was served again, offline.

    Each row's features are rebuilt of its tables, at the versions that it was served from, as its instant sees them,
    and the model is asked again. What comes out otherwise is named with its reason. In a terminal the exit code is 3
    when anything does.
    """
    from fstk.verbs.replay import replay as made_again

    report = made_again(name, newest)
    if report.ok or call_of(context).in_notebook:
        return report
    print(report, flush=True)
    raise GateRefused(f"{report.rows - report.equal:,} of {report.rows:,} rows are not as they were served.")


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
    only: Annotated[bool, Option("--only", help="Print a new token and nothing else, for a variable.")] = False,
) -> Displayed | str:
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
    made = tokens.new(name, [group.strip() for group in groups.split(",") if group.strip()], expires)
    return made.shown if only else made

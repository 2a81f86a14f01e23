"""``fstk pit`` and ``fstk explain``: the point-in-time join, looked at before it is made."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from fstk.cli.call import AsWidget, Opened, call_of, opened
from fstk.cli.prove import gated
from fstk.display import Displayed
from fstk.errors import InvalidInput
from fstk.progress import at_work


def pit(
    context: Context,
    labels: Annotated[str, Argument(metavar="LABELS", help="A variable that holds a frame, or a table.")],
    label: Annotated[str | None, Option(metavar="COLUMN", help="The labels' column to be predicted.")] = None,
    at: Annotated[
        str | None, Option(metavar="COLUMN", help="The labels' time; no row after it is seen. For tables with a time.")
    ] = None,
    spine: Annotated[
        str | None,
        Option(
            metavar="START,END,EVERY",
            help="The labels are the entities that the feature table LABELS knew on this calendar.",
        ),
    ] = None,
    zone: Annotated[
        str | None,
        Option(
            "--tz", metavar="ZONE", help="Whose clocks --at shows where it has none, as Europe/London. Default: UTC."
        ),
    ] = None,
    unclear_times: Annotated[
        Literal["refuse", "earlier", "later"],
        Option(help="What times mean that the zone skipped or had twice."),
    ] = "refuse",
    every: Annotated[bool, Option("--all", help="Look at all labels, not at a sample.")] = False,
    as_known: Annotated[
        bool,
        Option("--as-known", help="Also show what a join as known at the label's time, without backfills, changes."),
    ] = False,
    one: Annotated[
        str | None, Option(metavar="KEY", help="Draw the newest label of this key; several columns with commas.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Leave this column out of the training set; may be repeated, or with commas."),
    ] = None,
    default: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="Stands for the nulls of this feature; may be repeated."),
    ] = None,
    prove: Annotated[
        bool, Option("--prove", help="Prove what is looked up: rewrite the future, make the features again, compare.")
    ] = False,
    output: Annotated[
        str | None, Option("-o", "--output", metavar="NAME", help="Bind the training set to this variable.")
    ] = None,
    columns: Annotated[bool, Option("--columns", help="One line per column, however many there are.")] = False,
    code: Annotated[bool, Option("--code", help="Print the same as plain Python; no row is read.")] = False,
    widget: AsWidget = False,
) -> Displayed | Opened:
    """What each label would see of feature tables, and why not more.

    One lookup a line below, and one line for each column that Spark SQL computes of the labels and of what was found:

    feature_store.customer_features (spend_30d as spend, txn_count_30d) on customer_id within 30d

    expr amount / nullif(spend, 0) as ratio
    """
    if widget:
        for option, given in (("--spine", spine), ("--tz", zone)):
            if given is not None:
                raise InvalidInput(
                    f"{option} and --widget do not go together; bind the training set with -o, or leave --widget out."
                )
        lookups = call_of(context).cell
        return opened(context, "JoinPreview", labels=labels, label=label, at=at, lookups=lookups, as_known=as_known)
    from fstk.verbs.pit import names_of, parse, values_of

    call = call_of(context)
    left_out, defaults = names_of(exclude or []), values_of(default or [])
    request = parse(
        call.namespace,
        call.text,
        labels,
        label,
        at,
        as_known,
        spine,
        zone=zone,
        unclear=unclear_times,
        exclude=left_out,
        defaults=defaults,
    )
    preview = None if code else request.preview(every=every, one=one, bound=output)
    if output is not None:
        call.bind(output, request.training_set())
    if preview is None:
        return request.code()
    preview = preview.every_column() if columns else preview
    if not prove:
        return preview
    from fstk.verbs.prove import prove_join

    with at_work("proving") as told:
        proven = prove_join(request, preview, told)
    return gated(call, proven, proven.refusal)


def why(
    table: Annotated[str, Argument(metavar="TABLE", help="The feature table.")],
    feature: Annotated[str, Argument(metavar="FEATURE", help="One of its features.")],
    key: Annotated[str, Option(metavar="KEY", help="The key; of several columns with commas between.")],
    at: Annotated[
        str | None, Option(metavar="TIME", help="The value as it stood then, such as 1998-03-25; else the newest.")
    ] = None,
) -> Displayed:
    """List the source rows that made one value.

    The value is computed from them alone and compared bit for bit; source and definition are those of the table's
    version that wrote it.
    """
    from fstk.verbs import why as answer

    return answer.why(table, feature, key, at)


def explain(
    context: Context,
    name: Annotated[
        str, Argument(metavar="TABLE|VARIABLE", help="A training set of the notebook, or a feature table.")
    ],
    key: Annotated[str, Argument(metavar="KEY", help="The key; of several columns with commas between.")],
) -> Displayed:
    """Why the labels of one key see what they see; or a table's rows.

    Given a training set of the notebook, what its labels see of each table; given a feature table, its rows of the key.
    """
    from fstk.verbs import explain as answer

    return answer.explain(call_of(context).namespace or {}, name, key)

"""Aggregate expressions read: one function of a scalar argument, an optional filter, and nothing that could leak.

The argument and the filter are handed to the engine exactly as they were written; parsing only finds and judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # pyright: ignore[reportPrivateImportUsage]

from fstk.errors import BadExpression
from fstk.windows.aggregates import AGGREGATES, AggregateFunction
from fstk.windows.clock import clock_uses, tokens_of

FUNCTIONS = tuple(dict.fromkeys(function.name for function in AGGREGATES))
"""What an aggregate may call."""
_ALLOWED = f"Allowed: {', '.join(form for function in AGGREGATES for form in function.forms)}."
_INSTEAD = {"mean": "avg", "std": "stddev", "stddev_samp": "stddev", "count_if": "count(*) filter (where …)"}

_SESSION = "current_user session_user user current_catalog current_database current_schema current_timezone"
_CHANCE = (
    "rand random randn randstr uniform uuid uuidv4 uuidv7 shuffle monotonically_increasing_id spark_partition_id "
    "input_file_name input_file_block_start input_file_block_length java_method reflect try_reflect"
)
_ROWS = (
    "explode explode_outer posexplode posexplode_outer inline inline_outer stack json_tuple variant_explode "
    "variant_explode_outer window session_window"
)
_RANKS = "row_number rank dense_rank percent_rank cume_dist ntile lag lead nth_value"
_AGGREGATES = (
    "any_value approx_count_distinct approx_percentile approx_top_k array_agg avg bit_and bit_or bit_xor "
    "bitmap_construct_agg bitmap_or_agg bitmap_and_agg bool_and bool_or collect_list collect_set corr count count_if "
    "count_min_sketch covar_pop covar_samp every first first_value grouping grouping_id histogram_numeric "
    "hll_sketch_agg hll_union_agg kurtosis last last_value listagg max max_by mean median min min_by mode percentile "
    "percentile_approx percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 "
    "regr_slope regr_sxx regr_sxy regr_syy skewness some std stddev stddev_pop stddev_samp string_agg sum try_avg "
    "try_sum var_pop var_samp variance"
)
_REFUSED = {
    **dict.fromkeys(_SESSION.split(), "depends on who runs it and where"),
    **dict.fromkeys(_CHANCE.split(), "is not deterministic"),
    **dict.fromkeys(_ROWS.split(), "makes several rows of one"),
    **dict.fromkeys(_RANKS.split(), "is a window function"),
    **dict.fromkeys(_AGGREGATES.split(), "is itself an aggregate"),
}


@dataclass(frozen=True)
class Parsed:
    """One aggregate; ``argument`` and ``filter`` are Spark SQL, ``columns`` plain column names, all as written."""

    function: AggregateFunction
    argument: str | None
    filter: str | None
    columns: tuple[str, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> Parsed:
    """Read an aggregate expression such as ``sum(amount) filter (where channel = 'web')``, or raise BadExpression."""
    tokens = _tokens(text)
    name = tokens[0].text.lower()
    if len(tokens) < 3 or tokens[1].token_type != TokenType.L_PAREN:
        raise BadExpression(f"{text!r} is not an aggregate function of one expression. {_ALLOWED}")
    if any(token.token_type == TokenType.OVER for token in tokens):
        raise BadExpression(f"{text!r}: a window function (over …) is refused; the windows come from windows=[…].")
    if name not in FUNCTIONS:
        hint = f"Write {_INSTEAD[name]}." if name in _INSTEAD else _ALLOWED
        raise BadExpression(f"{text!r}: {name} is not an aggregate of windowed features. {hint}")
    close = _closing(tokens, 1, text)
    inside, after = tokens[2:close], tokens[close + 1 :]
    filtered, condition = _filter(after, text)
    if not inside:
        raise BadExpression(
            f"{text!r}: {name} takes an argument, as in {name}({'*' if name == 'count' else 'amount'})."
        )
    distinct = inside[0].token_type == TokenType.DISTINCT
    inside = inside[distinct:]
    function = next((one for one in AGGREGATES if (one.name, one.distinct) == (name, distinct)), None)
    if function is None:
        raise BadExpression(f"{text!r}: distinct goes with count only.")
    if len(inside) == 1 and inside[0].token_type == TokenType.STAR:
        if not function.star:
            raise BadExpression(f"{text!r}: * goes with count(*) only.")
        return Parsed(function, None, filtered, _columns(condition))
    argument = _slice(text, inside)
    return Parsed(function, argument, filtered, _columns(_scalar(argument, text), condition))


def _filter(tokens: list[Token], text: str) -> tuple[str | None, exp.Expr | None]:
    if not tokens:
        return None, None
    kinds = [token.token_type for token in tokens[:3]]
    if kinds != [TokenType.FILTER, TokenType.L_PAREN, TokenType.WHERE] or _closing(tokens, 1, text) != len(tokens) - 1:
        raise BadExpression(
            f"{text!r}: after the aggregate only FILTER (WHERE …) may stand; got {_slice(text, tokens)!r}. {_ALLOWED}"
        )
    condition = _slice(text, tokens[3:-1])
    return condition, _scalar(condition, text)


def _scalar(part: str, text: str) -> exp.Expr:
    """Parse the argument or the condition, and refuse what is not a deterministic function of one row."""
    try:
        trees = sqlglot.parse(part, dialect="databricks")
    except SqlglotError as error:
        raise BadExpression(f"{text!r}: {part!r} is not one SQL expression.") from error
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        raise BadExpression(f"{text!r}: {part!r} is not one SQL expression.")
    for node in tree.walk():
        if isinstance(node, exp.Query):
            raise BadExpression(f"{text!r}: a subquery is refused; join the source first.")
        if isinstance(node, exp.Placeholder | exp.Parameter):
            raise BadExpression(f"{text!r}: a parameter marker is refused; put the value itself.")
    if not isinstance(tree, exp.Condition):
        raise BadExpression(f"{text!r}: {part!r} is not a scalar SQL expression.")
    for use in clock_uses(part):
        raise BadExpression(f"{text!r}: {use} depends on when it is run, so it is refused inside a windowed feature.")
    for token, after in pairwise(_tokens(part)):
        name = token.text.lower()
        if after.token_type == TokenType.L_PAREN and name in _REFUSED:
            raise BadExpression(f"{text!r}: {name} {_REFUSED[name]}, so it is refused inside a windowed feature.")
    for node in tree.find_all(exp.AggFunc):
        raise BadExpression(f"{text!r}: {node.sql_name().lower()} is itself an aggregate, so it is refused here.")
    return tree


def _columns(*trees: exp.Expr | None) -> tuple[str, ...]:
    found = [column for tree in trees if tree is not None for column in tree.find_all(exp.Column, bfs=False)]
    return tuple(dict.fromkeys(column.name for column in found if not column.table))


def _tokens(text: str) -> list[Token]:
    tokens = tokens_of(text)
    if not tokens:
        raise BadExpression(f"an aggregate expression is empty. {_ALLOWED}")
    return tokens


def _closing(tokens: list[Token], opening: int, text: str) -> int:
    depth = 0
    for position in range(opening, len(tokens)):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[position].token_type, 0)
        if depth == 0:
            return position
    raise BadExpression(f"{text!r}: a parenthesis is not closed.")


def _slice(text: str, tokens: list[Token]) -> str:
    return text[tokens[0].start : tokens[-1].end + 1] if tokens else ""

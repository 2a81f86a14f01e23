"""What an expression of a row may be: a deterministic function of that row's columns, and of nothing else.

Syntax and functions are those listed here; all else is refused by its name, before anything runs. The text is handed to
the engine exactly as it was written: parsing only finds and judges what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.errors import SqlglotError

from fstk.engines.sql.clock import BARE, tokens_of
from fstk.engines.sql.clock import FUNCTIONS as CLOCKS
from fstk.engines.types import quoted_name
from fstk.errors import BadExpression, UnknownColumn, nearest

# Functions of Spark SQL, and some of Databricks, whose value depends on their arguments alone.
_DETERMINISTIC = """
abs acos acosh add_months aes_decrypt aggregate array array_append array_compact array_contains array_distinct
array_except array_insert array_intersect array_join array_max array_min array_position array_prepend array_remove
array_repeat array_size array_sort array_union arrays_overlap arrays_zip ascii asin asinh atan atan2 atanh base64
between bigint bin binary bit_count bit_get bit_length bitmap_bit_position bitmap_bucket_number bitmap_count boolean
bround btrim cardinality cbrt ceil ceiling char char_length character_length charindex chr coalesce collation concat
concat_ws contains conv convert_timezone cos cosh cot crc32 csc date date_add date_diff date_format
date_from_unix_date date_part date_sub date_trunc dateadd datediff datepart day dayname dayofmonth dayofweek
dayofyear decimal decode degrees double e element_at elt encode endswith equal_null exists exp expm1 extract
factorial filter find_in_set flatten float floor forall format_number format_string from_csv from_json from_unixtime
from_utc_timestamp get get_json_object getbit greatest hash hex hour hypot if iff ifnull ilike initcap instr int
is_valid_utf8 is_variant_null isnan isnotnull isnull json_array_length json_object_keys lcase least left len length
levenshtein like ln locate log log10 log1p log2 lower lpad ltrim luhn_check make_date make_dt_interval make_interval
make_time make_timestamp make_timestamp_ltz make_timestamp_ntz make_valid_utf8 make_ym_interval map map_concat
map_contains_key map_entries map_filter map_from_arrays map_from_entries map_keys map_values map_zip_with mask md5
minute mod month monthname months_between named_struct nanvl negative next_day not nullif nullifzero nvl nvl2
octet_length overlay parse_json parse_url pi pmod position positive pow power printf quarter quote radians reduce
regexp regexp_count regexp_extract regexp_extract_all regexp_instr regexp_like regexp_replace regexp_substr repeat
replace reverse right rint rlike round rpad rtrim sec second sequence sha sha1 sha2 shiftleft shiftright
shiftrightunsigned sign signum sin sinh size slice smallint sort_array soundex space split split_part sqrt
startswith str_to_map string struct substr substring substring_index tan tanh time_diff time_trunc timediff
timestamp timestamp_micros timestamp_millis timestamp_seconds timestampadd timestampdiff tinyint to_binary to_char
to_csv to_date to_json to_number to_time to_timestamp to_timestamp_ltz to_timestamp_ntz to_unix_timestamp
to_utc_timestamp to_varchar to_variant_object transform transform_keys transform_values translate trim trunc try_add
try_aes_decrypt try_divide try_element_at try_make_interval try_make_timestamp try_make_timestamp_ltz
try_make_timestamp_ntz try_mod try_multiply try_parse_json try_parse_url try_subtract try_to_binary try_to_date
try_to_number try_to_time try_to_timestamp try_url_decode try_validate_utf8 try_variant_get typeof ucase unbase64
unhex unix_date unix_micros unix_millis unix_seconds unix_timestamp upper url_decode url_encode validate_utf8
variant_get weekday weekofyear width_bucket xxhash64 year zeroifnull zip_with
"""
_ALLOWED = frozenset(_DETERMINISTIC.split())

_SESSION = "current_user session_user user current_catalog current_database current_schema current_timezone version"
_CHANCE = "rand random randn randstr uniform uuid uuidv4 uuidv7 shuffle aes_encrypt"
_PLACE = (
    "monotonically_increasing_id spark_partition_id input_file_name input_file_block_start input_file_block_length "
    "_metadata"
)
_OUTSIDE = (
    "java_method reflect try_reflect secret try_secret http_request ai_query read_files xpath xpath_boolean "
    "xpath_double xpath_float xpath_int xpath_long xpath_number xpath_short xpath_string from_avro from_protobuf"
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
_REASONS = {
    **dict.fromkeys(CLOCKS, "depends on when it is run"),
    **dict.fromkeys(_SESSION.split(), "depends on who runs it and where"),
    **dict.fromkeys(_CHANCE.split(), "is not deterministic"),
    **dict.fromkeys(_PLACE.split(), "depends on where the row is stored or computed"),
    **dict.fromkeys(_OUTSIDE.split(), "reaches beyond the row"),
    **dict.fromkeys(_ROWS.split(), "makes several rows of one"),
    **dict.fromkeys(_RANKS.split(), "is a window function"),
    **dict.fromkeys(_AGGREGATES.split(), "is itself an aggregate"),
}
_UNKNOWN = "is not one of Spark's functions known to depend on its arguments alone"

_SYNTAX = (
    *(exp.Column, exp.Identifier, exp.Dot, exp.Bracket, exp.Paren, exp.Tuple, exp.Lambda, exp.Kwarg, exp.Var),
    *(exp.Literal, exp.RawString, exp.HexString, exp.Boolean, exp.Null, exp.Interval, exp.IntervalSpan, exp.Concat),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.DPipe),
    *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift, exp.BitwiseRightShift),
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between),
    *(exp.And, exp.Or, exp.Not, exp.Like, exp.ILike, exp.RegexpLike, exp.Escape, exp.Any, exp.All, exp.Collate),
    *(exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.ColumnDef),
    *(exp.Extract, exp.Substring, exp.Trim, exp.StrPosition, exp.Overlay),
    *(exp.JSONExtract, exp.JSONPath, exp.JSONPathPart),
)
_UNFINISHED = re.compile(
    r"([<>=!]+|[-+*/%|&^,(]|\b(?:and|or|not|in|i?like|between|is|when|then|else)\b)\s*$", re.IGNORECASE
)
_UNITS = frozenset(("dateadd", "date_add", "datediff", "date_diff", "timediff", "timestampadd", "timestampdiff"))
# A literal that is read as a time names a year: Spark takes 'now' and '12:30' for today's.
_WITH_YEAR = re.compile(r"\s*(?:[+-]?\d{4}|epoch\s*$)", re.IGNORECASE)
_TIME_KINDS = frozenset(
    (
        *(exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ),
        *(exp.DataType.Type.TIMESTAMPLTZ, exp.DataType.Type.TIMESTAMPNTZ),
    )
)
_TIME_MAKERS = frozenset(
    (
        *("date", "to_date", "try_to_date", "timestamp", "to_timestamp", "to_timestamp_ltz", "to_timestamp_ntz"),
        *("try_to_timestamp", "unix_timestamp", "to_unix_timestamp"),
    )
)


class Plain(Databricks):
    """Databricks' SQL in which every function is what it is called, and a word without parentheses a column."""

    class Parser(Databricks.Parser):
        FUNCTIONS = {}  # noqa: RUF012 as the class that it changes
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: Databricks.Parser.FUNCTION_PARSERS[name]
            for name in ("CAST", "TRY_CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTR", "SUBSTRING", "TRIM")
        }
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
            name: Databricks.Parser.NO_PAREN_FUNCTION_PARSERS[name] for name in ("CASE", "ANY")
        }


@dataclass(frozen=True)
class Scalar:
    """One expression: as it was written, parsed, and the columns that it reads (of ``a.b`` it is ``a``)."""

    text: str
    tree: exp.Expr
    columns: tuple[str, ...]


def scalar(text: str, of: str) -> Scalar:
    """Read an expression, or raise BadExpression that begins with ``of`` and names what is refused.

    >>> scalar("upper(channel) = 'WEB' AND amount > 10", "filter_condition").columns
    ('channel', 'amount')
    """
    tree = _parsed(text, of)
    for node in tree.walk():
        if isinstance(node, exp.Query | exp.Values | exp.Exists):
            raise BadExpression(f"{of}: a subquery is refused; join the source first.")
        if isinstance(node, exp.Placeholder | exp.Parameter):
            raise BadExpression(f"{of}: a parameter marker is refused; put the value itself.")
        if isinstance(node, exp.Window):
            raise BadExpression(f"{of}: a window function (over …) is refused here.")
        if isinstance(node, exp.Anonymous):
            _check_function(node, of)
        elif not isinstance(node, _SYNTAX) and not (
            isinstance(node, exp.Alias) and isinstance(node.parent, exp.Anonymous)
        ):
            raise BadExpression(f"{of}: {text!r} is not a scalar SQL expression.")
        for operand in _read_as_time(node):
            _check_time(operand, of)
    return Scalar(text, tree, tuple(dict.fromkeys(_roots(tree, of))))


def renamed(found: Scalar, columns: Mapping[str, str]) -> str:
    """Return the text of an expression that reads other columns: name in the text, whatever its case → column.

    >>> renamed(scalar("a / nullif(b, 0) -- a share", "ratio"), {"a": "amount", "b": "spend 30d"})
    '`amount` / nullif(`spend 30d`, 0) -- a share'
    """
    by_name = {name.lower(): quoted_name(column) for name, column in columns.items()}
    text = found.text
    for root in sorted(_columns(found.tree), key=lambda root: root.meta["start"], reverse=True):
        text = text[: root.meta["start"]] + by_name[root.name.lower()] + text[root.meta["end"] + 1 :]
    return text


def check_columns(columns: Iterable[str], known: Collection[str], of: str) -> None:
    """Refuse what is no column (UnknownColumn), which Spark may read all the same, such as ``_metadata``, a variable of
    the session and ``current_user`` without parentheses."""
    lowered = {column.lower() for column in known}
    for column in columns:
        if column.lower() not in lowered:
            reason = _REASONS.get(column.lower())
            more = f" What Spark means by it {reason}." if reason else nearest(column, known)
            raise UnknownColumn(f"{of}: no column {column}.{more}")


def function_name(node: exp.Expr) -> str:
    """Return what the function of a node is called, in lower case; the empty text where it is none."""
    return node.name.lower() if isinstance(node, exp.Anonymous) else ""


def arguments(node: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of a function, without a unit that stands first, as in ``datediff(day, a, b)``."""
    found = list(node.expressions)
    return found[1:] if function_name(node) in _UNITS and len(found) == 3 else found


def is_text(node: exp.Expr) -> bool:
    """Tell whether a node is text as it was written."""
    return isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string)


def _parsed(text: str, of: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(text, dialect=Plain)
    except (SqlglotError, RecursionError) as error:
        unfinished = _UNFINISHED.search(text)
        more = f": something is missing after {unfinished[1]}" if unfinished else ""
        raise BadExpression(f"{of}: {text!r} is not one SQL expression{more}.") from error
    tree = trees[0] if len(trees) == 1 else None
    if tree is None or any("/*" in comment for token in tokens_of(text) for comment in token.comments):
        # Where a comment inside a comment ends, parsers disagree: one might run what another passes over.
        raise BadExpression(f"{of}: {text!r} is not one SQL expression.")
    return tree


def _check_function(node: exp.Anonymous, of: str) -> None:
    name = node.name.lower()
    if name not in _ALLOWED:
        raise _refusal(name, of)
    if isinstance(node.parent, exp.Dot) and node.parent.expression is node:
        raise BadExpression(f"{of}: {name} is called as a function of a catalog; write it without one.")
    if name in ("unix_timestamp", "to_unix_timestamp") and not node.expressions:
        raise BadExpression(f"{of}: {name}() depends on when it is run, so it is refused.")


def _refusal(name: str, of: str) -> BadExpression:
    reason = _REASONS.get(name.lower(), _UNKNOWN)
    return BadExpression(
        f"{of}: {name} {reason}, so it is refused: an expression depends on its row's columns and on nothing else. "
        "Compute it as a column first."
    )


def _read_as_time(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the operand that a node makes a time of, whatever its type."""
    if isinstance(node, exp.Cast | exp.TryCast) and node.to.this in _TIME_KINDS:
        yield node.this
    elif function_name(node) in _TIME_MAKERS and len(node.expressions) == 1:
        yield node.expressions[0]


def _check_time(operand: exp.Expr, of: str) -> None:
    """Refuse a constant text that may stand for now or for today; what reads a column is no constant to Spark."""
    texts = [node for node in operand.walk() if is_text(node)]
    if not texts or operand.find(exp.Column) is not None:
        return
    if operand.unnest() is not texts[0] or not _WITH_YEAR.match(texts[0].name):
        raise BadExpression(
            f"{of}: {operand.sql(dialect=Plain)} as a time may depend on when it is run, so it is refused; write one "
            "literal with its year, such as timestamp '2024-01-31 12:00:00'."
        )


def _roots(tree: exp.Expr, of: str) -> Iterator[str]:
    for root in _columns(tree):
        alone = root.parent is not None and root.parent.this is root
        if alone and not root.args.get("quoted") and root.name.lower() in BARE:
            raise _refusal(root.name, of)
        yield root.name


def _columns(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the name of each column that is read, of ``a.b`` that of ``a``."""
    for column in tree.find_all(exp.Column, bfs=False):
        if isinstance(column.parent, exp.Anonymous) and all(column is not one for one in arguments(column.parent)):
            continue  # a unit
        yield column.parts[0]

"""Aggregate expressions read: functions of a scalar argument, each with an optional filter, scalar expressions over
them, and nothing that could leak.

Arguments, filters and what is over the aggregates are handed to the engine exactly as they were written; parsing only
finds and judges them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot.tokens import Token, TokenType  # pyright: ignore[reportPrivateImportUsage]

from fstk.engines.sql.clock import tokens_of
from fstk.engines.sql.scalar import scalar
from fstk.engines.types import quoted_name
from fstk.errors import BadExpression
from fstk.windows.aggregates import AGGREGATES, AggregateFunction

FUNCTIONS = tuple(dict.fromkeys(function.name for function in AGGREGATES))
"""What an aggregate may call."""
_ALLOWED = f"Allowed: {', '.join(form for function in AGGREGATES for form in function.forms)}."
_INSTEAD = {"mean": "avg", "std": "stddev", "stddev_samp": "stddev", "variance": "var_samp", "first_value": "first"}
_INSTEAD |= {"last_value": "last", "percentile_cont": "percentile", "count_if": "count(*) filter (where …)"}
_STARRED = ", ".join(f"{function.name}(*)" for function in AGGREGATES if function.star)
_OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
_CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
_FILTER = [TokenType.FILTER, TokenType.L_PAREN, TokenType.WHERE]


@dataclass(frozen=True)
class Parsed:
    """One aggregate; ``argument`` and ``filter`` are Spark SQL, ``columns`` what they read, all as written."""

    function: AggregateFunction
    argument: str | None
    filter: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Expression:
    """Aggregates, each with its text, and the Spark SQL ``around`` them: one text more than there are aggregates."""

    aggregates: tuple[tuple[str, Parsed], ...]
    around: tuple[str, ...] = ("", "")

    @property
    def alone(self) -> bool:
        """Whether it is one aggregate and nothing else."""
        return self.around == ("", "")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that it reads."""
        return tuple(dict.fromkeys(column for _, one in self.aggregates for column in one.columns))

    def over(self, columns: Sequence[str]) -> str:
        """Return it as a scalar expression of ``columns`` that hold the aggregates' values."""
        pieces = zip(self.around[1:], columns, strict=True)
        return self.around[0] + "".join(f"{quoted_name(column)}{after}" for after, column in pieces)


@lru_cache(maxsize=1024)
def read(text: str) -> Expression:
    """Read an aggregate, or a scalar expression over some, such as ``sum(a) / nullif(count(*), 0)``, or raise
    BadExpression."""
    tokens = _tokens(text)
    spans = list(_aggregates(tokens, text))
    window = any(token.token_type == TokenType.OVER for token in tokens)
    if window or not spans or spans[0] == (0, len(tokens)):
        return Expression(((text, parse(text)),))
    for _, end in spans:
        if end < len(tokens) and tokens[end].token_type == TokenType.FILTER:
            raise _misplaced(tokens[end:], text)
    written = [_slice(text, tokens[start:end]) for start, end in spans]
    ends = [0, *(tokens[end - 1].end + 1 for _, end in spans)]
    around = tuple(text[begin : tokens[start].start] for begin, (start, _) in zip(ends, spans, strict=False))
    found = Expression(tuple((one, parse(one)) for one in written), (*around, text[ends[-1] :]))
    _check_over(found, text)
    return found


def _check_over(found: Expression, text: str) -> None:
    """Refuse what is no scalar expression of the aggregates alone."""
    prefix = "fstk_"
    while prefix in text.lower():
        prefix += "_"
    stand_ins = {f"{prefix}{number}": one for number, (one, _) in enumerate(found.aggregates)}
    try:
        columns = scalar(found.over(list(stand_ins)), repr(text)).columns
    except BadExpression as error:
        said = str(error)
        for name, one in stand_ins.items():
            said = said.replace(quoted_name(name), one)
        raise BadExpression(said) from error
    loose = next((column for column in columns if column not in stand_ins), None)
    if loose is not None:
        raise BadExpression(
            f"{text!r}: {loose} stands outside of an aggregate, where a window has many values of it; last({loose}) is "
            f"the newest. {_ALLOWED}"
        )


def _aggregates(tokens: list[Token], text: str) -> Iterator[tuple[int, int]]:
    """Yield where each aggregate that is in no other begins and ends, its filter included."""
    position = 0
    while position < len(tokens) - 1:
        called = tokens[position + 1].token_type == TokenType.L_PAREN
        if not called or tokens[position].text.lower() not in FUNCTIONS:
            position += 1
            continue
        end = _closing(tokens, position + 1, text) + 1
        if [token.token_type for token in tokens[end : end + 3]] == _FILTER:
            end = _closing(tokens, end + 1, text) + 1
        yield position, end
        position = end


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
    if function.parameter:
        comma = _comma(inside)
        if comma is None:
            raise BadExpression(f"{text!r}: {name} takes two arguments, as in {function.written('amount')}.")
        function, inside = function.of_parameter(_slice(text, inside[comma + 1 :])), inside[:comma]
    if len(inside) == 1 and inside[0].token_type == TokenType.STAR:
        if not function.star:
            raise BadExpression(f"{text!r}: * goes with {_STARRED} only.")
        return Parsed(function, None, filtered, condition)
    argument = scalar(_slice(text, inside), repr(text))
    return Parsed(function, argument.text, filtered, tuple(dict.fromkeys(argument.columns + condition)))


def _filter(tokens: list[Token], text: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the condition and the columns that it reads."""
    if not tokens:
        return None, ()
    kinds = [token.token_type for token in tokens[:3]]
    if kinds != _FILTER or _closing(tokens, 1, text) != len(tokens) - 1:
        raise _misplaced(tokens, text)
    condition = scalar(_slice(text, tokens[3:-1]), repr(text))
    return condition.text, condition.columns


def _misplaced(tokens: list[Token], text: str) -> BadExpression:
    return BadExpression(
        f"{text!r}: after the aggregate only FILTER (WHERE …) may stand; got {_slice(text, tokens)!r}. {_ALLOWED}"
    )


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


def _comma(tokens: list[Token]) -> int | None:
    """Return where the last comma outside of brackets is."""
    depth, found = 0, None
    for position, token in enumerate(tokens):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        if depth == 0 and token.token_type == TokenType.COMMA:
            found = position
    return found


def _slice(text: str, tokens: list[Token]) -> str:
    return text[tokens[0].start : tokens[-1].end + 1] if tokens else ""

"""What in SQL reads the clock: such an expression has another value each day, and over history it sees today."""

from __future__ import annotations

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # pyright: ignore[reportPrivateImportUsage]

from fstk.errors import BadExpression

FUNCTIONS = frozenset(
    ("current_date", "current_time", "current_timestamp", "curdate", "getdate", "localtimestamp", "now", "sysdate")
)
"""Functions of Spark SQL and Databricks that return the current date or time."""
BARE = frozenset(("current_date", "current_time", "current_timestamp", "localtimestamp"))  # called without () too
_MOMENTS = frozenset(("now", "today", "yesterday", "tomorrow"))  # as in date 'today'
_TYPES = frozenset(
    (TokenType.DATE, TokenType.TIMESTAMP, TokenType.TIMESTAMPTZ, TokenType.TIMESTAMPLTZ, TokenType.TIMESTAMPNTZ)
)


def clock_uses(sql: str) -> list[str]:
    """Return what in ``sql`` reads the clock, as a person would write it, in order, each once.

    ``sql`` is any piece of Spark SQL, not only a whole statement: tokens are looked at, so comments, strings and quoted
    names do not count, nor do columns and aliases that are called like a function without parentheses.
    """
    tokens = tokens_of(sql)
    found = [_use(tokens, position) for position in range(len(tokens))]
    return list(dict.fromkeys(use for use in found if use))


def tokens_of(sql: str) -> list[Token]:
    """Divide SQL into tokens; raises BadExpression where that cannot be done, such as for a string without an end."""
    try:
        return sqlglot.tokenize(sql, dialect="databricks")
    except SqlglotError as error:
        raise BadExpression(f"{sql!r} is not SQL: {error}") from error


def comments_of(sql: str) -> list[str]:
    """Return the comments of SQL, each without its signs; raises BadExpression as :func:`tokens_of`."""
    return [comment for token in tokens_of(sql) for comment in token.comments]


def _use(tokens: list[Token], position: int) -> str | None:
    token = tokens[position]
    name = token.text.lower()
    following = [after.token_type for after in tokens[position + 1 : position + 3]]
    if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING):
        return None
    if token.token_type in _TYPES and following[:1] == [TokenType.STRING]:
        moment = tokens[position + 1].text.strip().lower()
        return f"{name} '{moment}'" if moment in _MOMENTS else None
    if following[:1] == [TokenType.L_PAREN]:
        of_now = name in ("unix_timestamp", "to_unix_timestamp") and following[1:] == [TokenType.R_PAREN]
        return f"{name}()" if of_now or name in FUNCTIONS else None
    named = position > 0 and tokens[position - 1].token_type in (TokenType.DOT, TokenType.ALIAS)
    return name if name in BARE and not named else None

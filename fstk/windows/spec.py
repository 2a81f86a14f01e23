"""What the user says of one feature: its aggregate, and the words for windows and points."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field

from fstk.errors import BadExpression, InvalidName
from fstk.validated import validated
from fstk.windows.expression import Expression, read

Closed = Literal["left", "right", "both"]
Window = str | int | dt.timedelta | None
"""A window's length as people write it; None is all that was before."""
Points = Any
"""``"events"``, a frame or a :class:`Calendar`."""
_NOT_IN_NAMES = " ,;{}()\n\t=`."  # what Delta or a dotted path would take for something else


@validated()
class Aggregate:
    """One aggregate: a Spark SQL ``expression`` over the source's columns, and the ``name`` its features begin with.

    Args:
        expression: ``count``, ``sum``, ``avg``, ``min``, ``max``, ``stddev``, ``stddev_pop``, ``var_samp``,
            ``var_pop``, ``median``, ``mode``, ``first``, ``last`` or ``slope`` of x, ``count(*)``,
            ``count(distinct x)``, ``percentile(x, p)``, ``first_n(x, n)``, ``last_n(x, n)``, ``since_last(*)`` or
            ``since_first(*)``, each with an optional ``FILTER (WHERE condition)``; docs/windows.md has the rule of
            each. x and the condition are any deterministic scalar expressions; nulls are skipped by all but ``(*)``.
            Or a deterministic scalar expression over some of these, such as ``sum(x) / nullif(count(*), 0)``.
        name: its features are called ``{name}_{window}``, as in ``txn_count_7d``.
        group_by: a column of the source: the feature is a map from the column's values in the window, nulls left out,
            to the aggregate of their rows; an empty window is an empty map. Of one aggregate, not an expression over
            some.

    Raises:
        BadExpression: anything else, named: a subquery, a window function, the clock, chance, an aggregate inside of
            another, a column outside of all.
        InvalidName: a name that is empty or that a Delta column cannot have.
        InvalidInput: an expression or a name that is no text.

    >>> Aggregate("sum(amount) filter (where channel = 'web')", name="web_spend").name
    'web_spend'
    >>> Aggregate("sum(rand())", name="luck")
    Traceback (most recent call last):
    fstk.errors.BadExpression: 'sum(rand())': rand is not deterministic, so it is refused: an ...
    """

    expression: str = Field(description="the first of two texts, as in Aggregate('count(*)', name='txn_count')")
    name: str = Field(description="the second of two texts, as in Aggregate('count(*)', name='txn_count')")

    group_by: str | None = Field(default=None, description="the name of a column of the source")

    def __post_init__(self) -> None:
        if not self.name or any(character in _NOT_IN_NAMES for character in self.name):
            raise InvalidName(f"aggregate name {self.name!r}: letters, digits and underscores, as in 'txn_count'.")
        if not self.parsed.alone and self.group_by is not None:
            raise BadExpression(
                f"{self.expression!r}: an expression over aggregates has no group by; group each of them as a feature "
                "of its own."
            )

    @property
    def parsed(self) -> Expression:
        """The expression, read."""
        return read(self.expression)

    @property
    def text(self) -> str:
        """The expression, and what it is grouped by, as plans and messages say it."""
        return self.expression if self.group_by is None else f"{self.expression} by {self.group_by}"

"""The lines of ``fstk windows`` and ``fstk pit``: one aggregate, one lookup or one function each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fstk.columns.length import read_age
from fstk.columns.typing import Nulls
from fstk.errors import InvalidInput, shown
from fstk.training.functions import FeatureFunction
from fstk.training.spec import FeatureLookup
from fstk.verbs.text import statements
from fstk.windows.spec import Aggregate

_NAMED = re.compile(r"(?P<expression>.*\S)\s+as\s+`?(?P<name>\w+)`?", re.IGNORECASE | re.DOTALL)
_COLUMN = r"(?:`[^`]+`|[^\s,()`]+)"
_GROUPED = re.compile(rf"(?P<expression>.*\S)\s+group\s+by\s+(?P<column>{_COLUMN})", re.IGNORECASE | re.DOTALL)
_LOOKUP = re.compile(
    r"(?P<table>[\w.]+)(?:\s*\((?P<features>[^()]*)\))?"
    rf"\s+on\s+(?P<keys>{_COLUMN}(?:\s*,\s*{_COLUMN})*)(?:\s+within\s+(?P<within>\w+))?(?P<skip>\s+skip\s+nulls)?",
    re.IGNORECASE,
)
_FUNCTION = re.compile(r"expr\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_AS_LOOKUP = "feature_store.customer_features (spend_30d as spend) on customer_id within 30d"


def required_statements(text: str, namespace: Mapping[str, Any] | None, example: str) -> list[str]:
    """Return the statements of the text below a cell magic, or, without a ``namespace``, of a standard input; raises
    InvalidInput, with an ``example``, when there is none."""
    found = statements(text)
    if not found:
        where = "on standard input" if namespace is None else "below %%fstk"
        raise InvalidInput(f"nothing is asked for: write one a line {where}, as in\n  {example}")
    return found


def aggregate(line: str) -> Aggregate:
    """Read ``sum(amount) filter (where quantity > 1) as bulk`` or ``count(*) group by shop as visits``; raises
    InvalidInput, BadExpression."""
    named = _NAMED.fullmatch(line)
    if named is None:
        raise _unnamed(line, "sum(amount) as total_spend")
    grouped = _GROUPED.fullmatch(named["expression"])
    if grouped is None:
        return Aggregate(named["expression"], named["name"])
    return Aggregate(grouped["expression"], named["name"], grouped["column"].strip("`"))


@dataclass(frozen=True)
class LookupLine:
    """One lookup as it was written, without the labels' time; ``features`` None means all of them."""

    table: str
    keys: tuple[str, ...]
    features: tuple[str, ...] | None
    renames: dict[str, str]
    within: timedelta | None
    nulls: Nulls = "keep"

    def at(self, time: str | None, defaults: Mapping[str, Any] | None = None) -> FeatureLookup:
        """Return the lookup with the labels' time column, None for a table that has no time column, and ``defaults`` by
        the features' new names."""
        return FeatureLookup(
            self.table,
            self.keys,
            feature_names=self.features,
            rename_outputs=self.renames or None,
            timestamp_lookup_key=time,
            lookback_window=self.within,
            nulls=self.nulls,
            default_values=defaults,
        )


def lookup(line: str) -> LookupLine:
    """Read ``TABLE (FEATURE as NAME, …) on KEY, … within 30d skip nulls``; without the list, or with ``*`` in it, all
    features."""
    read = _LOOKUP.fullmatch(line)
    if read is None:
        raise InvalidInput(f"cannot read the lookup {line!r}.   Write it as in: {_AS_LOOKUP}")
    names: list[str] = []
    renames: dict[str, str] = {}
    for item in _items(read["features"]):
        renamed = _NAMED.fullmatch(item)
        names.append(renamed["expression"] if renamed else item)
        if renamed:
            renames[renamed["expression"]] = renamed["name"]
    every = read["features"] is None or "*" in names
    features, keys = None if every else tuple(names), tuple(_items(read["keys"]))
    nulls: Nulls = "skip" if read["skip"] else "keep"
    within = None if read["within"] is None else read_age(read["within"], "within")
    return LookupLine(read["table"], keys, features, renames, within, nulls)


def function(line: str) -> FeatureFunction | None:
    """Read ``expr amount / nullif(spend, 0) as ratio``; None for another line. Raises InvalidInput, BadExpression."""
    found = _FUNCTION.fullmatch(line)
    if found is None or _LOOKUP.fullmatch(line):  # of a table called expr
        return None
    named = _NAMED.fullmatch(found["rest"])
    if named is None:
        raise _unnamed(line, "expr amount / nullif(spend, 0) as ratio")
    return FeatureFunction(named["expression"], named["name"])


def _unnamed(line: str, example: str) -> InvalidInput:
    """Return the refusal of a line that is not ``EXPRESSION as NAME``, by the mistake that it most likely is."""
    if re.match(r"select\s", line, re.IGNORECASE):
        return InvalidInput(f"{shown(line)} is a query: write its columns alone, one a line, as in {example}")
    if line.endswith(";"):
        return InvalidInput(f"{shown(line)} ends with ;, which no line here does: leave it out, as in {example}")
    return InvalidInput(
        f"{line!r} has no name: write {line} as …, as in {example}. An expression over several lines stands in "
        "parentheses."
    )


def _items(text: str | None) -> list[str]:
    return [item.strip().strip("`") for item in (text or "").split(",") if item.strip()]

"""A request's body → columns, in the four forms that MLflow's scoring server takes.

JSON is read more strictly than most parsers do: a name twice in one object, NaN and Infinity, numbers past what a
double holds and nesting without end are refused, as each would let a model answer for something else than was meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fstk.models.lookups import ABSENT
from fstk.serving.refusal import bad

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")


@dataclass(frozen=True)
class Rows:
    """The cells of a request by column, each of ``number`` values: what JSON holds, or ``ABSENT``."""

    number: int
    columns: dict[str, list[Any]]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise bad("the body has an object that names a key twice")
    return made


def _constant(_: str) -> Any:
    raise bad("the body has NaN or Infinity, which are not JSON; null is a missing value")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise bad("the body has a number that is too large")
    return number


# msgspec would be faster by some microseconds, but keeps the last of equal keys and cannot be told otherwise.
_FLOATS = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
_DECIMALS = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=Decimal)


def parse(body: bytes, decimals: bool = False) -> Rows:
    """Return the rows of a body; with ``decimals`` numbers with a point keep their digits, as Decimal. Refusal 400:
    anything that is not one of :data:`FORMS` in strict JSON, or no row."""
    try:
        content = (_DECIMALS if decimals else _FLOATS).decode(body.decode())
    except UnicodeDecodeError as error:
        raise bad("the body is not UTF-8") from error
    except RecursionError as error:
        raise bad("the body is nested too deeply") from error
    except ValueError as error:
        raise bad("the body is no JSON") from error
    given = [form for form in FORMS if form in content] if isinstance(content, dict) else []
    if len(given) != 1 or len(content) != 1:
        raise bad(f"the body must be an object with one of {', '.join(FORMS)}, and nothing else")
    [(form, data)] = content.items()
    rows = _split(data) if form == "dataframe_split" else _named(form, data)
    if rows.number == 0:
        raise bad(f"{form} has no row")
    return rows


def _named(form: str, data: Any) -> Rows:
    if form == "inputs" and isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        if len(lists) != len(data) or len({len(one) for one in lists}) > 1:
            raise bad("inputs must map each column to a list of values, all of one length")
        return Rows(len(lists[0]) if lists else 0, data)
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise bad(f"{form} must be a list of objects, one a row, as columns are found by their names")
    names = dict.fromkeys(name for row in data for name in row)
    return Rows(len(data), {name: [row.get(name, ABSENT) for row in data] for name in names})


def _split(data: Any) -> Rows:
    if not isinstance(data, dict) or not {"columns", "data"} <= set(data) <= {"columns", "data", "index"}:
        raise bad("dataframe_split must be an object with columns and data")
    names, rows = data["columns"], data["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise bad("columns of dataframe_split must be a list of names, each once")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise bad("data of dataframe_split must be a list of rows, each a list with a value for every column")
    return Rows(len(rows), {name: [row[place] for row in rows] for place, name in enumerate(names)})

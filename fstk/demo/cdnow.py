"""CDNOW: 69,659 purchases of 23,570 customers, 1997-01-01 to 1998-06-30.

The reference set of the churn and customer-value literature (Fader and Hardie, 2001), as it ships inside the
``Lifetimes`` package (MIT), whose file is read without importing the package.

The source has days and no clock times: a purchase is stamped with its day's midnight UTC, so several purchases of one
customer can share an instant. A purchase of 0.00 (a free CD) is a purchase: it counts, and adds nothing to the spend.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import polars as pl
import pyarrow as pa

from fstk.errors import MissingPackage

PURCHASES = 69_659
CUSTOMERS = 23_570
TITLE = f"CDNOW, {PURCHASES:,} purchases of {CUSTOMERS:,} customers, 1997-01-01 to 1998-06-30"


def purchases() -> pa.Table:
    """Return all purchases: ``customer_id`` bigint, ``purchased_at`` timestamp (midnight UTC), ``quantity`` int (CDs),
    ``amount`` double (US dollars), in the order of the source; raises MissingPackage."""
    words = pl.col("line").str.strip_chars().str.replace_all(r"\s+", " ").str.split(" ")
    lines = pl.read_csv(_file(), separator="\n", has_header=True, new_columns=["line"])
    return lines.select(
        words.list.get(0).cast(pl.Int64).alias("customer_id"),
        words.list.get(1).str.to_datetime("%Y%m%d", time_unit="us", time_zone="UTC").alias("purchased_at"),
        words.list.get(2).cast(pl.Int32).alias("quantity"),
        words.list.get(3).cast(pl.Float64).alias("amount"),
    ).to_arrow()


def _file() -> Path:
    try:
        package = distribution("Lifetimes")
    except PackageNotFoundError as error:
        raise MissingPackage("the CDNOW purchases ship inside Lifetimes.   pip install 'fstk[demo]'") from error
    return Path(str(package.locate_file("lifetimes/datasets/CDNOW_master.txt")))

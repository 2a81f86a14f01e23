"""The same training set whatever the time zone of the process and of the Spark session."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fstk import FeatureLookup
from fstk.engines.base import Engine
from fstk.engines.clocks import Clock
from fstk.engines.spark import SparkEngine
from fstk.errors import InvalidInput
from fstk.training.training_set import create_training_set
from tests.training.shelf import Shelf

ZONES = {"UTC": "+0000", "America/New_York": "-0500", "Asia/Kolkata": "+0530"}
HOUR = dt.timedelta(hours=1)
SPRING = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)  # clocks in New York go forward at 07:00 UTC
AUTUMN = dt.datetime(2024, 11, 3, tzinfo=dt.UTC)  # and back at 06:00 UTC: one local hour comes twice
UTC, LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")

# Every half hour around both changes and around midnight UTC, in all three types of time.
MOMENTS = [day + step * HOUR / 2 for day in (SPRING, AUTUMN) for step in range(-2, 20)]
LABELS = pa.table(
    {
        "id": [1] * len(MOMENTS),
        "instant": pa.array(MOMENTS, UTC),
        "local": pa.array([moment.replace(tzinfo=None) for moment in MOMENTS], LOCAL),
        "day": pa.array([moment.date() for moment in MOMENTS], pa.date32()),
    }
)
TIMES = {"instant": UTC, "local": LOCAL, "day": pa.date32()}


def stored(moment: dt.datetime, kind: pa.DataType) -> Any:
    return moment.date() if kind == pa.date32() else moment if kind == UTC else moment.replace(tzinfo=None)


def pairs(engine: str) -> list[tuple[str, str]]:
    """Each type of feature time with each of label time; in Spark with its own (the contract cases pair them all)."""
    return [(table, time) for table in TIMES for time in TIMES if engine == "direct" or table == time]


def training_set_rows(folder: Path, engine: Engine) -> list[str]:
    """A training set of hourly rows, daily ones for dates, that tell the hour they are of."""
    shelf = Shelf(folder)
    for name, kind in TIMES.items():
        hours = [day + step * (24 if name == "day" else 1) * HOUR for day in (SPRING, AUTUMN) for step in range(-2, 10)]
        rows = {"id": [1] * len(hours), "ts": pa.array([stored(hour, kind) for hour in hours], kind)}
        shelf.add(name, pa.table({**rows, "hour": [hour.isoformat() for hour in hours]}), ["id"], "ts")
    lookups = [
        FeatureLookup(table, "id", timestamp_lookup_key=time, rename_outputs={"hour": f"{table}_{time}"})
        for table, time in pairs(engine.name)
    ]
    rows = create_training_set(engine.frame(LABELS, "df"), lookups, None, catalog=shelf).to_arrow()
    return sorted(json.dumps(row, default=str) for row in rows.to_pylist())


def expected(engine: str) -> list[str]:
    """The same by arithmetic on instants."""
    rows = []
    for moment in MOMENTS:
        row: dict[str, Any] = {"id": 1, "instant": moment, "local": moment.replace(tzinfo=None), "day": moment.date()}
        for table, time in pairs(engine):
            step = 24 * HOUR if table == "day" else HOUR
            hours = [day + number * step for day in (SPRING, AUTUMN) for number in range(-2, 10)]
            label = moment.replace(hour=0, minute=0) if time == "day" else moment
            before = [hour for hour in hours if hour <= label]
            row[f"{table}_{time}"] = max(before).isoformat() if before else None
        rows.append(json.dumps(row, default=str))
    return sorted(rows)


@pytest.fixture
def zone(request: pytest.FixtureRequest, spark_engine: SparkEngine) -> Iterator[str]:
    before = spark_engine.session.conf.get("spark.sql.session.timeZone")
    spark_engine.session.conf.set("spark.sql.session.timeZone", request.param)
    yield request.param
    spark_engine.session.conf.set("spark.sql.session.timeZone", before or "UTC")


@pytest.mark.parametrize("zone", list(ZONES)[1:], indirect=True)
@pytest.mark.transport
def test_a_sessions_time_zone_changes_nothing(tmp_path: Path, spark_engine: SparkEngine, zone: str) -> None:
    assert training_set_rows(tmp_path, spark_engine) == expected("spark")


CLOCKS = [
    ("Europe/London", dt.datetime(2024, 3, 31, 1, 30), dt.datetime(2024, 10, 27, 1, 30)),
    ("America/New_York", dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 11, 3, 1, 30)),
]


@pytest.mark.transport
def test_clock_times_of_labels_are_instants_of_their_zone(tmp_path: Path, engine: Engine) -> None:
    shelf = Shelf(tmp_path)
    hours = [SPRING + step * HOUR for step in range(-72, 24 * 250)]
    shelf.add("hourly", pa.table({"id": [1] * len(hours), "ts": pa.array(hours, UTC), "hour": hours}), ["id"], "ts")
    lookups = [FeatureLookup("hourly", "id", timestamp_lookup_key="at")]

    def joined(at: list[Any], zone: str, unclear: Any = "refuse", kind: pa.DataType = LOCAL) -> list[Any]:
        labels = engine.frame(pa.table({"id": [1] * len(at), "at": pa.array(at, kind)}), "df")
        clock = Clock.told(zone, unclear)
        rows = create_training_set(labels, lookups, None, catalog=shelf, clock=clock).to_arrow()
        assert rows.schema.field("at").type == UTC
        return sorted(zip(rows["at"].to_pylist(), rows["hour"].to_pylist(), strict=True))

    for zone, gap, fold in CLOCKS:
        at = [day + step * HOUR for day in (gap, fold) for step in (-26, -3, 3, 26)]
        instants = [one.replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(dt.UTC) for one in at]
        assert joined(at, zone) == [(one, one.replace(minute=0)) for one in instants]
        for unclear, says in ((gap, "1 do not exist"), (fold, "1 exist twice")):
            with pytest.raises(InvalidInput, match=f"df, column at.*: of its times, {says} .as {unclear}. in {zone}"):
                joined([*at, unclear], zone)
            ((early, _),), ((late, _),) = joined([unclear], zone, "earlier"), joined([unclear], zone, "later")
            first, second = sorted(
                unclear.replace(fold=side, tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(dt.UTC) for side in (0, 1)
            )
            if unclear is fold:
                assert (early, late) == (first, second)
            else:  # 01:30 of an hour that was skipped: the last instant before, the first after
                assert (early, late) == (late - dt.timedelta(microseconds=1), first + HOUR / 2)
        day = dt.datetime(gap.year, gap.month, gap.day, tzinfo=zoneinfo.ZoneInfo(zone))
        assert [at for at, _ in joined([gap.date()], zone, kind=pa.date32())] == [day]
    with pytest.raises(InvalidInput, match="'Europe/London' changes nothing: at has a zone already. Leave it out."):
        joined(hours[:1], "Europe/London", kind=UTC)


SCRIPT = """
import sys, time
from pathlib import Path
from fstk.engines.connect import active, direct
from tests.training.test_time_zones import expected, training_set_rows
engine = direct() if sys.argv[1] == "direct" else active()
assert training_set_rows(Path(sys.argv[2]), engine) == expected(engine.name)
print(time.strftime("%z", time.localtime(0)))
"""


def in_zone(zone: str, engine: str, folder: Path) -> str:
    environment = os.environ | {"TZ": zone, "FSTK_WAREHOUSE": str(folder / "warehouse"), "FSTK_DRIVER_MEMORY": "1g"}
    command = [sys.executable, "-c", SCRIPT, engine, str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(("zone", "offset"), ZONES.items())
@pytest.mark.slow
def test_a_processs_time_zone_changes_nothing(tmp_path: Path, zone: str, offset: str) -> None:
    assert in_zone(zone, "direct", tmp_path) == offset


@pytest.mark.spark
def test_nor_does_that_of_a_process_with_a_session(tmp_path: Path) -> None:
    assert in_zone("America/New_York", "spark", tmp_path).endswith("-0500")

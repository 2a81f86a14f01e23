"""A little of each fault of online stores; ``make faults`` goes on for long."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fstk.online.postgres import PostgreSQLSpec
from fstk.online.redis import RedisSpec
from fstk.online.spec import OnlineSpec
from tests.faults import Place
from tests.online.audit import postgres_audit, redis_audit
from tests.online.faults import FAULTS, RACES, SHORT, StoreFault, Target, killed_publishers
from tests.stores import PROCESSES, parameters

pytestmark = pytest.mark.slow


def _cases() -> Iterator[Any]:
    """Every fault of every store that processes share; of Cosmos, whose peer is slow, all but one at night alone."""
    for spec in parameters(PROCESSES, modes=False):
        [name] = spec.values
        for fault in FAULTS:
            night = [pytest.mark.nightly] if name == "cosmos" and fault is not killed_publishers else []
            yield pytest.param(name, fault, marks=(*spec.marks, *night), id=f"{fault.__name__}-{name}")


@pytest.mark.parametrize(("spec", "fault"), _cases(), indirect=["spec"])
def test_after_a_fault_the_store_holds_what_the_newest_version_does(
    fault: StoreFault, spec: OnlineSpec, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    fault(place, random.Random(7), Target("", spec, SHORT))
    assert place.wrong == []


@pytest.mark.server
@pytest.mark.parametrize("spec", ["redis", "postgresql"], indirect=True)
@pytest.mark.parametrize("race", RACES)
def test_racing_publishers_are_counted_as_the_server_saw_them(
    race: StoreFault, spec: OnlineSpec, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if isinstance(spec, RedisSpec):
        audit = partial(redis_audit, spec.port)
    else:
        assert isinstance(spec, PostgreSQLSpec)
        audit = partial(postgres_audit, request.getfixturevalue("postgres"), spec.schema)
    place = Place(tmp_path)
    race(place, random.Random(7), Target("", spec, SHORT, audit))
    assert place.wrong == []

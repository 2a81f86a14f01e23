"""Rows that were served are made again of the offline tables; what was altered is named with its reason."""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from fstk.cli.app import run_command
from fstk.errors import GateRefused, InvalidInput, UnknownTable
from fstk.models.score import open_model
from fstk.online.spec import spec_of
from fstk.serving.body import parse
from fstk.serving.endpoint import ModelEndpoint
from fstk.tables.served_log import SCHEMA, ServedLog
from fstk.verbs.replay import PREDICTION, ReplayReport, replay
from tests.serving.asking import GOOD, records
from tests.serving.project import Project, day

Row = dict[str, Any]


@pytest.fixture(scope="module")
def endpoint(project: Project) -> Iterator[ModelEndpoint]:
    with project.inside():
        yield ModelEndpoint(open_model("models:/churn/1", None), spec_of(None))


def served(endpoint: ModelEndpoint, **columns: Any) -> Row:
    """A row of the log, as an answer makes it."""
    given = GOOD | columns
    answer = endpoint.answer(parse(json.dumps(records(given)).encode()))
    featured = answer.featured

    def text(value: Any) -> str:
        return msgspec.json.encode(value).decode()

    lookups = [
        None
        if states[0] is None
        else dict(zip(("table", "status", "event_time", "source_version"), (join.table, *states[0][:3]), strict=True))
        for join, states in zip(endpoint.lookups.joins, featured.found.states, strict=True)
    ]
    return {
        "at": featured.found.at,
        "endpoint": "churn",
        "version": "1",
        "request": uuid.uuid4().hex,
        "row": 0,
        "given": [(name, text(value)) for name, value in given.items()],
        "features": [(name, text(featured.columns[name][0])) for name in endpoint.features.made],
        "lookups": lookups,
        PREDICTION: text(answer.told.predictions[0]),
        "latency_seconds": 0.001,
    }


def kept(name: str, *rows: Row) -> ReplayReport:
    ServedLog(name).append(pa.Table.from_pylist(list(rows), SCHEMA))
    return replay(name)


@pytest.mark.slow
def test_what_was_served_comes_out_again(project: Project, endpoint: ModelEndpoint) -> None:
    rows = [
        served(endpoint),
        served(endpoint, customer_id=9),  # whose features are null
        served(endpoint, customer_id=99, cohort=None),  # of whom nothing is known
        served(endpoint, size=3, spend=7.5),
    ]
    report = kept("logs.same", *rows)
    assert (report.rows, report.equal, report.given, report.ok) == (4, 4, 1, True), report
    assert replay("logs.same", newest=2).rows == 2
    assert run_command(["replay", "logs.same", "--newest", "1"]) is not None


@pytest.mark.slow
def test_a_request_of_an_earlier_instant_asks_for_what_is_not_online(project: Project, endpoint: ModelEndpoint) -> None:
    report = kept("logs.earlier", served(endpoint, at=day(4).isoformat()))
    rebuilt = {one.column: one.rebuilt for one in report.differences}
    assert rebuilt.items() >= {"spend": "1.2", "v": "2", "vip": "false"}.items()
    assert {one.why for one in report.differences} <= {"not online then", "its features differ"}


def changed(row: Row, feature: str, value: str) -> None:
    row["features"] = [(name, value if name == feature else text) for name, text in row["features"]]


def stale(row: Row) -> None:
    changed(row, "spend", "99.5")
    row["lookups"][0]["event_time"] = day(2)


def missing(row: Row) -> None:
    changed(row, "spend", "null")
    row["lookups"][0] |= {"status": "missing", "event_time": None, "source_version": None}


def expired(row: Row) -> None:
    changed(row, "spend", "null")
    row["lookups"][0]["status"] = "expired"


def rewritten(row: Row) -> None:
    changed(row, "spend", "99.5")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alter", "why"),
    [
        (stale, "an older row was online"),
        (missing, "not online then"),
        (expired, "expired online"),
        (rewritten, "the table changed"),
    ],
)
def test_a_feature_that_differs_is_named_with_its_reason(
    project: Project, endpoint: ModelEndpoint, alter: Callable[[Row], None], why: str
) -> None:
    row = served(endpoint)
    alter(row)
    report = kept(f"logs.{alter.__name__}", row, served(endpoint))
    assert (report.rows, report.equal) == (2, 1)
    [one] = report.differences
    assert (one.column, one.rebuilt, one.why) == ("spend", "1.8", why)
    assert why in repr(report)
    with pytest.raises(GateRefused, match="1 of 2 rows are not as they were served"):
        run_command(["replay", f"logs.{alter.__name__}"])


@pytest.mark.slow
def test_another_answer_and_a_model_that_is_gone_are_told_apart(project: Project, endpoint: ModelEndpoint) -> None:
    other = served(endpoint) | {PREDICTION: "17.25"}
    gone = served(endpoint) | {"version": "99"}
    report = kept("logs.models", other, gone)
    [one] = report.differences
    assert (one.column, one.served, one.why) == (PREDICTION, "17.25", "the model answers otherwise")
    [unread] = report.unread
    assert "model churn has no version 99" in unread
    assert not report.ok


@pytest.mark.slow
def test_rows_are_predicted_with_those_of_their_own_request(project: Project) -> None:
    """As the last bit of a sum may, this model's answer depends on how many rows come together."""
    python_model = importlib.import_module("mlflow.pyfunc").PythonModel

    class Counts(python_model):
        def predict(self, context, model_input):
            return [float(len(model_input))] * len(model_input)

    version = project.log("sized", Counts(), alias=None).version
    with project.inside():
        sized = ModelEndpoint(open_model(f"models:/sized/{version}", None), spec_of(None))
        log = {"endpoint": "sized", "version": str(version)}
        pair = [served(sized) | log | {"request": "a" * 32, "row": row, PREDICTION: "2.0"} for row in (0, 1)]
        report = kept("logs.sized", served(sized) | log, *pair, served(sized, customer_id=9) | log)
        assert (report.rows, report.equal) == (4, 4), report


def test_a_log_that_is_none_is_refused(project: Project) -> None:
    with project.inside():
        with pytest.raises(UnknownTable, match=r"no log of fstk serve is called s.customers"):
            replay("s.customers")
        with pytest.raises(InvalidInput, match="--newest must be at least 1"):
            replay("s.customers", newest=0)

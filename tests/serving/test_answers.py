"""What the endpoint answers to good requests; score_batch, and a model that spells what it sees, are the oracles."""

from __future__ import annotations

import datetime as dt
import importlib
import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.engines.direct import DirectEngine
from fstk.models.score import open_model, score_batch
from fstk.online.spec import spec_of
from fstk.serving.body import parse
from fstk.serving.endpoint import ModelEndpoint
from fstk.tables.configured import open_catalog
from tests.generated import examples
from tests.serving.asking import GOOD, ask, records
from tests.serving.project import INSTANT, LOOKUPS, Project, day

pytestmark = [pytest.mark.server, pytest.mark.slow]


def spells() -> Any:
    """A model that answers with all that it could see of a row."""
    python_model = importlib.import_module("mlflow.pyfunc").PythonModel

    class Spells(python_model):
        def predict(self, context, model_input):  # without hints, of which MLflow warns
            kinds = " ".join(f"{name}:{kind}" for name, kind in model_input.dtypes.items())
            rows = model_input.astype(object).itertuples(index=False)
            return [" ".join(f"{type(value).__name__} {value!r}" for value in row) + kinds for row in rows]

    return Spells()


@pytest.fixture(scope="module")
def spelling(project: Project) -> ModelEndpoint:
    """An endpoint, in this process, of a model that spells its rows."""
    project.log("spells", spells())
    with project.inside():
        return ModelEndpoint(open_model("models:/spells/1", None), spec_of(None))


@pytest.fixture(scope="module")
def recent(project: Project) -> ModelEndpoint:
    """The same, of customers' rows of five days at most."""
    customers, cohorts = LOOKUPS
    project.log("recent", spells(), lookups=[replace(customers, lookback_window=dt.timedelta(days=5)), cohorts])
    with project.inside():
        return ModelEndpoint(open_model("models:/recent/1", None), spec_of(None))


def spelt(endpoint: ModelEndpoint, *rows: dict[str, Any]) -> list[Any]:
    return endpoint.answer(parse(json.dumps(records(*rows)).encode())).told.predictions


FORMS: list[dict[str, Any]] = [
    records(GOOD, GOOD | {"customer_id": 2}),
    {
        "dataframe_split": {
            "columns": ["region", "customer_id", "amount", "cohort"],
            "data": [["n", 1, 2.0, "old"], ["n", 2, 2.0, "old"]],
        }
    },
    {"instances": [GOOD, GOOD | {"customer_id": 2}]},
    {"inputs": {"customer_id": [1, 2], "amount": [2.0, 2.0], "cohort": ["old", "old"], "region": ["n", "n"]}},
]


@pytest.mark.parametrize("body", FORMS, ids=lambda body: next(iter(body)))
def test_the_four_forms_are_answered_alike_at_both_addresses(
    body: Any, port: int, token: str, project: Project
) -> None:
    rows = pa.table(
        {
            "customer_id": pa.array([1, 2], pa.int32()),
            "amount": [2.0, 2.0],
            "cohort": ["old", "old"],
            "region": ["n", "n"],
            "at": pa.array([day(30)] * 2, INSTANT),
        }
    )
    with project.inside():
        uri = "models:/churn@champion"
        scored = score_batch(uri, rows, engine=DirectEngine(), catalog=open_catalog()).column("prediction").to_pylist()
    for path in ("/invocations", "/serving-endpoints/churn/invocations"):
        said = ask(port, body, token, path=path)
        assert (said.status, said.json) == (200, {"predictions": scored})
        assert said.headers["x-fstk-missing"] == said.headers["x-fstk-expired"] == "0"


def test_an_unknown_entity_gets_defaults_and_is_counted(port: int, token: str, spelling: ModelEndpoint) -> None:
    rows = [GOOD | {"customer_id": 99}, GOOD | {"cohort": "none"}, GOOD | {"cohort": None}, GOOD]
    said = ask(port, records(*rows), token)
    assert (said.status, said.headers["x-fstk-missing"]) == (200, "3")
    counted = ask(port, None, None, path="/metrics", method="GET").body.decode()
    assert 'fstk_missing_total{table="s.customers"}' in counted
    assert 'fstk_missing_total{table="s.cohorts"}' in counted
    [row] = spelt(spelling, rows[0])
    assert row.startswith("int 99 float 2.0 float nan int -1 NoneType None float 40.0customer_id:int32 amount:float64")


def test_a_stored_null_becomes_the_default_too(spelling: ModelEndpoint) -> None:
    assert " float nan int -1 NoneType None " in spelt(spelling, GOOD | {"customer_id": 9})[0]


def test_what_the_request_holds_stands_for_what_is_stored(spelling: ModelEndpoint) -> None:
    mine, stored, null = spelt(spelling, GOOD | {"spend": 7.25}, GOOD, GOOD | {"spend": None})
    assert (" float 7.25 " in mine, " float 1.8 " in stored, " float nan " in null) == (True, True, True)


def test_a_key_is_not_asked_for_where_the_request_holds_all_that_it_finds(spelling: ModelEndpoint) -> None:
    asked = {"customer_id": 1, "amount": 2.0, "size": 3}
    answer = spelling.answer(parse(json.dumps(records(asked)).encode()))
    assert (answer.featured.found.missing.total(), " float 3.0" in answer.told.predictions[0]) == (0, True)


def test_a_row_newer_than_the_request_says_is_not_seen(spelling: ModelEndpoint) -> None:
    for at, seen in (("2024-01-09T00:00:00Z", True), ("2024-01-08T23:59:59.999999Z", False)):
        answer = spelling.answer(parse(json.dumps(records(GOOD | {"at": at})).encode()))
        assert (" float 1.8 " in answer.told.predictions[0], answer.featured.found.missing.total()) == (seen, 1 - seen)


def test_a_row_past_the_look_back_is_not_seen_and_counted_as_expired(recent: ModelEndpoint, project: Project) -> None:
    last, moment = day(8) + dt.timedelta(days=5), dt.timedelta(microseconds=1)
    instants = [last - moment, last, last + moment]
    rows = [GOOD | {"at": at.isoformat()} for at in instants] + [GOOD]
    answer = recent.answer(parse(json.dumps(records(*rows)).encode()))
    assert (answer.featured.found.expired, answer.featured.found.missing) == ({"s.customers": 2}, {})
    table = pa.table(
        {
            "customer_id": pa.array([1] * 4, pa.int32()),
            "amount": [2.0] * 4,
            "cohort": ["old"] * 4,
            "region": ["n"] * 4,
            "at": pa.array([*instants, dt.datetime.now(dt.UTC)], INSTANT),
        }
    )
    with project.inside():
        batch = score_batch("models:/recent/1", table, "string", engine=DirectEngine(), catalog=open_catalog())
    assert answer.told.predictions == batch.column("prediction").to_pylist()
    assert ["int -1" in one for one in answer.told.predictions] == [False, False, True, True]


def test_a_thousand_rows_are_one_round_trip(spelling: ModelEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    store: Any = spelling.lookups._open()._store
    get = store.get
    monkeypatch.setattr(store, "get", lambda wanted: asked.append(len(wanted)) or get(wanted))
    rows = [GOOD | {"customer_id": row % 12, "cohort": ("old", "new")[row % 2]} for row in range(1000)]
    assert len(spelt(spelling, *rows)) == 1000
    assert asked == [2]


def test_columns_of_no_use_are_counted(port: int, token: str) -> None:
    said = ask(port, records(GOOD | {"more": 1, "still": 2}), token)
    assert (said.status, said.headers["x-fstk-ignored"]) == (200, "2")


FEATURES = {
    "spend": st.sampled_from([0.1, -2.5, None]),
    "v": st.sampled_from([3, None]),
    "vip": st.booleans(),
    "size": st.just(5),
}


@settings(max_examples=examples(15))
@given(data=st.data())
def test_the_endpoint_answers_as_score_batch(data: st.DataObject, spelling: ModelEndpoint, project: Project) -> None:
    number = data.draw(st.integers(1, 4))
    own = data.draw(st.sets(st.sampled_from(sorted(FEATURES))))
    known = st.fixed_dictionaries(
        {
            "customer_id": st.integers(0, 11),
            "amount": st.floats(allow_nan=False, allow_infinity=False),
            "cohort": st.sampled_from(["old", "new", "none", None]),
            "region": st.sampled_from(["n", "s", None]),
            **{name: FEATURES[name] for name in sorted(own)},
        }
    )
    rows = [data.draw(known) for _ in range(number)]
    kinds = {"customer_id": pa.int32(), "amount": pa.float64(), "cohort": pa.string(), "region": pa.string()}
    kinds |= {"spend": pa.float64(), "v": pa.int64(), "vip": pa.bool_(), "size": pa.int32()}
    table = pa.table({name: pa.array([row[name] for row in rows], kinds[name]) for name in rows[0]})
    table = table.append_column("at", pa.array([day(30)] * number, INSTANT))
    with project.inside():
        batch = score_batch("models:/spells/1", table, "string", engine=DirectEngine(), catalog=open_catalog())
    assert spelt(spelling, *rows) == batch.column("prediction").to_pylist()

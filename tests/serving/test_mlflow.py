"""MLflow's own scoring server beside ours, both asked over real sockets with the same bytes: what is meant is answered
alike, and what would be changed on the way to the model, ours refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.servers.scoring import mlflow_server
from tests.serving.asking import GOOD, ask, records
from tests.serving.project import Project

pytestmark = [pytest.mark.server, pytest.mark.slow]
Row = Mapping[str, Any]

WHOLE = {"customer_id": 1, "amount": 2.0, "spend": 1.8, "v": 8, "vip": False, "size": 40}


@pytest.fixture(scope="module")
def theirs(project: Project) -> Iterator[int]:
    """The port of MLflow's server of the model churn."""
    with mlflow_server("models:/churn/1", project.env, project.folder) as port:
        yield port


def rows(number: int) -> list[Row]:
    choose = random.Random(7)
    return [
        {
            "customer_id": choose.randrange(10),
            "amount": choose.uniform(0, 9),
            "spend": choose.choice([None, choose.uniform(0, 9)]),
            "v": choose.randrange(-1, 70),
            "vip": choose.random() < 0.5,
            "size": choose.randrange(50),
        }
        for _ in range(number)
    ]


FORMS: dict[str, Callable[[list[Row]], Any]] = {
    "dataframe_records": lambda rows: rows,
    "dataframe_split": lambda rows: {"columns": [*rows[0]], "data": [[*row.values()] for row in rows]},
    "instances": lambda rows: rows,
    "inputs": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_have_the_same_predictions(form: str, port: int, theirs: int, token: str) -> None:
    body = json.dumps({form: FORMS[form](rows(40))}).encode()
    mine, other = ask(port, body, token), ask(theirs, body, None)
    assert (mine.status, other.status) == (200, 200)
    assert mine.json == other.json
    assert len(set(mine.json["predictions"])) > 5


def test_what_is_looked_up_predicts_as_the_same_features_in_the_request(port: int, theirs: int, token: str) -> None:
    assert ask(port, records(GOOD), token).json == ask(theirs, records(WHOLE), None).json


CHANGED = {
    "past the type": ("customer_id", str(2**40)),
    "a fraction": ("customer_id", "1.7"),
    "a boolean": ("customer_id", "true"),
    "named twice": ("customer_id", '1, "customer_id": 2'),
    "not a number": ("customer_id", "NaN"),
    "text": ("customer_id", '"17"'),
    "an exponent": ("customer_id", "1e2"),
    "null": ("customer_id", "null"),
    "a column that is not a number": ("amount", "NaN"),
    "a column past all numbers": ("amount", "Infinity"),
    "a column of text": ("amount", '"2.0"'),
    "a whole number with a fraction": ("v", "1.5"),
    "a whole number past the type": ("v", str(2**70)),
}


@pytest.mark.parametrize(("column", "literal"), CHANGED.values(), ids=CHANGED)
def test_what_mlflow_changes_and_answers_is_400(column: str, literal: str, port: int, theirs: int, token: str) -> None:
    body = json.dumps(records(WHOLE | {column: "here"})).replace('"here"', literal).encode()
    other = ask(theirs, body, None)
    assert (other.status, len(other.json["predictions"])) == (200, 1)
    mine = ask(port, body, token)
    assert (mine.status, mine.json["error_code"]) == (400, "BAD_REQUEST")

"""What a model takes, read online for keys alone: every lookup and function of it, in every store."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from fstk import FeatureFunction
from fstk.errors import InvalidInput, TypeMismatch, UnknownColumn, UnknownModel, UnknownTable
from fstk.online.reader import OnlineReader
from fstk.online.spec import MemorySpec, OnlineSpec
from tests.serving.project import LOOKUPS, Project, day

pytestmark = pytest.mark.slow

RATIO = FeatureFunction("amount / nullif(spend, 0)", "ratio")
ASKED = {"customer_id": 1, "cohort": "old", "region": "n", "amount": 3.6}
INPUTS = ["customer_id", "amount", "spend", "v", "vip", "size", "ratio"]
MODEL = "models:/churn@champion"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose model takes two tables' features, a function's and an amount."""
    made = Project(tmp_path_factory.mktemp("logged"))
    made.fill()
    made.log(lookups=[*LOOKUPS, RATIO])
    with made.inside() as fe:
        for table in ("s.customers", "s.cohorts"):
            fe.publish_table(source_table_name=table, online_store=MemorySpec("features"))
    return made


def read(logged: Project, *keys: Any, store: str | OnlineSpec = "memory://features") -> Sequence[dict[str, Any]]:
    with logged.inside() as fe:
        return fe.read_features(model_uri=MODEL, keys=list(keys), online_store=store)


def test_all_lookups_of_a_model_are_one_read(
    logged: Project, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with logged.inside() as fe:
        for table in ("s.customers", "s.cohorts"):
            fe.publish_table(source_table_name=table, online_store=spec)
    reads: list[str] = []
    once = OnlineReader.read

    def counted(reader: OnlineReader, wanted: Any, **options: Any) -> Any:
        reads.append(", ".join(wanted))
        return once(reader, wanted, **options)

    monkeypatch.setattr(OnlineReader, "read", counted)
    found = read(logged, ASKED, ASKED | {"customer_id": 77, "region": None}, ASKED | {"at": day(6)}, store=spec)
    assert [list(row) for row in found] == [INPUTS] * 3
    assert [list(row.values()) for row in found] == [
        [1, 3.6, 1.8, 8, False, 40, 2.0],
        [77, 3.6, None, -1, None, None, None],  # a stranger: the default, or None
        [1, 3.6, None, -1, None, 40, None],  # the row online is of day 8, which day 6 may not see
    ]
    assert reads == ["s.customers, s.cohorts"]


def test_a_feature_given_stands_for_the_stored_one(logged: Project) -> None:
    [given, stored] = read(logged, ASKED | {"spend": 7.2}, ASKED)
    assert (given["spend"], given["ratio"], given["v"]) == (7.2, 0.5, 8)
    assert (stored["spend"], stored["ratio"]) == (1.8, 2.0)
    whole = {"customer_id": 1, "spend": 1, "v": 2, "vip": None, "size": 3, "ratio": 4, "amount": 5}
    assert read(logged, whole) == [{name: whole[name] for name in INPUTS}]


def test_no_row_is_no_row(logged: Project) -> None:
    assert read(logged) == []


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ([{"customer_id": 1}], InvalidInput, r"keys\[0\]: amount \(double\) is missing"),
        ([ASKED, {"customer_id": 1, "amount": 1.0}], InvalidInput, r"keys\[1\]: cohort \(string\) is missing"),
        ([ASKED | {"ratio": 1.0}, ASKED], InvalidInput, r"keys\[1\]: ratio \(double\) is missing"),
        ([ASKED | {"customerid": 1}], UnknownColumn, r"no use for 'customerid'\. .*customer_id"),
        ([ASKED, ASKED | {"customer_id": "1"}], TypeMismatch, r"keys\[1\]: customer_id: '1' \(str\)"),
        ([1], InvalidInput, r"keys\[0\] must be a dict of customer_id, cohort, region; got int"),
    ],
)
def test_keys_that_do_not_fit_are_refused(logged: Project, keys: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read(logged, *keys)


def test_what_is_not_there_is_named(logged: Project) -> None:
    one: Any = ASKED
    with logged.inside() as fe:
        with pytest.raises(InvalidInput, match="keys must be a list of dicts"):
            fe.read_features(model_uri=MODEL, keys=one, online_store="memory://features")
        with pytest.raises(UnknownModel, match="churn"):
            fe.read_features(model_uri="models:/chrn/1", keys=[ASKED])
    with pytest.raises(UnknownTable, match=r"no online table s\.customers"):
        read(logged, ASKED, store="memory://empty")


def test_a_model_that_fstk_did_not_log_has_no_features(logged: Project, tmp_path: Path) -> None:
    mlflow = importlib.import_module("mlflow.sklearn")
    mlflow.save_model(HistGradientBoostingRegressor(), str(tmp_path / "model"), serialization_format="cloudpickle")
    with logged.inside() as fe, pytest.raises(InvalidInput, match="carries no feature lookups"):
        fe.read_features(model_uri=str(tmp_path / "model"), keys=[ASKED])

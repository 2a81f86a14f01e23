"""One rule for who computes: a Spark frame's own session, this process for what is local, else the session given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fstk
import fstk.client as client
from fstk import Aggregate, FeatureEngineeringClient, FeatureLookup, WindowedFeatures
from fstk.engines import choice, connect
from fstk.engines.base import Engine, TableVersion
from fstk.engines.choice import engine_for, session_for
from fstk.errors import BadExpression, EngineUnavailable, UnknownColumn, UnknownTable
from tests.notebook import tables

NAME = "feature_store.customer_features"
LABELS = pd.DataFrame({"customer_id": [1, 2], "at": [tables.START + 50 * tables.DAY] * 2, "churned": [True, False]})
LOOKUP = FeatureLookup(NAME, "customer_id", timestamp_lookup_key="at")
SUM = Aggregate("sum(amount)", name="spend")
FEATURES = WindowedFeatures("transactions", "customer_id", "purchased_at", [SUM], ["7d"])


class Asked(Exception):
    """A session was asked for something; the argument is the session."""


class Conf(dict[str, str]):
    """Settings of a session."""

    set = dict.__setitem__
    unset = dict.pop


class Session:
    """Stands in for a Spark session that the caller made: whatever is asked of it is told to the test."""

    is_stopped = False

    def __init__(self) -> None:
        self.conf = Conf({"spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension"})

    def __getattr__(self, name: str) -> Any:
        raise Asked(self)


class DataFrame:
    """Stands in for a Spark frame."""

    def __init__(self, session: Session) -> None:
        self.sparkSession = session


DataFrame.__module__ = "pyspark.sql.classic.dataframe"


@pytest.fixture(autouse=True)
def _nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_opened", None)
    monkeypatch.setattr(connect, "_adopted", None)


@pytest.fixture
def none_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: Any) -> Any:
        raise AssertionError("the current session was asked")

    monkeypatch.setattr(connect, "active", start)


@pytest.fixture
def shop(warehouse: Path) -> Path:
    tables.fill(warehouse)
    return warehouse


def test_a_spark_frame_is_computed_by_its_own_session(none_started: None) -> None:
    own, other = Session(), connect.engine_of(Session())  # type: ignore[arg-type]
    for find in (engine_for, session_for):
        found = find(LABELS, DataFrame(own), session=other)
        assert getattr(found, "session", None) is own


def test_what_is_local_is_computed_here_unless_it_is_large_or_beyond_it(
    shop: Path, none_started: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = connect.engine_of(Session())  # type: ignore[arg-type]
    table = TableVersion(NAME, str(shop / "feature_store" / "customer_features"))

    def beyond(engine: Engine) -> None:
        raise BadExpression("only Spark knows it")

    def wrong(engine: Engine) -> None:
        raise UnknownColumn("no column x")

    assert engine_for(LABELS, "events", None, session=given) is connect.direct()
    assert engine_for(tables={table: None}, session=given) is connect.direct()
    assert engine_for(tables={table: None}, session=given, trial=beyond) is given
    assert engine_for(tables={TableVersion(NAME, None): 1}, session=given) is given
    assert engine_for(tables={TableVersion(NAME, str(shop / "none")): 1}, session=given) is given
    with pytest.raises(UnknownColumn):
        engine_for(tables={table: None}, session=given, trial=wrong)
    rows, columns = tables.spend().num_rows, tables.spend().num_columns
    monkeypatch.setattr(choice, "CELLS", rows * columns)
    assert engine_for(tables={table: None}, session=given) is connect.direct()
    monkeypatch.setattr(choice, "CELLS", rows * columns - 1)
    assert engine_for(tables={table: None}, session=given) is given
    assert engine_for(tables={table: columns - 1}, session=given) is connect.direct()
    assert engine_for(tables={table: 0}, session=given) is connect.direct()
    assert session_for(LABELS, session=given) is given


def _training_set(fe: FeatureEngineeringClient) -> Any:
    return fe.create_training_set(df=LABELS, feature_lookups=[LOOKUP], label="churned")


VERBS: dict[str, Callable[[FeatureEngineeringClient, Path], Any]] = {
    "create_table": lambda fe, _: fe.create_table(name="s.new", primary_keys="customer_id", df=LABELS),
    "write_table": lambda fe, _: fe.write_table(name=NAME, df=tables.spend()),
    "read_table": lambda fe, _: fe.read_table(name=NAME),
    "set_feature_table_tag": lambda fe, _: fe.set_feature_table_tag(name=NAME, key="a", value="b"),
    "load_df": lambda fe, _: _training_set(fe).load_df(),
    "explain": lambda fe, _: _training_set(fe).explain().load_df(),
    "publish_table": lambda fe, folder: fe.publish_table(
        name=NAME, online_store=f"sqlite:///{folder}/o.db", filter_condition="hash(customer_id) > 0"
    ),
    "score_batch": lambda fe, _: fe.score_batch(model_uri="models:/churn/1", df=LABELS),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_a_client_asks_its_session(
    verb: str, shop: Path, tmp_path: Path, none_started: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()
    monkeypatch.setattr(client, "score_batch", lambda *_, engine, **__: engine.frame(LABELS, "df"))
    with pytest.raises(Asked) as asked:
        VERBS[verb](FeatureEngineeringClient(session), tmp_path)  # type: ignore[arg-type]
    assert asked.value.args == (session,)


def test_a_clients_session_is_the_current_one_while_no_other_is_open(shop: Path) -> None:
    first, second = Session(), Session()
    FeatureEngineeringClient(first)  # type: ignore[arg-type]
    fe = FeatureEngineeringClient(second)  # type: ignore[arg-type]
    with pytest.raises(Asked) as asked:
        FEATURES.compute("events")
    assert asked.value.args == (first,)
    assert fstk.connect() is first
    with pytest.raises(Asked) as asked:
        fe.read_table(name=NAME)
    assert asked.value.args == (second,)
    first.is_stopped = True
    FeatureEngineeringClient(second)  # type: ignore[arg-type]
    assert fstk.connect() is second


@pytest.mark.spark
def test_a_second_session_computes_what_it_was_handed(spark: Any, warehouse: Path, none_started: None) -> None:
    second = spark.newSession()
    fe = FeatureEngineeringClient(second)
    fe.create_table(name=NAME, primary_keys="customer_id", df=tables.spend(), timeseries_column="as_of")
    rows = _training_set(fe).load_df()
    assert rows.sparkSession is fe.read_table(name=NAME).sparkSession is second
    assert rows.count() == 2


LOCAL = """
import sys
import pandas, polars, pyarrow
from fstk import Aggregate, FeatureEngineeringClient, FeatureLookup, WindowedFeatures
from fstk.monitoring import detect_feature_drift
from fstk.online.parity import check_parity
from tests.engines.test_choice import FEATURES, LABELS, LOOKUP, NAME
from tests.notebook import tables

fe = FeatureEngineeringClient()
spend = fe.get_table(name=NAME)
assert spend in fe.list_tables()
training_set = fe.create_training_set(df=LABELS, feature_lookups=[LOOKUP], label="churned")
rows = training_set.to_pandas(), training_set.to_polars(), training_set.to_arrow()
assert [len(frame) for frame in rows] == [2, 2, 2]
assert training_set.explain().summary.labels == 2
for source in ("transactions", tables.purchases()):
    features = WindowedFeatures(source, "customer_id", "purchased_at", FEATURES.aggregates, ["7d", None])
    assert len(features.plan().features) == 2
    assert features.report().events == 7
    assert features.to_arrow("events").num_rows == 7
report = fe.publish_table(name=NAME, online_store="sqlite:///o.db", filter_condition="customer_id > 0")
assert report.written == 3
assert check_parity(spend, "sqlite:///o.db").ok
assert fe.read_online(name=NAME, keys=[{"customer_id": 1}], online_store="sqlite:///o.db")
detect_feature_drift(tables.purchases(), tables.purchases(), ["amount"])
print(sorted({name.split(".")[0] for name in sys.modules} & {"pyspark", "py4j", "delta"}))
"""


@pytest.mark.slow
def test_local_data_goes_its_way_without_pyspark(shop: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOCAL], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


def test_a_process_that_was_forked_after_a_read_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownTable):
        connect.direct().read(TableVersion("s.t", str(tmp_path)))
    pid = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: pid + 1)
    with pytest.raises(EngineUnavailable, match=r"get_context\('spawn'\)"):
        connect.direct().read(TableVersion("s.t", str(tmp_path)))

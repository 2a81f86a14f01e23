"""The journey on the cluster that the settings name, in a process of its own: features, a training set, scores; first
in the session of its driver, then over Spark Connect, which that driver serves, too.

``python -m tests.engines.journey FOLDER`` writes what came out into ``FOLDER``, a Parquet file for each way and step.
"""

from __future__ import annotations

import datetime as dt
import importlib
import random
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.tree import DecisionTreeRegressor

from fstk import Aggregate, Calendar, FeatureEngineeringClient, FeatureLookup, WindowedFeatures, settings
from fstk.engines.connect import connect, engine_of, using
from fstk.engines.spark import SparkEngine
from fstk.engines.start import remote
from fstk.training.training_set import TrainingSet
from tests.conftest import SERVING, served_port

SKLEARN = importlib.import_module("mlflow.sklearn")
SOURCE = "shop.purchases"
FEATURES = WindowedFeatures(
    SOURCE,
    ["customer_id", "shop"],
    "at",
    [
        Aggregate("count(*)", name="n"),
        Aggregate("sum(amount)", name="spend"),
        Aggregate("avg(weight)", name="weight"),
        Aggregate("max(channel) FILTER (WHERE amount > 5)", name="channel"),
        Aggregate("sum(amount) / nullif(count(*), 0)", name="each"),
    ],
    windows=["7d", "30d", None],
)
CALENDAR = Calendar(dt.date(2024, 1, 8), dt.date(2024, 4, 1), every="7d")
_INSTANT = pa.timestamp("us", "UTC")
_BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def events() -> pa.Table:
    """Purchases of 60 customers in two shops, some without an amount, a weight, a customer or a time."""
    drawn = random.Random(7)
    rows = [
        {
            "customer_id": None if number % 97 == 0 else drawn.randrange(60),
            "shop": drawn.choice(["Ålesund", "b"]),
            "at": None if number % 89 == 0 else _BEGIN + dt.timedelta(seconds=drawn.randrange(90 * 86_400)),
            "amount": None if number % 11 == 0 else Decimal(drawn.randrange(10_000)) / 100,
            "weight": None if number % 7 == 0 else drawn.uniform(0.1, 9),
            "channel": drawn.choice(["web", "till", None]),
        }
        for number in range(2_000)
    ]
    columns = (("customer_id", pa.int64()), ("shop", pa.string()), ("at", _INSTANT), ("amount", pa.decimal128(9, 2)))
    return pa.Table.from_pylist(rows, pa.schema([*columns, ("weight", pa.float64()), ("channel", pa.string())]))


def labels() -> pa.Table:
    """Who is asked about when, known or not, and an outcome."""
    drawn = random.Random(8)
    return pa.table(
        {
            "customer": pa.array([None if row % 50 == 0 else drawn.randrange(70) for row in range(500)], pa.int64()),
            "place": [drawn.choice(["Ålesund", "b", "nowhere"]) for _ in range(500)],
            "day": pa.array([_BEGIN + dt.timedelta(hours=drawn.randrange(2_400)) for _ in range(500)], _INSTANT),
            "outcome": [drawn.random() for _ in range(500)],
        }
    )


def training_set(fe: FeatureEngineeringClient, way: str) -> TrainingSet:
    lookup = FeatureLookup(
        table_of(way),
        ["customer", "place"],
        feature_names=["n_30d", "spend_30d", "weight_7d", "channel_lifetime"],
        timestamp_lookup_key="day",
        lookback_window="21d",
        default_values={"n_30d": 0},
    )
    left_out = ["customer", "place", "day", "channel_lifetime"]
    return fe.create_training_set(df=labels(), feature_lookups=[lookup], label="outcome", exclude_columns=left_out)


def table_of(way: str) -> str:
    return f"shop.spend_{way}"


def model(training_set: TrainingSet) -> DecisionTreeRegressor:
    rows = training_set.to_pandas()
    return DecisionTreeRegressor(max_depth=5, random_state=0).fit(rows.drop(columns="outcome"), rows["outcome"])


def go(way: str, engine: SparkEngine, folder: Path) -> None:
    """Make features, a training set and scores in the session of ``engine``, and keep them."""
    fe = FeatureEngineeringClient(engine.session)
    fe.create_table(
        name=table_of(way),
        primary_keys=["customer_id", "shop"],
        timeseries_column="as_of",
        df=FEATURES.compute(CALENDAR, timestamp="as_of", engine=engine),
    )
    joined = training_set(fe, way)
    logged = fe.log_model(model=model(joined), artifact_path="model", flavor=SKLEARN, training_set=joined)
    scored = fe.score_batch(model_uri=logged.uri, df=labels().drop_columns("outcome"))
    frames = {"features": fe.read_table(name=table_of(way)), "joined": joined.load_df(), "scored": scored}
    for name, frame in frames.items():
        pq.write_table(frame.toArrow(), folder / f"{way}_{name}.parquet")


def main(folder: Path) -> None:
    session = connect("spark", **SERVING)
    go("spark", engine_of(session), folder)
    served = remote.start(settings.load(), {"url": f"sc://127.0.0.1:{served_port(session)}"})
    with using(engine_of(served)) as engine:
        go("remote", engine, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
